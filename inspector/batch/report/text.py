"""The report as Markdown and as CSV."""

from __future__ import annotations

import csv as csv_module
import io
import re
from collections.abc import Iterator, Sequence

from inspector.batch.report import blind, frame, words
from inspector.batch.report.chosen import Pair
from inspector.batch.report.columns import ANSWERS, VERDICTS
from inspector.batch.report.figures import Figures, Quantiles
from inspector.batch.report.model import Site, date
from inspector.batch.report.names import command
from inspector.batch.report.tables import answered, packets
from inspector.lang import _
from inspector.render import cells
from inspector.render.csv_flat import guard
from inspector.render.markdown import safe, table
from inspector.render.text import clock, cut_middle, day, duration, escape

ROUTES = 100  # rows in Markdown
DAYS = 100
PAIRS = 100
FIELDS = 50
UNREAD = 100
MAX_REQUEST = 100

QUANTILES = ("p50", "p90", "p99")
ANSWER_COLUMNS = ("status_differs", "body_differs", "not_comparable", "same", "one_sided")
COLUMNS = [
    *("day", "host", "mirror", "mirrors", *VERDICTS, "mirrored", "eligible", "percent", "low", "high"),
    *ANSWER_COLUMNS,
    *[f"{name}_{level}_us" for name in ("original", "mirror", "lag") for level in QUANTILES],
    *("capture", "unread_connections", "unread"),
]


def csv(site: Site) -> Iterator[str]:
    """A row for each route and day, in order of day (RFC 4180); durations in microseconds, not known is empty. Then a row for
    each capture that holds something that was not read, without a route and without figures."""
    buffer = io.StringIO()
    writer = csv_module.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line, number, f in sorted(site.cells, key=lambda cell: (cell[1], cell[0].number)):
        route = line.route
        names = [_("all other routes"), ""] if route.other else [guard(route.asked), guard(route.copied)]
        known = date(number) if number > -(10**9) else ""
        answers = [f.answers[word] for word in ANSWERS]
        row = [known, *names, f.mirrors, *(f.verdicts[word] for word in VERDICTS), f.share.mirrored, f.share.eligible]
        row += [f.share.percent, f.share.low, f.share.high, *answers]
        for q in (f.original, f.mirror, f.lag):
            row += [_us(q, level) for level in QUANTILES]
        row += ["", "", ""]
        writer.writerow(row)
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    counts = {*VERDICTS, *ANSWER_COLUMNS, "mirrors", "mirrored", "eligible"}
    blank = [0 if name in counts else "" for name in COLUMNS[1:-3]]
    for unit in site.units:
        kinds = blind.kinds(unit)
        if set(kinds) - {"other"}:
            n = blind.connections(kinds)
            said = "; ".join(f"{kind} {count}" for kind, count in kinds.items())
            writer.writerow([unit.unit.day, *blank, guard(unit.unit.name), n, said])
    yield buffer.getvalue()


def _us(q: Quantiles | None, level: str) -> float | None:
    return None if q is None else getattr(q, level) / 1000


def markdown(site: Site) -> Iterator[str]:
    """The report in GitHub-flavoured Markdown: findings first."""
    yield f"# {safe(words.heading(site))}\n\n{safe(words.finding(site))}\n\n{safe(words.span(site))}\n\n"
    rows = [[safe(a.ask), safe(a.answer), safe(a.said)] for a in words.answers(site)]
    yield from table([_("question"), _("answer"), ""], rows, ())
    found = words.findings(site)
    if found:
        yield f"\n## {_('Findings')}\n\n"
        for f in found:
            yield f"- {safe(f.says)}\n"
            for pair in list(f.pairs)[:3]:
                yield f"    - {safe(frame.pair_name(site, pair))}: {_code(_explain(site, pair))}\n"
            for line in list(f.units)[: words.UNITS]:
                yield f"    - {_code(line.unit.name)}\n"
            if len(f.units) > words.UNITS:
                yield "    - " + _("and {n} more").format(n=f"{len(f.units) - words.UNITS:,}") + "\n"
    yield from _pairs(site)
    yield f"\n## {_('Days')}\n\n"
    days = [[line.name, *_row(line.figures)] for line in reversed(site.days)]
    yield from table([_("day"), *_heads()], days[:DAYS], range(1, 10))
    yield from _left(len(days) - DAYS)
    yield f"\n## {_('Routes')}\n\n"
    routes = [[safe(line.name), *_row(line.figures)] for line in site.routes]
    yield from table([_("route"), *_heads()], routes[:ROUTES], range(1, 10))
    yield from _left(len(routes) - ROUTES)
    yield from _differences(site)
    yield from _times(site)
    yield from _unread(site)
    yield from _unseen(site)


