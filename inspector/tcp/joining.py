"""The two halves of a NATed connection: different addresses, numbers that fit, one endpoint in common."""

from __future__ import annotations

from typing import Any

from inspector.kernel import cold, kernel
from inspector.seq import MASK, distance
from inspector.tcp.keys import add_pair, find_join, join_hash
from inspector.tcp.layout import (
    ACK,
    C_CLIENT,
    C_CLIENT_HI,
    C_CLIENT_LO,
    C_CLIENT_PORT,
    C_JOINED,
    C_SERVER_HI,
    C_SERVER_LO,
    C_SERVER_PORT,
    C_WIRE_HI,
    C_WIRE_LO,
    C_WIRE_PORT,
    G_JOINED,
    K_VALUE,
    KIND_SOURCE,
    KIND_SYN,
    KIND_TARGET,
    S_BASE,
    S_BASED,
    S_LAST_ACK,
    S_SYN,
    S_TOP,
    T_ACK,
    T_DPORT,
    T_DST,
    T_DST_HI,
    T_DST_LO,
    T_FLAGS,
    T_LENGTH,
    T_SEQ,
    T_SPORT,
    T_SRC,
    T_SRC_HI,
    T_SRC_LO,
)

NEAR = 1 << 20  # joining by numbers: how far the second relation may be off


@kernel
def set_client(conns: Any, c: int, hi: int, lo: int, port: int) -> None:
    """Who called."""
    conns[c, C_CLIENT_HI] = hi
    conns[c, C_CLIENT_LO] = lo
    conns[c, C_CLIENT_PORT] = port


@kernel
def set_server(conns: Any, c: int, hi: int, lo: int, port: int) -> None:
    """Whom the client dialled."""
    conns[c, C_SERVER_HI] = hi
    conns[c, C_SERVER_LO] = lo
    conns[c, C_SERVER_PORT] = port


@kernel
def set_wire(conns: Any, c: int, hi: int, lo: int, port: int) -> None:
    """The address on the client's packets."""
    conns[c, C_WIRE_HI] = hi
    conns[c, C_WIRE_LO] = lo
    conns[c, C_WIRE_PORT] = port


@cold
def join_answer(state: Any, table: Any, keys: Any, conns: Any, streams: Any, seg: Any, i: int) -> int:
    """The slot for a SYN,ACK from an address that nobody was seen to call: of the SYN that it acknowledges."""
    hi = seg[T_DST_HI, i]
    lo = seg[T_DST_LO, i]
    port = seg[T_DPORT, i]
    number = seg[T_ACK, i]
    k = find_join(table, keys, join_hash(seg[T_DST, i], number, KIND_SYN), hi, lo, port, number, KIND_SYN)
    if k == 0:
        return 0
    other = keys[k, K_VALUE]
    join(state, table, keys, conns, seg, i, other ^ 1, True)
    return other ^ 1


@cold
def join_numbers(state: Any, table: Any, keys: Any, conns: Any, streams: Any, seg: Any, i: int) -> int:
    """The slot for a segment of an unknown flow whose numbers fit a half connection that shares an endpoint with it."""
    if seg[T_FLAGS, i] & ACK == 0:
        return 0
    hi = seg[T_DST_HI, i]
    lo = seg[T_DST_LO, i]
    port = seg[T_DPORT, i]
    k = find_join(table, keys, join_hash(seg[T_DST, i], 0, KIND_SOURCE), hi, lo, port, 0, KIND_SOURCE)
    if k != 0 and fits(streams, seg, i, keys[k, K_VALUE]):
        other = keys[k, K_VALUE]
        join(state, table, keys, conns, seg, i, other ^ 1, True)
        return other ^ 1
    hi = seg[T_SRC_HI, i]
    lo = seg[T_SRC_LO, i]
    port = seg[T_SPORT, i]
    k = find_join(table, keys, join_hash(seg[T_SRC, i], 0, KIND_TARGET), hi, lo, port, 0, KIND_TARGET)
    if k != 0 and fits(streams, seg, i, keys[k, K_VALUE]):
        other = keys[k, K_VALUE]
        join(state, table, keys, conns, seg, i, other ^ 1, False)
        return other ^ 1
    return 0


@kernel
def fits(streams: Any, seg: Any, i: int, other: int) -> bool:
    """Whether segment i can be of the other direction of stream `other`, by sequence and acknowledgement numbers."""
    if streams[other, S_BASED] == 0:
        return False
    ahead = distance(seg[T_ACK, i], (streams[other, S_BASE] + streams[other, S_TOP]) & MASK)
    if streams[other, S_LAST_ACK] < 0:
        return streams[other, S_SYN] != 0 and ahead == 0
    behind = distance(streams[other, S_LAST_ACK], seg[T_SEQ, i])
    exact = behind == 0 or behind == seg[T_LENGTH, i]
    return (ahead == 0 and -NEAR <= behind <= NEAR) or (exact and -NEAR <= ahead <= NEAR)


@kernel
def local(hi: int, lo: int) -> bool:
    """127.0.0.0/8 or ::1."""
    return hi == 0 and (lo == 1 or (lo >> 24) == 0xFFFF7F)


@cold
def join(state: Any, table: Any, keys: Any, conns: Any, seg: Any, i: int, slot: int, reply: bool) -> None:
    """Segment i opens the other half, stream `slot`, of a connection that NAT gave different addresses.

    The endpoint that both halves share is the client. A REDIRECT sends its packets to a local address; then what it
    dialled is the address that the replies come from.
    """
    c = slot >> 1
    add_pair(state, table, keys, conns, seg, i, slot)
    conns[c, C_JOINED] = 1
    state[G_JOINED] += 1
    if reply:
        hi = conns[c, C_WIRE_HI]
        lo = conns[c, C_WIRE_LO]
        if local(hi, lo) or (hi == conns[c, C_CLIENT_HI] and lo == conns[c, C_CLIENT_LO]):
            set_server(conns, c, seg[T_SRC_HI, i], seg[T_SRC_LO, i], seg[T_SPORT, i])
        return
    hi = seg[T_DST_HI, i]
    lo = seg[T_DST_LO, i]
    if conns[c, C_CLIENT] != slot:  # the reply was seen first and taken for the client
        conns[c, C_CLIENT] = slot
        set_server(conns, c, conns[c, C_CLIENT_HI], conns[c, C_CLIENT_LO], conns[c, C_CLIENT_PORT])
    set_client(conns, c, seg[T_SRC_HI, i], seg[T_SRC_LO, i], seg[T_SPORT, i])
    set_wire(conns, c, hi, lo, seg[T_DPORT, i])
    if not (local(hi, lo) or (hi == seg[T_SRC_HI, i] and lo == seg[T_SRC_LO, i])):
        set_server(conns, c, hi, lo, seg[T_DPORT, i])
