"""From rows in the order of arrival to one run of bytes a stream, and the chunk log that turns offsets into packets."""

from __future__ import annotations

from typing import Any

import numpy as np

from inspector.kernels.instructions import move
from inspector.kernels.kernel import cold, compiled, kernel
from inspector.table import I64, U8
from inspector.tcp import layout as col
from inspector.tcp.chunklog import L_CAPTURE, L_LENGTH, L_OFFSET, L_PACKET, L_PEER, L_SLOT, L_STREAM, L_TIME, L_TURN
from inspector.tcp.deliver import new_row
from inspector.tcp.flows import free_conn
from inspector.tcp.keys import append, unlink
from inspector.tcp.layout import Tcp
from inspector.tcp.out_of_order import free_node, take_node

# rows of the runs: (n, U_WIDTH)
U_SLOT, U_STREAM, U_OFFSET, U_AT, U_LENGTH, U_GAP, U_REASON, U_WIDTH = range(8)
# rows of the ends: (n, E_WIDTH)
E_SLOT, E_STREAM, E_OFFSET, E_HOW, E_TIME, E_ALONE, E_WIDTH = range(7)


@kernel
def order_rows(tcp: Tcp, touched: I64, order: I64) -> None:
    """Gaps at the end of a stream get a row; then the rows of `out` grouped by slot (`touched` is sorted) into `order`."""
    for t in range(len(touched)):
        if tcp.streams[touched[t], col.S_GAP] > 0:
            new_row(tcp, touched[t], tcp.streams[touched[t], col.S_NEXT])
    position = 0
    for t in range(len(touched)):
        tcp.streams[touched[t], col.S_POSITION] = position
        position += tcp.streams[touched[t], col.S_OUT_COUNT]
    for o in range(tcp.state[col.G_OUT]):
        s = tcp.out[o, col.O_SLOT]
        order[tcp.streams[s, col.S_POSITION]] = o
        tcp.streams[s, col.S_POSITION] += 1


@kernel
def open_run(runs: I64, u: int, s: int, stream: int, offset: int, at: int, gap: int, reason: int) -> None:
    """Row u of the runs, without bytes yet."""
    runs[u, U_SLOT] = s
    runs[u, U_STREAM] = stream
    runs[u, U_OFFSET] = offset
    runs[u, U_AT] = at
    runs[u, U_LENGTH] = 0
    runs[u, U_GAP] = gap
    runs[u, U_REASON] = reason


@kernel
def note_end(ends: I64, e: int, out: I64, o: int) -> None:
    """Row o of `out` as row e of the ends."""
    ends[e, E_SLOT] = out[o, col.O_SLOT]
    ends[e, E_STREAM] = out[o, col.O_STREAM]
    ends[e, E_OFFSET] = out[o, col.O_OFFSET]
    ends[e, E_HOW] = out[o, col.O_HOW]
    ends[e, E_TIME] = out[o, col.O_TIME]
    ends[e, E_ALONE] = out[o, col.O_TURN] == col.ALONE


@kernel
def note_chunk(log: I64, q: int, out: I64, o: int) -> None:
    """Row o of `out` as column q of the chunk log."""
    log[L_SLOT, q] = out[o, col.O_SLOT]
    log[L_STREAM, q] = out[o, col.O_STREAM]
    log[L_OFFSET, q] = out[o, col.O_OFFSET]
    log[L_LENGTH, q] = out[o, col.O_LENGTH]
    log[L_TIME, q] = out[o, col.O_TIME]
    log[L_CAPTURE, q] = out[o, col.O_CAPTURE]
    log[L_PACKET, q] = out[o, col.O_PACKET]
    log[L_PEER, q] = out[o, col.O_PEER]
    log[L_TURN, q] = out[o, col.O_TURN]


@kernel
def add_piece(pieces: I64, p: int, runs: I64, u: int, src: int, length: int, at: int) -> int:
    """Piece p is the next of run u; returns where the one after it will stand."""
    pieces[p, 0] = src
    pieces[p, 1] = length
    runs[u, U_LENGTH] += length
    return at + length


