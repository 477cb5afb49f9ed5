"""What every page of the site shares: its frame, links, tables and commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from inspector.batch.report.chosen import Pair
from inspector.batch.report.columns import VERDICTS
from inspector.batch.report.figures import Figures, Quantiles
from inspector.batch.report.model import Site, UnitLine
from inspector.batch.report.names import page_name
from inspector.lang import _, language, several
from inspector.render import cells
from inspector.render.report.frame import head, own_file
from inspector.render.report.html import Html, data, join, tag
from inspector.render.text import duration

BAR = 100  # width of a bar, in its own units
PLOTTED_VERDICTS = ("leaked", "unproven", "unanswered", "discarded")


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what is shown, and the number by which it is sorted (None: the last; missing: as text)."""

    shown: str | Sequence[str] | None
    value: int | float | str | None = ""  # "" for text
    class_: str = ""


def page(
    title: str, crumbs: Sequence[tuple[str, str]], body: Iterable[str], version: str, finding: str = ""
) -> Iterator[str]:
    """A page. crumbs: (name, link) of the pages above it; finding: class of what its heading says."""
    style, script = _style(), own_file("site.js", "inspector.batch.report")
    yield "<!doctype html>\n"
    yield f'<html lang="{language()}">'
    yield head(title, style, script)
    yield "<body>"
    yield tag("a", _("Skip to the content"), class_="skip", href="#content")
    trail = [part for name, link in crumbs for part in (tag("a", name, href=link), " › ")][:-1]
    brand = tag("p", "mirror inspector", class_="brand")
    up = tag("nav", tag("p", trail, class_="crumbs"), aria_label=_("Pages above")) if trail else None
    yield tag("header", brand, up, tag("h1", title))
    yield '<main id="content">'
    yield from body
    yield "</main>"
    said = _(
        "Made by mirror inspector {version} from a store of captures. This page fetches nothing and sends nothing."
    )
    yield tag("footer", tag("p", said.format(version=version)))
    words = {
        "shown": _("{n} of {total} rows shown"),
        "sorted": _("sorted by {column}"),
        "ascending": _("ascending"),
        "descending": _("descending"),
    }
    yield f'\n<script type="application/json" id="words">{data(words)}</script>\n<script>{script}</script>'
    yield "</body></html>\n"


def _style() -> str:
    return f"{own_file('report.css')}\n{own_file('site.css', 'inspector.batch.report')}"


def grid(
    id_: str,
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    right: Iterable[int] = (),
    left_out: str = "",
) -> Html:
    """A table that the script sorts and filters; the first cell of a row is its heading."""
    to_right = set(right)
    top = [tag("th", name, scope="col", class_="num" if i in to_right else None) for i, name in enumerate(heads)]
    out = []
    for row in rows:
        line = []
        for i, cell in enumerate(row):
            value = None if cell.value == "" else "" if cell.value is None else str(cell.value)
            classes = " ".join(c for c in ("num" if i in to_right else "", cell.class_) if c)
            extra = {"scope": "row"} if i == 0 else {}
            line.append(tag("th" if i == 0 else "td", cell.shown, class_=classes or None, data_v=value, **extra))
        out.append(tag("tr", line))
    few = " few" if len(heads) < 5 else ""
    table = tag(
        "table", tag("caption", caption), tag("thead", tag("tr", top)), tag("tbody", out), id=id_, class_=f"grid{few}"
    )
    tool = tag(
        "form",
        tag("label", _("Filter"), tag("input", type="search", name="text", autocomplete="off", spellcheck="false")),
        tag("p", role="status", aria_live="polite"),
        id=f"{id_}-tool",
        class_="tool",
        hidden=True,
        role="search",
        aria_label=_("Filter: {table}").format(table=caption),
    )
    more = tag("p", left_out, class_="hint") if left_out else None
    return join(tool, tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption), more)


