"""The parser's working arrays: which column of Messages is where, and how they grow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.http import layout as col
from inspector.table import I64, larger

SIGNED = {
    "id": col.R_ID,
    "request": col.R_REQUEST,
    "slot": col.R_SLOT,
    "stream": col.R_STREAM,
    "kind": col.R_KIND,
    "version": col.R_VERSION,
    "start": col.R_START,
    "head_end": col.R_HEAD_END,
    "end": col.R_END,
    "facts": col.R_FACTS,
    "marks": col.R_MARKS,
    "status": col.R_STATUS,
    "attempt": col.R_ATTEMPT,
    "body_bytes": col.R_BODY,
    "gap_bytes": col.R_GAP,
    "peer": col.R_PEER,
}
HASHES = {
    "body_hash": col.H_BODY,
    "method": col.H_METHOD,
    "target": col.H_TARGET,
    "host": col.H_HOST,
    "request_id": col.H_REQUEST_ID,
    "xff": col.H_XFF,
    "trace": col.H_TRACE,
    "span": col.H_SPAN,
    "parent": col.H_PARENT,
    "headers": col.H_HEADERS,
}


def grown(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """`array` with room for at least `rows` rows; the new ones are zero."""
    if rows <= len(array):
        return array
    out = np.zeros((max(rows, larger(len(array))), *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out


def wider(array: NDArray[Any], columns: int) -> NDArray[Any]:
    """`array` (2-D) with room for at least `columns` columns."""
    if columns <= array.shape[1]:
        return array
    out = np.empty((len(array), columns), array.dtype)
    out[:, : array.shape[1]] = array
    return out


def packed(*columns: NDArray[Any]) -> I64:
    """The columns side by side: (n, columns)."""
    out = np.empty((len(columns[0]), len(columns)), np.int64)
    for k, values in enumerate(columns):
        out[:, k] = values
    return out
