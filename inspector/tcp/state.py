"""The tracker's arrays and how they grow: kernels only index, so room is made between their calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.table import larger
from inspector.tcp import layout as col
from inspector.tcp.duplicates import WAYS
from inspector.tcp.keys import rehash
from inspector.tcp.layout import Tcp

I64 = NDArray[np.int64]
LINE = 64  # bytes of a line of most processors' caches
PRINTS = 1 << 15  # buckets of packet fingerprints, 4 packets each: copies come close together


@dataclass(frozen=True)
class TcpOptions:
    """Limits of the tracker; times in nanoseconds of capture time."""

    hold_bytes: int = 64 << 20  # bytes that wait behind holes, all streams
    allowance: int = 20 * col.MS  # for packets written late: a hole that was acknowledged, a start without SYN
    settle: int = col.SECOND  # a RST that nobody contradicts for so long has counted
    start_bytes: int = 256 << 10  # or until so many have come
    keep_bytes: int = 256 << 10  # bytes of a stream that its reader may leave for the next block
    keep_total: int = 64 << 20
    empty_connections: int = 1 << 16  # without payload; beyond, the idlest are closed early
    busy_connections: int = 1 << 16  # with payload; beyond, the idlest are closed early
    closed_connections: int = 1 << 13  # remembered for stray packets
    reset_connections: int = 1 << 13  # whose RST may still turn out to be refused
    chunk_ends: int = 512  # packets listed of a message: so many first and so many last ones
    log_chunks: int = 1 << 20  # chunks held for messages still open; beyond, fewer of each


def grown(array: I64, rows: int) -> I64:
    """The array with more rows, zeros."""
    new = np.zeros((rows, array.shape[1]), array.dtype)
    new[: len(array)] = array
    return new


def lines(rows: int, width: int) -> I64:
    """(rows, width) zeros that begin where a line of the processor's cache does: a row of eight is one line."""
    room = np.zeros(rows * width + LINE // 8, np.int64)
    begin = -room.ctypes.data % LINE // 8
    return room[begin : begin + rows * width].reshape(rows, width)


class Arrays:
    """All arrays of the tracker's state. See `layout` for their columns."""

    def __init__(self, options: TcpOptions) -> None:
        self.state = np.zeros(col.G_WIDTH, np.int64)
        self.table = np.zeros((1024, 2), np.int64)
        self.keys = np.zeros((1, col.K_WIDTH), np.int64)
        self.conns = np.zeros((col.FIRST_CONN, col.C_WIDTH), np.int64)
        self.streams = np.zeros((2 * col.FIRST_CONN, col.S_WIDTH), np.int64)
        self.nodes = np.zeros((col.FIRST_NODE, col.N_WIDTH), np.int64)
        self.out = np.zeros((1024, col.O_WIDTH), np.int64)
        self.done = np.zeros((64, col.Z_WIDTH), np.int64)
        self.prints = lines(PRINTS, 2 * WAYS)
        self.details = lines(PRINTS * WAYS, col.D_WIDTH)
        self.copies = np.zeros(1, np.int64)
        self._sentinels(options)
        self.add_conns(64)
        self.add_keys(256)
        self.add_nodes(64)

    def tcp(self, data: NDArray[np.uint8], store: NDArray[np.uint8], seg: I64) -> Tcp:
        """The state with what is read now."""
        return Tcp(
            self.state,
            self.table,
            self.keys,
            self.conns,
            self.streams,
            self.nodes,
            self.out,
            self.done,
            self.prints,
            self.details,
            self.copies,
            data,
            store,
            seg,
        )

    def _sentinels(self, options: TcpOptions) -> None:
        for which in range(col.FIRST_CONN):
            self.conns[which, [col.C_PREV, col.C_FOLLOWING]] = which
        self.nodes[col.KEPT, [col.N_OLDER, col.N_NEWER]] = col.KEPT
        for slot, value in (
            (col.G_HOLD_LIMIT, options.hold_bytes),
            (col.G_ALLOWANCE, options.allowance),
            (col.G_START_BYTES, options.start_bytes),
            (col.G_SETTLE, options.settle),
            (col.G_EMPTY_LIMIT, options.empty_connections),
            (col.G_BUSY_LIMIT, options.busy_connections),
            (col.G_CLOSED_LIMIT, options.closed_connections),
            (col.G_RESET_LIMIT, options.reset_connections),
            (col.G_RANDOM, 1),
        ):
            self.state[slot] = value

    def add_conns(self, count: int) -> None:
        """`count` more free connection slots, the lowest used first."""
        old = len(self.conns)
        self.conns = grown(self.conns, old + count)
        self.streams = grown(self.streams, 2 * (old + count))
        chain(self.conns, col.C_FOLLOWING, old, int(self.state[col.G_FREE_CONNS]))
        self.state[col.G_FREE_CONNS] = old
        self.state[col.G_CONN_ROOM] += count

    def add_keys(self, count: int) -> None:
        """`count` more free rows of keys."""
        old = len(self.keys)
        self.keys = grown(self.keys, old + count)
        chain(self.keys, col.K_NEXT, old, int(self.state[col.G_FREE_KEYS]))
        self.state[col.G_FREE_KEYS] = old
        self.state[col.G_KEY_ROOM] += count

    def add_nodes(self, count: int) -> None:
        """`count` more free nodes."""
        old = len(self.nodes)
        self.nodes = grown(self.nodes, old + count)
        chain(self.nodes, col.N_NEXT, old, int(self.state[col.G_FREE_NODES]))
        self.state[col.G_FREE_NODES] = old
        self.state[col.G_NODE_ROOM] += count

    def make_room(self) -> None:
        """Whatever is short (see `track.short`) gets twice as large."""
        state = self.state
        held = int(state[col.G_HELD_NODES])
        if state[col.G_CONN_ROOM] < 1:
            self.add_conns(larger(len(self.conns)) - len(self.conns))
        if state[col.G_KEY_ROOM] < 8:
            self.add_keys(larger(len(self.keys)) - len(self.keys))
        while 2 * (state[col.G_KEYS] + 8) > len(self.table):
            table = np.zeros((2 * len(self.table), 2), np.int64)
            rehash(self.table, table)
            self.table = table
        if state[col.G_NODE_ROOM] < held + 16:
            self.add_nodes(larger(len(self.nodes)) - len(self.nodes) + held + 16)
        used = max(int(state[col.G_OUT]), int(state[col.G_TOUCHED]))
        if len(self.out) - used < held + 16:
            self.out = grown(self.out, larger(len(self.out)) + held + 16)
        if len(self.done) - state[col.G_DONE] < 4:
            self.done = grown(self.done, larger(len(self.done)))


def chain(rows: I64, link: int, first: int, then: int) -> None:
    """Link the rows from `first` on to one another, and the last to `then`."""
    rows[first:, link] = np.arange(first + 1, len(rows) + 1)
    rows[-1, link] = then


def unsigned(column: Any) -> NDArray[np.uint64]:
    """A column of addresses as it was before it was put among int64."""
    return np.ascontiguousarray(column).view(np.uint64)
