"""One stream: from where it was left, step by step, through its runs and gaps to the end of its bytes."""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.bodies import BROKEN, ENDED_HERE, body_complete, read_body, skip_gap
from inspector.http.heads import (
    FULL,
    H2,
    HTTP1,
    MOVED,
    PAUSED,
    ROOM_DUE,
    TLS,
    WAITING,
    begin_request,
    begin_response,
    first_bytes,
    hello,
    read_headers,
    skip_empty_lines,
)
from inspector.http.layout import Http, Near
from inspector.http.messages import announce, drop_interim, finish, finish_early, lose
from inspector.http.recognise import h2_frames, tls_records
from inspector.http.resync import ASSUMED, OPEN, REFUTED, chunk_of, first_not_below, standing, start_line_at
from inspector.http.startline import INVALID_LINE, PARTIAL_LINE, VALID_LINE
from inspector.kernels.kernel import cold, kernel
from inspector.table import U8
from inspector.tcp.tables import UNKNOWN, End, Gap

FIN = int(End.FIN)
RST = int(End.RST)
REUSED = int(End.REUSED)
CUT_REASON = int(Gap.CUT)
MESSAGE_TEXT = 1 << 17  # more than the text fields of one message can take


@kernel
def room(http: Http) -> bool:
    """Whether the outputs have room for a further step."""
    return (
        http.counters[col.C_ROWS] + 2 <= http.rows.shape[1]
        and http.counters[col.C_TEXT] + MESSAGE_TEXT <= len(http.text)
        and http.counters[col.C_LINES] + 2 * col.LINES_KEPT <= len(http.lines)
        and http.counters[col.C_NODES] + 2 <= len(http.pool)
        and http.counters[col.C_NEWS] + 8 <= len(http.news)
        and http.counters[col.C_UNANSWERED] + 2 * http.limits[col.L_PENDING] + 16 <= len(http.unanswered)
    )


@kernel
def start_message(http: Http, s: int, data: U8, at: int, end: int, last: bool, near: Near) -> int:
    """Between messages."""
    at = skip_empty_lines(http, s, data, at, end)
    if at >= end:
        return WAITING
    row = chunk_of(http.chunks, near.low, near.high, http.state[s, col.POS])
    peer = http.chunks[row, col.CHUNK_PEER] if row >= 0 else UNKNOWN + 0
    if http.state[s, col.KIND] == col.REQUEST:
        found = begin_request(http, s, data, at, end, peer)
    else:
        found = begin_response(http, s, data, at, end, peer)
    if found == PARTIAL_LINE:
        return WAITING
    if found == PAUSED:
        return PAUSED
    if found == INVALID_LINE:
        lose(http, s, http.state[s, col.POS])
    return MOVED


@cold
def framed(http: Http, s: int, data: U8, at: int, end: int, last: bool) -> int:
    """Name the protocol of stream `s` where a packet at `at` begins frames of HTTP/2 or records of TLS.

    PARTIAL_LINE where more bytes are needed to tell. It is asked of streams in which no HTTP/1 was found.
    """
    known = http.state[s, col.PROTOCOL]
    if http.state[s, col.KIND] != 0 or http.state[s ^ 1, col.KIND] != 0 or known == H2 or known == TLS:
        return INVALID_LINE
    protocol = H2 + 0
    found = h2_frames(data, at, end, last)
    if found == INVALID_LINE:
        protocol = TLS + 0
        found = tls_records(data, at, end, last)
    if found == VALID_LINE:
        announce(http, s, protocol)
    return found


@cold
def search(http: Http, s: int, data: U8, base: int, end: int, last: bool, near: Near) -> int:
    """After a lost boundary: the first packet that begins a message where the other side confirms it (see resync).

    A packet that acknowledges bytes of the other side that were not passed on yet waits for them: they may confirm it.
    """
    row = first_not_below(http.chunks, col.CHUNK_OFFSET, near.low, near.high, http.state[s, col.POS])
    while row < near.high and base + http.chunks[row, col.CHUNK_OFFSET] < end:
        offset = http.chunks[row, col.CHUNK_OFFSET]
        at = base + offset
        behind = (
            http.state[s ^ 1, col.STREAM] != col.NONE
            and http.state[s ^ 1, col.ENDED] == 0
            and http.chunks[row, col.CHUNK_PEER] > http.state[s ^ 1, col.SEEN]
        )
        if behind and end - at <= http.limits[col.L_WAIT]:
            http.state[s, col.POS] = offset
            return WAITING
        found, kind = start_line_at(data, at, end, http.state[s, col.KIND], http.state[s ^ 1, col.KIND])
        if found == VALID_LINE or (found == PARTIAL_LINE and not last):
            shown = standing(http, s, row, kind, near)
            if shown == OPEN or (shown != REFUTED and found == PARTIAL_LINE):
                http.state[s, col.POS] = offset
                return WAITING
            if shown != REFUTED:
                http.state[s, col.KIND] = kind
                http.state[s, col.MODE] = col.START
                http.state[s, col.POS] = offset
                if shown == ASSUMED:
                    http.state[s, col.NEXT_FACTS] |= col.UNCONFIRMED
                    http.counters[col.C_ALONE] += 1
                announce(http, s, HTTP1 + 0)
                return MOVED
            if found == VALID_LINE:
                http.counters[col.C_UNCONFIRMED] += 1
        if framed(http, s, data, at, end, last) == PARTIAL_LINE:
            http.state[s, col.POS] = offset
            return WAITING
        row += 1
    http.state[s, col.POS] = end - base
    return WAITING


