"""Content as it passes: counted and hashed, never kept (RFC 9112 sections 6 and 7)."""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.layout import Http
from inspector.http.startline import INVALID_LINE, PARTIAL_LINE, VALID_LINE, find_line_end
from inspector.http.trace import hex_digit
from inspector.http.xxh64 import add_sum
from inspector.kernels.instructions import move
from inspector.kernels.kernel import cold, kernel
from inspector.table import U8

# What a step of the body came to.
WAITING = 0  # all that can be read was read
MOVED = 1
ENDED_HERE = 2  # the message is complete
BROKEN = 3  # the framing cannot be read: facts are noted


@cold
def keep_coded(http: Http, row: int, data: U8, at: int, size: int) -> None:
    """`data[at : at + size]` are coded content: whoever undoes the coding gets them when the block has been read.

    `coded` has room for all bytes of the block, and a message's stand together: a response is read as far as the block goes.
    """
    top = http.counters[col.C_CODED]
    if http.rows[col.R_CODED, row] == 0:
        http.rows[col.R_CODED_AT, row] = top
    if http.rows[col.R_CODED_AT, row] + http.rows[col.R_CODED, row] != top or top + size > len(http.coded):
        http.rows[col.R_CODINGS, row] = col.NONE
        return
    move(http.coded, top, data, at, size)
    http.counters[col.C_CODED] = top + size
    http.rows[col.R_CODED, row] += size


@kernel
def take(http: Http, s: int, data: U8, at: int, size: int) -> None:
    """`data[at : at + size]` are content of stream `s`'s message."""
    row = http.state[s, col.ROW]
    if http.rows[col.R_FACTS, row] & col.BODY_GAP == 0:
        add_sum(http.lanes, http.tails, s, http.rows[col.R_BODY, row], data, at, size)
        if http.rows[col.R_CODINGS, row] > 0:
            keep_coded(http, row, data, at, size)
    http.rows[col.R_BODY, row] += size
    http.state[s, col.POS] += size


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
def read_chunk_size(http: Http, s: int, data: U8, at: int, end: int) -> int:
    """A chunk's first line."""
    found, size, after = chunk_size(data, at, end, http.limits[col.L_CHUNK_LINE])
    if found == PARTIAL_LINE:
        return WAITING
    if found == INVALID_LINE:
        http.rows[col.R_FACTS, http.state[s, col.ROW]] |= col.BAD_CHUNK
        return BROKEN
    http.state[s, col.POS] += after - at
    http.state[s, col.REMAIN] = size
    if size > 0:
        http.state[s, col.MODE] = col.CHUNK_DATA
    else:
        http.state[s, col.MODE] = col.TRAILERS
        http.state[s, col.HEAD_BYTES] = 0
        http.state[s, col.SCANNED] = 0
    return MOVED


@kernel
def read_chunk_end(http: Http, s: int, data: U8, at: int, end: int) -> int:
    """The CRLF (or LF) after a chunk's data."""
    i = at
    if data[i] == 13:
        i += 1
        if i >= end:
            return WAITING
    if data[i] != 10:
        http.rows[col.R_FACTS, http.state[s, col.ROW]] |= col.BAD_CHUNK
        return BROKEN
    http.state[s, col.POS] += i + 1 - at
    http.state[s, col.MODE] = col.CHUNK_SIZE
    return MOVED


@cold
def read_trailers(http: Http, s: int, data: U8, at: int, end: int) -> int:
    """Trailer lines up to the empty one (RFC 9112 section 7.1.2)."""
    while True:
        i = find_line_end(data, at + http.state[s, col.SCANNED], end)
        if http.state[s, col.HEAD_BYTES] + i - at > http.limits[col.L_HEAD]:
            http.rows[col.R_FACTS, http.state[s, col.ROW]] |= col.HEAD_TOO_LONG
            return BROKEN
        if i >= end:
            http.state[s, col.SCANNED] = end - at
            return WAITING
        http.state[s, col.SCANNED] = 0
        http.state[s, col.POS] += i + 1 - at
        http.state[s, col.HEAD_BYTES] += i + 1 - at
        if i == at or (i == at + 1 and data[at] == 13):
            return ENDED_HERE
        http.rows[col.R_FACTS, http.state[s, col.ROW]] |= col.HAS_TRAILERS
        at = i + 1


@kernel
def read_body(http: Http, s: int, data: U8, at: int, end: int) -> int:
    """One step of a body. Precondition: at < end."""
    mode = http.state[s, col.MODE]
    if mode == col.CHUNK_SIZE:
        return read_chunk_size(http, s, data, at, end)
    if mode == col.CHUNK_END:
        return read_chunk_end(http, s, data, at, end)
    if mode == col.TRAILERS:
        return read_trailers(http, s, data, at, end)
    if mode != col.BODY and mode != col.CHUNK_DATA:
        take(http, s, data, at, end - at)
        return MOVED
    size = min(end - at, http.state[s, col.REMAIN])
    take(http, s, data, at, size)
    http.state[s, col.REMAIN] -= size
    if http.state[s, col.REMAIN] > 0:
        return MOVED
    if mode == col.BODY:
        return ENDED_HERE
    http.state[s, col.MODE] = col.CHUNK_END
    return MOVED


@cold
def skip_gap(http: Http, s: int, size: int, cut: bool) -> int:
    """`size` bytes are missing in a body: how many of them are known to belong to it, -1 where the framing is lost."""
    row = http.state[s, col.ROW]
    mode = http.state[s, col.MODE]
    http.rows[col.R_FACTS, row] |= (col.CUT if cut else 0) | (0 if mode == col.TRAILERS else col.BODY_GAP)
    if mode == col.BODY or mode == col.CHUNK_DATA:
        inside = min(size, http.state[s, col.REMAIN])
        if mode == col.CHUNK_DATA and inside < size:
            inside = -1
    elif mode == col.CHUNK_SIZE or mode == col.CHUNK_END or mode == col.TRAILERS:
        inside = -1
    else:
        inside = size
    http.rows[col.R_GAP, row] += size if inside < 0 else inside
    if inside < 0:
        return inside
    http.state[s, col.POS] += inside
    if mode == col.BODY or mode == col.CHUNK_DATA:
        http.state[s, col.REMAIN] -= inside
        if mode == col.CHUNK_DATA and http.state[s, col.REMAIN] == 0:
            http.state[s, col.MODE] = col.CHUNK_END
    return inside


@kernel
def body_complete(http: Http, s: int) -> bool:
    """Whether a gap went exactly to the end of a length-delimited body, or beyond."""
    return http.state[s, col.MODE] == col.BODY and http.state[s, col.REMAIN] == 0
