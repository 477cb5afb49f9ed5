"""Requests that were captured, at least in part, and not read: why a response has no request."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

from inspector.http.parser import Read
from inspector.http.tables import Messages
from inspector.inspection.located import Placed
from inspector.table import I32
from inspector.tcp.tables import UNKNOWN, Chunks, Gap, Runs, StreamBlock

KEPT = 100_000  # responses that something is known of
Unread = tuple[
    str, int | None
]  # "snaplen", "lost" or "unread", and the packet in which the request begins, where it is known


class UnreadRequests:
    """By capture and first packet of a response: what became of its request. Without an entry no byte of it was captured."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], Unread] = {}
        self._answered: dict[int, int] = {}  # by stream of requests: how far earlier lone responses acknowledged it

    def add(self, block: StreamBlock, read: Read, placed: Placed, left: Callable[[int], int]) -> None:
        """Look at the responses without a request. left: bytes of a slot that belong to no message so far. placed: beside
        the messages."""
        m = read.messages
        lone = np.flatnonzero((m.kind == 2) & (m.request < 0))
        if not len(lone):
            return
        c, r = block.chunks, block.runs
        mates = m.slot[lone] ^ 1
        starts, ends = _requests(m, mates)
        rows = zip(lone.tolist(), _rows(c.slot, m.slot[lone]), _rows(c.slot, mates), _rows(r.slot, mates), strict=True)
        for row, answers, asks, runs in rows:
            if len(self.found) >= KEPT:
                return
            mate, stream = int(m.slot[row]) ^ 1, int(m.stream[row]) ^ 1
            asked = _acknowledged(c, answers, int(m.start[row]))
            before = bisect_left(starts[mate], asked)
            begin = max(ends[mate][before - 1] if before else UNKNOWN, self._answered.get(stream, UNKNOWN))
            if asked != UNKNOWN:
                self._answered[stream] = asked
            packet = _packet(c, asks, begin, asked)
            if packet is not None:
                told: Unread | None = _why(r, runs, begin, asked), packet
            else:
                told = ("unread", None) if asked == UNKNOWN and left(mate) > 0 else None
            packets = placed.packets[row]
            if told is not None and len(packets):
                self.found[int(placed.capture[row]), int(packets[0])] = told


def _requests(m: Messages, slots: I32) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """By slot: where the requests on `slots` begin, and where they end, in their order."""
    starts: dict[int, list[int]] = defaultdict(list)
    ends: dict[int, list[int]] = defaultdict(list)
    wanted = np.zeros(max(int(m.slot.max()), int(slots.max())) + 1, bool)
    wanted[slots] = True
    rows = np.flatnonzero(wanted[m.slot] & (m.kind == 1))
    for slot, start, end in zip(m.slot[rows].tolist(), m.start[rows].tolist(), m.end[rows].tolist(), strict=True):
        starts[slot].append(start)
        ends[slot].append(end)
    return starts, ends


def _rows(column: I32, slots: I32) -> Iterable[tuple[int, int]]:
    """Where the rows of each of `slots` begin and end in a sorted column of slots."""
    return zip(np.searchsorted(column, slots).tolist(), np.searchsorted(column, slots + 1).tolist(), strict=True)


def _acknowledged(c: Chunks, rows: tuple[int, int], offset: int) -> int:
    """What the packet that brought a byte acknowledged of the other direction. rows: of the byte's slot."""
    low, high = rows
    at = low + int(c.offset[low:high].searchsorted(offset, "right")) - 1
    return int(c.peer[at]) if at >= low else UNKNOWN


def _packet(c: Chunks, rows: tuple[int, int], begin: int, end: int) -> int | None:
    """The first packet with bytes of a slot in [begin, end)."""
    low, high = rows
    at = low + int(c.offset[low:high].searchsorted(begin, "right"))
    if at > low and c.offset[at - 1] + c.length[at - 1] > begin:
        at -= 1
    return int(c.packet[at]) if at < high and c.offset[at] < end else None


def _why(r: Runs, rows: tuple[int, int], begin: int, end: int) -> str:
    """Why bytes of a slot in [begin, end) were not read."""
    own = slice(*rows)
    offset, gap = r.offset[own], r.gap[own]
    gaps = (gap > 0) & (offset > begin) & (offset - gap < end)
    if (gaps & (r.reason[own] == Gap.CUT)).any():
        return "snaplen"
    return "lost" if gaps.any() else "unread"