@kernel
def lay_out(
    tcp: Tcp, touched: I64, order: I64, pieces: I64, runs: I64, log: I64, ends: I64
) -> tuple[int, int, int, int, int]:
    """Runs, the pieces (source, length) to copy for them one after another, and chunks, sorted by slot and offset.

    Returns how many pieces, runs, chunks, ends and bytes. Kept pieces stand first and are given back.
    """
    at = p = u = q = e = k = 0
    for t in range(len(touched)):
        s = touched[t]
        stream = tcp.streams[s, col.S_ID] - 1
        fresh = True
        n = tcp.streams[s, col.S_KEPT]
        while n != 0:
            gap = tcp.nodes[n, col.N_PEER]
            if fresh or gap > 0:
                open_run(runs, u, s, stream, tcp.nodes[n, col.N_OFFSET], at, gap, tcp.nodes[n, col.N_TIME])
                u += 1
                fresh = False
            at = add_piece(pieces, p, runs, u - 1, tcp.nodes[n, col.N_SRC], tcp.nodes[n, col.N_LENGTH], at)
            p += 1
            n = tcp.nodes[n, col.N_NEXT]
        drop_kept(tcp, s)
        for _ in range(tcp.streams[s, col.S_OUT_COUNT]):
            o = order[k]
            k += 1
            length = tcp.out[o, col.O_LENGTH]
            gap = tcp.out[o, col.O_GAP]
            if tcp.out[o, col.O_HOW] != 0:
                note_end(ends, e, tcp.out, o)
                e += 1
            if length == 0 and gap == 0:
                continue
            if fresh or gap > 0:
                open_run(runs, u, s, stream, tcp.out[o, col.O_OFFSET], at, gap, tcp.out[o, col.O_REASON])
                u += 1
                fresh = False
            if length == 0:
                continue
            at = add_piece(pieces, p, runs, u - 1, tcp.out[o, col.O_SRC], length, at)
            p += 1
            note_chunk(log, q, tcp.out, o)
            q += 1
        tcp.streams[s, col.S_OUT] = 0
        tcp.streams[s, col.S_OUT_COUNT] = 0
        tcp.streams[s, col.S_TOUCHED] = 0
    return p, u, q, e, at


@kernel
def _copy(pieces: I64, count: int, data: U8, store: U8, arena: U8) -> None:
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
def _scatter(source: U8, begins: I64, target: U8, places: I64, lengths: I64) -> None:
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
def drop_kept(tcp: Tcp, s: int) -> None:
    """Stream s keeps nothing any more."""
    n = tcp.streams[s, col.S_KEPT]
    while n != 0:
        after = tcp.nodes[n, col.N_NEXT]
        unlink(tcp.nodes, col.N_OLDER, col.N_NEWER, n)
        free_node(tcp, n)
        n = after
    tcp.state[col.G_KEPT_BYTES] -= tcp.streams[s, col.S_KEPT_BYTES]
    tcp.streams[s, col.S_KEPT] = 0
    tcp.streams[s, col.S_KEPT_BYTES] = 0


@kernel
def keep(tcp: Tcp, rows: I64, stored: int) -> None:
    """Keep pieces for the next block: rows (slot, offset, length, gap, reason) in order; their bytes stand in the store
    one after another from `stored` on. Precondition: there are enough free nodes."""
    last_slot = 0
    last = 0
    for r in range(len(rows)):
        s = rows[r, 0]
        n = take_node(tcp)
        tcp.nodes[n, col.N_OFFSET] = rows[r, 1]
        tcp.nodes[n, col.N_LENGTH] = rows[r, 2]
        tcp.nodes[n, col.N_PEER] = rows[r, 3]
        tcp.nodes[n, col.N_TIME] = rows[r, 4]
        tcp.nodes[n, col.N_KIND] = col.DATA
        tcp.nodes[n, col.N_SRC] = -1 - stored
        tcp.nodes[n, col.N_NEXT] = 0
        append(tcp.nodes, col.N_OLDER, col.N_NEWER, col.KEPT, n)
        stored += rows[r, 2]
        cost = rows[r, 2] + col.NODE_COST
        tcp.streams[s, col.S_KEPT_BYTES] += cost
        tcp.state[col.G_KEPT_BYTES] += cost
        if s == last_slot:
            tcp.nodes[last, col.N_NEXT] = n
        else:
            tcp.streams[s, col.S_KEPT] = n
        last_slot = s
        last = n


@kernel
def fresh_nodes(tcp: Tcp, found: I64) -> int:
    """Held pieces of this feed whose bytes still stand in the block's data, into `found`; returns how many."""
    count = 0
    n = tcp.nodes[0, col.N_OLDER]
    while n != 0 and tcp.nodes[n, col.N_FEED] == tcp.state[col.G_FEED]:
        if tcp.nodes[n, col.N_KIND] == col.DATA and tcp.nodes[n, col.N_SRC] >= 0:
            found[count] = n
            count += 1
        n = tcp.nodes[n, col.N_OLDER]
    return count


@kernel
def stored_nodes(tcp: Tcp, found: I64) -> int:
    """Held and kept pieces whose bytes stand in the store, into `found`; returns how many."""
    count = 0
    for head in range(0, col.KEPT + 1, col.KEPT):
        n = tcp.nodes[head, col.N_NEWER]
        while n != head:
            if tcp.nodes[n, col.N_KIND] == col.DATA and tcp.nodes[n, col.N_SRC] < 0:
                found[count] = n
                count += 1
            n = tcp.nodes[n, col.N_NEWER]
    return count


@kernel
def bury(tcp: Tcp) -> None:
    """Slots of connections that were retired in the last feed are free again."""
    c = tcp.state[col.G_DYING]
    tcp.state[col.G_DYING] = 0
    while c != 0:
        after = tcp.conns[c, col.C_FOLLOWING]
        for s in range(2 * c, 2 * c + 2):
            drop_kept(tcp, s)
        free_conn(tcp, c)
        c = after
