"""A message's row from its first byte to its end, and the body length rule (RFC 9112 section 6.3)."""

from __future__ import annotations

from inspector.http.fields import store
from inspector.http.layout import (
    ABORTED,
    BODY,
    BODY_GAP,
    C_AGAIN,
    C_NEWS,
    C_NEXT_ID,
    C_ROWS,
    CHUNK_SIZE,
    CHUNKED,
    CLOSE,
    CLOSE_DELIMITED,
    CODING,
    CODING_CHUNKED,
    CODING_NONE,
    COMPLETE,
    CONNECT,
    ENDED,
    FLAG_CLOSE,
    FLAG_KEEP_ALIVE,
    FLAG_UPGRADE,
    FLAGS,
    H_BODY,
    HASH_WIDTH,
    HEAD,
    HEAD_BYTES,
    HEAD_COMPLETE,
    HEADERS,
    HELD,
    HOLD,
    INTERIM,
    INVALID,
    KIND,
    LENGTH,
    LENGTH_CONFLICT,
    LINES,
    LOST,
    METHOD,
    MODE,
    NEXT_FACTS,
    NO_BODY,
    NONE,
    PEER,
    POS,
    PROTOCOL,
    R_AT,
    R_ATTEMPT,
    R_BODY,
    R_DONE,
    R_END,
    R_FACTS,
    R_HEAD_END,
    R_ID,
    R_KIND,
    R_LENGTH,
    R_REQUEST,
    R_SLOT,
    R_START,
    R_STATUS,
    R_STREAM,
    R_VERSION,
    REMAIN,
    REQUEST,
    RESPONSE,
    RESYNCED,
    ROW,
    ROW_WIDTH,
    SCANNED,
    SEARCH,
    SEEN,
    START,
    STOPPED,
    STREAM,
    T_HOST,
    T_METHOD,
    T_TARGET,
    TURN,
    UNKNOWN_METHOD,
    UNTIL_CLOSE,
    UPGRADED,
)
from inspector.http.matching import give_up, lose_boundary, push, release
from inspector.http.tables import Protocol
from inspector.http.xxh64 import EMPTY_SUM, end_sum, start_sum
from inspector.kernel import cold, kernel
from inspector.table import I64, U8, U64
from inspector.tcp.tables import End

TUNNEL = int(Protocol.TUNNEL)
FIN = int(End.FIN)


@kernel
def announce(s: int, protocol: int, state: I64, news: I64, counters: I64) -> None:
    """Stream `s` was found to be `protocol`. Precondition: `news` has room."""
    if state[s, PROTOCOL] == protocol or state[s, STREAM] == NONE:
        return
    state[s, PROTOCOL] = protocol
    row = counters[C_NEWS]
    counters[C_NEWS] = row + 1
    news[row, 0] = s
    news[row, 1] = state[s, STREAM]
    news[row, 2] = protocol
    news[row, 3] = 0
    news[row, 4] = 0


@kernel
def begin_row(s: int, version: int, state: I64, rows: I64, hashes: U64, lanes: U64, counters: I64) -> int:
    """The row of the message that starts at POS: a new one, or that of the interim response before it."""
    row = state[s, ROW]
    facts = state[s, NEXT_FACTS]
    state[s, NEXT_FACTS] = 0
    if row == NONE:
        row = counters[C_ROWS]
        counters[C_ROWS] = row + 1
        message = counters[C_NEXT_ID]
        counters[C_NEXT_ID] = message + 1
        request = NONE + 0
    else:
        message = rows[R_ID, row]
        request = rows[R_REQUEST, row]
        facts |= rows[R_FACTS, row] & (INTERIM | RESYNCED)
    for k in range(ROW_WIDTH):
        rows[k, row] = 0
    for k in range(HASH_WIDTH):
        hashes[k, row] = 0
    for k in range(R_AT, R_LENGTH):
        rows[k, row] = NONE
    rows[R_ID, row] = message
    rows[R_REQUEST, row] = request
    rows[R_SLOT, row] = s
    rows[R_STREAM, row] = state[s, STREAM]
    rows[R_KIND, row] = state[s, KIND]
    rows[R_VERSION, row] = version
    rows[R_START, row] = state[s, POS]
    rows[R_FACTS, row] = facts
    rows[R_STATUS, row] = NONE
    rows[R_ATTEMPT, row] = NONE
    start_sum(lanes, s)
    state[s, ROW] = row
    state[s, MODE] = HEADERS
    state[s, CODING] = CODING_NONE
    state[s, LENGTH] = NONE
    state[s, FLAGS] = 0
    state[s, LINES] = 0
    state[s, SCANNED] = 0
    state[s, HEAD_BYTES] = 0
    return row


