"""Handing out bytes in stream order, and comparing late ones with what was handed out."""

from __future__ import annotations

from inspector.kernels.kernel import cold, kernel
from inspector.table import U8
from inspector.tcp import layout as col
from inspector.tcp.keys import append, unlink
from inspector.tcp.layout import Tcp


@kernel
def relist(tcp: Tcp, c: int, which: int) -> None:
    """Put connection c at the end of list `which` (EMPTY, BUSY, CLOSED or RESET)."""
    unlink(tcp.conns, col.C_PREV, col.C_FOLLOWING, c)
    tcp.state[col.G_IN_EMPTY + tcp.conns[c, col.C_LIST]] -= 1
    append(tcp.conns, col.C_PREV, col.C_FOLLOWING, which, c)
    tcp.conns[c, col.C_LIST] = which
    tcp.state[col.G_IN_EMPTY + which] += 1


@kernel
def take_ring(tcp: Tcp, s: int) -> None:
    """Stream s hands out bytes; without a ring it takes one of a stream for which that is long ago (the clock algorithm: a hand
    goes round and takes the first ring that was not used since it came by)."""
    r = tcp.streams[s, col.S_RING]
    if r == 0:
        r = tcp.nodes[col.RING_LIST, col.N_SLOT] % col.RINGS + 1
        while tcp.nodes[col.RING_LIST + r, col.N_CLOCK] != 0:
            tcp.nodes[col.RING_LIST + r, col.N_CLOCK] = 0
            r = r % col.RINGS + 1
        tcp.nodes[col.RING_LIST, col.N_SLOT] = r
        n = col.RING_LIST + r
        owner = tcp.nodes[n, col.N_SLOT]
        if owner != 0:
            tcp.streams[owner, col.S_RING] = 0
        tcp.nodes[n, col.N_SLOT] = s
        tcp.streams[s, col.S_RING] = r
        tcp.streams[s, col.S_RING_FROM] = tcp.streams[s, col.S_NEXT]
    tcp.nodes[col.RING_LIST + r, col.N_CLOCK] = 1


@kernel
def touch(tcp: Tcp, s: int) -> None:
    """Stream s has news in this feed."""
    if tcp.streams[s, col.S_TOUCHED] == 0:
        tcp.streams[s, col.S_TOUCHED] = 1
        tcp.out[tcp.state[col.G_TOUCHED], col.O_TOUCHED] = s
        tcp.state[col.G_TOUCHED] += 1


@kernel
def new_row(tcp: Tcp, s: int, offset: int) -> int:
    """A row of `out` for stream s that carries the gap before it."""
    o = tcp.state[col.G_OUT]
    tcp.state[col.G_OUT] = o + 1
    touch(tcp, s)
    tcp.out[o, col.O_SLOT] = s
    tcp.out[o, col.O_STREAM] = tcp.streams[s, col.S_ID] - 1
    tcp.out[o, col.O_OFFSET] = offset
    tcp.out[o, col.O_LENGTH] = 0
    tcp.out[o, col.O_SRC] = 0
    tcp.out[o, col.O_HOW] = 0
    tcp.out[o, col.O_GAP] = tcp.streams[s, col.S_GAP]
    tcp.out[o, col.O_REASON] = tcp.streams[s, col.S_REASON]
    tcp.out[o, col.O_PREV] = tcp.streams[s, col.S_OUT]
    tcp.streams[s, col.S_GAP] = 0
    tcp.streams[s, col.S_REASON] = 0
    tcp.streams[s, col.S_OUT] = o + 1
    tcp.streams[s, col.S_OUT_COUNT] += 1
    return o


@cold
def arrived(tcp: Tcp, s: int, n: int) -> int:
    """When the bytes of node n had arrived: by the time at which they were acknowledged, if what was seen of them came later.

    A first transmission that no capture has was received all the same. Clocks of two captures are not compared.
    """
    time = tcp.nodes[n, col.N_TIME]
    if tcp.nodes[n, col.N_CAPTURE] == tcp.streams[s, col.S_ARRIVED_CAPTURE]:
        return min(time, tcp.streams[s, col.S_ARRIVED_TIME])
    return time


@kernel
def turn_of(tcp: Tcp, s: int, peer: int) -> int:
    """See `tables.Chunks.turn`, of a packet of stream s that acknowledges `peer`."""
    if tcp.conns[s >> 1, col.C_SIDES] != 3:
        return col.ALONE
    for k in range(col.S_SAID_AT, col.S_WIDTH, 2):
        if tcp.streams[s, k] < peer:
            return tcp.streams[s, k + 1]
    return col.NONE


