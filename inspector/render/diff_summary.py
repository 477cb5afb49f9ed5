"""All differences of all pairs, in sections for the table and Markdown, and as rows for CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from inspector.compare.counts import DifferenceKind, Differences, Kinds, PairCounts
from inspector.lang import _, several
from inspector.render.csv_flat import FORMULA
from inspector.render.diff_words import NamedRows, Section, change_word, why
from inspector.render.text import escape

LISTED = 50  # rows of a table for people; JSON and CSV have all
VALUE_ROOM = 80  # characters of an example


def heading(ds: Differences) -> str:
    """`21 mirrors, each against its original`."""
    text = several("{count:,} mirror against its original", "{count:,} mirrors, each against its original", ds.pairs)
    return text.format(count=ds.pairs)


def sections(ds: Differences) -> list[Section]:
    """What differs, the most frequent first."""
    rows = [
        _outcome(_("status"), ds.status),
        _outcome(_("response headers"), ds.headers),
        _outcome(_("response body"), ds.body),
        _outcome(_("request"), ds.request),
    ]
    names = [_("compared"), _("same"), _("different"), _("not known"), _("mirrors, e.g.")]
    sentences = []
    if ds.body.equivalent:
        text = several(
            "{count:,} body that differs has the same JSON values, written differently.",
            "{count:,} bodies that differ have the same JSON values, written differently.",
            ds.body.equivalent,
        )
        sentences.append(text.format(count=ds.body.equivalent))
    out = [Section(_("Pairs"), sentences, NamedRows(names, rows, (4,), (1, 2, 3)))]
    if ds.statuses:
        table = [[str(o), str(m), *_seen(seen)] for (o, m), seen in ds.statuses.most()[:LISTED]]
        names = [_("original"), _("mirror"), _("pairs"), _("mirrors, e.g.")]
        out.append(Section(_("Statuses that differ"), _rest(ds.statuses), NamedRows(names, table, (3,), (2,))))
    out += _named(_("Response headers that differ"), _("header"), ds.fields)
    if ds.kinds:
        found = ", ".join(f"{kind} {seen.pairs:,}" for kind, seen in ds.kinds.most())
        out.append(Section(_("Response bodies that differ"), [_("By kind: {kinds}.").format(kinds=found)]))
    out += _named(_("JSON paths that differ"), _("path"), ds.paths)
    if ds.unlisted:
        text = _("{count:,} further changes of large documents are not counted by path.").format(count=ds.unlisted)
        out[-1].sentences.append(text)
    out += _named(_("Requests: what differs and should not"), _("part"), ds.asked)
    expected = [
        (_("Requests: headers that the proxy changed"), ds.asked_expected),
        (_("Responses: headers that differ by nature"), ds.expected),
    ]
    for title, kinds in expected:
        if kinds:
            named = [f"{name} {seen.pairs:,} ({why(rule)})" for (name, rule), seen in kinds.most()[:LISTED]]
            out.append(Section(title, [", ".join(named) + ".", *_rest(kinds)]))
    return out


def _outcome(name: str, o: PairCounts) -> list[str]:
    return [name, f"{o.same:,}", f"{o.differ:,}", f"{o.unknown:,}", ", ".join(map(str, o.examples))]


def _seen(seen: DifferenceKind) -> list[str]:
    return [f"{seen.pairs:,}", ", ".join(map(str, seen.examples))]


def _rest(kinds: Kinds[tuple[str, str]] | Kinds[tuple[int, int]]) -> list[str]:
    out = []
    if len(kinds) > LISTED:
        out.append(_("{count:,} more kinds; --format json or csv lists them.").format(count=len(kinds) - LISTED))
    if kinds.left_out:
        out.append(_("{count:,} differences beyond these kinds were counted only.").format(count=kinds.left_out))
    return out


def _named(title: str, name: str, kinds: Kinds[tuple[str, str]]) -> list[Section]:
    if not kinds:
        return []
    rows = [
        [key, change_word(change), *_seen(seen), _short(seen.original), _short(seen.mirror)]
        for (key, change), seen in kinds.most()[:LISTED]
    ]
    names = [name, _("change"), _("pairs"), _("mirrors, e.g."), _("original"), _("mirror")]
    return [Section(title, _rest(kinds), NamedRows(names, rows, (0, 4, 5), (2,)))]


def _short(value: str | None) -> str:
    value = value or ""
    return value if len(value) <= VALUE_ROOM else value[:VALUE_ROOM] + "…"


def csv_rows(ds: Differences) -> Iterator[str]:
    """Columns: subject, name, change, pairs, examples, original, mirror. First the outcomes, then each kind of difference."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["subject", "name", "change", "pairs", "examples", "original", "mirror"])
    for subject, o in (("status", ds.status), ("headers", ds.headers), ("body", ds.body), ("request", ds.request)):
        counts = {"same": o.same, "different": o.differ, "unknown": o.unknown}
        counts |= {"equivalent": o.equivalent} if subject == "body" else {}
        for change, count in counts.items():
            examples = " ".join(map(str, o.examples)) if change == "different" else ""
            writer.writerow([subject, "", change, count, examples, "", ""])
    for (original, mirror), seen in ds.statuses.most():
        writer.writerow(["status", "", "changed", *_flat(seen)[:2], original, mirror])
    for kind, seen in ds.kinds.most():
        writer.writerow(["body kind", _guard(kind), "different", *_flat(seen)])
    for subject, kinds in _kinds(ds):
        for (name, change), seen in kinds.most():
            writer.writerow([subject, _guard(name), change, *_flat(seen)])
            if buffer.tell() > 1 << 16:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
    yield buffer.getvalue()


def _kinds(ds: Differences) -> list[tuple[str, Kinds[tuple[str, str]]]]:
    return [
        ("header", ds.fields),
        ("header by nature", ds.expected),
        ("json path", ds.paths),
        ("request", ds.asked),
        ("request header by proxy", ds.asked_expected),
    ]


def _guard(value: str | None) -> str:
    """Captured text as a cell: visible characters only, and never a formula."""
    return ("'" if value and value.startswith(FORMULA) else "") + escape(value or "")


def _flat(seen: DifferenceKind) -> list[object]:
    return [seen.pairs, " ".join(map(str, seen.examples)), _guard(seen.original), _guard(seen.mirror)]
