"""What a segment does to its stream: SYN, acknowledgement, payload, FIN, RST (RFC 9293 section 3.10)."""

from __future__ import annotations

from inspector.kernels.kernel import cold, kernel
from inspector.seq import MASK, distance
from inspector.tcp import layout as col
from inspector.tcp.accept import ahead, came_before, outlying, probe, reset, went_on
from inspector.tcp.deliver import add_gap, differs_handed, emit, end_stream, relist, tell_ends, turn_of
from inspector.tcp.flows import wait_at_source
from inspector.tcp.keys import remove_keys
from inspector.tcp.layout import Tcp
from inspector.tcp.out_of_order import drain, head_of, hold, insert, note_acknowledged, start, stop_waiting, wait


@cold
def begin(tcp: Tcp, s: int, number: int) -> None:
    """Sequence number `number` is the first byte of stream s."""
    if tcp.streams[s, col.S_BASED] == 0:
        tcp.streams[s, col.S_BASED] = 1
        tcp.streams[s, col.S_BASE] = number
    at = tcp.streams[s, col.S_NEXT] + distance(number, (tcp.streams[s, col.S_BASE] + tcp.streams[s, col.S_NEXT]) & MASK)
    tcp.streams[s, col.S_SYNCED] = 1
    if tcp.streams[s, col.S_STARTED] == 0:
        stop_waiting(tcp, s)
        tcp.streams[s, col.S_STARTED] = 1
        tcp.streams[s, col.S_NEXT] = at
        tcp.streams[s, col.S_FIRST] = at
        tcp.streams[s, col.S_TOP] = max(tcp.streams[s, col.S_TOP], at)
        drain(tcp, s)


@kernel
def note_turn(tcp: Tcp, s: int, seq: int, at: int) -> None:
    """A packet of stream s with the number `seq` acknowledges the other one up to `at`, further than any before.

    Bytes that it sent before it may be retransmitted with a new acknowledgement: they are no turn.
    """
    said = max(tcp.streams[s, col.S_TOP], tcp.streams[s, col.S_NEXT] + ahead(tcp, s, seq))
    m = s ^ 1
    tcp.streams[m, col.S_ACKED] = at
    if tcp.streams[m, col.S_SAID_AT] != said:
        for k in range(col.S_WIDTH - 1, col.S_SAID_AT + 1, -1):
            tcp.streams[m, k] = tcp.streams[m, k - 2]
        tcp.streams[m, col.S_SAID_AT] = said
    tcp.streams[m, col.S_SAID_AT + 1] = at


@cold
def acknowledge(tcp: Tcp, i: int, s: int, seq: int) -> int:
    """What segment i of stream s acknowledges, as an offset of the other direction."""
    m = s ^ 1
    number = tcp.seg[col.T_ACK, i]
    tcp.streams[s, col.S_LAST_ACK] = number
    if tcp.streams[m, col.S_BASED] == 0:
        tcp.streams[m, col.S_BASED] = 1
        tcp.streams[m, col.S_BASE] = number
    at = tcp.streams[m, col.S_NEXT] + ahead(tcp, m, number)
    if at > max(tcp.streams[m, col.S_TOP], tcp.streams[m, col.S_ACKED]) + col.AHEAD and outlying(
        tcp, m, col.S_FAR_ACK, number
    ):
        return col.NONE
    if tcp.streams[m, col.S_STARTED] == 0:
        if at == 1 and tcp.streams[m, col.S_HELD] == 0 and tcp.streams[m, col.S_ACKED] == col.NONE:
            at = 0  # what showed the base was an empty keep-alive probe, one number back
            tcp.streams[m, col.S_BASE] = number
        lowest = at
        if tcp.streams[m, col.S_HELD] != 0:
            lowest = tcp.nodes[tcp.nodes[tcp.streams[m, col.S_HELD], col.N_NEXT], col.N_OFFSET]
        # a SYN,ACK, and the first packet after the own SYN, acknowledge the SYN of the other side
        first = (
            tcp.streams[s, col.S_SYN] != 0
            and seq == tcp.streams[s, col.S_ISN1]
            and tcp.streams[m, col.S_ACKED] == col.NONE
        )
        if lowest >= at and (tcp.seg[col.T_FLAGS, i] & col.SYN != 0 or first):
            begin(tcp, m, number)
    at = min(at, tcp.streams[m, col.S_LIMIT])
    if at > tcp.streams[m, col.S_ACKED]:
        note_turn(tcp, s, seq, at)
        note_acknowledged(tcp, m)
    return at


