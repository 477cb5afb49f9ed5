"""The report: one HTML page that needs nothing else, findings first.

Nothing is fetched, and the page's policy forbids it: its own style and script run by their hashes (CSP level 2, section
4.2.4), captured text is escaped text or JSON that the script puts into text nodes. Without a script all is there but the
ladders of the mirrors that are not told in full, filters and sorting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inspector.compare.counts import Differences
from inspector.inspection.story import MirrorStory
from inspector.lang import _, language
from inspector.render import cells, explain, ladder_svg
from inspector.render.report import sections, table
from inspector.render.report.compared import Brief
from inspector.render.report.data import PageNames, constants, ladder_of, words
from inspector.render.report.findings import Finding, findings
from inspector.render.report.frame import head, own_file
from inspector.render.report.gather import ALARMING, ReportCounts
from inspector.render.report.html import Html, ascii_only, data, join, tag
from inspector.render.text import cut_middle, escape
from inspector.views.wire import ExchangePackets

MAX_NAME = 120  # columns of a capture's name in the title


@dataclass(frozen=True)
class Material:
    """What the page tells beside the counts, as it may be shown (redacted).

    stories: those of `Gathered.chosen()`, in that order. told: those of `Gathered.told()`, with what packets say below HTTP
    where the captures could be read again. briefs: differences by number of mirror; differences: of all pairs, None where
    the captures were not read again; dropped: bytes of a pipe that were not kept for that.
    """

    stories: Sequence[MirrorStory]
    told: Sequence[MirrorStory]
    briefs: Mapping[int, Brief] = field(default_factory=dict)
    differences: Differences | None = None
    dropped: int = 0


def document(
    g: ReportCounts, material: Material, names: Mapping[str, str] | None = None, version: str = ""
) -> Iterator[str]:
    """The page, piece by piece, in ASCII. names: address -> a name for it."""
    paths = [c.path for c in g.captures]
    look = PageNames(paths, dict(names or {}), material.briefs)
    rows = table.build(material.stories, look, g.summary.mirrors)
    drawn = [_told(story, look, i == 0) for i, story in enumerate(material.told)]
    style = f"{own_file('report.css')}\n{ladder_svg.style('.ladder')}"
    script = own_file("report.js")
    title = _("Mirrors in {captures}").format(captures=_title(paths))
    yield "<!doctype html>\n"
    yield f'<html lang="{language()}">'
    yield head(title, style, script)
    yield "<body>"
    yield tag("a", _("Skip to the findings"), class_="skip", href="#findings")
    yield _header(title, g, bool(rows.shown))
    yield "<main>"
    yield _findings(g, drawn)
    yield sections.services(g, names or {})
    if rows.shown:
        yield from table.section(rows)
        yield sections.answers(g, material.differences, material.dropped)
        yield sections.times(g)
    yield sections.unseen(g)
    yield sections.captures(g)
    yield "</main>"
    yield tag("footer", tag("p", _footer(version)))
    if rows.shown:
        store = {
            "words": words(),
            "geometry": constants(),
            "captures": [cut_middle(escape(path), MAX_NAME) for path in paths],
            "pool": rows.pool.items,
            "mirrors": rows.entries,
        }
        yield f'\n<script type="application/json" id="data">{data(store)}</script>\n<script>{script}</script>'
    yield "</body></html>\n"


def _title(paths: Sequence[str]) -> str:
    last = [escape(path.rsplit("/", 1)[-1]) for path in paths]
    return cut_middle(cells.listed(last, 3), MAX_NAME)


def _header(title: str, g: ReportCounts, mirrors: bool) -> Html:
    links = [("findings", _("Findings")), ("services", _("Services"))]
    if mirrors:
        links += [("mirrors", _("Mirrors")), ("answers", _("Original and mirror")), ("times", _("Times"))]
    links += [("unseen", _("What could not be seen")), ("captures", _("Captures"))]
    return tag(
        "header",
        tag("p", "mirror inspector", class_="brand"),
        tag("h1", title),
        tag("p", g.summary.finding, class_=f"finding {worst(g)}"),
        tag("nav", tag("ul", [tag("li", tag("a", name, href=f"#{id_}")) for id_, name in links]),
            aria_label=_("Sections")),
    )  # fmt: skip


def worst(g: ReportCounts) -> str:
    """The verdict that colours the finding."""
    found = [word for word in (*ALARMING, "discarded") if word in g.by_verdict]
    return found[0] if found else "none"


def _findings(g: ReportCounts, drawn: Sequence[Html]) -> Html:
    s = g.summary
    tiles = [(f"{s.mirrors:,}", _("mirrors"), "")]
    tiles += [(f"{n:,}", word, word) for word, n in s.verdicts.items() if n]
    if s.share.percent is not None:
        tiles.append((f"{cells.percent(s.share.percent)} %", _("of the requests mirrored"), ""))
    tiles += [(f"{s.exchanges:,}", _("exchanges"), ""), (f"{s.connections:,}", _("connections"), "")]
    alarming = any(word in g.by_verdict for word in ALARMING)
    heading = _("In full") if alarming else _("One of them, in full")
    return tag(
        "section",
        tag("h2", _("Findings"), id="findings-title"),
        tag("ul", [_tile(*tile) for tile in tiles], class_="tiles"),
        tag("ul", [_finding(f) for f in findings(g)], class_="alarms"),
        [tag("h3", heading), *drawn] if drawn else None,
        id="findings",
        aria_labelledby="findings-title",
    )


def _tile(number: str, name: str, verdict: str) -> Html:
    if verdict:
        label = tag("a", tag("span", name, class_=f"verdict {verdict}"), href="#mirrors", data_verdict=verdict)
        return tag("li", tag("span", label), tag("b", number))
    return tag("li", tag("span", name), tag("b", number))


def _finding(f: Finding) -> Html:
    links = [tag("a", str(n), href=f"#mirror-{n}") for n in f.numbers]
    more = _("and {n} more").format(n=f"{f.more:,}") if f.more and links else ""
    word = tag("span", f.kind, class_=f"verdict {f.kind}") if f.kind != "notable" else None
    said = [word, " "] if word else []
    where = tag("span", _("Mirrors: "), join(*_spaced(links)), more and f" {more}", class_="links") if links else None
    return tag("li", [x for x in said if x], f.says, " ", where, class_=f.kind)


def _spaced(parts: Sequence[Html]) -> list[str]:
    return [piece for part in parts for piece in (part, " ")][:-1]


def _told(story: MirrorStory, look: PageNames, first: bool) -> Html:
    """A mirror in full: its ladder and its numbered steps, without a script."""
    ladder = ladder_of(story, look)
    wires: Mapping[int, ExchangePackets] = story.wires
    steps = [sections.step(s, look.captures) for s in explain.steps(story.mirror, story.others, wires, look.names)]
    drawing = ascii_only(ladder_svg.svg(ladder, "told-", styled=False))
    return tag(
        "details",
        tag("summary", ladder.title),
        tag(
            "div",
            tag("div", drawing, class_="scroll", tabindex="0", role="region", aria_label=_("ladder diagram")),
            tag("ol", steps, class_="steps"),
            tag("p", tag("a", _("Its row in the table"), href=f"#mirror-{story.mirror.id}"), class_="hint"),
        ),
        open=first,
    )


def _footer(version: str) -> str:
    said = _("Made by mirror inspector {version} from the packets alone. This page fetches nothing and sends nothing.")
    return said.format(version=version)
