"""The report's findings as sentences and links, the worst first; Markdown and the pages share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector.batch.report import blind
from inspector.batch.report.chosen import Pair
from inspector.batch.report.columns import LEAKED, UNANSWERED, UNPROVEN
from inspector.batch.report.model import RouteLine, Site, UnitLine
from inspector.lang import _, several
from inspector.render import cells
from inspector.render.text import clock, day, escape
from inspector.views.objects import Share

ROUTES = 8  # named in the findings
UNITS = 10  # captures named in the findings
STATUSES = 6  # pairs of statuses in a sentence
STILL = 0.001  # chance that a route at its share would have been silent by luck, below which it is reported


@dataclass(frozen=True)
class Answer:
    """One of the four questions that the first screen answers."""

    ask: str
    answer: str
    said: str
    kind: str  # class: a verdict, or ""
    anchor: str  # section of the index


@dataclass(frozen=True)
class StoreFinding:
    """A sentence, mirrors and routes that show it, and how many mirrors there are. kind: a verdict, "failed" or "notable"."""

    kind: str
    says: str
    pairs: Sequence[Pair] = ()
    total: int = 0
    routes: Sequence[RouteLine] = ()
    units: Sequence[UnitLine] = ()


def heading(site: Site) -> str:
    """The report's title, visible text."""
    if site.title:
        return escape(site.title)
    n = len(site.units)
    return several("Mirrors in {n} capture", "Mirrors in {n} captures", n).format(n=f"{n:,}")


def finding(site: Site) -> str:
    """All in a sentence or two."""
    f = site.total
    leaked, discarded, total = f.verdicts["leaked"], f.verdicts["discarded"], f.mirrors
    if not total:
        n = len(site.units)
        said = several(
            "No mirrored request was found in {n} capture.", "No mirrored request was found in {n} captures.", n
        )
        said = said.format(n=f"{n:,}")
    elif leaked:
        said = several(
            "{n} of {total} mirrors leaked: its client was given the mirror's response.",
            "{n} of {total} mirrors leaked: their clients were given the mirrors' responses.",
            leaked,
        ).format(n=f"{leaked:,}", total=f"{total:,}")
    elif discarded == total:
        said = several(
            "No leak: the response of the one mirror is proven not to have been passed to the client.",
            "No leak: the responses of all {total} mirrors are proven not to have been passed to the clients.",
            total,
        ).format(total=f"{total:,}")
    else:
        said = _(
            "No leak was seen; {n} of {total} mirrors are proven to be discarded, of the others the packets show less."
        )
        said = said.format(n=f"{discarded:,}", total=f"{total:,}")
    failed, partly = site.states["failed"], len(blind.units(site))
    if failed:
        more = several("{n} capture could not be read.", "{n} captures could not be read.", failed)
        said = f"{said} {more.format(n=f'{failed:,}')}"
    if partly:
        more = several(
            "{n} capture holds something that was not read.", "{n} captures hold something that was not read.", partly
        )
        said = f"{said} {more.format(n=f'{partly:,}')}"
    return said


def span(site: Site) -> str:
    """From when to when, and since when only."""
    times = [t for u in site.units for t in (u.unit.row["first"], u.unit.row["last"]) if t is not None]
    said = (
        _("no times")
        if not times
        else _("{first} to {last} (UTC)").format(first=when(min(times)), last=when(max(times)))
    )
    n = several("{n} exchange", "{n} exchanges", site.exchanges).format(n=f"{site.exchanges:,}")
    parts = [said, n]
    if site.g.since is not None:
        parts.append(_("nothing before {time} is counted").format(time=when(site.g.since)))
    return " · ".join(parts)


def when(time: int) -> str:
    """`2026-11-21 03:09:26`."""
    return f"{day(time)} {clock(time)[:8]}"


def answers(site: Site) -> list[Answer]:
    """The four questions."""
    return [_leaking(site), _mirrored(site), _differing(site), _missing(site)]


def _leaking(site: Site) -> Answer:
    f = site.total
    n = f.verdicts["leaked"]
    parts = [
        several("{n} is proven discarded", "{n} are proven discarded", f.verdicts["discarded"]).format(
            n=f"{f.verdicts['discarded']:,}"
        )
    ]
    if f.verdicts["unproven"]:
        unproven = several("{n} is unproven", "{n} are unproven", f.verdicts["unproven"])
        parts.append(unproven.format(n=f"{f.verdicts['unproven']:,}"))
    if not f.mirrors:
        return Answer(_("Is anything leaking?"), _("No mirror seen"), "", "", "findings")
    said = several("Of {n} mirror: {rest}", "Of {n} mirrors: {rest}", f.mirrors)
    said = said.format(n=f"{f.mirrors:,}", rest="; ".join(parts))
    if n:
        answer = several("Yes: {n} leak", "Yes: {n} leaks", n).format(n=f"{n:,}")
        return Answer(_("Is anything leaking?"), answer, said, "leaked", "findings")
    return Answer(_("Is anything leaking?"), _("No leak seen"), said, blind.tone(site), "findings")