@cold
def note_arrived(tcp: Tcp, i: int, m: int, at: int) -> None:
    """Segment i acknowledges stream m up to `at`, more than was seen in order: all bytes before that have arrived by now.

    One pair of an offset and a time does. A later acknowledgement takes the place of an earlier one, which is as true of the
    bytes before both, only not as early; it is not replaced by one of the same bytes.
    """
    if at > tcp.streams[m, col.S_ARRIVED]:
        tcp.streams[m, col.S_ARRIVED] = at
        tcp.streams[m, col.S_ARRIVED_TIME] = tcp.seg[col.T_TIME, i]
        tcp.streams[m, col.S_ARRIVED_CAPTURE] = tcp.seg[col.T_CAPTURE, i]


@cold
def late_bytes(tcp: Tcp, s: int, offset: int, stop: int) -> None:
    """The piece at hand ends before the next offset: a retransmission, a keep-alive probe, or too early for the start."""
    if stop - offset == 1 and stop == tcp.streams[s, col.S_NEXT]:
        return
    if stop <= tcp.streams[s, col.S_FIRST]:
        tcp.state[col.G_EARLY] += 1
        return
    tcp.state[col.G_RETRANSMISSIONS] += 1
    tcp.conns[s >> 1, col.C_RETRANSMISSIONS] += 1
    real = min(stop, offset + tcp.nodes[col.PIECE, col.N_LENGTH])
    if differs_handed(tcp, s, offset, real) != 0:
        tcp.state[col.G_CONFLICTS] += 1
        tcp.conns[s >> 1, col.C_CONFLICTS] += 1


@kernel
def in_order(tcp: Tcp, s: int, offset: int, stop: int) -> None:
    """The piece at hand brings the next byte and overlaps nothing that is held."""
    at = tcp.streams[s, col.S_NEXT]
    real = min(stop, offset + tcp.nodes[col.PIECE, col.N_LENGTH])
    if at < real:
        emit(tcp, s, col.PIECE, at, real)
        at = real
    if at < stop:
        add_gap(tcp, s, stop - at, col.SNAPPED)
    if tcp.streams[s, col.S_HELD] != 0:
        drain(tcp, s)


@kernel
def receive(tcp: Tcp, s: int, offset: int, stop: int, extra: bool) -> None:
    """The piece at hand, offset..stop of stream s: hand it out, hold it, or count it. `extra`: a copy with more bytes."""
    if tcp.streams[s, col.S_ENDED] != 0 or stop > tcp.streams[s, col.S_LIMIT]:
        limit = tcp.streams[s, col.S_NEXT] if tcp.streams[s, col.S_ENDED] != 0 else tcp.streams[s, col.S_LIMIT]
        if stop > limit:
            tcp.state[col.G_DROPPED_BYTES] += stop - max(offset, limit)
            stop = limit
        if stop <= offset:
            return
    tcp.streams[s, col.S_TOP] = max(tcp.streams[s, col.S_TOP], stop)
    at = tcp.streams[s, col.S_NEXT]
    started = tcp.streams[s, col.S_STARTED] != 0
    if started and stop <= at:
        if not extra:
            late_bytes(tcp, s, offset, stop)
        return
    differ = 0
    if started and offset < at:
        real = min(at, offset + tcp.nodes[col.PIECE, col.N_LENGTH])
        differ = differs_handed(tcp, s, offset, real)
    first = tcp.streams[s, col.S_HELD]
    if first != 0:
        first = tcp.nodes[first, col.N_NEXT]
    if started and offset <= at and (first == 0 or tcp.nodes[first, col.N_OFFSET] >= stop):
        in_order(tcp, s, offset, stop)
    else:
        if started and offset > at and not extra:
            tcp.state[col.G_OUT_OF_ORDER] += 1
        result = hold(tcp, s, max(offset, at) if started else offset, stop)
        differ |= result & 1
        if result < 2 and not extra:
            tcp.state[col.G_RETRANSMISSIONS] += 1
            tcp.conns[s >> 1, col.C_RETRANSMISSIONS] += 1
        if started:
            drain(tcp, s)
            note_acknowledged(tcp, s)
        else:
            await_start(tcp, s, stop - offset)
            # What is acknowledged up to here has no earlier bytes to wait for, and its answer is not to overtake it.
            if tcp.streams[s, col.S_WAIT_BYTES] > tcp.state[col.G_START_BYTES] or offset == tcp.streams[s, col.S_ACKED]:
                start(tcp, s)
    if differ != 0 and not extra:
        tcp.state[col.G_CONFLICTS] += 1
        tcp.conns[s >> 1, col.C_CONFLICTS] += 1


