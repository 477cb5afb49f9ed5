"""The text fields of messages that leave the parser, put together: each message's one after another."""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.xxh64 import M
from inspector.kernels.instructions import move
from inspector.kernels.kernel import kernel
from inspector.table import I32, I64, U8, U64

TEXTS = col.R_LENGTH - col.R_AT


@kernel
def lay_texts(rows: I64, index: I64, ends: I32, offsets: I64) -> None:
    """ends[k, i]: where field k of message index[i] ends in its text; offsets: (n + 1,), where each message's text begins.

    Behind the fields stand the lines of a response, eight bytes each.
    """
    for i in range(len(index)):
        size = 0
        for k in range(TEXTS):
            size += rows[col.R_LENGTH + k, index[i]]
            ends[k, i] = size
        offsets[i + 1] = offsets[i] + size + 8 * rows[col.R_LINES, index[i]]


@kernel
def copy_texts(rows: I64, index: I64, text: U8, lines: U64, offsets: I64, out: U8) -> None:
    """The fields and lines of message index[i] to out[offsets[i] : offsets[i + 1]]. Precondition: `lay_texts` made offsets."""
    for i in range(len(index)):
        to = offsets[i]
        for k in range(TEXTS):
            begin = rows[col.R_AT + k, index[i]]
            size = rows[col.R_LENGTH + k, index[i]]
            if size > 0:
                move(out, to, text, begin, size)
                to += size
        begin = rows[col.R_LINES_AT, index[i]]
        for k in range(rows[col.R_LINES, index[i]]):
            for byte in range(8):  # little-endian
                out[to + byte] = ((lines[begin + k] & M) >> (8 * byte)) & 255
            to += 8
