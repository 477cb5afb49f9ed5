"""One stream: from where it was left, step by step, through its runs and gaps to the end of its bytes."""

from __future__ import annotations

from inspector.http.bodies import BROKEN, ENDED_HERE, body_complete, read_body, skip_gap
from inspector.http.heads import (
    FULL,
    HTTP1,
    MOVED,
    PAUSED,
    ROOM_DUE,
    WAITING,
    begin_request,
    begin_response,
    first_bytes,
    hello,
    read_headers,
    skip_empty_lines,
)
from inspector.http.layout import (
    ABORTED,
    C_FULL,
    C_NEWS,
    C_NODES,
    C_ROWS,
    C_TEXT,
    C_UNANSWERED,
    C_UNCONFIRMED,
    CHUNK_OFFSET,
    CHUNK_PEER,
    CHUNK_TIME,
    COMPLETE,
    COUNT,
    CUT,
    ENDED,
    FIRST,
    HEADERS,
    HELLO,
    HOLD,
    KIND,
    L_PENDING,
    L_WAIT,
    METHOD,
    MODE,
    NONE,
    POS,
    R_FACTS,
    R_GAP,
    REQUEST,
    ROW,
    RUN_AT,
    RUN_GAP,
    RUN_LENGTH,
    RUN_OFFSET,
    RUN_REASON,
    SEARCH,
    SEEN,
    START,
    STOPPED,
    STREAM,
    SYNCED,
    TURN,
    UNKNOWN_METHOD,
    UNTIL_CLOSE,
)
from inspector.http.messages import announce, drop_interim, finish, finish_early, lose
from inspector.http.resync import chunk_of, confirmed, first_not_below, next_turn, start_line_at
from inspector.http.startline import INVALID_LINE, PARTIAL_LINE, VALID_LINE
from inspector.kernel import cold, kernel
from inspector.table import I64, U8, U64
from inspector.tcp.tables import UNKNOWN, End, Gap

FIN = int(End.FIN)
RST = int(End.RST)
REUSED = int(End.REUSED)
CUT_REASON = int(Gap.CUT)
MESSAGE_TEXT = 1 << 17  # more than the text fields of one message can take


@kernel
def room(rows: I64, text: U8, pool: I64, news: I64, unanswered: I64, counters: I64, limits: I64) -> bool:
    """Whether the outputs have room for a further step."""
    return (
        counters[C_ROWS] + 2 <= rows.shape[1]
        and counters[C_TEXT] + MESSAGE_TEXT <= len(text)
        and counters[C_NODES] + 2 <= len(pool)
        and counters[C_NEWS] + 8 <= len(news)
        and counters[C_UNANSWERED] + 2 * limits[L_PENDING] + 16 <= len(unanswered)
    )


@kernel
def start_message(
    s: int, data: U8, at: int, end: int, last: bool, chunks: I64, low: int, high: int,
    line: U8, state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, text: U8, lanes: U64,
    unanswered: I64, counters: I64, limits: I64, cell: U64,
) -> int:  # fmt: skip
    """Between messages."""
    at = skip_empty_lines(s, data, at, end, state)
    if at >= end:
        return WAITING
    row = chunk_of(chunks, low, high, state[s, POS])
    peer = chunks[row, CHUNK_PEER] if row >= 0 else UNKNOWN + 0
    if state[s, KIND] == REQUEST:
        found = begin_request(s, data, at, end, peer, state, rows, hashes, text, lanes, counters, limits, cell)
    else:
        found = begin_response(
            s, data, at, end, peer, state, conns, pool, rows, hashes, lanes, unanswered, counters, limits
        )
    if found == PARTIAL_LINE:
        return WAITING
    if found == PAUSED:
        return PAUSED
    if found == INVALID_LINE:
        lose(s, state[s, POS], state, conns, rows, unanswered, counters)
    return MOVED


