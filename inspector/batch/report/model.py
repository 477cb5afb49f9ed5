"""What the report tells, before it is written in any form: figures of the whole, of routes, days and captures, and pairs.

What is reported is bounded; `left` says how much of what is left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from inspector.batch.report.chosen import Pair, choose, load, statuses
from inspector.batch.report.columns import Field, ReportColumns, Route, UnitFigures
from inspector.batch.report.figures import Figures, Grouping
from inspector.batch.report.names import page_name, unit_name
from inspector.batch.report.scan import ABSENT, DAY, Files
from inspector.lang import _
from inspector.render.text import cut_middle, day, shown

ROUTE_PAGES = 300  # those that alarm first, then those with the most mirrors
DAY_PAGES = 400  # the latest
UNIT_PAGES = 2000  # those that could not be read, then those that alarm, then the latest
CELLS = 20_000  # rows of report.csv: a route and a day each, the latest
PLOTTED = 12  # routes whose pages have plots
WATCHED = 100  # routes of which it is reported that their copies stopped
MOMENTS = 1000  # of the plots over time, the latest: a capture's clock may say anything
FIELDS = 500  # differences told, the most frequent
MAX_SIDE = 44  # columns of each side of a route's name


@dataclass(frozen=True)
class RouteLine:
    """A service route."""

    number: int
    route: Route
    page: str | None  # relative to the report's folder; None beyond ROUTE_PAGES
    figures: Figures
    fields: list[Field]
    statuses: list[tuple[int, int, int]]  # original's, mirror's, pairs
    pairs: list[Pair]  # that have a page
    days: list[tuple[int, Figures]] = field(default_factory=list)
    slots: list[tuple[int, Figures]] = field(default_factory=list)  # of the first WATCHED
    plotted: bool = False

    @cached_property
    def name(self) -> str:
        """`items:3000 → items-shadow:3000`, visible text."""
        if self.route.other:
            return _("all other routes")
        asked, copied = (cut_middle(shown(side), MAX_SIDE) for side in (self.route.asked, self.route.copied))
        return f"{asked} → {copied}"


@dataclass(frozen=True)
class DayLine:
    """A day (UTC), None for mirrors whose time is not known."""

    day: int | None  # days since the epoch
    page: str | None
    figures: Figures

    @property
    def name(self) -> str:
        """`2026-11-21`."""
        return _("time not known") if self.day is None else date(self.day)


@dataclass(frozen=True)
class UnitLine:
    """A capture, or the pieces of one."""

    unit: UnitFigures
    page: str | None
    figures: Figures
    pairs: list[Pair]

    @cached_property
    def name(self) -> str:
        """The name of its first file, visible text."""
        return unit_name(self.unit)


@dataclass
class Site:
    """The whole report."""

    title: str
    g: ReportColumns
    total: Figures
    routes: list[RouteLine]
    days: list[DayLine]
    units: list[UnitLine]
    slots: list[tuple[int, Figures]]  # (ns, figures), in order of time
    cells: list[tuple[RouteLine, int, Figures]]  # by route and day
    pairs: dict[int, Pair]  # by row of Mirrors
    fields: list[Field]
    left: dict[str, int]
    by_unit: dict[int, UnitLine] = field(default_factory=dict)
    by_route: dict[int, RouteLine] = field(default_factory=dict)

    @cached_property
    def states(self) -> dict[str, int]:
        """Units by state."""
        out = {"read": 0, "damaged": 0, "failed": 0}
        for line in self.units:
            out[line.unit.state] = out.get(line.unit.state, 0) + 1
        return out

    @property
    def exchanges(self) -> int:
        """Exchanges of all parts."""
        return sum(self.g.legs.values())

    @property
    def failing(self) -> int:
        """Mirrors that leaked or were answered otherwise."""
        return self.total.failing

    @cached_property
    def failing_pairs(self) -> list[Pair]:
        """Those of them that have a page, leaks first."""
        m = self.g.mirrors
        rows = [row for row in self.pairs if m.failing[row]]
        return [self.pairs[row] for row in sorted(rows, key=lambda row: (int(m.verdict[row]) != 0, row))]


def date(number: int) -> str:
    """A day since the epoch as `2026-11-21`; years beyond what a calendar holds as a number of days."""
    try:
        return day(number * DAY)
    except (OverflowError, ValueError):
        return str(number)


def site(found: Files, g: ReportColumns, title: str | None = None) -> Site:
    """Count, choose and look up."""
    grouping = Grouping(g)
    pairs = load(found, g, choose(g))
    routes = _routes(g, grouping, pairs)
    by_route = {line.number: line for line in routes}
    keys, cells, left_cells = grouping.cells(grouping.day, grouping.asked_in_route.day, CELLS)
    told = [(by_route[route], number, f) for (route, number), f in zip(keys, cells, strict=True)]
    for line, number, f in told:
        line.days.append((number, f))
    watched = [line.number for line in routes[:WATCHED]]
    keys, cells, _left = grouping.cells(grouping.slot, grouping.asked_in_route.slot, CELLS, watched)
    for (route, slot), f in zip(keys, cells, strict=True):
        if slot != ABSENT:
            by_route[route].slots.append((slot * g.slot, f))
    days, left_days = _days(grouping)
    units = _units(g, grouping, pairs)
    out = Site(
        title=title or "",
        g=g,
        total=grouping.total(),
        routes=routes,
        days=days,
        units=units,
        slots=_slots(grouping),
        cells=told,
        pairs=pairs,
        fields=g.fields[:FIELDS],
        left={},
        by_unit={line.unit.number: line for line in units},
        by_route=by_route,
    )
    out.left = {
        "route_pages": sum(line.page is None for line in routes),
        "day_pages": left_days,
        "capture_pages": sum(line.page is None for line in units),
        "failing_pairs": out.failing - len(out.failing_pairs),
        "cells": left_cells,
        "fields": max(len(g.fields) - FIELDS, 0),
        "differences": g.dropped_fields,
        "mirrors_with_more_differences": g.cut,
        "mirrors_without_share": g.dropped_senders,
    }
    return out


def _routes(g: ReportColumns, grouping: Grouping, pairs: dict[int, Pair]) -> list[RouteLine]:
    found = grouping.by_route()
    differing = statuses(g)
    fields: dict[int, list[Field]] = defaultdict(list)
    for f in g.fields:
        fields[f.route].append(f)
    mine: dict[int, list[Pair]] = defaultdict(list)
    for row, pair in pairs.items():
        mine[int(g.mirrors.route[row])].append(pair)
    order = sorted(
        (i for i in range(len(g.routes)) if found[i].mirrors),
        key=lambda i: (-found[i].verdicts["leaked"], -found[i].differing, -found[i].mirrors, i),
    )
    out = []
    for place, i in enumerate(order):
        route = g.routes[i]
        page = None
        if place < ROUTE_PAGES:
            page = f"routes/{page_name(route.asked or '', route.copied or '', 'other' if route.other else '')}.html"
        out.append(
            RouteLine(i, route, page, found[i], fields[i], differing.get(i, []), mine[i], plotted=place < PLOTTED)
        )
    return out


def _days(grouping: Grouping) -> tuple[list[DayLine], int]:
    keys = np.unique(np.concatenate([grouping.day, grouping.asked.day]))
    left = max(int((keys != ABSENT).sum()) - DAY_PAGES, 0)
    kept = np.concatenate([keys[keys == ABSENT], keys[keys != ABSENT][-DAY_PAGES:]])
    found = grouping.by(kept, grouping.day, grouping.asked.day)
    out = []
    for key, f in zip(kept.tolist(), found, strict=True):
        known = key != ABSENT
        name = date(key) if known else "unknown"
        out.append(DayLine(key if known else None, f"days/{name}.html", f))
    return out, left


def _units(g: ReportColumns, grouping: Grouping, pairs: dict[int, Pair]) -> list[UnitLine]:
    keys = np.array([u.number for u in g.units], np.int64)
    found = grouping.by(keys, g.mirrors.unit, grouping.asked.unit)
    mine: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs.values():
        mine[pair.unit].append(pair)
    order = sorted(
        range(len(g.units)),
        key=lambda i: (
            g.units[i].state != "failed", -found[i].verdicts["leaked"], g.units[i].state != "damaged",
            -found[i].differing, -(g.units[i].row["first"] or 0), i,
        ),
    )  # fmt: skip
    paged = set(order[:UNIT_PAGES])
    out = []
    for i, u in enumerate(g.units):
        page = f"captures/{page_name(u.name.rpartition('/')[2], u.source, u.day, u.key)}.html" if i in paged else None
        out.append(UnitLine(u, page, found[i], mine[u.number]))
    return out


def _slots(grouping: Grouping) -> list[tuple[int, Figures]]:
    keys = np.unique(np.concatenate([grouping.slot, grouping.asked.slot]))
    keys = keys[keys != ABSENT]
    keys = keys[-MOMENTS:]
    found = grouping.by(keys, grouping.slot, grouping.asked.slot)
    return [(key * grouping.g.slot, f) for key, f in zip(keys.tolist(), found, strict=True)]
