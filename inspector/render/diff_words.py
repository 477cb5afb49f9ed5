"""What a difference says, in sections: the words that the table and Markdown share. Cells hold captured text, not yet escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from inspector.compare.bodies import BodyDiff, Side
from inspector.compare.json_bodies import path_text
from inspector.compare.pair import FieldDiff, FieldsDiff, PairDifference
from inspector.lang import _, several
from inspector.render import cells
from inspector.render.text import cut
from inspector.views.objects import MirrorView

MOST_PACKETS = 12
TYPE_ROOM = 80  # characters of a content type or coding


@dataclass(frozen=True)
class NamedRows:
    """Rows under names. flexible: the columns that give way in a narrow terminal; right: those aligned to the right."""

    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    flexible: tuple[int, ...]
    right: tuple[int, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and a table."""

    title: str
    sentences: list[str] = field(default_factory=list)
    table: NamedRows | None = None


def heading(m: MirrorView, mirrors: int) -> str:
    """`Mirror 2 of 3: GET /items, discarded (content)`."""
    text = _("Mirror {number} of {count}: {request}, {verdict}")
    return text.format(number=m.id, count=mirrors, request=cells.mirror_request(m), verdict=cells.verdict(m))


def legs(m: MirrorView) -> list[str]:
    """Where the two were seen."""
    out = []
    for name, x in ((_("original"), m.original), (_("mirror"), m.mirror)):
        if x is None:
            out.append(_("{leg}: not captured").format(leg=name))
            continue
        text = _("{leg}: {server}, request in {request}, response in {response}")
        request, response = packets(x.request_packets), packets(x.response_packets)
        out.append(text.format(leg=name, server=x.server, request=request, response=response))
    return out


def finding(d: PairDifference) -> str:
    """Everything in a sentence."""
    words = {True: _("the same"), False: _("different"), None: _("not known")}
    body = _("equal in value") if d.response_body.equivalent else words[d.response_body.same]
    text = _("Status {status}, response headers {headers}, response body {body}.")
    text = text.format(status=words[d.status_same], headers=words[d.response_fields.same], body=body)
    asked = [
        name
        for name, same in (
            (_("the request line"), d.line_same),
            (_("headers"), d.request_fields.same),
            (_("the body"), d.request_body.same),
        )
        if same is False
    ]
    if asked:
        text += " " + _("The requests differ in what a proxy should not change: {parts}.").format(
            parts=", ".join(asked)
        )
    return text


def packets(numbers: list[int]) -> str:
    """`packet 3`, `packets 3, 4`."""
    if not numbers:
        return _("no packet")
    listed = ", ".join(str(n) for n in numbers[:MOST_PACKETS]) + (", …" if len(numbers) > MOST_PACKETS else "")
    return several("packet {numbers}", "packets {numbers}", len(numbers)).format(numbers=listed)


def sections(d: PairDifference) -> list[Section]:
    """The whole comparison."""
    out = [Section(_("Status"), [status(d)])]
    if d.line_same is False:
        text = _("Method and target differ: {original} and {mirror}.")
        out.append(Section(_("Request"), [text.format(original=d.line[0] or "?", mirror=d.line[1] or "?")]))
    f = d.request_fields
    if f.expected:
        rows = [[x.name, values(x.original), values(x.mirror), why(x.rule)] for x in f.expected]
        names = [_("header"), _("original"), _("mirror"), _("why")]
        out.append(Section(_("Request headers that a mirroring proxy changes"), [], NamedRows(names, rows, (1, 2))))
    out.append(_fields(_("Request headers that it should not change"), f, f.unexpected))
    out.append(_body(_("Request body"), d.request_body))
    f = d.response_fields
    out.append(_fields(_("Response headers"), f, f.unexpected))
    if f.expected:
        rows = [[x.name, values(x.original), values(x.mirror), why(x.rule)] for x in f.expected]
        names = [_("header"), _("original"), _("mirror"), _("why")]
        out.append(Section(_("Response headers that differ by nature"), [], NamedRows(names, rows, (1, 2))))
    out.append(_body(_("Response body"), d.response_body))
    if d.notes:
        out.append(Section(_("Not seen"), [*d.notes]))
    return out


def status(d: PairDifference) -> str:
    """One sentence."""
    original, mirror = (_("none") if s is None else str(s) for s in d.status)
    if d.status_same:
        return _("The same: {status}.").format(status=original)
    if d.status_same is None:
        return _("Not known: original {original}, mirror {mirror}.").format(original=original, mirror=mirror)
    return _("Differs: original {original}, mirror {mirror}.").format(original=original, mirror=mirror)


def values(found: tuple[str, ...] | None) -> str:
    """A field's values."""
    return _("(absent)") if found is None else ", ".join(found)


