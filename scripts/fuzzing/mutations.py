"""Real captures made worse: records lost, cut, swapped, repeated; and bytes, lengths, numbers, times forged."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fuzzing import corpus

HEADER = 16  # bytes of a record's header


@dataclass(frozen=True, slots=True)
class Record:
    """A record; origin: its number in the undamaged capture."""

    origin: int
    time: tuple[int, int]
    length: int
    frame: bytes


@dataclass(frozen=True)
class Original:
    """An undamaged capture, and what its packets are: (ends, payload bytes) by packet number, of those that are segments."""

    name: str
    head: bytes
    records: tuple[Record, ...]
    ends: dict[int, frozenset[str]] = field(repr=False)
    sizes: dict[int, int] = field(repr=False)

    @property
    def data(self) -> bytes:
        return written(self.head, list(self.records))


@dataclass(frozen=True)
class Mutant:
    """A damaged capture. origins: packet number in it -> number in the original, None where bytes of the file were changed."""

    data: bytes
    what: str
    lossy: (
        bool  # nothing in it was not in the original: packets or bytes are missing, or stand elsewhere, or stand twice
    )
    origins: tuple[int, ...] | None


Dice = random.Random
Records = list[Record]


def written(head: bytes, records: Records) -> bytes:
    """The capture as a file."""
    return corpus.joined(head, [(*r.time, r.length, r.frame) for r in records])


# -- nothing is there that was not there ------------------------------------------------------------------------------------


def drop(o: Original, dice: Dice) -> Records:
    """Some packets, as a busy machine loses them."""
    part = dice.choice([0.005, 0.02, 0.1, 0.3])
    return [r for r in o.records if dice.random() > part]


def one(o: Original, dice: Dice) -> Records:
    """A single packet with payload."""
    lost = dice.choice([n for n, size in o.sizes.items() if size] or [1])
    return [r for r in o.records if r.origin != lost]


def burst(o: Original, dice: Dice) -> Records:
    """Packets in a row."""
    start = dice.randrange(len(o.records))
    stop = start + dice.randrange(1, 1 + max(len(o.records) // 4, 1))
    return [*o.records[:start], *o.records[stop:]]


def late(o: Original, dice: Dice) -> Records:
    """The capture starts late, or ends early, or both."""
    start, stop = sorted(dice.randrange(len(o.records) + 1) for _ in range(2))
    return list(dice.choice([o.records[start:], o.records[:stop], o.records[start:stop]]))


def side(o: Original, dice: Dice) -> Records:
    """All that one end of a connection sent or got."""
    ends = sorted({end for both in o.ends.values() for end in both})
    if not ends:
        return list(o.records)
    lost = dice.choice(ends)
    part = dice.choice([1.0, 1.0, 0.5])
    return [r for r in o.records if lost not in o.ends.get(r.origin, ()) or dice.random() > part]


def bare(o: Original, dice: Dice) -> Records:
    """Packets without payload: acknowledgements, SYN, FIN."""
    part = dice.choice([1.0, 0.5])
    return [r for r in o.records if o.sizes.get(r.origin, 1) or dice.random() > part]


def snap(o: Original, dice: Dice) -> Records:
    """A snap length, for all packets or for some."""
    size, part = dice.choice([60, 68, 90, 96, 120, 150, 200, 300, 600]), dice.choice([1.0, 1.0, 0.2])
    return [replace(r, frame=r.frame[:size]) if dice.random() < part else r for r in o.records]


def cut(o: Original, dice: Dice) -> Records:
    """Some packets cut anywhere."""
    chosen = set(dice.choices(range(len(o.records)), k=dice.randrange(1, 6)))
    return [
        replace(r, frame=r.frame[: dice.randrange(1, len(r.frame) + 1)]) if i in chosen and r.frame else r
        for i, r in enumerate(o.records)
    ]


def swap(o: Original, dice: Dice) -> Records:
    """Packets that stand near each other change places, with their times or without."""
    out = list(o.records)
    keep_times = dice.random() < 0.5
    for _ in range(dice.randrange(1, 12)):
        i = dice.randrange(len(out))
        j = min(len(out) - 1, i + dice.randrange(1, 9))
        a, b = out[i], out[j]
        out[i], out[j] = (replace(b, time=a.time), replace(a, time=b.time)) if keep_times else (b, a)
    return out


def repeat(o: Original, dice: Dice) -> Records:
    """Packets once more, at once or a little later."""
    out = list(o.records)
    for _ in range(dice.randrange(1, 12)):
        i = dice.randrange(len(out))
        j = min(len(out) - 1, i + dice.choice([0, 0, 1, 5, 40]))
        out.insert(j + 1, replace(out[i], time=out[j].time))
    return out


# -- something else is there --------------------------------------------------------------------------------------------------


def flip(o: Original, dice: Dice) -> Records:
    """Bits of some packets."""
    out = list(o.records)
    for _ in range(dice.randrange(1, 6)):
        i = dice.randrange(len(out))
        frame = bytearray(out[i].frame)
        for _ in range(dice.randrange(1, 5)):
            frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
        out[i] = replace(out[i], frame=bytes(frame))
    return out


def numbers(o: Original, dice: Dice) -> Records:
    """Sequence and acknowledgement numbers, ports, flags, header lengths: four bytes of a packet's headers."""
    out = list(o.records)
    for _ in range(dice.randrange(1, 5)):
        i = dice.choice([*o.sizes] or [1]) - 1
        frame = bytearray(out[i].frame)
        at = dice.randrange(0, min(80, max(len(frame) - 4, 1)))
        value = (
            int.from_bytes(frame[at : at + 4], "big") + dice.choice([1, -1, 1448, -1448, 1 << 16, 1 << 31])
        ) % 2**32
        frame[at : at + 4] = dice.choice([value.to_bytes(4, "big"), b"\xff" * 4, bytes(4), dice.randbytes(4)])
        out[i] = replace(out[i], frame=bytes(frame))
    return out


