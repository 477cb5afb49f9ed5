"""Rows of many columns moved at once: what tables are taken, joined and merged with.

numpy takes one column after another and keeps the interpreter's lock meanwhile; here one call moves all columns of a table
without it, so that the other threads go on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.kernels.instructions import copy1, copy2, copy4, copy8
from inspector.kernels.kernel import compiled, kernel

I64 = NDArray[np.int64]
Columns = Sequence[NDArray[Any]]
FEW = 512  # rows: fewer are moved faster by numpy
LITTLE = sys.byteorder == "little"


class Stretches(NamedTuple):
    """Where n wanted rows are: each in its part, and stretches of wanted rows that are of one part.

    row: (n + 1,) int64, the row in the part; the last is not used. begins, part: (n + 1,) int64, where each stretch begins
    and its part, -1 for rows that are negative; behind the last stretch `begins` is n.
    """

    row: I64
    begins: I64
    part: I64


@kernel
def find_parts(order: I64, bounds: I64, found: Stretches) -> int:
    """Find rows order[i] of all parts together. bounds: (parts + 1,), where each part begins.

    Returns how many stretches there are, -1 where a row is not there.
    """
    last = len(bounds) - 1
    count = 0
    p = -2
    for i in range(len(order)):
        at = order[i]
        if at >= bounds[last]:
            return -1
        if p < 0 or at < bounds[p] or at >= bounds[p + 1]:
            before = p
            p = -1
            if at >= 0:
                p = 0
                while at >= bounds[p + 1]:
                    p += 1
            if p != before:
                found.begins[count] = i
                found.part[count] = p
                count += 1
        found.row[i] = at - bounds[p] if p >= 0 else 0
    found.begins[count] = len(order)
    return count


@kernel
def gather_column(size: int, sources: I64, c: int, target: int, found: Stretches, count: int, fill: int) -> None:
    """Items of `size` bytes of column c go to address `target`, one after another; that at address `fill` where there is none."""
    for stretch in range(count):
        base = sources[c, found.part[stretch]] if found.part[stretch] >= 0 else fill
        for i in range(found.begins[stretch], found.begins[stretch + 1]):
            if size == 8:
                copy8(target + 8 * i, base + 8 * found.row[i])
            elif size == 4:
                copy4(target + 4 * i, base + 4 * found.row[i])
            elif size == 2:
                copy2(target + 2 * i, base + 2 * found.row[i])
            else:
                copy1(target + i, base + found.row[i])


@kernel
def gather_columns(sources: I64, targets: I64, sizes: I64, fills: I64, found: Stretches, count: int) -> None:
    """All columns. sources: (columns, parts) addresses; targets, fills: (columns,) addresses; sizes: (columns,) bytes of an item.

    found, count: as `find_parts` found them. Precondition: the addresses are those of arrays that hold the rows, or
    have room for them.
    """
    for c in range(len(targets)):
        if sizes[c] == 8:
            gather_column(8, sources, c, targets[c], found, count, fills[c])
        elif sizes[c] == 4:
            gather_column(4, sources, c, targets[c], found, count, fills[c])
        elif sizes[c] == 2:
            gather_column(2, sources, c, targets[c], found, count, fills[c])
        else:
            gather_column(1, sources, c, targets[c], found, count, fills[c])


def take(parts: Sequence[Columns], order: I64, fills: Sequence[int] | None = None) -> list[NDArray[Any]]:
    """Rows `order` of the parts, one after another, column by column.

    parts: of each part its columns (n,), of the same dtypes in each part. order: row numbers over all parts together; a negative
    one gives the column's number in `fills`, without fills it is an error. Raises IndexError for a row that is not there.
    """
    if fills is None and len(order) and order.min() < 0:
        raise IndexError("a row is negative")
    few = len(order) < FEW and (len(parts) < 2 or sum(len(columns[0]) for columns in parts if columns) < FEW)
    if not LITTLE or not compiled() or few or not parts or not parts[0]:
        wanted = fills if fills is not None else [None] * len(parts[0] if parts else ())
        return [_plain(columns, order, fill) for columns, fill in zip(zip(*parts, strict=True), wanted, strict=True)]
    bounds = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(columns[0]) for columns in parts], out=bounds[1:])
    found = Stretches(*np.empty((3, len(order) + 1), np.int64))
    count = find_parts(np.ascontiguousarray(order, np.int64), bounds, found)
    if count < 0:
        raise IndexError(f"a row is not among {bounds[-1]}")
    # They are kept alive while they are read.
    whole = [[np.ascontiguousarray(column) for column in columns] for columns in parts]
    kinds = [column.dtype for column in whole[0]]
    if any([column.dtype for column in columns] != kinds for columns in whole[1:]):
        raise TypeError("parts with columns of different dtypes")
    out, targets = _room(kinds, len(order))
    # Little-endian: narrower items begin where the word does.
    words = np.array(fills if fills is not None else [0] * len(kinds), np.int64)
    gather_columns(
        np.array([[_address(columns[c]) for columns in whole] for c in range(len(kinds))], np.int64),
        np.array(targets, np.int64),
        np.array([kind.itemsize for kind in kinds], np.int64),
        _address(words) + 8 * np.arange(len(kinds)),
        found,
        count,
    )
    return out


def _room(kinds: Sequence[np.dtype[Any]], n: int) -> tuple[list[NDArray[Any]], list[int]]:
    """An array of n items for each dtype, and where each begins; those of one dtype are one piece of memory."""
    alike: dict[np.dtype[Any], int] = {}
    for kind in kinds:
        alike[kind] = alike.get(kind, 0) + 1
    rows = {kind: iter(np.empty((count, n), kind)) for kind, count in alike.items()}
    out = [next(rows[kind]) for kind in kinds]
    return out, [_address(column) for column in out]


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
