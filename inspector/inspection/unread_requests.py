"""Requests that were captured, at least in part, and not read: why a response has no request.

What belongs to no message is known once the parser has gone beyond it; what a response answers, by what its first packet
acknowledged. Both are numbers in the streams, so that it makes no difference in which blocks they were read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inspector.http.parser import Read
from inspector.http.tables import Protocol
from inspector.inspection.located import Placed
from inspector.table import I32, I64, U8, Table, first_of_each, larger
from inspector.tcp.tables import UNKNOWN, Gap, StreamBlock

KEPT = 20_000  # responses that something is known of, or is still to be found out
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
ANSWERS, ENDED = 1 << 16, 1 << 17  # beside the protocols: responses were read; the stream has ended


@dataclass(frozen=True, eq=False)
class MessageRanges(Table):
    """Where the messages of a block are in their streams: remembered until all of its parts have come."""

    slot: I32
    stream: I64
    kind: U8
    start: I64
    end: I64


class UnreadRequests:
    """By capture and first packet of a response: what became of its request. Without an entry no byte of it was captured."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], Unread] = {}
        self._state: I64 = np.zeros((0, WIDTH), np.int64)
        self._left: dict[int, list[Piece]] = {}  # by stream: what belongs to no message, in order
        self._open: set[int] = set()  # of these, those behind which no request was read yet
        self._asking: dict[
            int, list[tuple[int, int, tuple[int, int]]]
        ] = {}  # by stream: its slot, up to where, for what
        self._waiting = 0
        self._parts: list[MessageRanges] = []

    def add(self, block: StreamBlock, read: Read, placed: Placed | None, acknowledging: Acknowledging) -> None:
        """Look at a part of a block. placed: beside the messages, None without any. acknowledging: by slot and offset, what the
        packet with that byte acknowledged of the other direction."""
        m = read.messages
        if not self._parts:
            self._begin(block)
        self._count(read)
        alone = np.flatnonzero((m.kind == 2) & (m.request < 0))
        if len(alone) and placed is not None:
            self._ask(alone, m.slot, m.stream, placed, acknowledging(m.slot[alone], m.start[alone]))
        self._parts.append(MessageRanges(m.slot, m.stream, m.kind, m.start, m.end))
        if read.last:
            parts, self._parts = self._parts, []
            self._look(block, read, MessageRanges.concat(parts))

    def _look(self, block: StreamBlock, read: Read, m: MessageRanges) -> None:
        """Look at a whole block. read: its last part."""
        touched = block.runs.slot[first_of_each(block.runs.slot)].astype(np.int64)
        self._state[read.open_slots, NEXT] = np.maximum(read.open_starts, self._state[read.open_slots, UPTO])
        if len(touched):
            state = self._state[touched]
            left = state[:, NEXT] - state[:, UPTO] > state[:, OWNED]
            left &= state[:, SEEN] & (CLOSED | ANSWERS) == 0
            left &= state[:, SEEN] & self._state[touched ^ 1, SEEN] & OTHER == 0
            chosen = touched[left]
            if self._open:
                asks = m.slot[(m.kind == 1) & np.isin(m.stream, np.fromiter(self._open, np.int64, len(self._open)))]
                chosen = np.union1d(chosen, asks)
            if len(chosen):
                self._note(chosen, block, m)
        for slots in (touched, read.open_slots):
            self._state[slots, UPTO] = self._state[slots, NEXT]
        self._state[m.slot, OWNED] = 0
        if self._asking:
            self._answer(set(block.ends.stream.tolist()))
        self._over(block)

    def _over(self, block: StreamBlock) -> None:
        """Forget the connections of which both streams have ended."""
        slot, stream = block.ends.slot.astype(np.int64), block.ends.stream
        if not len(slot):
            return
        self._grow(int(slot.max()) + 2)
        state = self._state
        new = state[slot, STREAM] != stream
        state[slot[new]] = 0
        state[slot[new], STREAM] = stream[new]
        state[slot, SEEN] |= ENDED
        over = (state[slot ^ 1, SEEN] & ENDED != 0) & (state[slot ^ 1, STREAM] == stream ^ 1)
        if self._left and over.any():
            gone = np.concatenate([stream[over], stream[over] ^ 1]).tolist()
            for one in set(self._left).intersection(gone) - set(self._asking):
                self._keep(one, [])

    def finish(self) -> None:
        """The input has ended: what was not found out so far never will be."""
        self._answer(set(self._asking))

    def _begin(self, block: StreamBlock) -> None:
        """Note in the state how far the block goes."""
        r = block.runs
        first = np.flatnonzero(first_of_each(r.slot))
        if not len(first):
            return
        last = np.append(first[1:], len(r.slot)) - 1
        self._grow(int(r.slot[-1]) + 2)
        state, begins = self._state, r.slot[first]
        new = first[state[begins, STREAM] != r.stream[first]]
        state[r.slot[new]] = 0
        state[r.slot[new], STREAM] = r.stream[new]
        state[r.slot[new], UPTO] = state[r.slot[new], NEXT] = r.offset[new] - r.gap[new]
        state[begins, NEXT] = np.maximum(state[begins, NEXT], r.offset[last] + r.length[last])

    def _count(self, read: Read) -> None:
        """Note in the state how much is in messages, and what streams hold."""
        m, p = read.messages, read.protocols
        self._grow(max((int(s.max()) for s in (read.open_slots[-1:], m.slot, p.slot) if len(s)), default=-1) + 2)
        state = self._state
        np.add.at(state[:, OWNED], m.slot, m.end - m.start)
        state[m.slot[m.kind == 2], SEEN] |= ANSWERS
        np.bitwise_or.at(state[:, SEEN], p.slot, 1 << p.protocol.astype(np.int64))

    def _grow(self, slots: int) -> None:
        old = len(self._state)
        if slots > old:
            state = np.zeros((max(slots + 1 & ~1, larger(old)), WIDTH), np.int64)
            state[:old] = self._state
            state[old:, STREAM] = -1
            self._state = state

    def _note(self, chosen: I64, block: StreamBlock, m: MessageRanges) -> None:
        """Remember the packets and gaps of what belongs to no message in these slots."""
        c, r = block.chunks, block.runs
        some = np.flatnonzero(np.isin(m.slot, chosen))
        some = some[np.lexsort((m.start[some], m.slot[some]))]
        bounds = [np.searchsorted(column, [chosen, chosen + 1]).T for column in (m.slot[some], c.slot, r.slot)]
        for slot, mine, chunks, runs in zip(chosen.tolist(), *bounds, strict=True):
            stream, upto, end = self._state[slot, [STREAM, UPTO, NEXT]].tolist()
            pieces = self._left.get(stream, [])
            rows = some[slice(*mine)]
            stops = np.append(upto, np.maximum.accumulate(m.end[rows]))
            # Of the requests that were read, the first behind what was not shows where that ends.
            for k in np.flatnonzero((m.start[rows] > stops[:-1]) | (np.arange(len(rows)) == 0)).tolist():
                pieces += _pieces(block, chunks, runs, int(stops[k]), int(m.start[rows[k]]))
                if pieces and pieces[-1][1] != READ:
                    pieces.append((int(m.end[rows[k]]), READ))
            pieces += _pieces(block, chunks, runs, int(stops[-1]), end)
            if len(pieces) > PIECES:
                del pieces[PIECES // 2 : -PIECES // 2]
            if stream in self._left or len(self._left) < STREAMS:
                self._keep(stream, pieces)

    def _keep(self, stream: int, pieces: list[Piece]) -> None:
        self._open.discard(stream)
        self._left.pop(stream, None)
        if pieces:
            self._left[stream] = pieces
            if pieces[-1][1] != READ:
                self._open.add(stream)

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
        self._keep(stream, pieces[len(before) :])
        if READ in before:
            before = before[len(before) - before[::-1].index(READ) :]
        packets = [what for what in before if what >= 0]
        if not packets:
            return None
        return "snaplen" if CUT in before else "lost" if LOST in before else "unread", packets[0]


def _pieces(block: StreamBlock, chunks: I64, runs: I64, begin: int, end: int) -> list[Piece]:
    """Packets and gaps of a slot in [begin, end), in order. chunks, runs: its first row and the one behind its last."""
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
