"""What can go wrong: a fault changes how connections behave (`before`), or what was captured (`after`)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from simulating.actors import Scene
from simulating.network import ACK, CLIENT, MS, SECOND, SYN, US, Span, Tcp
from simulating.places import Captures, downstream
from simulating.wire import ETHERNET, RAW, SLL, SLL2, Record

After = Callable[[Scene, Captures, random.Random], None]


@dataclass(frozen=True)
class Fault:
    """`loses`: packets or bytes may be missing from the capture, or cannot be read."""

    name: str
    before: Callable[[Tcp, random.Random], None] | None = None
    after: After | None = None
    loses: bool = False


def _drop(taken: Captures, lost: Callable[[Record], bool]) -> None:
    """Take records out of every file."""
    taken.files = [[r for r in f if not lost(r)] for f in taken.files]
    taken.complete = False


def _touches(r: Record, side: int, span: Span) -> bool:
    p = r.packet
    return p is not None and p.side == side and bool(p.data) and p.at < span.end and p.end > span.start


def _messages(scene: Scene, side: int) -> list[tuple[object, Span]]:
    return [(c, s) for c in scene.connections for s in c.spans[side]]


def loss(_: Scene, taken: Captures, rng: random.Random) -> None:
    rate = rng.choice((0.003, 0.01, 0.03, 0.1))
    _drop(taken, lambda r: rng.random() < rate)


def bursts(_: Scene, taken: Captures, rng: random.Random) -> None:
    for f in taken.files:
        for _n in range(rng.randrange(1, 4)):
            if f:
                at = rng.randrange(len(f))
                del f[at : at + rng.randrange(1, 12)]
    taken.complete = False


def _lost_messages(side: int, heads: bool) -> After:
    def after(scene: Scene, taken: Captures, rng: random.Random) -> None:
        every = _messages(scene, side) if not heads else _messages(scene, 0) + _messages(scene, 1)
        for c, span in rng.sample(every, min(len(every), rng.choice((1, 1, 1, 2, 4)))):
            way = side if not heads else int(span in c.spans[1])  # type: ignore[attr-defined]
            what = Span(span.start, span.start + 1, None) if heads else span
            _drop(taken, lambda r: r.packet is not None and r.packet.connection is c and _touches(r, way, what))  # noqa: B023

    return after


def snaplen(_: Scene, taken: Captures, rng: random.Random) -> None:
    taken.snaplen = rng.choice((68, 96, 128, 200, 300, 512, 1000))
    taken.complete = False


def copies(_: Scene, taken: Captures, rng: random.Random) -> None:
    """Each packet on two to four interfaces, as with -i any; what is on lo is there once."""
    n = rng.choice((2, 2, 3, 4))
    for i, f in enumerate(taken.files):
        more = []
        for r in f:
            more.append(r)
            if r.source[0] != r.target[0] and r.interface != 1:
                for k in range(1, n):
                    later = r.time + k * rng.randrange(2 * US, 60 * US)
                    more.append(
                        Record(
                            later, r.packet, r.source, r.target, 2 + k, r.ttl - k // 2, not r.outgoing, r.keep, r.forged
                        )
                    )
        taken.files[i] = sorted(more, key=lambda r: r.time)
    taken.link = rng.choice((SLL, SLL2, SLL2))


def _place(r: Record) -> tuple[int, int, int] | None:
    """Where in its stream a segment belongs."""
    p = r.packet
    return None if p is None else (p.connection.number, p.side, p.at)


def lost_first(_: Scene, taken: Captures, rng: random.Random) -> None:
    """Segments that are sent twice, though they arrived, were captured the second time only."""
    again = {_place(r) for f in taken.files for r in f if r.packet and r.packet.again} - {None}
    chosen = {key for key in sorted(again) if rng.random() < 0.7}  # type: ignore[type-var]
    _drop(taken, lambda r: r.packet is not None and not r.packet.again and _place(r) in chosen)


def disorder(_: Scene, taken: Captures, rng: random.Random) -> None:
    """Records are written up to 2 ms late; their times are right."""
    reach = rng.choice((20 * US, 200 * US, 2 * MS))
    rate = rng.choice((0.02, 0.2, 0.7))
    taken.files = [
        [
            r
            for _, _, r in sorted(
                (r.time + (rng.randrange(reach) if rng.random() < rate else 0), i, r) for i, r in enumerate(f)
            )
        ]
        for f in taken.files
    ]


def _cut(taken: Captures, rng: random.Random, first: bool) -> None:
    times = sorted(r.time for f in taken.files for r in f)
    if times:
        at = times[int(len(times) * rng.random())]
        _drop(taken, lambda r: r.time < at if first else r.time > at)


def starts_late(_: Scene, taken: Captures, rng: random.Random) -> None:
    _cut(taken, rng, True)


def ends_early(_: Scene, taken: Captures, rng: random.Random) -> None:
    _cut(taken, rng, False)


def clock_steps(_: Scene, taken: Captures, rng: random.Random) -> None:
    """The clock of a file is set, forwards or back, while it is written."""
    f = rng.choice(taken.files)
    if f:
        at = rng.randrange(len(f))
        step = rng.choice((-1, 1)) * rng.choice((500 * US, 5 * MS, 300 * MS, 12 * SECOND))
        for r in f[at:]:
            r.time = max(0, r.time + step)
        taken.clocks = True
        taken.notes.append(f"clock steps {step / 1e6:+} ms at {at}")


def no_acknowledgements(_: Scene, taken: Captures, rng: random.Random) -> None:
    rate = rng.choice((0.5, 1.0))
    _drop(taken, lambda r: r.packet is not None and not r.packet.data and r.packet.flags == ACK and rng.random() < rate)


def one_way(scene: Scene, taken: Captures, rng: random.Random) -> None:
    """Of some connections, only one direction."""
    side, share = rng.randrange(2), rng.choice((0.2, 1.0))
    host = rng.choice(sorted({c.ends[1].host for c in scene.connections}))
    out = {id(c) for c in scene.connections if c.ends[1].host == host and rng.random() < share}
    _drop(taken, lambda r: r.packet is not None and r.packet.side == side and id(r.packet.connection) in out)


def nat(scene: Scene, taken: Captures, rng: random.Random) -> None:
    """Connections to a service's address: what the client sends is captured before it is rewritten, answers too late for it."""
    who = rng.choice(("downstream", "upstream"))
    for r in (r for f in taken.files for r in f):
        p = r.packet
        if p is not None and downstream(scene, p) == (who == "downstream") and ":" not in r.source[0]:
            if who == "downstream" and p.side == CLIENT:
                r.target = ("127.0.0.1", 15001)
            elif who == "upstream" and p.side == CLIENT:
                r.target = (f"10.96.{p.connection.ends[1].ip.split('.')[-1]}.1", 80)


