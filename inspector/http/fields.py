"""Header lines (RFC 9112 section 5): one line becomes a lower-case name and a trimmed value, and is noted in its message's row."""

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
    T_HOST,
    T_REQUEST_ID,
    T_TARGET,
    T_XFF,
)
from inspector.http.names import (
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    SERVER,
    TRANSFER_ENCODING,
    UPGRADE,
    X_ENVOY_ATTEMPT_COUNT,
    X_ENVOY_INTERNAL,
    X_ENVOY_UPSTREAM_SERVICE_TIME,
    X_FORWARDED_FOR,
    X_REQUEST_ID,
    find_name,
)
from inspector.http.tables import Mark
from inspector.http.trace import note_trace
from inspector.http.xxh64 import M, xxh64
from inspector.kernel import kernel
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
def normalise(data: U8, at: int, end: int, folded: bool, line: U8) -> tuple[int, int]:
    """The header line `data[at:end]` (without its line end) as lower-case name, ":" and trimmed value in `line`.

    Gives the name's length and the whole length; a name's length of 0 where the line is no field line. obs-fold becomes
    one SP (RFC 9112 section 5.2). Precondition: `line` is as long as the line.
    """
    i = at
    while i < end and data[i] != 58:
        line[i - at] = lower(data[i])
        i += 1
    name = i - at
    if i >= end:
        return 0, 0
    i += 1
    while name > 0 and (line[name - 1] == 32 or line[name - 1] == 9):
        name -= 1
    if name == 0 or line[0] <= 32:
        return 0, 0
    while i < end and (data[i] == 32 or data[i] == 9 or (folded and (data[i] == 13 or data[i] == 10))):
        i += 1
    while end > i and (data[end - 1] == 32 or data[end - 1] == 9 or data[end - 1] == 13 or data[end - 1] == 10):
        end -= 1
    line[name] = 58
    size = name + 1
    if not folded:
        for k in range(end - i):
            line[size + k] = data[i + k]
        return name, size + end - i
    while i < end:
        if data[i] == 10 or (data[i] == 13 and i + 1 < end and data[i + 1] == 10):
            while i < end and (data[i] == 32 or data[i] == 9 or data[i] == 13 or data[i] == 10):
                i += 1
            while line[size - 1] == 32 or line[size - 1] == 9:
                size -= 1
            line[size] = 32
        else:
            line[size] = data[i]
            i += 1
        size += 1
    return name, size


@kernel
def store(line: U8, i: int, end: int, field: int, rows: I64, hashes: U64, row: int, text: U8, counters: I64, limits: I64, cell: U64) -> None:
    """Field `field` of a row becomes `line[i:end]`, as far as its limit goes. Precondition: `text` has room for it."""
    limit = limits[L_TARGET] if field == T_TARGET else limits[L_FIELD]
    size = min(end - i, limit)
    at = counters[C_TEXT]
    for k in range(size):
        text[at + k] = line[i + k]
    counters[C_TEXT] = at + size
    rows[row, R_AT + field] = at
    rows[row, R_LENGTH + field] = size
    if field < T_CONTENT_TYPE:
        hashes[row, H_METHOD + field] = xxh64(line, i, size, cell)


@kernel
def append_forwarded(line: U8, i: int, end: int, rows: I64, hashes: U64, row: int, text: U8, counters: I64, limits: I64, cell: U64) -> None:
    """A further x-forwarded-for line: its value follows the others after a "," (RFC 9110 section 5.3)."""
    old = rows[row, R_AT + T_XFF]
    size = rows[row, R_LENGTH + T_XFF]
    at = counters[C_TEXT]
    if old + size != at:
        for k in range(size):
            text[at + k] = text[old + k]
        rows[row, R_AT + T_XFF] = at
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
    rows[row, R_LENGTH + T_XFF] = size
    hashes[row, H_METHOD + T_XFF] = xxh64(text, old, size, cell)


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
            rows[row, R_FACTS] |= LENGTH_CONFLICT
            return
        if i >= end:
            return
        i += 1


