"""A message's row from its first byte to its end, and the body length rule (RFC 9112 section 6.3)."""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.fields import note_line, store
from inspector.http.layout import Http
from inspector.http.matching import give_up, lose_boundary, push, release
from inspector.http.startline import INVALID_LINE, PARTIAL_LINE, VALID_LINE
from inspector.http.tables import Protocol
from inspector.http.xxh64 import EMPTY_SUM, end_sum, start_sum, xxh64
from inspector.kernels.kernel import cold, kernel
from inspector.table import U8
from inspector.tcp.tables import End

H2 = int(Protocol.H2)
TUNNEL = int(Protocol.TUNNEL)
WEBSOCKET = int(Protocol.WEBSOCKET)
FIN = int(End.FIN)


@kernel
def announce(http: Http, s: int, protocol: int) -> None:
    """Stream `s` was found to be `protocol`. Precondition: `news` has room."""
    if http.state[s, col.PROTOCOL] == protocol or http.state[s, col.STREAM] == col.NONE:
        return
    row = http.counters[col.C_NEWS]
    http.counters[col.C_NEWS] = row + 1
    http.news[row, 0] = s
    http.news[row, 1] = http.state[s, col.STREAM]
    http.news[row, 2] = protocol
    http.news[row, 3] = 0
    http.news[row, 4] = 0
    http.news[row, 5] = http.state[s, col.PROTOCOL]
    http.state[s, col.PROTOCOL] = protocol


@kernel
def begin_row(http: Http, s: int, version: int) -> int:
    """The row of the message that starts at POS: a new one, or that of the interim response before it."""
    row = http.state[s, col.ROW]
    facts = http.state[s, col.NEXT_FACTS]
    http.state[s, col.NEXT_FACTS] = 0
    if row == col.NONE:
        row = http.counters[col.C_ROWS]
        http.counters[col.C_ROWS] = row + 1
        message = http.counters[col.C_NEXT_ID]
        http.counters[col.C_NEXT_ID] = message + 1
        request = col.NONE + 0
    else:
        message = http.rows[col.R_ID, row]
        request = http.rows[col.R_REQUEST, row]
        facts |= http.rows[col.R_FACTS, row] & (col.INTERIM | col.RESYNCED | col.UNCONFIRMED)
    for k in range(col.ROW_WIDTH):
        http.rows[k, row] = 0
    for k in range(col.HASH_WIDTH):
        http.hashes[k, row] = 0
    for k in range(col.R_AT, col.R_LENGTH):
        http.rows[k, row] = col.NONE
    http.rows[col.R_ID, row] = message
    http.rows[col.R_REQUEST, row] = request
    http.rows[col.R_SLOT, row] = s
    http.rows[col.R_STREAM, row] = http.state[s, col.STREAM]
    http.rows[col.R_KIND, row] = http.state[s, col.KIND]
    http.rows[col.R_VERSION, row] = version
    http.rows[col.R_START, row] = http.state[s, col.POS]
    http.rows[col.R_FACTS, row] = facts
    http.rows[col.R_STATUS, row] = col.NONE
    http.rows[col.R_ATTEMPT, row] = col.NONE
    start_sum(http.lanes, s)
    http.state[s, col.ROW] = row
    http.state[s, col.MODE] = col.HEADERS
    http.state[s, col.CODING] = col.CODING_NONE
    http.state[s, col.LENGTH] = col.NONE
    http.state[s, col.FLAGS] = 0
    http.state[s, col.LINES] = 0
    http.state[s, col.SCANNED] = 0
    http.state[s, col.HEAD_BYTES] = 0
    return row


@kernel
def finish(http: Http, s: int) -> None:
    """The message of stream `s` ends at POS."""
    row = http.state[s, col.ROW]
    http.rows[col.R_END, row] = http.state[s, col.POS]
    if http.rows[col.R_FACTS, row] & col.BODY_GAP == 0:
        size = http.rows[col.R_BODY, row]
        http.hashes[col.H_BODY, row] = EMPTY_SUM if size == 0 else end_sum(http.lanes, http.tails, s, size, http.cell)
    http.rows[col.R_DONE, row] = 1
    http.state[s, col.ROW] = col.NONE
    http.state[s, col.MODE] = col.START
    if http.state[s, col.KIND] == col.REQUEST and (
        http.state[s, col.METHOD] == col.CONNECT or http.state[s, col.FLAGS] & col.FLAG_UPGRADE
    ):
        http.state[s, col.MODE] = col.HOLD
        http.state[s, col.HELD] = http.rows[col.R_ID, row]


