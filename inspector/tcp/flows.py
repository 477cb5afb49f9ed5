"""Which stream a segment belongs to: connections, port reuse, and the two halves of a NATed connection."""

from __future__ import annotations

from typing import Any

from inspector.kernel import cold, kernel
from inspector.seq import MASK, distance
from inspector.tcp.handing import end_stream, tell_ends
from inspector.tcp.holding import give_up, stop_waiting
from inspector.tcp.joining import join_answer, join_numbers, set_client, set_server, set_wire
from inspector.tcp.keys import add_join, add_pair, append, remove_keys, unlink
from inspector.tcp.layout import (
    ACK,
    C_CAPTURE,
    C_CLIENT,
    C_FIRST,
    C_FOLLOWING,
    C_ID,
    C_INTERFACE,
    C_LAST,
    C_LIST,
    C_PAYLOAD,
    C_PREV,
    C_SEEN,
    C_WIDTH,
    CLOSED,
    EMPTY,
    FAR,
    FIN,
    G_CLOCK,
    G_CONN_ROOM,
    G_CONNECTION,
    G_CONNECTIONS,
    G_DONE,
    G_DYING,
    G_FREE_CONNS,
    G_IN_EMPTY,
    G_STRAY,
    G_WITHOUT_PAYLOAD,
    HOW_REUSED,
    KIND_SOURCE,
    KIND_SYN,
    KIND_TARGET,
    N_NEXT,
    N_OFFSET,
    N_SLOT,
    NONE,
    RING_LIST,
    RST,
    S_ACKED,
    S_BASE,
    S_BASED,
    S_ENDED,
    S_FIRST,
    S_FORGET,
    S_HELD,
    S_ID,
    S_ISN1,
    S_LAST_ACK,
    S_LIMIT,
    S_LOG_COUNT,
    S_NEXT,
    S_RELEASED,
    S_RING,
    S_STARTED,
    S_SYN,
    S_SYNCED,
    S_TOUCHED,
    S_WIDTH,
    SYN,
    T_CAPTURE,
    T_DPORT,
    T_DST,
    T_DST_HI,
    T_DST_LO,
    T_FLAGS,
    T_INTERFACE,
    T_LENGTH,
    T_SEQ,
    T_SPORT,
    T_SRC,
    T_SRC_HI,
    T_SRC_LO,
    T_TIME,
    Z_END,
    Z_FLAGS,
    Z_RECEIVED,
    Z_SENT,
)


@kernel
def clear_stream(streams: Any, s: int, number: int) -> None:
    """Slot s begins stream `number`."""
    for column in range(S_WIDTH):
        streams[s, column] = 0
    streams[s, S_ID] = number + 1
    streams[s, S_ACKED] = NONE
    streams[s, S_LAST_ACK] = -1
    streams[s, S_LIMIT] = FAR
    streams[s, S_FORGET] = NONE
    streams[s, S_RELEASED] = -1


@cold
def create(state: Any, table: Any, keys: Any, conns: Any, streams: Any, seg: Any, i: int) -> int:
    """A new connection for segment i; returns the slot of its stream. Who answers a SYN is the server."""
    c = state[G_FREE_CONNS]
    state[G_FREE_CONNS] = conns[c, C_FOLLOWING]
    state[G_CONN_ROOM] -= 1
    number = state[G_CONNECTION]
    state[G_CONNECTION] = number + 1
    state[G_CONNECTIONS] += 1
    for column in range(C_WIDTH):
        conns[c, column] = 0
    clear_stream(streams, 2 * c, 2 * number)
    clear_stream(streams, 2 * c + 1, 2 * number + 1)
    append(conns, C_PREV, C_FOLLOWING, EMPTY, c)
    state[G_IN_EMPTY] += 1
    conns[c, C_ID] = number
    conns[c, C_SEEN] = state[G_CLOCK]
    conns[c, C_CLIENT] = 2 * c
    conns[c, C_CAPTURE] = seg[T_CAPTURE, i]
    conns[c, C_INTERFACE] = seg[T_INTERFACE, i]
    conns[c, C_FIRST] = seg[T_TIME, i]
    conns[c, C_LAST] = seg[T_TIME, i]
    flags = seg[T_FLAGS, i]
    if flags & SYN != 0 and flags & ACK != 0:
        slot = 2 * c + 1
        set_client(conns, c, seg[T_DST_HI, i], seg[T_DST_LO, i], seg[T_DPORT, i])
        set_server(conns, c, seg[T_SRC_HI, i], seg[T_SRC_LO, i], seg[T_SPORT, i])
        set_wire(conns, c, seg[T_SRC_HI, i], seg[T_SRC_LO, i], seg[T_SPORT, i])
    else:
        slot = 2 * c
        set_client(conns, c, seg[T_SRC_HI, i], seg[T_SRC_LO, i], seg[T_SPORT, i])
        set_server(conns, c, seg[T_DST_HI, i], seg[T_DST_LO, i], seg[T_DPORT, i])
        set_wire(conns, c, seg[T_DST_HI, i], seg[T_DST_LO, i], seg[T_DPORT, i])
    add_pair(state, table, keys, conns, seg, i, slot)
    if flags & SYN != 0 and flags & ACK == 0:
        wait_at_source(state, table, keys, conns, seg, i, slot, (seg[T_SEQ, i] + 1) & MASK, KIND_SYN)
    else:
        if flags & SYN == 0:
            wait_at_source(state, table, keys, conns, seg, i, slot, 0, KIND_SOURCE)
        add_join(
            state,
            table,
            keys,
            conns,
            slot,
            seg[T_DST, i],
            seg[T_DST_HI, i],
            seg[T_DST_LO, i],
            seg[T_DPORT, i],
            0,
            KIND_TARGET,
        )
    return slot