def number(n: int, alarm: str = "") -> Cell:
    """A count; `alarm` is its class where it is not 0."""
    return Cell(f"{n:,}" if n else "0", n, alarm if n else "")


def link(page_: str | None, name: str | Html, up: str) -> str:
    """A link to a page of the site, or the name alone where there is none. up: `` or `../`."""
    return tag("a", name, href=f"{up}{page_}") if page_ else name


def pair_page(site: Site, pair: Pair) -> str:
    """The file of a pair's page."""
    unit = site.by_unit[pair.unit].unit
    return f"pairs/{page_name(unit.name.rpartition('/')[2], str(pair.number), unit.source, unit.day, unit.key)}.html"


def pair_links(site: Site, pairs: Iterable[Pair], total: int, up: str, most: int = 8) -> Html:
    """Links to pairs, and how many more there are."""
    shown = list(pairs)[:most]
    links = [tag("a", pair_name(site, pair), href=f"{up}{pair_page(site, pair)}") for pair in shown]
    more = total - len(shown)
    spaced = [piece for one in links for piece in (one, ", ")][:-1]
    if more > 0 and links:
        spaced.append(" " + several("and {n} more", "and {n} more", more).format(n=f"{more:,}"))
    return join(*spaced)


def pair_name(site: Site, pair: Pair) -> str:
    """`gw.pcap #12`."""
    return f"{site.by_unit[pair.unit].name} #{pair.number}"


def verdict(word: str) -> Html:
    """A verdict as a label."""
    return tag("span", word, class_=f"verdict {word if word in VERDICTS else ''}")


def state(line: UnitLine) -> Html:
    """Whether a capture could be read."""
    word = line.unit.state
    names = {"read": _("read"), "damaged": _("damaged"), "failed": _("not read")}
    return tag("span", names.get(word, word), class_=f"state {word if word in names else ''}")


def bar(f: Figures) -> Html:
    """Verdicts as a bar, which the numbers beside it say in words."""
    parts, at = [], 0.0
    for word in PLOTTED_VERDICTS:
        n = f.verdicts[word]
        if n:
            wide = max(BAR * n / f.mirrors, 1.5)
            parts.append(
                tag("rect", x=f"{min(at, BAR - wide):.2f}", width=f"{wide:.2f}", height=10, class_=f"fill-{word}")
            )
            at += wide
    box = f"0 0 {BAR} 10"
    return tag("svg", parts, class_="bar", viewBox=box, preserveAspectRatio="none", aria_hidden="true")


def share(f: Figures) -> Cell:
    """The observed share with its interval."""
    s = f.share
    if s.percent is None or s.low is None or s.high is None:
        return Cell(cells.NONE, None)
    within = f"({cells.percent(s.low)}–{cells.percent(s.high)})"
    return Cell([f"{cells.percent(s.percent)} % ", tag("small", within)], s.percent)


def time(q: Quantiles | None, level: str = "p50", signed: bool = False) -> Cell:
    """A quantile."""
    if q is None:
        return Cell(cells.NONE, None)
    value = int(getattr(q, level))
    return Cell(duration(value, signed), value)


def medians(f: Figures) -> Cell:
    """`245 µs → 402 µs`, sorted by the mirror's."""
    if f.original is None or f.mirror is None:
        return Cell(cells.NONE, None)
    return Cell(f"{duration(f.original.p50)} → {duration(f.mirror.p50)}", f.mirror.p50)


def facts(pairs: Iterable[tuple[str, str | Html | Sequence[str] | None]]) -> Html:
    """A list of facts; those without a value are left out."""
    return tag("dl", [join(tag("dt", name), tag("dd", value)) for name, value in pairs if value], class_="facts")


def figure(drawing: Html, caption: str) -> Html:
    """A plot with what it shows."""
    return tag("figure", drawing, tag("figcaption", caption))


def run_line(command: str) -> Html:
    """A command to copy."""
    return tag("code", command, class_="command", tabindex="0")
