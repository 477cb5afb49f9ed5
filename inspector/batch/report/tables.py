"""Tables that several pages show."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.batch.report import blind, frame, words
from inspector.batch.report.chosen import Pair
from inspector.batch.report.columns import ANSWERS, Field
from inspector.batch.report.figures import Figures, Quantiles
from inspector.batch.report.frame import Cell, number
from inspector.batch.report.model import RouteLine, Site, UnitLine, date
from inspector.batch.report.names import before, command
from inspector.lang import _
from inspector.render import cells
from inspector.render.report.html import Html, join, tag
from inspector.render.text import clock, cut_middle, day, duration, escape, shown

FIELDS = 40  # rows of differences on a page
STATUSES = 40
SLOWEST = 30  # routes in the table of latencies
MAX_REQUEST = 80
MAX_PATH = 120
MAX_FIELD = 80
MAX_VALUE = 60


def routes(site: Site, up: str = "") -> Html:
    """A row a route."""
    lines = [line for line in site.routes if line.page]
    rows = [[Cell(frame.link(line.page, line.name, up)), *_counts(line.figures)] for line in lines]
    return frame.grid(
        "route-table",
        _("Service routes, those that leak or differ first"),
        [_("route"), *_heads()],
        rows,
        _COUNTS,
        _left(site),
    )


_COUNTS = (1, 2, 3, 4, 6, 7, 8, 9)


def _left(site: Site) -> str:
    n = site.left["route_pages"]
    return _("{n} more routes are left out here; report.csv has them.").format(n=f"{n:,}") if n else ""


def _counts(f: Figures) -> list[Cell]:
    return [
        number(f.mirrors),
        number(f.verdicts["leaked"], "alarm"),
        number(f.verdicts["unproven"], "notable"),
        number(f.verdicts["unanswered"]),
        Cell(frame.bar(f), None),
        frame.share(f),
        number(f.answers["status"], "notable"),
        number(f.answers["body"], "notable"),
        frame.medians(f),
    ]


def days(site: Site, up: str = "") -> Html:
    """A row a day, the latest first."""
    rows = [[Cell(frame.link(line.page, line.name, up)), *_counts(line.figures)] for line in reversed(site.days)]
    left = site.left["day_pages"]
    more = _("{n} earlier days are left out.").format(n=f"{left:,}") if left else ""
    return frame.grid("day-table", _("Days (UTC), the latest first"), [_("day"), *_heads()], rows, _COUNTS, more)


def _heads() -> list[str]:
    return [
        _("mirrors"), _("leaked"), _("unproven"), _("unanswered"), _("verdicts"), _("share (95 % interval)"),
        _("status differs"), _("body differs"), _("median, original → mirror"),
    ]  # fmt: skip


def moments(id_: str, caption: str, found: Sequence[tuple[int, Figures]], up: str, links: dict[int, str]) -> Html:
    """A row a day of one route, the latest first."""
    rows = [[Cell(frame.link(links.get(at), date(at), up)), *_counts(f)] for at, f in reversed(found)]
    return frame.grid(id_, caption, [_("day"), *_heads()], rows, _COUNTS)


def by_route(id_: str, caption: str, found: Sequence[tuple[RouteLine, Figures]], up: str) -> Html:
    """A row a route, of one day."""
    rows = [[Cell(frame.link(line.page, line.name, up)), *_counts(f)] for line, f in found]
    return frame.grid(id_, caption, [_("route"), *_heads()], rows, _COUNTS)


def statuses(site: Site, lines: Sequence[RouteLine] | None = None, up: str = "") -> Html:
    """Pairs of statuses that differ, by route."""
    found = [(line, s) for line in (site.routes if lines is None else lines) for s in line.statuses]
    found.sort(key=lambda item: (-item[1][2], item[0].name))
    if not found:
        return tag("p", _("No pair was answered with different statuses."))
    rows = []
    for line, (original, mirror, n) in found[:STATUSES]:
        pairs = [
            p for p in line.pairs if (p.values["original_status"], p.values["mirror_status"]) == (original, mirror)
        ]
        rows.append(
            [
                Cell(frame.link(line.page, line.name, up)),
                Cell(f"{original} → {mirror}"),
                number(n),
                Cell(frame.pair_links(site, pairs, 0, up, 2)),
            ]
        )
    left = len(found) - STATUSES
    more = (
        _("{n} more pairs of statuses are left out here; report.json has them.").format(n=f"{left:,}")
        if left > 0
        else ""
    )
    heads = [_("route"), _("status, original → mirror"), _("pairs"), _("for example")]
    return frame.grid("status-table", _("Statuses that differ"), heads, rows, (2,), more)


def fields(site: Site, found: Sequence[Field] | None = None, up: str = "") -> Html:
    """Headers and JSON paths that differ, most frequent first, by route."""
    found = site.fields if found is None else found
    if not found:
        return tag("p", _("No header and no field of a body differs beside what a mirroring proxy changes itself."))
    rows = []
    for f in found[:FIELDS]:
        line = site.by_route[f.route]
        pairs = [site.pairs[row] for row in f.examples if row in site.pairs]
        rows.append(
            [
                Cell(tag("code", cut_middle(escape(f.name), MAX_FIELD)) if f.name else _("(whole)")),
                Cell(words.part(f.part)),
                Cell(words.change(f.change)),
                Cell(frame.link(line.page, line.name, up), class_="text"),
                number(f.pairs),
                Cell(_values(pairs, f), class_="text"),
                Cell(frame.pair_links(site, pairs, 0, up, 2)),
            ]
        )
    left = max(len(found) - FIELDS, 0)
    more = _("{n} more are left out here; report.json has the first {most}.").format(
        n=f"{left:,}", most=f"{len(site.fields):,}"
    )
    heads = [
        _("field"),
        _("part"),
        _("in the mirror"),
        _("route"),
        _("pairs"),
        _("original → mirror"),
        _("for example"),
    ]
    return frame.grid("field-table", _("Headers and fields that differ"), heads, rows, (4,), more if left else "")


def _values(pairs: Sequence[Pair], f: Field) -> Html | str:
    """The first example's two values."""
    for pair in pairs:
        for d in pair.differences:
            if (d["part"], d["field"] or "", d["change"]) == (f.part, f.name, f.change):
                return values(d)
    return ""