def stray(_: Scene, taken: Captures, rng: random.Random) -> None:
    """Old packets come again, and SYNs and acknowledgements that nobody asked for."""
    for f in taken.files:
        for _n in range(rng.randrange(1, 5)):
            if not f:
                return
            old = rng.choice(f)
            if old.packet is None:
                continue
            later = old.time + rng.choice((2 * MS, 300 * MS, 3 * SECOND))
            kind = rng.choice(("again", "syn", "ack"))
            c, side = old.packet.connection, old.packet.side
            if kind == "again":
                made = Record(later, old.packet, old.source, old.target, old.interface, old.ttl, old.outgoing)
            else:
                seq = rng.getrandbits(32) if kind == "syn" else c.isn[side]
                made = Record(later, None, old.source, old.target, old.interface, 60, old.outgoing)
                made.forged = (
                    seq,
                    0 if kind == "syn" else c.isn[1 - side] + 1 & 0xFFFFFFFF,
                    SYN if kind == "syn" else ACK,
                    b"",
                )
            f.append(made)
        f.sort(key=lambda r: r.time)


def encrypted(scene: Scene, taken: Captures, _: random.Random) -> None:
    """Clients speak TLS with the proxy."""
    for p in scene.packets:
        if downstream(scene, p):
            p.connection.encrypted = True
    taken.complete = False


def _set(**values: object) -> Callable[[Tcp, random.Random], None]:
    """Set each to a value, or to one of several."""

    def before(tcp: Tcp, rng: random.Random) -> None:
        for name, value in values.items():
            setattr(tcp, name, rng.choice(value) if isinstance(value, tuple) else value)

    return before


FAULTS = {
    f.name: f
    for f in (
        Fault("none"),
        Fault("loss", None, loss, True),
        Fault("bursts", None, bursts, True),
        Fault("lost-response", None, _lost_messages(1, False), True),
        Fault("lost-request", None, _lost_messages(0, False), True),
        Fault("lost-heads", None, _lost_messages(0, True), True),
        Fault("snaplen", None, snaplen, True),
        Fault("copies", None, copies),
        Fault("disorder", None, disorder),
        Fault("network-loss", _set(loss=(0.02, 0.1))),
        Fault("needless", _set(needless=(0.05, 0.4))),
        Fault("lost-first", _set(needless=(0.1, 0.5)), lost_first, True),
        Fault("late", _set(loss=(0.02, 0.1), late=True)),
        Fault("starts-late", None, starts_late, True),
        Fault("ends-early", None, ends_early, True),
        Fault("clock-steps", None, clock_steps),
        Fault("no-acks", None, no_acknowledgements, True),
        Fault("one-way", None, one_way, True),
        Fault("nat", None, nat),
        Fault("segments", _set(mss=(24, 40, 216, 536, 8960, 65000))),
        Fault("equal-numbers", _set(isn=(1000, 0xFFFFFF00))),
        Fault("stray", None, stray),
        Fault("port-reuse", _set(few_ports=True, lingers=0.0)),
        Fault("delayed-acks", _set(delayed_ack=(0.9, 1.0))),
        Fault("resets", _set(reset_ends=1.0, lingers=0.0)),
        Fault("half-close", _set(half_close=True, lingers=0.0)),
        Fault("encrypted", None, encrypted, True),
    )
}
LINKS = (ETHERNET, ETHERNET, SLL2, SLL, RAW)
