"""Pieces that wait for earlier bytes: a skip list a stream, disjoint, where the bytes that arrived first stay.

All held pieces also stand in one list by age: the oldest is given up first, when its time is over or memory is short.
(Skip lists: Pugh 1990, here with fan-out 4.)
"""

from __future__ import annotations

from typing import Any

from inspector.kernel import cold, kernel
from inspector.tcp.handing import add_gap, byte_at, emit, end_stream, tell_ends
from inspector.tcp.keys import append, unlink
from inspector.tcp.layout import (
    CUT,
    DATA,
    END,
    FAR,
    G_CLOCK,
    G_FEED,
    G_FREE_NODES,
    G_HELD_BYTES,
    G_HELD_NODES,
    G_NODE_ROOM,
    G_RANDOM,
    HOW_FIN,
    HOW_RST,
    LEVELS,
    LOST,
    N_CAPTURE,
    N_CLOCK,
    N_FEED,
    N_KIND,
    N_LENGTH,
    N_NEWER,
    N_NEXT,
    N_OFFSET,
    N_OLDER,
    N_PACKET,
    N_PEER,
    N_SLOT,
    N_SRC,
    N_TAIL,
    N_TIME,
    NODE_COST,
    PATH,
    PIECE,
    S_ACKED,
    S_END_TIME,
    S_END_TOLD,
    S_ENDED,
    S_ENDING,
    S_FIRST,
    S_FOLLOWING,
    S_GOAL,
    S_HELD,
    S_NEXT,
    S_PREV,
    S_STARTED,
    S_WAITED,
    S_WAITING,
    SNAPPED,
)


@kernel
def take_node(state: Any, nodes: Any) -> int:
    """A free row. Precondition: there is one."""
    n = state[G_FREE_NODES]
    state[G_FREE_NODES] = nodes[n, N_NEXT]
    state[G_NODE_ROOM] -= 1
    return n


@kernel
def free_node(state: Any, nodes: Any, n: int) -> None:
    """Give row n back."""
    nodes[n, N_NEXT] = state[G_FREE_NODES]
    state[G_FREE_NODES] = n
    state[G_NODE_ROOM] += 1


@kernel
def head_of(state: Any, streams: Any, nodes: Any, s: int) -> int:
    """The head of stream s's list, made where it has none."""
    head = streams[s, S_HELD]
    if head == 0:
        head = take_node(state, nodes)
        for level in range(LEVELS):
            nodes[head, N_NEXT + level] = 0
            nodes[head, N_TAIL + level] = head
        nodes[head, N_OFFSET] = -FAR
        nodes[head, N_LENGTH] = 0
        streams[s, S_HELD] = head
    return head


@kernel
def seek(nodes: Any, head: int, offset: int) -> int:
    """The last node that starts before `offset`; row PATH gets the last such node of each level."""
    tail = nodes[head, N_TAIL]
    if nodes[tail, N_OFFSET] < offset:  # most pieces come at the end
        for level in range(LEVELS):
            nodes[PATH, N_NEXT + level] = nodes[head, N_TAIL + level]
        return tail
    at = head
    for down in range(LEVELS):
        level = LEVELS - 1 - down
        n = nodes[at, N_NEXT + level]
        while n != 0 and nodes[n, N_OFFSET] < offset:
            at = n
            n = nodes[at, N_NEXT + level]
        nodes[PATH, N_NEXT + level] = at
    return at


@cold
def insert(state: Any, nodes: Any, head: int, kind: int, start: int, stop: int) -> None:
    """Hold start..stop of the piece at hand."""
    seek(nodes, head, start)
    n = take_node(state, nodes)
    nodes[n, N_KIND] = kind
    nodes[n, N_SLOT] = nodes[PIECE, N_SLOT]
    fill_node(state, nodes, n, start, stop)
    state[G_RANDOM] = (state[G_RANDOM] * 1103515245 + 12345) & 0x7FFFFFFF
    dice = state[G_RANDOM] >> 12
    level = 0
    while level < LEVELS:
        if level > 0 and dice & 3 != 0:
            break
        if level > 0:
            dice >>= 2
        before = nodes[PATH, N_NEXT + level]
        nodes[n, N_NEXT + level] = nodes[before, N_NEXT + level]
        nodes[before, N_NEXT + level] = n
        if nodes[n, N_NEXT + level] == 0:
            nodes[head, N_TAIL + level] = n
        level += 1
    while level < LEVELS:
        nodes[n, N_NEXT + level] = 0
        level += 1
    state[G_HELD_NODES] += 1
    state[G_HELD_BYTES] += NODE_COST + (stop - start if kind == DATA else 0)


