"""The two halves of a NATed connection: different addresses, numbers that fit, one endpoint in common."""

from __future__ import annotations

from inspector.kernels.kernel import cold, kernel
from inspector.seq import MASK, distance
from inspector.tcp import layout as col
from inspector.tcp.keys import add_pair, find_join, join_hash
from inspector.tcp.layout import Tcp

NEAR = 1 << 20  # joining by numbers: how far the second relation may be off


@kernel
def set_client(tcp: Tcp, c: int, hi: int, lo: int, port: int) -> None:
    """Who called."""
    tcp.conns[c, col.C_CLIENT_HI] = hi
    tcp.conns[c, col.C_CLIENT_LO] = lo
    tcp.conns[c, col.C_CLIENT_PORT] = port


@kernel
def set_server(tcp: Tcp, c: int, hi: int, lo: int, port: int) -> None:
    """Whom the client dialled."""
    tcp.conns[c, col.C_SERVER_HI] = hi
    tcp.conns[c, col.C_SERVER_LO] = lo
    tcp.conns[c, col.C_SERVER_PORT] = port


@kernel
def set_wire(tcp: Tcp, c: int, hi: int, lo: int, port: int) -> None:
    """The address on the client's packets."""
    tcp.conns[c, col.C_WIRE_HI] = hi
    tcp.conns[c, col.C_WIRE_LO] = lo
    tcp.conns[c, col.C_WIRE_PORT] = port


@cold
def join_answer(tcp: Tcp, i: int) -> int:
    """The slot for a SYN,ACK from an address that nobody was seen to call: of the SYN that it acknowledges."""
    hi = tcp.seg[col.T_DST_HI, i]
    lo = tcp.seg[col.T_DST_LO, i]
    port = tcp.seg[col.T_DPORT, i]
    number = tcp.seg[col.T_ACK, i]
    k = find_join(tcp, join_hash(tcp.seg[col.T_DST, i], number, col.KIND_SYN), hi, lo, port, number, col.KIND_SYN)
    if k == 0:
        return 0
    other = tcp.keys[k, col.K_VALUE]
    join(tcp, i, other ^ 1, True)
    return other ^ 1


@cold
def join_numbers(tcp: Tcp, i: int) -> int:
    """The slot for a segment of an unknown flow whose numbers fit a half connection that shares an endpoint with it."""
    if tcp.seg[col.T_FLAGS, i] & col.ACK == 0:
        return 0
    hi = tcp.seg[col.T_DST_HI, i]
    lo = tcp.seg[col.T_DST_LO, i]
    port = tcp.seg[col.T_DPORT, i]
    k = find_join(tcp, join_hash(tcp.seg[col.T_DST, i], 0, col.KIND_SOURCE), hi, lo, port, 0, col.KIND_SOURCE)
    if k != 0 and fits(tcp, i, tcp.keys[k, col.K_VALUE]):
        other = tcp.keys[k, col.K_VALUE]
        join(tcp, i, other ^ 1, True)
        return other ^ 1
    hi = tcp.seg[col.T_SRC_HI, i]
    lo = tcp.seg[col.T_SRC_LO, i]
    port = tcp.seg[col.T_SPORT, i]
    k = find_join(tcp, join_hash(tcp.seg[col.T_SRC, i], 0, col.KIND_TARGET), hi, lo, port, 0, col.KIND_TARGET)
    if k != 0 and fits(tcp, i, tcp.keys[k, col.K_VALUE]):
        other = tcp.keys[k, col.K_VALUE]
        join(tcp, i, other ^ 1, False)
        return other ^ 1
    return 0


@kernel
def fits(tcp: Tcp, i: int, other: int) -> bool:
    """Whether segment i can be of the other direction of stream `other`, by sequence and acknowledgement numbers."""
    if tcp.streams[other, col.S_BASED] == 0:
        return False
    ahead = distance(tcp.seg[col.T_ACK, i], (tcp.streams[other, col.S_BASE] + tcp.streams[other, col.S_TOP]) & MASK)
    if tcp.streams[other, col.S_LAST_ACK] < 0:
        return tcp.streams[other, col.S_SYN] != 0 and ahead == 0
    behind = distance(tcp.streams[other, col.S_LAST_ACK], tcp.seg[col.T_SEQ, i])
    exact = behind == 0 or behind == tcp.seg[col.T_LENGTH, i]
    return (ahead == 0 and -NEAR <= behind <= NEAR) or (exact and -NEAR <= ahead <= NEAR)


@kernel
def local(hi: int, lo: int) -> bool:
    """127.0.0.0/8 or ::1."""
    return hi == 0 and (lo == 1 or (lo >> 24) == 0xFFFF7F)


@cold
def join(tcp: Tcp, i: int, slot: int, reply: bool) -> None:
    """Segment i opens the other half, stream `slot`, of a connection that NAT gave different addresses.

    The endpoint that both halves share is the client. A REDIRECT sends its packets to a local address; then what it
    dialled is the address that the replies come from.
    """
    c = slot >> 1
    add_pair(tcp, i, slot)
    tcp.conns[c, col.C_JOINED] = 1
    tcp.state[col.G_JOINED] += 1
    if reply:
        hi = tcp.conns[c, col.C_WIRE_HI]
        lo = tcp.conns[c, col.C_WIRE_LO]
        if local(hi, lo) or (hi == tcp.conns[c, col.C_CLIENT_HI] and lo == tcp.conns[c, col.C_CLIENT_LO]):
            set_server(tcp, c, tcp.seg[col.T_SRC_HI, i], tcp.seg[col.T_SRC_LO, i], tcp.seg[col.T_SPORT, i])
        return
    hi = tcp.seg[col.T_DST_HI, i]
    lo = tcp.seg[col.T_DST_LO, i]
    if tcp.conns[c, col.C_CLIENT] != slot:  # the reply was seen first and taken for the client
        tcp.conns[c, col.C_CLIENT] = slot
        set_server(
            tcp, c, tcp.conns[c, col.C_CLIENT_HI], tcp.conns[c, col.C_CLIENT_LO], tcp.conns[c, col.C_CLIENT_PORT]
        )
    set_client(tcp, c, tcp.seg[col.T_SRC_HI, i], tcp.seg[col.T_SRC_LO, i], tcp.seg[col.T_SPORT, i])
    set_wire(tcp, c, hi, lo, tcp.seg[col.T_DPORT, i])
    if not (local(hi, lo) or (hi == tcp.seg[col.T_SRC_HI, i] and lo == tcp.seg[col.T_SRC_LO, i])):
        set_server(tcp, c, hi, lo, tcp.seg[col.T_DPORT, i])
