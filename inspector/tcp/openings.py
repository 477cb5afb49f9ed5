"""SYNs on the addresses and ports of a connection that is there: a repeated one, a stray one, or another connection.

In an open connection a SYN with another number is answered by a challenge ACK and dropped (RFC 9293 section 3.10.7.4).
So it is noted and ignored until numbers show what came of it: a SYN,ACK that acknowledges it, or any packet of either side
that speaks of its number.
"""

from __future__ import annotations

from inspector.kernels.kernel import cold
from inspector.seq import MASK, distance
from inspector.tcp import layout as col
from inspector.tcp.layout import Tcp

SAME = 0  # the segment is of the connection that is there
IGNORED = 1  # so far nothing shows that anybody minded it
ANOTHER = 2  # it opens another connection
CONFIRMED = 3  # it shows that the SYN that was noted has opened one
GOES_ON = 4  # it goes on with a connection that a RST was taken to have ended


@cold
def same_connection(tcp: Tcp, i: int, s: int, isn1: int, answer: bool) -> bool:
    """Whether segment i, a SYN (or SYN,ACK: `answer`) with initial sequence number isn1 - 1, belongs to stream s."""
    if tcp.streams[s, col.S_SYN] != 0:
        over = tcp.conns[s >> 1, col.C_LIST] == col.CLOSED or tcp.conns[s >> 1, col.C_LIST] == col.RESET
        return tcp.streams[s, col.S_ISN1] == isn1 and (answer or not over)
    if tcp.conns[s >> 1, col.C_LIST] == col.CLOSED:
        return False
    if tcp.streams[s, col.S_BASED] == 0:
        m = s ^ 1
        asked = distance(tcp.seg[col.T_ACK, i], tcp.streams[m, col.S_ISN1])
        return not answer or tcp.streams[m, col.S_SYN] == 0 or 0 <= asked <= tcp.streams[m, col.S_TOP]
    offset = tcp.streams[s, col.S_NEXT] + distance(
        isn1, (tcp.streams[s, col.S_BASE] + tcp.streams[s, col.S_NEXT]) & MASK
    )
    if tcp.streams[s, col.S_STARTED] != 0:
        return offset == tcp.streams[s, col.S_FIRST]
    lowest = (
        tcp.nodes[tcp.nodes[tcp.streams[s, col.S_HELD], col.N_NEXT], col.N_OFFSET]
        if tcp.streams[s, col.S_HELD] != 0
        else 0
    )
    return 0 <= lowest - offset <= (1 << 18)


@cold
def spoken(tcp: Tcp, s: int, number: int) -> bool:
    """Whether sequence number `number` is one that stream s has come by or has come to."""
    if tcp.streams[s, col.S_BASED] == 0:
        return False
    at = tcp.streams[s, col.S_NEXT] + distance(number, (tcp.streams[s, col.S_BASE] + tcp.streams[s, col.S_NEXT]) & MASK)
    return tcp.streams[s, col.S_FIRST] <= at <= tcp.streams[s, col.S_TOP]


@cold
def confirms(tcp: Tcp, i: int, s: int) -> bool:
    """Whether segment i of stream s speaks of the number that was noted, and the connection that is there has no such."""
    c = s >> 1
    sender = tcp.conns[c, col.C_NEW_FROM]
    number = tcp.conns[c, col.C_NEW_NUMBER]
    flags = tcp.seg[col.T_FLAGS, i]
    if sender == 0 or flags & col.RST != 0:
        return False
    if s == sender:
        return flags & col.SYN == 0 and tcp.seg[col.T_SEQ, i] == number and not spoken(tcp, s, number)
    if flags & col.ACK == 0 or tcp.seg[col.T_ACK, i] != number:
        return False
    return flags & col.SYN != 0 or not spoken(tcp, sender, number)


@cold
def goes_on(tcp: Tcp, i: int, s: int) -> bool:
    """Whether segment i has new bytes where stream s was ended by a RST. Who sends them knows of no reset: its own end did not
    send the RST, or has challenged it (RFC 5961 section 3.2), or never got it."""
    if tcp.streams[s, col.S_ENDED] != col.HOW_RST or tcp.seg[col.T_LENGTH, i] == 0:
        return False
    beyond = distance(tcp.seg[col.T_SEQ, i], (tcp.streams[s, col.S_BASE] + tcp.streams[s, col.S_NEXT]) & MASK)
    return tcp.seg[col.T_FLAGS, i] & (col.SYN | col.RST) == 0 and 0 <= beyond <= col.AHEAD


@cold
def judge(tcp: Tcp, i: int, s: int) -> int:
    """What segment i, whose addresses lead to stream s, is there. Precondition: it is a SYN, or one was noted before."""
    c = s >> 1
    flags = tcp.seg[col.T_FLAGS, i]
    answer = flags & col.ACK != 0
    if confirms(tcp, i, s):
        return CONFIRMED
    if tcp.conns[c, col.C_LIST] == col.CLOSED and goes_on(tcp, i, s):
        return GOES_ON
    if flags & col.SYN == 0 or flags & col.RST != 0:
        return SAME
    isn1 = (tcp.seg[col.T_SEQ, i] + 1) & MASK
    if same_connection(tcp, i, s, isn1, answer):
        return SAME
    which = tcp.conns[c, col.C_LIST]
    equal = tcp.streams[s, col.S_SYN] != 0 and tcp.streams[s, col.S_ISN1] == isn1
    if which == col.CLOSED or (which == col.RESET and equal):
        return ANOTHER
    asked = tcp.streams[s ^ 1, col.S_SYN] != 0 and tcp.streams[s ^ 1, col.S_ISN1] == tcp.seg[col.T_ACK, i]
    if not (answer and asked and tcp.conns[c, col.C_PAYLOAD] != 0):  # another answer to a SYN that has had its own
        tcp.conns[c, col.C_NEW_FROM] = s
        tcp.conns[c, col.C_NEW_NUMBER] = isn1
        tcp.conns[c, col.C_NEW_ACK] = tcp.seg[col.T_ACK, i] if answer else -1
        tcp.conns[c, col.C_NEW_TIME] = tcp.seg[col.T_TIME, i]
    return IGNORED
