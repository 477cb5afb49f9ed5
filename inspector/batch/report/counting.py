"""Mirrors by verdict and captures by state, without a report: what `--fail-on` looks at."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from inspector.batch.library import Moment, Store
from inspector.batch.report import scan
from inspector.batch.report.columns import VERDICTS
from inspector.batch.report.gather import first_packets, units_of
from inspector.batch.report.rows import since_of, verdicts_of


@dataclass(frozen=True)
class Counts:
    """verdicts: every verdict with its number of mirrors; states: units by state (read, damaged, failed)."""

    verdicts: dict[str, int]
    states: dict[str, int]
    blind: int = 0  # units that may hold mirrors which were not read: see views.objects.SummaryView.blind


def counts(store: str | os.PathLike[str] | Store, since: Moment = None) -> Counts:
    """Count what a report with the same `since` counts. Raises as `build` does."""
    at = scan.moment(since)
    return scan.read_again(lambda: _counts(scan.files(store.folder if isinstance(store, Store) else store), at))


def _counts(found: scan.Files, since: int | None) -> Counts:
    units = units_of(found, since)
    which = np.array([u.number for u in units], np.int64)
    first = first_packets(found, units)
    total = np.zeros(len(VERDICTS), np.int64)
    for chunk in scan.chunks(found, "mirrors", ("verdict", "request_time"), which):
        _time, kept = since_of(chunk, first, since)
        total += np.bincount(verdicts_of(chunk)[kept], minlength=len(VERDICTS))
    states = {"read": 0, "damaged": 0, "failed": 0}
    for u in units:
        states[u.state] = states.get(u.state, 0) + 1
    blind = sum(bool(u.row.get("blind")) for u in units)
    return Counts(dict(zip(VERDICTS, total.tolist(), strict=True)), states, blind)