@kernel
def await_start(tcp: Tcp, s: int, length: int) -> None:
    """Stream s has bytes, but its start is not known: wait a little for earlier ones."""
    tcp.streams[s, col.S_WAIT_BYTES] += length
    if tcp.streams[s, col.S_WAITING] == 0:
        wait(tcp, s)


@cold
def finned(tcp: Tcp, s: int, at: int, time: int) -> None:
    """A FIN of stream s at offset `at`. One that contradicts bytes seen is not believed."""
    if tcp.streams[s, col.S_ENDED] != 0 or tcp.streams[s, col.S_ENDING] != 0 or at < tcp.streams[s, col.S_TOP]:
        return
    if tcp.streams[s, col.S_STARTED] != 0 and at < tcp.streams[s, col.S_NEXT]:
        return
    tcp.streams[s, col.S_LIMIT] = at
    tcp.streams[s, col.S_ENDING] = col.HOW_FIN
    if tcp.streams[s, col.S_STARTED] != 0 and tcp.streams[s, col.S_NEXT] == at:
        end_stream(tcp, s, col.HOW_FIN, time)
        return
    head = head_of(tcp, s)
    insert(tcp, head, col.END, at, at)
    if tcp.streams[s, col.S_STARTED] == 0:
        await_start(tcp, s, 0)


@kernel
def visit(tcp: Tcp, i: int, s: int, extra: bool) -> None:
    """Segment i belongs to stream s: the bookkeeping of its connection."""
    c = s >> 1
    tcp.conns[c, col.C_SEEN] = tcp.state[col.G_CLOCK]
    if not extra:
        tcp.conns[c, col.C_PACKETS] += 1
    tcp.conns[c, col.C_LAST] = max(tcp.conns[c, col.C_LAST], tcp.seg[col.T_TIME, i])
    which = tcp.conns[c, col.C_LIST]
    if which == col.EMPTY and tcp.seg[col.T_LENGTH, i] > 0:
        which = col.BUSY
    if tcp.conns[c, col.C_LIST] != which or tcp.conns[which, col.C_PREV] != c:
        relist(tcp, c, which)
    if tcp.seg[col.T_LENGTH, i] > 0 and tcp.conns[c, col.C_PAYLOAD] == 0:
        tcp.conns[c, col.C_PAYLOAD] = 1
        tell_ends(tcp, c)
    sides = tcp.conns[c, col.C_SIDES]
    if sides != 3:
        tcp.conns[c, col.C_SIDES] = sides | (1 << (s & 1))
        if tcp.conns[c, col.C_SIDES] == 3:
            remove_keys(tcp, c, 1)
        elif (
            tcp.streams[s, col.S_SYN] != 0
            and tcp.seg[col.T_FLAGS, i] & col.SYN == 0
            and tcp.conns[c, col.C_PACKETS] == 2
        ):
            wait_at_source(tcp, i, s, 0, col.KIND_SOURCE)


