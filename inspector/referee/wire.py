"""The segments of a capture, once more, as far as a comparison needs them to say why two readings differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from inspector.capture import PacketKind, Segments, open_captures
from inspector.mirror.signs import blend
from inspector.seq import HALF, MASK
from inspector.table import I64, U8, Bool

APART = 1_000_000_000  # ns: copies of one packet are no further apart
FIRSTS = 8  # packets with one fingerprint that may each have copies
FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclass(frozen=True)
class WireFacts:
    """kinds: Kind of packet i + 1, of the first `limit` packets. segments: theirs. more: packets beyond the limit."""

    kinds: U8
    segments: Segments
    more: int
    link_types: tuple[str, ...]

    @cached_property
    def source(self) -> I64:
        """(n,) a number for each segment's sender, address and port."""
        s = self.segments
        return blend(s.src_hi, s.src_lo, s.sport)

    @cached_property
    def target(self) -> I64:
        """(n,) a number for each segment's receiver."""
        s = self.segments
        return blend(s.dst_hi, s.dst_lo, s.dport)

    @cached_property
    def copy_of(self) -> I64:
        """(n,) the row of the packet that a segment copies, its own row where it is the first: see `tcp.copies` for the rule."""
        s, n = self.segments, len(self.segments)
        order = np.lexsort((np.arange(n), s.tsval, s.ip_id, s.length, s.flags, s.ack, s.seq))
        fresh = np.ones(n, bool)
        if n > 1:
            same = np.ones(n - 1, bool)
            for name in ("seq", "ack", "flags", "length", "ip_id", "tsval"):
                column = getattr(s, name)[order]
                same &= column[1:] == column[:-1]
            fresh[1:] = ~same
        out = np.arange(n)
        starts = np.flatnonzero(fresh)
        for a, b in zip(starts.tolist(), [*starts[1:].tolist(), n], strict=True):
            if b - a > 1:
                self._mark(order[a:b], out)
        return out

    def _mark(self, rows: I64, out: I64) -> None:
        """Rows with equal fingerprints, in order: each copies the first that it can be a copy of."""
        s = self.segments
        firsts: list[int] = []
        for i in rows.tolist():
            for f in firsts[-FIRSTS:]:
                near = abs(int(s.time[i]) - int(s.time[f])) <= APART
                ends = self.source[i] == self.source[f] or self.target[i] == self.target[f]
                elsewhere = s.interface[i] != s.interface[f] or s.ip_id[i] != 0
                if near and ends and elsewhere:
                    out[i] = f
                    break
            else:
                firsts.append(i)

    def rows(self, packet: int) -> I64:
        """The segments of a packet."""
        low, high = np.searchsorted(self.segments.packet, [packet, packet + 1])
        return np.arange(low, high)

    def kind(self, packet: int) -> PacketKind:
        """What a packet is."""
        return PacketKind(int(self.kinds[packet - 1])) if 0 < packet <= len(self.kinds) else PacketKind.OTHER

    def original(self, packet: int) -> int:
        """The first packet that `packet` is a copy of; itself where it is none."""
        rows = self.rows(packet)
        return int(self.segments.packet[self.copy_of[rows[0]]]) if len(rows) else packet

    def cut(self, packet: int) -> bool:
        """Whether the snap length cut payload of a packet."""
        rows = self.rows(packet)
        return bool((self.segments.captured[rows] < self.segments.length[rows]).any())

    @cached_property
    def _flows(self) -> tuple[I64, I64]:
        """(n,) a number for each segment's direction, and the rows in its order."""
        both = blend(self.source, self.target)
        return both, np.argsort(both, kind="stable")

    @cached_property
    def _known(self) -> dict[tuple[int, int], Direction]:
        return {}

    def pair(self, packet: int) -> int:
        """A number for the two endpoints of a packet, the same in both directions; -1 where it has none."""
        rows = self.rows(packet)
        return int(self.source[rows[0]]) ^ int(self.target[rows[0]]) if len(rows) else -1

    def flow(self, packet: int) -> int:
        """A number for the direction of a packet; -1 where it has none."""
        rows = self.rows(packet)
        return int(self._flows[0][rows[0]]) if len(rows) else -1

    def direction(self, packet: int) -> Direction | None:
        """The direction of the connection that a packet belongs to, between two different SYNs."""
        rows = self.rows(packet)
        if not len(rows):
            return None
        row = int(rows[0])
        both, order = self._flows
        low, high = self._range(int(both[row]))
        mine = order[low:high]
        syns = mine[(self.segments.flags[mine] & SYN) != 0]
        seqs = self.segments.seq[syns]
        begins = syns[np.concatenate([[True], seqs[1:] != seqs[:-1]])] if len(syns) else syns
        k = int(np.searchsorted(begins, row, "right"))
        key = int(both[row]), k
        if key not in self._known:
            first = int(begins[k - 1]) if k else -1
            last = int(begins[k]) if k < len(begins) else len(both)
            self._known[key] = Direction(self.segments, mine[(mine >= first) & (mine < last)], k > 0)
        return self._known[key]

    def acknowledged(self, packet: int, direction: Direction, packets: tuple[int, ...]) -> int:
        """The first packet of the other side that acknowledges bytes right behind what `packets` hold, where no packet of
        `direction` brings any; 0 where none does."""
        rows = self.rows(packet)
        if not len(rows):
            return 0
        _low, high = direction.span(packets)
        if int(direction.end.max()) > high:
            return 0
        row, s = int(rows[0]), self.segments
        other = (self.source == self.target[row]) & (self.target == self.source[row]) & ((s.flags & ACK) != 0)
        back = np.flatnonzero(other)
        back = back[back > row]
        ahead = ((s.ack[back].astype(np.int64) - direction.base + HALF) & MASK) - HALF
        found = back[(ahead > high + 1) & (ahead < high + HALF // 2)]  # a FIN counts one
        return int(s.packet[found[0]]) if len(found) else 0

    def answers_unseen(self, packet: int) -> bool:
        """Whether a packet acknowledges bytes of the other side that, in part, no packet brought."""
        rows, s = self.rows(packet), self.segments
        if not len(rows):
            return False
        row = int(rows[0])
        low, high = self._range(int(blend(self.target[rows[:1]], self.source[rows[:1]])[0]))
        there = np.sort(self._flows[1][low:high])
        before = there[there < row]
        if not len(before):
            return False
        other = self.direction(int(s.packet[before[-1]]))
        if other is None:
            return False
        ahead = ((int(s.ack[row]) - other.base + HALF) & MASK) - HALF
        start, _stop, _behind = other.holes
        return bool(len(start) and start[0] < ahead) or ahead > int(other.end.max()) + 1

    @cached_property
    def _sorted(self) -> I64:
        both, order = self._flows
        return both[order]

    def _range(self, flow: int) -> tuple[int, int]:
        low, high = np.searchsorted(self._sorted, flow, "left"), np.searchsorted(self._sorted, flow, "right")
        return int(low), int(high)


class Direction:
    """The segments of one sender to one receiver, in the order of the capture. synced: its SYN is among them."""

    def __init__(self, s: Segments, rows: I64, synced: bool) -> None:
        self.synced = synced
        self.packets = s.packet[rows]
        self.base = int(s.seq[rows[0]])
        ahead = (s.seq[rows].astype(np.int64) - int(s.seq[rows[0]]) + HALF) & MASK
        self.start = ahead - HALF + ((s.flags[rows] & SYN) != 0)
        self.end = self.start + s.length[rows]
        self.ends: Bool = (s.flags[rows] & (FIN | RST)) != 0
        self.cut: Bool = s.captured[rows] < s.length[rows]

    def span(self, packets: tuple[int, ...]) -> tuple[int, int]:
        """The sequence numbers (relative) that these packets hold."""
        at = np.minimum(np.searchsorted(self.packets, packets), len(self.packets) - 1)
        at = at[self.packets[at] == packets]
        return (int(self.start[at].min()), int(self.end[at].max())) if len(at) else (0, 0)

    @cached_property
    def holes(self) -> tuple[I64, I64, I64]:
        """(from, to, the first packet that was captured behind it) of what no segment of this direction holds, in order."""
        order = np.argsort(self.start, kind="stable")
        start, packets = self.start[order], self.packets[order]
        top = np.maximum.accumulate(self.end[order])
        at = np.flatnonzero(start[1:] > top[:-1]) + 1
        behind = np.minimum.accumulate(packets[::-1])[::-1]
        return top[at - 1], start[at], behind[at]

    def hole(self, packets: tuple[int, ...], touching: bool = False) -> int:
        """The first packet behind the first hole that lies before or inside what these packets hold, or with `touching` right
        behind it; 0 where there is none."""
        _low, high = self.span(packets)
        start, _stop, behind = self.holes
        return int(behind[0]) if len(start) and start[0] < high + touching else 0

    def first_cut(self, packets: tuple[int, ...]) -> int:
        """The first packet that the snap length cut, of these and of those with bytes before theirs; 0 where there is none."""
        _low, high = self.span(packets)
        rows = self._cuts[self.start[self._cuts] < high]
        return int(self.packets[rows[0]]) if len(rows) else 0

    @cached_property
    def _cuts(self) -> I64:
        return np.flatnonzero(self.cut)

    def closing(self, packet: int) -> tuple[int, ...]:
        """The packets with FIN or RST after `packet`."""
        return tuple(self.packets[self.ends & (self.packets > packet)].tolist())

    def seen_before(self, packet: int) -> int:
        """The packet that held the bytes of `packet` before it did; 0 where none did."""
        at = int(np.searchsorted(self.packets, packet))
        same = (self.start[:at] < self.end[at]) & (self.end[:at] > self.start[at]) & (self.end[:at] > self.start[:at])
        rows = np.flatnonzero(same)
        return int(self.packets[rows[0]]) if len(rows) else 0


def read(capture: Path, limit: int) -> WireFacts:
    """The first `limit` packets of a capture. Raises CaptureError."""
    kinds: list[U8] = []
    segments: list[Segments] = []
    count = 0
    readers = open_captures(str(capture))
    try:
        for block in readers[0].blocks():
            keep = block.packets.number <= limit
            kinds.append(block.packets.kind[keep])
            part = block.segments
            segments.append(part if keep.all() else part.take(part.packet <= limit))
            count += len(block.packets)
    finally:
        for reader in readers:
            reader.close()
    known = np.concatenate([np.empty(0, np.uint8), *kinds])
    return WireFacts(known, Segments.concat(segments), count - len(known), tuple(readers[0].info.link_types))
