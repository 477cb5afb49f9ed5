"""What the endpoints made of a segment: one that its receiver ignored changes nothing (RFC 9293 section 3.10.7).

What an endpoint did is not in the packets; the numbers that each side acknowledges afterwards tell it.
"""

from __future__ import annotations

from inspector.kernels.kernel import cold, kernel
from inspector.seq import MASK, distance
from inspector.tcp import layout as col
from inspector.tcp.deliver import end_stream, relist
from inspector.tcp.layout import Tcp
from inspector.tcp.out_of_order import give_up


@kernel
def ahead(tcp: Tcp, s: int, number: int) -> int:
    """How far sequence number `number` is from the next offset of stream s."""
    return distance(number, (tcp.streams[s, col.S_BASE] + tcp.streams[s, col.S_NEXT]) & MASK)


@cold
def outlying(tcp: Tcp, s: int, column: int, number: int) -> bool:
    """Whether a number far from all others of stream s is a stray one. A second one near it shows that the stream has come there.

    column: S_FAR for sequence numbers, S_FAR_ACK for acknowledgements.
    """
    last = tcp.streams[s, column]
    tcp.streams[s, column] = number
    if last >= 0 and -col.AHEAD <= distance(number, last) <= col.AHEAD:
        return False
    tcp.state[col.G_IGNORED] += 1
    return True


@cold
def probe(tcp: Tcp, i: int, s: int) -> bool:
    """Whether segment i, one byte on a stream that has not started, is a keep-alive probe (RFC 9293 section 3.8.4): its byte is
    no data, but stands at the last number that was acknowledged long ago. A writer's byte would be pushed."""
    number = tcp.seg[col.T_SEQ, i]
    if tcp.seg[col.T_FLAGS, i] & (col.PSH | col.SYN | col.FIN) != 0:
        return False
    if tcp.streams[s, col.S_BASED] == 0:
        tcp.streams[s, col.S_BASED] = 1
        tcp.streams[s, col.S_BASE] = (number + 1) & MASK
        return True
    stop = tcp.streams[s, col.S_NEXT] + ahead(tcp, s, number) + 1
    if tcp.streams[s, col.S_HELD] != 0:
        return stop == tcp.nodes[tcp.nodes[tcp.streams[s, col.S_HELD], col.N_NEXT], col.N_OFFSET]
    return stop != tcp.streams[s, col.S_ACKED] + 1


@cold
def reset(tcp: Tcp, i: int, s: int) -> None:
    """Segment i of stream s is a RST. Before what the other side acknowledged it is stale (RFC 5961 section 3); any other
    counts unless one of the two sides goes on: see `went_on`."""
    c = s >> 1
    if tcp.streams[s, col.S_ENDED] != 0 and tcp.streams[s ^ 1, col.S_ENDED] != 0:
        return
    at = col.FAR + 0
    if tcp.streams[s, col.S_BASED] != 0:
        at = tcp.streams[s, col.S_NEXT] + ahead(tcp, s, tcp.seg[col.T_SEQ, i])
        highest = max(tcp.streams[s, col.S_TOP], tcp.streams[s, col.S_ACKED])
        if at < tcp.streams[s, col.S_ACKED] or at > highest + col.AHEAD:
            tcp.state[col.G_IGNORED] += 1
            return
    if tcp.conns[c, col.C_LIST] == col.RESET:
        return
    tcp.conns[c, col.C_RESET_TIME] = tcp.seg[col.T_TIME, i]
    refuse(tcp, i, s)
    tcp.streams[s, col.S_RESET] = 1
    tcp.streams[s, col.S_RESET_AT] = at
    for t in range(2 * c, 2 * c + 2):
        tcp.streams[t, col.S_MARK] = max(tcp.streams[t, col.S_TOP], tcp.streams[t, col.S_ACKED])
    relist(tcp, c, col.RESET)


@cold
def refuse(tcp: Tcp, i: int, s: int) -> None:
    """From which byte on segment i, a RST, shows that its sender did not take the other stream m.

    Its acknowledgement says it. One without is the answer to a packet, and tells it of a sender that has closed, which has
    acknowledged with its FIN all that it took; of another, what comes later.
    """
    m = s ^ 1
    at = max(tcp.streams[m, col.S_TOP], tcp.streams[m, col.S_ACKED])
    if tcp.streams[m, col.S_BASED] == 0:
        return
    if tcp.seg[col.T_FLAGS, i] & col.ACK != 0:
        said = tcp.streams[m, col.S_NEXT] + ahead(tcp, m, tcp.seg[col.T_ACK, i])
        if tcp.streams[m, col.S_ACKED] <= said <= at:
            at = said
    elif tcp.streams[s, col.S_ENDING] == col.HOW_FIN and tcp.streams[m, col.S_ACKED] != col.NONE:
        at = tcp.streams[m, col.S_ACKED]
    tcp.streams[m, col.S_REFUSED] = at


@cold
def came_before(tcp: Tcp, i: int, s: int) -> None:
    """Segment i of a connection with a RST was captured behind it and bears an earlier time: several interfaces were written
    late, and what it brings was not refused."""
    if tcp.streams[s, col.S_REFUSED] == col.FAR or tcp.seg[col.T_TIME, i] >= tcp.conns[s >> 1, col.C_RESET_TIME]:
        return
    stop = tcp.streams[s, col.S_NEXT] + ahead(tcp, s, tcp.seg[col.T_SEQ, i]) + tcp.seg[col.T_LENGTH, i]
    tcp.streams[s, col.S_REFUSED] = max(tcp.streams[s, col.S_REFUSED], stop)


@cold
def went_on(tcp: Tcp, s: int) -> None:
    """Stream s has acknowledged something on a connection with a RST. If those bytes were sent after it, it had no effect."""
    c = s >> 1
    if tcp.streams[s ^ 1, col.S_ACKED] > tcp.streams[s ^ 1, col.S_MARK]:
        tcp.state[col.G_IGNORED] += 1
        tcp.streams[s, col.S_REFUSED] = col.FAR
        tcp.streams[s ^ 1, col.S_REFUSED] = col.FAR
        relist(tcp, c, col.BUSY if tcp.conns[c, col.C_PAYLOAD] != 0 else col.EMPTY)


@cold
def settle_reset(tcp: Tcp, c: int) -> None:
    """The RST of connection c has counted: nothing more comes in either direction."""
    for s in range(2 * c, 2 * c + 2):
        give_up(tcp, s, col.FAR)
    for s in range(2 * c, 2 * c + 2):
        if tcp.streams[s, col.S_ENDED] == 0:
            end_stream(tcp, s, col.HOW_RST, tcp.conns[c, col.C_RESET_TIME])
            if tcp.conns[c, col.C_NEW_FROM] == 0:  # each packet from now on is looked at: see `openings.goes_on`
                tcp.conns[c, col.C_NEW_FROM] = s
                tcp.conns[c, col.C_NEW_NUMBER] = -1