@kernel
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
            rows[row, R_MARKS] |= CONTENT_ENCODING_MARK
    elif name == SERVER:
        word = word_at(line, i, end)
        if (end - i == 5 and word == WORD_ENVOY) or (end - i == 11 and word == WORD_ISTIO_E):
            rows[row, R_MARKS] |= SERVER_ENVOY_MARK
    elif name == X_ENVOY_INTERNAL:
        if end - i == 4 and word_at(line, i, end) == WORD_TRUE:
            rows[row, R_MARKS] |= ENVOY_INTERNAL_MARK
    elif name == X_ENVOY_UPSTREAM_SERVICE_TIME:
        rows[row, R_MARKS] |= UPSTREAM_TIME_MARK
    elif name == X_ENVOY_ATTEMPT_COUNT and 0 < end - i < 5:
        value = 0
        for k in range(i, end):
            if line[k] < 48 or line[k] > 57:
                return
            value = value * 10 + line[k] - 48
        rows[row, R_ATTEMPT] = value


@kernel
def note_field(
    line: U8, name: int, i: int, end: int,
    state: I64, s: int, rows: I64, hashes: U64, row: int, text: U8, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """The field `name` with the value `line[i:end]` is noted in its message's row or its stream's head."""
    if name == HOST:
        if rows[row, R_AT + T_HOST] == NONE:
            store(line, i, end, T_HOST, rows, hashes, row, text, counters, limits, cell)
    elif name == CONTENT_LENGTH:
        note_length(line, i, end, state, s, rows, row)
    elif name == TRANSFER_ENCODING:
        note_tokens(line, i, end, state, s, False)
    elif name == CONNECTION:
        note_tokens(line, i, end, state, s, True)
    elif name == UPGRADE:
        state[s, FLAGS] |= FLAG_UPGRADE
    elif name == CONTENT_TYPE:
        if rows[row, R_AT + T_CONTENT_TYPE] == NONE:
            store(line, i, end, T_CONTENT_TYPE, rows, hashes, row, text, counters, limits, cell)
            if end - i >= 16 and word_at(line, i, end) == WORD_APPLICA and word_at(line, i + 7, end) == WORD_TION_GR:
                if lower(line[i + 14]) == 112 and lower(line[i + 15]) == 99:  # pc
                    rows[row, R_MARKS] |= GRPC_MARK
    elif name == X_REQUEST_ID:
        if rows[row, R_AT + T_REQUEST_ID] == NONE:
            store(line, i, end, T_REQUEST_ID, rows, hashes, row, text, counters, limits, cell)
            rows[row, R_MARKS] |= REQUEST_ID_MARK
    elif name == X_FORWARDED_FOR:
        if rows[row, R_AT + T_XFF] == NONE:
            store(line, i, end, T_XFF, rows, hashes, row, text, counters, limits, cell)
            rows[row, R_MARKS] |= XFF_MARK
        else:
            append_forwarded(line, i, end, rows, hashes, row, text, counters, limits, cell)
    elif name == CONTENT_ENCODING or name == SERVER or name >= X_ENVOY_INTERNAL:
        note_sign(name, line, i, end, rows, row)
    else:
        note_trace(name, line, i, end, rows, hashes, row, cell)


@kernel
def header_line(
    data: U8, at: int, end: int, folded: bool, line: U8, names: U8, table: I64,
    state: I64, s: int, rows: I64, hashes: U64, row: int, text: U8, counters: I64, limits: I64, cell: U64,
) -> None:  # fmt: skip
    """One header line `data[at:end]`, from its first byte to before its LF, is noted in its message's row."""
    if data[end - 1] == 13:
        end -= 1
    else:
        rows[row, R_FACTS] |= BARE_LF
    if folded:
        rows[row, R_FACTS] |= FOLDED
    length, size = normalise(data, at, end, folded, line)
    if length == 0:
        return
    name, touched = find_name(line, length, names, table)
    if touched == 0:
        hashes[row, H_HEADERS] = (hashes[row, H_HEADERS] + xxh64(line, 0, size, cell)) & M
    if name != 0:
        note_field(line, name, length + 1, size, state, s, rows, hashes, row, text, counters, limits, cell)
