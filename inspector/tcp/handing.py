"""Handing out bytes in stream order, and comparing late ones with what was handed out."""

from __future__ import annotations

from typing import Any

from inspector.kernel import cold, kernel
from inspector.tcp.keys import append, unlink
from inspector.tcp.layout import (
    C_FOLLOWING,
    C_GAP_BYTES,
    C_LIST,
    C_PAYLOAD,
    C_PREV,
    CLOSED,
    G_GAP_BYTES,
    G_GAPS,
    G_IN_EMPTY,
    G_OUT,
    G_TOUCHED,
    N_CAPTURE,
    N_CLOCK,
    N_OFFSET,
    N_PACKET,
    N_PEER,
    N_SLOT,
    N_SRC,
    N_TIME,
    O_CAPTURE,
    O_GAP,
    O_HOW,
    O_LENGTH,
    O_OFFSET,
    O_PACKET,
    O_PEER,
    O_PREV,
    O_REASON,
    O_SLOT,
    O_SRC,
    O_STREAM,
    O_TIME,
    O_TOUCHED,
    PIECE,
    RING,
    RING_LIST,
    RINGS,
    S_END_TIME,
    S_END_TOLD,
    S_ENDED,
    S_FIRST,
    S_GAP,
    S_HELD,
    S_ID,
    S_NEXT,
    S_OUT,
    S_OUT_COUNT,
    S_REASON,
    S_RING,
    S_RING_FROM,
    S_STARTED,
    S_TOUCHED,
)


@kernel
def relist(state: Any, conns: Any, c: int, which: int) -> None:
    """Put connection c at the end of list `which` (EMPTY, BUSY or CLOSED)."""
    unlink(conns, C_PREV, C_FOLLOWING, c)
    state[G_IN_EMPTY + conns[c, C_LIST]] -= 1
    append(conns, C_PREV, C_FOLLOWING, which, c)
    conns[c, C_LIST] = which
    state[G_IN_EMPTY + which] += 1


@kernel
def take_ring(streams: Any, nodes: Any, s: int) -> None:
    """Stream s hands out bytes; without a ring it takes one of a stream for which that is long ago (the clock algorithm: a hand
    goes round and takes the first ring that was not used since it came by)."""
    r = streams[s, S_RING]
    if r == 0:
        r = nodes[RING_LIST, N_SLOT] % RINGS + 1
        while nodes[RING_LIST + r, N_CLOCK] != 0:
            nodes[RING_LIST + r, N_CLOCK] = 0
            r = r % RINGS + 1
        nodes[RING_LIST, N_SLOT] = r
        n = RING_LIST + r
        owner = nodes[n, N_SLOT]
        if owner != 0:
            streams[owner, S_RING] = 0
        nodes[n, N_SLOT] = s
        streams[s, S_RING] = r
        streams[s, S_RING_FROM] = streams[s, S_NEXT]
    nodes[RING_LIST + r, N_CLOCK] = 1


@kernel
def touch(state: Any, streams: Any, out: Any, s: int) -> None:
    """Stream s has news in this feed."""
    if streams[s, S_TOUCHED] == 0:
        streams[s, S_TOUCHED] = 1
        out[state[G_TOUCHED], O_TOUCHED] = s
        state[G_TOUCHED] += 1


@kernel
def new_row(state: Any, streams: Any, out: Any, s: int, offset: int) -> int:
    """A row of `out` for stream s that carries the gap before it."""
    o = state[G_OUT]
    state[G_OUT] = o + 1
    touch(state, streams, out, s)
    out[o, O_SLOT] = s
    out[o, O_STREAM] = streams[s, S_ID] - 1
    out[o, O_OFFSET] = offset
    out[o, O_LENGTH] = 0
    out[o, O_SRC] = 0
    out[o, O_HOW] = 0
    out[o, O_GAP] = streams[s, S_GAP]
    out[o, O_REASON] = streams[s, S_REASON]
    out[o, O_PREV] = streams[s, S_OUT]
    streams[s, S_GAP] = 0
    streams[s, S_REASON] = 0
    streams[s, S_OUT] = o + 1
    streams[s, S_OUT_COUNT] += 1
    return o


