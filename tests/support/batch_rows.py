"""Stores for the tests of the report: of real captures, or of rows that a test makes up; and a dull second count of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from inspector.batch.reading import read
from inspector.batch.schema import TABLES, VERSION, schema
from inspector.batch.store import keeping
from inspector.batch.units import How, Piece, Task, Unit

SECOND = 10**9
START = 1_795_230_000 * SECOND  # 2026-11-21


def real(root: Path, captures: Sequence[Path]) -> Path:
    """A store of captures, each a unit of its own."""
    with keeping(root) as keeper:
        for path in captures:
            unit = Unit((Piece(str(path), path.stat().st_size, ""),), path.parent.name)
            done = read(Task(unit, How(), "0.1", str(keeper.root), keeper.run, keeper.token))
            keeper.commit(done, unit.source, unit.paths)
    return root


def made(root: Path, units: Sequence[Mapping[str, Sequence[Mapping[str, Any]]]]) -> Path:
    """A store of rows: a mapping of tables a unit, each a list of rows; what a row does not say is null."""
    root.mkdir(parents=True)
    (root / "store.json").write_text(json.dumps({"schema": VERSION}))
    for number, tables in enumerate(units):
        folder = root / "data" / "day=2026-11-21" / "source=node" / f"unit={number:016x}"
        folder.mkdir(parents=True)
        defaults = {
            "units": [{"state": "read", "written": START, "version": "0.1", "exchanges": 0, "mirrors": 0}],
            "captures": [{"capture": 0, "path": f"/captures/{number}.pcap"}],
        }
        for table in TABLES:
            rows = tables.get(table, defaults.get(table, []))
            wanted = schema(table)
            arrays = [_array([row.get(field.name) for row in rows], field.type) for field in wanted]
            pq.write_table(pa.Table.from_arrays(arrays, schema=wanted), folder / f"{table}.parquet")
    return root


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode().cast(kind)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array(values, kind)


def mirror(number: int, **given: Any) -> dict[str, Any]:
    """A row of `mirrors`."""
    row = {
        "id": number, "verdict": "discarded", "proof": ["content"], "method": "GET", "path": "/items", "host": "items",
        "mirror_host": "items-shadow", "proxy": "10.0.0.5", "request_time": START + number * SECOND, "original_id": number,
        "original_server": "10.0.0.21:3000", "mirror_server": "10.0.0.22:3000", "original_status": 200, "mirror_status": 200,
        "original_duration_ns": 1000 * number, "mirror_duration_ns": 2000 * number, "lag_ns": 100, "original_packet": number,
        "original_capture": 0, "mirror_packet": number + 1, "mirror_capture": 0, "status_same": True, "headers_same": True,
        "body_same": True, "request_same": True, "evidence": [{"capture": 0, "packet": number, "says": "a request"}],
    }  # fmt: skip
    return {**row, **given}


def asked(number: int, **given: Any) -> dict[str, Any]:
    """A row of `exchanges`: an original."""
    row = {
        "id": number, "leg": "original", "client": f"10.0.0.5:{40000 + number}", "server": "10.0.0.21:3000", "host": "items",
        "request_time": START + number * SECOND,
    }  # fmt: skip
    return {**row, **given}


def oracle(root: Path, since: int | None = None) -> dict[str, Any]:
    """The report's figures, counted over all rows as Python objects."""
    frames = {}
    for table in TABLES:
        parts = [_rows(path, unit) for unit, path in enumerate(sorted(root.rglob(f"{table}.parquet")))]
        frames[table] = pd.concat(parts) if parts else pd.DataFrame()
    first = {u["unit"]: u["first"] for u in frames["units"].to_dict("records")}
    mirrors = []
    for m in frames["mirrors"].to_dict("records"):
        m["at"] = m["request_time"] if m["request_time"] is not None else first[m["unit"]]
        if since is None or m["at"] is None or m["at"] >= since:
            m["answer"] = _answer(m)
            m["route"] = _route(m)
            mirrors.append(m)
    by_route: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for m in mirrors:
        by_route.setdefault(m["route"], []).append(m)
    exchanges = [
        x for x in frames["exchanges"].to_dict("records")
        if x["request_time"] is not None and (since is None or x["request_time"] >= since)
    ]  # fmt: skip
    return {
        "total": _figures(mirrors, exchanges, mirrors),
        "routes": {key: _figures(rows, exchanges, mirrors) for key, rows in by_route.items()},
        "differences": _differences(frames["differences"].to_dict("records"), mirrors),
    }


