"""Pieces that wait for earlier bytes: a skip list a stream, disjoint, where the bytes that arrived first stay.

All held pieces also stand in one list by age: the oldest is given up first when memory is short.
(Skip lists: Pugh 1990, here with fan-out 4.)
"""

from __future__ import annotations

from inspector.kernels.kernel import cold, kernel
from inspector.tcp import layout as col
from inspector.tcp.deliver import add_gap, byte_at, emit, end_stream, tell_ends
from inspector.tcp.keys import append, unlink
from inspector.tcp.layout import Tcp


@kernel
def take_node(tcp: Tcp) -> int:
    """A free row. Precondition: there is one."""
    n = tcp.state[col.G_FREE_NODES]
    tcp.state[col.G_FREE_NODES] = tcp.nodes[n, col.N_NEXT]
    tcp.state[col.G_NODE_ROOM] -= 1
    return n


@kernel
def free_node(tcp: Tcp, n: int) -> None:
    """Give row n back."""
    tcp.nodes[n, col.N_NEXT] = tcp.state[col.G_FREE_NODES]
    tcp.state[col.G_FREE_NODES] = n
    tcp.state[col.G_NODE_ROOM] += 1


@kernel
def head_of(tcp: Tcp, s: int) -> int:
    """The head of stream s's list, made where it has none."""
    head = tcp.streams[s, col.S_HELD]
    if head == 0:
        head = take_node(tcp)
        for level in range(col.LEVELS):
            tcp.nodes[head, col.N_NEXT + level] = 0
            tcp.nodes[head, col.N_TAIL + level] = head
        tcp.nodes[head, col.N_OFFSET] = -col.FAR
        tcp.nodes[head, col.N_LENGTH] = 0
        tcp.streams[s, col.S_HELD] = head
    return head


@kernel
def seek(tcp: Tcp, head: int, offset: int) -> int:
    """The last node that starts before `offset`; row PATH gets the last such node of each level."""
    tail = tcp.nodes[head, col.N_TAIL]
    if tcp.nodes[tail, col.N_OFFSET] < offset:  # most pieces come at the end
        for level in range(col.LEVELS):
            tcp.nodes[col.PATH, col.N_NEXT + level] = tcp.nodes[head, col.N_TAIL + level]
        return tail
    at = head
    for down in range(col.LEVELS):
        level = col.LEVELS - 1 - down
        n = tcp.nodes[at, col.N_NEXT + level]
        while n != 0 and tcp.nodes[n, col.N_OFFSET] < offset:
            at = n
            n = tcp.nodes[at, col.N_NEXT + level]
        tcp.nodes[col.PATH, col.N_NEXT + level] = at
    return at


@cold
def insert(tcp: Tcp, head: int, kind: int, start: int, stop: int) -> None:
    """Hold start..stop of the piece at hand."""
    seek(tcp, head, start)
    n = take_node(tcp)
    tcp.nodes[n, col.N_KIND] = kind
    tcp.nodes[n, col.N_SLOT] = tcp.nodes[col.PIECE, col.N_SLOT]
    fill_node(tcp, n, start, stop)
    tcp.state[col.G_RANDOM] = (tcp.state[col.G_RANDOM] * 1103515245 + 12345) & 0x7FFFFFFF
    dice = tcp.state[col.G_RANDOM] >> 12
    level = 0
    while level < col.LEVELS:
        if level > 0 and dice & 3 != 0:
            break
        if level > 0:
            dice >>= 2
        before = tcp.nodes[col.PATH, col.N_NEXT + level]
        tcp.nodes[n, col.N_NEXT + level] = tcp.nodes[before, col.N_NEXT + level]
        tcp.nodes[before, col.N_NEXT + level] = n
        if tcp.nodes[n, col.N_NEXT + level] == 0:
            tcp.nodes[head, col.N_TAIL + level] = n
        level += 1
    while level < col.LEVELS:
        tcp.nodes[n, col.N_NEXT + level] = 0
        level += 1
    tcp.state[col.G_HELD_NODES] += 1
    tcp.state[col.G_HELD_BYTES] += col.NODE_COST + (stop - start if kind == col.DATA else 0)


@kernel
def fill_node(tcp: Tcp, n: int, start: int, stop: int) -> None:
    """Node n gets start..stop of the piece at hand and becomes the youngest."""
    tcp.nodes[n, col.N_OFFSET] = start
    tcp.nodes[n, col.N_LENGTH] = stop - start
    tcp.nodes[n, col.N_SRC] = tcp.nodes[col.PIECE, col.N_SRC] + start - tcp.nodes[col.PIECE, col.N_OFFSET]
    tcp.nodes[n, col.N_TIME] = tcp.nodes[col.PIECE, col.N_TIME]
    tcp.nodes[n, col.N_CAPTURE] = tcp.nodes[col.PIECE, col.N_CAPTURE]
    tcp.nodes[n, col.N_PACKET] = tcp.nodes[col.PIECE, col.N_PACKET]
    tcp.nodes[n, col.N_PEER] = tcp.nodes[col.PIECE, col.N_PEER]
    tcp.nodes[n, col.N_TURN] = tcp.nodes[col.PIECE, col.N_TURN]
    tcp.nodes[n, col.N_CLOCK] = tcp.state[col.G_CLOCK]
    tcp.nodes[n, col.N_FEED] = tcp.state[col.G_FEED]
    append(tcp.nodes, col.N_OLDER, col.N_NEWER, 0, n)


