"""From the first byte of a stream or a message to the end of the head (RFC 9112 sections 2 to 5)."""

from __future__ import annotations

from inspector.http.fields import field_line, note_field, store, value_bounds
from inspector.http.known import KNOWN_WORDS, NAME, VALUE, VALUE_END, learn, line_key, recall
from inspector.http.layout import (
    C_AGAIN,
    C_FULL,
    C_NEWS,
    C_TEXT,
    CONNECT,
    ENDED,
    H_HEADERS,
    HEAD,
    HEAD_BYTES,
    HEAD_TOO_LONG,
    HELLO,
    KIND,
    L_HEAD,
    L_HELLO,
    L_LINES,
    L_WAIT,
    LINES,
    METHOD,
    MODE,
    NONE,
    OTHER_METHOD,
    PEER,
    POS,
    PROTOCOL,
    R_FACTS,
    R_REQUEST,
    R_STATUS,
    ROW,
    SCANNED,
    SEEN,
    START,
    STOPPED,
    STREAM,
    T_METHOD,
    T_TARGET,
    TURN,
    UNKNOWN_METHOD,
)
from inspector.http.matching import match
from inspector.http.messages import announce, begin_row, end_head, finish_early, lose
from inspector.http.names import UNNAMED
from inspector.http.resync import start_line_at
from inspector.http.startline import (
    INVALID_LINE,
    PARTIAL_LINE,
    VALID_LINE,
    find_line_end,
    h2_preface,
    request_line,
    status_line,
    tls_record,
)
from inspector.http.tables import Protocol
from inspector.http.tls import server_name
from inspector.http.xxh64 import M
from inspector.kernel import cold, kernel
from inspector.table import I64, U8, U64
from inspector.tcp.tables import UNKNOWN

HTTP1 = int(Protocol.HTTP1)
H2 = int(Protocol.H2)
TLS = int(Protocol.TLS)
TUNNEL = int(Protocol.TUNNEL)
OTHER = int(Protocol.OTHER)

SILENT_WAIT = 16384  # a response waits no longer than this for a direction of which nothing was seen
NAME_LIMIT = 255  # RFC 1035 section 2.3.4

# What a step came to.
WAITING = 0
MOVED = 1
ROOM_DUE = 2  # an output is full
PAUSED = 3  # the stream waits for the other direction
FULL = 4  # enough requests wait for a response


@cold
def stop_with(s: int, protocol: int, state: I64, news: I64, counters: I64) -> None:
    """Stream `s` is `protocol` and is read no further; the same is said of the other direction if nothing else is known of it."""
    state[s, MODE] = STOPPED
    announce(s, protocol, state, news, counters)
    other = s ^ 1
    if protocol != OTHER and state[other, STREAM] != NONE and state[other, KIND] == 0 and state[other, MODE] != HELLO:
        state[other, MODE] = STOPPED
        announce(other, protocol, state, news, counters)


@cold
def first_bytes(
    s: int, data: U8, at: int, end: int, synced: bool, last: bool,
    state: I64, conns: I64, rows: I64, news: I64, unanswered: I64, counters: I64,
) -> int:  # fmt: skip
    """What the first bytes of a stream tell. They may follow empty lines (RFC 9112 section 2.2)."""
    other = state[s ^ 1, PROTOCOL] if state[s ^ 1, STREAM] != NONE else 0
    i = at
    while i < end and (data[i] == 13 or data[i] == 10):
        i += 1
    if i >= end and not last and other != H2 and other != TUNNEL:
        return WAITING
    preface = h2_preface(data, i, end)
    record = tls_record(data, at, end)
    found, kind = start_line_at(data, i, end, 0, state[s ^ 1, KIND])
    protocol = 0
    if other == H2 or other == TUNNEL:
        protocol = other
    elif preface == VALID_LINE:
        protocol = H2
    elif record == VALID_LINE:
        protocol = TLS
        if data[at] == 22:
            state[s, MODE] = HELLO
            return MOVED
    elif found == VALID_LINE:
        state[s, POS] += i - at
        state[s, KIND] = kind
        state[s, MODE] = START
        announce(s, HTTP1 + 0, state, news, counters)
        return MOVED
    elif not last and (preface == PARTIAL_LINE or record == PARTIAL_LINE or found == PARTIAL_LINE):
        return WAITING
    elif other == TLS:
        protocol = TLS
    elif found == INVALID_LINE:
        protocol = OTHER
    if protocol != 0 and (protocol != OTHER or synced):
        stop_with(s, protocol, state, news, counters)
        return MOVED
    if protocol == OTHER:
        announce(s, protocol, state, news, counters)
    lose(s, state[s, POS], state, conns, rows, unanswered, counters)
    return MOVED


