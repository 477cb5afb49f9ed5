"""From rows in the order of arrival to one run of bytes a stream, and the chunk log that turns offsets into packets."""

from __future__ import annotations

from typing import Any

import numpy as np

from inspector.instructions import move
from inspector.kernel import cold, compiled, kernel
from inspector.tcp.chunklog import L_CAPTURE, L_LENGTH, L_OFFSET, L_PACKET, L_PEER, L_SLOT, L_STREAM, L_TIME
from inspector.tcp.flows import free_conn
from inspector.tcp.handing import new_row
from inspector.tcp.holding import free_node, take_node
from inspector.tcp.keys import append, unlink
from inspector.tcp.layout import (
    C_FOLLOWING,
    DATA,
    G_DYING,
    G_FEED,
    G_KEPT_BYTES,
    G_OUT,
    KEPT,
    N_FEED,
    N_KIND,
    N_LENGTH,
    N_NEWER,
    N_NEXT,
    N_OFFSET,
    N_OLDER,
    N_PEER,
    N_SRC,
    N_TIME,
    NODE_COST,
    O_CAPTURE,
    O_GAP,
    O_HOW,
    O_LENGTH,
    O_OFFSET,
    O_PACKET,
    O_PEER,
    O_REASON,
    O_SLOT,
    O_SRC,
    O_STREAM,
    O_TIME,
    S_GAP,
    S_ID,
    S_KEPT,
    S_KEPT_BYTES,
    S_NEXT,
    S_OUT,
    S_OUT_COUNT,
    S_POSITION,
    S_TOUCHED,
)

# rows of the runs: (n, U_WIDTH)
U_SLOT, U_STREAM, U_OFFSET, U_AT, U_LENGTH, U_GAP, U_REASON, U_WIDTH = range(8)
# rows of the ends: (n, E_WIDTH)
E_SLOT, E_STREAM, E_OFFSET, E_HOW, E_TIME, E_WIDTH = range(6)


@kernel
def order_rows(state: Any, streams: Any, out: Any, touched: Any, order: Any) -> None:
    """Gaps at the end of a stream get a row; then the rows of `out` grouped by slot (`touched` is sorted) into `order`."""
    for t in range(len(touched)):
        if streams[touched[t], S_GAP] > 0:
            new_row(state, streams, out, touched[t], streams[touched[t], S_NEXT])
    position = 0
    for t in range(len(touched)):
        streams[touched[t], S_POSITION] = position
        position += streams[touched[t], S_OUT_COUNT]
    for o in range(state[G_OUT]):
        s = out[o, O_SLOT]
        order[streams[s, S_POSITION]] = o
        streams[s, S_POSITION] += 1


@kernel
def open_run(runs: Any, u: int, s: int, stream: int, offset: int, at: int, gap: int, reason: int) -> None:
    """Row u of the runs, without bytes yet."""
    runs[u, U_SLOT] = s
    runs[u, U_STREAM] = stream
    runs[u, U_OFFSET] = offset
    runs[u, U_AT] = at
    runs[u, U_LENGTH] = 0
    runs[u, U_GAP] = gap
    runs[u, U_REASON] = reason


@kernel
def note_end(ends: Any, e: int, out: Any, o: int) -> None:
    """Row o of `out` as row e of the ends."""
    ends[e, E_SLOT] = out[o, O_SLOT]
    ends[e, E_STREAM] = out[o, O_STREAM]
    ends[e, E_OFFSET] = out[o, O_OFFSET]
    ends[e, E_HOW] = out[o, O_HOW]
    ends[e, E_TIME] = out[o, O_TIME]


@kernel
def note_chunk(log: Any, q: int, out: Any, o: int) -> None:
    """Row o of `out` as column q of the chunk log."""
    log[L_SLOT, q] = out[o, O_SLOT]
    log[L_STREAM, q] = out[o, O_STREAM]
    log[L_OFFSET, q] = out[o, O_OFFSET]
    log[L_LENGTH, q] = out[o, O_LENGTH]
    log[L_TIME, q] = out[o, O_TIME]
    log[L_CAPTURE, q] = out[o, O_CAPTURE]
    log[L_PACKET, q] = out[o, O_PACKET]
    log[L_PEER, q] = out[o, O_PEER]


@kernel
def add_piece(pieces: Any, p: int, runs: Any, u: int, src: int, length: int, at: int) -> int:
    """Piece p is the next of run u; returns where the one after it will stand."""
    pieces[p, 0] = src
    pieces[p, 1] = length
    runs[u, U_LENGTH] += length
    return at + length


@kernel
def lay_out(
    state: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    touched: Any,
    order: Any,
    pieces: Any,
    runs: Any,
    log: Any,
    ends: Any,
) -> tuple[int, int, int, int, int]:
    """Runs, the pieces (source, length) to copy for them one after another, and chunks, sorted by slot and offset.

    Returns how many pieces, runs, chunks, ends and bytes. Kept pieces stand first and are given back.
    """
    at = p = u = q = e = k = 0
    for t in range(len(touched)):
        s = touched[t]
        stream = streams[s, S_ID] - 1
        fresh = True
        n = streams[s, S_KEPT]
        while n != 0:
            gap = nodes[n, N_PEER]
            if fresh or gap > 0:
                open_run(runs, u, s, stream, nodes[n, N_OFFSET], at, gap, nodes[n, N_TIME])
                u += 1
                fresh = False
            at = add_piece(pieces, p, runs, u - 1, nodes[n, N_SRC], nodes[n, N_LENGTH], at)
            p += 1
            n = nodes[n, N_NEXT]
        drop_kept(state, streams, nodes, s)
        for _ in range(streams[s, S_OUT_COUNT]):
            o = order[k]
            k += 1
            length = out[o, O_LENGTH]
            gap = out[o, O_GAP]
            if out[o, O_HOW] != 0:
                note_end(ends, e, out, o)
                e += 1
            if length == 0 and gap == 0:
                continue
            if fresh or gap > 0:
                open_run(runs, u, s, stream, out[o, O_OFFSET], at, gap, out[o, O_REASON])
                u += 1
                fresh = False
            if length == 0:
                continue
            at = add_piece(pieces, p, runs, u - 1, out[o, O_SRC], length, at)
            p += 1
            note_chunk(log, q, out, o)
            q += 1
        streams[s, S_OUT] = 0
        streams[s, S_OUT_COUNT] = 0
        streams[s, S_TOUCHED] = 0
    return p, u, q, e, at


