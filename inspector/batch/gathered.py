"""The exchanges and mirrors of one unit, however long it is: written to disk as they are decided, then put in order.

Numbers are known at the end only: an exchange may be open for hours. So rows wait in files without names (spill.py), and what
stays in memory is some ten bytes an exchange: their numbers, and what comparing told of each mirror.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.batch import rows
from inspector.batch.spill import Numbers, Spill
from inspector.compare.all_pairs import compare_pairs
from inspector.mirror.lost_requests import effective_time
from inspector.mirror.pool import Decisions
from inspector.redact import Redactor
from inspector.render.private import exchange_columns, mirror_columns
from inspector.reread.pairs import PairRows
from inspector.table import I64
from inspector.views.present import CHUNK, Presenter

if TYPE_CHECKING:
    from inspector.compare.pair import PairDifference

LINKS = ("original_id", "mirror_id", "downstream_id")


class UnitRows:
    """What reading a unit has decided. Use it as a context."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self.redactor = redactor
        self._exchanges = Spill(folder, "exchanges", ("id",))
        self._mirrors = Spill(folder, "mirrors", rows.Same.NAMES)
        self._legs = PairRows(folder)
        self._count = 0  # of mirrors
        self._numbers = Numbers()  # of exchanges
        self._order = Numbers()  # of mirrors, by the order in which they were decided

    def add(self, batch: Decisions, end: tuple[int, bool] | None = None) -> None:
        """Keep what one step decided. end: of what was read so far, as a Presenter takes it."""
        found = batch.found
        show = Presenter(found.exchanges, found.mirrors, found.legs(), end=end)
        self._add_exchanges(show, np.flatnonzero(batch.gone))
        self._add_mirrors(show, batch.decided)

    def _add_exchanges(self, show: Presenter, gone: I64) -> None:
        time, ids = effective_time(show.e)[gone], show.e.id[gone]
        order = np.lexsort((ids, time))
        gone, time, ids = gone[order], time[order], ids[order]
        self._exchanges.begin()
        for chunk, place in zip(show.exchanges(gone).chunks, _chunks(len(gone)), strict=True):
            shown = rows.exchange_columns(exchange_columns(chunk, self.redactor))
            self._exchanges.add(shown, time[place], ids[place])

    def _add_mirrors(self, show: Presenter, decided: I64) -> None:
        copies = show.table.mirror[decided]
        time, ids = effective_time(show.e)[copies], show.e.id[copies]
        order = np.lexsort((ids, time))
        decided, time, ids = decided[order], time[order], ids[order]
        self._mirrors.begin()
        listing = show.mirrors(decided, self._count + 1)
        for chunk, place in zip(listing.chunks, _chunks(len(decided)), strict=True):
            self._legs.add(chunk)
            self._mirrors.add(rows.mirror_columns(mirror_columns(chunk, self.redactor)), time[place], ids[place])
        self._count += len(decided)

    def write(self, writer: rows.Writer, paths: Sequence[str], suffix: str) -> None:
        """Write the exchanges; read the captures again to compare the pairs; write what differs and the mirrors.

        Raises CaptureError.
        """
        self._write_exchanges(writer)
        same, differing = rows.Same(self._count), rows.Differing(writer)
        decided = 1
        for batch, _ids in self._mirrors.merged(("id",)):
            numbers = batch.column("id").to_numpy()
            self._order.give(numbers, decided)
            decided += len(numbers)

        def told(number: int, d: PairDifference) -> None:
            number = self._order[number]
            same.tell(number, d)
            differing.tell(number, d)

        if self._count:
            compare_pairs(self._legs, paths, self.redactor, told, suffix)
        self._legs.close()
        differing.flush()
        self._write_mirrors(writer, same)

    def _write_exchanges(self, writer: rows.Writer) -> None:
        first = 1
        for batch, ids in self._exchanges.merged():
            writer.add("exchanges", {**_columns(batch), "id": self._numbers.give(ids, first)})
            first += len(ids)
        self._exchanges.close()

    def _write_mirrors(self, writer: rows.Writer, same: rows.Same) -> None:
        for batch, _ids in self._mirrors.merged():
            columns = _columns(batch)
            columns["id"] = self._order.of(columns["id"])
            for name in LINKS:
                columns[name] = self._numbers.of(columns[name])
            writer.add("mirrors", columns | same.columns(columns["id"].to_numpy()))

    def __enter__(self) -> UnitRows:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for kept in (self._exchanges, self._mirrors, self._legs):
            kept.close()


def _columns(batch: Any) -> dict[str, Any]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _chunks(rows: int) -> list[slice]:
    """The rows of each chunk that a presenter makes."""
    return [slice(start, start + CHUNK) for start in range(0, rows, CHUNK)]
