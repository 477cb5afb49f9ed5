"""Trace context: traceparent (W3C Trace Context), b3 and x-b3-* (openzipkin/b3-propagation).

Where a message has several, x-b3-* is taken before b3 and b3 before traceparent: only B3 names the parent span, and trace, span
and parent must come from one source.
"""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.layout import Http
from inspector.http.names import B3, TRACEPARENT, X_B3_PARENTSPANID, X_B3_SAMPLED, X_B3_SPANID, X_B3_TRACEID
from inspector.http.tables import Mark
from inspector.http.xxh64 import xxh64
from inspector.kernels.kernel import cold, kernel
from inspector.table import U8

TRACE_MARK = int(Mark.TRACE)
SAMPLED_0 = int(Mark.SAMPLED_0)
SAMPLED_1 = int(Mark.SAMPLED_1)

LEVEL_TRACEPARENT = 1
LEVEL_B3 = 2
LEVEL_X_B3 = 3


@kernel
def id_end(line: U8, i: int, end: int) -> int:
    """Where the part that starts at `i` ends: before the next "-". The part is made lower case."""
    while i < end and line[i] != 45:
        if 65 <= line[i] <= 90:
            line[i] += 32
        i += 1
    return i


@kernel
def note_sampled(http: Http, line: U8, i: int, end: int, row: int) -> None:
    """A sampling decision: 0 or false; 1, true or d (debug)."""
    if i >= end:
        return
    c = line[i]
    if c == 48 or c == 102:
        http.rows[col.R_MARKS, row] |= SAMPLED_0
    elif c == 49 or c == 116 or c == 100:
        http.rows[col.R_MARKS, row] |= SAMPLED_1


@kernel
def hex_digit(c: int) -> int:
    """The value of a hexadecimal digit, -1 for any other byte."""
    if 48 <= c <= 57:
        return c - 48
    if 97 <= c <= 102:
        return c - 87
    if 65 <= c <= 70:
        return c - 55
    return -1


@cold
def note_parts(http: Http, line: U8, i: int, end: int, w3c: bool, row: int) -> None:
    """traceparent: version-trace-span-flags; b3: trace-span[-sampled[-parent]], or a sampling decision alone."""
    stop = id_end(line, i, end)
    if w3c:
        i = stop + 1
        stop = id_end(line, i, end)
    elif stop == end:
        note_sampled(http, line, i, end, row)
        return
    if i >= stop:
        return
    http.rows[col.R_MARKS, row] |= TRACE_MARK
    http.hashes[col.H_TRACE, row] = xxh64(line, i, stop - i, http.cell)
    i = stop + 1
    stop = id_end(line, i, end)
    if i < stop:
        http.hashes[col.H_SPAN, row] = xxh64(line, i, stop - i, http.cell)
    i = stop + 1
    stop = id_end(line, i, end)
    if i >= stop:
        return
    if w3c:
        if stop - i == 2 and hex_digit(line[i + 1]) >= 0:
            http.rows[col.R_MARKS, row] |= SAMPLED_1 if hex_digit(line[i + 1]) & 1 else SAMPLED_0
        return
    note_sampled(http, line, i, stop, row)
    i = stop + 1
    stop = id_end(line, i, end)
    if i < stop:
        http.hashes[col.H_PARENT, row] = xxh64(line, i, stop - i, http.cell)


@cold
def note_trace(http: Http, name: int, line: U8, i: int, end: int, row: int) -> None:
    """One field of trace context with the value `line[i:end]` is noted in its message's row."""
    level = LEVEL_TRACEPARENT if name == TRACEPARENT else (LEVEL_B3 if name == B3 else LEVEL_X_B3)
    if level < http.rows[col.R_TRACE_LEVEL, row] or i >= end:
        return
    if level > http.rows[col.R_TRACE_LEVEL, row]:
        http.rows[col.R_TRACE_LEVEL, row] = level
        http.hashes[col.H_TRACE, row] = 0
        http.hashes[col.H_SPAN, row] = 0
        http.hashes[col.H_PARENT, row] = 0
        http.rows[col.R_MARKS, row] &= ~(SAMPLED_0 | SAMPLED_1 | TRACE_MARK)
    elif level < LEVEL_X_B3:
        return  # a second line of the same field
    if level < LEVEL_X_B3:
        note_parts(http, line, i, end, name == TRACEPARENT, row)
        return
    if name == X_B3_SAMPLED:
        note_sampled(http, line, i, end, row)
        return
    id_end(line, i, end)
    value = xxh64(line, i, end - i, http.cell)
    http.rows[col.R_MARKS, row] |= TRACE_MARK
    if name == X_B3_TRACEID:
        http.hashes[col.H_TRACE, row] = value
    elif name == X_B3_SPANID:
        http.hashes[col.H_SPAN, row] = value
    elif name == X_B3_PARENTSPANID:
        http.hashes[col.H_PARENT, row] = value