@kernel
def _copy(pieces: Any, count: int, data: Any, store: Any, arena: Any) -> None:
    at = 0
    for p in range(count):
        if pieces[p, 0] >= 0:
            move(arena, at, data, pieces[p, 0], pieces[p, 1])
        else:
            move(arena, at, store, -1 - pieces[p, 0], pieces[p, 1])
        at += pieces[p, 1]


def copy(pieces: Any, count: int, data: Any, store: Any, arena: Any) -> None:
    """The bytes of the first `count` pieces, one after another, into the arena."""
    if compiled():
        _copy(pieces, count, data, store, arena)
        return
    at = 0
    for src, length in pieces[:count].tolist():  # interpreted, a slice is a thousand times faster than its bytes
        arena[at : at + length] = data[src : src + length] if src >= 0 else store[-1 - src : length - 1 - src]
        at += length


@kernel
def _scatter(source: Any, begins: Any, target: Any, places: Any, lengths: Any) -> None:
    for p in range(len(lengths)):
        move(target, places[p], source, begins[p], lengths[p])


def scatter(source: Any, begins: Any, target: Any, places: Any, lengths: Any) -> None:
    """target[places[p] ...] = source[begins[p] ...], lengths[p] bytes each."""
    if compiled():
        whole = np.ascontiguousarray
        _scatter(source, whole(begins), target, whole(places), whole(lengths))
        return
    for begin, place, length in zip(begins.tolist(), places.tolist(), lengths.tolist(), strict=True):
        target[place : place + length] = source[begin : begin + length]


@cold
def drop_kept(state: Any, streams: Any, nodes: Any, s: int) -> None:
    """Stream s keeps nothing any more."""
    n = streams[s, S_KEPT]
    while n != 0:
        after = nodes[n, N_NEXT]
        unlink(nodes, N_OLDER, N_NEWER, n)
        free_node(state, nodes, n)
        n = after
    state[G_KEPT_BYTES] -= streams[s, S_KEPT_BYTES]
    streams[s, S_KEPT] = 0
    streams[s, S_KEPT_BYTES] = 0


@kernel
def keep(state: Any, streams: Any, nodes: Any, rows: Any, stored: int) -> None:
    """Keep pieces for the next block: rows (slot, offset, length, gap, reason) in order; their bytes stand in the store
    one after another from `stored` on. Precondition: there are enough free nodes."""
    last_slot = 0
    last = 0
    for r in range(len(rows)):
        s = rows[r, 0]
        n = take_node(state, nodes)
        nodes[n, N_OFFSET] = rows[r, 1]
        nodes[n, N_LENGTH] = rows[r, 2]
        nodes[n, N_PEER] = rows[r, 3]
        nodes[n, N_TIME] = rows[r, 4]
        nodes[n, N_KIND] = DATA
        nodes[n, N_SRC] = -1 - stored
        nodes[n, N_NEXT] = 0
        append(nodes, N_OLDER, N_NEWER, KEPT, n)
        stored += rows[r, 2]
        cost = rows[r, 2] + NODE_COST
        streams[s, S_KEPT_BYTES] += cost
        state[G_KEPT_BYTES] += cost
        if s == last_slot:
            nodes[last, N_NEXT] = n
        else:
            streams[s, S_KEPT] = n
        last_slot = s
        last = n


@kernel
def fresh_nodes(state: Any, nodes: Any, found: Any) -> int:
    """Held pieces of this feed whose bytes still stand in the block's data, into `found`; returns how many."""
    count = 0
    n = nodes[0, N_OLDER]
    while n != 0 and nodes[n, N_FEED] == state[G_FEED]:
        if nodes[n, N_KIND] == DATA and nodes[n, N_SRC] >= 0:
            found[count] = n
            count += 1
        n = nodes[n, N_OLDER]
    return count


@kernel
def stored_nodes(nodes: Any, found: Any) -> int:
    """Held and kept pieces whose bytes stand in the store, into `found`; returns how many."""
    count = 0
    for head in range(0, KEPT + 1, KEPT):
        n = nodes[head, N_NEWER]
        while n != head:
            if nodes[n, N_KIND] == DATA and nodes[n, N_SRC] < 0:
                found[count] = n
                count += 1
            n = nodes[n, N_NEWER]
    return count


@kernel
def bury(state: Any, conns: Any, streams: Any, nodes: Any) -> None:
    """Slots of connections that were retired in the last feed are free again."""
    c = state[G_DYING]
    state[G_DYING] = 0
    while c != 0:
        after = conns[c, C_FOLLOWING]
        for s in range(2 * c, 2 * c + 2):
            drop_kept(state, streams, nodes, s)
        free_conn(state, conns, streams, c)
        c = after