@kernel
def finish(s: int, state: I64, rows: I64, hashes: U64, lanes: U64, tails: U8, cell: U64) -> None:
    """The message of stream `s` ends at POS."""
    row = state[s, ROW]
    rows[R_END, row] = state[s, POS]
    if rows[R_FACTS, row] & BODY_GAP == 0:
        size = rows[R_BODY, row]
        hashes[H_BODY, row] = EMPTY_SUM if size == 0 else end_sum(lanes, tails, s, size, cell)
    rows[R_DONE, row] = 1
    state[s, ROW] = NONE
    state[s, MODE] = START
    if state[s, KIND] == REQUEST and (state[s, METHOD] == CONNECT or state[s, FLAGS] & FLAG_UPGRADE):
        state[s, MODE] = HOLD
        state[s, HELD] = rows[R_ID, row]


@cold
def drop_interim(s: int, state: I64, rows: I64, unanswered: I64, counters: I64) -> None:
    """The final response after an interim one will not be found: the request has no response."""
    row = state[s, ROW]
    if row != NONE:
        rows[R_DONE, row] = 2
        if rows[R_REQUEST, row] != NONE:
            give_up(rows[R_REQUEST, row], unanswered, counters)
            release(state, s ^ 1, rows[R_REQUEST, row], counters)
        state[s, ROW] = NONE


@cold
def finish_early(
    s: int, state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, lanes: U64, tails: U8,
    cell: U64, unanswered: I64, counters: I64, limits: I64,
) -> None:  # fmt: skip
    """The message of stream `s` ends at POS before its end. A request whose head is not complete may be answered as well."""
    row = state[s, ROW]
    if state[s, MODE] == HEADERS:
        if state[s, KIND] == RESPONSE and rows[R_STATUS, row] < 200 and rows[R_STATUS, row] != 101:
            drop_interim(s, state, rows, unanswered, counters)
            return
        rows[R_HEAD_END, row] = state[s, POS]
        if state[s, KIND] == REQUEST:
            start = rows[R_START, row]
            push(
                rows[R_ID, row], start, state[s, POS], state[s, PEER], state[s, METHOD],
                state, conns, s >> 1, pool, unanswered, counters, limits,
            )  # fmt: skip
    finish(s, state, rows, hashes, lanes, tails, cell)


@cold
def lose(s: int, at: int, state: I64, conns: I64, rows: I64, unanswered: I64, counters: I64) -> None:
    """Stream `s` looks for its next message from offset `at` on. Precondition: it is in none, but for an interim response."""
    drop_interim(s, state, rows, unanswered, counters)
    state[s, POS] = at
    state[s, MODE] = SEARCH
    state[s, SCANNED] = 0
    state[s, NEXT_FACTS] |= RESYNCED
    lose_boundary(s, at, state, conns, counters)


@cold
def tunnel(
    s: int, state: I64, rows: I64, hashes: U64, lanes: U64, tails: U8, cell: U64,
    news: I64, counters: I64,
) -> None:  # fmt: skip
    """The response of stream `s` ends HTTP on its connection (RFC 9110 sections 7.8, 9.3.6): both directions are handed over."""
    rows[R_FACTS, state[s, ROW]] |= COMPLETE | NO_BODY | UPGRADED
    finish(s, state, rows, hashes, lanes, tails, cell)
    if state[s ^ 1, ROW] != NONE:
        rows[R_FACTS, state[s ^ 1, ROW]] |= ABORTED
        finish(s ^ 1, state, rows, hashes, lanes, tails, cell)
    for side in (s, s ^ 1):
        state[side, MODE] = STOPPED
        announce(side, TUNNEL + 0, state, news, counters)
    counters[C_AGAIN] = 1


@cold
def host_from_target(
    rows: I64,
    hashes: U64,
    row: int,
    method: int,
    text: U8,
    line: U8,
    counters: I64,
    limits: I64,
    cell: U64,
) -> None:
    """Without a Host field: the authority of an absolute-form or authority-form target (RFC 9112 section 3.2)."""
    i = rows[R_AT + T_TARGET, row]
    end = i + rows[R_LENGTH + T_TARGET, row]
    if method != CONNECT:
        while i < end and text[i] != 58 and text[i] != 47:
            i += 1
        if i + 3 > end or text[i] != 58 or text[i + 1] != 47 or text[i + 2] != 47:
            return
        i += 3
    stop = i
    while stop < end and text[stop] != 47 and text[stop] != 63 and text[stop] != 35:
        if text[stop] == 64:  # userinfo
            i = stop + 1
        stop += 1
    if i < stop:
        for k in range(stop - i):
            line[k] = text[i + k]
        store(line, 0, stop - i, T_HOST + 0, rows, hashes, row, text, counters, limits, cell)


