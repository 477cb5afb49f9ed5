"""Header lines (RFC 9112 section 5): a lower-case name and a trimmed value each, noted in the row of their message."""

from __future__ import annotations

from inspector.http.layout import (
    BARE_LF,
    C_TEXT,
    CODING,
    CODING_CHUNKED,
    CODING_NONE,
    CODING_OTHER,
    FLAG_CLOSE,
    FLAG_KEEP_ALIVE,
    FLAG_UPGRADE,
    FLAGS,
    FOLDED,
    H_HEADERS,
    H_METHOD,
    INVALID,
    L_FIELD,
    L_TARGET,
    LENGTH,
    LENGTH_CONFLICT,
    NONE,
    R_AT,
    R_ATTEMPT,
    R_FACTS,
    R_LENGTH,
    R_MARKS,
    T_CONTENT_TYPE,
    T_REQUEST_ID,
    T_TARGET,
    T_XFF,
)
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
from inspector.instructions import move
from inspector.kernel import cold, kernel
from inspector.table import I64, U8, U64

REQUEST_ID_MARK = int(Mark.REQUEST_ID)
XFF_MARK = int(Mark.XFF)
ENVOY_INTERNAL_MARK = int(Mark.ENVOY_INTERNAL)
UPSTREAM_TIME_MARK = int(Mark.UPSTREAM_TIME)
SERVER_ENVOY_MARK = int(Mark.SERVER_ENVOY)
CONTENT_ENCODING_MARK = int(Mark.CONTENT_ENCODING)
GRPC_MARK = int(Mark.GRPC)

