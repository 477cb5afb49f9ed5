"""What a segment does to its stream: SYN, acknowledgement, payload, FIN, RST (RFC 9293 section 3.10)."""

from __future__ import annotations

from typing import Any

from inspector.kernel import cold, kernel
from inspector.seq import MASK, distance
from inspector.tcp.flows import wait_at_source
from inspector.tcp.handing import add_gap, differs_handed, emit, end_stream, relist, tell_ends
from inspector.tcp.holding import drain, head_of, hold, insert, note_acknowledged, start, stop_waiting, wait
from inspector.tcp.keys import remove_keys
from inspector.tcp.layout import (
    ACK,
    BUSY,
    C_CONFLICTS,
    C_HANDSHAKE,
    C_LAST,
    C_LIST,
    C_PACKETS,
    C_PAYLOAD,
    C_PREV,
    C_RETRANSMISSIONS,
    C_SEEN,
    C_SIDES,
    EMPTY,
    END,
    FIN,
    G_CLOCK,
    G_CONFLICTS,
    G_DROPPED_BYTES,
    G_EARLY,
    G_OUT_OF_ORDER,
    G_RETRANSMISSIONS,
    G_START_BYTES,
    HOW_FIN,
    HOW_RST,
    KIND_SOURCE,
    N_CAPTURE,
    N_LENGTH,
    N_NEXT,
    N_OFFSET,
    N_PACKET,
    N_PEER,
    N_SLOT,
    N_SRC,
    N_TIME,
    NONE,
    PIECE,
    RST,
    S_ACKED,
    S_BASE,
    S_BASED,
    S_END_TIME,
    S_ENDED,
    S_ENDING,
    S_FIRST,
    S_HELD,
    S_ISN1,
    S_LAST_ACK,
    S_LIMIT,
    S_NEXT,
    S_STARTED,
    S_SYN,
    S_SYNCED,
    S_TOP,
    S_WAIT_BYTES,
    S_WAITING,
    SNAPPED,
    SYN,
    T_ACK,
    T_AT,
    T_CAPTURE,
    T_CAPTURED,
    T_FLAGS,
    T_LENGTH,
    T_PACKET,
    T_SEQ,
    T_TIME,
)


@cold
def begin(state: Any, conns: Any, streams: Any, nodes: Any, out: Any, s: int, number: int) -> None:
    """Sequence number `number` is the first byte of stream s."""
    if streams[s, S_BASED] == 0:
        streams[s, S_BASED] = 1
        streams[s, S_BASE] = number
    at = streams[s, S_NEXT] + distance(number, (streams[s, S_BASE] + streams[s, S_NEXT]) & MASK)
    streams[s, S_SYNCED] = 1
    if streams[s, S_STARTED] == 0:
        stop_waiting(streams, s)
        streams[s, S_STARTED] = 1
        streams[s, S_NEXT] = at
        streams[s, S_FIRST] = at
        streams[s, S_TOP] = max(streams[s, S_TOP], at)
        drain(state, conns, streams, nodes, out, s)


@cold
def acknowledge(
    state: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    seg: Any,
    i: int,
    s: int,
    seq: int,
) -> int:
    """What segment i of stream s acknowledges, as an offset of the other direction."""
    m = s ^ 1
    number = seg[T_ACK, i]
    streams[s, S_LAST_ACK] = number
    if streams[m, S_BASED] == 0:
        streams[m, S_BASED] = 1
        streams[m, S_BASE] = number
    at = streams[m, S_NEXT] + distance(number, (streams[m, S_BASE] + streams[m, S_NEXT]) & MASK)
    if streams[m, S_STARTED] == 0:
        lowest = at
        if streams[m, S_HELD] != 0:
            lowest = nodes[nodes[streams[m, S_HELD], N_NEXT], N_OFFSET]
        # a SYN,ACK, and the first packet after the own SYN, acknowledge the SYN of the other side
        first = streams[s, S_SYN] != 0 and seq == streams[s, S_ISN1] and streams[m, S_ACKED] == NONE
        if lowest >= at and (seg[T_FLAGS, i] & SYN != 0 or first):
            begin(state, conns, streams, nodes, out, m, number)
    at = min(at, streams[m, S_LIMIT])
    if at > streams[m, S_ACKED]:
        streams[m, S_ACKED] = at
        note_acknowledged(state, streams, nodes, m)
    return at


@cold
def late_bytes(
    state: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    data: Any,
    store: Any,
    s: int,
    offset: int,
    stop: int,
) -> None:
    """The piece at hand ends before the next offset: a retransmission, a keep-alive probe, or too early for the start."""
    if stop - offset == 1 and stop == streams[s, S_NEXT]:
        return
    if stop <= streams[s, S_FIRST]:
        state[G_EARLY] += 1
        return
    state[G_RETRANSMISSIONS] += 1
    conns[s >> 1, C_RETRANSMISSIONS] += 1
    real = min(stop, offset + nodes[PIECE, N_LENGTH])
    if differs_handed(streams, nodes, out, data, store, s, offset, real) != 0:
        state[G_CONFLICTS] += 1
        conns[s >> 1, C_CONFLICTS] += 1