def _mirrored(site: Site) -> Answer:
    s = site.total.share
    if s.percent is None:
        return Answer(_("How much is mirrored?"), *blind.none_mirrored(site), "", "routes")
    routes = [line for line in site.routes if line.figures.share.percent is not None]
    said = share_words(s)
    if len(routes) > 1:
        low, high = (f(float(line.figures.share.percent or 0) for line in routes) for f in (min, max))
        each = _("by route {low} to {high} %").format(low=cells.percent(low), high=cells.percent(high))
        said = f"{said}; {each}"
    return Answer(_("How much is mirrored?"), f"{cells.percent(s.percent)} %", said, "", "routes")


def share_words(s: Share) -> str:
    """`18 of 40 requests, 95 % interval 29.3 to 61.5 %`."""
    if s.low is None or s.high is None:
        return cells.share(s)
    said = several(
        "{mirrored} of {n} request, 95 % interval {low} to {high} %",
        "{mirrored} of {n} requests, 95 % interval {low} to {high} %",
        s.eligible,
    )
    low, high = cells.percent(s.low), cells.percent(s.high)
    return said.format(mirrored=f"{s.mirrored:,}", n=f"{s.eligible:,}", low=low, high=high)


def _differing(site: Site) -> Answer:
    f = site.total
    if not f.compared:
        return Answer(
            _("Do the answers differ?"), _("Not known"), _("No pair was answered on both sides"), "", "differences"
        )
    pairs = several("of {n} pair that was answered", "of {n} pairs that were answered", f.compared)
    pairs = pairs.format(n=f"{f.compared:,}")
    if not f.differing:
        answer = _("None differs") if not f.answers["unknown"] else _("No difference seen")
        return Answer(_("Do the answers differ?"), answer, pairs, "", "differences")
    said = _("{pairs}: {status} by status, {body} by body").format(
        pairs=pairs, status=f"{f.answers['status']:,}", body=f"{f.answers['body']:,}"
    )
    answer = several("{n} differs", "{n} differ", f.differing).format(n=f"{f.differing:,}")
    return Answer(_("Do the answers differ?"), answer, said, "unanswered", "differences")


def _missing(site: Site) -> Answer:
    states, f, found = site.states, site.total, {b.kind: b.n for b in blind.of(site)}
    unread, tunnelled, silent = blind.connections(found), found.get("encapsulated", 0), found.get("no-http", 0)
    parts = []
    for n, said in (
        (states["damaged"], several("{n} capture read in part", "{n} captures read in part", states["damaged"])),
        (unread, several("{n} connection not read in full", "{n} connections not read in full", unread)),
        (tunnelled, several("{n} packet in a tunnel not read", "{n} packets in tunnels not read", tunnelled)),
        (silent, several("{n} capture without readable HTTP", "{n} captures without readable HTTP", silent)),
        (f.verdicts["unproven"], several("{n} mirror unproven", "{n} mirrors unproven", f.verdicts["unproven"])),
        (
            f.verdicts["unanswered"],
            several("{n} mirror unanswered", "{n} mirrors unanswered", f.verdicts["unanswered"]),
        ),
        (f.answers["unknown"], several("{n} body not whole", "{n} bodies not whole", f.answers["unknown"])),
    ):
        if n:
            parts.append(said.format(n=f"{n:,}"))
    n = states["failed"]
    if n:
        answer = several("{n} capture unread", "{n} captures unread", n).format(n=f"{n:,}")
    elif found:
        partly = len(blind.units(site))
        answer = several("{n} capture not seen in full", "{n} captures not seen in full", partly)
        answer = answer.format(n=f"{partly:,}")
    else:
        answer = _("All captures were read")
    if n or found or parts:
        return Answer(_("What could not be seen?"), answer, "; ".join(parts), "unproven", "unseen")
    return Answer(_("What could not be seen?"), answer, _("Nothing is known to be missing"), "discarded", "unseen")