def values(d: dict[str, str | None]) -> Html:
    """`12 → 13`; what is not there is a dash."""
    sides = [cells.NONE if v is None else cut_middle(shown(v), MAX_VALUE) for v in (d["original"], d["copy"])]
    return join(tag("code", sides[0]), " → ", tag("code", sides[1]))


def pairs(
    site: Site,
    found: Sequence[Pair],
    up: str,
    caption: str,
    left_out: str = "",
    id_: str = "pair-table",
    without: str = "",
) -> Html:
    """A row a pair with its packets. without: "route" or "capture" where it is the same for all."""
    heads = [
        _("pair"), _("verdict"), _("answers"), _("request"), _("route"), _("time (UTC)"),
        _("packets: client, original, mirror"), _("capture"),
    ]  # fmt: skip
    absent = {"route": 4, "capture": 7}.get(without, len(heads))
    rows = []
    for p in found:
        v = p.values
        unit = site.by_unit[p.unit]
        line = site.by_route[int(site.g.mirrors.route[p.row])]
        request = cut_middle(cells.request(v["method"], v["path"]), MAX_REQUEST)
        at = v["request_time"]
        row = [
            Cell(tag("a", frame.pair_name(site, p), href=f"{up}{frame.pair_page(site, p)}")),
            Cell(frame.verdict(v["verdict"])),
            Cell(answered(site, p)),
            Cell(tag("bdi", request), class_="text"),
            Cell(frame.link(line.page, line.name, up), class_="text"),
            Cell(f"{day(at)} {clock(at)}" if at is not None else cells.NONE, None if at is None else at // 1000),
            Cell(packets(p)),
            Cell(frame.link(unit.page, unit.name, up), class_="text"),
        ]
        rows.append(row[:absent] + row[absent + 1 :])
    return frame.grid(id_, caption, heads[:absent] + heads[absent + 1 :], rows, (), left_out)


def answered(site: Site, pair: Pair) -> str:
    """`200 → 500`, or how the bodies compare."""
    word = ANSWERS[int(site.g.mirrors.answer[pair.row])]
    original, mirror = (cells.NONE if s is None else str(s) for s in _statuses(pair))
    return {
        "status": f"{original} → {mirror}",
        "body": _("{status}, another body").format(status=mirror),
        "same": _("{status}, the same").format(status=mirror),
        "unknown": _("{status}, a body is not whole").format(status=mirror),
    }.get(word, f"{original} → {mirror}")


def _statuses(pair: Pair) -> tuple[int | None, int | None]:
    return pair.values["original_status"], pair.values["mirror_status"]


def packets(pair: Pair) -> str:
    """The first packet of each leg: `#4 #12 #9`."""
    found = [pair.values[f"{leg}_packet"] for leg in ("downstream", "original", "mirror")]
    return " ".join(f"#{n}" for n in found if n is not None)


def unread(site: Site, most: int, up: str = "") -> Html | None:
    """Captures that could not be read, or only in part, with the error and what to do."""
    found = [line for line in site.units if line.unit.state == "failed"]
    if not found:
        return None
    rows = [[Cell(frame.link(line.page, line.name, up)), *_error(line)] for line in found[:most]]
    left = len(found) - most
    more = _("{n} more are on the page of all captures.").format(n=f"{left:,}") if left > 0 else ""
    heads = [_("capture"), _("error"), _("what to do"), _("path")]
    return tag(
        "div", frame.grid("unread-table", _("Captures that could not be read"), heads, rows, (), more), id="unread"
    )


def _error(line: UnitLine) -> list[Cell]:
    row = line.unit.row
    path = cut_middle(escape(line.unit.name), MAX_PATH)
    return [
        Cell(escape(row["error"] or "?"), class_="text"),
        Cell(escape(row["hint"] or ""), class_="text"),
        Cell(tag("code", path), class_="text"),
    ]


def captures(site: Site, up: str = "") -> Html:
    """A row a capture that has a page."""
    lines = [line for line in site.units if line.page]
    rows = []
    for line in reversed(lines):
        f, row = line.figures, line.unit.row
        first = row["first"]
        rows.append(
            [
                Cell(frame.link(line.page, line.name, up)),
                Cell(frame.state(line)),
                Cell(escape(line.unit.source), class_="text"),
                Cell(
                    words.when(first) if first is not None else cells.NONE,
                    first // 10**9 if first is not None else None,
                ),
                number(row["packets"] or 0),
                number(row["exchanges"] or 0),
                number(f.mirrors),
                number(f.verdicts["leaked"], "alarm"),
                number(f.verdicts["unproven"], "notable"),
                frame.share(f),
                number(f.differing, "notable"),
                Cell(cells.read(blind.payload(line)) or cells.NONE, class_="text"),
            ]
        )
    heads = [
        _("capture"), _("state"), _("source"), _("first packet (UTC)"), _("packets"), _("exchanges"), _("mirrors"),
        _("leaked"), _("unproven"), _("share"), _("answers differ"), _("payload"),
    ]  # fmt: skip
    left = site.left["capture_pages"]
    more = _("{n} more captures are left out; report.json has them.").format(n=f"{left:,}") if left else ""
    return frame.grid("capture-table", _("Captures, the latest first"), heads, rows, (3, 4, 5, 6, 7, 8, 9, 10), more)


def quantiles(f: Figures) -> Html:
    """Lag and latencies in numbers."""
    names = [(_("lag of the mirror"), f.lag, True), (_("original"), f.original, False), (_("mirror"), f.mirror, False)]
    rows = [[Cell(name), number(q.n), *_times(q, signed)] for name, q, signed in names if q is not None]
    heads = [_("what"), _("number"), _("median"), _("90 % within"), _("99 % within"), _("most")]
    return frame.grid("quantile-table", _("Lag and latency"), heads, rows, range(1, 6))


def _times(q: Quantiles | None, signed: bool = False) -> list[Cell]:
    return [frame.time(q, level, signed) for level in ("p50", "p90", "p99", "most")]


def latencies(site: Site, up: str = "") -> Html | None:
    """Original against mirror by route, where the mirror is slowest beside the original first."""
    found = [line for line in site.routes if line.figures.original and line.figures.mirror]
    if len(found) < 2:
        return None
    found.sort(key=lambda line: -_ratio(line.figures))
    rows = []
    for line in found[:SLOWEST]:
        f = line.figures
        both = [frame.time(q, level) for level in ("p50", "p90", "p99") for q in (f.original, f.mirror)]
        rows.append(
            [
                Cell(frame.link(line.page, line.name, up)),
                number(f.original.n if f.original else 0),
                *both,
                Cell(f"{_ratio(f):.2f}", round(_ratio(f), 4)),
            ]
        )  # fmt: skip
    heads = [
        _("route"), _("pairs"), _("original, median"), _("mirror, median"), _("original, 90 %"), _("mirror, 90 %"),
        _("original, 99 %"), _("mirror, 99 %"), _("mirror / original, median"),
    ]  # fmt: skip
    left = len(found) - SLOWEST
    more = _("{n} more routes are left out here; report.csv has them.").format(n=f"{left:,}") if left > 0 else ""
    return frame.grid("latency-table", _("Latency by route, the slowest mirror first"), heads, rows, range(1, 9), more)


def _ratio(f: Figures) -> float:
    return f.mirror.p50 / max(f.original.p50, 1) if f.mirror and f.original else 0.0


def run(unit: UnitLine, *what: str) -> Html:
    """The command that shows something of a capture."""
    first = before(unit.unit)
    return join(tag("p", first, class_="hint") if first else None, frame.run_line(command(unit.unit, *what)))


def lag_words(value: int | None) -> str:
    """A lag, signed."""
    return duration(value, signed=True) or cells.NONE
