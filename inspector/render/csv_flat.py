"""CSV (RFC 4180): one flat row a mirror or an exchange, safe to open in a spreadsheet.

Text cells that a spreadsheet would read as a formula get a leading apostrophe; numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from inspector.render.source import VERDICTS, Summed
from inspector.render.text import escape, microseconds, readable, rfc3339
from inspector.views.objects import ExchangeView, MirrorView

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four: full-width

LEG = (
    *("client", "server", "connection", "protocol", "status", "request_packets", "response_packets", "request_time"),
    *("response_time", "response_end_time", "duration_us", "request_body_bytes", "response_body_bytes"),
    *("response_body_hash", "complete", "gap_bytes"),
)
MIRROR = [
    *("id", "request_id", "method", "path", "host", "proxy", "verdict", "proof", "reason", "delivered", "arrived"),
    *("acknowledged", "lag_us", "paired_by", "confidence"),
    *[f"{leg}_{name}" for leg in ("original", "mirror", "downstream") for name in ("capture", *LEG)],
    "evidence_packets",
]
EXCHANGE = ["id", "leg", "capture", "request_id", "method", "path", "host", *LEG]


def guard(value: str | None) -> str:
    """Captured text as a cell: visible characters only, and never a formula."""
    if not value:
        return ""
    value = readable(value)
    return ("'" if value.startswith(FORMULA) else "") + escape(value)


def _time(value: int | None) -> str:
    return "" if value is None else rfc3339(value)


def _us(value: int | None) -> str:
    return "" if value is None else microseconds(value)


def _list(values: Iterable[Any]) -> str:
    return " ".join([str(v) for v in values])


def _leg(x: ExchangeView) -> list[Any]:
    return [
        guard(x.client),
        guard(x.server),
        x.connection,
        guard(x.protocol),
        x.status,
        _list(x.request_packets),
        _list(x.response_packets),
        _time(x.request_time),
        _time(x.response_time),
        _time(x.response_end_time),
        _us(x.duration),
        x.request_body_bytes,
        x.response_body_bytes,
        guard(x.response_body_hash),
        "true" if x.complete else "false",
        sum(g.bytes for g in x.gaps if g.reason != "reset"),
    ]


def _optional(x: ExchangeView | None) -> list[Any]:
    return [""] * (len(LEG) + 1) if x is None else [x.capture, *_leg(x)]


def _mirror(m: MirrorView) -> list[Any]:
    return [
        m.id,
        guard(m.request_id),
        guard(m.method),
        guard(m.path),
        guard(m.host),
        guard(m.proxy),
        m.verdict,
        _list(m.proof),
        guard(m.reason),
        m.delivered,
        m.arrived,
        "true" if m.acknowledged else "false",
        _us(m.lag),
        _list(m.paired_by),
        round(m.confidence, 4),
        *_optional(m.original),
        *_optional(m.mirror),
        *_optional(m.downstream),
        _list(f"{e.capture}:{e.packet}" for e in m.evidence),
    ]


def _exchange(x: ExchangeView) -> list[Any]:
    head = [x.id, x.leg, x.capture, guard(x.request_id), guard(x.method), guard(x.path), guard(x.host)]
    return [*head, *_leg(x)]


def _rows(rows: Iterable[list[Any]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def mirrors(views: Iterable[MirrorView], heading: bool = True) -> Iterator[str]:
    """A header line (with `heading`) and a row a mirror. `evidence_packets` lists `capture:packet`."""
    rows = (_mirror(m) for m in views)
    yield from _rows(_headed(MIRROR, rows) if heading else rows)


def exchanges(views: Iterable[ExchangeView]) -> Iterator[str]:
    """A header line and a row an exchange."""
    yield from _rows(_headed(EXCHANGE, (_exchange(x) for x in views)))


def _headed(names: list[str], rows: Iterator[list[Any]]) -> Iterator[list[Any]]:
    yield names
    yield from rows


def summary(source: Summed) -> Iterator[str]:
    """Two columns, `name` and `value`: the counts of the summary."""
    s = source.summary
    rows: list[list[Any]] = [["name", "value"]]
    rows += [["captures", len(source.captures)], ["packets", sum(c.packets for c in source.captures)]]
    rows += [["connections", s.connections], ["exchanges", s.exchanges], ["mirrors", s.mirrors]]
    rows += [[name, s.verdicts.get(name, 0)] for name in VERDICTS]
    rows += [["mirrored", s.share.mirrored], ["eligible", s.share.eligible]]
    rows += [
        [f"mirrored_{name}", None if value is None else round(value, 3)]
        for name, value in (("percent", s.share.percent), ("low", s.share.low), ("high", s.share.high))
    ]
    yield from _rows(rows)
