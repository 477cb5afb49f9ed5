"""The first page: four answers, then findings, then all else by route, field, day and capture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.batch.report import blind, charts, frame, tables, words
from inspector.batch.report.frame import Cell
from inspector.batch.report.model import Site, UnitLine
from inspector.batch.report.words import Answer, StoreFinding
from inspector.lang import _, several
from inspector.render.report.html import Html, join, tag
from inspector.render.report.sections import section
from inspector.render.text import escape

SENTENCES = 30  # of what could not be seen
UNREAD = 100  # captures that could not be read


def index(site: Site, version: str) -> Iterator[str]:
    """The page."""
    yield from frame.page(words.heading(site), (), _body(site), version)


def _body(site: Site) -> Iterator[str]:
    yield tag("p", words.finding(site), class_=f"finding {blind.tone(site)}")
    yield tag("p", words.span(site), class_="span")
    yield tag("ul", [_answer(a) for a in words.answers(site)], class_="answers")
    yield _navigation()
    found = words.findings(site)
    yield section(
        "findings",
        _("Findings"),
        tag("ul", [_finding(site, f) for f in found], class_="alarms")
        if found
        else tag("p", _("Nothing alarming was seen.")),
        _all_pairs(site),
    )
    if site.total.mirrors or site.total.share.eligible:
        yield section("time", _("Over time"), tag("div", list(_plots(site)), class_="plots"))
        yield section("routes", _("Routes"), tables.routes(site), _share_words())
        yield section("differences", _("Where the answers differ"), tables.statuses(site), tables.fields(site))
        yield section("times", _("Times"), *filter(None, _times(site)))
        yield section("days", _("Days"), tables.days(site))
    yield section("unseen", _("What could not be seen"), *filter(None, _unseen(site)))
    yield section("captures", _("Captures"), *_captures(site))
    yield section("data", _("The same as data"), _data())


def _navigation() -> Html:
    links = [
        ("findings", _("Findings")), ("time", _("Over time")), ("routes", _("Routes")), ("differences", _("Differences")),
        ("times", _("Times")), ("days", _("Days")), ("unseen", _("Not seen")), ("captures", _("Captures")), ("data", _("Data")),
    ]  # fmt: skip
    return tag(
        "nav", tag("ul", [tag("li", tag("a", name, href=f"#{id_}")) for id_, name in links]), aria_label=_("Sections")
    )


def _answer(a: Answer) -> Html:
    inside = [
        tag("span", a.ask, class_="ask"),
        tag("b", a.answer),
        tag("span", a.said, class_="said") if a.said else None,
    ]
    return tag("li", tag("a", inside_of(inside), href=f"#{a.anchor}"), class_=a.kind or None)


def inside_of(parts: list[Html | None]) -> Html:
    """Parts with spaces between, for who hears the page."""
    return join(*[piece for part in parts if part for piece in (part, " ")][:-1])


def _finding(site: Site, f: StoreFinding) -> Html:
    label = join(frame.verdict(f.kind), " ") if f.kind in ("leaked", "unproven", "unanswered") else None
    links: list[str] = []
    if f.pairs:
        links += [_("For example: "), frame.pair_links(site, f.pairs, f.total, "")]
    if f.units:
        pages = [tag("a", line.name, href=line.page) for line in f.units[: words.UNITS] if line.page]
        more, rest = len(f.units) - len(pages), "#unread" if f.kind == "failed" else "captures.html"
        links += [*_listed(pages), " ", tag("a", _("and {n} more").format(n=f"{more:,}"), href=rest) if more else ""]
    return tag("li", label, *_linked(f), " ", tag("span", links, class_="links") if links else None, class_=f.kind)


def _linked(f: StoreFinding) -> list[str]:
    """The sentence, with the routes that it names linked."""
    parts: list[str] = [f.says]
    for line in f.routes:
        before, found, after = parts[-1].partition(line.name)
        if found and line.page:
            parts[-1:] = [before, tag("a", line.name, href=line.page), after]
    return parts


def _listed(parts: list[Html]) -> list[str]:
    return [piece for part in parts for piece in (part, ", ")][:-1]


def _all_pairs(site: Site) -> Html | None:
    n = len(site.failing_pairs)
    if not n:
        return None
    said = several(
        "The {n} pair that leaked or differs, with its packets",
        "The {n} pairs that leaked or differ, with their packets",
        n,
    ).format(n=f"{n:,}")
    out = [tag("p", tag("a", said, href="pairs.html"))]
    if left := site.left["failing_pairs"]:
        more = _("{left} more that leaked or differ have no page: {n} of each kind are enough to look into.")
        out.append(tag("p", more.format(left=f"{left:,}", n=f"{n:,}"), class_="hint"))
    return join(*out)


def _plots(site: Site) -> Iterator[Html]:
    if site.total.mirrors and site.slots:
        yield frame.figure(
            charts.verdicts(site.slots, site.g.slot), _("Mirrors by verdict; a triangle marks leaks, however few.")
        )
    if any(f.share.percent is not None for _at, f in site.slots):
        said = _("Observed share of the requests that could have been mirrored; the lines are 95 % intervals.")
        yield frame.figure(charts.shares(site.slots, site.g.slot), said)


def _share_words() -> Html:
    said = _(
        "The share of a route: requests with a copy among all that the same proxies sent for the same host (copies and retries "
        "are not counted, nor captures in which their copies went by other routes only), with the exact 95 % interval of a "
        "binomial. A setting inside the interval may well be in force."
    )
    return tag("p", said, class_="hint")


def _times(site: Site) -> Iterator[Html | None]:
    m = site.g.mirrors
    figures = []
    if drawing := charts.latencies(m.original_duration_ns, m.mirror_duration_ns):
        said = _(
            "How many originals and mirrors were answered in full after which time; pairs in which both were measured."
        )
        figures.append(frame.figure(drawing, said))
    if drawing := charts.lags(m.lag_ns):
        figures.append(frame.figure(drawing, _("How long after its original each mirror was sent.")))
    if not figures:
        yield tag("p", _("No times were measured: pairs are incomplete."))
        return
    yield tag("div", figures, class_="plots")
    yield tables.quantiles(site.total)
    yield tables.latencies(site)


def _unseen(site: Site) -> Iterator[Html | None]:
    counted: dict[str, list[UnitLine]] = {}
    for line in site.units:
        for sentence in dict.fromkeys(line.unit.row["unseen"] or ()):
            counted.setdefault(sentence, []).append(line)
    if not counted and not blind.of(site) and site.states["read"] == len(site.units):
        yield tag("p", _("Nothing is known to be missing."))
        return
    yield tables.unread(site, UNREAD)
    if found := blind.of(site):
        yield tag("ul", [tag("li", b.says, " ", _captures_of(b.units)) for b in found], class_="unseen")
    common = sorted(counted.items(), key=lambda item: (-len(item[1]), item[0]))
    if common:
        rows = [
            [Cell(escape(sentence)), frame.number(len(units)), Cell(_captures_of(units), class_="text")]
            for sentence, units in common[:SENTENCES]
        ]
        left = len(common) - SENTENCES
        more = _("{n} more sentences stand on the pages of the captures.").format(n=f"{left:,}") if left > 0 else ""
        heads = [_("what, and what to capture instead"), _("captures"), _("which")]
        yield frame.grid("sentences", _("What captures do not show"), heads, rows, (1,), more)


def _captures_of(units: Sequence[UnitLine]) -> Html:
    """Links to the first of some captures."""
    named = [frame.link(line.page, line.name, "") for line in units[: words.UNITS]]
    links = [piece for name in named for piece in (name, ", ")][:-1]
    more = len(units) - words.UNITS
    rest = [" ", tag("a", _("and {n} more").format(n=f"{more:,}"), href="captures.html")] if more > 0 else []
    return tag("span", [*links, *rest], class_="links")


def _captures(site: Site) -> Iterator[Html]:
    states = site.states
    said = _("{read} read, {damaged} read in part, {failed} not read.")
    counts = {name: f"{n:,}" for name, n in states.items()}
    yield tag("p", said.format(**counts), " ", tag("a", _("All captures"), href="captures.html"))


def _data() -> Html:
    kinds = [
        ("report.md", _("this page as Markdown")),
        ("report.csv", _("a row for each route and day")),
        ("report.json", _("all figures, with the packets of each pair")),
    ]
    return tag("ul", [tag("li", tag("a", name, href=name), ": ", what) for name, what in kinds])