@kernel
def emit(tcp: Tcp, s: int, n: int, start: int, stop: int) -> None:
    """Hand out the bytes start..stop of stream s that node n has. Precondition: start is the next offset."""
    take_ring(tcp, s)
    o = new_row(tcp, s, start)
    skip = start - tcp.nodes[n, col.N_OFFSET]
    src = tcp.nodes[n, col.N_SRC]
    tcp.out[o, col.O_LENGTH] = stop - start
    tcp.out[o, col.O_SRC] = src + skip if src >= 0 else src - skip
    tcp.out[o, col.O_TIME] = tcp.nodes[n, col.N_TIME]
    if stop <= tcp.streams[s, col.S_ARRIVED]:
        tcp.out[o, col.O_TIME] = arrived(tcp, s, n)
    tcp.out[o, col.O_CAPTURE] = tcp.nodes[n, col.N_CAPTURE]
    tcp.out[o, col.O_PACKET] = tcp.nodes[n, col.N_PACKET]
    tcp.out[o, col.O_PEER] = tcp.nodes[n, col.N_PEER]
    turn = tcp.nodes[n, col.N_TURN]
    if turn < col.ALONE + 1:  # not known when the packet came: what shows it may have been written late
        turn = turn_of(tcp, s, tcp.nodes[n, col.N_PEER])
    tcp.out[o, col.O_TURN] = turn
    tcp.streams[s, col.S_NEXT] = stop


@cold
def add_gap(tcp: Tcp, s: int, length: int, reason: int) -> None:
    """`length` bytes of stream s, from the next offset on, will not come."""
    if tcp.streams[s, col.S_GAP] > 0 and tcp.streams[s, col.S_REASON] != reason:
        new_row(tcp, s, tcp.streams[s, col.S_NEXT])
    touch(tcp, s)
    tcp.streams[s, col.S_GAP] += length
    tcp.streams[s, col.S_REASON] = reason
    tcp.streams[s, col.S_NEXT] += length
    tcp.streams[s, col.S_RING_FROM] = tcp.streams[s, col.S_NEXT]
    tcp.streams[s, col.S_WHOLE] = tcp.streams[s, col.S_NEXT]
    tcp.state[col.G_GAPS] += 1
    tcp.state[col.G_GAP_BYTES] += length
    tcp.conns[s >> 1, col.C_GAP_BYTES] += length


@cold
def tell_end(tcp: Tcp, s: int, time: int) -> None:
    """A row of `out` that says how stream s ended."""
    o = new_row(tcp, s, tcp.streams[s, col.S_NEXT])
    tcp.out[o, col.O_HOW] = tcp.streams[s, col.S_ENDED]
    tcp.out[o, col.O_TIME] = time
    tcp.out[o, col.O_TURN] = col.ALONE if tcp.conns[s >> 1, col.C_SIDES] != 3 else col.NONE
    tcp.streams[s, col.S_END_TOLD] = 1


@cold
def end_stream(tcp: Tcp, s: int, how: int, time: int) -> None:
    """Stream s ends at its next offset. Of a connection without payload nobody need know."""
    c = s >> 1
    tcp.streams[s, col.S_ENDED] = how
    if tcp.streams[s, col.S_STARTED] == 0:
        tcp.streams[s, col.S_STARTED] = 1
        tcp.streams[s, col.S_FIRST] = tcp.streams[s, col.S_NEXT]
    tcp.streams[s, col.S_END_TIME] = time
    tell_ends(tcp, c)
    if tcp.streams[s ^ 1, col.S_ENDED] != 0:
        relist(tcp, c, col.CLOSED)


@cold
def tell_ends(tcp: Tcp, c: int) -> None:
    """Tell the ends of connection c that were not told yet: each as soon as nothing of the other stream is held back.

    What the other stream said may have to be read before this one's last bytes.
    """
    if tcp.conns[c, col.C_PAYLOAD] == 0:
        return
    for s in range(2 * c, 2 * c + 2):
        if (
            tcp.streams[s, col.S_ENDED] != 0
            and tcp.streams[s, col.S_END_TOLD] == 0
            and tcp.streams[s ^ 1, col.S_HELD] == 0
        ):
            tell_end(tcp, s, tcp.streams[s, col.S_END_TIME])


@kernel
def byte_at(data: U8, store: U8, src: int, j: int) -> int:
    """Byte j of a piece: see N_SRC."""
    return data[src + j] if src >= 0 else store[j - 1 - src]


@cold
def differs_handed(tcp: Tcp, s: int, start: int, stop: int) -> int:
    """1 where the piece at hand differs in start..stop from the bytes handed out, as far as they are still held.

    Precondition: stop <= next offset, and the piece has these bytes.
    """
    r = tcp.streams[s, col.S_RING]
    if r == 0:
        return 0
    first = max(start, tcp.streams[s, col.S_NEXT] - col.RING, tcp.streams[s, col.S_RING_FROM])
    src = tcp.nodes[col.PIECE, col.N_SRC] - tcp.nodes[col.PIECE, col.N_OFFSET]
    top = stop
    o = tcp.streams[s, col.S_OUT]
    while o > 0 and top > first:
        row = o - 1
        begin = tcp.out[row, col.O_OFFSET]
        for p in range(max(first, begin), min(top, begin + tcp.out[row, col.O_LENGTH])):
            if byte_at(tcp.data, tcp.store, tcp.out[row, col.O_SRC], p - begin) != tcp.data[src + p]:
                return 1
        top = min(top, begin)
        o = tcp.out[row, col.O_PREV]
    for p in range(first, top):
        if tcp.store[r * col.RING + (p & (col.RING - 1))] != tcp.data[src + p]:
            return 1
    return 0
