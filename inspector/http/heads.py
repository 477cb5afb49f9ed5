"""From the first byte of a stream or a message to the end of the head (RFC 9112 sections 2 to 5)."""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.fields import field_line, note_field, note_line, store
from inspector.http.layout import Http
from inspector.http.line_cache import KNOWN_WORDS, NAME, VALUE, VALUE_END, learn, line_key, recall
from inspector.http.matching import match
from inspector.http.messages import announce, begin_row, doubtful, end_head, finish_early, lose, no_response_next
from inspector.http.names import UNNAMED
from inspector.http.recognise import h2_frames, proxy_header
from inspector.http.resync import start_line_at
from inspector.http.startline import (
    INVALID_LINE,
    PARTIAL_LINE,
    VALID_LINE,
    find_line_end,
    h2_preface,
    loose_request_line,
    request_line,
    status_line,
    tls_record,
)
from inspector.http.tables import Protocol
from inspector.http.tls import server_name
from inspector.http.xxh64 import M
from inspector.kernels.kernel import cold, kernel
from inspector.table import U8
from inspector.tcp.tables import UNKNOWN

HTTP1 = int(Protocol.HTTP1)
H2 = int(Protocol.H2)
TLS = int(Protocol.TLS)
TUNNEL = int(Protocol.TUNNEL)
OTHER = int(Protocol.OTHER)
PROXY = int(Protocol.PROXY)

SILENT_WAIT = 16384  # a response waits no longer than this for a direction of which nothing was seen
NAME_LIMIT = 255  # RFC 1035 section 2.3.4

# What a step came to.
WAITING = 0
MOVED = 1
ROOM_DUE = 2  # an output is full
PAUSED = 3  # the stream waits for the other direction
FULL = 4  # enough requests wait for a response


@cold
def stop_with(http: Http, s: int, protocol: int) -> None:
    """Stream `s` is `protocol` and is read no further; the same is said of the other direction if nothing else is known of it."""
    http.state[s, col.MODE] = col.STOPPED
    announce(http, s, protocol)
    other = s ^ 1
    if (
        protocol != OTHER
        and http.state[other, col.STREAM] != col.NONE
        and http.state[other, col.KIND] == 0
        and http.state[other, col.MODE] != col.HELLO
    ):
        http.state[other, col.MODE] = col.STOPPED
        announce(http, other, protocol)


@cold
def first_bytes(http: Http, s: int, data: U8, at: int, end: int, synced: bool, last: bool) -> int:
    """What the first bytes of a stream tell. They may follow empty lines (RFC 9112 section 2.2)."""
    other = http.state[s ^ 1, col.PROTOCOL] if http.state[s ^ 1, col.STREAM] != col.NONE else 0
    if other == TUNNEL and http.conns[s >> 1, col.INSIDE] != 0:
        other = 0
    if other == H2 and http.state[s ^ 1, col.MODE] != col.STOPPED:  # joined late: HTTP/1 is looked for all the same
        other = 0
    proxied, after = proxy_header(data, at, end)
    if proxied == VALID_LINE and http.state[s, col.PROTOCOL] != PROXY:
        http.state[s, col.POS] += after - at
        http.state[s, col.FIRST_OFFSET] = http.state[s, col.POS]
        announce(http, s, PROXY + 0)
        return MOVED
    i = at
    while i < end and (data[i] == 13 or data[i] == 10):
        i += 1
    if i >= end and not last and other != H2 and other != TUNNEL:
        return WAITING
    preface = h2_preface(data, i, end)
    record = tls_record(data, at, end)
    found, kind = start_line_at(data, i, end, 0, http.state[s ^ 1, col.KIND])
    protocol = 0
    if other == H2 or other == TUNNEL:
        protocol = other
    elif preface == VALID_LINE:
        protocol = H2
    elif record == VALID_LINE:
        protocol = TLS
        if data[at] == 22:
            http.state[s, col.MODE] = col.HELLO
            return MOVED
    elif found == VALID_LINE:
        http.state[s, col.POS] += i - at
        http.state[s, col.KIND] = kind
        http.state[s, col.MODE] = col.START
        announce(http, s, HTTP1 + 0)
        return MOVED
    elif not last and (
        preface == PARTIAL_LINE or record == PARTIAL_LINE or found == PARTIAL_LINE or proxied == PARTIAL_LINE
    ):
        return WAITING
    elif other == TLS:
        protocol = TLS
    elif found == INVALID_LINE and http.conns[s >> 1, col.INSIDE] != 0:
        http.state[s, col.MODE] = col.STOPPED
        return MOVED
    elif found == INVALID_LINE:
        protocol = OTHER
    # The side that answers begins with a frame, if the preface of the one that asks was not captured.
    late = protocol == OTHER and h2_frames(data, at, end, last) != INVALID_LINE
    if protocol != 0 and (protocol != OTHER or (synced and not late)):
        stop_with(http, s, protocol)
        return MOVED
    if protocol == OTHER:
        announce(http, s, protocol)
    lose(http, s, http.state[s, col.POS])
    return MOVED


