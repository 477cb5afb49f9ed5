"""Builds Exchanges tables from short specifications, for tests of pairing and verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np

from inspector.capture.addresses import parse_address
from inspector.http.tables import FIELDS, Fact, Mark
from inspector.mirror.signs import hash_bytes
from inspector.mirror.tables import Exchanges
from inspector.ragged import Ragged, Spans

MS = 1_000_000
START = 1_700_000_000_000_000_000


def endpoint(text: str) -> tuple[int, int, int]:
    address, _, port = text.rpartition(":")
    return (*parse_address(address), int(port))


def _numbers(begins: float | None, until: float | None) -> list[int]:
    """The packets of a response: numbers in order of time."""
    return [int(at * 2000) + 2 for at in (begins, until) if at is not None and until is not None]


def exchange(
    client: str,
    server: str,
    at: float,
    until: float | None = None,
    *,
    method: str = "GET",
    path: str = "/items",
    host: str = "catalog",
    rid: str = "",
    xff: str = "",
    internal: bool = False,
    attempt: int = -1,
    status: int = 200,
    body: bytes = b"v1",
    sent: bytes = b"",
    trace: str = "",
    span: str = "",
    parent: str = "",
    headers: str = "same",
    wire: str = "",
    response_facts: int = int(Fact.COMPLETE | Fact.HEAD_COMPLETE),
    request_facts: int = int(Fact.COMPLETE | Fact.HEAD_COMPLETE),
    marks: int = 0,
    begins: float | None = None,
    lossy: bool = False,
    lines: tuple[str, ...] = (),
    over: float | None = None,
    silent: bool = False,
) -> dict[str, Any]:
    """One exchange: times in ms; until None means no response; begins: the response's first byte (default: until).

    lines: header lines of the response, `name:value`. over: when an exchange without a complete response was over.
    """
    text = [method, path, host, rid, xff, ""]
    raw = [t.encode() for t in text]
    ends = np.cumsum([len(r) for r in raw]).tolist()
    c, s = endpoint(client), endpoint(server)
    w = parse_address(wire) if wire else s[:2]
    answered = until is not None
    row: dict[str, Any] = {
        "connection": hash(client) & 0xFFFF, "capture": 0,
        "client_hi": c[0], "client_lo": c[1], "client_port": c[2],
        "server_hi": s[0], "server_lo": s[1], "server_port": s[2], "wire_hi": w[0], "wire_lo": w[1],
        "synced": True, "lossy": lossy, "version": 11,
        "request_time": START + int(at * MS), "request_end_time": START + int(at * MS),
        "response_time": START + int((begins if begins is not None else until) * MS) if answered else -1,
        "response_end_time": START + int(until * MS) if until is not None else -1,
        "request_facts": request_facts, "response_facts": response_facts if answered else 0,
        "request_marks": int(Mark.ENVOY_INTERNAL) if internal else 0, "response_marks": marks,
        "status": status if answered else -1, "attempt": attempt,
        "request_bytes": len(sent), "response_bytes": len(body) if answered else 0,
        "request_hash": hash_bytes(sent), "response_hash": hash_bytes(body) if answered else 0,
        "response_decoded": hash_bytes(body) if answered else 0, "response_decoded_bytes": len(body) if answered else 0,
        "request_gap": 0, "response_gap": 5 if answered and response_facts & Fact.BODY_GAP else 0,
        "request_refused": 0, "response_refused": 0, "acknowledged": answered,
        "over_time": START + int(over * MS) if over is not None else -1, "silent": silent,
        "trace": hash_bytes(trace.encode()) if trace else 0, "span": hash_bytes(span.encode()) if span else 0,
        "parent": hash_bytes(parent.encode()) if parent else 0, "headers": hash_bytes(headers.encode()),
        "text": b"".join(raw), "response_lines": b"".join(hash_bytes(x.encode()).to_bytes(8, "little") for x in lines),
        "request_packets": [int(at * 2000) + 1], "response_packets": _numbers(begins, until),
    }  # fmt: skip
    for name, value, end in zip(FIELDS, raw, ends, strict=True):
        row[f"{name}_end"] = end
        if name != "content_type":
            row[name] = hash_bytes(value) if value else 0
    return row


def table(rows: list[dict[str, Any]]) -> Exchanges:
    """The table of the exchanges, in order of time."""
    rows = sorted(rows, key=lambda r: r["request_time"])
    columns: dict[str, Any] = {name: [r[name] for r in rows] for name in rows[0]}
    columns["id"] = np.arange(1, len(rows) + 1)
    for name in ("text", "response_lines"):
        columns[name] = Spans.of(Ragged.of(columns[name]))
    for name in ("request_packets", "response_packets"):
        columns[name] = Spans.of(Ragged.of(columns[name], np.int64))
    for name in list(columns):
        if name.endswith(("_hi", "_lo")) or name in (
            "method", "target", "host", "request_id", "xff", "trace", "span", "parent", "headers", "request_hash",
            "response_hash", "response_decoded",
        ):  # fmt: skip
            columns[name] = np.array(columns[name], np.uint64)
    return Exchanges.build(**columns)