@kernel
def in_order(
    state: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    data: Any,
    store: Any,
    s: int,
    offset: int,
    stop: int,
) -> None:
    """The piece at hand brings the next byte and overlaps nothing that is held."""
    at = streams[s, S_NEXT]
    real = min(stop, offset + nodes[PIECE, N_LENGTH])
    if at < real:
        emit(state, streams, nodes, out, s, PIECE, at, real)
        at = real
    if at < stop:
        add_gap(state, conns, streams, out, s, stop - at, SNAPPED)
    if streams[s, S_HELD] != 0:
        drain(state, conns, streams, nodes, out, s)


@kernel
def receive(
    state: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    data: Any,
    store: Any,
    s: int,
    offset: int,
    stop: int,
    extra: bool,
) -> None:
    """The piece at hand, offset..stop of stream s: hand it out, hold it, or count it. `extra`: a copy with more bytes."""
    if streams[s, S_ENDED] != 0 or stop > streams[s, S_LIMIT]:
        limit = streams[s, S_NEXT] if streams[s, S_ENDED] != 0 else streams[s, S_LIMIT]
        if stop > limit:
            state[G_DROPPED_BYTES] += stop - max(offset, limit)
            stop = limit
        if stop <= offset:
            return
    streams[s, S_TOP] = max(streams[s, S_TOP], stop)
    at = streams[s, S_NEXT]
    started = streams[s, S_STARTED] != 0
    if started and stop <= at:
        if not extra:
            late_bytes(state, conns, streams, nodes, out, data, store, s, offset, stop)
        return
    differ = 0
    if started and offset < at:
        real = min(at, offset + nodes[PIECE, N_LENGTH])
        differ = differs_handed(streams, nodes, out, data, store, s, offset, real)
    first = streams[s, S_HELD]
    if first != 0:
        first = nodes[first, N_NEXT]
    if started and offset <= at and (first == 0 or nodes[first, N_OFFSET] >= stop):
        in_order(state, conns, streams, nodes, out, data, store, s, offset, stop)
    else:
        if started and offset > at and not extra:
            state[G_OUT_OF_ORDER] += 1
        result = hold(state, streams, nodes, data, store, s, max(offset, at) if started else offset, stop)
        differ |= result & 1
        if result < 2 and not extra:
            state[G_RETRANSMISSIONS] += 1
            conns[s >> 1, C_RETRANSMISSIONS] += 1
        if started:
            drain(state, conns, streams, nodes, out, s)
            note_acknowledged(state, streams, nodes, s)
        else:
            await_start(state, streams, s, stop - offset)
            # What is acknowledged up to here has no earlier bytes to wait for, and its answer is not to overtake it.
            if streams[s, S_WAIT_BYTES] > state[G_START_BYTES] or offset == streams[s, S_ACKED]:
                start(state, conns, streams, nodes, out, s)
    if differ != 0 and not extra:
        state[G_CONFLICTS] += 1
        conns[s >> 1, C_CONFLICTS] += 1


@kernel
def await_start(state: Any, streams: Any, s: int, length: int) -> None:
    """Stream s has bytes, but its start is not known: wait a little for earlier ones."""
    streams[s, S_WAIT_BYTES] += length
    if streams[s, S_WAITING] == 0:
        wait(state, streams, s)


@cold
def finned(state: Any, conns: Any, streams: Any, nodes: Any, out: Any, s: int, at: int, time: int) -> None:
    """A FIN of stream s at offset `at`. One that contradicts bytes seen is not believed."""
    if streams[s, S_ENDED] != 0 or streams[s, S_ENDING] != 0 or at < streams[s, S_TOP]:
        return
    if streams[s, S_STARTED] != 0 and at < streams[s, S_NEXT]:
        return
    streams[s, S_LIMIT] = at
    streams[s, S_ENDING] = HOW_FIN
    if streams[s, S_STARTED] != 0 and streams[s, S_NEXT] == at:
        end_stream(state, conns, streams, out, s, HOW_FIN, time)
        return
    head = head_of(state, streams, nodes, s)
    insert(state, nodes, head, END, at, at)
    if streams[s, S_STARTED] == 0:
        await_start(state, streams, s, 0)


