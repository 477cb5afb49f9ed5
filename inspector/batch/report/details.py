"""Pages of routes, days, captures and pairs, and the lists of all captures and of all pairs that fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.batch.report import blind, charts, frame, tables, words
from inspector.batch.report.chosen import Pair
from inspector.batch.report.columns import LEAKED, UNANSWERED, UNPROVEN
from inspector.batch.report.figures import Figures
from inspector.batch.report.frame import Cell
from inspector.batch.report.model import DayLine, RouteLine, Site, UnitLine
from inspector.batch.report.scan import ABSENT, DAY
from inspector.lang import _, several
from inspector.render import cells
from inspector.render.report.html import Html, join, simple, tag
from inspector.render.report.sections import section
from inspector.render.text import cut_middle, duration, escape, shown
from inspector.views.objects import Share
from inspector.views.sentences import retold

UP = "../"
PAIRS = 200  # on the page of a route, a day or a capture
SENTENCES = 40
EVIDENCE = 100
DIFFERENCES = 100
MAX_TEXT = 300
LEGS = ("downstream", "original", "mirror")


def _crumbs(site: Site, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [(words.heading(site), f"{UP}index.html"), *more]


def _summary(f: Figures) -> Html:
    """The figures of a page in one list."""
    verdicts = [join(frame.verdict(word), f" {n:,}  ") for word, n in f.verdicts.items() if n]
    differs = _("{status} by status, {body} by body, of {n} compared").format(
        status=f"{f.answers['status']:,}", body=f"{f.answers['body']:,}", n=f"{f.compared:,}"
    )
    return frame.facts(
        [
            (_("mirrors"), f"{f.mirrors:,}"),
            (_("verdicts"), join(*verdicts)),
            (_("share"), _share(f.share)),
            (_("answers differ"), differs if f.compared else None),
        ]
    )


def _share(s: Share) -> str | None:
    return None if s.percent is None else f"{cells.percent(s.percent)} % ({words.share_words(s)})"


def route(site: Site, line: RouteLine, version: str) -> Iterator[str]:
    """The page of a service route."""
    yield from frame.page(
        line.name, _crumbs(site, (_("Routes"), f"{UP}index.html#routes")), _route(site, line), version
    )


def _route(site: Site, line: RouteLine) -> Iterator[str]:
    yield _summary(line.figures)
    m = site.g.mirrors
    failing = [p for p in line.pairs if m.failing[p.row]]
    yield section("pairs", _("Pairs that leaked or differ"), _pairs(site, failing, line.figures.failing, "route"))
    yield section(
        "differences",
        _("Where the answers differ"),
        tables.statuses(site, [line], UP),
        tables.fields(site, line.fields, UP),
    )
    if line.plotted and line.slots:
        yield section("time", _("Over time"), tag("div", list(_plots(site, line)), class_="plots"))
    links = {d.day: d.page for d in site.days if d.day is not None and d.page}
    yield section(
        "days", _("Days"), tables.moments("day-table", _("Days (UTC), the latest first"), line.days, UP, links)
    )
    times = [part for part in (_latency(site, line), tables.quantiles(line.figures)) if part]
    yield section("times", _("Times"), *times)
    yield from _examples(site, line.pairs, "route")


def _plots(site: Site, line: RouteLine) -> Iterator[Html]:
    size = site.g.slot
    yield frame.figure(charts.verdicts(line.slots, size), _("Mirrors by verdict; a triangle marks leaks, however few."))
    if any(f.share.percent is not None for _at, f in line.slots):
        yield frame.figure(charts.shares(line.slots, size), _("Observed share; the lines are 95 % intervals."))


def _latency(site: Site, line: RouteLine) -> Html | None:
    if not line.plotted:
        return None
    m = site.g.mirrors
    mine = m.route == line.number
    drawing = charts.latencies(m.original_duration_ns[mine], m.mirror_duration_ns[mine])
    return frame.figure(drawing, _("How many were answered in full after which time.")) if drawing else None


def _pairs(site: Site, failing: Sequence[Pair], total: int, without: str = "") -> Html:
    if not total:
        return tag("p", _("None."))
    verdict = site.g.mirrors.verdict
    shown_pairs = sorted(failing, key=lambda p: (int(verdict[p.row]) != LEAKED, p.row))[:PAIRS]
    left = total - len(shown_pairs)
    more = _("{n} more are not listed: inspect CAPTURE --show-mirrors lists all of a capture.").format(n=f"{left:,}")
    return tables.pairs(
        site, shown_pairs, UP, _("Pairs that leaked or differ"), more if left > 0 else "", without=without
    )


def _examples(site: Site, pairs: Sequence[Pair], without: str) -> Iterator[Html]:
    m = site.g.mirrors
    found = [p for p in pairs if m.verdict[p.row] in (UNPROVEN, UNANSWERED)]
    if found:
        table = tables.pairs(
            site, found[:PAIRS], UP, _("Examples, some of each reason"), id_="example-table", without=without
        )
        yield section("examples", _("Unproven or unanswered"), table)


def day(site: Site, line: DayLine, version: str) -> Iterator[str]:
    """The page of a day."""
    yield from frame.page(line.name, _crumbs(site, (_("Days"), f"{UP}index.html#days")), _day(site, line), version)


def _day(site: Site, line: DayLine) -> Iterator[str]:
    yield _summary(line.figures)
    by_route = [(r, f) for r, number, f in site.cells if number == line.day]
    by_route.sort(key=lambda item: (-item[1].verdicts["leaked"], -item[1].differing, -item[1].mirrors))
    yield section("routes", _("Routes"), tables.by_route("route-table", _("Routes of this day"), by_route, UP))
    times = site.g.mirrors.time
    inside = [p for p in site.failing_pairs if day_of(int(times[p.row])) == line.day]
    yield section("pairs", _("Pairs that leaked or differ"), _pairs(site, inside, line.figures.failing))
    if line.figures.mirrors:
        yield section("times", _("Times"), tables.quantiles(line.figures))
    units = [u for u in site.units if u.unit.day == line.name]
    if units:
        links = [tag("li", frame.link(u.page, u.name, UP), " ", frame.state(u)) for u in units[:PAIRS]]
        left = len(units) - PAIRS
        rest = tag("li", _("and {n} more").format(n=f"{left:,}")) if left > 0 else None
        yield section("captures", _("Captures that begin on this day"), tag("ul", links, rest, class_="captures"))


def day_of(time: int) -> int | None:
    """The day of a time, in days since the epoch."""
    return None if time == ABSENT else time // DAY


def unit(site: Site, line: UnitLine, version: str) -> Iterator[str]:
    """The page of a capture."""
    crumbs = _crumbs(site, (_("Captures"), f"{UP}captures.html"))
    yield from frame.page(line.name, crumbs, _unit(site, line), version)


def _unit(site: Site, line: UnitLine) -> Iterator[str]:
    row = line.unit.row
    if line.unit.state == "failed":
        said = join(tag("strong", _("This capture could not be read.")), " ", escape(row["error"] or "?"))
        yield tag("p", said, class_="finding leaked")
        if row["hint"]:
            yield tag("p", _("What to do: {hint}").format(hint=escape(row["hint"])))
    elif row["finding"]:
        yield tag("p", escape(row["finding"]), class_=f"finding {blind.tone_of(line)}")
    if line.unit.state == "damaged" and row["error"]:
        yield tag("p", frame.state(line), " ", escape(row["error"]), " ", escape(row["hint"] or ""))
    yield _summary(line.figures) if line.figures.mirrors else tag("p", _("No mirror was seen in it."))
    yield section("files", _("Files"), _files(line), tables.run(line, "--show-mirrors") if line.unit.paths else None)
    if payload := blind.payload(line):
        yield tag("p", _("read: {shares}").format(shares=cells.read(payload)), class_="hint")
    failing = [p for p in line.pairs if site.g.mirrors.failing[p.row]]
    if line.figures.failing:
        found = _pairs(site, failing, line.figures.failing, "capture")
        yield section("pairs", _("Pairs that leaked or differ"), found)
    yield from _examples(site, line.pairs, "capture")
    sentences = [tag("li", escape(s)) for s in (row["unseen"] or ())[:SENTENCES]]
    if sentences:
        yield section("unseen", _("What could not be seen"), tag("ul", sentences, class_="unseen"))
    if line.figures.mirrors:
        yield section("times", _("Times"), tables.quantiles(line.figures))


def _files(line: UnitLine) -> Html:
    rows = []
    for part in line.unit.files[:PAIRS]:
        first, last = part["first"], part["last"]
        rows.append(
            [
                Cell(tag("code", escape(part["path"] or "?"))),
                Cell(escape(part["format"] or cells.NONE)),
                frame.number(part["bytes"] or 0),
                frame.number(part["packets"] or 0),
                Cell(words.when(first) if first is not None else cells.NONE),
                Cell(words.when(last) if last is not None else cells.NONE),
                Cell("; ".join(escape(w) for w in (part["warnings"] or ())[:SENTENCES]), class_="text"),
            ]
        )
    heads = [
        _("path"),
        _("format"),
        _("bytes"),
        _("packets"),
        _("first packet (UTC)"),
        _("last packet (UTC)"),
        _("warnings"),
    ]
    left = len(line.unit.files) - PAIRS
    more = _("and {n} more").format(n=f"{left:,}") if left > 0 else ""
    row = line.unit.row
    known = frame.facts(
        [
            (_("source"), escape(line.unit.source)),
            (_("connections"), f"{row['connections']:,}" if row["connections"] is not None else None),
            (_("exchanges"), f"{row['exchanges']:,}" if row["exchanges"] is not None else None),
            (_("read by version"), escape(row["version"] or "")),
            (_("options"), escape(row["options"] or "")),
        ]
    )
    return join(frame.grid("file-table", _("Files, in order"), heads, rows, (2, 3), more), known)


def pair(site: Site, one: Pair, version: str) -> Iterator[str]:
    """The page of a pair."""
    line = site.by_unit[one.unit]
    crumbs = _crumbs(site, (_("Pairs"), f"{UP}pairs.html"), (line.name, f"{UP}{line.page or 'captures.html'}"))
    yield from frame.page(frame.pair_name(site, one), crumbs, _pair(site, one), version)


def _pair(site: Site, one: Pair) -> Iterator[str]:
    v, line = one.values, site.by_unit[one.unit]
    why = ", ".join([word for word in v["proof"] or () if word] or [v["reason"] or ""])
    yield tag("p", frame.verdict(v["verdict"]), " ", _sentence(v), class_=f"finding {v['verdict']}")
    known = site.by_route[int(site.g.mirrors.route[one.row])]
    at = v["request_time"]
    yield frame.facts(
        [
            (_("request"), tag("bdi", cut_middle(cells.request(v["method"], v["path"]), MAX_TEXT))),
            (_("route"), frame.link(known.page, known.name, UP)),
            (_("capture"), frame.link(line.page, line.name, UP)),
            (_("time (UTC)"), words.when(at) if at is not None else None),
            (_("request id"), shown(v["request_id"]) if v["request_id"] else None),
            (_("proof or reason"), escape(why)),
            (_("paired by"), escape(", ".join(v["paired_by"] or ()))),
            (_("confidence"), f"{round((v['confidence'] or 0) * 100)} %"),
            (_("lag"), tables.lag_words(v["lag_ns"])),
        ]
    )
    if line.unit.paths:
        yield tag("p", _("The whole story, step by step, with its ladder diagram:"))
        yield tables.run(line, "--explain", str(one.number))
    yield section("legs", _("Legs"), _legs(site, one))
    yield section("differences", _("What differs"), _differences(one))
    yield section("evidence", _("Evidence"), _evidence(one, line))


def _sentence(v: dict[str, object]) -> str:
    return {
        "leaked": _("The client was given the mirror's response."),
        "discarded": _("The mirror's response was not passed to the client."),
        "unanswered": _("No response to the mirror was seen."),
        "unproven": _("The mirror's response arrived; the packets cannot show what the client was given."),
    }.get(str(v["verdict"]), "")


def _legs(site: Site, one: Pair) -> Html:
    v = one.values
    ends = {
        "downstream": (v["downstream_client"], v["downstream_server"]),
        "original": (v["proxy"], v["original_server"]),
        "mirror": (v["proxy"], v["mirror_server"]),
    }
    rows = []
    for leg in LEGS:
        client, server = ends[leg]
        packet, capture = v[f"{leg}_packet"], v[f"{leg}_capture"]
        lasted = v.get(f"{leg}_duration_ns")
        status = v[f"{leg}_status"]
        rows.append(
            (
                leg,
                cells.NONE if client is None else shown(client),
                cells.NONE if server is None else shown(server),
                cells.NONE if status is None else str(status),
                duration(lasted) or cells.NONE,
                _packet(site.by_unit[one.unit], capture, packet),
            )
        )
    heads = [_("leg"), _("from"), _("to"), _("status"), _("duration"), _("first packet of the request")]
    return simple(_("The legs of this request"), heads, rows, (3, 4))


def _packet(line: UnitLine, capture: int | None, packet: int | None) -> str:
    """`#12`, and of which file where there are several."""
    if packet is None:
        return _("not captured")
    if len(line.unit.paths) > 1 and capture is not None and 0 <= capture < len(line.unit.paths):
        name = cut_middle(escape(line.unit.paths[capture].rpartition("/")[2]), MAX_TEXT)
        return _("#{n} of {file}").format(n=packet, file=name)
    return f"#{packet}"


def _differences(one: Pair) -> Html:
    v = one.values
    told = []
    for key, name in (("status_same", _("status")), ("headers_same", _("headers")), ("body_same", _("body"))):
        same = v[key]
        said = _("not known") if same is None else _("the same") if same else _("differs")
        told.append((name, said))
    out = [frame.facts(told)]
    found = sorted(one.differences, key=lambda d: (bool(d["expected"]), d["part"] or "", d["field"] or ""))
    rows = []
    for d in found[:DIFFERENCES]:
        said = words.change(d["change"] or "")
        rows.append(
            (
                tag("code", cut_middle(shown(d["field"]), MAX_TEXT)) if d["field"] else _("(whole)"),
                words.part(d["part"] or ""),
                _("{change}; as a proxy does").format(change=said) if d["expected"] else said,
                tag("code", cut_middle(shown(d["original"], cells.NONE), MAX_TEXT)),
                tag("code", cut_middle(shown(d["copy"], cells.NONE), MAX_TEXT)),
            )
        )
    if rows:
        heads = [_("field"), _("part"), _("in the mirror"), _("original"), _("mirror")]
        out.append(simple(_("Differences, field by field"), heads, rows))
    left = len(found) - DIFFERENCES
    if left > 0:
        out.append(tag("p", _("and {n} more").format(n=f"{left:,}"), class_="hint"))
    return join(*out)


def _evidence(one: Pair, line: UnitLine) -> Html:
    found = one.values["evidence"] or ()
    items = [
        tag("li", tag("b", _packet(line, e["capture"], e["packet"])), f": {escape(retold(e['says'] or ''))}")
        for e in found[:EVIDENCE]
    ]
    numbers = sorted({e["packet"] for e in found if e["packet"] is not None})[:EVIDENCE]
    out = [tag("ul", items, class_="evidence")]
    if numbers and len(line.unit.paths) == 1:
        out.append(
            tag("p", _("In Wireshark:"), " ", tag("code", f"frame.number in {{{', '.join(map(str, numbers))}}}"))
        )
    left = len(found) - EVIDENCE
    if left > 0:
        out.append(tag("p", _("and {n} more").format(n=f"{left:,}"), class_="hint"))
    return join(*out)


def captures(site: Site, version: str) -> Iterator[str]:
    """The page of all captures."""
    body = [tables.unread(site, 10_000) or "", tables.captures(site)]
    yield from frame.page(_("Captures"), [(words.heading(site), "index.html")], body, version)


def pairs(site: Site, version: str) -> Iterator[str]:
    """The page of all pairs that have one of their own and leaked or differ."""
    found = site.failing_pairs
    n = site.failing
    said = several("{n} mirror leaked or was answered otherwise.", "{n} mirrors leaked or were answered otherwise.", n)
    body: list[str] = [tag("p", said.format(n=f"{n:,}"))]
    left = site.left["failing_pairs"]
    more = _("{n} more have no page; each route and each kind of difference has some here.").format(n=f"{left:,}")
    if found:
        body.append(tables.pairs(site, found, "", _("Pairs that leaked or differ, leaks first"), more if left else ""))
    yield from frame.page(_("Pairs that leaked or differ"), [(words.heading(site), "index.html")], body, version)
