"""The JSON contract `mirror-inspector/1`: times RFC 3339 in UTC with nine digits, durations exact microseconds.

Output is ASCII, so that no captured character reaches a terminal. Header text that is valid UTF-8 is read as UTF-8,
other bytes become the code point of the same value. No string holds half of a surrogate pair, which many readers refuse (see
`inspector.storable`). Columns are turned into JSON text one at a time and put into templates
made once from the lists of keys: dicts and `json.dumps` would take most of the time of a long listing. The pretty and the
one-line form share keys and cells.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, pairwise, repeat
from json.encoder import encode_basestring_ascii
from typing import Any, TypeVar

import numpy as np

from inspector.ragged import Ragged
from inspector.render.source import VERDICTS, Summed
from inspector.render.text import microseconds, readable, rfc3339
from inspector.render.times import rfc3339_json
from inspector.storable import everything, storable
from inspector.table import I64
from inspector.views.cache import Memo
from inspector.views.columns import ABSENT, ExchangeColumns, Listing, MirrorColumns
from inspector.views.objects import CaptureView, ExchangeView, MirrorView, SummaryView

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
WITHIN = {"request": ("method", "path", "host"), "arrived": ("response", "acknowledged")}
CELLS = tuple(cell for key in MIRROR for cell in WITHIN.get(key, (key,)))
GAP = ("side", "bytes", "reason")
STEP = ("capture", "packet", "says")
CHUNK = 1024  # views that are read together
_FLAG = ("false", "true")
_POWERS = 10 ** np.arange(1, 19, dtype=np.int64)

V = TypeVar("V")
C = TypeVar("C")


def _object(keys: Iterable[str], indent: int | None, **values: str) -> str:
    """A %-template of a JSON object; `indent` is its depth in the pretty form, None for one line."""
    items = [f'"{key}": {values.get(key, "%s")}' for key in keys]
    if indent is None:
        return "{" + ", ".join(items) + "}"
    inner = "\n" + " " * (indent + 1)
    return "{" + inner + ("," + inner).join(items) + "\n" + " " * indent + "}"


_GAP = _object(GAP, None)


def text(value: str | None) -> str:
    """A JSON string, ASCII only, or null."""
    if value is None:
        return "null"
    if value.isascii():
        out = encode_basestring_ascii(value)
        return out.replace("\x7f", "\\u007f") if "\x7f" in out else out
    return encode_basestring_ascii(storable(readable(value))).replace("\x7f", "\\u007f")


def _texts(values: tuple[str, ...]) -> str:
    return "[" + ", ".join([text(v) for v in values]) + "]"


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _us(values: I64) -> list[str]:
    """Nanoseconds as exact microseconds."""
    whole, rest = np.divmod(values, 1000)
    out = list(map(str, whole.tolist()))
    for i in np.flatnonzero(rest).tolist():
        out[i] = microseconds(int(values[i]))
    for i in np.flatnonzero(values == ABSENT).tolist():
        out[i] = "null"
    return out


def _lists(runs: Ragged) -> list[str]:
    """The numbers of each run with commas between: all are written at once, and that text is cut."""
    values = runs.values
    digits = str(values.tolist())[1:-1]
    ends = np.zeros(len(values) + 1, np.int64)  # where the next number starts, ", " included
    np.cumsum(np.searchsorted(_POWERS, np.abs(values), side="right") + (values < 0) + 3, out=ends[1:])
    starts = ends[runs.offsets[:-1]]
    stops = np.maximum(ends[runs.offsets[1:]] - 2, starts)
    return [digits[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]


def _fill(template: str, columns: Iterable[Iterable[str]]) -> list[str]:
    """The template with one value of each column in its place, row by row."""
    first, *between = template.split("%s")
    parts: list[Iterable[str]] = [repeat(first)]
    for column, constant in zip(columns, between, strict=True):
        parts += [column, repeat(constant)]
    return list(map("".join, zip(*parts, strict=False)))


def _gaps(x: ExchangeColumns) -> list[str]:
    out = ["[]"] * len(x)
    for i, gaps in enumerate(x.gaps) if any(x.gaps) else ():
        if gaps:
            out[i] = "[" + ", ".join([_GAP % (text(g.side), g.bytes, text(g.reason)) for g in gaps]) + "]"
    return out


class _Writer:
    """Writes columns as JSON objects: on one line, or pretty at depth `indent`. It remembers texts, which repeat."""

    def __init__(self, indent: int | None) -> None:
        self.text = Memo(text)
        self.texts = Memo(_texts)
        self.number = Memo(_number)
        self.confidence = Memo[float, str](lambda value: str(round(value, 4)))
        deeper = None if indent is None else indent + 1
        packets = {"request_packets": "[%s]", "response_packets": "[%s]"}
        self.exchange = _object(EXCHANGE, indent, **packets)
        self.leg = _object(EXCHANGE, deeper, **packets)
        self.mirror = _object(MIRROR, indent, **{key: _object(keys, None) for key, keys in WITHIN.items()})
        self.step = _object(STEP, None)
        self.start, self.between, self.end = "[", ", ", "]"
        if indent is not None:
            inner = "\n" + " " * (indent + 2)
            self.start, self.between, self.end = "[" + inner, "," + inner, "\n" + " " * (indent + 1) + "]"

    def exchanges(self, x: ExchangeColumns, template: str | None = None) -> list[str]:
        """A JSON object an exchange."""
        words, numbers = self.text.all, self.number.all
        cells: dict[str, list[str]] = {
            "leg": words(x.leg),
            "capture": numbers(x.capture),
            "client": words(x.client),
            "server": words(x.server),
            "connection": numbers(x.connection),
            "protocol": words(x.protocol),
            "method": words(x.method),
            "path": words(x.path),
            "host": words(x.host),
            "status": numbers(x.status),
            "request_packets": _lists(x.request_packets),
            "response_packets": _lists(x.response_packets),
            "request_time": rfc3339_json(x.request_time),
            "response_time": rfc3339_json(x.response_time),
            "response_end_time": rfc3339_json(x.response_end_time),
            "duration_us": _us(x.duration),
            "request_body_bytes": numbers(x.request_body_bytes),
            "response_body_bytes": numbers(x.response_body_bytes),
            "response_body_hash": words(x.response_body_hash),
            "complete": [_FLAG[flag] for flag in x.complete],
            "gaps": _gaps(x),
        }
        return _fill(template or self.exchange, (cells[key] for key in EXCHANGE))

    def mirrors(self, m: MirrorColumns) -> list[str]:
        """A JSON object a mirror."""
        words = self.text.all
        legs = [*self.exchanges(m.exchanges, self.leg), "null"]  # row -1
        cells: dict[str, list[str]] = {
            "id": list(map(str, m.id)),
            "request_id": [text(v) for v in m.request_id],  # each is another: nothing to remember
            "method": words(m.method),
            "path": words(m.path),
            "host": words(m.host),
            "proxy": words(m.proxy),
            "original": [legs[row] for row in m.original],
            "mirror": [legs[row] for row in m.mirror],
            "downstream": [legs[row] for row in m.downstream],
            "paired_by": self.texts.all(m.paired_by),
            "confidence": self.confidence.all(m.confidence),
            "lag_us": _us(m.lag),
            "verdict": words(m.verdict),
            "proof": self.texts.all(m.proof),
            "reason": words(m.reason),
            "delivered": words(m.delivered),
            "response": words(m.arrived),
            "acknowledged": [_FLAG[flag] for flag in m.acknowledged],
            "evidence": self._evidence(m),
        }
        return _fill(self.mirror, (cells[cell] for cell in CELLS))

    def _evidence(self, m: MirrorColumns) -> list[str]:
        e = m.evidence
        steps = _fill(self.step, (self.number.all(e.capture), map(str, e.packet), self.text.all(e.says)))
        start, between, end = self.start, self.between, self.end
        return [start + between.join(steps[a:b]) + end if b > a else "[]" for a, b in pairwise(e.offsets)]


def _chunks(views: Iterable[V], of: Callable[[list[V]], C]) -> Iterator[C]:
    """The columns behind a listing; plain views are put into columns."""
    if isinstance(views, Listing):
        yield from views.chunks
        return
    rest = iter(views)
    while chunk := list(islice(rest, CHUNK)):
        yield of(chunk)


def exchanges(views: Iterable[ExchangeView], indent: int | None = None) -> Iterator[list[str]]:
    """Each exchange as a JSON object, in lists of them: on one line, or pretty at depth `indent`."""
    writer = _Writer(indent)
    for chunk in _chunks(views, ExchangeColumns.of):
        yield writer.exchanges(chunk)


def mirrors(views: Iterable[MirrorView], indent: int | None = None) -> Iterator[list[str]]:
    """Each mirror as a JSON object, in lists of them: on one line, or pretty at depth `indent`."""
    writer = _Writer(indent)
    for chunk in _chunks(views, MirrorColumns.of):
        yield writer.mirrors(chunk)


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
        "read": shares_read(view),
    }


def shares_read(view: CaptureView) -> dict[str, dict[str, int | float | None]]:
    """What the TCP payload of a capture is: bytes, their percentage, and connections."""
    total = sum(size for size, _connections in view.read.values())
    return {
        name: {"bytes": size, "percent": _percent(100 * size / total), "connections": n}
        for name, (size, n) in view.read.items()
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
    return json.dumps(everything(value), indent=indent, allow_nan=False).replace("\x7f", "\\u007f").replace("\n", "\n ")


def document(
    source: Summed,
    mirror_views: Iterable[MirrorView] | None = None,
    exchange_views: Iterable[ExchangeView] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """The whole JSON document, piece by piece; lists that are None are left out. `more` holds further keys for its end."""
    yield f'{{\n "schema": "{SCHEMA}",\n'
    yield f' "captures": {_dump([capture(c) for c in source.captures], 1)},\n'
    yield f' "summary": {_dump(summary(source.summary), 1)}'
    if mirror_views is not None:
        yield from _array("mirrors", mirrors(mirror_views, 2))
    if exchange_views is not None:
        yield from _array("exchanges", exchanges(exchange_views, 2))
    for key, value in (more or {}).items():
        yield f',\n "{key}": {_dump(value, 1)}'
    yield "\n}\n"


def _array(key: str, parts: Iterator[list[str]]) -> Iterator[str]:
    yield f',\n "{key}": ['
    lead = "\n  "
    for items in parts:
        yield lead + ",\n  ".join(items)
        lead = ",\n  "
    yield "]" if lead == "\n  " else "\n ]"


def mirror_lines(views: Iterable[MirrorView]) -> Iterator[str]:
    """NDJSON: a mirror a line, in pieces of whole lines."""
    for items in mirrors(views):
        yield "\n".join([*items, ""])


def exchange_lines(views: Iterable[ExchangeView]) -> Iterator[str]:
    """NDJSON: an exchange a line, in pieces of whole lines."""
    for items in exchanges(views):
        yield "\n".join([*items, ""])


def summary_line(source: Summed) -> str:
    """NDJSON of the captures and the summary: one line."""
    head = {"schema": SCHEMA, "captures": [capture(c) for c in source.captures], "summary": summary(source.summary)}
    return _dump(head, None) + "\n"
