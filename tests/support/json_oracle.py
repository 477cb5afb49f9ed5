"""The JSON contract in the dullest way: dicts and json.dumps. Slow; what the writer is compared with."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from inspector.views.objects import ExchangeView, MirrorView


def read(value: Any) -> Any:
    """The value with every text in it read as UTF-8 where its latin-1 bytes are that."""
    if isinstance(value, dict):
        return {key: read(item) for key, item in value.items()}
    if isinstance(value, list):
        return [read(item) for item in value]
    if isinstance(value, str):
        try:
            return value.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return value
    return value


def time(value: int | None) -> str | None:
    if value is None:
        return None
    seconds, nanos = divmod(value, 10**9)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanos:09d}Z"


def us(value: int | None) -> Any:
    """A number with three decimals where it needs them: as a mark that `line` makes a number of."""
    if value is None:
        return None
    if value % 1000 == 0:
        return value // 1000
    digits = f"{abs(value):04d}"
    return f"<us>{'-' if value < 0 else ''}{digits[:-3]}.{digits[-3:]}</us>"


def exchange(x: ExchangeView | None) -> dict[str, Any] | None:
    if x is None:
        return None
    return {
        "leg": x.leg,
        "capture": x.capture,
        "client": x.client,
        "server": x.server,
        "connection": x.connection,
        "protocol": x.protocol,
        "method": x.method,
        "path": x.path,
        "host": x.host,
        "status": x.status,
        "request_packets": x.request_packets,
        "response_packets": x.response_packets,
        "request_time": time(x.request_time),
        "response_time": time(x.response_time),
        "response_end_time": time(x.response_end_time),
        "duration_us": us(x.duration),
        "request_body_bytes": x.request_body_bytes,
        "response_body_bytes": x.response_body_bytes,
        "response_body_hash": x.response_body_hash,
        "complete": x.complete,
        "gaps": [{"side": g.side, "bytes": g.bytes, "reason": g.reason} for g in x.gaps],
    }


def mirror(m: MirrorView) -> dict[str, Any]:
    return {
        "id": m.id,
        "request_id": m.request_id,
        "request": {"method": m.method, "path": m.path, "host": m.host},
        "proxy": m.proxy,
        "original": exchange(m.original),
        "mirror": exchange(m.mirror),
        "downstream": exchange(m.downstream),
        "paired_by": m.paired_by,
        "confidence": m.confidence,
        "lag_us": us(m.lag),
        "verdict": m.verdict,
        "proof": m.proof,
        "reason": m.reason,
        "delivered": m.delivered,
        "arrived": {"response": m.arrived, "acknowledged": m.acknowledged},
        "evidence": [{"capture": e.capture, "packet": e.packet, "says": e.says} for e in m.evidence],
    }


def line(value: dict[str, Any] | None) -> str:
    """The object on one line."""
    out = json.dumps(read(value), ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")
    return re.sub(r'"<us>(-?\d+\.\d\d\d)</us>"', r"\1", out)