@kernel
def step(http: Http, s: int, data: U8, base: int, end: int, last: bool, near: Near, line: U8) -> int:
    """One step of stream `s` in the bytes data[base + POS : end]: WAITING, MOVED or PAUSED. Precondition: there are some."""
    mode = http.state[s, col.MODE]
    at = base + http.state[s, col.POS]
    if mode == col.START:
        return start_message(http, s, data, at, end, last, near)
    if mode == col.HEADERS:
        return read_headers(http, s, data, at, end, last, line)
    if mode == col.FIRST:
        return first_bytes(http, s, data, at, end, http.state[s, col.SYNCED] != 0, last)
    if mode == col.SEARCH:
        return search(http, s, data, base, end, last, near)
    if mode == col.STOPPED:
        http.state[s, col.POS] = end - base
        return WAITING
    if mode == col.HELLO:
        return hello(http, s, data, at, end, last, line)
    if mode == col.HOLD:
        if end - at <= http.limits[col.L_WAIT]:
            return PAUSED
        http.state[s, col.MODE] = col.START
        return MOVED
    found = read_body(http, s, data, at, end)
    if found == ENDED_HERE or found == BROKEN:
        http.rows[col.R_FACTS, http.state[s, col.ROW]] |= col.COMPLETE if found == ENDED_HERE else 0
        finish(http, s)
    if found == BROKEN:
        lose(http, s, http.state[s, col.POS])
    return WAITING if found == WAITING else MOVED


@cold
def gap(http: Http, s: int, offset: int, missing: int, cut: bool) -> None:
    """The last `missing` bytes before `offset` of stream `s` are missing; those between POS and them cannot be read without."""
    mode = http.state[s, col.MODE]
    row = http.state[s, col.ROW]
    if mode == col.STOPPED or mode == col.SEARCH:
        http.state[s, col.POS] = offset
    elif mode == col.HELLO:
        http.state[s, col.MODE] = col.STOPPED
        http.state[s, col.POS] = offset
    elif mode == col.FIRST or mode == col.START or mode == col.HOLD:
        lose(http, s, offset)
    elif mode == col.HEADERS:
        http.state[s, col.POS] = offset - missing
        http.rows[col.R_GAP, row] += missing
        http.rows[col.R_FACTS, row] |= col.CUT if cut else 0
        finish_early(http, s)
        lose(http, s, offset)
    else:
        http.state[s, col.POS] = offset - missing
        inside = skip_gap(http, s, missing, cut)
        complete = inside >= 0 and body_complete(http, s)
        if inside < 0 or complete:
            http.rows[col.R_FACTS, row] |= col.COMPLETE if complete else 0
            finish(http, s)
        if inside != missing:
            lose(http, s, offset)


@cold
def end_stream(http: Http, s: int, how: int, offset: int) -> None:
    """Stream `s` has ended: so has its message (RFC 9112 section 8)."""
    mode = http.state[s, col.MODE]
    facts = col.ABORTED if how == FIN or how == RST or how == REUSED else 0
    if mode == col.START:
        drop_interim(http, s)
    elif http.state[s, col.ROW] != col.NONE:
        if mode == col.UNTIL_CLOSE and how == FIN and offset <= http.state[s, col.SEEN]:
            facts = col.COMPLETE + 0
        http.state[s, col.POS] = max(http.state[s, col.POS], http.state[s, col.SEEN])
        http.rows[col.R_FACTS, http.state[s, col.ROW]] |= facts
        finish_early(http, s)
    http.state[s, col.MODE] = col.STOPPED


@kernel
def read_stream(http: Http, s: int, data: U8, run: int, run_end: int, near: Near, line: U8, ceiling: int) -> int:
    """Stream `s` through its runs in this block: ROOM_DUE where it is to be called again with more room, FULL where `ceiling`
    requests wait for a response and more could be read, or else WAITING."""
    while run < run_end:
        offset = http.runs[run, col.RUN_OFFSET]
        stop = offset + http.runs[run, col.RUN_LENGTH]
        if offset > http.state[s, col.POS]:
            if http.state[s, col.MODE] == col.HOLD:
                return WAITING
            missing = offset - http.state[s, col.POS]
            if 0 < http.runs[run, col.RUN_GAP] < missing:
                missing = http.runs[run, col.RUN_GAP]
            gap(http, s, offset, missing, http.runs[run, col.RUN_REASON] == CUT_REASON)
        last = run + 1 < run_end or http.state[s, col.ENDED] != 0
        base = http.runs[run, col.RUN_AT] - offset
        while http.state[s, col.POS] < stop:
            if not room(http):
                return ROOM_DUE
            if (
                http.state[s, col.MODE] == col.START
                and http.state[s, col.KIND] == col.REQUEST
                and http.conns[s >> 1, col.COUNT] >= ceiling
            ):
                http.counters[col.C_FULL] = 1
                return FULL
            came_to = step(http, s, data, base, base + stop, last, near, line)
            if came_to == PAUSED:
                return WAITING
            if came_to == WAITING:
                break
        run += 1
    return WAITING
