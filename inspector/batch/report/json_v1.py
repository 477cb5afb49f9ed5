"""report.json, version 1: a contract. Times are RFC 3339 with nine digits, durations microseconds, text as captured (redacted).

{"schema": "mirror-inspector-report/1", "version", "title", "since": time|null, "first", "last": time|null,
"captures": {"read", "damaged", "failed"}, "exchanges": {leg: n}, "total": figures,
"unread": [{"kind", "count", "says", "units": [unit key]}],
"days": [{"day", ...figures}], "over_time": {"seconds", "slots": [{"time", "mirrors", "verdicts", "share"}]},
"routes": [{"host", "mirror", "page", ...figures, "statuses": [{"original", "mirror", "pairs"}]}],
"differences": [{"host", "mirror", "part", "field", "change", "pairs", "examples": [{"unit", "mirror"}]}],
"pairs": [pair], "units": [unit], "left_out": {what: n}}
figures: {"mirrors", "verdicts": {verdict: n}, "reasons": {reason: n}, "answers": {"status", "body", "unknown", "same",
"one-sided"}, "share": {"mirrored", "eligible", "percent", "low", "high"}, "lag_us", "original_us", "mirror_us": quantiles|null}
quantiles: {"n", "p50", "p90", "p99", "max"}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from inspector.batch.report import blind, frame, words
from inspector.batch.report.chosen import Pair
from inspector.batch.report.columns import ANSWERS
from inspector.batch.report.figures import Figures, Quantiles
from inspector.batch.report.model import RouteLine, Site, UnitLine
from inspector.batch.report.names import command
from inspector.render.text import rfc3339
from inspector.storable import everything
from inspector.views.objects import Share

SCHEMA = "mirror-inspector-report/1"
UNITS = 20_000  # captures listed, those that could not be read first


def document(site: Site, version: str) -> Iterator[str]:
    """The document, a line for each part, so that a difference between two reports reads well."""
    g = site.g
    times = [t for u in site.units for t in (u.unit.row["first"], u.unit.row["last"]) if t is not None]
    head = {
        "schema": SCHEMA,
        "version": version,
        "title": site.title or words.heading(site),
        "since": _time(g.since),
        "first": _time(min(times, default=None)),
        "last": _time(max(times, default=None)),
        "captures": site.states,
        "exchanges": {leg: n for leg, n in sorted(g.legs.items()) if n},
        "total": figures(site.total),
        "unread": [_blind(b) for b in blind.of(site)],
    }
    yield "{"
    for key, value in head.items():
        yield f"{_json(key)}:{_json(value)},\n"
    slots = [{"time": _time(at), **_slot(f)} for at, f in site.slots]
    yield f'"over_time":{_json({"seconds": g.slot // 10**9, "slots": slots})},\n'
    yield from _list("days", ({"day": None if d.day is None else d.name, **figures(d.figures)} for d in site.days))
    yield from _list("routes", (_route(line) for line in site.routes))
    yield from _list("differences", (_difference(site, i) for i in range(len(site.fields))))
    yield from _list("pairs", (_pair(site, pair) for pair in _in_order(site)))
    units = sorted(site.units, key=lambda line: (line.unit.state != "failed", -line.unit.number))
    yield from _list("units", (_unit(line) for line in units[:UNITS]))
    yield f'"left_out":{_json({**site.left, "units": max(len(units) - UNITS, 0)})}}}\n'


def _in_order(site: Site) -> list[Pair]:
    failing = site.failing_pairs
    known = {pair.row for pair in failing}
    return [*failing, *(site.pairs[row] for row in sorted(site.pairs) if row not in known)]


def _list(key: str, items: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield f"{_json(key)}:["
    for i, item in enumerate(items):
        yield f"{',' if i else ''}\n{_json(item)}"
    yield "],\n"


def _json(value: Any) -> str:
    return json.dumps(everything(value), separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _time(value: int | None) -> str | None:
    return None if value is None else rfc3339(value)


def _us(value: int | None) -> float | None:
    return None if value is None else value / 1000


def figures(f: Figures) -> dict[str, Any]:
    """Figures as in the contract."""
    return {
        "mirrors": f.mirrors,
        "verdicts": f.verdicts,
        "reasons": f.reasons,
        "answers": f.answers,
        "share": _share(f.share),
        "lag_us": _quantiles(f.lag),
        "original_us": _quantiles(f.original),
        "mirror_us": _quantiles(f.mirror),
    }


def _blind(b: blind.Blind) -> dict[str, Any]:
    return {"kind": b.kind, "count": b.n, "says": b.says, "units": [line.unit.key for line in b.units[:UNITS]]}


def _slot(f: Figures) -> dict[str, Any]:
    return {"mirrors": f.mirrors, "verdicts": f.verdicts, "share": _share(f.share)}


def _share(s: Share) -> dict[str, Any]:
    return {"mirrored": s.mirrored, "eligible": s.eligible, "percent": s.percent, "low": s.low, "high": s.high}


def _quantiles(q: Quantiles | None) -> dict[str, Any] | None:
    if q is None:
        return None
    return {"n": q.n, "p50": _us(q.p50), "p90": _us(q.p90), "p99": _us(q.p99), "max": _us(q.most)}


def _route(line: RouteLine) -> dict[str, Any]:
    kinds = [{"original": o, "mirror": m, "pairs": n} for o, m, n in line.statuses]
    return {**_name(line), "page": line.page, **figures(line.figures), "statuses": kinds}


def _name(line: RouteLine) -> dict[str, Any]:
    """host and mirror; both null for all routes that are not told apart."""
    return {"host": line.route.asked, "mirror": line.route.copied}


def _difference(site: Site, i: int) -> dict[str, Any]:
    f = site.fields[i]
    shown = [site.pairs[row] for row in f.examples if row in site.pairs]
    examples = [{"unit": site.by_unit[p.unit].unit.key, "mirror": p.number} for p in shown]
    where = _name(site.by_route[f.route])
    return {**where, "part": f.part, "field": f.name, "change": f.change, "pairs": f.pairs, "examples": examples}


def _pair(site: Site, pair: Pair) -> dict[str, Any]:
    v, unit = pair.values, site.by_unit[pair.unit].unit
    legs = {}
    for leg in ("downstream", "original", "mirror"):
        capture, packet = v[f"{leg}_capture"], v[f"{leg}_packet"]
        legs[leg] = {"server": v[f"{leg}_server"], "status": v[f"{leg}_status"], "capture": capture, "packet": packet}
    return {
        "unit": unit.key,
        "captures": list(unit.paths),
        "mirror_number": pair.number,
        "page": frame.pair_page(site, pair),
        "command": command(unit, "--explain", str(pair.number)),
        "verdict": v["verdict"],
        "proof": [word for word in v["proof"] or () if word],
        "reason": v["reason"],
        "answers": ANSWERS[int(site.g.mirrors.answer[pair.row])],
        "time": _time(v["request_time"]),
        "method": v["method"],
        "path": v["path"],
        **_name(site.by_route[int(site.g.mirrors.route[pair.row])]),
        "request_id": v["request_id"],
        "lag_us": _us(v["lag_ns"]),
        "original_us": _us(v["original_duration_ns"]),
        "mirror_us": _us(v["mirror_duration_ns"]),
        "legs": legs,
        "differences": [
            {key: d[key] for key in ("part", "field", "change", "expected", "original", "copy")}
            for d in pair.differences
        ],
        "evidence": [{key: e[key] for key in ("capture", "packet", "says")} for e in v["evidence"] or ()],
    }


def _unit(line: UnitLine) -> dict[str, Any]:
    u, f = line.unit, line.figures
    return {
        "unit": u.key,
        "day": u.day,
        "source": u.source,
        "state": u.state,
        "error": u.row["error"],
        "hint": u.row["hint"],
        "captures": list(u.paths),
        "page": line.page,
        "first": _time(u.row["first"]),
        "last": _time(u.row["last"]),
        "packets": u.row["packets"],
        "mirrors": f.mirrors,
        "verdicts": f.verdicts,
        "share": _share(f.share),
        "differing": f.differing,
        "unread": blind.kinds(line),
        "read": {name: {"bytes": size, "connections": n} for name, (size, n) in blind.payload(line).items()},
    }
