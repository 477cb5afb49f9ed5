"""Segments in, streams out: the way into tcp."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture.tables import Segments
from inspector.ragged import Ragged
from inspector.table import I64, U8, Bool
from inspector.tcp import blocks as gather
from inspector.tcp import chunklog
from inspector.tcp import layout as col
from inspector.tcp.connections import chunk_table, connection_table, end_table, run_table, stream_table
from inspector.tcp.duplicates import fill
from inspector.tcp.endpoints import Places, places
from inspector.tcp.flows import write_row
from inspector.tcp.layout import Tcp
from inspector.tcp.overs import overs
from inspector.tcp.state import Arrays, TcpOptions
from inspector.tcp.tables import Connections, Ends, StreamBlock, Streams
from inspector.tcp.track import finish, tick, track

RING_BYTES = (col.RINGS + 1) * col.RING
NO_DATA: U8 = np.zeros(1, np.uint8)
NO_SEGMENTS: I64 = np.zeros((col.T_WIDTH, 0), np.int64)
STORE_BYTES = 4 << 20  # for bytes that wait, at least
COUNTS = {
    "copies": col.G_COPIES,
    "retransmissions": col.G_RETRANSMISSIONS,
    "conflicts": col.G_CONFLICTS,
    "out_of_order": col.G_OUT_OF_ORDER,
    "gaps": col.G_GAPS,
    "gap_bytes": col.G_GAP_BYTES,
    "forced_gaps": col.G_FORCED_GAPS,
    "connections": col.G_CONNECTIONS,
    "connections_without_payload": col.G_WITHOUT_PAYLOAD,
    "joined": col.G_JOINED,
    "ignored": col.G_IGNORED,
    "expired_early": col.G_EXPIRED_EARLY,
    "cut_short": col.G_CUT_SHORT,
    "dropped_bytes": col.G_DROPPED_BYTES,
    "early": col.G_EARLY,
    "stray": col.G_STRAY,
}


class Tracker:
    """Assigns segments to streams and passes on the bytes of each, block by block.

    What comes out, blocks joined, depends on the segments and their order only, not on how they were divided.
    """

    def __init__(self, options: TcpOptions | None = None) -> None:
        self.options = options or TcpOptions()
        self.arrays = Arrays(self.options)
        self.seed = secrets.randbits(64)
        self.store: U8 = np.zeros(RING_BYTES + STORE_BYTES, np.uint8)  # pages are taken as they are touched
        self.stored = RING_BYTES
        self.arena: U8 = np.zeros(1 << 16, np.uint8)
        self.log: I64 = np.zeros((chunklog.L_WIDTH, 0), np.int64)
        self.spare: I64 = np.zeros((chunklog.L_WIDTH, 0), np.int64)
        self.logged = 0
        self.runs: I64 = np.zeros((0, gather.U_WIDTH), np.int64)
        self.kept_too_much = 0

    # -- reading ----------------------------------------------------------------------------------------------

    def prepare(self, segments: Segments) -> I64:
        """`segments` as `feed_rows` reads them: (layout.T_WIDTH, n). May be called from another thread."""
        seg = np.empty((col.T_WIDTH, len(segments)), np.int64)
        fill(segments, self.seed, seg)
        return seg

    def feed(self, segments: Segments, data: U8) -> StreamBlock:
        """The bytes that `segments` make ready. `data` is the block that `segments.at` points into, (n,) uint8.

        The arena of the last block is used again.
        """
        return self.feed_rows(self.prepare(segments), 0, len(segments), data)

    def feed_rows(self, seg: I64, first: int, last: int, data: U8) -> StreamBlock:
        """The same for segments `first` to `last - 1` of what `prepare` made."""
        data = np.ascontiguousarray(data)
        self._begin()
        if last > first:
            captures = int(seg[col.T_CAPTURE, first:last].max()) + 1
            if len(self.arrays.copies) < captures:
                self.arrays.copies = np.append(
                    self.arrays.copies, np.zeros(captures - len(self.arrays.copies), np.int64)
                )
        done = first
        while done < last:
            r = self.arrays
            r.make_room()
            done = track(r.tcp(data, self.store, seg), done, last)
        return self._block(data)

    def tick(self, time: int) -> StreamBlock:
        """What becomes ready because capture time has come to `time` (ns) without a packet."""
        self._begin()
        ready = False
        while not ready:
            self.arrays.make_room()
            ready = tick(self._tcp(), time)
        return self._block(np.zeros(1, np.uint8))

    def finish(self) -> StreamBlock:
        """What was still held: every hole is a gap now, and every stream ends."""
        self._begin()
        self.arrays.make_room()
        while not finish(self._tcp()):
            self.arrays.make_room()
        return self._block(np.zeros(1, np.uint8))

    def _tcp(self) -> Tcp:
        return self.arrays.tcp(NO_DATA, self.store, NO_SEGMENTS)

    def _begin(self) -> None:
        r = self.arrays
        r.state[col.G_FEED] += 1
        r.state[[col.G_OUT, col.G_TOUCHED]] = 0
        gather.bury(self._tcp())

    def _block(self, data: U8) -> StreamBlock:
        r, state = self.arrays, self.arrays.state
        touched = np.sort(r.out[: state[col.G_TOUCHED], col.O_TOUCHED])
        if len(r.out) - state[col.G_OUT] < len(touched):
            r.out = np.concatenate([r.out, np.zeros((len(touched), col.O_WIDTH), np.int64)])
        order = np.empty(int(state[col.G_OUT]) + len(touched), np.int64)
        gather.order_rows(self._tcp(), touched, order)
        kept = self._kept_count(touched)
        pieces = np.empty((len(order) + kept, 2), np.int64)
        runs = np.empty((len(order) + kept, gather.U_WIDTH), np.int64)
        log = np.empty((chunklog.L_WIDTH, len(order)), np.int64)
        ends = np.empty((2 * len(touched), gather.E_WIDTH), np.int64)
        count, n_runs, n_chunks, n_ends, size = gather.lay_out(self._tcp(), touched, order, pieces, runs, log, ends)
        if len(self.arena) < size:
            self.arena = np.empty(max(size, 2 * len(self.arena)), np.uint8)
        gather.copy(pieces, count, data, self.store, self.arena)
        self.runs = runs[:n_runs]
        self._save_rings()
        self._store_held(data)
        self._merge(log, n_chunks)
        return StreamBlock(
            arena=self.arena[:size],
            runs=run_table(self.runs),
            chunks=chunk_table(self.log[:, : self.logged], self.runs, r.streams),
            ends=end_table(ends[:n_ends]),
        )

    def _kept_count(self, touched: I64) -> int:
        if self.arrays.state[col.G_KEPT_BYTES] == 0:
            return 0
        return int(self.arrays.streams[touched, col.S_KEPT_BYTES].sum()) // col.NODE_COST

    def _save_rings(self) -> None:
        """The last bytes of each stream that owns a ring, for retransmissions that come in a later block."""
        runs = self.runs
        if not len(runs):
            return
        last = np.ones(len(runs), bool)
        last[:-1] = runs[1:, gather.U_SLOT] != runs[:-1, gather.U_SLOT]
        rows = runs[last]
        ring = self.arrays.streams[rows[:, gather.U_SLOT], col.S_RING]
        rows, ring = rows[ring > 0], ring[ring > 0]
        stop = rows[:, gather.U_OFFSET] + rows[:, gather.U_LENGTH]
        length = np.minimum(rows[:, gather.U_LENGTH], col.RING)
        begin = (stop - length) & (col.RING - 1)
        source = rows[:, gather.U_AT] + rows[:, gather.U_LENGTH] - length
        first = np.minimum(length, col.RING - begin)
        gather.scatter(self.arena, source, self.store, ring * col.RING + begin, first)
        gather.scatter(self.arena, source + first, self.store, ring * col.RING, length - first)

    # -- bytes that wait -------------------------------------------------------------------------------------

    def _reserve(self, size: int) -> int:
        """Where `size` more bytes stand in the store; what is no longer used is left behind when it is full."""
        if self.stored + size > len(self.store):
            r = self.arrays
            found = np.empty(len(r.nodes), np.int64)
            found = found[: gather.stored_nodes(self._tcp(), found)]
            lengths = r.nodes[found, col.N_LENGTH]
            live = int(lengths.sum())
            kept, place = np.empty(live, np.uint8), np.cumsum(lengths) - lengths
            gather.scatter(self.store, -1 - r.nodes[found, col.N_SRC], kept, place, lengths)
            r.nodes[found, col.N_SRC] = -1 - RING_BYTES - place
            if RING_BYTES + 2 * (live + size) > len(self.store):
                store = np.empty(RING_BYTES + 2 * max(live + size, STORE_BYTES), np.uint8)
                store[:RING_BYTES] = self.store[:RING_BYTES]
                self.store = store
            self.store[RING_BYTES : RING_BYTES + live] = kept
            self.stored = RING_BYTES + live
        begin = self.stored
        self.stored += size
        return begin

    def _store_held(self, data: U8) -> None:
        r = self.arrays
        if r.state[col.G_HELD_NODES] == 0:
            return
        found = np.empty(int(r.state[col.G_HELD_NODES]), np.int64)
        found = found[: gather.fresh_nodes(self._tcp(), found)]
        lengths = r.nodes[found, col.N_LENGTH]
        begin = self._reserve(int(lengths.sum()))
        place = begin + np.cumsum(lengths) - lengths
        gather.scatter(data, r.nodes[found, col.N_SRC], self.store, place, lengths)
        r.nodes[found, col.N_SRC] = -1 - place

    def release(self, slots: NDArray[np.int32], consumed: I64) -> None:
        """Bytes of stream slots[i] from offset consumed[i] to the end of what was handed out are presented again.

        Call it after the block was read and before the next is fed. Streams not named are consumed whole. Bytes
        beyond `keep_bytes` a stream (or `keep_total`) are dropped: a gap, and counted as `kept_too_much`.
        """
        r = self.arrays
        streams = r.streams
        slots = np.asarray(slots, np.int64)
        streams[slots, col.S_TAKEN] = consumed
        streams[slots, col.S_RELEASED] = r.state[col.G_FEED]
        runs = self.runs
        slot = runs[:, gather.U_SLOT]
        stop = runs[:, gather.U_OFFSET] + runs[:, gather.U_LENGTH]
        taken = streams[slot, col.S_TAKEN]
        mask = (streams[slot, col.S_RELEASED] == r.state[col.G_FEED]) & (stop > taken)
        mask &= (streams[slot, col.S_ENDED] == 0) | (streams[slot, col.S_END_TOLD] == 0)
        if not mask.any():
            return
        runs, slot, stop, taken = runs[mask], slot[mask], stop[mask], taken[mask]
        offset = np.maximum(runs[:, gather.U_OFFSET], taken)
        inside = taken >= runs[:, gather.U_OFFSET]
        rows = np.stack(
            [
                slot,
                offset,
                stop - offset,
                np.where(inside, 0, runs[:, gather.U_GAP]),
                np.where(inside, 0, runs[:, gather.U_REASON]),
            ],
            axis=1,
        )
        source = runs[:, gather.U_AT] + offset - runs[:, gather.U_OFFSET]
        rows, source = self._within_bounds(rows, source)
        lengths = rows[:, 2]
        begin = self._reserve(int(lengths.sum()))
        gather.scatter(self.arena, source, self.store, begin + np.cumsum(lengths) - lengths, lengths)
        need = len(rows) + int(r.state[col.G_HELD_NODES]) + 16
        if r.state[col.G_NODE_ROOM] < need:
            r.add_nodes(max(need, len(r.nodes)))
        gather.keep(self._tcp(), rows, begin)

    def _within_bounds(self, rows: I64, source: I64) -> tuple[I64, I64]:
        """Streams that keep too much keep nothing: one row of no length with a gap in place of theirs."""
        first = np.ones(len(rows), bool)
        first[1:] = rows[1:, 0] != rows[:-1, 0]
        group = np.cumsum(first) - 1
        size = np.bincount(group, weights=rows[:, 2]).astype(np.int64)
        count = np.bincount(group)
        spent = int(self.arrays.state[col.G_KEPT_BYTES]) + np.cumsum(size + col.NODE_COST * count)
        bad = (size > self.options.keep_bytes) | (spent > self.options.keep_total)
        if not bad.any():
            return rows, source
        self.kept_too_much += int(bad.sum())
        last = np.append(first[1:], True)
        rows = rows.copy()
        start = rows[first, 1] - rows[first, 3]
        stop = rows[last, 1] + rows[last, 2]
        lost = np.flatnonzero(first)[bad]
        rows[lost, 1] = stop[bad]
        rows[lost, 2] = 0
        rows[lost, 3] = (stop - start)[bad]
        rows[lost, 4] = col.LOST
        stay = first | ~bad[group]
        return rows[stay], source[stay]

    # -- packets of a message --------------------------------------------------------------------------------

    def _merge(self, new: I64, count: int) -> None:
        ends = self.options.chunk_ends
        if self.logged > self.options.log_chunks:
            ends = max(4, ends * self.options.log_chunks // (2 * self.logged))
        if self.spare.shape[1] < self.logged + count:
            self.spare = np.empty((chunklog.L_WIDTH, (self.logged + count) * 5 // 4 + 16), np.int64)
        total = chunklog.merge_logs(self.arrays.streams, self.log, self.logged, new, count, self.spare, ends)
        self.log, self.spare, self.logged = self.spare, self.log, total

    def locate(self, slots: NDArray[np.integer[Any]], starts: I64, ends: I64) -> tuple[Ragged, Ragged, I64, I64]:
        """The packets that brought stream ranges: captures (int16), packet numbers, first and last time of each.

        A range whose chunks are not held (forgotten, or a gap) has no packets and the times UNKNOWN. Of a range of
        more than 2 * chunk_ends chunks the first and the last ones are listed.
        """
        n = len(slots)
        found = np.empty((n, 3), np.int64)
        s, begin, stop = (np.ascontiguousarray(a, np.int64) for a in (slots, starts, ends))
        total = chunklog.find_chunks(self.arrays.streams, self.log, s, begin, stop, found, self.options.chunk_ends)
        captures, packets = np.empty(total, np.int64), np.empty(total, np.int64)
        offsets = np.empty(n + 1, np.int64)
        first, last = np.empty(n, np.int64), np.empty(n, np.int64)
        total = chunklog.list_chunks(self.log, found, captures, packets, offsets, first, last)
        return Ragged(captures[:total].astype(np.int16), offsets), Ragged(packets[:total], offsets), first, last

    def acknowledging(self, slots: NDArray[np.integer[Any]], offsets: I64) -> I64:
        """What the packet that brought each byte acknowledged of the other direction; UNKNOWN where its chunk is not held."""
        found = np.empty((len(slots), 3), np.int64)
        s, begin = np.ascontiguousarray(slots, np.int64), np.ascontiguousarray(offsets, np.int64)
        chunklog.find_chunks(self.arrays.streams, self.log, s, begin, begin + 1, found, 1)
        there = found[:, 1] > found[:, 0]
        return (
            np.where(there, self.log[chunklog.L_PEER, np.where(there, found[:, 0], 0)], col.NONE) if len(s) else begin
        )

    def forget(self, slots: NDArray[np.int32], offsets: I64) -> None:
        """Chunks of stream slots[i] that end at offsets[i] or before are no longer needed."""
        np.maximum.at(self.arrays.streams[:, col.S_FORGET], np.asarray(slots, np.int64), offsets)

    # -- what is known ---------------------------------------------------------------------------------------

    def acknowledged(self, slots: NDArray[np.integer[Any]]) -> I64:
        """The highest offset of each stream that the other side acknowledged so far; UNKNOWN where it did not."""
        return self.arrays.streams[np.asarray(slots, np.int64), col.S_ACKED]

    def refused(self, slots: NDArray[np.integer[Any]]) -> tuple[I64, NDArray[np.bool_]]:
        """From which offset on each stream's receiver refused it with a RST, FAR where it did not; and whether that RST may still
        turn out to have had no effect."""
        slots = np.asarray(slots, np.int64)
        rows = self.arrays.streams[slots]
        at = np.where(
            rows[:, col.S_REFUSED] == col.FAR, col.FAR, np.maximum(rows[:, col.S_REFUSED], rows[:, col.S_ACKED])
        )
        return at, self.arrays.conns[slots >> 1, col.C_LIST] == col.RESET

    def overs(self, ends: Ends) -> tuple[I64, I64]:
        """As `overs.overs` has it. Before the next feed."""
        return overs(self.arrays.streams, ends)

    def stream_numbers(self, slots: I64) -> I64:
        """The number of the stream in each slot, -1 where there is none any more."""
        return self.arrays.streams[slots, col.S_ID] - 1

    def synced(self, slots: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Whether the start of each stream is known: its SYN was captured, or the SYN,ACK that acknowledges it."""
        return self.arrays.streams[np.asarray(slots, np.int64), col.S_SYNCED] != 0

    def starts(self, slots: NDArray[np.int32]) -> I64:
        """The offset of the first byte of each stream that is handed out; above 0 where bytes before it were lost: offset 0 is
        what the first packet of either side said that comes next."""
        streams = self.arrays.streams[np.asarray(slots, np.int64)]
        return np.where(streams[:, col.S_STARTED] != 0, streams[:, col.S_FIRST], 0)

    def bases(self, slots: NDArray[np.int32]) -> I64:
        """The sequence number of offset 0 of each stream."""
        return self.arrays.streams[np.asarray(slots, np.int64), col.S_BASE]

    def places(self, slots: NDArray[np.integer[Any]], asks: Bool) -> Places:
        """Where stream slots are that are open, or ended in the last block. asks: requests were sent on each."""
        return places(np.ascontiguousarray(slots, np.int64), asks, self.arrays.streams, self.arrays.conns)

    def streams(self, slots: NDArray[np.int32]) -> Streams:
        """Addresses and more of stream slots that are open, or ended in the last block."""
        return stream_table(np.asarray(slots, np.int64), self.arrays.streams, self.arrays.conns)

    def connections(self) -> Connections:
        """All connections that carried payload and were not drained yet, by number."""
        r = self.arrays
        live = np.flatnonzero((r.conns[:, col.C_PAYLOAD] != 0) & self._open())
        rows = np.zeros((len(live), col.Z_WIDTH), np.int64)
        for z, c in enumerate(live.tolist()):
            write_row(r.conns, r.streams, rows, c, z)
        return connection_table(np.concatenate([r.done[: r.state[col.G_DONE]], rows]))

    def _open(self) -> NDArray[np.bool_]:
        r = self.arrays
        used = r.streams[0::2, col.S_ID] != 0
        used &= r.conns[:, col.C_LIST] >= 0
        used[: col.FIRST_CONN] = False
        return used

    def drop_connections(self) -> None:
        """Closed connections are counted and not held any more: nobody will ask for them."""
        self.arrays.state[col.G_DONE] = 0

    @property
    def counts(self) -> dict[str, int]:
        """What was seen and what was dropped, by name."""
        out = {name: int(self.arrays.state[index]) for name, index in COUNTS.items()}
        open_empty = (self.arrays.conns[:, col.C_PAYLOAD] == 0) & self._open()
        out["connections_without_payload"] += int(open_empty.sum())
        out["kept_too_much"] = self.kept_too_much
        return out

    @property
    def copies(self) -> dict[int, int]:
        """Copies of packets in each capture."""
        return dict(enumerate(self.arrays.copies.tolist()))
