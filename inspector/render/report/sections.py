"""Sections of the report: services, original against mirror, times, what could not be seen, captures; and a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from inspector.compare.counts import Differences
from inspector.lang import _, several
from inspector.render import cells, diff_summary
from inspector.render.ladder_parts import offset
from inspector.render.report import graph, plots
from inspector.render.report.compared import parts
from inspector.render.report.gather import KINDS, ReportCounts, Some
from inspector.render.report.html import Html, join, simple, tag
from inspector.render.text import cut_middle, duration
from inspector.render.wording import ExplanationStep, numbers

STATUSES = 20  # pairs of statuses in the table
FAULTS = 40
MAX_PATH = 200


def section(id_: str, title: str, *content: str | Iterable[str] | None) -> Html:
    """A section of the page: a landmark with its heading."""
    return tag("section", tag("h2", title, id=f"{id_}-title"), *content, id=id_, aria_labelledby=f"{id_}-title")


def services(g: ReportCounts, names: Mapping[str, str]) -> Html:
    """Who sent requests to whom, and how many."""
    built = graph.build(g)
    drawing = graph.svg(built, names)
    title = _("Services")
    if not drawing:
        return section("services", title, tag("p", _("No request was seen.")))
    lasted = several(
        "Rates are over the {span} of the capture.", "Rates are over the {span} of the captures.", len(g.captures)
    )
    said = [lasted.format(span=duration(g.span))] if g.span else []
    said.append(_("The percentage of a mirrored edge is its copies for each hundred originals of the same proxy."))
    if g.other_routes:
        more = _("{n} exchanges of further routes are left out: more than {most} were seen.")
        said.append(more.format(n=f"{g.other_routes:,}", most=f"{KINDS:,}"))
    words = tag("ul", [tag("li", line) for line in graph.tell(built)], class_="visually-hidden", id="graph-words")
    region = tag("div", drawing, class_="scroll", tabindex="0", role="region", aria_label=title)
    return section("services", title, tag("figure", region, words, tag("figcaption", " ".join(said))))


def answers(g: ReportCounts, found: Differences | None, dropped: int = 0) -> Html:
    """Original against mirror, counted: by all that differs, or by status and body where the captures were not read again."""
    if found is not None:
        return section(
            "answers", _("Original and mirror"), tag("p", diff_summary.heading(found) + "."), parts(found, dropped)
        )
    a = g.answers
    compared = several(
        "{n} pair of original and mirror was answered on both sides and compared by status and body.",
        "{n} pairs of original and mirror were answered on both sides and compared by status and body.",
        a.pairs,
    ).format(n=f"{a.pairs:,}")
    if a.one_sided:
        more = several(
            "{n} more lacks a response on one side.", "{n} more lack a response on one side.", a.one_sided
        ).format(n=f"{a.one_sided:,}")
        compared = f"{compared} {more}"
    statuses = sorted(a.statuses.items(), key=lambda item: -item[1].count)
    rows = [
        (_("status and body are the same"), f"{a.same:,}", Html("")),
        (_("the same status, another body"), f"{a.bodies.count:,}", linked(a.bodies)),
        (_("the same status; a body was not captured whole"), f"{a.unknown.count:,}", linked(a.unknown)),
        *((_("status {original}, mirror {mirror}").format(original=o, mirror=m), f"{some.count:,}", linked(some))
          for (o, m), some in statuses[:STATUSES]),
    ]  # fmt: skip
    rows = [row for row in rows if row[1] != "0"]
    left = len(statuses) - STATUSES
    rest = tag("p", _("{n} more pairs of statuses are not listed.").format(n=left)) if left > 0 else None
    names = [_("answers"), _("pairs"), _("mirrors, for example")]
    shown = simple(_("How the mirrors' answers compare with the originals'"), names, rows, (1,)) if rows else None
    return section("answers", _("Original and mirror"), tag("p", compared), shown, rest)


def linked(some: Some) -> Html:
    """Links to the rows of the first mirrors."""
    links = [tag("a", str(n), href=f"#mirror-{n}") for n in some.numbers]
    spaced = [piece for link in links for piece in (link, " ")][:-1]
    return join(*spaced, " …" if some.count > len(links) else "")


def times(g: ReportCounts) -> Html:
    """Distributions of lags and latencies, drawn and as numbers."""
    names = {"downstream": _("client's wait"), "original": _("original"), "mirror": _("mirror")}
    by_leg = [(names[leg], g.latency[leg]) for leg in ("original", "mirror", "downstream") if g.latency.get(leg)]
    figures = []
    if g.lags:
        early = sum(1 for lag in g.lags if lag < 0)
        said = _("How long after its original each mirror was sent.")
        if early:
            more = several("{n} was sent before it.", "{n} were sent before it.", early).format(n=f"{early:,}")
            said = f"{said} {more}"
        figures.append(_figure(plots.lags(g.lags), said))
    if by_leg:
        said = _("How many exchanges were over after which time. A mirror may take longer than the client waits.")
        figures.append(_figure(plots.latencies(by_leg), said))
    if not figures:
        return section("times", _("Times"), tag("p", _("No times were measured: pairs are incomplete.")))
    rows = [[_("lag"), *plots.quantiles(g.lags, True)]] if g.lags else []
    rows += [[_("latency: {leg}").format(leg=name), *plots.quantiles(values)] for name, values in by_leg]
    heads = [_("what"), _("number"), _("least"), _("median"), _("90 % within"), _("99 % within"), _("most")]
    shown = simple(_("The same in numbers"), heads, rows, range(1, 7))
    return section("times", _("Times"), tag("div", figures, class_="plots"), shown)


def _figure(drawing: Html, caption: str) -> Html:
    return tag("figure", drawing, tag("figcaption", caption))


def unseen(g: ReportCounts) -> Html:
    """What could not be seen, and what to capture instead."""
    sentences = g.summary.unseen
    if not sentences:
        return section("unseen", _("What could not be seen"), tag("p", _("Nothing is known to be missing.")))
    return section("unseen", _("What could not be seen"), tag("ul", [tag("li", s) for s in sentences], class_="unseen"))


def captures(g: ReportCounts) -> Html:
    """The captures with their packets and faults."""
    out = []
    for number, c in enumerate(g.captures, 1):
        name = cut_middle(c.path, MAX_PATH)
        out.append(tag("h3", f"[{number}] {name}" if len(g.captures) > 1 else name))
        lines = [*cells.capture_facts(c), *c.warnings[:FAULTS]]
        out.append(tag("ul", [tag("li", line) for line in lines], class_="captures"))
    return section("captures", _("Captures"), out)


def step(s: ExplanationStep, paths: Sequence[str]) -> Html:
    """One step of an explanation."""
    where = [offset(s.time)] if s.time is not None else []
    if s.packets:
        listed = numbers(s.packets, paths)
        where.append(several("packet {packets}", "packets {packets}", len(s.packets)).format(packets=listed))
    fact = tag("p", _("On the wire: {fact}").format(fact=s.fact), class_="fact") if s.fact else None
    place = tag("span", ", ".join(where), class_="where") if where else None
    return tag("li", tag("strong", s.title), place, [tag("p", said) for said in s.says], fact)
