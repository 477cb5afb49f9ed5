"""The mirrors that get a page of their own: what alarms, what differs, examples; and all that the store says of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.batch.report.columns import BODY, LEAKED, STATUS, UNANSWERED, UNPROVEN, ReportColumns
from inspector.batch.report.figures import ranks, spread
from inspector.batch.report.scan import Files, unreadable
from inspector.batch.schema import schema
from inspector.table import I64, Bool

if TYPE_CHECKING:
    import pyarrow as pa

FAILING = 1000  # mirrors that leaked or were answered otherwise, with a page each
LEAKS = 700  # of these, if that many leaked
EXAMPLES = 400  # of what is unproven, unanswered, or differs in a field


@dataclass(frozen=True)
class Pair:
    """A mirror with its row of `mirrors` and its rows of `differences`. Times in ns."""

    row: int  # in Mirrors
    unit: int
    values: dict[str, Any]
    differences: list[dict[str, Any]] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Its number in its unit: what --explain takes."""
        return int(self.values["id"])


def choose(g: ReportColumns) -> I64:
    """Rows of Mirrors, at most FAILING + EXAMPLES: leaks first, then of each route and each kind of difference some."""
    m = g.mirrors
    leaked = _scattered(g, m.verdict == LEAKED)
    leaks = spread(leaked, [m.route[leaked]], LEAKS)
    other = _scattered(g, m.failing & (m.verdict != LEAKED))
    kinds = [m.route[other], m.answer[other], m.original_status[other], m.mirror_status[other]]
    body = m.answer[other] == BODY
    kinds[2:] = [np.where(body, 0, k) for k in kinds[2:]]
    differing = spread(other, kinds, FAILING - len(leaks))
    rest = _scattered(g, ((m.verdict == UNPROVEN) | (m.verdict == UNANSWERED)) & ~m.failing)
    examples = spread(rest, [m.route[rest], m.verdict[rest], m.reason[rest]], EXAMPLES // 2)
    shown = np.array([row for f in g.fields for row in f.examples], np.int64)
    fields = np.setdiff1d(shown, np.concatenate([leaks, differing, examples]))
    kept = dict.fromkeys(shown[np.isin(shown, fields)].tolist())
    more = np.array(list(kept)[: EXAMPLES - len(examples)], np.int64)
    out: I64 = np.unique(np.concatenate([leaks, differing, examples, more]))
    return out


def _scattered(g: ReportColumns, mask: Bool) -> I64:
    """Rows, so that the first of every unit come first, then the second of every unit, ..."""
    rows = np.flatnonzero(mask)
    out: I64 = rows[np.argsort(ranks(g.mirrors.unit[rows]), kind="stable")]
    return out


def statuses(g: ReportColumns) -> dict[int, list[tuple[int, int, int]]]:
    """By route: (original's status, mirror's, pairs) where they differ, most first."""
    m = g.mirrors
    rows = np.flatnonzero(m.answer == STATUS)
    out: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    if len(rows):
        stacked = np.stack([m.route[rows].astype(np.int64), m.original_status[rows], m.mirror_status[rows]])
        kinds, counts = np.unique(stacked, axis=1, return_counts=True)
        for (route, original, mirror), n in zip(kinds.T.tolist(), counts.tolist(), strict=True):
            out[route].append((original, mirror, n))
    return {route: sorted(found, key=lambda kind: (-kind[2], kind)) for route, found in out.items()}


def load(found: Files, g: ReportColumns, rows: I64) -> dict[int, Pair]:
    """What the store says of the mirrors `rows`, by row. Only the row groups that hold them are read."""
    m = g.mirrors
    out: dict[int, Pair] = {}
    units = m.unit[rows]
    for unit in np.unique(units).tolist():
        mine = rows[units == unit]
        by_id = {int(m.id[row]): int(row) for row in mine.tolist()}
        folder = found.units[unit][3]
        for values in _rows(found, f"{folder}/mirrors.parquet", "mirrors", "id", by_id):
            row = by_id[values["id"]]
            out[row] = Pair(row, unit, values)
        for values in _rows(found, f"{folder}/differences.parquet", "differences", "mirror", by_id):
            pair = out.get(by_id[values["mirror"]])
            if pair is not None:
                pair.differences.append(values)
    return out


def _rows(found: Files, path: str, table: str, key: str, wanted: Iterable[int]) -> Iterable[dict[str, Any]]:
    """Rows of a file whose `key` is among `wanted`."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    ids = sorted(wanted)
    with unreadable(table):
        file = pq.ParquetFile(path, filesystem=found.system, memory_map=False)
        for i in _groups(file, ids):
            part = file.read_row_group(i).select([f.name for f in schema(table)])
            part = part.filter(pc.is_in(part.column(key), pa.array(ids, pa.int64())))
            columns = {name: _values(part.column(name)) for name in part.column_names}
            for j in range(part.num_rows):
                yield {name: values[j] for name, values in columns.items()}


def _groups(file: Any, ids: Sequence[int]) -> Iterable[int]:
    """Row groups that may hold one of the ids, which stand in the first column."""
    for i in range(file.metadata.num_row_groups):
        known = file.metadata.row_group(i).column(0).statistics
        if known is None or not known.has_min_max or any(known.min <= x <= known.max for x in ids):
            yield i


def _values(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    return list(column.cast(pa.int64()).to_pylist() if pa.types.is_timestamp(column.type) else column.to_pylist())