@cold
def overlay(tcp: Tcp, head: int, n: int, start: int, stop: int) -> None:
    """Bytes start..stop of the piece at hand take the place of cut ones inside node n."""
    begin = tcp.nodes[n, col.N_OFFSET]
    end = begin + tcp.nodes[n, col.N_LENGTH]
    if begin < start:
        tcp.nodes[n, col.N_LENGTH] = start - begin
        insert(tcp, head, col.DATA, start, stop)
    else:
        unlink(tcp.nodes, col.N_OLDER, col.N_NEWER, n)
        tcp.nodes[n, col.N_KIND] = col.DATA
        fill_node(tcp, n, start, stop)
        tcp.state[col.G_HELD_BYTES] += stop - start
    if stop < end:
        insert(tcp, head, col.CUT, stop, end)


@cold
def put(tcp: Tcp, head: int, start: int, stop: int, real: int) -> None:
    """Hold start..stop of the piece at hand, captured up to `real`, where nothing is held yet."""
    middle = min(max(start, real), stop)
    if start < middle:
        insert(tcp, head, col.DATA, start, middle)
    if middle < stop:
        insert(tcp, head, col.CUT, middle, stop)


@cold
def hold(tcp: Tcp, s: int, start: int, stop: int) -> int:
    """Hold what start..stop of the piece at hand adds. Returns 2 * (bytes added) + (1 where held bytes differ)."""
    head = head_of(tcp, s)
    real = tcp.nodes[col.PIECE, col.N_OFFSET] + tcp.nodes[col.PIECE, col.N_LENGTH]
    src = tcp.nodes[col.PIECE, col.N_SRC] - tcp.nodes[col.PIECE, col.N_OFFSET]
    added = 0
    differ = 0
    pos = start
    n = seek(tcp, head, pos)
    if n == head or tcp.nodes[n, col.N_OFFSET] + tcp.nodes[n, col.N_LENGTH] <= pos:
        n = tcp.nodes[n, col.N_NEXT]
    while pos < stop:
        begin = tcp.nodes[n, col.N_OFFSET] if n != 0 else col.FAR
        if begin > pos:
            end = min(begin, stop)
            put(tcp, head, pos, end, real)
            added += end - pos
        else:
            end = min(stop, begin + tcp.nodes[n, col.N_LENGTH])
            if tcp.nodes[n, col.N_KIND] == col.CUT and pos < real:
                end = min(end, real)
                overlay(tcp, head, n, pos, end)
                added += end - pos
                n = seek(tcp, head, end + 1)
            elif tcp.nodes[n, col.N_KIND] == col.DATA:
                for p in range(pos, min(end, real)):
                    if byte_at(tcp.data, tcp.store, tcp.nodes[n, col.N_SRC], p - begin) != tcp.data[src + p]:
                        differ = 1
                        break
            if n != 0 and tcp.nodes[n, col.N_OFFSET] + tcp.nodes[n, col.N_LENGTH] <= end:
                n = tcp.nodes[n, col.N_NEXT]
        pos = end
    return 2 * added + differ


@kernel
def drop_first(tcp: Tcp, s: int, n: int) -> None:
    """Take n, the first node of stream s, out of its lists."""
    head = tcp.streams[s, col.S_HELD]
    for level in range(col.LEVELS):
        if tcp.nodes[head, col.N_NEXT + level] == n:
            tcp.nodes[head, col.N_NEXT + level] = tcp.nodes[n, col.N_NEXT + level]
            if tcp.nodes[head, col.N_TAIL + level] == n:
                tcp.nodes[head, col.N_TAIL + level] = head
    unlink(tcp.nodes, col.N_OLDER, col.N_NEWER, n)
    tcp.state[col.G_HELD_NODES] -= 1
    tcp.state[col.G_HELD_BYTES] -= col.NODE_COST + (
        tcp.nodes[n, col.N_LENGTH] if tcp.nodes[n, col.N_KIND] == col.DATA else 0
    )
    if tcp.nodes[head, col.N_NEXT] == 0:
        free_node(tcp, head)
        tcp.streams[s, col.S_HELD] = 0
    free_node(tcp, n)


