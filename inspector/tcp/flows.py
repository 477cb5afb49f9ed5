"""Which stream a segment belongs to: connections, port reuse, and the two halves of a NATed connection."""

from __future__ import annotations

from inspector.kernels.kernel import cold, kernel
from inspector.seq import MASK
from inspector.table import I64
from inspector.tcp import layout as col
from inspector.tcp.deliver import end_stream, tell_ends
from inspector.tcp.keys import add_join, add_pair, append, remove_keys, unlink
from inspector.tcp.layout import Tcp
from inspector.tcp.nat import join_answer, join_numbers, set_client, set_server, set_wire
from inspector.tcp.openings import CONFIRMED, GOES_ON, IGNORED, SAME, judge
from inspector.tcp.out_of_order import give_up, stop_waiting


@kernel
def clear_stream(tcp: Tcp, s: int, number: int) -> None:
    """Slot s begins stream `number`."""
    for column in range(col.S_WIDTH):
        tcp.streams[s, column] = 0
    tcp.streams[s, col.S_ID] = number + 1
    tcp.streams[s, col.S_ACKED] = col.NONE
    tcp.streams[s, col.S_ARRIVED] = col.NONE
    tcp.streams[s, col.S_LAST_ACK] = -1
    tcp.streams[s, col.S_FAR] = -1
    tcp.streams[s, col.S_FAR_ACK] = -1
    tcp.streams[s, col.S_LIMIT] = col.FAR
    tcp.streams[s, col.S_REFUSED] = col.FAR
    tcp.streams[s, col.S_FORGET] = col.NONE
    tcp.streams[s, col.S_RELEASED] = -1
    for k in range(col.TURNS):
        tcp.streams[s, col.S_SAID_AT + 2 * k] = col.FAR


@cold
def create(tcp: Tcp, i: int, reply: bool) -> int:
    """A new connection for segment i; returns the slot of its stream. reply: the server sent it."""
    c = tcp.state[col.G_FREE_CONNS]
    tcp.state[col.G_FREE_CONNS] = tcp.conns[c, col.C_FOLLOWING]
    tcp.state[col.G_CONN_ROOM] -= 1
    number = tcp.state[col.G_CONNECTION]
    tcp.state[col.G_CONNECTION] = number + 1
    tcp.state[col.G_CONNECTIONS] += 1
    for column in range(col.C_WIDTH):
        tcp.conns[c, column] = 0
    clear_stream(tcp, 2 * c, 2 * number)
    clear_stream(tcp, 2 * c + 1, 2 * number + 1)
    append(tcp.conns, col.C_PREV, col.C_FOLLOWING, col.EMPTY, c)
    tcp.state[col.G_IN_EMPTY] += 1
    tcp.conns[c, col.C_ID] = number
    tcp.conns[c, col.C_SEEN] = tcp.state[col.G_CLOCK]
    tcp.conns[c, col.C_CLIENT] = 2 * c
    tcp.conns[c, col.C_CAPTURE] = tcp.seg[col.T_CAPTURE, i]
    tcp.conns[c, col.C_INTERFACE] = tcp.seg[col.T_INTERFACE, i]
    tcp.conns[c, col.C_FIRST] = tcp.seg[col.T_TIME, i]
    tcp.conns[c, col.C_LAST] = tcp.seg[col.T_TIME, i]
    flags = tcp.seg[col.T_FLAGS, i]
    if reply:
        slot = 2 * c + 1
        set_client(tcp, c, tcp.seg[col.T_DST_HI, i], tcp.seg[col.T_DST_LO, i], tcp.seg[col.T_DPORT, i])
        set_server(tcp, c, tcp.seg[col.T_SRC_HI, i], tcp.seg[col.T_SRC_LO, i], tcp.seg[col.T_SPORT, i])
        set_wire(tcp, c, tcp.seg[col.T_SRC_HI, i], tcp.seg[col.T_SRC_LO, i], tcp.seg[col.T_SPORT, i])
    else:
        slot = 2 * c
        set_client(tcp, c, tcp.seg[col.T_SRC_HI, i], tcp.seg[col.T_SRC_LO, i], tcp.seg[col.T_SPORT, i])
        set_server(tcp, c, tcp.seg[col.T_DST_HI, i], tcp.seg[col.T_DST_LO, i], tcp.seg[col.T_DPORT, i])
        set_wire(tcp, c, tcp.seg[col.T_DST_HI, i], tcp.seg[col.T_DST_LO, i], tcp.seg[col.T_DPORT, i])
    add_pair(tcp, i, slot)
    if flags & col.SYN != 0 and flags & col.ACK == 0:
        wait_at_source(tcp, i, slot, (tcp.seg[col.T_SEQ, i] + 1) & MASK, col.KIND_SYN)
    else:
        if flags & col.SYN == 0:
            wait_at_source(tcp, i, slot, 0, col.KIND_SOURCE)
        add_join(
            tcp,
            slot,
            tcp.seg[col.T_DST, i],
            tcp.seg[col.T_DST_HI, i],
            tcp.seg[col.T_DST_LO, i],
            tcp.seg[col.T_DPORT, i],
            0,
            col.KIND_TARGET,
        )
    return slot