@cold
def search(
    s: int, data: U8, base: int, end: int, last: bool, chunks: I64, low: int, high: int, other_low: int, other_high: int,
    state: I64, news: I64, counters: I64, limits: I64,
) -> int:  # fmt: skip
    """After a lost boundary: the first packet that begins a message where the other side confirms it (see resync).

    A packet that acknowledges bytes of the other side that were not handed over yet waits for them: they may confirm it.
    """
    row = first_not_below(chunks, CHUNK_OFFSET, low, high, state[s, POS])
    while row < high and base + chunks[row, CHUNK_OFFSET] < end:
        offset = chunks[row, CHUNK_OFFSET]
        at = base + offset
        behind = (
            state[s ^ 1, STREAM] != NONE and state[s ^ 1, ENDED] == 0 and chunks[row, CHUNK_PEER] > state[s ^ 1, SEEN]
        )
        if behind and end - at <= limits[L_WAIT]:
            state[s, POS] = offset
            return WAITING
        if confirmed(offset, chunks[row, CHUNK_TIME], state, s ^ 1, chunks, other_low, other_high):
            found, kind = start_line_at(data, at, end, state[s, KIND], state[s ^ 1, KIND])
            if found == VALID_LINE:
                state[s, KIND] = kind
                state[s, MODE] = START
                state[s, POS] = offset
                announce(s, HTTP1 + 0, state, news, counters)
                return MOVED
            if found == PARTIAL_LINE and not last:
                state[s, POS] = offset
                return WAITING
        elif start_line_at(data, at, end, state[s, KIND], state[s ^ 1, KIND])[0] == VALID_LINE:
            counters[C_UNCONFIRMED] += 1
        row += 1
    state[s, POS] = end - base
    return WAITING


@kernel
def step(
    s: int, data: U8, base: int, end: int, last: bool, chunks: I64, low: int, high: int,
    other_low: int, other_high: int,
    line: U8, names: U8, table: I64, known: I64, known_words: U64,
    state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, text: U8,
    lanes: U64, tails: U8,
    news: I64, unanswered: I64, counters: I64, limits: I64, cell: U64,
) -> int:  # fmt: skip
    """One step of stream `s` in the bytes data[base + POS : end]: WAITING, MOVED or PAUSED. Precondition: there are some."""
    mode = state[s, MODE]
    at = base + state[s, POS]
    if mode == START:
        return start_message(
            s, data, at, end, last, chunks, low, high, line, state, conns, pool, rows, hashes, text, lanes,
            unanswered, counters, limits, cell,
        )  # fmt: skip
    if mode == HEADERS:
        if state[s, METHOD] == UNKNOWN_METHOD:
            state[s, TURN] = next_turn(state[s, POS], state, s ^ 1, chunks, other_low, other_high)
        return read_headers(
            s, data, at, end, last, line, names, table, known, known_words,
            state, conns, pool, rows, hashes, text, lanes, tails,
            news, unanswered, counters, limits, cell,
        )  # fmt: skip
    if mode == FIRST:
        return first_bytes(
            s, data, at, end, state[s, SYNCED] != 0, last, state, conns, rows, news, unanswered, counters
        )
    if mode == SEARCH:
        return search(s, data, base, end, last, chunks, low, high, other_low, other_high, state, news, counters, limits)
    if mode == STOPPED:
        state[s, POS] = end - base
        return WAITING
    if mode == HELLO:
        return hello(s, data, at, end, last, line, state, text, news, counters, limits)
    if mode == HOLD:
        if end - at <= limits[L_WAIT]:
            return PAUSED
        state[s, MODE] = START
        return MOVED
    found = read_body(s, data, at, end, state, rows, lanes, tails, limits)
    if found == ENDED_HERE or found == BROKEN:
        rows[R_FACTS, state[s, ROW]] |= COMPLETE if found == ENDED_HERE else 0
        finish(s, state, rows, hashes, lanes, tails, cell)
    if found == BROKEN:
        lose(s, state[s, POS], state, conns, rows, unanswered, counters)
    return WAITING if found == WAITING else MOVED


