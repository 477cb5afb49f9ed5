"""Content as it passes: counted and hashed, never kept (RFC 9112 sections 6 and 7)."""

from __future__ import annotations

from inspector.http.layout import (
    BAD_CHUNK,
    BODY,
    BODY_GAP,
    CHUNK_DATA,
    CHUNK_END,
    CHUNK_SIZE,
    CUT,
    HAS_TRAILERS,
    HEAD_BYTES,
    HEAD_TOO_LONG,
    L_CHUNK_LINE,
    L_HEAD,
    MODE,
    POS,
    R_BODY,
    R_FACTS,
    R_GAP,
    REMAIN,
    ROW,
    SCANNED,
    TRAILERS,
)
from inspector.http.startline import INVALID_LINE, PARTIAL_LINE, VALID_LINE, find_line_end
from inspector.http.trace import hex_digit
from inspector.http.xxh64 import add_sum
from inspector.kernel import cold, kernel
from inspector.table import I64, U8, U64

# What a step of the body came to.
WAITING = 0  # all that can be read was read
MOVED = 1
ENDED_HERE = 2  # the message is complete
BROKEN = 3  # the framing cannot be read: facts are noted


@kernel
def take(s: int, data: U8, at: int, size: int, state: I64, rows: I64, lanes: U64, tails: U8) -> None:
    """`data[at : at + size]` are content of stream `s`'s message."""
    row = state[s, ROW]
    if rows[R_FACTS, row] & BODY_GAP == 0:
        add_sum(lanes, tails, s, rows[R_BODY, row], data, at, size)
    rows[R_BODY, row] += size
    state[s, POS] += size


@kernel
def chunk_size(data: U8, at: int, end: int, limit: int) -> tuple[int, int, int]:
    """chunk-size [chunk-ext] [CR] LF in `data[at:end]`: what was found, the size, and the index after the LF."""
    size = 0
    i = at
    while i < end:
        digit = hex_digit(data[i])
        if digit < 0:
            break
        if size >= 1 << 56:
            return INVALID_LINE, 0, 0
        size = size << 4 | digit
        i += 1
    if i == at and i < end:
        return INVALID_LINE, 0, 0
    if i < end and data[i] != 13 and data[i] != 10 and data[i] != 59 and data[i] != 32 and data[i] != 9:
        return INVALID_LINE, 0, 0
    i = find_line_end(data, i, end)
    if i - at > limit:
        return INVALID_LINE, 0, 0
    if i >= end:
        return PARTIAL_LINE, 0, 0
    return VALID_LINE, size, i + 1


@kernel
def read_chunk_size(s: int, data: U8, at: int, end: int, state: I64, rows: I64, limits: I64) -> int:
    """A chunk's first line."""
    found, size, after = chunk_size(data, at, end, limits[L_CHUNK_LINE])
    if found == PARTIAL_LINE:
        return WAITING
    if found == INVALID_LINE:
        rows[R_FACTS, state[s, ROW]] |= BAD_CHUNK
        return BROKEN
    state[s, POS] += after - at
    state[s, REMAIN] = size
    if size > 0:
        state[s, MODE] = CHUNK_DATA
    else:
        state[s, MODE] = TRAILERS
        state[s, HEAD_BYTES] = 0
        state[s, SCANNED] = 0
    return MOVED


@kernel
def read_chunk_end(s: int, data: U8, at: int, end: int, state: I64, rows: I64) -> int:
    """The CRLF (or LF) after a chunk's data."""
    i = at
    if data[i] == 13:
        i += 1
        if i >= end:
            return WAITING
    if data[i] != 10:
        rows[R_FACTS, state[s, ROW]] |= BAD_CHUNK
        return BROKEN
    state[s, POS] += i + 1 - at
    state[s, MODE] = CHUNK_SIZE
    return MOVED


@cold
def read_trailers(s: int, data: U8, at: int, end: int, state: I64, rows: I64, limits: I64) -> int:
    """Trailer lines up to the empty one (RFC 9112 section 7.1.2)."""
    while True:
        i = find_line_end(data, at + state[s, SCANNED], end)
        if state[s, HEAD_BYTES] + i - at > limits[L_HEAD]:
            rows[R_FACTS, state[s, ROW]] |= HEAD_TOO_LONG
            return BROKEN
        if i >= end:
            state[s, SCANNED] = end - at
            return WAITING
        state[s, SCANNED] = 0
        state[s, POS] += i + 1 - at
        state[s, HEAD_BYTES] += i + 1 - at
        if i == at or (i == at + 1 and data[at] == 13):
            return ENDED_HERE
        rows[R_FACTS, state[s, ROW]] |= HAS_TRAILERS
        at = i + 1


@kernel
def read_body(s: int, data: U8, at: int, end: int, state: I64, rows: I64, lanes: U64, tails: U8, limits: I64) -> int:
    """One step of a body. Precondition: at < end."""
    mode = state[s, MODE]
    if mode == CHUNK_SIZE:
        return read_chunk_size(s, data, at, end, state, rows, limits)
    if mode == CHUNK_END:
        return read_chunk_end(s, data, at, end, state, rows)
    if mode == TRAILERS:
        return read_trailers(s, data, at, end, state, rows, limits)
    if mode != BODY and mode != CHUNK_DATA:
        take(s, data, at, end - at, state, rows, lanes, tails)
        return MOVED
    size = min(end - at, state[s, REMAIN])
    take(s, data, at, size, state, rows, lanes, tails)
    state[s, REMAIN] -= size
    if state[s, REMAIN] > 0:
        return MOVED
    if mode == BODY:
        return ENDED_HERE
    state[s, MODE] = CHUNK_END
    return MOVED


@cold
def skip_gap(s: int, size: int, cut: bool, state: I64, rows: I64) -> int:
    """`size` bytes are missing in a body: how many of them are known to belong to it, -1 where the framing is lost."""
    row = state[s, ROW]
    mode = state[s, MODE]
    rows[R_FACTS, row] |= (CUT if cut else 0) | (0 if mode == TRAILERS else BODY_GAP)
    if mode == BODY or mode == CHUNK_DATA:
        inside = min(size, state[s, REMAIN])
        if mode == CHUNK_DATA and inside < size:
            inside = -1
    elif mode == CHUNK_SIZE or mode == CHUNK_END or mode == TRAILERS:
        inside = -1
    else:
        inside = size
    rows[R_GAP, row] += size if inside < 0 else inside
    if inside < 0:
        return inside
    state[s, POS] += inside
    if mode == BODY or mode == CHUNK_DATA:
        state[s, REMAIN] -= inside
        if mode == CHUNK_DATA and state[s, REMAIN] == 0:
            state[s, MODE] = CHUNK_END
    return inside


@kernel
def body_complete(s: int, state: I64) -> bool:
    """Whether a gap went exactly to the end of a length-delimited body, or beyond."""
    return state[s, MODE] == BODY and state[s, REMAIN] == 0