@cold
def wait_at_source(tcp: Tcp, i: int, slot: int, number: int, kind: int) -> None:
    """Stream `slot` waits for its other half at the source of segment i."""
    hi = tcp.seg[col.T_SRC_HI, i]
    lo = tcp.seg[col.T_SRC_LO, i]
    add_join(tcp, slot, tcp.seg[col.T_SRC, i], hi, lo, tcp.seg[col.T_SPORT, i], number, kind)


@cold
def assign(tcp: Tcp, i: int, s: int) -> int:
    """The stream slot of segment i, 0 where it opens nothing or is ignored; s is what its addresses lead to."""
    flags = tcp.seg[col.T_FLAGS, i]
    opening = flags & col.SYN != 0 and flags & col.RST == 0
    if s != 0:
        found = judge(tcp, i, s)
        if found == SAME:
            return s
        if found == IGNORED:
            tcp.state[col.G_IGNORED] += 1
            return 0
        if found == CONFIRMED:
            return open_anew(tcp, i, s)
        if found == GOES_ON:
            return continue_anew(tcp, i, s)
        close(tcp, s >> 1, col.HOW_REUSED, tcp.seg[col.T_TIME, i])
        s = 0
    if opening and flags & col.ACK != 0:
        s = join_answer(tcp, i)
    elif not opening:
        s = join_numbers(tcp, i)
        if s == 0 and tcp.seg[col.T_LENGTH, i] == 0 and flags & (col.RST | col.FIN) != 0:
            tcp.state[col.G_STRAY] += 1
            return 0
    if s == 0:
        s = create(tcp, i, opening and flags & col.ACK != 0)
    return s


@cold
def open_anew(tcp: Tcp, i: int, s: int) -> int:
    """Segment i shows that a SYN noted on stream s's connection opened another one. Returns the slot of the segment there."""
    old = s >> 1
    sender = tcp.conns[old, col.C_NEW_FROM]
    number = tcp.conns[old, col.C_NEW_NUMBER]
    acked = tcp.conns[old, col.C_NEW_ACK]
    time = tcp.conns[old, col.C_NEW_TIME]
    joined = tcp.conns[old, col.C_JOINED] != 0  # then the SYN's other addresses are still to be joined
    tcp.state[col.G_IGNORED] -= 1
    close(tcp, old, col.HOW_REUSED, tcp.seg[col.T_TIME, i])
    slot = 0
    if tcp.seg[col.T_FLAGS, i] & col.SYN == 0:
        slot = join_numbers(tcp, i)
    if slot != 0:  # NAT: the answer came from another address, and was not ignored
        return slot
    slot = create(tcp, i, (s == sender) == (acked >= 0))
    known = slot if s == sender else slot ^ 1
    c = slot >> 1
    tcp.conns[c, col.C_FIRST] = time
    tcp.conns[c, col.C_PACKETS] = 1
    tcp.conns[c, col.C_SIDES] = 0 if joined else 1 << (known & 1)
    tcp.streams[known, col.S_SYN] = 1
    tcp.streams[known, col.S_ISN1] = number
    begin_at(tcp, known, number)
    if acked >= 0:
        begin_at(tcp, known ^ 1, acked)
        tcp.conns[c, col.C_HANDSHAKE] = 1
    return slot


