"""Rows that were kept in sorted runs, put in order of time a little at a time: what is kept of a long reading.

Each step of a reading passes on exchanges in order of time, so runs overlap only where exchanges were open for long. Merging
holds a slab of every run that reaches into the same time, no more.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from inspector.table import I64

T = TypeVar("T")
Place = tuple[int, int]  # time, and the id that decides between equals


@dataclass(frozen=True)
class Slab(Generic[T]):
    """Some rows of a run, in order of (time, id); not empty. time, id: (n,); rows: whatever holds them."""

    time: I64
    id: I64
    rows: T

    def place(self, row: int) -> Place:
        """Where a row stands in the order of all."""
        return int(self.time[row]), int(self.id[row])

    def upto(self, bound: Place) -> int:
        """How many rows stand at `bound` or before."""
        low, high = np.searchsorted(self.time, bound[0], "left"), np.searchsorted(self.time, bound[0], "right")
        return int(low + np.searchsorted(self.id[low:high], bound[1], "right"))


@dataclass
class _Open(Generic[T]):
    """A slab that is being used up: its run and number there, and the next of its rows."""

    slab: Slab[T]
    run: int
    number: int
    at: int = 0


Pieces = list[tuple[T, int, int]]  # what slabs hold, from a row up to a row


def merged(
    runs: Sequence[Sequence[Place]], load: Callable[[int, int], Slab[T]]
) -> Iterator[tuple[Pieces[T], I64, Slab[None]]]:
    """All rows in order, some at a time.

    runs: for each run, where the first row of each of its slabs stands. load: gives slab `number` of a run. Yields pieces, the
    order in which their rows, one piece after another, are to be taken, and the places of those rows in that order.
    """
    waiting = [(slabs[0], run, 0) for run, slabs in enumerate(runs) if slabs]
    heapq.heapify(waiting)
    using: list[_Open[T]] = []
    while waiting or using:
        bound = min((u.slab.place(-1) for u in using), default=None)
        while waiting and (bound is None or waiting[0][0] <= bound):
            _first, run, number = heapq.heappop(waiting)
            using.append(_Open(load(run, number), run, number))
            last = using[-1].slab.place(-1)
            bound = last if bound is None else min(bound, last)
        assert bound is not None  # a slab is open
        pieces, times, ids = [], [], []
        for u in using:
            stop = u.slab.upto(bound)
            if stop > u.at:
                pieces.append((u.slab.rows, u.at, stop))
                times.append(u.slab.time[u.at : stop])
                ids.append(u.slab.id[u.at : stop])
                u.at = stop
        time, id_ = np.concatenate(times), np.concatenate(ids)
        order = np.lexsort((id_, time))
        yield pieces, order, Slab(time[order], id_[order], None)
        for u in using:
            if u.at == len(u.slab.time) and u.number + 1 < len(runs[u.run]):
                heapq.heappush(waiting, (runs[u.run][u.number + 1], u.run, u.number + 1))
        using = [u for u in using if u.at < len(u.slab.time)]