@cold
def hello(
    s: int, data: U8, at: int, end: int, last: bool,
    line: U8, state: I64, text: U8, news: I64, counters: I64, limits: I64,
) -> int:  # fmt: skip
    """The handshake at the start of a TLS stream: its server name is told."""
    found, i, size = server_name(data, at, end, line)
    if found == PARTIAL_LINE and not last and end - at <= limits[L_HELLO]:
        return WAITING
    row = counters[C_NEWS]
    stop_with(s, TLS + 0, state, news, counters)
    if found == VALID_LINE and counters[C_NEWS] > row and 0 < size <= NAME_LIMIT:
        news[row, 3] = counters[C_TEXT]
        news[row, 4] = size
        for k in range(size):
            text[counters[C_TEXT] + k] = line[i + k]
        counters[C_TEXT] += size
    return MOVED


@kernel
def method_of(data: U8, at: int, end: int) -> int:
    """HEAD and CONNECT (RFC 9110 section 9.3; methods are case-sensitive) change how a response is read."""
    if end - at == 4 and data[at] == 72 and data[at + 1] == 69 and data[at + 2] == 65 and data[at + 3] == 68:
        return HEAD
    if end - at == 7:
        connect = (67, 79, 78, 78, 69, 67, 84)
        for k in range(7):
            if data[at + k] != connect[k]:
                return OTHER_METHOD
        return CONNECT
    return OTHER_METHOD


@kernel
def must_wait(s: int, peer: int, size: int, state: I64, counters: I64, limits: I64) -> bool:
    """Whether the response of stream `s` came before bytes that its server had received: its request may be among them."""
    other = s ^ 1
    if counters[C_FULL] != 0 and (peer == UNKNOWN or peer > state[other, POS]):
        return True  # requests are read on as soon as some are answered
    if state[s, ENDED] != 0:
        return False
    unread = state[other, MODE] == START and state[other, POS] < state[other, SEEN]  # it was in HOLD until now
    if unread and (peer == UNKNOWN or peer > state[other, POS]) and state[other, ENDED] == 0:
        return size <= limits[L_WAIT]
    if peer == UNKNOWN:
        return False
    if state[other, STREAM] == NONE:
        return peer > 0 and size <= min(SILENT_WAIT, limits[L_WAIT])
    return state[other, ENDED] == 0 and peer > state[other, SEEN] and size <= limits[L_WAIT]


@kernel
def begin_request(
    s: int, data: U8, at: int, end: int, peer: int,
    state: I64, rows: I64, hashes: U64, text: U8, lanes: U64, counters: I64, limits: I64, cell: U64,
) -> int:  # fmt: skip
    """The start line of a request at `at`: what was found."""
    found, method_end, target_end, version, after = request_line(data, at, end)
    if found != VALID_LINE:
        return found
    row = begin_row(s, version, state, rows, hashes, lanes, counters)
    store(data, at, method_end, T_METHOD + 0, rows, hashes, row, text, counters, limits, cell)
    store(data, method_end + 1, target_end, T_TARGET + 0, rows, hashes, row, text, counters, limits, cell)
    state[s, METHOD] = method_of(data, at, method_end)
    state[s, PEER] = peer
    state[s, POS] += after - at
    state[s, HEAD_BYTES] = after - at
    return found


@kernel
def begin_response(
    s: int, data: U8, at: int, end: int, peer: int,
    state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, lanes: U64, unanswered: I64, counters: I64, limits: I64,
) -> int:  # fmt: skip
    """The start line of a response at `at`: what was found, or PAUSED where it has to wait for its request."""
    found, status, version, after = status_line(data, at, end)
    if found != VALID_LINE:
        return found
    first = state[s, ROW] == NONE
    if first and (counters[C_AGAIN] != 0 or must_wait(s, peer, end - at, state, counters, limits)):
        return PAUSED
    start = state[s, POS]
    row = begin_row(s, version, state, rows, hashes, lanes, counters)
    rows[R_STATUS, row] = status
    if first:
        rows[R_REQUEST, row] = match(s, start, peer, state, conns, pool, unanswered, counters)
    state[s, POS] += after - at
    state[s, HEAD_BYTES] = after - at
    return found


@kernel
def skip_empty_lines(s: int, data: U8, at: int, end: int, state: I64) -> int:
    """RFC 9112 section 2.2: empty lines before a start line are no part of it. Gives where it begins."""
    i = at
    while i < end and (data[i] == 13 or data[i] == 10):
        i += 1
    state[s, POS] += i - at
    return i


