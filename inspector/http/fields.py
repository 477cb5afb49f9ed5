"""Header lines (RFC 9112 section 5): a lower-case name and a trimmed value each, noted in the row of their message."""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.layout import Http
from inspector.http.names import (
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    SERVER,
    UNNAMED,
    UPGRADE,
    X_B3_SAMPLED,
    X_ENVOY_ATTEMPT_COUNT,
    X_ENVOY_INTERNAL,
    X_ENVOY_UPSTREAM_SERVICE_TIME,
    find_name,
)
from inspector.http.tables import Mark
from inspector.http.trace import note_trace
from inspector.http.xxh64 import M, xxh64
from inspector.kernels.instructions import move
from inspector.kernels.kernel import cold, kernel
from inspector.table import U8

REQUEST_ID_MARK = int(Mark.REQUEST_ID)
XFF_MARK = int(Mark.XFF)
ENVOY_INTERNAL_MARK = int(Mark.ENVOY_INTERNAL)
UPSTREAM_TIME_MARK = int(Mark.UPSTREAM_TIME)
SERVER_ENVOY_MARK = int(Mark.SERVER_ENVOY)
CONTENT_ENCODING_MARK = int(Mark.CONTENT_ENCODING)
GRPC_MARK = int(Mark.GRPC)

# Words that values are compared with, as little-endian numbers of at most seven bytes.
WORD_CLOSE = int.from_bytes(b"close", "little")
WORD_GZIP = int.from_bytes(b"gzip", "little")
WORD_X_GZIP = int.from_bytes(b"x-gzip", "little")
WORD_DEFLATE = int.from_bytes(b"deflate", "little")
WORD_BR = int.from_bytes(b"br", "little")
WORD_ZSTD = int.from_bytes(b"zstd", "little")
WORD_NONE = int.from_bytes(b"none", "little")
WORD_CHUNKED = int.from_bytes(b"chunked", "little")
WORD_KEEP_AL = int.from_bytes(b"keep-al", "little")
WORD_UPGRADE = int.from_bytes(b"upgrade", "little")
WORD_H2C = int.from_bytes(b"h2c", "little")
WORD_ET = int.from_bytes(b"et", "little")
WORD_WEBSOCK = int.from_bytes(b"websock", "little")
WORD_IDENTIT = int.from_bytes(b"identit", "little")
WORD_ENVOY = int.from_bytes(b"envoy", "little")
WORD_ISTIO_E = int.from_bytes(b"istio-e", "little")
WORD_TRUE = int.from_bytes(b"true", "little")
WORD_APPLICA = int.from_bytes(b"applica", "little")
WORD_TION_GR = int.from_bytes(b"tion/gr", "little")


@kernel
def lower(c: int) -> int:
    """ASCII lower case of one byte."""
    return c + 32 if 65 <= c <= 90 else c + 0


@kernel
def word_at(line: U8, i: int, end: int) -> int:
    """The lower-case bytes `line[i:end]`, seven at most, as a little-endian number."""
    value = 0
    stop = min(end, i + 7)
    for k in range(stop - i):
        value |= lower(line[i + k]) << (8 * k)
    return value


@kernel
def field_name(data: U8, at: int, end: int, line: U8) -> tuple[int, int]:
    """The name of the field line `data[at:end]` in lower case and ":" in `line`: its length (0: no name), the value's index."""
    i = at
    while i < end and data[i] != 58:
        line[i - at] = lower(data[i])
        i += 1
    length = i - at
    while length > 0 and (line[length - 1] == 32 or line[length - 1] == 9):
        length -= 1
    if i >= end or length == 0 or line[0] <= 32:
        return 0, end
    line[length] = 58
    return length, i + 1


@kernel
def blank(c: int) -> bool:
    """SP, HTAB, and CR and LF in the middle of a folded line."""
    return c == 32 or c == 9 or c == 13 or c == 10


@cold
def value_bounds(data: U8, at: int, end: int) -> tuple[int, int]:
    """Where the trimmed value of the field line `data[at:end]`, which is not folded, begins and ends. It has a ":"."""
    while data[at] != 58:
        at += 1
    at += 1
    while at < end and blank(data[at]):
        at += 1
    while end > at and blank(data[end - 1]):
        end -= 1
    return at, end


