"""The driver: every connection of a block, the stream of requests before that of responses, then the ends of both."""

from __future__ import annotations

from inspector.http.heads import ROOM_DUE, first_bytes
from inspector.http.layout import (
    A_CHUNKS,
    A_END,
    A_HOW,
    A_RUNS,
    A_SLOT,
    C_AGAIN,
    C_FULL,
    COUNT,
    ENDED,
    FIRST,
    HOLD,
    KIND,
    L_PENDING,
    MODE,
    NONE,
    POS,
    REQUEST,
    RESPONSE,
    RUN_AT,
    RUN_LENGTH,
    RUN_OFFSET,
    SEEN,
    START,
    STREAM,
    SYNCED,
)
from inspector.http.matching import drop_all
from inspector.http.resync import carry_peers
from inspector.http.streams import FIN, end_stream, read_stream, room
from inspector.kernel import cold, kernel
from inspector.table import I64, U8, U64


@cold
def peek(
    s: int, data: U8, runs: I64, run: int, run_end: int, state: I64, conns: I64, rows: I64, news: I64, unanswered: I64,
    counters: I64,
) -> None:  # fmt: skip
    """What stream `s` is, if its first bytes are there: only then is it known which direction asks."""
    if run >= run_end or state[s, MODE] != FIRST:
        return
    offset = runs[run, RUN_OFFSET]
    stop = offset + runs[run, RUN_LENGTH]
    if offset <= state[s, POS] < stop:
        base = runs[run, RUN_AT] - offset
        last = run + 1 < run_end or state[s, ENDED] != 0
        first_bytes(
            s, data, base + state[s, POS], base + stop, state[s, SYNCED] != 0, last,
            state, conns, rows, news, unanswered, counters,
        )  # fmt: skip


@cold
def settle(state: I64, conns: I64, c: int, pool: I64, unanswered: I64, counters: I64) -> None:
    """Give up the pending requests of a connection if no response can come any more."""
    if conns[c, COUNT] == 0:
        return
    for s in (2 * c, 2 * c + 1):
        how = state[s, ENDED]
        if how != 0:
            other = s ^ 1
            if state[s, KIND] == RESPONSE or state[other, ENDED] != 0 or (how != FIN and state[other, STREAM] == NONE):
                drop_all(state, conns, c, pool, unanswered, counters)


@kernel
def read_in_turn(
    i: int, c: int, asking: int, active: I64, data: U8, runs: I64, chunks: I64,
    line: U8, names: U8, table: I64, known: I64, known_words: U64,
    state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, text: U8, lanes: U64, tails: U8,
    news: I64, unanswered: I64, counters: I64, limits: I64, cell: U64,
) -> int:  # fmt: skip
    """The requests of connection `c`, then its responses, until neither gets on: ROOM_DUE or 0.

    A block may hold more requests than may wait for a response: some are read, then what answers them, and so on. Where that
    makes no room, the client pipelines: as many as may wait are read, and at last all of them, the oldest being given up.
    """
    pressed = 0
    going_on = True
    while going_on:
        counters[C_AGAIN] = 0
        counters[C_FULL] = 0
        ceiling = 1 << 62
        if pressed < 2:
            ceiling = limits[L_PENDING] if pressed == 1 else (limits[L_PENDING] + 1) // 2
        for turn in range(2):
            side = asking ^ turn
            came_to = read_stream(
                2 * c + side, data, runs, active[i, A_RUNS + side], active[i, A_RUNS + side + 1], chunks,
                active[i, A_CHUNKS + side], active[i, A_CHUNKS + side + 1],
                active[i, A_CHUNKS + 1 - side], active[i, A_CHUNKS + 2 - side],
                line, names, table, known, known_words,
                state, conns, pool, rows, hashes, text, lanes, tails,
                news, unanswered, counters, limits, cell, ceiling,
            )  # fmt: skip
            if came_to == ROOM_DUE:
                return ROOM_DUE
        held = 2 * c + asking
        if state[held, MODE] == HOLD and (state[held, ENDED] != 0 or state[held ^ 1, ENDED] != 0):
            state[held, MODE] = START
            counters[C_AGAIN] = 1
        going_on = counters[C_AGAIN] != 0
        if counters[C_FULL] != 0:
            pressed = pressed + 1 if conns[c, COUNT] >= ceiling else 0
            going_on = True
    counters[C_FULL] = 0
    return 0


@kernel
def read_connection(
    i: int, active: I64, data: U8, runs: I64, chunks: I64,
    line: U8, names: U8, table: I64, known: I64, known_words: U64,
    state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, text: U8,
    lanes: U64, tails: U8,
    news: I64, unanswered: I64, counters: I64, limits: I64, cell: U64,
) -> int:  # fmt: skip
    """Active connection `i`: ROOM_DUE where it is to be called again with more room, or else 0."""
    c = active[i, A_SLOT]
    if not room(rows, text, pool, news, unanswered, counters, limits):
        return ROOM_DUE
    for side in range(2):
        s = 2 * c + side
        run_end = active[i, A_RUNS + side + 1]
        if run_end > active[i, A_RUNS + side]:
            state[s, SEEN] = max(state[s, SEEN], runs[run_end - 1, RUN_OFFSET] + runs[run_end - 1, RUN_LENGTH])
        if active[i, A_HOW + side] != 0:
            state[s, ENDED] = active[i, A_HOW + side]
    for side in range(2):
        peek(
            2 * c + side, data, runs, active[i, A_RUNS + side], active[i, A_RUNS + side + 1],
            state, conns, rows, news, unanswered, counters,
        )  # fmt: skip
    asking = 1 if state[2 * c + 1, KIND] == REQUEST or state[2 * c, KIND] == RESPONSE else 0
    if read_in_turn(
        i, c, asking, active, data, runs, chunks, line, names, table, known, known_words,
        state, conns, pool, rows, hashes, text, lanes, tails, news, unanswered, counters, limits, cell,
    ) == ROOM_DUE:  # fmt: skip
        return ROOM_DUE
    for turn in range(2):
        side = asking ^ turn
        s = 2 * c + side
        if active[i, A_HOW + side] != 0:
            end_stream(
                s, active[i, A_HOW + side], active[i, A_END + side],
                state, conns, pool, rows, hashes, lanes, tails, unanswered, counters, limits, cell,
            )  # fmt: skip
        carry_peers(state, s, chunks, active[i, A_CHUNKS + side], active[i, A_CHUNKS + side + 1])
    settle(state, conns, c, pool, unanswered, counters)
    return 0


@kernel
def read_block(
    i: int, active: I64, data: U8, runs: I64, chunks: I64,
    line: U8, names: U8, table: I64, known: I64, known_words: U64,
    state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, text: U8,
    lanes: U64, tails: U8,
    news: I64, unanswered: I64, counters: I64, limits: I64, cell: U64,
) -> int:  # fmt: skip
    """The active connections from `i` on: which one to go on with once there is more room, or their number."""
    while i < len(active):
        if read_connection(
            i, active, data, runs, chunks, line, names, table, known, known_words,
            state, conns, pool, rows, hashes, text, lanes, tails, news, unanswered, counters, limits, cell,
        ) == ROOM_DUE:  # fmt: skip
            return i
        i += 1
    return i
