"""Rows of many columns moved at once: what tables are taken, joined and merged with.

numpy takes one column after another and keeps the interpreter's lock meanwhile; here one call moves all columns of a table
without it, so that the other threads go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.instructions import copy1, copy2, copy4, copy8
from inspector.kernel import compiled, kernel

I64 = NDArray[np.int64]
Columns = Sequence[NDArray[Any]]
FEW = 512  # rows: fewer are moved faster by numpy


@kernel
def find_parts(order: I64, bounds: I64, part: I64, row: I64) -> bool:
    """Which part holds row order[i] of all of them together, and its row there. bounds: (parts + 1,), where each part begins.

    A negative row is in no part (-1). Returns whether all rows are within the bounds.
    """
    last = len(bounds) - 1
    for i in range(len(order)):
        at = order[i]
        if at >= bounds[last]:
            return False
        p = -1
        if at >= 0:
            p = 0
            while at >= bounds[p + 1]:
                p += 1
            at -= bounds[p]
        part[i] = p
        row[i] = at
    return True


@kernel
def gather_column(size: int, sources: I64, c: int, target: int, part: I64, row: I64, fill: int) -> None:
    """Items of `size` bytes of column c go to address `target`, one after another; that at address `fill` where there is none."""
    for i in range(len(row)):
        source = sources[c, part[i]] + size * row[i] if row[i] >= 0 else fill
        if size == 8:
            copy8(target + 8 * i, source)
        elif size == 4:
            copy4(target + 4 * i, source)
        elif size == 2:
            copy2(target + 2 * i, source)
        else:
            copy1(target + i, source)


@kernel
def gather_columns(sources: I64, targets: I64, sizes: I64, fills: I64, part: I64, row: I64) -> None:
    """All columns. sources: (columns, parts) addresses; targets, fills: (columns,) addresses; sizes: (columns,) bytes of an item.

    Precondition: the addresses are those of arrays that hold the rows, or have room for them.
    """
    for c in range(len(targets)):
        if sizes[c] == 8:
            gather_column(8, sources, c, targets[c], part, row, fills[c])
        elif sizes[c] == 4:
            gather_column(4, sources, c, targets[c], part, row, fills[c])
        elif sizes[c] == 2:
            gather_column(2, sources, c, targets[c], part, row, fills[c])
        else:
            gather_column(1, sources, c, targets[c], part, row, fills[c])


def take(parts: Sequence[Columns], order: I64, fills: Sequence[int] | None = None) -> list[NDArray[Any]]:
    """Rows `order` of the parts, one after another, column by column.

    parts: of each part its columns (n,), of the same dtypes in each part. order: row numbers over all parts together; a negative
    one gives the column's number in `fills`, without fills it is an error. Raises IndexError for a row that is not there.
    """
    if not compiled() or len(order) < FEW or not parts:
        return [
            _plain(columns, order, None if fills is None else fills[c])
            for c, columns in enumerate(zip(*parts, strict=True))
        ]
    width = len(parts[0])
    bounds = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(columns[0]) if width else 0 for columns in parts], out=bounds[1:])
    part, row = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    if not find_parts(np.ascontiguousarray(order, np.int64), bounds, part, row):
        raise IndexError(f"a row is not among {bounds[-1]}")
    if fills is None and len(order) and row.min() < 0:
        raise IndexError("a row is negative")
    whole = [
        [np.ascontiguousarray(column) for column in columns] for columns in parts
    ]  # kept alive while they are read
    out = [np.empty(len(order), column.dtype) for column in whole[0]]
    blanks = [np.full(1, fills[c] if fills else 0).astype(column.dtype) for c, column in enumerate(out)]
    for columns in whole:
        if [column.dtype for column in columns] != [column.dtype for column in out]:
            raise TypeError("parts with columns of different dtypes")
    gather_columns(
        np.array([[_address(columns[c]) for columns in whole] for c in range(width)], np.int64).reshape(width, -1),
        np.array([_address(column) for column in out], np.int64),
        np.array([column.itemsize for column in out], np.int64),
        np.array([_address(blank) for blank in blanks], np.int64),
        part,
        row,
    )
    return out


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _plain(columns: Columns, order: I64, fill: int | None) -> NDArray[Any]:
    column = columns[0] if len(columns) == 1 else np.concatenate(columns)
    if fill is None:
        taken: NDArray[Any] = column[order]
        return taken
    if not len(column):
        return np.full(len(order), fill).astype(column.dtype)
    there = order >= 0
    found: NDArray[Any] = column[np.where(there, order, 0)]
    found[~there] = np.array(fill).astype(column.dtype)
    return found