@cold
def field_value(data: U8, i: int, end: int, folded: bool, line: U8, size: int) -> int:
    """The trimmed value `data[i:end]` follows in `line` at `size`: where it ends there.

    obs-fold becomes one SP (RFC 9112 section 5.2). Precondition: `line` has room for it.
    """
    while i < end and blank(data[i]):
        i += 1
    while end > i and blank(data[end - 1]):
        end -= 1
    if not folded:
        move(line, size, data, i, end - i)
        return size + end - i
    while i < end:
        if data[i] == 10 or (data[i] == 13 and data[i + 1] == 10):
            while blank(data[i]):
                i += 1
            while blank(line[size - 1]):
                size -= 1
            line[size] = 32
        else:
            line[size] = data[i]
            i += 1
        size += 1
    return size


@kernel
def store(http: Http, data: U8, i: int, end: int, field: int, row: int) -> None:
    """Field `field` of a row becomes `data[i:end]`, as far as its limit goes. Precondition: `text` has room for it."""
    limit = http.limits[col.L_TARGET] if field == col.T_TARGET else http.limits[col.L_FIELD]
    size = min(end - i, limit)
    at = http.counters[col.C_TEXT]
    move(http.text, at, data, i, size)
    http.counters[col.C_TEXT] = at + size
    http.rows[col.R_AT + field, row] = at
    http.rows[col.R_LENGTH + field, row] = size
    if field < col.T_CONTENT_TYPE:
        http.hashes[col.H_METHOD + field, row] = xxh64(data, i, size, http.cell)


@cold
def append_forwarded(http: Http, line: U8, i: int, end: int, row: int) -> None:
    """A further x-forwarded-for line: its value follows the others after a "," (RFC 9110 section 5.3)."""
    old = http.rows[col.R_AT + col.T_XFF, row]
    size = http.rows[col.R_LENGTH + col.T_XFF, row]
    at = http.counters[col.C_TEXT]
    if old + size != at:
        for k in range(size):
            http.text[at + k] = http.text[old + k]
        http.rows[col.R_AT + col.T_XFF, row] = at
        old = at
    limit = http.limits[col.L_FIELD]
    if size < limit:
        http.text[old + size] = 44
        size += 1
    more = min(end - i, limit - size)
    for k in range(more):
        http.text[old + size + k] = line[i + k]
    size += more
    http.counters[col.C_TEXT] = old + size
    http.rows[col.R_LENGTH + col.T_XFF, row] = size
    for k in range(size):
        line[k] = http.text[old + k]
    http.hashes[col.H_METHOD + col.T_XFF, row] = xxh64(line, 0, size, http.cell)


@kernel
def note_length(http: Http, line: U8, i: int, end: int, s: int, row: int) -> None:
    """Content-Length (RFC 9110 section 8.6): a number, or a list of the same number (RFC 9112 section 6.3 item 5)."""
    while True:
        value = col.NONE
        while i < end and (line[i] == 32 or line[i] == 9):
            i += 1
        while i < end and 48 <= line[i] <= 57:
            value = min(max(value, 0) * 10 + line[i] - 48, 1 << 58)
            i += 1
        while i < end and (line[i] == 32 or line[i] == 9):
            i += 1
        if value == col.NONE or value >= 1 << 58 or (i < end and line[i] != 44):
            value = col.INVALID
        if http.state[s, col.LENGTH] != col.NONE and http.state[s, col.LENGTH] != value:
            value = col.INVALID
        http.state[s, col.LENGTH] = value
        if value == col.INVALID:
            http.rows[col.R_FACTS, row] |= col.LENGTH_CONFLICT
            return
        if i >= end:
            return
        i += 1