@cold
def wait_at_source(
    state: Any, table: Any, keys: Any, conns: Any, seg: Any, i: int, slot: int, number: int, kind: int
) -> None:
    """Stream `slot` waits for its other half at the source of segment i."""
    hi = seg[T_SRC_HI, i]
    lo = seg[T_SRC_LO, i]
    add_join(state, table, keys, conns, slot, seg[T_SRC, i], hi, lo, seg[T_SPORT, i], number, kind)


@cold
def same_connection(conns: Any, streams: Any, nodes: Any, s: int, isn1: int, answer: bool) -> bool:
    """Whether a SYN (or SYN,ACK: `answer`) with initial sequence number isn1 - 1 belongs to stream s."""
    if streams[s, S_SYN] != 0:
        return streams[s, S_ISN1] == isn1 and (answer or conns[s >> 1, C_LIST] != CLOSED)
    if conns[s >> 1, C_LIST] == CLOSED:
        return False
    if streams[s, S_BASED] == 0:
        return True
    offset = streams[s, S_NEXT] + distance(isn1, (streams[s, S_BASE] + streams[s, S_NEXT]) & MASK)
    if streams[s, S_STARTED] != 0:
        return offset == streams[s, S_FIRST]
    lowest = nodes[nodes[streams[s, S_HELD], N_NEXT], N_OFFSET] if streams[s, S_HELD] != 0 else 0
    return 0 <= lowest - offset <= (1 << 18)


@cold
def assign(
    state: Any,
    table: Any,
    keys: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    done: Any,
    seg: Any,
    i: int,
    s: int,
) -> int:
    """The stream slot of segment i, 0 where it opens nothing; s is what its addresses lead to."""
    flags = seg[T_FLAGS, i]
    opening = flags & SYN != 0 and flags & RST == 0
    answer = flags & ACK != 0
    if s != 0 and opening and not same_connection(conns, streams, nodes, s, (seg[T_SEQ, i] + 1) & MASK, answer):
        close(state, table, keys, conns, streams, nodes, out, done, s >> 1, HOW_REUSED, seg[T_TIME, i])
        s = 0
    if s != 0:
        return s
    if opening and answer:
        s = join_answer(state, table, keys, conns, streams, seg, i)
    elif not opening:
        s = join_numbers(state, table, keys, conns, streams, seg, i)
        if s == 0 and seg[T_LENGTH, i] == 0 and flags & (RST | FIN) != 0:
            state[G_STRAY] += 1
            return 0
    if s == 0:
        s = create(state, table, keys, conns, streams, seg, i)
    return s


@cold
def close(
    state: Any,
    table: Any,
    keys: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    done: Any,
    c: int,
    how: int,
    time: int,
) -> None:
    """Connection c is over: its holes become gaps, its streams end, its row is written, its slots die."""
    for side in range(2):
        s = 2 * c + side
        give_up(state, conns, streams, nodes, out, s, FAR)
        if streams[s, S_ENDED] == 0:
            end_stream(state, conns, streams, out, s, how, time)
        stop_waiting(streams, s)
        if streams[s, S_RING] != 0:
            nodes[RING_LIST + streams[s, S_RING], N_SLOT] = 0
            streams[s, S_RING] = 0
    tell_ends(state, conns, streams, out, c)
    remove_keys(state, table, keys, conns, c, 0)
    unlink(conns, C_PREV, C_FOLLOWING, c)
    state[G_IN_EMPTY + conns[c, C_LIST]] -= 1
    conns[c, C_LIST] = -1
    if conns[c, C_PAYLOAD] == 0:
        state[G_WITHOUT_PAYLOAD] += 1
        if streams[2 * c, S_TOUCHED] == 0 and streams[2 * c + 1, S_TOUCHED] == 0:  # nobody has heard of its slots
            free_conn(state, conns, streams, c)
            return
    else:
        write_row(conns, streams, done, c, state[G_DONE])
        state[G_DONE] += 1
    conns[c, C_FOLLOWING] = state[G_DYING]
    state[G_DYING] = c


@cold
def free_conn(state: Any, conns: Any, streams: Any, c: int) -> None:
    """The slots of connection c may be used again."""
    for s in range(2 * c, 2 * c + 2):
        streams[s, S_ID] = 0
        streams[s, S_LOG_COUNT] = 0
    conns[c, C_FOLLOWING] = state[G_FREE_CONNS]
    state[G_FREE_CONNS] = c
    state[G_CONN_ROOM] += 1


@cold
def write_row(conns: Any, streams: Any, done: Any, c: int, z: int) -> None:
    """Connection c as row z of `done`."""
    for column in range(C_WIDTH):
        done[z, column] = conns[c, column]
    client = conns[c, C_CLIENT]
    done[z, Z_SENT] = streams[client, S_NEXT] - streams[client, S_FIRST]
    done[z, Z_RECEIVED] = streams[client ^ 1, S_NEXT] - streams[client ^ 1, S_FIRST]
    done[z, Z_END] = streams[client, S_ENDED]
    done[z, Z_FLAGS] = streams[client, S_SYNCED] + 2 * streams[client ^ 1, S_SYNCED]