def why(rule: str) -> str:
    """Why a field may differ."""
    words = {
        "suffix": _("the copy's suffix"),
        "host": _("the mirror's own host"),
        "forwarded-for": _("the proxy's address"),
        "internal": _("set by Envoy"),
        "trace": _("a span of its own"),
        "sampled": _("its own sampling"),
        "envoy": _("set by Envoy"),
        "framing": _("framing"),
        "time": _("time of the answer"),
    }
    return words.get(rule, rule)


def _fields(title: str, f: FieldsDiff, differ: Sequence[FieldDiff]) -> Section:
    rest = _("Equal: {names}.").format(names=listed(f.equal)) if f.equal else ""
    if differ:
        rows = [[x.name, values(x.original), values(x.mirror)] for x in differ]
        return Section(
            title, [rest] if rest else [], NamedRows([_("header"), _("original"), _("mirror")], rows, (1, 2))
        )
    if f.same:
        return Section(title, [_("None differs."), *([rest] if rest else [])])
    if f.equal:
        return Section(
            title, [_("None of those seen on both sides differs; a head was not captured to its end."), rest]
        )
    return Section(title, [_("Not known.")])


def listed(names: Iterable[str]) -> str:
    """Names of header fields."""
    return ", ".join(names)


def _body(title: str, b: BodyDiff) -> Section:
    sentences = [body_sentence(b), *b.notes]
    sentences += [
        f"{name}: {side.problem}."
        for name, side in ((_("original"), b.original), (_("mirror"), b.mirror))
        if side and side.problem
    ]
    if b.more:
        sentences.append(_("{count:,} more differences are not listed.").format(count=b.more))
    if b.changes:
        rows = [[path_text(c.path), change_word(c.change), _value(c.original), _value(c.mirror)] for c in b.changes]
        names = [_("path"), _("change"), _("original"), _("mirror")]
        return Section(title, sentences, NamedRows(names, rows, (0, 2, 3)))
    if b.lines:
        marks = {(True, True): "|", (True, False): "<", (False, True): ">"}
        rows = []
        for line in b.lines:
            mark = "" if line.same else marks[line.original is not None, line.mirror is not None]
            rows.append(
                [
                    _number(line.original_number),
                    line.original or "",
                    mark,
                    _number(line.mirror_number),
                    line.mirror or "",
                ]
            )
        names = ["#", _("original"), "", "#", _("mirror")]
        return Section(title, sentences, NamedRows(names, rows, (1, 4), (0, 3)))
    return Section(title, sentences)


def _number(n: int | None) -> str:
    return "" if n is None else str(n)


def _value(text: str | None) -> str:
    return "" if text is None else text


def change_word(change: str) -> str:
    """What happened at a path."""
    words = {
        "added": _("added"),
        "removed": _("removed"),
        "changed": _("changed"),
        "type": _("other type"),
        "notation": _("other notation"),
        "order": _("other order"),
    }
    return words[change]


def body_sentence(b: BodyDiff) -> str:
    """What the comparison of two bodies came to, with their sizes."""
    if b.kind == "empty":
        return _("None on either side.")
    sizes = _("original {original}, mirror {mirror}").format(original=size(b.original), mirror=size(b.mirror))
    if b.same:
        return (
            _("Equal: {size}.").format(size=size(b.original))
            if b.original == b.mirror
            else _("Equal: {sizes}.").format(sizes=sizes)
        )
    if b.same is None:
        if (
            b.kind == "unknown"
            or (b.original and b.original.decoded is None)
            or (b.mirror and b.mirror.decoded is None)
        ):
            return _("Not known: {sizes}.").format(sizes=sizes)
        return _("No difference as far as they could be read: {sizes}.").format(sizes=sizes)
    text = _("Differs: {sizes}.").format(sizes=sizes)
    if b.first is not None:
        text += " " + _("The first difference is at byte {offset:,}.").format(offset=b.first)
    return text


def size(side: Side | None) -> str:
    """`396 bytes application/json`, with codings and what is missing."""
    if side is None:
        return _("not captured")
    count = side.captured if side.decoded is None else side.decoded
    parts = [several("{count:,} byte", "{count:,} bytes", count).format(count=count)]
    if side.codings:
        coded = _("{count:,} as {codings}").format(count=side.captured, codings=cut(", ".join(side.codings), TYPE_ROOM))
        parts[0] = f"{parts[0]} ({coded})"
    if side.type:
        parts.append(cut(side.type, TYPE_ROOM))
    if side.missing:
        parts.append(_("{count:,} missing").format(count=side.missing))
    if side.digest:
        parts.append(side.digest)
    return " ".join(parts)