@cold
def note_tokens(http: Http, line: U8, i: int, end: int, s: int, connection: bool) -> None:
    """The comma-separated tokens of Connection, or of Transfer-Encoding (the last coding counts)."""
    while i < end:
        while i < end and (line[i] == 32 or line[i] == 9 or line[i] == 44):
            i += 1
        begin = i
        while i < end and line[i] != 44 and line[i] != 32 and line[i] != 9 and line[i] != 59:
            i += 1
        size = i - begin
        if size > 0:
            word = word_at(line, begin, i)
            if connection:
                if size == 5 and word == WORD_CLOSE:
                    http.state[s, col.FLAGS] |= col.FLAG_CLOSE
                elif size == 10 and word == WORD_KEEP_AL:
                    http.state[s, col.FLAGS] |= col.FLAG_KEEP_ALIVE
            elif size == 7 and word == WORD_CHUNKED:
                http.state[s, col.CODING] = col.CODING_CHUNKED
            elif size != 8 or word != WORD_IDENTIT or http.state[s, col.CODING] != col.CODING_NONE:
                http.state[s, col.CODING] = col.CODING_OTHER
        while i < end and line[i] != 44:
            i += 1


@kernel
def coding_at(line: U8, i: int, end: int) -> int:
    """The content coding that `line[i:end]` names (RFC 9110 section 8.4.1), 0 for none at all, NONE for one that is not known."""
    size = end - i
    word = word_at(line, i, end)
    if (size == 4 and word == WORD_GZIP) or (size == 6 and word == WORD_X_GZIP):
        return col.GZIP_CODE + 0
    if size == 7 and word == WORD_DEFLATE:
        return col.DEFLATE_CODE + 0
    if size == 2 and word == WORD_BR:
        return col.BROTLI_CODE + 0
    if size == 4 and word == WORD_ZSTD:
        return col.ZSTD_CODE + 0
    if (size == 8 and word == WORD_IDENTIT) or (size == 4 and word == WORD_NONE):
        return 0
    return col.NONE + 0


@cold
def note_codings(http: Http, line: U8, i: int, end: int, row: int) -> None:
    """The codings of a Content-Encoding line follow those before."""
    while i < end and http.rows[col.R_CODINGS, row] >= 0:
        while i < end and (line[i] == 44 or line[i] == 32 or line[i] == 9):
            i += 1
        begin = i
        while i < end and line[i] != 44:
            i += 1
        stop = i
        while stop > begin and (line[stop - 1] == 32 or line[stop - 1] == 9):
            stop -= 1
        if begin == stop:
            return
        coding = coding_at(line, begin, stop)
        if coding < 0 or (coding > 0 and http.rows[col.R_CODINGS, row] >= col.CODINGS_FULL):
            http.rows[col.R_CODINGS, row] = col.NONE
        elif coding > 0:
            http.rows[col.R_CODINGS, row] = col.CODING_BASE * http.rows[col.R_CODINGS, row] + coding


@kernel
def note_sign(http: Http, name: int, line: U8, i: int, end: int, row: int) -> None:
    """Fields of which only a mark or a small number is kept."""
    if name == CONTENT_ENCODING:
        if end > i:
            http.rows[col.R_MARKS, row] |= CONTENT_ENCODING_MARK
            if http.rows[col.R_KIND, row] == col.RESPONSE:
                note_codings(http, line, i, end, row)
    elif name == SERVER:
        word = word_at(line, i, end)
        if (end - i == 5 and word == WORD_ENVOY) or (end - i == 11 and word == WORD_ISTIO_E):
            http.rows[col.R_MARKS, row] |= SERVER_ENVOY_MARK
    elif name == X_ENVOY_INTERNAL:
        if end - i == 4 and word_at(line, i, end) == WORD_TRUE:
            http.rows[col.R_MARKS, row] |= ENVOY_INTERNAL_MARK
    elif name == X_ENVOY_UPSTREAM_SERVICE_TIME:
        http.rows[col.R_MARKS, row] |= UPSTREAM_TIME_MARK
    elif name == X_ENVOY_ATTEMPT_COUNT and 0 < end - i < 5:
        value = 0
        for k in range(i, end):
            if line[k] < 48 or line[k] > 57:
                return
            value = value * 10 + line[k] - 48
        http.rows[col.R_ATTEMPT, row] = value


