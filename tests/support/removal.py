"""Takes links of a proof out of a real capture: packets of a leg, bytes of a response, one direction, the start.

What a leg's packets are is asked of the undamaged reading (its packets are compared with tshark's elsewhere); copies of a packet
on other interfaces go with it, as a tcpdump that lost the packet's moment would have lost them all.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from capture_files import pcap, read

import inspector
from inspector.seq import distance
from inspector.views.objects import ExchangeView, MirrorView

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
LINK = {"EN10MB": 1, "LINUX_SLL2": 276, "LINUX_SLL": 113}
FIN, SYN, RST = 1, 2, 4
COPIES = 200_000  # ns between the copies of a packet
LEGS = ("downstream", "original", "mirror")


@dataclass(frozen=True)
class Frame:
    """A record, and the TCP segment in it (ports, sequence numbers, payload bytes; sport 0: none)."""

    number: int
    time: int
    data: bytes
    length: int
    src: int
    dst: int
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    payload: int

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for copies of one packet, whatever NAT and routing did to its addresses."""
        return self.sport, self.seq, self.ack, self.flags, self.payload


@dataclass(frozen=True)
class Scene:
    """A capture: its frames, and what was read from all of them."""

    link: int
    frames: tuple[Frame, ...]
    mirrors: tuple[MirrorView, ...]

    def leg(self, number: int, name: str) -> ExchangeView:
        found = getattr(self.mirrors[number - 1], name)
        assert found is not None, f"mirror {number} has no {name}"
        return found

    def frame(self, number: int) -> Frame:
        return self.frames[number - 1]

    def packets(self, leg: ExchangeView, side: str) -> list[Frame]:
        """The packets that carry a leg's request or response, first to last, each with its copies."""
        keys = {self.frame(n).key for n in getattr(leg, f"{side}_packets")}
        return [f for f in self.frames if f.sport and f.payload and f.key in keys]

    def connection(self, leg: ExchangeView) -> list[Frame]:
        """Every packet of the leg's connection: the client's port and the other ports its packets went to or came from."""
        port = int(leg.client.rsplit(":", 1)[1])
        return [f for f in self.frames if port in (f.sport, f.dport)]

    def acks(self, leg: ExchangeView) -> list[Frame]:
        """The packets without payload with which the client acknowledged the leg's response, in part or in whole."""
        response = self.packets(leg, "response")
        port = int(leg.client.rsplit(":", 1)[1])
        assert response, "no response"
        first = response[0]
        return [
            f
            for f in self.frames
            if f.sport == port and not f.payload and f.time >= first.time and distance(f.ack, first.seq) > 0
        ]

    def capture(self, keep: Iterable[Frame], cut: Callable[[Frame], int] = lambda f: 1 << 20) -> bytes:
        """A pcap of some of the frames, each cut to `cut(frame)` bytes."""
        kept = list(keep)
        data = [f.data[: cut(f)] for f in kept]
        snaplen = max((len(d) for d, f in zip(data, kept, strict=True) if len(d) < f.length), default=262144)
        times, lengths = [f.time for f in kept], [f.length for f in kept]
        return pcap(data, self.link, nano=True, times=times, lengths=lengths, snaplen=snaplen)


@cache
def scene(name: str) -> Scene:
    """A capture of `captures/`, read once."""
    path = CAPTURES / name  # an absolute name stays as it is
    got = read(str(path))
    s, p = got.segments, got.packets
    row = {n: i for i, n in enumerate(s.packet.tolist())}
    columns = [a.tolist() for a in (s.src_lo, s.dst_lo, s.sport, s.dport, s.seq, s.ack, s.flags, s.length)]
    none = (0,) * len(columns)
    frames = []
    for number, time, data, length in zip(
        p.number.tolist(), p.time.tolist(), got.frames, p.length.tolist(), strict=True
    ):
        i = row.get(number)
        frames.append(Frame(number, time, data, length, *(none if i is None else (c[i] for c in columns))))
    (link,) = got.info.link_types
    return Scene(LINK[link], tuple(frames), tuple(inspector.inspect(str(path)).mirror_views()))


def without(frames: Iterable[Frame], gone: Iterable[Frame]) -> list[Frame]:
    numbers = {f.number for f in gone}
    return [f for f in frames if f.number not in numbers]