@kernel
def whole_line(data: U8, at: int, begin: int, end: int) -> tuple[int, bool, int]:
    """The index of the LF that ends the header line at `at`, `end` where there is none, whether it is folded, and its place
    among the known lines (-1: none).

    begin: no LF stands before it.
    """
    folded = False
    i, place = line_key(data, at, end) if begin == at else (begin, -1)
    if place < 0:
        i = find_line_end(data, i, end)
    while 0 < i - at and i + 1 < end and (data[i + 1] == 32 or data[i + 1] == 9) and (i > at + 1 or data[at] != 13):
        folded = True
        place = -1
        i = find_line_end(data, i + 1, end)
    return i, folded, place


@kernel
def begins_response(data: U8, at: int, end: int) -> bool:
    """Whether "HTTP/" stands at `at`, or too few bytes to tell."""
    return end - at < 5 or (
        data[at] == 72 and data[at + 1] == 84 and data[at + 2] == 84 and data[at + 3] == 80 and data[at + 4] == 47
    )


@cold
def new_line(
    s: int, data: U8, at: int, i: int, folded: bool, place: int,
    line: U8, names: U8, table: I64, known: I64, known_words: U64, state: I64, rows: I64, hashes: U64, row: int,
    text: U8, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """The field line `data[at:i]` is read, and takes its `place` (-1: none) among the known ones."""
    before = hashes[H_HEADERS, row] & M
    name, value, size = field_line(data, at, i, folded, line, names, table, rows, hashes, row, cell)
    if place >= 0 and data[i - 1] == 13:
        begin, end = (at, i) if name == UNNAMED else value_bounds(data, at, i - 1)
        added = (hashes[H_HEADERS, row] - before) & M
        learn(data, at, i, place, name, begin - at, end - at, added, known, known_words)
    if name != UNNAMED:
        note_field(name, line, value, size, state, s, rows, hashes, row, text, counters, limits, cell)


@kernel
def read_headers(
    s: int, data: U8, at: int, end: int, last: bool,
    line: U8, names: U8, table: I64, known: I64, known_words: U64,
    state: I64, conns: I64, pool: I64, rows: I64, hashes: U64, text: U8,
    lanes: U64, tails: U8, news: I64, unanswered: I64, counters: I64, limits: I64, cell: U64,
) -> int:  # fmt: skip
    """Header lines up to the empty one. A line is whole when the byte after it shows that it is not folded."""
    row = state[s, ROW]
    begin = at + state[s, SCANNED]
    while True:
        i, folded, place = whole_line(data, at, begin, end)
        if state[s, HEAD_BYTES] + i - at >= limits[L_HEAD] or state[s, LINES] > limits[L_LINES]:
            rows[R_FACTS, row] |= HEAD_TOO_LONG
            finish_early(s, state, conns, pool, rows, hashes, lanes, tails, cell, unanswered, counters, limits)
            lose(s, state[s, POS], state, conns, rows, unanswered, counters)
            return MOVED
        empty = i == at or (i == at + 1 and data[at] == 13)
        if i >= end or (i + 1 >= end and not empty and not last):
            # A line end at the very end of the bytes is met again when its next byte is there.
            state[s, SCANNED] = 0 if folded else i - at
            return WAITING
        state[s, SCANNED] = 0
        state[s, POS] += i + 1 - at
        state[s, HEAD_BYTES] += i + 1 - at
        if empty:
            if state[s, METHOD] == UNKNOWN_METHOD and begins_response(data, i + 1, end):
                state[s, TURN] = state[s, POS]
            end_head(
                s, state, conns, pool, rows, hashes, text, lanes, tails, line,
                news, unanswered, counters, limits, cell,
            )  # fmt: skip
            return MOVED
        state[s, LINES] += 1
        if place >= 0 and recall(data, at, i, place, known, known_words):
            name, value, size = known[place, NAME], at + known[place, VALUE], at + known[place, VALUE_END]
            hashes[H_HEADERS, row] = (hashes[H_HEADERS, row] + known_words[place, KNOWN_WORDS]) & M
            if name != UNNAMED:
                note_field(name, data, value, size, state, s, rows, hashes, row, text, counters, limits, cell)
        else:
            new_line(
                s, data, at, i, folded, place, line, names, table, known, known_words,
                state, rows, hashes, row, text, counters, limits, cell,
            )  # fmt: skip
        at = i + 1
        begin = at