@cold
def continue_anew(tcp: Tcp, i: int, s: int) -> int:
    """Segment i goes on with stream s, whose end by a RST has been passed on: what follows is read as a connection of its own,
    joined late. Returns the slot of the segment there."""
    old = s >> 1
    reply = tcp.conns[old, col.C_CLIENT] != s
    close(tcp, old, col.HOW_RST, tcp.conns[old, col.C_RESET_TIME])
    slot = join_numbers(tcp, i)
    if slot == 0:
        slot = create(tcp, i, reply)
    return slot


@kernel
def begin_at(tcp: Tcp, s: int, number: int) -> None:
    """Stream s, of which nothing is known yet, begins at a sequence number."""
    tcp.streams[s, col.S_BASED] = 1
    tcp.streams[s, col.S_BASE] = number
    tcp.streams[s, col.S_STARTED] = 1
    tcp.streams[s, col.S_SYNCED] = 1


@cold
def close(tcp: Tcp, c: int, how: int, time: int) -> None:
    """Connection c is over: its holes become gaps, its streams end, its row is written, its slots die."""
    if tcp.conns[c, col.C_LIST] == col.RESET:
        how = col.HOW_RST
        time = tcp.conns[c, col.C_RESET_TIME]
    for side in range(2):
        s = 2 * c + side
        give_up(tcp, s, col.FAR)
        if tcp.streams[s, col.S_ENDED] == 0:
            end_stream(tcp, s, how, time)
        stop_waiting(tcp, s)
        if tcp.streams[s, col.S_RING] != 0:
            tcp.nodes[col.RING_LIST + tcp.streams[s, col.S_RING], col.N_SLOT] = 0
            tcp.streams[s, col.S_RING] = 0
    tell_ends(tcp, c)
    remove_keys(tcp, c, 0)
    unlink(tcp.conns, col.C_PREV, col.C_FOLLOWING, c)
    tcp.state[col.G_IN_EMPTY + tcp.conns[c, col.C_LIST]] -= 1
    tcp.conns[c, col.C_LIST] = -1
    if tcp.conns[c, col.C_PAYLOAD] == 0:
        tcp.state[col.G_WITHOUT_PAYLOAD] += 1
        if (
            tcp.streams[2 * c, col.S_TOUCHED] == 0 and tcp.streams[2 * c + 1, col.S_TOUCHED] == 0
        ):  # nobody has heard of its slots
            free_conn(tcp, c)
            return
    else:
        write_row(tcp.conns, tcp.streams, tcp.done, c, tcp.state[col.G_DONE])
        tcp.state[col.G_DONE] += 1
    tcp.conns[c, col.C_FOLLOWING] = tcp.state[col.G_DYING]
    tcp.state[col.G_DYING] = c


@cold
def free_conn(tcp: Tcp, c: int) -> None:
    """The slots of connection c may be used again."""
    for s in range(2 * c, 2 * c + 2):
        tcp.streams[s, col.S_ID] = 0
        tcp.streams[s, col.S_LOG_COUNT] = 0
    tcp.conns[c, col.C_FOLLOWING] = tcp.state[col.G_FREE_CONNS]
    tcp.state[col.G_FREE_CONNS] = c
    tcp.state[col.G_CONN_ROOM] += 1


@cold
def write_row(conns: I64, streams: I64, done: I64, c: int, z: int) -> None:
    """Connection c as row z of `done`."""
    for column in range(col.C_WIDTH):
        done[z, column] = conns[c, column]
    client = conns[c, col.C_CLIENT]
    done[z, col.Z_SENT] = streams[client, col.S_NEXT] - streams[client, col.S_FIRST]
    done[z, col.Z_RECEIVED] = streams[client ^ 1, col.S_NEXT] - streams[client ^ 1, col.S_FIRST]
    done[z, col.Z_END] = streams[client, col.S_ENDED]
    done[z, col.Z_FLAGS] = streams[client, col.S_SYNCED] + 2 * streams[client ^ 1, col.S_SYNCED]