def apply(s: Scene, number: int, what: str) -> bytes:
    """The capture without what one row of the table takes away: see honesty_table."""
    frames = list(s.frames)
    match what.split():
        case ["nothing"]:
            return s.capture(frames)
        case ["drop", ("downstream" | "original" | "mirror") as leg]:
            return s.capture(without(frames, s.connection(s.leg(number, leg))))
        case ["drop", leg, ("request" | "response") as side]:
            return s.capture(without(frames, s.packets(s.leg(number, leg), side)))
        case ["drop", leg, "response", ("head" | "middle" | "last") as part]:
            packets = s.packets(s.leg(number, leg), "response")
            seqs = list(dict.fromkeys(f.seq for f in packets))
            assert seqs, f"{leg} has no response"
            seq = seqs[{"head": 0, "middle": len(seqs) // 2, "last": -1}[part]]
            return s.capture(without(frames, [f for f in packets if f.seq == seq]))
        case ["drop", leg, "acks"]:
            return s.capture(without(frames, s.acks(s.leg(number, leg))))
        case ["drop", "handshakes"]:
            return s.capture([f for f in frames if not f.flags & SYN])
        case ["drop", leg, "handshake"]:
            return s.capture(without(frames, [f for f in s.connection(s.leg(number, leg)) if f.flags & SYN]))
        case ["snap", size]:
            return s.capture(frames, lambda f: int(size))
        case ["snap", leg, "response", size]:
            short = {f.number for f in s.packets(s.leg(number, leg), "response")}
            return s.capture(frames, lambda f: int(size) if f.number in short else 1 << 20)
        case ["start", ("before" | "after") as when, leg, side]:
            packets = s.packets(s.leg(number, leg), side)
            first = packets[0].number - 1 if when == "before" else packets[-1].number
            return s.capture(frames[first:])
        case ["end", ("before" | "after") as when, leg, side]:
            packets = s.packets(s.leg(number, leg), side)
            last = packets[0].number - 1 if when == "before" else packets[-1].number
            return s.capture(frames[:last])
        case ["only", ("requests" | "responses") as side]:
            servers = {int(s.leg(n, leg).server.rsplit(":", 1)[1]) for n in range(1, len(s.mirrors) + 1) for leg in LEGS
                       if getattr(s.mirrors[n - 1], leg)} | {15001}  # fmt: skip
            return s.capture([f for f in frames if ((f.dport if side == "requests" else f.sport) in servers)])
        case _:
            raise AssertionError(what)


def judged(data: bytes) -> list[MirrorView]:
    return list(inspector.inspect(io.BytesIO(data)).mirror_views())


def same_mirror(s: Scene, number: int, views: Iterable[MirrorView]) -> MirrorView | None:
    """The mirror of a damaged capture that is mirror `number` of the whole one: known by its connection and time."""
    leg = s.leg(number, "mirror")
    for view in views:
        if view.mirror.client != leg.client:
            continue
        # A copy on another interface is seen a moment later: it may be all that is left of a packet.
        for mine, other in (
            (leg.request_time, view.mirror.request_time),
            (leg.response_time, view.mirror.response_time),
        ):
            if mine is not None and other is not None and abs(mine - other) < COPIES:
                return view
    return None


def verdict(view: MirrorView | None) -> str:
    """`discarded: content, time`, `unproven: gap`, `leaked`, ...; `no mirror` where there is none."""
    if view is None:
        return "no mirror"
    tail = ", ".join(view.proof) or view.reason
    return f"{view.verdict}: {tail}" if tail else view.verdict


def known(s: Scene, view: MirrorView) -> MirrorView | None:
    """The mirror of the whole capture that `view` of a damaged one is."""
    for number, whole in enumerate(s.mirrors, 1):
        if whole.mirror.client == view.mirror.client and same_mirror(s, number, [view]):
            return whole
    return None


def wrong_claims(s: Scene, views: Iterable[MirrorView]) -> list[str]:
    """What a reading of a part of the capture claims for certain and the whole capture contradicts.

    Less may be said of less, never something else: `unproven` and `unanswered` (no response was seen) claim nothing here.
    """
    out = []
    for view in views:
        if view.verdict in ("unproven", "unanswered"):
            continue
        whole = known(s, view)
        what = f"{view.method} {view.path}: {verdict(view)}, delivered {view.delivered}"
        if whole is None:
            out.append(f"{what}, but this is no mirror")
            continue
        told = f"{what}; the whole capture says {verdict(whole)}, delivered {whole.delivered}"
        proven = set(whole.proof) | (
            {"count"} if "content" in whole.proof else set()
        )  # what is not seen to differ is counted
        if whole.rivals > 1:  # equals in flight together: which of them is whose the whole capture does not know either
            proven.add("time")
        right = view.verdict == whole.verdict and set(view.proof) <= proven
        if not right or view.delivered not in ("unknown", whole.delivered):
            out.append(told)
    return out


def thinned(s: Scene, lost: random.Random) -> bytes:
    """The capture with packets lost in one of the ways in which captures lose them."""
    how = lost.choice(["loss", "burst", "start", "end", "snap", "both", "connection"])
    frames = list(s.frames)
    last = len(frames)
    cut = 1 << 20
    if how in ("loss", "both"):
        rate = lost.choice([0.01, 0.03, 0.1, 0.3])
        frames = [f for f in frames if lost.random() > rate]
    if how in ("burst", "both"):
        for _ in range(lost.randint(1, 5)):
            begin = lost.randrange(last)
            end = begin + lost.randint(1, 30)
            frames = [f for f in frames if not begin < f.number <= end]
    if how == "start" or (how == "both" and lost.random() < 0.5):
        begin = lost.randrange(last)
        frames = [f for f in frames if f.number > begin]
    if how == "end":
        end = lost.randrange(last)
        frames = [f for f in frames if f.number <= end]
    if how == "snap":
        cut = lost.choice([96, 150, 200, 300, 500, 1000])
    if how == "connection":
        ports = sorted({f.sport for f in frames} | {f.dport for f in frames})
        gone = set(lost.sample(ports, min(len(ports), lost.randint(1, 3))))
        frames = [f for f in frames if lost.random() < 0.3 or not gone & {f.sport}]
    return s.capture(frames, lambda f: cut)