@kernel
def fill_node(state: Any, nodes: Any, n: int, start: int, stop: int) -> None:
    """Node n gets start..stop of the piece at hand and becomes the youngest."""
    nodes[n, N_OFFSET] = start
    nodes[n, N_LENGTH] = stop - start
    nodes[n, N_SRC] = nodes[PIECE, N_SRC] + start - nodes[PIECE, N_OFFSET]
    nodes[n, N_TIME] = nodes[PIECE, N_TIME]
    nodes[n, N_CAPTURE] = nodes[PIECE, N_CAPTURE]
    nodes[n, N_PACKET] = nodes[PIECE, N_PACKET]
    nodes[n, N_PEER] = nodes[PIECE, N_PEER]
    nodes[n, N_CLOCK] = state[G_CLOCK]
    nodes[n, N_FEED] = state[G_FEED]
    append(nodes, N_OLDER, N_NEWER, 0, n)


@cold
def overlay(state: Any, nodes: Any, head: int, n: int, start: int, stop: int) -> None:
    """Bytes start..stop of the piece at hand take the place of cut ones inside node n."""
    begin = nodes[n, N_OFFSET]
    end = begin + nodes[n, N_LENGTH]
    if begin < start:
        nodes[n, N_LENGTH] = start - begin
        insert(state, nodes, head, DATA, start, stop)
    else:
        unlink(nodes, N_OLDER, N_NEWER, n)
        nodes[n, N_KIND] = DATA
        fill_node(state, nodes, n, start, stop)
        state[G_HELD_BYTES] += stop - start
    if stop < end:
        insert(state, nodes, head, CUT, stop, end)


@cold
def put(state: Any, nodes: Any, head: int, start: int, stop: int, real: int) -> None:
    """Hold start..stop of the piece at hand, captured up to `real`, where nothing is held yet."""
    middle = min(max(start, real), stop)
    if start < middle:
        insert(state, nodes, head, DATA, start, middle)
    if middle < stop:
        insert(state, nodes, head, CUT, middle, stop)


@cold
def hold(state: Any, streams: Any, nodes: Any, data: Any, store: Any, s: int, start: int, stop: int) -> int:
    """Hold what start..stop of the piece at hand adds. Returns 2 * (bytes added) + (1 where held bytes differ)."""
    head = head_of(state, streams, nodes, s)
    real = nodes[PIECE, N_OFFSET] + nodes[PIECE, N_LENGTH]
    src = nodes[PIECE, N_SRC] - nodes[PIECE, N_OFFSET]
    added = 0
    differ = 0
    pos = start
    n = seek(nodes, head, pos)
    if n == head or nodes[n, N_OFFSET] + nodes[n, N_LENGTH] <= pos:
        n = nodes[n, N_NEXT]
    while pos < stop:
        begin = nodes[n, N_OFFSET] if n != 0 else FAR
        if begin > pos:
            end = min(begin, stop)
            put(state, nodes, head, pos, end, real)
            added += end - pos
        else:
            end = min(stop, begin + nodes[n, N_LENGTH])
            if nodes[n, N_KIND] == CUT and pos < real:
                end = min(end, real)
                overlay(state, nodes, head, n, pos, end)
                added += end - pos
                n = seek(nodes, head, end + 1)
            elif nodes[n, N_KIND] == DATA:
                for p in range(pos, min(end, real)):
                    if byte_at(data, store, nodes[n, N_SRC], p - begin) != data[src + p]:
                        differ = 1
                        break
            if n != 0 and nodes[n, N_OFFSET] + nodes[n, N_LENGTH] <= end:
                n = nodes[n, N_NEXT]
        pos = end
    return 2 * added + differ


@kernel
def drop_first(state: Any, streams: Any, nodes: Any, s: int, n: int) -> None:
    """Take n, the first node of stream s, out of its lists."""
    head = streams[s, S_HELD]
    for level in range(LEVELS):
        if nodes[head, N_NEXT + level] == n:
            nodes[head, N_NEXT + level] = nodes[n, N_NEXT + level]
            if nodes[head, N_TAIL + level] == n:
                nodes[head, N_TAIL + level] = head
    unlink(nodes, N_OLDER, N_NEWER, n)
    state[G_HELD_NODES] -= 1
    state[G_HELD_BYTES] -= NODE_COST + (nodes[n, N_LENGTH] if nodes[n, N_KIND] == DATA else 0)
    if nodes[head, N_NEXT] == 0:
        free_node(state, nodes, head)
        streams[s, S_HELD] = 0
    free_node(state, nodes, n)


