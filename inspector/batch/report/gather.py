"""Reads the store's tables into what every figure of the report is counted from."""

from __future__ import annotations

from typing import Any

import numpy as np

from inspector.batch.report import scan
from inspector.batch.report.columns import ReportColumns, UnitFigures
from inspector.batch.report.fields import differences
from inspector.batch.report.rows import MirrorReader, asked
from inspector.batch.report.scan import ABSENT, Files
from inspector.table import I64

SLOTS = 96  # of the plots over time, about
STEPS = (60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400, 28 * 86_400)  # seconds of a slot


def units_of(found: Files, since: int | None) -> list[UnitFigures]:
    """The units that can hold something at or after `since`; what could not be read counts by the time it was tried."""
    by_unit: dict[int, list[dict[str, Any]]] = {}
    for row in scan.small(found, "captures"):
        by_unit.setdefault(row[scan.NUMBER], []).append(row)
    out = []
    for row in scan.small(found, "units"):
        number = row[scan.NUMBER]
        latest = row["last"] if row["last"] is not None else row["written"]
        if since is not None and latest is not None and latest < since:
            continue
        parts = tuple(sorted(by_unit.get(number, ()), key=lambda part: part["capture"] or 0))
        paths = tuple(part["path"] or "" for part in parts)
        out.append(UnitFigures(number, row["day"], row["source"], row["unit"], row, paths, parts))
    return sorted(out, key=lambda unit: unit.number)


def gather(found: Files, since: int | None = None) -> ReportColumns:
    """Read the store. since: ns; earlier mirrors and exchanges are left out, those without a time count with their unit."""
    units = units_of(found, since)
    which = np.array([u.number for u in units], np.int64)
    first = first_packets(found, units)
    slot = _slot(units, since)
    reader = MirrorReader(first, since)
    for chunk in scan.chunks(found, "mirrors", reader.columns, which, reader.texts):
        reader.add(chunk)
    mirrors = reader.mirrors()
    waiting, legs = asked(found, which, since, slot, reader)
    g = ReportColumns(units, mirrors, waiting, reader.routes, reader.reasons, legs, [], since, slot)
    g.dropped_senders, g.senders = int((mirrors.sender < 0).sum()), list(reader.senders)
    differences(found, which, g)
    return g


def first_packets(found: Files, units: list[UnitFigures]) -> I64:
    """(units of the store,) time of the first packet of each, ABSENT where it is not known."""
    first = np.full(len(found.units), ABSENT, np.int64)
    for u in units:
        if u.row["first"] is not None:
            first[u.number] = u.row["first"]
    return first


def _slot(units: list[UnitFigures], since: int | None) -> int:
    times = [t for u in units for t in (u.row["first"], u.row["last"]) if t is not None]
    span = max(times) - max(min(times), since or ABSENT) if times else 0
    fit = [step for step in STEPS if span // (step * 10**9) < SLOTS]
    if fit:
        return fit[0] * 10**9
    return (span // (SLOTS * STEPS[-1] * 10**9) + 1) * STEPS[-1] * 10**9