def findings(site: Site) -> list[StoreFinding]:
    """What must not be missed."""
    out = _leaks(site)
    g, f, m = site.g, site.total, site.g.mirrors
    for reason, n in sorted(f.reasons.items(), key=lambda item: -item[1]):
        said = several(
            "{n} mirror is unproven ({reason}): the packets do not show where its response went.",
            "{n} mirrors are unproven ({reason}): the packets do not show where their responses went.",
            n,
        ).format(n=f"{n:,}", reason=escape(reason) or "?")
        rows = [
            p for row, p in site.pairs.items() if m.verdict[row] == UNPROVEN and g.reasons[int(m.reason[row])] == reason
        ]
        out.append(StoreFinding("unproven", said, rows, n))
    if n := f.verdicts["unanswered"]:
        said = several(
            "No response to {n} mirror is in its capture.", "No response to {n} mirrors is in their captures.", n
        ).format(n=f"{n:,}")
        rows = [p for row, p in site.pairs.items() if m.verdict[row] == UNANSWERED]
        out.append(StoreFinding("unanswered", said, rows, n))
    out += [StoreFinding("notable", b.says, units=b.units, total=len(b.units)) for b in blind.of(site)]
    out += _stopped(site)
    out += _silent(site)
    failed = [line for line in site.units if line.unit.state == "failed"]
    if failed:
        said = several("{n} capture could not be read.", "{n} captures could not be read.", len(failed))
        out.append(StoreFinding("failed", said.format(n=f"{len(failed):,}"), units=failed, total=len(failed)))
    return out


def _leaks(site: Site) -> list[StoreFinding]:
    out = []
    leaking = [line for line in site.routes if line.figures.verdicts["leaked"]]
    for line in leaking[:ROUTES]:
        n = line.figures.verdicts["leaked"]
        said = several(
            "{n} of {total} mirrors of {route} leaked: its client was given the mirror's response.",
            "{n} of {total} mirrors of {route} leaked: their clients were given the mirrors' responses.",
            n,
        ).format(n=f"{n:,}", total=f"{line.figures.mirrors:,}", route=line.name)
        pairs = [p for p in line.pairs if site.g.mirrors.verdict[p.row] == LEAKED]
        out.append(StoreFinding("leaked", said, pairs, n, [line]))
    rest = leaking[ROUTES:]
    if rest:
        n = sum(line.figures.verdicts["leaked"] for line in rest)
        said = several("{n} more leak in {routes} further routes.", "{n} more leaks in {routes} further routes.", n)
        out.append(
            StoreFinding("leaked", said.format(n=f"{n:,}", routes=f"{len(rest):,}"), routes=rest[:ROUTES], total=n)
        )
    return out


def _stopped(site: Site) -> list[StoreFinding]:
    """Routes whose requests go on after the last copy of one, longer than their share would be silent by luck."""
    out = []
    for line in site.routes:
        last = max((i for i, (_at, f) in enumerate(line.slots) if f.share.mirrored), default=None)
        low = line.figures.share.low
        if last is None or not low:
            continue
        silent = sum(f.share.eligible for _at, f in line.slots[last + 1 :])
        if silent and (1 - low / 100) ** silent < STILL:
            said = several(
                "No request of {route} was mirrored after {time}, though {n} was sent.",
                "No request of {route} was mirrored after {time}, though {n} were sent.",
                silent,
            )
            at = when(line.slots[last][0] + site.g.slot)
            out.append(StoreFinding("notable", said.format(route=line.name, time=at, n=f"{silent:,}"), routes=[line]))
    return out[:ROUTES]


def _silent(site: Site) -> list[StoreFinding]:
    """Captures with requests that are mirrored elsewhere, and no copy of any."""
    found = [u for u in site.units if u.figures.share.eligible and not u.figures.share.mirrored]
    if not found:
        return []
    n = sum(u.figures.share.eligible for u in found)
    said = several(
        "{n} capture holds requests ({requests}) that the same proxy mirrors in other captures, and no copy of any.",
        "{n} captures hold requests ({requests}) that the same proxies mirror in other captures, and no copy of any.",
        len(found),
    ).format(n=f"{len(found):,}", requests=f"{n:,}")
    return [StoreFinding("notable", said, units=found, total=len(found))]


def statuses(found: Sequence[tuple[int, int, int]]) -> str:
    """`200 → 500 (13), ...`."""
    listed = ", ".join(f"{o} → {m} ({n:,})" for o, m, n in found[:STATUSES])
    return listed + (" …" if len(found) > STATUSES else "")


def change(word: str) -> str:
    """What became of a field in the mirror's answer."""
    return {
        "added": _("only in the mirror's"),
        "removed": _("only in the original's"),
        "changed": _("another value"),
    }.get(word, escape(word))


def part(word: str) -> str:
    """Where a field stands."""
    return {"header": _("header"), "body": _("body"), "request": _("request"), "status": _("status")}.get(
        word, escape(word)
    )