@cold
def hello(http: Http, s: int, data: U8, at: int, end: int, last: bool, line: U8) -> int:
    """The handshake at the start of a TLS stream: its server name is reported."""
    found, i, size = server_name(data, at, end, line)
    if found == PARTIAL_LINE and not last and end - at <= http.limits[col.L_HELLO]:
        return WAITING
    row = http.counters[col.C_NEWS]
    stop_with(http, s, TLS + 0)
    if found == VALID_LINE and http.counters[col.C_NEWS] > row and 0 < size <= NAME_LIMIT:
        http.news[row, 3] = http.counters[col.C_TEXT]
        http.news[row, 4] = size
        for k in range(size):
            http.text[http.counters[col.C_TEXT] + k] = line[i + k]
        http.counters[col.C_TEXT] += size
    return MOVED


@kernel
def method_of(data: U8, at: int, end: int) -> int:
    """HEAD and CONNECT (RFC 9110 section 9.3; methods are case-sensitive) change how a response is read."""
    if end - at == 4 and data[at] == 72 and data[at + 1] == 69 and data[at + 2] == 65 and data[at + 3] == 68:
        return col.HEAD
    if end - at == 7:
        connect = (67, 79, 78, 78, 69, 67, 84)
        for k in range(7):
            if data[at + k] != connect[k]:
                return col.OTHER_METHOD
        return col.CONNECT
    return col.OTHER_METHOD


@kernel
def must_wait(http: Http, s: int, peer: int, size: int) -> bool:
    """Whether the response of stream `s` came before bytes that its server had received: its request may be among them."""
    other = s ^ 1
    if http.counters[col.C_FULL] != 0 and (peer == UNKNOWN or peer > http.state[other, col.POS]):
        return True  # requests are read on as soon as some are answered
    if http.state[s, col.ENDED] != 0:
        return False
    # It was in HOLD until now, as a tunnel's was; or it waits for what may confirm its next message, and is read again later.
    resumed = http.state[other, col.MODE] == col.START or http.state[other, col.MODE] == col.SEARCH
    if http.conns[s >> 1, col.INSIDE] != 0:
        resumed |= http.state[other, col.MODE] == col.FIRST
    unread = resumed and http.state[other, col.POS] < http.state[other, col.SEEN]
    if unread and (peer == UNKNOWN or peer > http.state[other, col.POS]) and http.state[other, col.ENDED] == 0:
        return size <= http.limits[col.L_WAIT]
    if peer == UNKNOWN:
        return False
    if http.state[other, col.STREAM] == col.NONE:
        return peer > 0 and size <= min(SILENT_WAIT, http.limits[col.L_WAIT])
    return http.state[other, col.ENDED] == 0 and peer > http.state[other, col.SEEN] and size <= http.limits[col.L_WAIT]


@kernel
def begin_request(http: Http, s: int, data: U8, at: int, end: int, peer: int) -> int:
    """The start line of a request at `at`: what was found."""
    found, method_end, target_end, version, after = request_line(data, at, end)
    target = method_end + 1
    facts = 0
    if found == INVALID_LINE:
        found, method_end, target, target_end, version, after = loose_request_line(data, at, end)
        facts = col.BAD_LINE + 0
    if found != VALID_LINE:
        return found
    row = begin_row(http, s, version)
    http.rows[col.R_FACTS, row] |= facts
    store(http, data, at, method_end, col.T_METHOD + 0, row)
    store(http, data, target, target_end, col.T_TARGET + 0, row)
    http.state[s, col.METHOD] = method_of(data, at, method_end)
    http.rows[col.R_PEER, row] = peer
    http.state[s, col.PEER] = peer
    http.state[s, col.POS] += after - at
    http.state[s, col.HEAD_BYTES] = after - at
    return found


