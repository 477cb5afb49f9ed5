"""The table of mirrors: rows in the page itself, so that it reads and prints without a script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspector.inspection.story import MirrorStory
from inspector.lang import _, several
from inspector.render import cells
from inspector.render.ladder_parts import host
from inspector.render.report.compared import Brief
from inspector.render.report.data import PageNames, Pool, answers, different, entry
from inspector.render.report.html import Html, data, tag
from inspector.render.source import VERDICTS
from inspector.render.text import clock, cut_middle, duration, shown
from inspector.views.objects import ExchangeView, MirrorView

MAX_BYTES = 1_250_000  # of rows and data: with all else the page stays under 1.5 MB
LEAST = 16  # bytes of punctuation and of differences that are not listed
MAX_REQUEST = 160  # columns
ROUTES = 100  # in the list to choose from


@dataclass
class PageRows:
    """Rows for the page with what the script needs for them."""

    shown: list[tuple[int, Html]] = field(default_factory=list)
    entries: dict[int, Any] = field(default_factory=dict)
    pool: Pool = field(default_factory=Pool)
    routes: dict[str, int] = field(default_factory=dict)
    by_route: Counter[str] = field(default_factory=Counter)
    by_verdict: Counter[str] = field(default_factory=Counter)
    total: int = 0

    @property
    def left_out(self) -> int:
        """Mirrors that are not in the table."""
        return self.total - len(self.shown)


def build(stories: Sequence[MirrorStory], look: PageNames, total: int) -> PageRows:
    """Rows of the stories, the first of them first, as many as MAX_BYTES holds; then in order of number."""
    out, size = PageRows(total=total), 0
    for told in stories:
        m = told.mirror
        name = route(m)
        number = out.routes.setdefault(name, len(out.routes))
        row = _row(m, number)
        item = entry(told, look, out.pool)
        size += len(row) + len(data(item)) + len(str(m.id)) + LEAST
        if size + out.pool.bytes > MAX_BYTES:
            break
        out.shown.append((m.id, row))
        out.entries[m.id] = item
        out.by_route[name] += 1
        out.by_verdict[m.verdict] += 1
    for told in stories[: len(out.shown)]:
        found = look.briefs.get(told.mirror.id, Brief())
        room = MAX_BYTES - size - out.pool.bytes
        if len(data([found.says, found.rows])) > room:  # more than it takes: what repeats is kept once
            found = Brief((), (), len(found.rows) + found.more)
        item = different(found, out.pool)
        size += len(data(item)) + 1
        out.entries[told.mirror.id].append(item)
    out.shown.sort(key=lambda pair: pair[0])
    return out


def route(m: MirrorView) -> str:
    """`10.244.0.10 → 10.244.0.21:3000, copy to 10.244.0.22:3000`."""
    proxy = shown(m.proxy if m.proxy is not None else host(m.mirror.client))
    said = _("{proxy} to {original}, copy to {mirror}")
    original = _("not captured") if m.original is None else shown(m.original.server)
    return said.format(proxy=proxy, original=original, mirror=shown(m.mirror.server))


def section(rows: PageRows) -> Iterator[str]:
    """The table with its filter."""
    yield '<section id="mirrors" aria-labelledby="mirrors-title">'
    yield tag("h2", _("Mirrors"), id="mirrors-title")
    if rows.left_out:
        said = _(
            "{n} of {total} mirrors are in this table, leaks and what is unproven first; --show-mirrors --format csv lists all."
        )
        yield tag("p", said.format(n=f"{len(rows.shown):,}", total=f"{rows.total:,}"))
    yield _form(rows)
    yield tag("p", id="count", class_="count", role="status", aria_live="polite")
    yield tag(
        "noscript",
        tag("p", _("Filters, sorting and the ladder of each mirror need the page's script; --explain N shows each.")),
    )
    heads = [
        ("#", ""), (_("verdict"), ""), (_("request"), ""), (_("original"), ""), (_("mirror"), ""), (_("answers"), ""),
        (_("lag"), "num"), (_("time (UTC)"), "num"),
    ]  # fmt: skip
    caption = several("{n} mirrored request, in order of time", "{n} mirrored requests, in order of time", rows.total)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{tag("x", _("Mirrors"))[3:-4]}"><table id="table">'
    yield tag("caption", caption.format(n=f"{len(rows.shown):,}"))
    yield tag("thead", tag("tr", [tag("th", name, scope="col", class_=cls or None) for name, cls in heads]))
    yield "<tbody>"
    yield from (row for _number, row in rows.shown)
    yield "</tbody></table></div>"
    yield tag("p", _("No mirror fits the filter."), id="none", hidden=True)
    yield "</section>"


def _row(m: MirrorView, number: int) -> Html:
    word, said = answers(m)
    began = cells.started(m.mirror)
    request = cut_middle(cells.mirror_request(m), MAX_REQUEST)
    return tag(
        "tr",
        tag("td", str(m.id)),
        tag("td", tag("span", m.verdict, class_=f"verdict {m.verdict}"), " ", tag("small", cells.why(m))),
        tag("td", tag("bdi", request)),
        tag("td", _server(m.original)),
        tag("td", _server(m.mirror)),
        tag("td", said, class_="differs" if word in ("status", "body") else None),
        tag("td", duration(m.lag, signed=True) or cells.NONE, data_v="" if m.lag is None else str(m.lag)),
        tag("td", clock(began), data_v="" if began is None else str(began // 1000)),
        id=f"mirror-{m.id}",
        data_verdict=m.verdict,
        data_route=number,
        data_answers=word,
    )


def _server(x: ExchangeView | None) -> Html | str:
    if x is None:
        return _("not captured")
    return Html(f"{tag('small', shown(x.server))} {tag('b', cells.status(x))}")


def _form(rows: PageRows) -> Html:
    everything = _("all")
    verdicts = [(w, f"{w} ({rows.by_verdict[w]:,})") for w in VERDICTS if rows.by_verdict[w]]
    routes = [
        (str(rows.routes[name]), f"{name} ({n:,})") for name, n in rows.by_route.most_common(ROUTES)
    ]  # fmt: skip
    kinds = [
        ("same", _("same")),
        ("status", _("status differs")),
        ("body", _("body differs")),
        ("unknown", _("not known")),
    ]

    def choice(name: str, label: str, options: Sequence[tuple[str, str]]) -> Html:
        shown = [tag("option", everything, value=""), *(tag("option", text, value=value) for value, text in options)]
        return tag("label", label, tag("select", shown, name=name))

    return tag(
        "form",
        tag("label", _("Text"), tag("input", type="search", name="text", autocomplete="off", spellcheck="false")),
        choice("verdict", _("Verdict"), verdicts),
        choice("answers", _("Answers"), kinds),
        choice("route", _("Route"), routes),
        tag("button", _("Show all"), type="reset"),
        id="filter",
        hidden=True,
        role="search",
        aria_label=_("Filter the mirrors"),
    )
