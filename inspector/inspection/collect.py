"""Keeps all exchanges and mirrors of an inspection, for the library and for renderings that need them together."""

from __future__ import annotations

import numpy as np

from inspector.mirror.lost_requests import effective_time
from inspector.mirror.pool import Decisions
from inspector.mirror.tables import NONE, Exchanges, Mirrors
from inspector.table import I64, U8


class Collected:
    """Batches, put together: exchanges numbered from 1 in order of time, their legs, and mirrors in order of time."""

    def __init__(self) -> None:
        self._exchanges: list[Exchanges] = []
        self._legs: list[U8] = []
        self._mirrors: list[Mirrors] = []

    def add(self, batch: Decisions) -> None:
        """Keep what one step decided."""
        found = batch.found
        self._exchanges.append(found.exchanges.take(batch.gone).compact())
        self._legs.append(found.legs()[batch.gone])
        ids = found.exchanges.id
        rows = found.mirrors.take(batch.decided)
        self._mirrors.append(rows.replace(**{name: _ids(ids, getattr(rows, name)) for name in LINKS}))

    def tables(self) -> tuple[Exchanges, Mirrors, U8]:
        """All exchanges, all mirrors (with row numbers of the exchanges) and the leg of each exchange."""
        e = Exchanges.concat(self._exchanges)
        leg = np.concatenate(self._legs) if self._legs else np.empty(0, np.uint8)
        order = np.lexsort((e.id, effective_time(e)))
        e, leg = e.take(order), leg[order]
        mirrors = Mirrors.concat(self._mirrors)
        by_id = np.argsort(e.id, kind="stable")
        sorted_ids = e.id[by_id]
        mirrors = mirrors.replace(**{name: _rows(sorted_ids, by_id, getattr(mirrors, name)) for name in LINKS})
        mirrors = mirrors.take(np.argsort(mirrors.mirror, kind="stable"))
        return e.replace(id=np.arange(1, len(e) + 1)), mirrors, leg


LINKS = ("mirror", "original", "downstream")


def _ids(ids: I64, rows: I64) -> I64:
    return np.where(rows >= 0, ids[np.maximum(rows, 0)], NONE) if len(ids) else rows


def _rows(sorted_ids: I64, by_id: I64, ids: I64) -> I64:
    if not len(sorted_ids):
        return np.full(len(ids), NONE, np.int64)
    at = np.minimum(np.searchsorted(sorted_ids, ids), len(sorted_ids) - 1)
    return np.where((ids >= 0) & (sorted_ids[at] == ids), by_id[at], NONE)
