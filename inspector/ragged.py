"""Many byte strings in one array: flat values and offsets behind one small type."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.kernels.kernel import compiled, kernel

I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ragged:
    """`n` runs of one dtype: run `i` is `values[offsets[i]:offsets[i + 1]]`.

    values: (m,) any dtype (uint8 for text); offsets: (n + 1,) int64, not decreasing, offsets[0] == 0, offsets[n] == m.
    """

    values: NDArray[Any]
    offsets: I64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> I64:
        """(n,) int64: the length of each run."""
        return np.diff(self.offsets)

    def __getitem__(self, i: int) -> NDArray[Any]:
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def bytes(self, i: int) -> builtins.bytes:
        """Run `i` as bytes."""
        return self[i].tobytes()

    def take(self, index: NDArray[Any]) -> Ragged:
        """The runs at `index` (integers or a boolean mask), in that order."""
        index = np.flatnonzero(index) if index.dtype == bool else np.asarray(index, np.int64)
        return gather(self.values, self.offsets[:-1][index], self.lengths[index])

    @staticmethod
    def empty(n: int = 0, dtype: Any = np.uint8) -> Ragged:
        """`n` empty runs."""
        return Ragged(np.empty(0, dtype), np.zeros(n + 1, np.int64))

    @staticmethod
    def of(runs: Sequence[builtins.bytes] | Sequence[Sequence[int]], dtype: Any = np.uint8) -> Ragged:
        """From Python byte strings (dtype uint8) or sequences of numbers."""
        offsets = np.zeros(len(runs) + 1, np.int64)
        offsets[1:] = np.cumsum([len(r) for r in runs])
        if dtype == np.uint8:
            values: NDArray[Any] = np.frombuffer(b"".join(bytes(r) for r in runs), np.uint8)
        else:
            values = np.array([v for r in runs for v in r], dtype)
        return Ragged(values, offsets)

    @staticmethod
    def concat(parts: Iterable[Ragged]) -> Ragged:
        """The runs of `parts`, one after another. An empty iterable gives no runs of uint8."""
        parts = list(parts)
        if not parts:
            return Ragged.empty()
        if len(parts) == 1:
            return parts[0]
        base = np.cumsum([0] + [len(p.values) for p in parts[:-1]])
        offsets = [p.offsets[:-1] + b for p, b in zip(parts, base, strict=True)]
        total = np.array([base[-1] + len(parts[-1].values)], np.int64)
        return Ragged(np.concatenate([p.values for p in parts]), np.concatenate([*offsets, total]))


@dataclass(frozen=True, eq=False)
class Spans:
    """`n` runs that stand anywhere in `values`, in any order: rows are taken without moving what they hold.

    values: (m,) any dtype; starts, lengths: (n,) int64. What is kept for long is `compact`ed: all of `values` stays alive else.
    """

    values: NDArray[Any]
    starts: I64
    lengths: I64

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, i: int) -> NDArray[Any]:
        return self.values[self.starts[i] : self.starts[i] + self.lengths[i]]

    def take(self, index: NDArray[Any]) -> Spans:
        """The runs at `index` (integers or a boolean mask), in that order."""
        return Spans(self.values, self.starts[index], self.lengths[index])

    def packed(self) -> Ragged:
        """The runs one after another."""
        return gather(self.values, self.starts, self.lengths)

    def compact(self) -> Spans:
        """The same runs without what stands between them."""
        return Spans.of(self.packed())

    @staticmethod
    def of(runs: Ragged) -> Spans:
        """The runs of a Ragged, where they stand."""
        return Spans(runs.values, runs.offsets[:-1], runs.lengths)

    @staticmethod
    def empty(dtype: Any = np.uint8) -> Spans:
        """No runs."""
        return Spans(np.empty(0, dtype), np.zeros(0, np.int64), np.zeros(0, np.int64))

    @staticmethod
    def concat(parts: Iterable[Spans]) -> Spans:
        """The runs of `parts`, one after another. An empty iterable gives no runs of uint8."""
        parts = list(parts)
        if not parts:
            return Spans.empty()
        if len(parts) == 1:
            return parts[0]
        base = np.cumsum([0] + [len(p.values) for p in parts[:-1]])
        return Spans(
            np.concatenate([p.values for p in parts]),
            np.concatenate([p.starts + b for p, b in zip(parts, base, strict=True)]),
            np.concatenate([p.lengths for p in parts]),
        )


@kernel
def copy_runs(values: NDArray[np.generic], starts: I64, offsets: I64, out: NDArray[np.generic]) -> None:
    """out[offsets[i] : offsets[i + 1]] = values[starts[i] : ...] for each run. Precondition: the runs lie in `values`."""
    for i in range(len(starts)):
        shift = starts[i] - offsets[i]
        for k in range(offsets[i], offsets[i + 1]):
            out[k] = values[k + shift]


def gather(values: NDArray[Any], starts: I64, lengths: I64) -> Ragged:
    """Copy the runs `values[starts[i] : starts[i] + lengths[i]]` together. Precondition: all of them lie in `values`."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    if compiled():
        out = np.empty(offsets[-1], values.dtype)
        copy_runs(np.ascontiguousarray(values), np.ascontiguousarray(starts, np.int64), offsets, out)
        return Ragged(out, offsets)
    index = np.repeat(starts - offsets[:-1], lengths)
    index += np.arange(offsets[-1], dtype=np.int64)
    return Ragged(values[index], offsets)