def times(o: Original, dice: Dice) -> Records:
    """Times of some packets."""
    out = list(o.records)
    for _ in range(dice.randrange(1, 8)):
        i = dice.randrange(len(out))
        seconds, fraction = out[i].time
        jump = dice.choice([1, -1, 20, -20, 700, -700, 10**6, -(10**6), 0])
        fraction = dice.choice([fraction, dice.randrange(10**6), 2**32 - 1])
        out[i] = replace(out[i], time=((seconds + jump) % 2**32, fraction))
    return out


def sizes(o: Original, dice: Dice) -> Records:
    """Lengths on the wire."""
    out = list(o.records)
    for _ in range(dice.randrange(1, 6)):
        i = dice.randrange(len(out))
        out[i] = replace(
            out[i], length=dice.choice([0, 1, len(out[i].frame) + 1, 65535, 1 << 24, 2**32 - 1, dice.randrange(2000)])
        )
    return out


def frames(o: Original, dice: Dice) -> Records:
    """Payload of one packet in another."""
    out = list(o.records)
    for _ in range(dice.randrange(1, 4)):
        i, j = dice.randrange(len(out)), dice.randrange(len(out))
        at = dice.randrange(20, 90)
        out[i] = replace(out[i], frame=out[i].frame[:at] + out[j].frame[at : len(out[i].frame)])
    return out


def file(o: Original, dice: Dice) -> bytes:
    """Bytes of the file, wherever they stand: record headers as well."""
    data = bytearray(o.data)
    for _ in range(dice.randrange(1, 12)):
        at = dice.randrange(0 if dice.random() < 0.02 else 24, len(data) - 8)
        what = dice.randrange(6)
        if what == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif what == 1:
            data[at : at + 4] = dice.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", dice.randbytes(4)])
        elif what == 2:
            del data[at : at + dice.randrange(1, 400)]
        elif what == 3:
            data[at:at] = data[at : at + dice.randrange(1, 400)]
        elif what == 4:
            data[at:at] = dice.randbytes(dice.randrange(1, 60))
        elif dice.random() < 0.2:
            del data[at:]
        if len(data) < 200:
            break
    return bytes(data)


def lengths(o: Original, dice: Dice) -> bytes:
    """Captured and original length in the headers of some records."""
    data = bytearray(o.data)
    starts, at = [], 24
    for r in o.records:
        starts.append(at)
        at += HEADER + len(r.frame)
    for start in dice.choices(starts, k=dice.randrange(1, 5)):
        old = int.from_bytes(data[start + 8 : start + 12], "little")
        new = dice.choice([0, 1, old + 1, old - 1, old + 16, 1 << 18, 2**32 - 1, dice.randrange(3000)]) % 2**32
        struct.pack_into("<I", data, start + dice.choice([8, 12]), new)
    return bytes(data)


LOSS: dict[str, Callable[[Original, Dice], Records]] = {
    f.__name__: f for f in (drop, one, burst, late, side, bare, snap, cut, swap, repeat)
}
FORGED: dict[str, Callable[[Original, Dice], Records]] = {f.__name__: f for f in (flip, numbers, times, sizes, frames)}
DAMAGED: dict[str, Callable[[Original, Dice], bytes]] = {f.__name__: f for f in (file, lengths)}


def mutant(o: Original, dice: Dice) -> Mutant:
    """One of them; losses now and then two after another."""
    names = [*LOSS, *LOSS, *FORGED, *DAMAGED]
    name = dice.choice(names)
    if name in DAMAGED:
        return Mutant(DAMAGED[name](o, dice), name, False, None)
    made = (LOSS.get(name) or FORGED[name])(o, dice)
    if name in LOSS and made and dice.random() < 0.3:
        second = dice.choice([*LOSS])
        made = LOSS[second](replace(o, records=tuple(made)), dice)
        name = f"{name}+{second}"
    data = written(o.head, made)
    return Mutant(data, name, name.partition("+")[0] in LOSS, tuple(r.origin for r in made))