def _rows(path: Path, unit: int) -> pd.DataFrame:
    table = pq.read_table(path, partitioning=None)
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        columns[name] = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
    return pd.DataFrame({**columns, "unit": [unit] * table.num_rows}, dtype=object)


def _answer(m: Mapping[str, Any]) -> str:
    if m["status_same"] is None:
        return "one-sided"
    if not m["status_same"]:
        return "status"
    return {None: "unknown", True: "same", False: "body"}[m["body_same"]]


def _route(m: Mapping[str, Any]) -> tuple[str, str]:
    host = m["host"] if m["host"] is not None else m["original_server"]
    named = m["mirror_host"] is not None and m["mirror_host"] != m["host"]
    return host, m["mirror_host"] if named else m["mirror_server"]


def _figures(
    mine: list[dict[str, Any]], exchanges: list[dict[str, Any]], everything: list[dict[str, Any]]
) -> dict[str, Any]:
    """Of the mirrors `mine`; a route's requests are not counted in a unit where its sender has copies by other routes only."""
    copied = {
        (m["unit"], m["original_id"]) for m in mine if m["original_id"] is not None and m["original_packet"] is not None
    }
    senders = {(m["proxy"], m["host"]) for m in mine}
    servers: dict[Any, set[str]] = {}
    dialled: dict[Any, set[Any]] = {}
    for m in everything:
        servers.setdefault((m["proxy"], m["host"]), set()).add(m["original_server"])
        if m["downstream_client"] is not None and m["downstream_server"] is not None:
            if m["downstream_client"].rpartition(":")[0].strip("[]") == m["proxy"]:
                servers[m["proxy"], m["host"]].add(m["downstream_server"])
            else:
                dialled.setdefault((m["downstream_server"], m["host"]), set()).add((m["proxy"], m["host"]))
    here = {(m["unit"], m["proxy"], m["host"]) for m in mine}
    anywhere = {(m["unit"], m["proxy"], m["host"]) for m in everything}
    eligible = 0
    for x in exchanges:
        sender = (x["client"].rpartition(":")[0].strip("[]"), x["host"])
        upstream = x["leg"] == "original" or (x["leg"] == "other" and x["server"] in servers.get(sender, ()))
        proxies = dialled.get((x["server"], x["host"]), ())
        if x["leg"] == "other" and not upstream and len(proxies) == 1:  # answered by the proxy itself
            (sender,), upstream = proxies, True
        where = (x["unit"], *sender)
        eligible += sender in senders and upstream and (where in here or where not in anywhere)
    both = [m for m in mine if m["original_duration_ns"] is not None and m["mirror_duration_ns"] is not None]
    return {
        "mirrors": len(mine),
        "verdicts": pd.Series([m["verdict"] for m in mine], dtype=object).value_counts().to_dict(),
        "answers": pd.Series([m["answer"] for m in mine], dtype=object).value_counts().to_dict(),
        "mirrored": len(copied),
        "eligible": max(eligible, len(copied)),
        "lag": _quantiles([m["lag_ns"] for m in mine if m["lag_ns"] is not None]),
        "original": _quantiles([m["original_duration_ns"] for m in both]),
        "mirror": _quantiles([m["mirror_duration_ns"] for m in both]),
    }


def _quantiles(values: list[int]) -> dict[str, float] | None:
    if not values:
        return None
    s = pd.Series(values, dtype="int64").sort_values().reset_index(drop=True)
    at = {
        name: s[max(-(-len(s) * level // 100) - 1, 0)] / 1000 for name, level in (("p50", 50), ("p90", 90), ("p99", 99))
    }
    return {"n": len(s), **at, "max": s.max() / 1000}


def _differences(rows: list[dict[str, Any]], mirrors: list[dict[str, Any]]) -> dict[tuple[str, ...], int]:
    route = {(m["unit"], m["id"]): m["route"] for m in mirrors}
    found: dict[tuple[str, ...], set[tuple[int, int]]] = {}
    for d in rows:
        key = (d["unit"], d["mirror"])
        if key in route and not d["expected"] and d["part"] != "status" and d["field"] != "...":
            name = (*route[key], d["part"], d["field"] or "", d["change"])
            found.setdefault(name, set()).add(key)
    return {name: len(pairs) for name, pairs in found.items()}
