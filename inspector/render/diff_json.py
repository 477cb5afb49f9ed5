"""Differences in the JSON contract: `"difference"` of one pair, `"differences"` of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from inspector.compare.bodies import BodyDiff, Side
from inspector.compare.counts import DifferenceKind, Differences, Kinds, PairCounts
from inspector.compare.json_bodies import path_text
from inspector.compare.pair import FieldDiff, FieldsDiff, PairDifference
from inspector.render import json_v1
from inspector.render.source import Summed
from inspector.render.text import readable
from inspector.storable import everything
from inspector.views.objects import ExchangeView, MirrorView


def document(source: Summed, key: str, found: dict[str, Any]) -> Iterator[str]:
    """The whole document: captures and summary as always, and `found` under `key`. ASCII only."""
    head = {
        "schema": json_v1.SCHEMA,
        "captures": [json_v1.capture(c) for c in source.captures],
        "summary": json_v1.summary(source.summary),
        key: found,
    }
    yield json.dumps(everything(head), indent=1, allow_nan=False).replace("\x7f", "\\u007f") + "\n"


def difference(m: MirrorView, d: PairDifference) -> dict[str, Any]:
    """One pair."""
    return {
        "id": m.id,
        "request_id": _read(m.request_id),
        "request": {"method": _read(m.method), "path": _read(m.path), "host": _read(m.host)},
        "verdict": m.verdict,
        "proof": list(m.proof),
        "original": _exchange(m.original),
        "mirror": _exchange(m.mirror),
        "status": {"same": d.status_same, "original": d.status[0], "mirror": d.status[1]},
        "request_line": {"same": d.line_same, "original": d.line[0], "mirror": d.line[1]},
        "request_headers": _fields(d.request_fields),
        "request_body": _body(d.request_body),
        "response_headers": _fields(d.response_fields),
        "response_body": _body(d.response_body),
        "notes": list(d.notes),
    }


def _read(text: str | None) -> str | None:
    return None if text is None else readable(text)


def _exchange(x: ExchangeView | None) -> Any:
    if x is None:
        return None
    ((text,),) = json_v1.exchanges([x])
    return json.loads(text)


def _fields(f: FieldsDiff) -> dict[str, Any]:
    return {
        "same": f.same,
        "expected": [{**_field(x), "rule": x.rule} for x in f.expected],
        "unexpected": [_field(x) for x in f.unexpected],
        "equal": list(f.equal),
    }


def _field(x: FieldDiff) -> dict[str, Any]:
    sides = {side: values and list(values) for side, values in (("original", x.original), ("mirror", x.mirror))}
    return {"name": x.name, **sides}


def _side(s: Side | None) -> dict[str, Any] | None:
    if s is None:
        return None
    return {
        "bytes": s.captured,
        "decoded_bytes": s.decoded,
        "type": s.type,
        "codings": list(s.codings),
        "missing": s.missing,
        "dropped": s.dropped,
        "whole": s.whole,
        "digest": s.digest,
        "problem": s.problem,
    }


def _body(b: BodyDiff) -> dict[str, Any]:
    return {
        "kind": b.kind,
        "same": b.same,
        "equivalent": b.equivalent,
        "original": _side(b.original),
        "mirror": _side(b.mirror),
        "changes": [
            {"path": path_text(c.path), "change": c.change, "original": c.original, "mirror": c.mirror}
            for c in b.changes
        ],
        "lines": [
            {
                "original_line": r.original_number,
                "mirror_line": r.mirror_number,
                "original": r.original,
                "mirror": r.mirror,
                "same": r.same,
            }
            for r in b.lines
        ],
        "more": b.more,
        "first_difference": b.first,
        "notes": list(b.notes),
    }


def differences(ds: Differences) -> dict[str, Any]:
    """All pairs."""
    statuses = [{"original": o, "mirror": m, **_count(seen)} for (o, m), seen in ds.statuses.most()]
    return {
        "pairs": ds.pairs,
        "status": {**_outcome(ds.status), "changes": statuses},
        "headers": {
            **_outcome(ds.headers),
            **_named(ds.fields, "changes", "change"),
            **_named(ds.expected, "expected", "rule"),
        },
        "body": {
            **_outcome(ds.body),
            "equivalent": ds.body.equivalent,
            "kinds": {kind: seen.pairs for kind, seen in ds.kinds.most()},
            **_named(ds.paths, "paths", "change", "path"),
            "unlisted": ds.unlisted,
        },
        "request": {
            **_outcome(ds.request),
            **_named(ds.asked, "changes", "change"),
            **_named(ds.asked_expected, "expected", "rule"),
        },
    }


def _outcome(o: PairCounts) -> dict[str, Any]:
    return {"same": o.same, "different": o.differ, "unknown": o.unknown, "examples": list(o.examples)}


def _count(seen: DifferenceKind) -> dict[str, Any]:
    return {"pairs": seen.pairs, "examples": list(seen.examples)}


def _named(kinds: Kinds[tuple[str, str]], key: str, second: str, first: str = "name") -> dict[str, Any]:
    rows = [
        {
            first: name,
            second: word,
            **_count(seen),
            "original": seen.original,
            "mirror": seen.mirror,
        }
        for (name, word), seen in kinds.most()
    ]
    return {key: rows, f"{key}_left_out": kinds.left_out}
