"""Makes the report over a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inspector.batch.library import Moment, Store
from inspector.batch.report import details, frame, text
from inspector.batch.report.figures import Figures
from inspector.batch.report.gather import gather
from inspector.batch.report.index import index
from inspector.batch.report.json_v1 import document
from inspector.batch.report.model import Site, site
from inspector.batch.report.scan import files, moment, read_again
from inspector.batch.report.words import finding
from inspector.batch.report.writing import ReportFolder


@dataclass(frozen=True)
class Built:
    """A report that was written. figures: of all mirrors in it; states: captures by state (read, damaged, failed)."""

    folder: Path
    index: Path
    pages: int
    changed: int  # files whose content is new
    removed: int  # of an earlier report
    figures: Figures
    states: dict[str, int]
    finding: str


def build(
    store: str | os.PathLike[str] | Store,
    folder: str | os.PathLike[str],
    since: Moment = None,
    title: str | None = None,
) -> Built:
    """Write the report over `store` into `folder`. since: a moment (see `moment`); earlier traffic is left out.

    Raises UsageError for a store that is none or a folder that holds other things, InspectorError for a store that
    cannot be read.
    """
    told = read_again(lambda: _site(store, moment(since), title))
    version = max((str(line.unit.row["version"] or "") for line in told.units), default="")
    pages = dict(_pages(told, version))
    path = Path(folder)
    with ReportFolder(path) as target:
        target.announce(pages)
        for name, parts in pages.items():
            target.write(name, parts)
    return Built(
        path, path / "index.html", len(pages), target.changed, target.removed, told.total, told.states, finding(told)
    )


def _site(store: str | os.PathLike[str] | Store, since: int | None, title: str | None) -> Site:
    found = files(store.folder if isinstance(store, Store) else store)
    return site(found, gather(found, since), title)


def _pages(told: Site, version: str) -> Iterator[tuple[str, Iterator[str]]]:
    """Names and contents, to be written in this order: what links come after what they lead to."""
    for pair in told.pairs.values():
        yield frame.pair_page(told, pair), details.pair(told, pair, version)
    for unit in told.units:
        if unit.page:
            yield unit.page, details.unit(told, unit, version)
    for day in told.days:
        if day.page:
            yield day.page, details.day(told, day, version)
    for route in told.routes:
        if route.page:
            yield route.page, details.route(told, route, version)
    yield "captures.html", details.captures(told, version)
    yield "pairs.html", details.pairs(told, version)
    yield "report.csv", text.csv(told)
    yield "report.md", text.markdown(told)
    yield "report.json", document(told, version)
    yield "index.html", index(told, version)
