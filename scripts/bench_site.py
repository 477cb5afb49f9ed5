"""Time and peak memory of the batch report over a store of made rows.

    scripts/bench_site.py --exchanges 10000000 --folder SCRATCH     makes the store there (once), builds, prints figures

The rows look as those of a mesh do: some routes with a share each, latencies with a long tail, a few leaks, answers that
differ, captures that could not be read. They are made column by column from a fixed seed, by the schema alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bench_measure import measure  # noqa: E402

from inspector.batch.schema import VERSION, schema  # noqa: E402

START = 1_790_000_000 * 10**9
SHARES = (0.5, 0.1, 1.0, 0.25, 0.02, 0.5, 0.75, 0.3)
FIELDS = ("total", "items[].price", "items[].id", "trace", "meta.version")


def made(folder: Path, exchanges: int, units: int, days: int = 30, seed: int = 11) -> None:
    """A store of about `exchanges` rows in `units` units over `days` days."""
    rng = np.random.default_rng(seed)
    each = exchanges // units
    (folder / "data").mkdir(parents=True)
    (folder / "store.json").write_text(json.dumps({"schema": VERSION}))
    for number in range(units):
        first = START + number * days * 86_400 * 10**9 // units
        failed = number % 50 == 49
        rows = {} if failed else _rows(rng, each, first, 3_600 * 10**9)
        write_unit(folder, number, first, rows, failed)


def _rows(rng: np.random.Generator, each: int, first: int, lasts: int) -> dict[str, dict[str, Any]]:
    """Columns of exchanges, mirrors and differences of one unit."""
    n = int(each / 2.38)
    route = rng.choice(len(SHARES), n, p=[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    time = first + np.sort(rng.integers(0, lasts, n))
    copied = np.flatnonzero(rng.random(n) < np.array(SHARES)[route])
    wait = (rng.lognormal(1.5, 0.8, n) * 1e6).astype(np.int64)
    mirror_wait = (rng.lognormal(1.7, 1.0, len(copied)) * 1e6).astype(np.int64)
    status = np.where(rng.random(n) < 0.01, 404, 200).astype(np.int16)
    odd = rng.random(len(copied))
    mirror_status = np.where(odd < 0.003, 500, status[copied]).astype(np.int16)
    other_body = (odd > 0.003) & (odd < 0.02)
    legs = ["downstream", "original", "mirror"]
    leg = np.concatenate([np.zeros(n), np.ones(n), np.full(len(copied), 2)]).astype(np.int32)
    which = np.concatenate([np.arange(n), np.arange(n), copied])
    begins = time[which] + leg * 100_000
    lasted = np.concatenate([wait, wait, mirror_wait])
    hosts = [f"service-{r}.shop:8080" for r in range(len(SHARES))]
    shadows = [f"service-{r}.shop-shadow:8080" for r in range(len(SHARES))]
    servers = [f"10.244.{v}.{10 + r}:8080" for v in range(3) for r in range(len(SHARES))]
    clients = [f"10.244.{9 - (i & 1)}.7:{32768 + i}" for i in range(28_000)]
    client = np.where(leg == 0, 0, 1) + 2 * rng.integers(0, 14_000, len(leg))
    size = len(leg)
    ids = np.arange(1, size + 1)
    packet = ids * 3
    exchange = {
        "id": ids, "leg": _words(leg, legs), "capture": np.zeros(size, np.int16), "client": _words(client, clients),
        "server": _words(leg * len(SHARES) + route[which], servers), "connection": client, "protocol": ["http/1.1"] * size,
        "method": ["GET"] * size, "path": _words(which % 997, [f"/items/{i}" for i in range(997)]),
        "host": _words(np.where(leg == 2, len(SHARES), 0) + route[which], hosts + shadows),
        "status": np.concatenate([status, status, mirror_status]), "request_id": pa.array([f"{i:032x}" for i in which.tolist()]),
        "request_time": begins, "response_time": begins + lasted // 2, "response_end_time": begins + lasted,
        "duration_ns": lasted, "request_body_bytes": np.zeros(size, np.int64), "response_body_bytes": lasted % 5000,
        "response_body_hash": pa.array([f"xxh64:{i:016x}" for i in which.tolist()]), "complete": np.ones(size, bool),
        "gap_bytes": np.zeros(size, np.int64), "request_packets": _lists(packet), "response_packets": _lists(packet + 1),
    }  # fmt: skip
    k = len(copied)
    number = np.arange(1, k + 1)
    kind = np.searchsorted([0.9, 0.96, 0.9995], rng.random(k))
    words = ["discarded", "unproven", "unanswered", "leaked"]
    silent = kind == 2
    where = route[copied]
    says = ["request of the mirror leg", "the client was answered before the mirror's response arrived"]
    mirror = {
        "id": number, "verdict": _words(kind, words), "proof": _lists(_words(kind, ["content", "", "", "content"])),
        "reason": pa.array(np.where(kind == 1, "no-downstream-leg", None), pa.string()), "delivered": ["original"] * k,
        "arrived": ["complete"] * k, "acknowledged": np.ones(k, bool),
        "request_id": pa.array([f"{i:032x}" for i in copied.tolist()]),
        "method": ["GET"] * k, "path": _words(copied % 997, [f"/items/{i}" for i in range(997)]), "host": _words(where, hosts),
        "mirror_host": _words(where, shadows), "proxy": ["10.244.8.7"] * k, "paired_by": _lists(_words(kind * 0, ["request-id"])),
        "confidence": np.ones(k), "lag_ns": rng.integers(-200_000, 900_000, k), "request_time": time[copied] + 200_000,
        "original_id": n + 1 + copied, "mirror_id": 2 * n + number, "downstream_id": 1 + copied,
        "original_server": _words(len(SHARES) + where, servers), "mirror_server": _words(2 * len(SHARES) + where, servers),
        "downstream_client": _words(2 * (copied % 14_000), clients), "downstream_server": _words(where, servers),
        "original_status": status[copied], "mirror_status": pa.array(mirror_status, mask=silent),
        "downstream_status": status[copied], "original_duration_ns": wait[copied],
        "mirror_duration_ns": pa.array(mirror_wait, mask=silent), "original_capture": np.zeros(k, np.int16),
        "original_packet": packet[n + copied],
        "mirror_capture": np.zeros(k, np.int16), "mirror_packet": packet[2 * n + number - 1],
        "downstream_capture": np.zeros(k, np.int16), "downstream_packet": packet[copied],
        "status_same": pa.array(mirror_status == status[copied], mask=silent), "headers_same": pa.array(odd > 0.1, mask=silent),
        "body_same": pa.array(~other_body, mask=silent), "request_same": np.ones(k, bool),
        "evidence": _evidence(packet[:k], says),
    }  # fmt: skip
    differing = np.repeat(np.flatnonzero(other_body), 3)
    j = np.arange(len(differing))
    expected = np.flatnonzero(odd > 0)
    both = np.concatenate([differing, expected])
    order = np.argsort(both, kind="stable")
    both, own = both[order], (np.arange(len(both)) < len(differing))[order]
    name = np.where(own, np.concatenate([j, expected])[order] % len(FIELDS), len(FIELDS))
    difference = {
        "mirror": number[both], "part": _words(np.where(own, 0, 1), ["body", "header"]),
        "field": _words(name, [*FIELDS, "x-envoy-upstream-service-time"]), "change": ["changed"] * len(both),
        "expected": ~own, "original": ["12"] * len(both), "copy": ["13"] * len(both),
    }  # fmt: skip
    return {"exchanges": exchange, "mirrors": mirror, "differences": difference}


def _words(codes: np.ndarray, words: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(words))


def _lists(values: Any) -> pa.Array:
    values = values if isinstance(values, pa.Array) else pa.array(values)
    if pa.types.is_dictionary(values.type):
        values = values.cast(pa.string())
    return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1), pa.int32()), values)


def _evidence(packets: np.ndarray, says: Sequence[str]) -> pa.Array:
    n = len(packets)
    flat = pa.StructArray.from_arrays(
        [
            pa.array(np.zeros(2 * n, np.int16)), pa.array(np.repeat(packets, 2)),
            _words(np.arange(2 * n) % 2, says).cast(pa.string()),
        ], ["capture", "packet", "says"],
    )  # fmt: skip
    return pa.ListArray.from_arrays(pa.array(np.arange(n + 1) * 2, pa.int32()), flat)


def write_unit(
    folder: Path, number: int, first: int, rows: Mapping[str, Mapping[str, Any]], failed: bool, name: str = ""
) -> Path:
    """Write the six files of a unit. Rows: table -> column -> values; columns that are missing are null."""
    mirrors = rows.get("mirrors", {})
    verdict = mirrors["verdict"].to_pylist() if mirrors else []
    last = None if failed else first + 3_600 * 10**9
    unit = {
        "state": "failed" if failed else "damaged" if number % 20 == 7 else "read", "files": 1, "bytes": 123_456_789,
        "error": "unknown format: the file begins with 00 00 00 00" if failed else None,
        "hint": "is it a capture? tcpdump -w writes one" if failed else None, "version": "0.9.0", "content": f"{number:016x}",
        "packets": len(verdict) * 9, "exchanges": len(rows.get("exchanges", {}).get("id", ())), "mirrors": len(verdict),
        **{w: verdict.count(w) for w in ("discarded", "leaked", "unanswered", "unproven")}, "first": None if failed else first,
        "last": last, "finding": f"{len(verdict):,} mirrors.", "seconds": 1.5, "written": START + 40 * 86_400 * 10**9,
        "unseen": ["The downstream leg of some mirrors is not in the capture."] if verdict else [],
    }  # fmt: skip
    path = f"/captures/node-{number % 3}/gw-{number:05d}.pcap"
    capture = {
        "capture": 0, "path": path, "bytes": 123_456_789, "format": None if failed else "pcap", "packets": unit["packets"],
        "first": unit["first"], "last": last, "dropped_tail": False, "warnings": [], "link_types": ["LINUX_SLL2"],
    }  # fmt: skip
    day = "unknown" if failed else np.datetime_as_string(np.datetime64(first, "ns"), "D")
    target = folder / "data" / f"day={day}" / f"source=node-{number % 3}" / f"unit={number:016x}"
    target.mkdir(parents=True)
    whole = {"units": _one(unit), "captures": _one(capture), **rows}
    for table in ("units", "captures", "exchanges", "mirrors", "differences", "faults"):
        pq.write_table(_table(table, whole.get(table, {})), target / f"{table}.parquet", compression="zstd")
    return target


def _one(row: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {key: [value] for key, value in row.items()}


def _table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    wanted = schema(name)
    size = len(next(iter(columns.values()))) if columns else 0
    out = []
    for field in wanted:
        values = columns.get(field.name)
        if values is None:
            out.append(pa.nulls(size, field.type))
            continue
        array = values if isinstance(values, pa.Array) else pa.array(values)
        if pa.types.is_dictionary(field.type):
            out.append(array.cast(pa.string()).dictionary_encode().cast(field.type))
        elif pa.types.is_timestamp(field.type):
            out.append(array.cast(pa.int64()).cast(field.type))
        else:
            out.append(array.cast(field.type))
    return pa.Table.from_arrays(out, schema=wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=200_000)
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--within", type=float, nargs=2, metavar=("SECONDS", "MB"), help="fail where a build needs more"
    )
    args = parser.parse_args()
    store, report = args.folder / f"store-{args.exchanges}-{args.units}", args.folder / "report"
    if not store.exists():
        half = store.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        made(half, args.exchanges, args.units)
        half.rename(store)
    shutil.rmtree(report, ignore_errors=True)
    rows = sum(pq.read_metadata(p).num_rows for p in store.rglob("exchanges.parquet"))
    mirrors = sum(pq.read_metadata(p).num_rows for p in store.rglob("mirrors.parquet"))
    print("| what | exchanges | mirrors | units | seconds | CPU seconds | peak MB | pages |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    code = "import sys; from inspector.batch.report import build; print(build(sys.argv[1], sys.argv[2]).pages)"
    for what in ("built anew", "built again, nothing new"):
        out = args.folder / "pages.txt"
        run = measure([sys.executable, "-c", code, str(store), str(report)], out, {"PYTHONPATH": str(ROOT)})
        if run.status:
            sys.exit(run.error)
        pages = int(out.read_text())
        counts = f"{rows:,} | {mirrors:,} | {args.units:,}"
        print(f"| {what} | {counts} | {run.seconds:.1f} | {run.cpu:.1f} | {run.rss / 1e6:,.0f} | {pages:,} |")


if __name__ == "__main__":
    main()
