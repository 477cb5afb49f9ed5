"""The tracker's loop: segments in the order of arrival, each decided by what came before it and by nothing else.

So the result cannot depend on how a capture is cut into blocks.
"""

from __future__ import annotations

from inspector.kernels.kernel import cold, kernel
from inspector.tcp import layout as col
from inspector.tcp.accept import settle_reset
from inspector.tcp.duplicates import look_ahead, seen
from inspector.tcp.flows import assign, close
from inspector.tcp.keys import add_pair, find_pair
from inspector.tcp.layout import Tcp
from inspector.tcp.out_of_order import give_up, note_acknowledged, start, stop_waiting
from inspector.tcp.segment import digest, visit

STEP = 2 * col.MS  # so much time passes at most from one packet to the next
IDLE = 60 * col.SECOND  # and so much without a packet, where the wall clock says so


@kernel
def short(tcp: Tcp) -> bool:
    """Whether some array might not do for one more step; the caller makes room and calls again."""
    return (
        tcp.state[col.G_CONN_ROOM] < 1
        or tcp.state[col.G_KEY_ROOM] < 8
        or 2 * (tcp.state[col.G_KEYS] + 8) > len(tcp.table)
        or tcp.state[col.G_NODE_ROOM] < tcp.state[col.G_HELD_NODES] + 16
        or len(tcp.out) - tcp.state[col.G_OUT] < tcp.state[col.G_HELD_NODES] + 16
        or len(tcp.out) - tcp.state[col.G_TOUCHED] < tcp.state[col.G_HELD_NODES] + 16
        or len(tcp.done) - tcp.state[col.G_DONE] < 4
    )


@kernel
def pass_time(tcp: Tcp, time: int, most: int) -> None:
    """Capture time is `time` now. The clock goes on by no more than `most`, and never back.

    Numbers decide what belongs together. What is only waited for while packets may be written late is over when a few more
    packets have come: neither silence nor a step of the capturing host's clock is time that passed.
    """
    passed = time - tcp.state[col.G_TIME]
    tcp.state[col.G_TIME] = time
    if passed > 0:
        tcp.state[col.G_CLOCK] += min(passed, most)


@kernel
def due(tcp: Tcp) -> bool:
    """Whether `expired` has something to do."""
    now = tcp.state[col.G_CLOCK]
    s = tcp.streams[0, col.S_FOLLOWING]
    reset = tcp.conns[col.RESET, col.C_FOLLOWING]
    return (
        tcp.state[col.G_HELD_BYTES] > tcp.state[col.G_HOLD_LIMIT]
        or (s != 0 and now - tcp.streams[s, col.S_WAITED] > tcp.state[col.G_ALLOWANCE])
        or (reset != col.RESET and now - tcp.conns[reset, col.C_SEEN] > tcp.state[col.G_SETTLE])
        or tcp.state[col.G_IN_EMPTY + col.EMPTY] > tcp.state[col.G_EMPTY_LIMIT + col.EMPTY]
        or tcp.state[col.G_IN_EMPTY + col.BUSY] > tcp.state[col.G_EMPTY_LIMIT + col.BUSY]
        or tcp.state[col.G_IN_EMPTY + col.CLOSED] > tcp.state[col.G_EMPTY_LIMIT + col.CLOSED]
        or tcp.state[col.G_IN_EMPTY + col.RESET] > tcp.state[col.G_EMPTY_LIMIT + col.RESET]
    )


