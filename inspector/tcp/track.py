"""The tracker's loop: segments in the order of arrival, each decided by what came before it and by nothing else.

So the result cannot depend on how a capture is cut into blocks.
"""

from __future__ import annotations

from typing import Any

from inspector.kernel import cold, kernel
from inspector.tcp.copies import look_ahead, seen
from inspector.tcp.flows import assign, close
from inspector.tcp.holding import give_up, note_acknowledged, start, stop_waiting
from inspector.tcp.keys import add_pair, find_pair
from inspector.tcp.layout import (
    BACKWARDS,
    BUSY,
    C_ALIASES,
    C_FOLLOWING,
    C_LAST,
    C_LIST,
    C_SEEN,
    CLOSED,
    D_CAPTURED,
    D_DST,
    D_SLOT,
    D_SRC,
    D_STREAM,
    EMPTY,
    G_CLOCK,
    G_CONN_ROOM,
    G_COPIES,
    G_CUT_SHORT,
    G_DONE,
    G_EMPTY_LIMIT,
    G_EXPIRED,
    G_EXPIRED_EARLY,
    G_FORCED_GAPS,
    G_HELD_BYTES,
    G_HELD_NODES,
    G_HOLD_LIMIT,
    G_HOLD_TIME,
    G_IDLE_BUSY,
    G_IDLE_EMPTY,
    G_IN_EMPTY,
    G_KEY_ROOM,
    G_KEYS,
    G_LINGER,
    G_NODE_ROOM,
    G_OUT,
    G_START_TIME,
    G_TOUCHED,
    HOW_CAPTURE,
    HOW_EXPIRED,
    N_CLOCK,
    N_NEWER,
    N_OFFSET,
    N_SLOT,
    S_FOLLOWING,
    S_GOAL,
    S_ID,
    S_STARTED,
    S_WAITED,
    SYN,
    T_CAPTURE,
    T_CAPTURED,
    T_DST,
    T_FLAGS,
    T_SRC,
    T_TIME,
)
from inspector.tcp.receiving import digest, visit


@kernel
def short(state: Any, table: Any, out: Any, done: Any) -> bool:
    """Whether some array might not do for one more step; the caller makes room and calls again."""
    return (
        state[G_CONN_ROOM] < 1
        or state[G_KEY_ROOM] < 8
        or 2 * (state[G_KEYS] + 8) > len(table)
        or state[G_NODE_ROOM] < state[G_HELD_NODES] + 16
        or len(out) - state[G_OUT] < state[G_HELD_NODES] + 16
        or len(out) - state[G_TOUCHED] < state[G_HELD_NODES] + 16
        or len(done) - state[G_DONE] < 4
    )


@cold
def late(now: int, then: int, limit: int) -> bool:
    """Whether `limit` has passed since `then`, or the clock was set back."""
    return now - then > limit or then - now > BACKWARDS


@kernel
def due(state: Any, conns: Any, streams: Any, nodes: Any) -> bool:
    """Whether `expired` has something to do."""
    now = state[G_CLOCK]
    n = nodes[0, N_NEWER]
    s = streams[0, S_FOLLOWING]
    empty = conns[EMPTY, C_FOLLOWING]
    busy = conns[BUSY, C_FOLLOWING]
    closed = conns[CLOSED, C_FOLLOWING]
    return (
        (n != 0 and late(now, nodes[n, N_CLOCK], state[G_HOLD_TIME]))
        or state[G_HELD_BYTES] > state[G_HOLD_LIMIT]
        or (s != 0 and late(now, streams[s, S_WAITED], state[G_START_TIME]))
        or (empty != EMPTY and late(now, conns[empty, C_SEEN], state[G_IDLE_EMPTY]))
        or (busy != BUSY and late(now, conns[busy, C_SEEN], state[G_IDLE_BUSY]))
        or (closed != CLOSED and late(now, conns[closed, C_SEEN], state[G_LINGER]))
        or state[G_IN_EMPTY + EMPTY] > state[G_EMPTY_LIMIT + EMPTY]
        or state[G_IN_EMPTY + BUSY] > state[G_EMPTY_LIMIT + BUSY]
        or state[G_IN_EMPTY + CLOSED] > state[G_EMPTY_LIMIT + CLOSED]
    )