@cold
def drop_interim(http: Http, s: int) -> None:
    """The final response after an interim one will not be found: the request has no response."""
    row = http.state[s, col.ROW]
    if row != col.NONE:
        http.rows[col.R_DONE, row] = 2
        if http.rows[col.R_REQUEST, row] != col.NONE:
            give_up(http, http.rows[col.R_REQUEST, row])
            release(http, s ^ 1, http.rows[col.R_REQUEST, row])
        http.state[s, col.ROW] = col.NONE


@cold
def finish_early(http: Http, s: int) -> None:
    """The message of stream `s` ends at POS before its end. A request whose head is not complete may be answered as well."""
    row = http.state[s, col.ROW]
    if http.state[s, col.MODE] == col.HEADERS:
        if (
            http.state[s, col.KIND] == col.RESPONSE
            and http.rows[col.R_STATUS, row] < 200
            and http.rows[col.R_STATUS, row] != 101
        ):
            drop_interim(http, s)
            return
        http.rows[col.R_HEAD_END, row] = http.state[s, col.POS]
        if http.state[s, col.KIND] == col.REQUEST:
            start = http.rows[col.R_START, row]
            push(
                http,
                http.rows[col.R_ID, row],
                start,
                http.state[s, col.POS],
                http.state[s, col.PEER],
                http.state[s, col.METHOD],
                s >> 1,
            )
    finish(http, s)


@cold
def lose(http: Http, s: int, at: int) -> None:
    """Stream `s` looks for its next message from offset `at` on. Precondition: it is in none, but for an interim response."""
    drop_interim(http, s)
    http.state[s, col.POS] = at
    http.state[s, col.MODE] = col.SEARCH
    http.state[s, col.SCANNED] = 0
    http.state[s, col.NEXT_FACTS] |= col.RESYNCED
    lose_boundary(http, s, at)


@cold
def tunnel(http: Http, s: int) -> None:
    """The response of stream `s` ends HTTP on its connection (RFC 9110 sections 7.8, 9.3.6).

    What follows an upgrade is the protocol that the response names. In a CONNECT tunnel may be any, HTTP too: its first
    bytes tell.
    """
    inside = http.state[s, col.METHOD] == col.CONNECT
    protocol = TUNNEL + 0
    if not inside and http.state[s, col.FLAGS] & col.FLAG_H2C:
        protocol = H2 + 0
    elif not inside and http.state[s, col.FLAGS] & col.FLAG_WEBSOCKET:
        protocol = WEBSOCKET + 0
    http.rows[col.R_FACTS, http.state[s, col.ROW]] |= col.COMPLETE | col.NO_BODY | col.UPGRADED
    finish(http, s)
    if http.state[s ^ 1, col.ROW] != col.NONE:
        http.rows[col.R_FACTS, http.state[s ^ 1, col.ROW]] |= col.ABORTED
        finish(http, s ^ 1)
    for side in (s, s ^ 1):
        http.state[side, col.MODE] = col.FIRST if inside else col.STOPPED
        announce(http, side, protocol)
        if inside:
            http.state[side, col.KIND] = 0
            http.state[side, col.SYNCED] = 1
    if inside:
        http.conns[s >> 1, col.INSIDE] = 1
    http.counters[col.C_AGAIN] = 1


@cold
def host_from_target(http: Http, row: int, method: int, line: U8) -> None:
    """Without a Host field: the authority of an absolute-form or authority-form target (RFC 9112 section 3.2)."""
    i = http.rows[col.R_AT + col.T_TARGET, row]
    end = i + http.rows[col.R_LENGTH + col.T_TARGET, row]
    if method != col.CONNECT:
        while i < end and http.text[i] != 58 and http.text[i] != 47:
            i += 1
        if i + 3 > end or http.text[i] != 58 or http.text[i + 1] != 47 or http.text[i + 2] != 47:
            return
        i += 3
    stop = i
    while stop < end and http.text[stop] != 47 and http.text[stop] != 63 and http.text[stop] != 35:
        if http.text[stop] == 64:  # userinfo
            i = stop + 1
        stop += 1
    if i < stop:
        for k in range(stop - i):
            line[k] = http.text[i + k]
        store(http, line, 0, stop - i, col.T_HOST + 0, row)


@kernel
def no_content(status: int, method: int) -> bool:
    """RFC 9112 section 6.3 item 1: responses that never have content."""
    return method == col.HEAD or status < 200 or status == 204 or status == 304