@cold
def expired(tcp: Tcp) -> int:
    """Do one thing whose time has come and return 1; 0 where there is none."""
    now = tcp.state[col.G_CLOCK]
    n = tcp.nodes[0, col.N_NEWER]
    if n != 0 and tcp.state[col.G_HELD_BYTES] > tcp.state[col.G_HOLD_LIMIT]:
        tcp.state[col.G_FORCED_GAPS] += 1
        give_up(tcp, tcp.nodes[n, col.N_SLOT], tcp.nodes[n, col.N_OFFSET])
        return 1
    s = tcp.streams[0, col.S_FOLLOWING]
    if s != 0 and now - tcp.streams[s, col.S_WAITED] > tcp.state[col.G_ALLOWANCE]:
        if tcp.streams[s, col.S_STARTED] == 0:
            start(tcp, s)
        else:
            stop_waiting(tcp, s)
            give_up(tcp, s, tcp.streams[s, col.S_GOAL])
        note_acknowledged(tcp, s)
        return 1
    c = tcp.conns[col.RESET, col.C_FOLLOWING]
    if c != col.RESET and (
        now - tcp.conns[c, col.C_SEEN] > tcp.state[col.G_SETTLE]
        or tcp.state[col.G_IN_EMPTY + col.RESET] > tcp.state[col.G_EMPTY_LIMIT + col.RESET]
    ):
        settle_reset(tcp, c)
        return 1
    for which in range(3):
        if tcp.state[col.G_IN_EMPTY + which] > tcp.state[col.G_EMPTY_LIMIT + which]:
            c = tcp.conns[which, col.C_FOLLOWING]
            if which != col.CLOSED:
                tcp.state[col.G_EXPIRED_EARLY] += 1
            if which == col.BUSY:
                tcp.state[col.G_CUT_SHORT] += 1
            close(tcp, c, col.HOW_EXPIRED, tcp.conns[c, col.C_LAST])
            return 1
    return 0


@cold
def note_alias(tcp: Tcp, i: int, d: int) -> None:
    """A copy shows other addresses (NAT): they lead to the same connection."""
    slot = tcp.details[d, col.D_SLOT]
    if tcp.details[d, col.D_SRC] == tcp.seg[col.T_SRC, i] and tcp.details[d, col.D_DST] == tcp.seg[col.T_DST, i]:
        return
    if slot == 0 or tcp.streams[slot, col.S_ID] != tcp.details[d, col.D_STREAM] or tcp.conns[slot >> 1, col.C_LIST] < 0:
        return
    if tcp.conns[slot >> 1, col.C_ALIASES] < 8 and find_pair(tcp, i) == 0:
        add_pair(tcp, i, slot)


@kernel
def track(tcp: Tcp, first: int, last: int) -> int:
    """Segments first..last - 1. Returns the first that was not done because an array is short: make room, call again."""
    for i in range(first, last):
        if short(tcp):
            return i
        pass_time(tcp, tcp.seg[col.T_TIME, i], STEP + 0)
        while due(tcp):
            if expired(tcp) == 0:
                break
            if short(tcp):
                return i
        look_ahead(tcp.prints, tcp.seg, i, last)
        d = seen(tcp, i)
        extra = d >= 0
        if extra:
            tcp.state[col.G_COPIES] += 1
            tcp.copies[tcp.seg[col.T_CAPTURE, i]] += 1
            note_alias(tcp, i, d)
            if tcp.seg[col.T_CAPTURED, i] <= tcp.details[d, col.D_CAPTURED]:
                continue
            tcp.details[d, col.D_CAPTURED] = tcp.seg[col.T_CAPTURED, i]
            tcp.details[d, col.D_SAMPLE] = tcp.state[col.G_SAMPLE]
        else:
            d = -1 - d
        s = find_pair(tcp, i)
        if s == 0 or tcp.seg[col.T_FLAGS, i] & col.SYN != 0 or tcp.conns[s >> 1, col.C_NEW_FROM] != 0:
            s = assign(tcp, i, s)
        if s == 0:
            continue
        if not extra:
            tcp.details[d, col.D_SLOT] = s
            tcp.details[d, col.D_STREAM] = tcp.streams[s, col.S_ID]
        visit(tcp, i, s, extra)
        digest(tcp, i, s, extra)
    return last


@kernel
def tick(tcp: Tcp, time: int) -> bool:
    """Capture time has come to `time` without a packet. False where an array is short: make room, call again."""
    pass_time(tcp, time, IDLE + 0)
    while due(tcp):
        if short(tcp):
            return False
        if expired(tcp) == 0:
            break
    return True


@kernel
def finish(tcp: Tcp) -> bool:
    """The end of the input: every connection is closed. False where an array is short: make room, call again."""
    for which in range(col.FIRST_CONN):
        while tcp.conns[which, col.C_FOLLOWING] != which:
            if short(tcp):
                return False
            c = tcp.conns[which, col.C_FOLLOWING]
            close(tcp, c, col.HOW_CAPTURE, tcp.conns[c, col.C_LAST])
    return True