# Words that values are compared with, as little-endian numbers of at most seven bytes.
WORD_CLOSE = int.from_bytes(b"close", "little")
WORD_CHUNKED = int.from_bytes(b"chunked", "little")
WORD_KEEP_AL = int.from_bytes(b"keep-al", "little")
WORD_UPGRADE = int.from_bytes(b"upgrade", "little")
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
def store(
    data: U8, i: int, end: int, field: int,
    rows: I64, hashes: U64, row: int, text: U8, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """Field `field` of a row becomes `data[i:end]`, as far as its limit goes. Precondition: `text` has room for it."""
    limit = limits[L_TARGET] if field == T_TARGET else limits[L_FIELD]
    size = min(end - i, limit)
    at = counters[C_TEXT]
    move(text, at, data, i, size)
    counters[C_TEXT] = at + size
    rows[R_AT + field, row] = at
    rows[R_LENGTH + field, row] = size
    if field < T_CONTENT_TYPE:
        hashes[H_METHOD + field, row] = xxh64(data, i, size, cell)


@cold
def append_forwarded(
    line: U8, i: int, end: int,
    rows: I64, hashes: U64, row: int, text: U8, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """A further x-forwarded-for line: its value follows the others after a "," (RFC 9110 section 5.3)."""
    old = rows[R_AT + T_XFF, row]
    size = rows[R_LENGTH + T_XFF, row]
    at = counters[C_TEXT]
    if old + size != at:
        for k in range(size):
            text[at + k] = text[old + k]
        rows[R_AT + T_XFF, row] = at
        old = at
    limit = limits[L_FIELD]
    if size < limit:
        text[old + size] = 44
        size += 1
    more = min(end - i, limit - size)
    for k in range(more):
        text[old + size + k] = line[i + k]
    size += more
    counters[C_TEXT] = old + size
    rows[R_LENGTH + T_XFF, row] = size
    for k in range(size):
        line[k] = text[old + k]
    hashes[H_METHOD + T_XFF, row] = xxh64(line, 0, size, cell)


@kernel
def note_length(line: U8, i: int, end: int, state: I64, s: int, rows: I64, row: int) -> None:
    """Content-Length (RFC 9110 section 8.6): a number, or a list of the same number (RFC 9112 section 6.3 item 5)."""
    while True:
        value = NONE
        while i < end and (line[i] == 32 or line[i] == 9):
            i += 1
        while i < end and 48 <= line[i] <= 57:
            value = min(max(value, 0) * 10 + line[i] - 48, 1 << 58)
            i += 1
        while i < end and (line[i] == 32 or line[i] == 9):
            i += 1
        if value == NONE or value >= 1 << 58 or (i < end and line[i] != 44):
            value = INVALID
        if state[s, LENGTH] != NONE and state[s, LENGTH] != value:
            value = INVALID
        state[s, LENGTH] = value
        if value == INVALID:
            rows[R_FACTS, row] |= LENGTH_CONFLICT
            return
        if i >= end:
            return
        i += 1


@cold
def note_tokens(line: U8, i: int, end: int, state: I64, s: int, connection: bool) -> None:
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
                    state[s, FLAGS] |= FLAG_CLOSE
                elif size == 10 and word == WORD_KEEP_AL:
                    state[s, FLAGS] |= FLAG_KEEP_ALIVE
            elif size == 7 and word == WORD_CHUNKED:
                state[s, CODING] = CODING_CHUNKED
            elif size != 8 or word != WORD_IDENTIT or state[s, CODING] != CODING_NONE:
                state[s, CODING] = CODING_OTHER
        while i < end and line[i] != 44:
            i += 1


@kernel
def note_sign(name: int, line: U8, i: int, end: int, rows: I64, row: int) -> None:
    """Fields of which only a mark or a small number is kept."""
    if name == CONTENT_ENCODING:
        if end > i:
            rows[R_MARKS, row] |= CONTENT_ENCODING_MARK
    elif name == SERVER:
        word = word_at(line, i, end)
        if (end - i == 5 and word == WORD_ENVOY) or (end - i == 11 and word == WORD_ISTIO_E):
            rows[R_MARKS, row] |= SERVER_ENVOY_MARK
    elif name == X_ENVOY_INTERNAL:
        if end - i == 4 and word_at(line, i, end) == WORD_TRUE:
            rows[R_MARKS, row] |= ENVOY_INTERNAL_MARK
    elif name == X_ENVOY_UPSTREAM_SERVICE_TIME:
        rows[R_MARKS, row] |= UPSTREAM_TIME_MARK
    elif name == X_ENVOY_ATTEMPT_COUNT and 0 < end - i < 5:
        value = 0
        for k in range(i, end):
            if line[k] < 48 or line[k] > 57:
                return
            value = value * 10 + line[k] - 48
        rows[R_ATTEMPT, row] = value


@kernel
def note_text(
    line: U8, field: int, i: int, end: int,
    rows: I64, hashes: U64, row: int, text: U8, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """A text field: its first line counts, of x-forwarded-for all of them."""
    if rows[R_AT + field, row] != NONE:
        if field == T_XFF:
            append_forwarded(line, i, end, rows, hashes, row, text, counters, limits, cell)
        return
    store(line, i, end, field, rows, hashes, row, text, counters, limits, cell)
    if field == T_REQUEST_ID:
        rows[R_MARKS, row] |= REQUEST_ID_MARK
    elif field == T_XFF:
        rows[R_MARKS, row] |= XFF_MARK
    elif field == T_CONTENT_TYPE and end - i >= 16:
        application = word_at(line, i, end) == WORD_APPLICA and word_at(line, i + 7, end) == WORD_TION_GR
        if application and lower(line[i + 14]) == 112 and lower(line[i + 15]) == 99:  # pc
            rows[R_MARKS, row] |= GRPC_MARK


@kernel
def note_framing(name: int, line: U8, i: int, end: int, state: I64, s: int, rows: I64, row: int) -> None:
    """Fields that say how the message is read."""
    if name == CONTENT_LENGTH:
        note_length(line, i, end, state, s, rows, row)
    elif name == UPGRADE:
        state[s, FLAGS] |= FLAG_UPGRADE
    else:
        note_tokens(line, i, end, state, s, name == CONNECTION)


@kernel
def note_field(
    name: int, line: U8, i: int, end: int,
    state: I64, s: int, rows: I64, hashes: U64, row: int, text: U8, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """The field `name` with the value `line[i:end]` is noted in its message's row or its stream's head."""
    if name <= CONTENT_TYPE:
        note_text(line, name + 1, i, end, rows, hashes, row, text, counters, limits, cell)
    elif name <= UPGRADE:
        note_framing(name, line, i, end, state, s, rows, row)
    elif name <= X_B3_SAMPLED:
        note_trace(name, line, i, end, rows, hashes, row, cell)
    else:
        note_sign(name, line, i, end, rows, row)


@cold
def field_line(
    data: U8, at: int, end: int, folded: bool, line: U8, names: U8, table: I64,
    rows: I64, hashes: U64, row: int, cell: U64,
) -> tuple[int, int, int]:  # fmt: skip
    """One field line `data[at:end]`, its LF left out: which field it is, and where its value begins and ends in `line`."""
    if data[end - 1] == 13:
        end -= 1
    else:
        rows[R_FACTS, row] |= BARE_LF
    if folded:
        rows[R_FACTS, row] |= FOLDED
    length, i = field_name(data, at, end, line)
    if length == 0:
        return UNNAMED, 0, 0
    name, touched = find_name(line, length, names, table)
    if touched != 0 and name == UNNAMED:
        return UNNAMED, 0, 0
    size = field_value(data, i, end, folded, line, length + 1)
    if touched == 0:
        hashes[H_HEADERS, row] = (hashes[H_HEADERS, row] + xxh64(line, 0, size, cell)) & M
    return name, length + 1, size