@kernel
def said(tcp: Tcp, i: int, s: int, seq: int) -> int:
    """What segment i of stream s acknowledges of the other one: an offset."""
    m = s ^ 1
    at = tcp.streams[m, col.S_NEXT]
    peer = at + distance(tcp.seg[col.T_ACK, i], (tcp.streams[m, col.S_BASE] + at) & MASK)
    if tcp.streams[m, col.S_STARTED] != 0 and tcp.streams[m, col.S_HELD] == 0 and peer <= at + 1:
        tcp.streams[s, col.S_LAST_ACK] = tcp.seg[col.T_ACK, i]
        peer = min(peer, tcp.streams[m, col.S_LIMIT])
        if peer > tcp.streams[m, col.S_ACKED]:
            note_turn(tcp, s, seq, peer)
    else:
        peer = acknowledge(tcp, i, s, seq)
    if peer > tcp.streams[m, col.S_NEXT]:
        note_arrived(tcp, i, m, peer)
    if tcp.conns[s >> 1, col.C_LIST] == col.RESET:
        came_before(tcp, i, s)
        went_on(tcp, s)
    return peer


@kernel
def digest(tcp: Tcp, i: int, s: int, extra: bool) -> None:
    """Segment i of stream s: RST, or SYN, acknowledgement, payload, FIN, in this order."""
    flags = tcp.seg[col.T_FLAGS, i]
    seq = tcp.seg[col.T_SEQ, i]
    length = tcp.seg[col.T_LENGTH, i]
    if flags & col.RST != 0:
        reset(tcp, i, s)
        return
    if flags & col.SYN != 0:
        seq = (seq + 1) & MASK
        if tcp.streams[s, col.S_SYN] == 0:
            tcp.streams[s, col.S_SYN] = 1
            tcp.streams[s, col.S_ISN1] = seq
            begin(tcp, s, seq)
            if tcp.streams[s ^ 1, col.S_SYN] != 0:
                tcp.conns[s >> 1, col.C_HANDSHAKE] = 1
        elif not extra:
            tcp.state[col.G_RETRANSMISSIONS] += 1
            tcp.conns[s >> 1, col.C_RETRANSMISSIONS] += 1
    if length == 1 and tcp.streams[s, col.S_STARTED] == 0 and probe(tcp, i, s):
        length = 0
    if tcp.streams[s, col.S_BASED] == 0:
        tcp.streams[s, col.S_BASED] = 1
        tcp.streams[s, col.S_BASE] = seq
    beyond = distance(seq, (tcp.streams[s, col.S_BASE] + tcp.streams[s, col.S_NEXT]) & MASK)
    if (beyond > col.AHEAD or beyond < -col.AHEAD) and outlying(tcp, s, col.S_FAR, seq):
        return
    peer = said(tcp, i, s, seq) if flags & col.ACK != 0 else col.NONE
    if length > 0 or flags & col.FIN != 0:
        at = tcp.streams[s, col.S_NEXT] + distance(
            seq, (tcp.streams[s, col.S_BASE] + tcp.streams[s, col.S_NEXT]) & MASK
        )
        tcp.nodes[col.PIECE, col.N_OFFSET] = at
        tcp.nodes[col.PIECE, col.N_LENGTH] = min(tcp.seg[col.T_CAPTURED, i], length)
        tcp.nodes[col.PIECE, col.N_SRC] = tcp.seg[col.T_AT, i]
        tcp.nodes[col.PIECE, col.N_SLOT] = s
        tcp.nodes[col.PIECE, col.N_TIME] = tcp.seg[col.T_TIME, i]
        tcp.nodes[col.PIECE, col.N_CAPTURE] = tcp.seg[col.T_CAPTURE, i]
        tcp.nodes[col.PIECE, col.N_PACKET] = tcp.seg[col.T_PACKET, i]
        tcp.nodes[col.PIECE, col.N_PEER] = peer
        tcp.nodes[col.PIECE, col.N_TURN] = turn_of(tcp, s, peer)
        if length > 0:
            receive(tcp, s, at, at + length, extra)
        if flags & col.FIN != 0:
            finned(tcp, s, at + length, tcp.seg[col.T_TIME, i])