@cold
def gap(
    s: int, offset: int, missing: int, cut: bool,
    state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, lanes: U64, tails: U8,
    unanswered: I64, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """The last `missing` bytes before `offset` of stream `s` are missing; those between POS and them cannot be read without."""
    mode = state[s, MODE]
    row = state[s, ROW]
    if mode == STOPPED or mode == SEARCH:
        state[s, POS] = offset
    elif mode == HELLO:
        state[s, MODE] = STOPPED
        state[s, POS] = offset
    elif mode == FIRST or mode == START or mode == HOLD:
        lose(s, offset, state, conns, rows, unanswered, counters)
    elif mode == HEADERS:
        state[s, POS] = offset - missing
        rows[R_GAP, row] += missing
        rows[R_FACTS, row] |= CUT if cut else 0
        finish_early(s, state, conns, pool, rows, hashes, lanes, tails, cell, unanswered, counters, limits)
        lose(s, offset, state, conns, rows, unanswered, counters)
    else:
        state[s, POS] = offset - missing
        inside = skip_gap(s, missing, cut, state, rows)
        complete = inside >= 0 and body_complete(s, state)
        if inside < 0 or complete:
            rows[R_FACTS, row] |= COMPLETE if complete else 0
            finish(s, state, rows, hashes, lanes, tails, cell)
        if inside != missing:
            lose(s, offset, state, conns, rows, unanswered, counters)


@cold
def end_stream(
    s: int, how: int, offset: int,
    state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, lanes: U64, tails: U8,
    unanswered: I64, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """Stream `s` has ended: so has its message (RFC 9112 section 8)."""
    mode = state[s, MODE]
    facts = ABORTED if how == FIN or how == RST or how == REUSED else 0
    if mode == START:
        drop_interim(s, state, rows, unanswered, counters)
    elif state[s, ROW] != NONE:
        if mode == UNTIL_CLOSE and how == FIN and offset <= state[s, SEEN]:
            facts = COMPLETE + 0
        state[s, POS] = max(state[s, POS], state[s, SEEN])
        rows[R_FACTS, state[s, ROW]] |= facts
        finish_early(s, state, conns, pool, rows, hashes, lanes, tails, cell, unanswered, counters, limits)
    state[s, MODE] = STOPPED


@kernel
def read_stream(
    s: int, data: U8, runs: I64, run: int, run_end: int, chunks: I64, low: int, high: int,
    other_low: int, other_high: int,
    line: U8, names: U8, table: I64, known: I64, known_words: U64,
    state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, text: U8,
    lanes: U64, tails: U8,
    news: I64, unanswered: I64, counters: I64, limits: I64, cell: U64, ceiling: int,
) -> int:  # fmt: skip
    """Stream `s` through its runs in this block: ROOM_DUE where it is to be called again with more room, FULL where `ceiling`
    requests wait for a response and more could be read, or else WAITING."""
    while run < run_end:
        offset = runs[run, RUN_OFFSET]
        stop = offset + runs[run, RUN_LENGTH]
        if offset > state[s, POS]:
            if state[s, MODE] == HOLD:
                return WAITING
            missing = offset - state[s, POS]
            if 0 < runs[run, RUN_GAP] < missing:
                missing = runs[run, RUN_GAP]
            gap(
                s, offset, missing, runs[run, RUN_REASON] == CUT_REASON,
                state, conns, pool, rows, hashes, lanes, tails, unanswered, counters, limits, cell,
            )  # fmt: skip
        last = run + 1 < run_end or state[s, ENDED] != 0
        base = runs[run, RUN_AT] - offset
        while state[s, POS] < stop:
            if not room(rows, text, pool, news, unanswered, counters, limits):
                return ROOM_DUE
            if state[s, MODE] == START and state[s, KIND] == REQUEST and conns[s >> 1, COUNT] >= ceiling:
                counters[C_FULL] = 1
                return FULL
            came_to = step(
                s, data, base, base + stop, last, chunks, low, high, other_low, other_high,
                line, names, table, known, known_words,
            state, conns, pool, rows, hashes, text, lanes, tails,
                news, unanswered, counters, limits, cell,
            )  # fmt: skip
            if came_to == PAUSED:
                return WAITING
            if came_to == WAITING:
                break
        run += 1
    return WAITING
