"""TCP: segments in any order, lost, repeated, forged."""

from __future__ import annotations

from collections.abc import Iterable

from tcp_traffic import ACK, FIN, MS, RST, SECOND, SYN, Packet, Reading, read, result

from fuzzing.target import Choices, Target
from inspector.tcp.tables import Gap

C, S = "10.0.0.1:40000", "10.0.0.2:80"
TEXT = 600  # bytes of a stream
PACKETS = 40
HALF = 1 << 31
STEPS = (0, 1000, MS, 40 * MS, SECOND // 2, 2 * SECOND, 5 * SECOND, -MS, -SECOND, 700 * SECOND)
FLAGS = (ACK, ACK, ACK, ACK, ACK | FIN, RST, SYN, SYN | ACK, 0, ACK | RST)


def pieces_of(reading: Reading, number: int) -> list[bytes | tuple[int, int]]:
    """The pieces of a stream, gaps of either reason alike."""
    return reading.streams[number].pieces


def order(data: bytes) -> None:
    """Slices of one stream in any order, some twice: what is handed on is what they cover, as when they come in order."""
    choices = Choices(data)
    isn = (0, 2**32 - 2, 2**32 - 300, HALF - 100)[choices.below(4)] + choices.byte()
    size = 1 + choices.number(2) % TEXT
    text = bytes(i * 7 % 251 for i in range(size))
    slices = []
    while choices and len(slices) < PACKETS:
        start = choices.number(2) % size
        stop = min(
            size, start + 2 + choices.byte()
        )  # one byte may be a keep-alive probe: these have a rule of their own
        if stop - start > 1:
            slices.append((start, stop))
    if not slices:
        return
    made = [packets(isn, text, some) for some in (slices, sorted(slices), sorted(slices, reverse=True))]
    whole = [read(some) for some in made]
    want = covered(text, slices)
    for reading in whole:
        assert pieces_of(reading, 0) == want
    divided = read(made[0], [1 + len(data) % 7, 11])
    assert result(divided) == result(whole[0])


def packets(isn: int, text: bytes, slices: list[tuple[int, int]]) -> list[Packet]:
    """The handshake's first packet, and a packet a millisecond."""
    out = [Packet(C, S, isn, SYN)]
    return out + [Packet(C, S, isn + 1 + a, ACK, text[a:b], time=(n + 1) * MS) for n, (a, b) in enumerate(slices)]


def covered(text: bytes, slices: list[tuple[int, int]]) -> list[bytes | tuple[int, int]]:
    """The dull answer: a bitmap."""
    there = [False] * len(text)
    for a, b in slices:
        there[a:b] = [True] * (b - a)
    last = max(b for _, b in slices)
    out: list[bytes | tuple[int, int]] = []
    at = 0
    while at < last:
        stop = at
        while stop < last and there[stop] == there[at]:
            stop += 1
        out.append(text[at:stop] if there[at] else (stop - at, int(Gap.LOST)))
        at = stop
    return out


def forged(data: bytes) -> None:
    """Packets with any number, flag, time and acknowledgement: every byte handed on stands at its place, once, and how
    packets are divided among blocks changes nothing. A byte is its sequence number, so that a wrong place shows."""
    choices = Choices(data)
    isn, other = choices.number(), choices.number()
    time, sent = 0, [1, 1]
    made: list[Packet] = []
    if choices.byte() & 1:
        made = [Packet(C, S, isn, SYN), Packet(S, C, other, SYN | ACK, ack=isn + 1)]
    while choices and len(made) < PACKETS:
        what, how = choices.byte(), choices.byte()
        side = what & 1
        time = max(0, time + STEPS[what >> 1 & 15] if what >> 1 & 15 < len(STEPS) else time)
        jump = (0, 0, 0, 0, 0, -3, 9, -40, 300, -70_000, 70_000, HALF - 5, HALF + 5, -HALF, 1 << 20, 1)[how & 15]
        size = choices.below(64) if what & 0x20 else 0
        flags = FLAGS[(how >> 4) % len(FLAGS)]
        seq = ((isn, other)[side] + sent[side] + jump) % 2**32
        text = bytes((seq + (flags & SYN != 0) + i) % 256 for i in range(size))
        if not how >> 4 & 8:
            sent[side] = max(sent[side], sent[side] + jump + size) if abs(jump) < 1000 else sent[side]
        ack = choices.number() if what & 0x40 else (other, isn)[side] + sent[1 - side]
        captured = size // 2 if what & 0x80 else None
        ends = (C, S) if side == 0 else (S, C)
        packet = Packet(*ends, seq, flags, text, ack % 2**32, time, captured, tsval=choices.byte() & 1)
        made.append(packet)
        if how == 0xFF:
            made.append(packet.but(interface=1))
    whole = read(made)
    for stream in whole.streams.values():
        in_place(stream.pieces)
    divided = read(made, [1 + len(data) % 5, 9])
    assert result(divided) == result(whole)


def in_place(pieces: list[bytes | tuple[int, int]]) -> None:
    """Each byte is one more than the one before it, across gaps as well."""
    want: int | None = None
    for piece in pieces:
        if isinstance(piece, tuple):
            want = None if want is None else want + piece[0]
            continue
        for byte in piece:
            assert want is None or byte == want % 256
            want = byte + 1


def order_seeds() -> Iterable[bytes]:
    """In order, backwards, every second one."""
    for isn in range(4):
        head = bytes([isn, 0, 2, 0])
        yield head + b"".join(bytes([n >> 8, n & 255, 60]) for n in range(0, 512, 40))
        yield head + b"".join(bytes([n >> 8, n & 255, 60]) for n in range(512, 0, -50))
        yield head + b"".join(bytes([n >> 8, n & 255, 20]) for n in (200, 0, 100, 200, 400, 20, 40))


def forged_seeds() -> Iterable[bytes]:
    """Conversations of both sides, with each kind of trouble."""
    for start in (b"\0\0\0\0\0\0\0\7\1", b"\xff\xff\xff\xf0\x7f\xff\xff\xff\1", b"\x7f\xff\xff\xf0\0\0\0\0\0"):
        for jump in range(16):
            talk = b"".join(bytes([0x24 | n & 1, jump if n == 5 else 0, 30, 0]) for n in range(12))
            yield start + talk + bytes([0x20, 0x40, 3, 0, 0x21, 0x40, 3, 0])


TARGETS = [
    Target("order", "reassembly of any order", order, order_seeds, longest=300),
    Target("forged", "reassembly of forged segments", forged, forged_seeds, longest=600),
]
