"""Requests that were captured, at least in part, and not read: why a response has no request.

What belongs to no message is known once the parser has gone beyond it; what a response answers, by what its first packet
acknowledged. Both are numbers in the streams, so that it makes no difference in which blocks they were read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inspector.http.parser import Read
from inspector.http.tables import Protocol
from inspector.inspection.located import Placed
from inspector.table import I32, I64, first_of_each
from inspector.tcp.tables import UNKNOWN, Gap, StreamBlock

KEPT = 100_000  # responses that something is known of, or is still to be found out
STREAMS = 10_000  # streams with bytes that belong to no message whose packets are remembered
PIECES = 32  # packets and gaps remembered of each: the first and the last
Unread = tuple[
    str, int | None
]  # "snaplen", "lost" or "unread", and the packet in which the request begins, where it is known
Piece = tuple[int, int]  # where it begins in the stream; its packet, or one of the following
LOST, CUT, READ = -1, -2, -3  # a gap; a gap that the snap length made; the end of a request that was read
Acknowledging = Callable[[I32, I64], I64]

# columns of the state, by slot
STREAM, UPTO, NEXT, OWNED, SEEN, WIDTH = range(6)
CLOSED = 1 << Protocol.TLS | 1 << Protocol.H2
OTHER = 1 << Protocol.OTHER
ANSWERS = 1 << 16  # beside the protocols: responses were read


class UnreadRequests:
    """By capture and first packet of a response: what became of its request. Without an entry no byte of it was captured."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], Unread] = {}
        self._state: I64 = np.zeros((0, WIDTH), np.int64)
        self._left: dict[int, list[Piece]] = {}  # by stream: what belongs to no message, in order
        self._asking: dict[
            int, list[tuple[int, int, tuple[int, int]]]
        ] = {}  # by stream: its slot, up to where, for what
        self._waiting = 0

    def add(self, block: StreamBlock, read: Read, placed: Placed | None, acknowledging: Acknowledging) -> None:
        """Look at a block. placed: beside the messages, None without any. acknowledging: by slot and offset, what the packet
        with that byte acknowledged of the other direction."""
        m = read.messages
        touched = self._advance(block, read)
        if len(touched):
            state = self._state[touched]
            left = state[:, NEXT] - state[:, UPTO] > state[:, OWNED]
            left &= state[:, SEEN] & (CLOSED | ANSWERS) == 0
            left &= state[:, SEEN] & self._state[touched ^ 1, SEEN] & OTHER == 0
            chosen = touched[left]
            if self._left:
                asks = m.slot[(m.kind == 1) & np.isin(m.stream, np.fromiter(self._left, np.int64, len(self._left)))]
                chosen = np.union1d(chosen, asks)
            if len(chosen):
                self._note(chosen, block, read)
            self._state[touched, UPTO] = self._state[touched, NEXT]
            self._state[touched, OWNED] = 0
        alone = np.flatnonzero((m.kind == 2) & (m.request < 0))
        if len(alone) and placed is not None:
            self._ask(alone, m.slot, m.stream, placed, acknowledging(m.slot[alone], m.start[alone]))
        if self._asking:
            self._answer(set(block.ends.stream.tolist()))
        if self._left:
            for stream in set(self._left).intersection(block.ends.stream.tolist()) - set(self._asking):
                del self._left[stream]

    def finish(self) -> None:
        """The input has ended: what was not found out so far never will be."""
        self._answer(set(self._asking))

    def _advance(self, block: StreamBlock, read: Read) -> I64:
        """The slots with news, and in their state how far the parser has gone and how much of that is in messages."""
        m, r = read.messages, block.runs
        first = np.flatnonzero(first_of_each(r.slot))
        last = np.append(first[1:], len(r.slot)) - 1 if len(first) else first
        touched = np.unique(np.concatenate([r.slot[first], read.open_slots, m.slot])).astype(np.int64)
        if not len(touched):
            return touched
        self._grow(int(touched[-1]) + 2)
        state, begins = self._state, r.slot[first]
        new = first[state[begins, STREAM] != r.stream[first]]
        state[r.slot[new]] = 0
        state[r.slot[new], STREAM] = r.stream[new]
        state[r.slot[new], UPTO] = state[r.slot[new], NEXT] = r.offset[new] - r.gap[new]
        state[begins, NEXT] = np.maximum(state[begins, NEXT], r.offset[last] + r.length[last])
        known = read.open_slots[state[read.open_slots, STREAM] >= 0]
        state[known, NEXT] = np.maximum(read.open_starts[state[read.open_slots, STREAM] >= 0], state[known, UPTO])
        np.add.at(state[:, OWNED], m.slot, m.end - m.start)
        np.bitwise_or.at(state[:, SEEN], m.slot, np.where(m.kind == 2, ANSWERS, 0))
        p = read.protocols
        if len(p):
            self._grow(int(p.slot.max()) + 2)
            np.bitwise_or.at(self._state[:, SEEN], p.slot, 1 << p.protocol.astype(np.int64))
        return touched

    def _grow(self, slots: int) -> None:
        old = len(self._state)
        if slots > old:
            state = np.zeros((max(slots + 1 & ~1, 2 * old), WIDTH), np.int64)
            state[:old] = self._state
            state[old:, STREAM] = -1
            self._state = state

    def _note(self, chosen: I64, block: StreamBlock, read: Read) -> None:
        """Remember the packets and gaps of what belongs to no message in these slots."""
        m, c, r = read.messages, block.chunks, block.runs
        order = np.lexsort((m.start, m.slot))
        bounds = [np.searchsorted(column, [chosen, chosen + 1]).T for column in (m.slot[order], c.slot, r.slot)]
        for slot, mine, chunks, runs in zip(chosen.tolist(), *bounds, strict=True):
            stream, upto, end = self._state[slot, [STREAM, UPTO, NEXT]].tolist()
            pieces = self._left.get(stream, [])
            for row in order[slice(*mine)].tolist():
                pieces += _pieces(block, chunks, runs, upto, int(m.start[row]))
                if pieces and m.kind[row] == 1:
                    pieces.append((int(m.end[row]), READ))
                upto = max(upto, int(m.end[row]))
            pieces += _pieces(block, chunks, runs, upto, end)
            if len(pieces) > PIECES:
                del pieces[PIECES // 2 : -PIECES // 2]
            if pieces and (stream in self._left or len(self._left) < STREAMS):
                self._left[stream] = pieces

    def _ask(self, rows: I64, slot: I32, stream: I64, placed: Placed, asked: I64) -> None:
        for row, upto in zip(rows.tolist(), asked.tolist(), strict=True):
            packets = placed.packets[row]
            if len(packets) and self._waiting + len(self.found) < KEPT:
                what = int(slot[row]) ^ 1, upto, (int(placed.capture[row]), int(packets[0]))
                self._asking.setdefault(int(stream[row]) ^ 1, []).append(what)
                self._waiting += 1

    def _answer(self, ended: set[int]) -> None:
        """Find out about the responses whose streams of requests have come far enough, or have ended."""
        for stream, asking in list(self._asking.items()):
            while asking:
                slot, upto, key = asking[0]
                here = slot < len(self._state) and self._state[slot, STREAM] == stream
                if stream not in ended and (upto == UNKNOWN or not here or self._state[slot, UPTO] < upto):
                    break
                found = self._look_up(stream, upto)
                if found is not None:
                    self.found[key] = found
                self._waiting -= 1
                del asking[0]
            if not asking:
                del self._asking[stream]

    def _look_up(self, stream: int, upto: int) -> Unread | None:
        """What was captured of the request before an offset, behind the last one that was read. It is not looked at again."""
        pieces = self._left.get(stream, [])
        if upto == UNKNOWN:
            return ("unread", None) if any(what >= 0 for _at, what in pieces) else None
        before = [what for at, what in pieces if at < upto or (what == READ and at == upto)]
        rest = pieces[len(before) :]
        if rest:
            self._left[stream] = rest
        else:
            self._left.pop(stream, None)
        if READ in before:
            before = before[len(before) - before[::-1].index(READ) :]
        packets = [what for what in before if what >= 0]
        if not packets:
            return None
        return "snaplen" if CUT in before else "lost" if LOST in before else "unread", packets[0]


def _pieces(block: StreamBlock, chunks: I64, runs: I64, begin: int, end: int) -> list[Piece]:
    """Packets and gaps of a slot in [begin, end), in order. chunks, runs: the first row of the slot and the one behind its last."""
    if begin >= end:
        return []
    c, r = block.chunks, block.runs
    some = np.arange(*chunks)
    some = some[(c.offset[some] < end) & (c.offset[some] + c.length[some] > begin)]
    if len(some) > PIECES:
        some = np.append(some[: PIECES // 2], some[-PIECES // 2 :])
    pieces = list(zip(np.maximum(c.offset[some], begin).tolist(), c.packet[some].tolist(), strict=True))
    gaps = np.arange(*runs)
    gaps = gaps[(r.gap[gaps] > 0) & (r.offset[gaps] > begin) & (r.offset[gaps] - r.gap[gaps] < end)]
    kinds = np.where(r.reason[gaps] == Gap.CUT, CUT, LOST).tolist()
    pieces += zip((r.offset[gaps] - r.gap[gaps]).tolist(), kinds, strict=True)
    return sorted(pieces, key=lambda piece: (piece[0], piece[1] < 0))
