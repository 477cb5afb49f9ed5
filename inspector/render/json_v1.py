"""The JSON contract `mirror-inspector/1`: times RFC 3339 in UTC with nine digits, durations exact microseconds.

Output is ASCII, so that no captured character reaches a terminal. Header text that is valid UTF-8 is read as UTF-8,
other bytes become the code point of the same value. Values are put into templates made once from the lists of keys:
`json.dumps` would take most of the time of a long listing; the pretty and the one-line form share them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from json.encoder import encode_basestring_ascii
from typing import Any

from inspector.mirror.views import CaptureView, ExchangeView, MirrorView, SummaryView
from inspector.render.source import VERDICTS, Shown
from inspector.render.text import microseconds, readable, rfc3339

SCHEMA = "mirror-inspector/1"

EXCHANGE = (
    *("leg", "capture", "client", "server", "connection", "protocol", "method", "path", "host", "status"),
    *("request_packets", "response_packets", "request_time", "response_time", "response_end_time", "duration_us"),
    *("request_body_bytes", "response_body_bytes", "response_body_hash", "complete", "gaps"),
)
MIRROR = (
    *("id", "request_id", "request", "proxy", "original", "mirror", "downstream", "paired_by", "confidence", "lag_us"),
    *("verdict", "proof", "reason", "delivered", "arrived", "evidence"),
)
REQUEST = ("method", "path", "host")
ARRIVED = ("response", "acknowledged")
_FLAG = {True: "true", False: "false"}


def _object(keys: Iterable[str], indent: int | None, **nested: str) -> str:
    """A %-template of a JSON object; `indent` is its depth in the pretty form, None for one line."""
    items = [f'"{key}": {nested.get(key, "%s")}' for key in keys]
    if indent is None:
        return "{" + ", ".join(items) + "}"
    inner = "\n" + " " * (indent + 1)
    return "{" + inner + ("," + inner).join(items) + "\n" + " " * indent + "}"


def _mirror_template(indent: int | None) -> str:
    return _object(MIRROR, indent, request=_object(REQUEST, None), arrived=_object(ARRIVED, None))


def text(value: str | None) -> str:
    """A JSON string, ASCII only, or null."""
    if value is None:
        return "null"
    if value.isascii():
        out = encode_basestring_ascii(value)
        return out.replace("\x7f", "\\u007f") if "\x7f" in out else out
    return encode_basestring_ascii(readable(value)).replace("\x7f", "\\u007f")


def _number(value: int | None) -> Any:
    return "null" if value is None else value


def _time(value: int | None) -> str:
    return "null" if value is None else f'"{rfc3339(value)}"'


def _us(value: int | None) -> str:
    return "null" if value is None else microseconds(value)


def _texts(values: list[str]) -> str:
    return "[" + ", ".join([text(v) for v in values]) + "]"


def _exchange(template: str, x: ExchangeView) -> str:
    gaps = "[]"
    if x.gaps:
        gaps = json.dumps([{"side": g.side, "bytes": g.bytes, "reason": g.reason} for g in x.gaps])
    return template % (
        text(x.leg),
        x.capture,
        text(x.client),
        text(x.server),
        x.connection,
        text(x.protocol),
        text(x.method),
        text(x.path),
        text(x.host),
        _number(x.status),
        x.request_packets,
        x.response_packets,
        _time(x.request_time),
        _time(x.response_time),
        _time(x.response_end_time),
        _us(x.duration),
        _number(x.request_body_bytes),
        _number(x.response_body_bytes),
        text(x.response_body_hash),
        _FLAG[bool(x.complete)],
        gaps,
    )


def exchanges(views: Iterable[ExchangeView], indent: int | None = None) -> Iterator[str]:
    """Each exchange as a JSON object: on one line, or pretty at depth `indent`."""
    template = _object(EXCHANGE, indent)
    for view in views:
        yield _exchange(template, view)


def mirrors(views: Iterable[MirrorView], indent: int | None = None) -> Iterator[str]:
    """Each mirror as a JSON object: on one line, or pretty at depth `indent`."""
    deeper = None if indent is None else indent + 1
    template, leg = _mirror_template(indent), _object(EXCHANGE, deeper)
    start, between, end = ("[", ", ", "]")
    if indent is not None:
        inner = "\n" + " " * (indent + 2)
        start, between, end = "[" + inner, "," + inner, "\n" + " " * (indent + 1) + "]"
    for m in views:
        steps = [f'{{"capture": {e.capture}, "packet": {e.packet}, "says": {text(e.says)}}}' for e in m.evidence]
        yield template % (
            m.id,
            text(m.request_id),
            text(m.method),
            text(m.path),
            text(m.host),
            text(m.proxy),
            "null" if m.original is None else _exchange(leg, m.original),
            _exchange(leg, m.mirror),
            "null" if m.downstream is None else _exchange(leg, m.downstream),
            _texts(m.paired_by),
            round(m.confidence, 4),
            _us(m.lag),
            text(m.verdict),
            _texts(m.proof),
            text(m.reason),
            text(m.delivered),
            text(m.arrived),
            _FLAG[bool(m.acknowledged)],
            start + between.join(steps) + end if steps else "[]",
        )


def capture(view: CaptureView) -> dict[str, Any]:
    """A capture, as the contract has it."""
    return {
        "path": view.path,
        "format": view.format,
        "link_types": list(view.link_types),
        "packets": view.packets,
        "bytes": view.bytes,
        "first": None if view.first is None else rfc3339(view.first),
        "last": None if view.last is None else rfc3339(view.last),
        "copies": view.copies,
        "dropped_tail": bool(view.dropped_tail),
        "faults": dict(view.faults),
    }


def summary(view: SummaryView) -> dict[str, Any]:
    """The summary, as the contract has it; every verdict is there, also with 0."""
    share = view.share
    return {
        "connections": view.connections,
        "exchanges": view.exchanges,
        "mirrors": view.mirrors,
        "verdicts": {**dict.fromkeys(VERDICTS, 0), **view.verdicts},
        "mirrored_share": {
            "mirrored": share.mirrored,
            "eligible": share.eligible,
            "percent": _percent(share.percent),
            "low": _percent(share.low),
            "high": _percent(share.high),
        },
        "unseen": list(view.unseen),
    }


def _percent(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _dump(value: Any, indent: int | None) -> str:
    return json.dumps(value, indent=indent, allow_nan=False).replace("\x7f", "\\u007f").replace("\n", "\n ")


def document(source: Shown, show_mirrors: bool = False, show_exchanges: bool = False) -> Iterator[str]:
    """The whole JSON document, piece by piece."""
    yield f'{{\n "schema": "{SCHEMA}",\n'
    yield f' "captures": {_dump([capture(c) for c in source.captures], 1)},\n'
    yield f' "summary": {_dump(summary(source.summary), 1)}'
    if show_mirrors:
        yield from _array("mirrors", mirrors(source.mirror_views(), 2))
    if show_exchanges:
        yield from _array("exchanges", exchanges(source.exchange_views(), 2))
    yield "\n}\n"


def _array(key: str, items: Iterator[str]) -> Iterator[str]:
    yield f',\n "{key}": ['
    lead = "\n  "
    for item in items:
        yield lead + item
        lead = ",\n  "
    yield "]" if lead == "\n  " else "\n ]"


def lines(source: Shown, show_mirrors: bool = False, show_exchanges: bool = False) -> Iterator[str]:
    """NDJSON: one mirror, or one exchange, a line; with neither, the captures and the summary in one line."""
    if not (show_mirrors or show_exchanges):
        head = {"schema": SCHEMA, "captures": [capture(c) for c in source.captures], "summary": summary(source.summary)}
        yield _dump(head, None) + "\n"
        return
    parts: list[Callable[[], Iterator[str]]] = []
    if show_mirrors:
        parts.append(lambda: mirrors(source.mirror_views()))
    if show_exchanges:
        parts.append(lambda: exchanges(source.exchange_views()))
    for part in parts:
        for item in part():
            yield item + "\n"
