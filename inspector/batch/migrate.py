"""Stores of older schemas are brought up to this one, unit by unit, so that a kill leaves nothing that cannot go on.

A step takes a unit's folder from its version to the next. It works on files beside the old ones and renames them, and doing it
twice does no harm: `store.json` names the new version only when all units have it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspector.batch.rows import system
from inspector.batch.schema import TABLES, VERSION, schema

Step = Callable[[Path], None]


def version(root: Path) -> int | None:
    """The schema of the store at `root`; None where there is not a store."""
    try:
        found: Any = json.loads((root / "store.json").read_text(encoding="utf-8"))
        return int(found["schema"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def mark(root: Path, number: int) -> None:
    """Write the schema's number, whole or not at all."""
    partial = root / "work" / "store.json"
    partial.write_text(json.dumps({"schema": number, "written_by": "mirror-inspector"}) + "\n", encoding="utf-8")
    os.replace(partial, root / "store.json")


def run(root: Path) -> int:
    """Bring a store up to date; how many units were changed. The caller holds its lock."""
    at = version(root)
    changed = 0
    while at is not None and at < VERSION:
        for folder in sorted(root.glob("data/day=*/source=*/unit=*")):
            STEPS[at](folder)
            changed += 1
        at += 1
        mark(root, at)
    return changed


def complete(folder: Path) -> None:
    """0 -> 1: tables and columns that version 0 did not have (it had no `differences`, and no endpoints and flags of mirrors)
    are added: empty, and null. What the older columns say stays."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for table in TABLES:
        path, wanted, there = folder / f"{table}.parquet", schema(table), system(folder)
        if not path.exists():
            _replace(path, wanted.empty_table())
            continue
        held = pq.read_table(path.name, partitioning=None, filesystem=there)
        if held.schema.equals(wanted):
            continue
        columns = [
            held.column(f.name).cast(f.type) if f.name in held.column_names else pa.nulls(held.num_rows, f.type)
            for f in wanted
        ]
        _replace(path, pa.Table.from_arrays(columns, schema=wanted))


def _replace(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    partial = path.with_suffix(".part")
    pq.write_table(table, partial.name, filesystem=system(path.parent), compression="zstd")
    os.replace(partial, path)


STEPS: dict[int, Step] = {0: complete}