@kernel
def content(http: Http, s: int, row: int) -> int:
    """RFC 9112 section 6.3 items 3 to 8: MODE becomes how the content is read. 1: there is none; 2: nobody can tell."""
    request = http.state[s, col.KIND] == col.REQUEST
    length = http.state[s, col.LENGTH]
    if http.state[s, col.CODING] != col.CODING_NONE:
        if length != col.NONE:
            http.rows[col.R_FACTS, row] |= col.LENGTH_CONFLICT
        if http.state[s, col.CODING] == col.CODING_CHUNKED:
            http.rows[col.R_FACTS, row] |= col.CHUNKED
            http.state[s, col.MODE] = col.CHUNK_SIZE
            return 0
        if request:
            http.rows[col.R_FACTS, row] |= col.LENGTH_CONFLICT
            return 2
    elif length == col.INVALID:
        return 2
    elif length > 0:
        http.state[s, col.MODE] = col.BODY
        http.state[s, col.REMAIN] = length
        return 0
    elif length == 0:
        return 1
    elif request:
        http.rows[col.R_FACTS, row] |= col.NO_BODY
        return 1
    http.rows[col.R_FACTS, row] |= col.CLOSE_DELIMITED
    http.state[s, col.MODE] = col.UNTIL_CLOSE
    return 0


@cold
def note_unsent_length(http: Http, s: int, row: int, line: U8) -> None:
    """The content-length of a response without content is kept behind its lines: a proxy has no reason to change what a HEAD or
    a 304 tells of the content that a GET would bring (RFC 9110 section 8.6)."""
    if http.state[s, col.LENGTH] < 0:
        return
    name = (99, 111, 110, 116, 101, 110, 116, 45, 108, 101, 110, 103, 116, 104, 58)  # content-length:
    for k in range(15):
        line[k] = name[k]
    size = 16
    rest = http.state[s, col.LENGTH]
    while rest >= 10:
        rest //= 10
        size += 1
    rest = http.state[s, col.LENGTH]
    for k in range(size - 15):
        line[size - 1 - k] = 48 + rest % 10
        rest //= 10
    note_line(http, s, row, xxh64(line, 0, size, http.cell))


@kernel
def doubtful(http: Http, s: int) -> bool:
    """Whether the request of stream `s`'s response is unknown: had it been HEAD, what the head says of a body would not hold."""
    return http.state[s, col.METHOD] == col.UNKNOWN_METHOD and http.conns[s >> 1, col.LOST] != 0


@cold
def no_response_next(data: U8, at: int, end: int, last: bool) -> int:
    """Whether the bytes behind the head of a doubtful response are its body, since no status line begins with them.

    VALID_LINE: they are. PARTIAL_LINE: too few are there to tell.
    """
    status = (72, 84, 84, 80, 47)  # HTTP/
    for k in range(5):
        if at + k >= end:
            return INVALID_LINE if last else PARTIAL_LINE
        if data[at + k] != status[k]:
            return VALID_LINE
    return INVALID_LINE


@kernel
def end_head(http: Http, s: int, line: U8, follows: int) -> None:
    """The head of stream `s`'s message ends at POS: what follows it? `follows`: see `no_response_next`."""
    row = http.state[s, col.ROW]
    status = http.rows[col.R_STATUS, row]
    method = http.state[s, col.METHOD]
    http.rows[col.R_HEAD_END, row] = http.state[s, col.POS]
    http.rows[col.R_FACTS, row] |= col.HEAD_COMPLETE
    if http.state[s, col.FLAGS] & col.FLAG_CLOSE or (
        http.rows[col.R_VERSION, row] == 10 and http.state[s, col.FLAGS] & col.FLAG_KEEP_ALIVE == 0
    ):
        http.rows[col.R_FACTS, row] |= col.CLOSE
    if http.state[s, col.KIND] == col.REQUEST:
        if http.rows[col.R_AT + col.T_HOST, row] == col.NONE and http.rows[col.R_AT + col.T_METHOD, row] != col.NONE:
            host_from_target(http, row, method, line)
        push(
            http,
            http.rows[col.R_ID, row],
            http.rows[col.R_START, row],
            http.state[s, col.POS],
            http.state[s, col.PEER],
            method,
            s >> 1,
        )
        ends = content(http, s, row)
    elif status == 101 or (method == col.CONNECT and 200 <= status < 300):
        tunnel(http, s)
        return
    elif status < 200:
        http.rows[col.R_FACTS, row] |= col.INTERIM
        http.state[s, col.MODE] = col.START
        return
    else:
        release(http, s ^ 1, http.rows[col.R_REQUEST, row])
        if no_content(status, method):
            http.rows[col.R_FACTS, row] |= col.NO_BODY
            if method == col.HEAD or status == 304:
                note_unsent_length(http, s, row, line)
            ends = 1
        elif follows != VALID_LINE and http.state[s, col.LENGTH] != 0 and doubtful(http, s):
            ends = 2
        else:
            ends = content(http, s, row)
    if ends != 0:
        if ends == 1:
            http.rows[col.R_FACTS, row] |= col.COMPLETE
        finish(http, s)
        if ends == 2 and http.state[s, col.MODE] != col.HOLD:
            lose(http, s, http.state[s, col.POS])
