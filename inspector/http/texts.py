"""The text fields of messages that leave the parser, put together: each message's one after another."""

from __future__ import annotations

from inspector.http import layout as col
from inspector.kernels.instructions import move
from inspector.kernels.kernel import kernel
from inspector.table import I32, I64, U8

TEXTS = col.R_LENGTH - col.R_AT


@kernel
def lay_texts(rows: I64, index: I64, ends: I32, offsets: I64) -> None:
    """ends[k, i]: where field k of message index[i] ends in its text; offsets: (n + 1,), where each message's text begins."""
    for i in range(len(index)):
        size = 0
        for k in range(TEXTS):
            size += rows[col.R_LENGTH + k, index[i]]
            ends[k, i] = size
        offsets[i + 1] = offsets[i] + size


@kernel
def copy_texts(rows: I64, index: I64, text: U8, offsets: I64, out: U8) -> None:
    """The fields of message index[i] from `text` to out[offsets[i] : offsets[i + 1]]. Precondition: `lay_texts` made offsets."""
    for i in range(len(index)):
        to = offsets[i]
        for k in range(TEXTS):
            begin = rows[col.R_AT + k, index[i]]
            size = rows[col.R_LENGTH + k, index[i]]
            if size > 0:
                move(out, to, text, begin, size)
                to += size
