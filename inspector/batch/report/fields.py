"""What differs between originals and mirrors, by route and field."""

from __future__ import annotations

import numpy as np

from inspector.batch.report import scan
from inspector.batch.report.columns import Field, ReportColumns
from inspector.batch.report.scan import Files
from inspector.table import I64

FIELDS = 5000  # (route, part, field, change) told apart
EXAMPLES = 3  # mirrors remembered for each


def differences(found: Files, which: I64, g: ReportColumns) -> None:
    """Fields that differ, by route."""
    m = g.mirrors
    span = int(m.id.max()) + 1 if len(m) else 1
    order = np.argsort(m.unit.astype(np.int64) * span + m.id, kind="stable")
    keys = (m.unit.astype(np.int64) * span + m.id)[order]
    numbers: dict[tuple[int, str, str, str], int] = {}
    counts: list[int] = []
    examples: list[list[int]] = []
    tail = np.empty(0, np.int64)
    for chunk in scan.chunks(
        found, "differences", ("mirror", "part", "field", "change", "expected"), which, ("field",)
    ):
        if not len(m):
            return
        mirror = scan.whole(chunk, "mirror")
        key = scan.numbers_of(chunk).astype(np.int64) * span + mirror
        at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        columns = [scan.coded(chunk, name) for name in ("part", "field", "change")]
        kept = (keys[at] == key) & (mirror < span) & (scan.flags(chunk, "expected") != 1)
        rows = np.flatnonzero(kept & ~np.array([t == "status" for t in columns[0][1]])[columns[0][0]])
        if not len(rows):
            continue
        row = order[at[rows]]
        parts = [(m.route[row].astype(np.int64), len(g.routes)), *((c[rows], len(t)) for c, t in columns)]
        group, first = scan.together(parts)
        place = np.empty(len(first), np.int64)
        for i, x in enumerate(first.tolist()):
            part, field, change = (texts[codes[rows[x]]] or "" for codes, texts in columns)
            name = (int(parts[0][0][x]), part, field, change)
            if name not in numbers and len(numbers) < FIELDS:
                numbers[name] = len(numbers)
                counts.append(0)
                examples.append([])
            place[i] = numbers.get(name, -1)
        pairs = np.unique(place[group] * len(m) + row)  # a mirror counts once for a field, however many rows it has
        pairs = np.setdiff1d(pairs, tail, assume_unique=True)
        last = int(row[-1])
        tail = np.union1d(tail[tail % len(m) == last], pairs[pairs % len(m) == last])
        g.dropped_fields += int((pairs < 0).sum())
        pairs = pairs[pairs >= 0]
        which_field, start, n = np.unique(pairs // len(m), return_index=True, return_counts=True)
        for f, s, k in zip(which_field.tolist(), start.tolist(), n.tolist(), strict=True):
            counts[f] += k
            room = EXAMPLES - len(examples[f])
            examples[f] += (pairs[s : s + min(k, room)] % len(m)).tolist()
    g.fields = [
        Field(route, part, name, change, counts[i], tuple(examples[i]))
        for (route, part, name, change), i in numbers.items()
    ]
    g.cut = sum(f.pairs for f in g.fields if f.name == "...")
    g.fields = sorted(
        (f for f in g.fields if f.name != "..."), key=lambda f: (-f.pairs, f.route, f.part, f.name, f.change)
    )
