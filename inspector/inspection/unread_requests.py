"""Requests that were captured, at least in part, and not read: why a response has no request."""

from __future__ import annotations

import numpy as np

from inspector.http.parser import Read
from inspector.inspection.located import Placed
from inspector.table import I64
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

    def add(self, block: StreamBlock, read: Read, placed: Placed, left: I64) -> None:
        """Look at the responses without a request. left: by slot, bytes that belong to no message so far. placed: beside
        the messages."""
        m = read.messages
        for row in np.flatnonzero((m.kind == 2) & (m.request < 0)).tolist():
            if len(self.found) >= KEPT:
                return
            mate, stream = int(m.slot[row]) ^ 1, int(m.stream[row]) ^ 1
            asked = _acknowledged(block.chunks, int(m.slot[row]), int(m.start[row]))
            own = (m.slot == mate) & (m.kind == 1) & (m.start < asked)
            begin = max(int(m.end[own].max()) if own.any() else UNKNOWN, self._answered.get(stream, UNKNOWN))
            if asked != UNKNOWN:
                self._answered[stream] = asked
            told = _looked_up(block, mate, begin, asked)
            if told is None and asked == UNKNOWN and mate < len(left) and left[mate] > 0:
                told = "unread", None
            packets = placed.packets[row]
            if told is not None and len(packets):
                self.found[int(placed.capture[row]), int(packets[0])] = told


def _acknowledged(c: Chunks, slot: int, offset: int) -> int:
    """What the packet that brought a byte acknowledged of the other direction."""
    low, high = np.searchsorted(c.slot, [slot, slot + 1])
    at = int(np.searchsorted(c.offset[low:high], offset, "right")) + int(low) - 1
    return int(c.peer[at]) if at >= low else UNKNOWN


def _looked_up(block: StreamBlock, slot: int, begin: int, end: int) -> Unread | None:
    """The first packet with bytes of a slot in [begin, end), and why they were not read."""
    c = block.chunks
    low, high = np.searchsorted(c.slot, [slot, slot + 1])
    some = np.flatnonzero((c.offset[low:high] + c.length[low:high] > begin) & (c.offset[low:high] < end)) + int(low)
    if not len(some):
        return None
    return _why(block.runs, slot, begin, end), int(c.packet[some[0]])


def _why(r: Runs, slot: int, begin: int, end: int) -> str:
    gaps = (r.slot == slot) & (r.gap > 0) & (r.offset > begin) & (r.offset - r.gap < end)
    if (gaps & (r.reason == Gap.CUT)).any():
        return "snaplen"
    return "lost" if gaps.any() else "unread"