@kernel
def no_content(status: int, method: int) -> bool:
    """RFC 9112 section 6.3 item 1: responses that never have content."""
    return method == HEAD or status < 200 or status == 204 or status == 304


@kernel
def content(s: int, state: I64, rows: I64, row: int) -> int:
    """RFC 9112 section 6.3 items 3 to 8: MODE becomes how the content is read. 1: there is none; 2: nobody can tell."""
    request = state[s, KIND] == REQUEST
    length = state[s, LENGTH]
    if state[s, CODING] != CODING_NONE:
        if length != NONE:
            rows[R_FACTS, row] |= LENGTH_CONFLICT
        if state[s, CODING] == CODING_CHUNKED:
            rows[R_FACTS, row] |= CHUNKED
            state[s, MODE] = CHUNK_SIZE
            return 0
        if request:
            rows[R_FACTS, row] |= LENGTH_CONFLICT
            return 2
    elif length == INVALID:
        return 2
    elif length > 0:
        state[s, MODE] = BODY
        state[s, REMAIN] = length
        return 0
    elif length == 0:
        return 1
    elif request:
        rows[R_FACTS, row] |= NO_BODY
        return 1
    rows[R_FACTS, row] |= CLOSE_DELIMITED
    state[s, MODE] = UNTIL_CLOSE
    return 0


@cold
def doubtful(s: int, state: I64, conns: I64) -> bool:
    """Whether the request of stream `s`'s response was lost: had it been HEAD, what the head says of a body would not hold."""
    if state[s, METHOD] != UNKNOWN_METHOD or conns[s >> 1, LOST] == 0 or state[s ^ 1, STREAM] == NONE:
        return False
    # It was not HEAD where the body ends just where the client spoke next, or where the stream ends, and does not begin
    # like the next response.
    end = state[s, POS] + state[s, LENGTH]
    if state[s, LENGTH] <= 0 or state[s, CODING] != CODING_NONE or state[s, TURN] == state[s, POS]:
        return True
    return state[s, TURN] != end and (state[s, TURN] > state[s, POS] or state[s, ENDED] != FIN or state[s, SEEN] != end)


@kernel
def end_head(
    s: int, state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, text: U8, lanes: U64, tails: U8, line: U8,
    news: I64, unanswered: I64, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """The head of stream `s`'s message ends at POS: what follows it?"""
    row = state[s, ROW]
    status = rows[R_STATUS, row]
    method = state[s, METHOD]
    rows[R_HEAD_END, row] = state[s, POS]
    rows[R_FACTS, row] |= HEAD_COMPLETE
    if state[s, FLAGS] & FLAG_CLOSE or (rows[R_VERSION, row] == 10 and state[s, FLAGS] & FLAG_KEEP_ALIVE == 0):
        rows[R_FACTS, row] |= CLOSE
    if state[s, KIND] == REQUEST:
        if rows[R_AT + T_HOST, row] == NONE and rows[R_AT + T_METHOD, row] != NONE:
            host_from_target(rows, hashes, row, method, text, line, counters, limits, cell)
        push(
            rows[R_ID, row], rows[R_START, row], state[s, POS], state[s, PEER], method,
            state, conns, s >> 1, pool, unanswered, counters, limits,
        )  # fmt: skip
        ends = content(s, state, rows, row)
    elif status == 101 or (method == CONNECT and 200 <= status < 300):
        tunnel(s, state, rows, hashes, lanes, tails, cell, news, counters)
        return
    elif status < 200:
        rows[R_FACTS, row] |= INTERIM
        state[s, MODE] = START
        return
    else:
        release(state, s ^ 1, rows[R_REQUEST, row], counters)
        if no_content(status, method):
            rows[R_FACTS, row] |= NO_BODY
            ends = 1
        elif doubtful(s, state, conns):
            ends = 2
        else:
            ends = content(s, state, rows, row)
    if ends != 0:
        if ends == 1:
            rows[R_FACTS, row] |= COMPLETE
        finish(s, state, rows, hashes, lanes, tails, cell)
        if ends == 2 and state[s, MODE] != HOLD:
            lose(s, state[s, POS], state, conns, rows, unanswered, counters)