@cold
def take_first(tcp: Tcp, s: int) -> None:
    """Hand out the first held piece. Precondition: it starts at the next offset (or before)."""
    n = tcp.nodes[tcp.streams[s, col.S_HELD], col.N_NEXT]
    start = max(tcp.nodes[n, col.N_OFFSET], tcp.streams[s, col.S_NEXT])
    stop = tcp.nodes[n, col.N_OFFSET] + tcp.nodes[n, col.N_LENGTH]
    kind = tcp.nodes[n, col.N_KIND]
    time = tcp.nodes[n, col.N_TIME]
    if kind == col.DATA and start < stop:
        emit(tcp, s, n, start, stop)
    elif kind == col.CUT and start < stop:
        add_gap(tcp, s, stop - start, col.SNAPPED)
    drop_first(tcp, s, n)
    if kind == col.END and tcp.streams[s, col.S_ENDED] == 0:
        end_stream(tcp, s, col.HOW_FIN, time)


@cold
def drain(tcp: Tcp, s: int) -> None:
    """Hand out what is held and now in order."""
    while (
        tcp.streams[s, col.S_HELD] != 0
        and tcp.nodes[tcp.nodes[tcp.streams[s, col.S_HELD], col.N_NEXT], col.N_OFFSET] <= tcp.streams[s, col.S_NEXT]
    ):
        take_first(tcp, s)
    if (
        tcp.streams[s, col.S_HELD] == 0
        and tcp.streams[s ^ 1, col.S_ENDED] != 0
        and tcp.streams[s ^ 1, col.S_END_TOLD] == 0
    ):
        tell_ends(tcp, s >> 1)


@cold
def start(tcp: Tcp, s: int) -> None:
    """A stream without SYN starts at the lowest offset held."""
    stop_waiting(tcp, s)
    tcp.streams[s, col.S_STARTED] = 1
    tcp.streams[s, col.S_NEXT] = tcp.nodes[tcp.nodes[tcp.streams[s, col.S_HELD], col.N_NEXT], col.N_OFFSET]
    tcp.streams[s, col.S_FIRST] = tcp.streams[s, col.S_NEXT]
    drain(tcp, s)


@kernel
def stop_waiting(tcp: Tcp, s: int) -> None:
    """Stream s no longer waits for its start."""
    if tcp.streams[s, col.S_WAITING] != 0:
        tcp.streams[s, col.S_WAITING] = 0
        unlink(tcp.streams, col.S_PREV, col.S_FOLLOWING, s)


@kernel
def note_acknowledged(tcp: Tcp, s: int) -> None:
    """A hole that the receiver has acknowledged will not be filled by a retransmission: it is waited for only shortly.

    Nothing need be held behind it: what the receiver has acknowledged was sent. (A FIN that was lost counts one.)
    """
    if tcp.streams[s, col.S_WAITING] != 0 or tcp.streams[s, col.S_STARTED] == 0 or tcp.streams[s, col.S_ENDED] != 0:
        return
    if tcp.streams[s, col.S_HELD] == 0:
        lost = tcp.streams[s, col.S_ACKED] > tcp.streams[s, col.S_NEXT] + 1
    else:
        first = tcp.nodes[tcp.streams[s, col.S_HELD], col.N_NEXT]
        lost = tcp.nodes[first, col.N_OFFSET] <= tcp.streams[s, col.S_ACKED]
    if lost:
        tcp.streams[s, col.S_GOAL] = tcp.streams[s, col.S_ACKED]
        wait(tcp, s)


@kernel
def wait(tcp: Tcp, s: int) -> None:
    """Stream s waits until its time is over: see `track.expired`."""
    tcp.streams[s, col.S_WAITING] = 1
    tcp.streams[s, col.S_WAITED] = tcp.state[col.G_CLOCK]
    append(tcp.streams, col.S_PREV, col.S_FOLLOWING, 0, s)


@cold
def give_up(tcp: Tcp, s: int, goal: int) -> None:
    """Holes of stream s before offset `goal` become gaps, and so does what was acknowledged behind its last byte."""
    if tcp.streams[s, col.S_HELD] != 0 and tcp.streams[s, col.S_STARTED] == 0:
        start(tcp, s)
    while tcp.streams[s, col.S_HELD] != 0:
        n = tcp.nodes[tcp.streams[s, col.S_HELD], col.N_NEXT]
        if tcp.nodes[n, col.N_OFFSET] > goal:
            break
        hole = tcp.nodes[n, col.N_OFFSET] - tcp.streams[s, col.S_NEXT]
        if hole > 0:
            add_gap(tcp, s, hole, col.LOST)
        take_first(tcp, s)
    drain(tcp, s)
    if tcp.streams[s, col.S_STARTED] == 0 or tcp.streams[s, col.S_ENDED] != 0 or tcp.streams[s, col.S_HELD] != 0:
        return
    hole = min(goal, tcp.streams[s, col.S_ACKED]) - tcp.streams[s, col.S_NEXT]
    if hole > 1:
        add_gap(tcp, s, hole, col.LOST)
