"""What was compared, for people and for programs. All of it is pure: text out, captured text made harmless."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import tabulate

from inspector.lang import _, marked, several
from inspector.redact import Redactor
from inspector.referee import packets, reasons
from inspector.referee.model import KEPT, Agreement, Difference
from inspector.render.markdown import safe
from inspector.render.text import cut_middle, shown, width, wrap
from inspector.storable import everything

SCHEMA = "mirror-inspector-verify/1"
SHOWN = 10  # differences of one reason that a table lists without --all
READABLE = 100  # columns of a sentence
CELL = 48  # columns of a captured value
REASONS = {**reasons.REASONS, **packets.REASONS}
FIELDS = {  # by name in Agreement.fields: how it is called where its values are counted
    "found": marked("messages found"), "packet": marked("packet numbers"), "method": marked("methods"),
    "path": marked("paths"), "host": marked("hosts"), "status": marked("statuses"), "body": marked("body sizes"),
    "pair": marked("pairs of request and response"), "time": marked("times"), "captured": marked("captured lengths"),
    "length": marked("lengths"), "kind": marked("kinds of packet"), "tunnel": marked("tunnel depths"),
    "addresses": marked("addresses"), "ports": marked("ports"), "seq": marked("sequence numbers"),
    "ack": marked("acknowledgement numbers"), "flags": marked("flags"), "timestamp": marked("timestamps"),
    "payload": marked("payload lengths"),
}  # fmt: skip


def private(found: Agreement, redactor: Redactor) -> Agreement:
    """The agreement as it may leave the terminal: secrets in request targets are replaced."""
    if redactor.keep:
        return found
    return replace(found, differences=[_private(d, redactor) for d in found.differences])


def _private(d: Difference, redactor: Redactor) -> Difference:
    if d.what == "path":
        return replace(d, ours=redactor.target(d.ours), theirs=redactor.target(d.theirs))
    if d.what not in ("missing", "extra"):
        return d
    both = []
    for text in (d.ours, d.theirs):
        method, space, target = text.partition(" ")
        both.append(method + space + redactor.target(target) if space else text)
    return replace(d, ours=both[0], theirs=both[1])


def _several(found: Sequence[Agreement]) -> Agreement:
    """All captures together."""
    total = Agreement(_("all"), found[0].unit, found[0].referee)
    for one in found:
        total.packets += one.packets
        total.agreed += one.agreed
        total.explained += one.explained
        total.unexplained += one.unexplained
        total.extra += one.extra
        total.reasons += one.reasons
        total.seconds += one.seconds
        for name, (count, agreed) in one.fields.items():
            before = total.fields.get(name, (0, 0))
            total.fields[name] = (before[0] + count, before[1] + agreed)
    return total


def _names(unit: str) -> list[str]:
    units = _("exchanges") if unit == "exchange" else _("compared")
    return [_("capture"), _("packets"), units, _("agree"), _("explained"), _("unexplained"), _("only there")]


def _figures(one: Agreement) -> list[str]:
    numbers = (one.packets, one.units, one.agreed, one.explained, one.unexplained, sum(one.extra.values()))
    return [f"{n:,}" for n in numbers]


def _where(d: Difference) -> list[str]:
    what = {"missing": _("only here"), "extra": _("only there")}.get(d.what, d.what)
    return [f"{d.frame:,}", str(d.exchange) if d.exchange else "-", what, *_values(d)]


def _values(d: Difference) -> list[str]:
    if d.what == "pair":  # the packet of the request
        return [text if text != "0" else _("none") for text in (d.ours, d.theirs)]
    return [cut_middle(shown(text), CELL) if text else "-" for text in (d.ours, d.theirs)]


def _listed(one: Agreement, whole: bool) -> list[tuple[str, int, list[Difference]]]:
    """(reason, how many, those that are shown), the unexplained ones first."""
    kept: dict[str, list[Difference]] = {}
    for d in sorted(one.differences, key=Difference.order):
        kept.setdefault(d.reason, []).append(d)
    order = sorted(one.reasons.items(), key=lambda item: (bool(item[0]), -item[1], item[0]))
    most = KEPT if whole else SHOWN
    return [(reason, count, kept.get(reason, [])[:most]) for reason, count in order if count]


def _says(reason: str, count: int) -> str:
    if not reason:
        text = several("{n} difference without a known reason", "{n} differences without a known reason", count)
        return text.format(n=f"{count:,}")
    return f"{reason}, {count:,}: {_(REASONS[reason])}"


def _agreed(total: Agreement) -> str:
    parts = []
    for name, (count, agreed) in total.fields.items():
        parts.append(_("{agreed} of {n} {what}").format(agreed=f"{agreed:,}", n=f"{count:,}", what=_(FIELDS[name])))
    return ", ".join(parts)


def finding(found: Sequence[Agreement]) -> str:
    """The result in one sentence."""
    total = _several(found)
    bad = total.reasons[""]
    if not total.units and not total.reasons:
        return _("There was nothing to compare with {referee}.").format(referee=total.referee)
    if bad:
        text = several(
            "{n} difference from {referee} has no known reason.",
            "{n} differences from {referee} have no known reason.",
            bad,
        )
        return text.format(n=f"{bad:,}", referee=total.referee)
    explained = sum(total.reasons.values())
    if not explained:
        return _("{referee} agrees in everything that was compared.").format(referee=total.referee)
    text = several(
        "{referee} agrees but for {n} difference, the reason of which is in the packets.",
        "{referee} agrees but for {n} differences, the reasons of which are in the packets.",
        explained,
    )
    return text.format(n=f"{explained:,}", referee=total.referee)


def table(found: Sequence[Agreement], columns: int, whole: bool = False) -> Iterator[str]:
    """A row a capture, what was compared, the differences by reason, the finding."""
    room = min(max(columns, 20), READABLE)
    totals = [_several(found)] if len(found) > 1 else []
    widest = max(columns - 68, 16)
    rows = [[cut_middle(shown(one.path), widest), *_figures(one)] for one in (*found, *totals)]
    yield from _plain(_names(found[0].unit), rows, (1, 2, 3, 4, 5, 6))
    compared = _agreed(_several(found))
    if compared:
        yield "\n"
        yield from (line + "\n" for line in wrap(_("Compared: {what}.").format(what=compared), room))
    for one in found:
        if one.reasons or one.notes:
            yield "\n" + (cut_middle(shown(one.path), columns) + "\n" if len(found) > 1 else "")
            yield from _of_one(one, columns, whole)
    yield "\n"
    yield from (line + "\n" for line in wrap(finding(found), room))


def _of_one(one: Agreement, columns: int, whole: bool) -> Iterator[str]:
    room = min(max(columns, 20), READABLE)
    for note in one.notes:
        yield from (line + "\n" for line in wrap(shown(note), room, "- ", "  "))
    for reason, count, some in _listed(one, whole):
        yield from (line + "\n" for line in wrap(_says(reason, count), room, "- ", "  "))
        rows = [["", *_where(d)] for d in some]
        yield from _plain(["", _("packet"), _("exchange"), _("what"), _("here"), _("there")], rows, (1, 2))
        if count > len(some):
            yield "  " + _more(count - len(some), whole) + "\n"


def _more(count: int, whole: bool) -> str:
    if whole:
        return several("and {n} more", "and {n} more", count).format(n=f"{count:,}")
    return several("and {n} more (--all)", "and {n} more (--all)", count).format(n=f"{count:,}")


def _plain(names: list[str], rows: list[list[str]], right: tuple[int, ...]) -> Iterator[str]:
    align = ["right" if i in right else "left" for i in range(len(names))]
    rules = ["-" * max(width(cell) for cell in (name, *(row[i] for row in rows))) for i, name in enumerate(names)]
    text = tabulate.tabulate([names, rules, *rows], tablefmt="plain", disable_numparse=True, colalign=align)
    for line in text.split("\n"):
        yield line.rstrip() + "\n"


def markdown(found: Sequence[Agreement], whole: bool = False) -> Iterator[str]:
    """The same as Markdown."""
    totals = [_several(found)] if len(found) > 1 else []
    yield from _grid(_names(found[0].unit), [[safe(shown(one.path)), *_figures(one)] for one in (*found, *totals)], 1)
    compared = _agreed(_several(found))
    if compared:
        yield "\n" + safe(_("Compared: {what}.").format(what=compared)) + "\n"
    for one in found:
        if not one.reasons and not one.notes:
            continue
        yield f"\n### {safe(shown(one.path))}\n"
        yield from (f"\n{safe(shown(note))}\n" for note in one.notes)
        for reason, count, some in _listed(one, whole):
            yield f"\n{safe(_says(reason, count))}\n\n"
            rows = [[safe(cell) for cell in _where(d)] for d in some]
            yield from _grid([_("packet"), _("exchange"), _("what"), _("here"), _("there")], rows, 0)
            if count > len(some):
                yield "\n" + safe(_more(count - len(some), whole)) + "\n"
    yield "\n" + safe(finding(found)) + "\n"


def _grid(names: list[str], rows: list[list[str]], first_right: int) -> Iterator[str]:
    yield "| " + " | ".join(names) + " |\n"
    yield "| " + " | ".join("---" if i < first_right else "---:" for i in range(len(names))) + " |\n"
    for row in rows:
        yield "| " + " | ".join(row) + " |\n"


def as_json(found: Sequence[Agreement]) -> Iterator[str]:
    """The same for programs; keys are a contract, SCHEMA its version."""
    total = _several(found)
    report = {
        "schema": SCHEMA,
        "referee": total.referee,
        "unit": total.unit,
        "captures": [
            {
                "path": one.path,
                **_counts(one),
                "notes": one.notes,
                "seconds": round(one.seconds, 3),
                "differences": [_difference(d) for d in sorted(one.differences, key=Difference.order)],
            }
            for one in found
        ],
        "total": _counts(total),
        "finding": finding(found),
    }
    yield json.dumps(everything(report), indent=2) + "\n"


def _counts(one: Agreement) -> dict[str, Any]:
    return {
        "packets": one.packets,
        "compared": one.units,
        "agreed": one.agreed,
        "explained": one.explained,
        "unexplained": one.unexplained,
        "only_there": sum(one.extra.values()),
        "fields": {name: {"compared": n, "agreed": agreed} for name, (n, agreed) in one.fields.items()},
        "reasons": dict(sorted(_named(one.reasons).items())),
    }


def _named(counts: Counter[str]) -> dict[str, int]:
    return {reason or "unknown": n for reason, n in counts.items() if n}


def _difference(d: Difference) -> dict[str, Any]:
    return {
        "what": {"missing": "only-here", "extra": "only-there"}.get(d.what, d.what),
        "packet": d.frame,
        "exchange": d.exchange or None,
        "here": d.ours or None,
        "there": d.theirs or None,
        "reason": d.reason or None,
        "shown_by": d.packet or None,
    }