@cold
def expired(
    state: Any,
    table: Any,
    keys: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    done: Any,
) -> int:
    """Do one thing whose time has come and return 1; 0 where there is none."""
    now = state[G_CLOCK]
    n = nodes[0, N_NEWER]
    if n != 0 and (late(now, nodes[n, N_CLOCK], state[G_HOLD_TIME]) or state[G_HELD_BYTES] > state[G_HOLD_LIMIT]):
        if state[G_HELD_BYTES] > state[G_HOLD_LIMIT]:
            state[G_FORCED_GAPS] += 1
        give_up(state, conns, streams, nodes, out, nodes[n, N_SLOT], nodes[n, N_OFFSET])
        return 1
    s = streams[0, S_FOLLOWING]
    if s != 0 and late(now, streams[s, S_WAITED], state[G_START_TIME]):
        if streams[s, S_STARTED] == 0:
            start(state, conns, streams, nodes, out, s)
        else:
            stop_waiting(streams, s)
            give_up(state, conns, streams, nodes, out, s, streams[s, S_GOAL])
        note_acknowledged(state, streams, nodes, s)
        return 1
    for which in range(3):
        c = conns[which, C_FOLLOWING]
        if c == which:
            continue
        idle = state[G_IDLE_EMPTY + which]
        full = state[G_IN_EMPTY + which] > state[G_EMPTY_LIMIT + which]
        if full or late(now, conns[c, C_SEEN], idle):
            if which != CLOSED:
                state[G_EXPIRED_EARLY if full else G_EXPIRED] += 1
            if which == BUSY and full:
                state[G_CUT_SHORT] += 1
            close(state, table, keys, conns, streams, nodes, out, done, c, HOW_EXPIRED, conns[c, C_LAST])
            return 1
    return 0


@cold
def note_alias(
    state: Any, table: Any, keys: Any, conns: Any, streams: Any, details: Any, seg: Any, i: int, d: int
) -> None:
    """A copy shows other addresses (NAT): they lead to the same connection."""
    slot = details[d, D_SLOT]
    if details[d, D_SRC] == seg[T_SRC, i] and details[d, D_DST] == seg[T_DST, i]:
        return
    if slot == 0 or streams[slot, S_ID] != details[d, D_STREAM] or conns[slot >> 1, C_LIST] < 0:
        return
    if conns[slot >> 1, C_ALIASES] < 8 and find_pair(table, keys, seg, i) == 0:
        add_pair(state, table, keys, conns, seg, i, slot)


@kernel
def track(
    state: Any,
    table: Any,
    keys: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    done: Any,
    prints: Any,
    details: Any,
    copies: Any,
    data: Any,
    store: Any,
    seg: Any,
    first: int,
    last: int,
) -> int:
    """Segments first..last - 1. Returns the first that was not done because an array is short: make room, call again."""
    for i in range(first, last):
        time = seg[T_TIME, i]
        if time > state[G_CLOCK] or state[G_CLOCK] - time > BACKWARDS:
            state[G_CLOCK] = time
        if short(state, table, out, done):
            return i
        while due(state, conns, streams, nodes):
            if expired(state, table, keys, conns, streams, nodes, out, done) == 0:
                break
            if short(state, table, out, done):
                return i
        look_ahead(prints, seg, i, last)
        d = seen(state, prints, details, seg, i)
        extra = d >= 0
        if extra:
            state[G_COPIES] += 1
            copies[seg[T_CAPTURE, i]] += 1
            note_alias(state, table, keys, conns, streams, details, seg, i, d)
            if seg[T_CAPTURED, i] <= details[d, D_CAPTURED]:
                continue
            details[d, D_CAPTURED] = seg[T_CAPTURED, i]
        else:
            d = -1 - d
        s = find_pair(table, keys, seg, i)
        if s == 0 or seg[T_FLAGS, i] & SYN != 0:
            s = assign(state, table, keys, conns, streams, nodes, out, done, seg, i, s)
        if s == 0:
            continue
        if not extra:
            details[d, D_SLOT] = s
            details[d, D_STREAM] = streams[s, S_ID]
        visit(state, table, keys, conns, streams, out, seg, i, s, extra)
        digest(state, conns, streams, nodes, out, data, store, seg, i, s, extra)
    return last


@kernel
def tick(
    state: Any, table: Any, keys: Any, conns: Any, streams: Any, nodes: Any, out: Any, done: Any, time: int
) -> bool:
    """Capture time has come to `time` without a packet. False where an array is short: make room, call again."""
    state[G_CLOCK] = max(state[G_CLOCK], time)
    while due(state, conns, streams, nodes):
        if short(state, table, out, done):
            return False
        if expired(state, table, keys, conns, streams, nodes, out, done) == 0:
            break
    return True


@kernel
def finish(
    state: Any,
    table: Any,
    keys: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    done: Any,
) -> bool:
    """The end of the input: every connection is closed. False where an array is short: make room, call again."""
    for which in range(3):
        while conns[which, C_FOLLOWING] != which:
            if short(state, table, out, done):
                return False
            c = conns[which, C_FOLLOWING]
            close(state, table, keys, conns, streams, nodes, out, done, c, HOW_CAPTURE, conns[c, C_LAST])
    return True