@kernel
def begin_response(http: Http, s: int, data: U8, at: int, end: int, peer: int) -> int:
    """The start line of a response at `at`: what was found, or PAUSED where it has to wait for its request."""
    found, status, version, after = status_line(data, at, end)
    if found != VALID_LINE:
        return found
    first = http.state[s, col.ROW] == col.NONE
    if first and (http.counters[col.C_AGAIN] != 0 or must_wait(http, s, peer, end - at)):
        return PAUSED
    start = http.state[s, col.POS]
    row = begin_row(http, s, version)
    http.rows[col.R_STATUS, row] = status
    http.rows[col.R_PEER, row] = peer
    if first:
        http.rows[col.R_REQUEST, row] = match(http, s, start, peer)
    http.state[s, col.POS] += after - at
    http.state[s, col.HEAD_BYTES] = after - at
    return found


@kernel
def skip_empty_lines(http: Http, s: int, data: U8, at: int, end: int) -> int:
    """RFC 9112 section 2.2: empty lines before a start line are no part of it. Gives where it begins."""
    i = at
    while i < end and (data[i] == 13 or data[i] == 10):
        i += 1
    http.state[s, col.POS] += i - at
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


@cold
def new_line(http: Http, s: int, data: U8, at: int, i: int, folded: bool, place: int, line: U8) -> None:
    """The field line `data[at:i]` is read, and takes its `place` (-1: none) among the known ones."""
    row = http.state[s, col.ROW]
    before = http.hashes[col.H_HEADERS, row] & M
    name, value, size = field_line(http, data, at, i, folded, line, row)
    added = (http.hashes[col.H_HEADERS, row] - before) & M
    note_line(http, s, row, added)
    if place >= 0 and data[i - 1] == 13:
        learn(http, data, at, i, place, name, added)
    if name != UNNAMED:
        note_field(http, name, line, value, size, s, row)


@kernel
def read_headers(http: Http, s: int, data: U8, at: int, end: int, last: bool, line: U8) -> int:
    """Header lines up to the empty one. A line is whole when the byte after it shows that it is not folded."""
    row = http.state[s, col.ROW]
    begin = at + http.state[s, col.SCANNED]
    while True:
        i, folded, place = whole_line(data, at, begin, end)
        if (
            http.state[s, col.HEAD_BYTES] + i - at >= http.limits[col.L_HEAD]
            or http.state[s, col.LINES] > http.limits[col.L_LINES]
        ):
            http.rows[col.R_FACTS, row] |= col.HEAD_TOO_LONG
            finish_early(http, s)
            lose(http, s, http.state[s, col.POS])
            return MOVED
        empty = i == at or (i == at + 1 and data[at] == 13)
        if i >= end or (i + 1 >= end and not empty and not last):
            # A line end at the very end of the bytes is met again when its next byte is there.
            http.state[s, col.SCANNED] = 0 if folded else i - at
            return WAITING
        follows = VALID_LINE + 0
        if empty and doubtful(http, s):
            follows = no_response_next(data, i + 1, end, last)
            if follows == PARTIAL_LINE:
                http.state[s, col.SCANNED] = i - at
                return WAITING
        http.state[s, col.SCANNED] = 0
        http.state[s, col.POS] += i + 1 - at
        http.state[s, col.HEAD_BYTES] += i + 1 - at
        if empty:
            end_head(http, s, line, follows)
            return MOVED
        http.state[s, col.LINES] += 1
        if place >= 0 and recall(data, at, i, place, http.known, http.known_words):
            name, value, size = (
                http.known[place, NAME],
                at + http.known[place, VALUE],
                at + http.known[place, VALUE_END],
            )
            added = http.known_words[place, KNOWN_WORDS] & M
            http.hashes[col.H_HEADERS, row] = (http.hashes[col.H_HEADERS, row] + added) & M
            note_line(http, s, row, added)
            if name != UNNAMED:
                note_field(http, name, data, value, size, s, row)
        else:
            new_line(http, s, data, at, i, folded, place, line)
        at = i + 1
        begin = at