@kernel
def note_text(http: Http, line: U8, field: int, i: int, end: int, row: int) -> None:
    """A text field: its first line counts, of x-forwarded-for all of them."""
    if http.rows[col.R_AT + field, row] != col.NONE:
        if field == col.T_XFF:
            append_forwarded(http, line, i, end, row)
        return
    store(http, line, i, end, field, row)
    if field == col.T_REQUEST_ID:
        http.rows[col.R_MARKS, row] |= REQUEST_ID_MARK
    elif field == col.T_XFF:
        http.rows[col.R_MARKS, row] |= XFF_MARK
    elif field == col.T_CONTENT_TYPE and end - i >= 16:
        application = word_at(line, i, end) == WORD_APPLICA and word_at(line, i + 7, end) == WORD_TION_GR
        if application and lower(line[i + 14]) == 112 and lower(line[i + 15]) == 99:  # pc
            http.rows[col.R_MARKS, row] |= GRPC_MARK


@kernel
def note_line(http: Http, s: int, row: int, added: int) -> None:
    """A header line that adds `added` to the hash of the headers: of a response it is kept for itself, as far as there is room.

    added: 0 of a line that proxies write. Precondition: `lines` has room for all that one message keeps, twice.
    """
    kept = http.rows[col.R_LINES, row]
    if added == 0 or http.state[s, col.KIND] != col.RESPONSE or kept >= col.LINES_KEPT:
        return
    top = http.counters[col.C_LINES]
    if http.rows[col.R_LINES_AT, row] + kept != top:  # of a head that an earlier block began: they stand together
        for k in range(kept):
            http.lines[top + k] = http.lines[http.rows[col.R_LINES_AT, row] + k]
        http.rows[col.R_LINES_AT, row] = top
        top += kept
    http.lines[top] = added
    http.counters[col.C_LINES] = top + 1
    http.rows[col.R_LINES, row] = kept + 1


@kernel
def note_framing(http: Http, name: int, line: U8, i: int, end: int, s: int, row: int) -> None:
    """Fields that say how the message is read."""
    if name == CONTENT_LENGTH:
        note_length(http, line, i, end, s, row)
    elif name == UPGRADE:
        http.state[s, col.FLAGS] |= col.FLAG_UPGRADE
        word = word_at(line, i, end)
        if word == WORD_H2C and end - i == 3:
            http.state[s, col.FLAGS] |= col.FLAG_H2C
        elif word == WORD_WEBSOCK and end - i == 9 and word_at(line, i + 7, end) == WORD_ET:
            http.state[s, col.FLAGS] |= col.FLAG_WEBSOCKET
    else:
        note_tokens(http, line, i, end, s, name == CONNECTION)


@kernel
def note_field(http: Http, name: int, line: U8, i: int, end: int, s: int, row: int) -> None:
    """The field `name` with the value `line[i:end]` is noted in its message's row or its stream's head."""
    if name <= CONTENT_TYPE:
        note_text(http, line, name + 1, i, end, row)
    elif name <= UPGRADE:
        note_framing(http, name, line, i, end, s, row)
    elif name <= X_B3_SAMPLED:
        note_trace(http, name, line, i, end, row)
    else:
        note_sign(http, name, line, i, end, row)


@cold
def field_line(http: Http, data: U8, at: int, end: int, folded: bool, line: U8, row: int) -> tuple[int, int, int]:
    """One field line `data[at:end]`, its LF left out: which field it is, and where its value begins and ends in `line`."""
    if data[end - 1] == 13:
        end -= 1
    else:
        http.rows[col.R_FACTS, row] |= col.BARE_LF
    if folded:
        http.rows[col.R_FACTS, row] |= col.FOLDED
    length, i = field_name(data, at, end, line)
    if length == 0:
        return UNNAMED, 0, 0
    name, touched = find_name(line, length, http.names, http.table)
    if touched != 0 and name == UNNAMED:
        return UNNAMED, 0, 0
    size = field_value(data, i, end, folded, line, length + 1)
    if touched == 0:
        http.hashes[col.H_HEADERS, row] = (http.hashes[col.H_HEADERS, row] + xxh64(line, 0, size, http.cell)) & M
    return name, length + 1, size