@cold
def reset(state: Any, conns: Any, streams: Any, nodes: Any, out: Any, s: int, time: int) -> None:
    """A RST on stream s ends both directions; what is held still waits for the bytes before it."""
    for side in range(2):
        t = s ^ side
        if streams[t, S_ENDED] != 0:
            continue
        if streams[t, S_HELD] == 0:
            end_stream(state, conns, streams, out, t, HOW_RST, time)
        else:
            streams[t, S_ENDING] = HOW_RST
            streams[t, S_END_TIME] = time
            streams[t, S_LIMIT] = min(streams[t, S_LIMIT], streams[t, S_TOP])


@kernel
def visit(
    state: Any, table: Any, keys: Any, conns: Any, streams: Any, out: Any, seg: Any, i: int, s: int, extra: bool
) -> None:
    """Segment i belongs to stream s: the bookkeeping of its connection."""
    c = s >> 1
    conns[c, C_SEEN] = state[G_CLOCK]
    if not extra:
        conns[c, C_PACKETS] += 1
    conns[c, C_LAST] = max(conns[c, C_LAST], seg[T_TIME, i])
    which = conns[c, C_LIST]
    if which == EMPTY and seg[T_LENGTH, i] > 0:
        which = BUSY
    if conns[c, C_LIST] != which or conns[which, C_PREV] != c:
        relist(state, conns, c, which)
    if seg[T_LENGTH, i] > 0 and conns[c, C_PAYLOAD] == 0:
        conns[c, C_PAYLOAD] = 1
        tell_ends(state, conns, streams, out, c)
    sides = conns[c, C_SIDES]
    if sides != 3:
        conns[c, C_SIDES] = sides | (1 << (s & 1))
        if conns[c, C_SIDES] == 3:
            remove_keys(state, table, keys, conns, c, 1)
        elif streams[s, S_SYN] != 0 and seg[T_FLAGS, i] & SYN == 0 and conns[c, C_PACKETS] == 2:
            wait_at_source(state, table, keys, conns, seg, i, s, 0, KIND_SOURCE)


@kernel
def digest(
    state: Any,
    conns: Any,
    streams: Any,
    nodes: Any,
    out: Any,
    data: Any,
    store: Any,
    seg: Any,
    i: int,
    s: int,
    extra: bool,
) -> None:
    """Segment i of stream s: SYN, acknowledgement, payload, FIN, RST, in this order."""
    flags = seg[T_FLAGS, i]
    seq = seg[T_SEQ, i]
    length = seg[T_LENGTH, i]
    if flags & SYN != 0 and flags & RST == 0:
        seq = (seq + 1) & MASK
        if streams[s, S_SYN] == 0:
            streams[s, S_SYN] = 1
            streams[s, S_ISN1] = seq
            begin(state, conns, streams, nodes, out, s, seq)
            if streams[s ^ 1, S_SYN] != 0:
                conns[s >> 1, C_HANDSHAKE] = 1
        elif not extra:
            state[G_RETRANSMISSIONS] += 1
            conns[s >> 1, C_RETRANSMISSIONS] += 1
    if streams[s, S_BASED] == 0 and flags & RST == 0:
        streams[s, S_BASED] = 1
        streams[s, S_BASE] = seq
    peer = NONE
    m = s ^ 1
    if flags & ACK != 0 and flags & RST == 0 and streams[m, S_STARTED] != 0 and streams[m, S_HELD] == 0:
        streams[s, S_LAST_ACK] = seg[T_ACK, i]
        at = streams[m, S_NEXT]
        peer = min(at + distance(seg[T_ACK, i], (streams[m, S_BASE] + at) & MASK), streams[m, S_LIMIT])
        streams[m, S_ACKED] = max(streams[m, S_ACKED], peer)
    elif flags & ACK != 0 and flags & RST == 0:
        peer = acknowledge(state, conns, streams, nodes, out, seg, i, s, seq)
    if length > 0 or flags & FIN != 0:
        at = streams[s, S_NEXT] + distance(seq, (streams[s, S_BASE] + streams[s, S_NEXT]) & MASK)
        nodes[PIECE, N_OFFSET] = at
        nodes[PIECE, N_LENGTH] = min(seg[T_CAPTURED, i], length)
        nodes[PIECE, N_SRC] = seg[T_AT, i]
        nodes[PIECE, N_SLOT] = s
        nodes[PIECE, N_TIME] = seg[T_TIME, i]
        nodes[PIECE, N_CAPTURE] = seg[T_CAPTURE, i]
        nodes[PIECE, N_PACKET] = seg[T_PACKET, i]
        nodes[PIECE, N_PEER] = peer
        if length > 0 and flags & RST == 0:
            receive(state, conns, streams, nodes, out, data, store, s, at, at + length, extra)
        if flags & FIN != 0:
            finned(state, conns, streams, nodes, out, s, at + length, seg[T_TIME, i])
    if flags & RST != 0:
        reset(state, conns, streams, nodes, out, s, seg[T_TIME, i])