@cold
def take_first(state: Any, conns: Any, streams: Any, nodes: Any, out: Any, s: int) -> None:
    """Hand out the first held piece. Precondition: it starts at the next offset (or before)."""
    n = nodes[streams[s, S_HELD], N_NEXT]
    start = max(nodes[n, N_OFFSET], streams[s, S_NEXT])
    stop = nodes[n, N_OFFSET] + nodes[n, N_LENGTH]
    kind = nodes[n, N_KIND]
    time = nodes[n, N_TIME]
    if kind == DATA and start < stop:
        emit(state, streams, nodes, out, s, n, start, stop)
    elif kind == CUT and start < stop:
        add_gap(state, conns, streams, out, s, stop - start, SNAPPED)
    drop_first(state, streams, nodes, s, n)
    if kind == END and streams[s, S_ENDED] == 0:
        end_stream(state, conns, streams, out, s, HOW_FIN, time)


@cold
def drain(state: Any, conns: Any, streams: Any, nodes: Any, out: Any, s: int) -> None:
    """Hand out what is held and now in order; a stream that was reset ends when nothing is held any more."""
    while streams[s, S_HELD] != 0 and nodes[nodes[streams[s, S_HELD], N_NEXT], N_OFFSET] <= streams[s, S_NEXT]:
        take_first(state, conns, streams, nodes, out, s)
    if streams[s, S_HELD] == 0 and streams[s, S_ENDING] == HOW_RST and streams[s, S_ENDED] == 0:
        end_stream(state, conns, streams, out, s, HOW_RST, streams[s, S_END_TIME])
    elif streams[s, S_HELD] == 0 and streams[s ^ 1, S_ENDED] != 0 and streams[s ^ 1, S_END_TOLD] == 0:
        tell_ends(state, conns, streams, out, s >> 1)


@cold
def start(state: Any, conns: Any, streams: Any, nodes: Any, out: Any, s: int) -> None:
    """A stream without SYN starts at the lowest offset held."""
    stop_waiting(streams, s)
    streams[s, S_STARTED] = 1
    streams[s, S_NEXT] = nodes[nodes[streams[s, S_HELD], N_NEXT], N_OFFSET]
    streams[s, S_FIRST] = streams[s, S_NEXT]
    drain(state, conns, streams, nodes, out, s)


@kernel
def stop_waiting(streams: Any, s: int) -> None:
    """Stream s no longer waits for its start."""
    if streams[s, S_WAITING] != 0:
        streams[s, S_WAITING] = 0
        unlink(streams, S_PREV, S_FOLLOWING, s)


@kernel
def note_acknowledged(state: Any, streams: Any, nodes: Any, s: int) -> None:
    """A hole that the receiver has acknowledged will not be filled by a retransmission: it is waited for only shortly."""
    if streams[s, S_HELD] == 0 or streams[s, S_WAITING] != 0 or streams[s, S_STARTED] == 0:
        return
    if nodes[nodes[streams[s, S_HELD], N_NEXT], N_OFFSET] <= streams[s, S_ACKED]:
        streams[s, S_GOAL] = streams[s, S_ACKED]
        wait(state, streams, s)


@kernel
def wait(state: Any, streams: Any, s: int) -> None:
    """Stream s waits until its time is over: see `track.expired`."""
    streams[s, S_WAITING] = 1
    streams[s, S_WAITED] = state[G_CLOCK]
    append(streams, S_PREV, S_FOLLOWING, 0, s)


@cold
def give_up(state: Any, conns: Any, streams: Any, nodes: Any, out: Any, s: int, goal: int) -> None:
    """Holes of stream s before offset `goal` become gaps."""
    if streams[s, S_HELD] != 0 and streams[s, S_STARTED] == 0:
        start(state, conns, streams, nodes, out, s)
    while streams[s, S_HELD] != 0:
        n = nodes[streams[s, S_HELD], N_NEXT]
        if nodes[n, N_OFFSET] > goal:
            break
        hole = nodes[n, N_OFFSET] - streams[s, S_NEXT]
        if hole > 0:
            add_gap(state, conns, streams, out, s, hole, LOST)
        take_first(state, conns, streams, nodes, out, s)
    drain(state, conns, streams, nodes, out, s)
