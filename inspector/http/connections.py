"""The driver: every connection of a block, the stream of requests before that of responses, then the ends of both."""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.heads import MOVED, ROOM_DUE, first_bytes
from inspector.http.layout import Http, Near
from inspector.http.matching import drop_all
from inspector.http.resync import carry_peers
from inspector.http.streams import FIN, end_stream, read_stream, room
from inspector.kernels.kernel import cold, kernel
from inspector.table import U8


@cold
def peek(http: Http, s: int, data: U8, run: int, run_end: int) -> None:
    """What stream `s` is, if its first bytes are there: only then is it known which direction asks."""
    if run >= run_end or http.state[s, col.MODE] != col.FIRST:
        return
    offset = http.runs[run, col.RUN_OFFSET]
    stop = offset + http.runs[run, col.RUN_LENGTH]
    if offset <= http.state[s, col.POS] < stop:
        base = http.runs[run, col.RUN_AT] - offset
        last = run + 1 < run_end or http.state[s, col.ENDED] != 0
        synced = http.state[s, col.SYNCED] != 0
        moved = MOVED
        while moved == MOVED and http.state[s, col.MODE] == col.FIRST and http.state[s, col.POS] < stop:
            moved = first_bytes(http, s, data, base + http.state[s, col.POS], base + stop, synced, last)


@cold
def settle(http: Http, c: int) -> None:
    """Give up the pending requests of a connection if no response can come any more."""
    if http.conns[c, col.COUNT] == 0:
        return
    for s in (2 * c, 2 * c + 1):
        how = http.state[s, col.ENDED]
        if how != 0:
            other = s ^ 1
            if (
                http.state[s, col.KIND] == col.RESPONSE
                or http.state[other, col.ENDED] != 0
                or (how != FIN and http.state[other, col.STREAM] == col.NONE)
            ):
                drop_all(http, c)


@kernel
def read_in_turn(http: Http, i: int, c: int, asking: int, data: U8, line: U8) -> int:
    """The requests of connection `c`, then its responses, until neither gets on: ROOM_DUE or 0.

    A block may hold more requests than may wait for a response: some are read, then what answers them, and so on. Where that
    makes no room, the client pipelines: as many as may wait are read, and at last all of them, the oldest being given up.
    """
    pressed = 0
    going_on = True
    while going_on:
        http.counters[col.C_AGAIN] = 0
        http.counters[col.C_FULL] = 0
        ceiling = 1 << 62
        if pressed < 2:
            most = http.limits[col.L_PENDING]
            if http.counters[col.C_PENDING] + most > http.limits[col.L_PENDING_TOTAL]:
                most = 1
            ceiling = most if pressed == 1 else (most + 1) // 2
        for turn in range(2):
            side = asking ^ turn
            near = Near(
                http.active[i, col.A_CHUNKS + side],
                http.active[i, col.A_CHUNKS + side + 1],
                http.active[i, col.A_CHUNKS + 1 - side],
                http.active[i, col.A_CHUNKS + 2 - side],
                http.active[i, col.A_ALONE + side],
            )
            run, run_end = http.active[i, col.A_RUNS + side], http.active[i, col.A_RUNS + side + 1]
            came_to = read_stream(http, 2 * c + side, data, run, run_end, near, line, ceiling)
            if came_to == ROOM_DUE:
                return ROOM_DUE
        held = 2 * c + asking
        if http.state[held, col.MODE] == col.HOLD and (
            http.state[held, col.ENDED] != 0 or http.state[held ^ 1, col.ENDED] != 0
        ):
            http.state[held, col.MODE] = col.START
            http.counters[col.C_AGAIN] = 1
        going_on = http.counters[col.C_AGAIN] != 0
        if http.counters[col.C_FULL] != 0:
            pressed = pressed + 1 if http.conns[c, col.COUNT] >= ceiling else 0
            going_on = True
    http.counters[col.C_FULL] = 0
    return 0


@kernel
def read_connection(http: Http, i: int, data: U8, line: U8) -> int:
    """Active connection `i`: ROOM_DUE where it is to be called again with more room, or else 0."""
    c = http.active[i, col.A_SLOT]
    if not room(http):
        return ROOM_DUE
    for side in range(2):
        s = 2 * c + side
        run_end = http.active[i, col.A_RUNS + side + 1]
        if run_end > http.active[i, col.A_RUNS + side]:
            seen = http.runs[run_end - 1, col.RUN_OFFSET] + http.runs[run_end - 1, col.RUN_LENGTH]
            http.state[s, col.SEEN] = max(http.state[s, col.SEEN], seen)
        if http.active[i, col.A_HOW + side] != 0:
            http.state[s, col.ENDED] = http.active[i, col.A_HOW + side]
    for side in range(2):
        peek(http, 2 * c + side, data, http.active[i, col.A_RUNS + side], http.active[i, col.A_RUNS + side + 1])
    asking = 1 if http.state[2 * c + 1, col.KIND] == col.REQUEST or http.state[2 * c, col.KIND] == col.RESPONSE else 0
    if read_in_turn(http, i, c, asking, data, line) == ROOM_DUE:
        return ROOM_DUE
    for turn in range(2):
        side = asking ^ turn
        s = 2 * c + side
        if http.active[i, col.A_HOW + side] != 0:
            end_stream(http, s, http.active[i, col.A_HOW + side], http.active[i, col.A_END + side])
        carry_peers(
            http.state, s, http.chunks, http.active[i, col.A_CHUNKS + side], http.active[i, col.A_CHUNKS + side + 1]
        )
    settle(http, c)
    return 0


@kernel
def read_block(http: Http, i: int, data: U8, line: U8) -> int:
    """The active connections from `i` on: which one to go on with once there is more room, or their number."""
    while i < len(http.active):
        if read_connection(http, i, data, line) == ROOM_DUE:
            return i
        i += 1
    return i