@kernel
def emit(state: Any, streams: Any, nodes: Any, out: Any, s: int, n: int, start: int, stop: int) -> None:
    """Hand out the bytes start..stop of stream s that node n has. Precondition: start is the next offset."""
    take_ring(streams, nodes, s)
    o = new_row(state, streams, out, s, start)
    skip = start - nodes[n, N_OFFSET]
    src = nodes[n, N_SRC]
    out[o, O_LENGTH] = stop - start
    out[o, O_SRC] = src + skip if src >= 0 else src - skip
    out[o, O_TIME] = nodes[n, N_TIME]
    out[o, O_CAPTURE] = nodes[n, N_CAPTURE]
    out[o, O_PACKET] = nodes[n, N_PACKET]
    out[o, O_PEER] = nodes[n, N_PEER]
    streams[s, S_NEXT] = stop


@cold
def add_gap(state: Any, conns: Any, streams: Any, out: Any, s: int, length: int, reason: int) -> None:
    """`length` bytes of stream s, from the next offset on, will not come."""
    if streams[s, S_GAP] > 0 and streams[s, S_REASON] != reason:
        new_row(state, streams, out, s, streams[s, S_NEXT])
    touch(state, streams, out, s)
    streams[s, S_GAP] += length
    streams[s, S_REASON] = reason
    streams[s, S_NEXT] += length
    streams[s, S_RING_FROM] = streams[s, S_NEXT]
    state[G_GAPS] += 1
    state[G_GAP_BYTES] += length
    conns[s >> 1, C_GAP_BYTES] += length


@cold
def tell_end(state: Any, streams: Any, out: Any, s: int, time: int) -> None:
    """A row of `out` that says how stream s ended."""
    o = new_row(state, streams, out, s, streams[s, S_NEXT])
    out[o, O_HOW] = streams[s, S_ENDED]
    out[o, O_TIME] = time
    streams[s, S_END_TOLD] = 1


@cold
def end_stream(state: Any, conns: Any, streams: Any, out: Any, s: int, how: int, time: int) -> None:
    """Stream s ends at its next offset. Of a connection without payload nobody need know."""
    c = s >> 1
    streams[s, S_ENDED] = how
    if streams[s, S_STARTED] == 0:
        streams[s, S_STARTED] = 1
        streams[s, S_FIRST] = streams[s, S_NEXT]
    streams[s, S_END_TIME] = time
    tell_ends(state, conns, streams, out, c)
    if streams[s ^ 1, S_ENDED] != 0:
        relist(state, conns, c, CLOSED)


@cold
def tell_ends(state: Any, conns: Any, streams: Any, out: Any, c: int) -> None:
    """Tell the ends of connection c that were not told yet: each as soon as nothing of the other stream is held back.

    What the other stream said may have to be read before this one's last bytes.
    """
    if conns[c, C_PAYLOAD] == 0:
        return
    for s in range(2 * c, 2 * c + 2):
        if streams[s, S_ENDED] != 0 and streams[s, S_END_TOLD] == 0 and streams[s ^ 1, S_HELD] == 0:
            tell_end(state, streams, out, s, streams[s, S_END_TIME])


@kernel
def byte_at(data: Any, store: Any, src: int, j: int) -> int:
    """Byte j of a piece: see N_SRC."""
    return data[src + j] if src >= 0 else store[j - 1 - src]


@cold
def differs_handed(streams: Any, nodes: Any, out: Any, data: Any, store: Any, s: int, start: int, stop: int) -> int:
    """1 where the piece at hand differs in start..stop from the bytes handed out, as far as they are still held.

    Precondition: stop <= next offset, and the piece has these bytes.
    """
    r = streams[s, S_RING]
    if r == 0:
        return 0
    first = max(start, streams[s, S_NEXT] - RING, streams[s, S_RING_FROM])
    src = nodes[PIECE, N_SRC] - nodes[PIECE, N_OFFSET]
    top = stop
    o = streams[s, S_OUT]
    while o > 0 and top > first:
        row = o - 1
        begin = out[row, O_OFFSET]
        for p in range(max(first, begin), min(top, begin + out[row, O_LENGTH])):
            if byte_at(data, store, out[row, O_SRC], p - begin) != data[src + p]:
                return 1
        top = min(top, begin)
        o = out[row, O_PREV]
    for p in range(first, top):
        if store[r * RING + (p & (RING - 1))] != data[src + p]:
            return 1
    return 0
