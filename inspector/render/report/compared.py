"""What differs between original and mirror: of one pair in brief, and of all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inspector.compare.counts import Differences, change_of
from inspector.compare.json_bodies import path_text
from inspector.compare.pair import PairDifference
from inspector.lang import _, several
from inspector.render import diff_summary, diff_words
from inspector.render.report.html import Html, simple, tag
from inspector.render.text import cut_middle, shown

LISTED = 6  # differences of one pair in its details; --diff N has all
ROOM = 60  # columns of a value


@dataclass(frozen=True)
class Brief:
    """Differences of one pair: sentences, rows of (part, change, original, mirror), and how many more there are."""

    says: tuple[str, ...] = ()
    rows: tuple[tuple[str, str, str, str], ...] = ()
    more: int = 0


def brief(d: PairDifference) -> Brief:
    """The first differences of a pair that are not there by nature, in visible text."""
    rows = list(_rows(d))
    more = max(0, len(rows) - LISTED) + (d.response_body.more if d.response_body.kind == "json" else 0)
    says = []
    if d.response_body.same is False:
        says.append(_("Response body: {said}").format(said=diff_words.body_sentence(d.response_body)))
    return Brief(tuple(map(shown, says)), tuple(rows[:LISTED]), more)


def _rows(d: PairDifference) -> Iterator[tuple[str, str, str, str]]:
    for c in d.response_body.changes:
        yield _cut(path_text(c.path)), diff_words.change_word(c.change), _cut(c.original), _cut(c.mirror)
    kinds = (
        (_("response header {name}"), d.response_fields.unexpected),
        (_("request header {name}"), d.request_fields.unexpected),
    )
    for name, fields in kinds:
        for f in fields:
            pair = [_cut(None if v is None else ", ".join(v)) for v in (f.original, f.mirror)]
            yield _cut(name.format(name=f.name)), diff_words.change_word(change_of(f)), pair[0], pair[1]
    if d.line_same is False:
        yield _("method and target"), diff_words.change_word("changed"), _cut(d.line[0]), _cut(d.line[1])


def _cut(text: str | None) -> str:
    return cut_middle(shown(text, ""), ROOM)


def parts(ds: Differences, dropped: int) -> Iterator[Html]:
    """All pairs: what was compared, in how many it differs, and where."""
    examples = _("mirrors, e.g.")
    for s in diff_summary.sections(ds):
        yield tag("h3", s.title)
        yield from (tag("p", sentence) for sentence in s.sentences)
        if s.table is not None:
            linked = [i for i, name in enumerate(s.table.names) if name == examples]
            rows = [[_links(cell) if i in linked else cell for i, cell in enumerate(row)] for row in s.table.rows]
            yield simple(s.title, s.table.names, rows, s.table.right, hidden=True)
    if dropped:
        said = several(
            "{n} byte of the pipe was not kept: exchanges in it could not be compared.",
            "{n} bytes of the pipe were not kept: exchanges in them could not be compared.",
            dropped,
        )
        yield tag("p", said.format(n=f"{dropped:,}"))


def _links(cell: str) -> Html:
    """`1, 2` as links to the rows of these mirrors."""
    numbers = [part for part in cell.split(", ") if part.isdecimal()]
    links = [tag("a", n, href=f"#mirror-{n}") for n in numbers]
    return Html(" ".join(links))
