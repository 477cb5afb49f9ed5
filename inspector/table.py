"""Tables: frozen bundles of equal-length numpy arrays with a named dtype each.

A table is a frozen dataclass that inherits `Table` and annotates its columns with `I64`, `I32`, `U8`, `Bool`, ...,
`Ragged` or `Runs`. The room `table` is not in the design's list: every room needs it, so it stands beside `ragged`.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inspector.kernels.gather import take
from inspector.ragged import Ragged, Spans

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I16 = NDArray[np.int16]
U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]
U16 = NDArray[np.uint16]
U8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]


_known: dict[type, dict[str, np.dtype[Any] | None]] = {}
_loose: dict[type, frozenset[str]] = {}  # columns of Runs


def _scalar(hint: Any) -> Any:
    """np.int64 of NDArray[np.int64], which is ndarray[shape, dtype[np.int64]], or an alias (numpy 2.5 on Python 3.12)."""
    args = typing.get_args(hint)
    return args[0] if len(args) == 1 else typing.get_args(args[1])[0]


def dtypes(table: type[Table]) -> dict[str, np.dtype[Any] | None]:
    """The dtype of each column by name, in order; None for a column of Ragged or Runs."""
    if table in _known:
        return _known[table]
    hints = typing.get_type_hints(table)
    out: dict[str, np.dtype[Any] | None] = {}
    for field in fields(table):
        hint = hints[field.name]
        out[field.name] = None if hint in (Ragged, Spans) else np.dtype(_scalar(hint))
    _known[table] = out
    _loose[table] = frozenset(name for name in out if hints[name] is Spans)
    return out


def larger(rows: int) -> int:
    """How many rows an array grows to that has too few: twice as many, of large ones a quarter more. An even number."""
    return 2 * rows if rows < 1 << 14 else (rows + rows // 4 + 1) & ~1


def first_of_each(values: NDArray[Any]) -> Bool:
    """Where stretches of equal values begin: (n,) bool."""
    out = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=out[1:])
    return out


@dataclass(frozen=True, eq=False)
class Table:
    """Base of all tables: equal lengths and dtypes are checked when one is made."""

    def __post_init__(self) -> None:
        lengths = set()
        for name, dtype in dtypes(type(self)).items():
            column = getattr(self, name)
            lengths.add(len(column))
            if dtype is not None and column.dtype != dtype:
                raise TypeError(f"{type(self).__name__}.{name}: dtype {column.dtype}, want {dtype}")
        if len(lengths) > 1:
            raise ValueError(f"{type(self).__name__}: columns of different lengths {sorted(lengths)}")

    def __len__(self) -> int:
        for name in dtypes(type(self)):
            return len(getattr(self, name))
        return 0

    @classmethod
    def empty(cls) -> Self:
        """The table without rows."""
        return cls(**{n: cls._runs(n).empty() if d is None else np.empty(0, d) for n, d in dtypes(cls).items()})

    @classmethod
    def _runs(cls, column: str) -> type[Ragged] | type[Spans]:
        return Spans if column in _loose[cls] else Ragged

    @classmethod
    def build(cls, **columns: Any) -> Self:
        """From anything array-like: each column is converted to its dtype. Missing columns are an error."""
        return cls(
            **{n: columns.pop(n) if d is None else np.asarray(columns.pop(n), d) for n, d in dtypes(cls).items()},
            **columns,
        )

    def take(self, index: NDArray[Any]) -> Self:
        """The rows at `index` (integers from 0 on, or a boolean mask), in that order."""
        return type(self).merged([self], index)

    @classmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """The rows of `parts`, one after another."""
        parts = [p for p in parts if len(p)]
        if not parts:
            return cls.empty()
        if len(parts) == 1:
            return parts[0]
        return cls(
            **{
                n: cls._runs(n).concat([getattr(p, n) for p in parts])
                if d is None
                else np.concatenate([getattr(p, n) for p in parts])
                for n, d in dtypes(cls).items()
            }
        )

    @classmethod
    def merged(cls, parts: Iterable[Self], order: NDArray[Any]) -> Self:
        """`concat(parts).take(order)`: the rows are never there twice."""
        parts = [p for p in parts if len(p)]
        order = np.flatnonzero(order) if order.dtype == bool else order
        if not parts:
            return cls.empty()
        kinds = dtypes(cls)
        plain = [name for name, dtype in kinds.items() if dtype is not None]
        runs = {
            name: cls._runs(name).concat([getattr(p, name) for p in parts]).take(order)
            for name, dtype in kinds.items()
            if dtype is None
        }
        taken = take([[getattr(p, name) for name in plain] for p in parts], order)
        return cls(**dict(zip(plain, taken, strict=True)), **runs)

    def replace(self, **columns: Any) -> Self:
        """The same rows with some columns replaced."""
        return type(self)(**{n: columns.get(n, getattr(self, n)) for n in dtypes(type(self))})