def _code(text: str) -> str:
    """Text as a code span, between more backticks than it holds in a row (CommonMark 6.1)."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{room}{escape(text)}{room}{fence}"


def _explain(site: Site, pair: Pair) -> str:
    return command(site.by_unit[pair.unit].unit, "--explain", str(pair.number))


def _left(n: int) -> Iterator[str]:
    if n > 0:
        yield "\n" + _("{n} more are left out here; report.json and report.csv have them.").format(n=f"{n:,}") + "\n"


def _heads() -> list[str]:
    return [
        _("mirrors"), _("leaked"), _("unproven"), _("unanswered"), _("share"), _("status differs"), _("body differs"),
        _("original, median"), _("mirror, median"),
    ]  # fmt: skip


def _row(f: Figures) -> list[str]:
    share = cells.NONE
    if f.share.percent is not None:
        share = f"{cells.percent(f.share.percent)} % ({cells.percent(f.share.low)} - {cells.percent(f.share.high)})"
    counts = (f.mirrors, *(f.verdicts[word] for word in ("leaked", "unproven", "unanswered")))
    times = [cells.NONE if q is None else duration(q.p50) for q in (f.original, f.mirror)]
    return [*(f"{n:,}" for n in counts), share, f"{f.answers['status']:,}", f"{f.answers['body']:,}", *times]


def _pairs(site: Site) -> Iterator[str]:
    found = site.failing_pairs
    if not found:
        return
    yield f"\n## {_('Pairs that leaked or differ')}\n\n"
    rows = []
    for pair in found[:PAIRS]:
        v = pair.values
        at = v["request_time"]
        request = cut_middle(cells.request(v["method"], v["path"]), MAX_REQUEST)
        rows.append(
            [
                safe(frame.pair_name(site, pair)), v["verdict"], safe(request), safe(answered(site, pair)),
                f"{day(at)} {clock(at)}" if at is not None else cells.NONE, packets(pair),
                safe(_explain(site, pair)),
            ]
        )  # fmt: skip
    heads = [_("pair"), _("verdict"), _("request"), _("answers"), _("time (UTC)"), _("packets"), _("command")]
    yield from table(heads, rows, ())
    yield from _left(site.failing - min(len(found), PAIRS))


def _differences(site: Site) -> Iterator[str]:
    kinds = [(line, s) for line in site.routes for s in line.statuses]
    kinds.sort(key=lambda item: -item[1][2])
    if kinds:
        yield f"\n## {_('Statuses that differ')}\n\n"
        rows = [[safe(line.name), f"{o} → {m}", f"{n:,}"] for line, (o, m, n) in kinds[:FIELDS]]
        yield from table([_("route"), _("status, original → mirror"), _("pairs")], rows, (2,))
        yield from _left(len(kinds) - FIELDS)
    if site.fields:
        yield f"\n## {_('Headers and fields that differ')}\n\n"
        rows = [
            [
                safe(escape(f.name)) or _("(whole)"), safe(words.part(f.part)), safe(words.change(f.change)),
                safe(site.by_route[f.route].name), f"{f.pairs:,}",
            ]
            for f in site.fields[:FIELDS]
        ]  # fmt: skip
        yield from table([_("field"), _("part"), _("in the mirror"), _("route"), _("pairs")], rows, (4,))
        yield from _left(len(site.fields) - FIELDS)


def _times(site: Site) -> Iterator[str]:
    f = site.total
    names = ((_("lag of the mirror"), f.lag, True), (_("original"), f.original, False), (_("mirror"), f.mirror, False))
    rows: list[Sequence[str]] = []
    for name, q, signed in names:
        if q is not None:
            rows.append([name, f"{q.n:,}", *(duration(v, signed) for v in (q.p50, q.p90, q.p99, q.most))])
    if rows:
        yield f"\n## {_('Times')}\n\n"
        heads = [_("what"), _("number"), _("median"), _("90 % within"), _("99 % within"), _("most")]
        yield from table(heads, [list(row) for row in rows], range(1, 6))


def _unread(site: Site) -> Iterator[str]:
    failed = [line for line in site.units if line.unit.state == "failed"]
    if not failed:
        return
    yield f"\n## {_('Captures that could not be read')}\n\n"
    rows = []
    for line in failed[:UNREAD]:
        row = line.unit.row
        rows.append([safe(escape(line.unit.name)), safe(escape(row["error"] or "?")), safe(escape(row["hint"] or ""))])
    yield from table([_("capture"), _("error"), _("what to do")], rows, ())
    yield from _left(len(failed) - UNREAD)


def _unseen(site: Site) -> Iterator[str]:
    """The sentences of the captures, each with the captures that it is said of."""
    said: dict[str, list[str]] = {}
    for line in site.units:
        for sentence in dict.fromkeys(line.unit.row["unseen"] or ()):
            said.setdefault(sentence, []).append(line.unit.name)
    if not said:
        return
    yield f"\n## {_('What captures do not show')}\n\n"
    common = sorted(said.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = [
        [safe(escape(s)), f"{len(names):,}", safe(cells.listed(names, words.UNITS))] for s, names in common[:UNREAD]
    ]
    yield from table([_("what, and what to capture instead"), _("captures"), _("which")], rows, (1,))
    yield from _left(len(common) - UNREAD)
