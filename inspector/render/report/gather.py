"""What the report counts over all mirrors and exchanges, in one pass over each; memory is bounded but for the times."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from inspector.render.ladder_parts import host
from inspector.render.likeness import same
from inspector.render.source import Shown
from inspector.views.objects import CaptureView, ExchangeView, MirrorView, SummaryView

MIRRORS = 1000  # in the table at most, those that alarm first
TOLD = 5  # told in full
LINKED = 12  # mirrors that a finding links to
KINDS = 5000  # (leg, client, server, host) that are told apart
ALARMING = ("leaked", "unproven", "unanswered")
UPSTREAM = ("original", "attempt", "mirror")


@dataclass
class Some:
    """How many mirrors, and the first of them."""

    count: int = 0
    numbers: list[int] = field(default_factory=list)

    def add(self, number: int, most: int = LINKED) -> None:
        """One more."""
        self.count += 1
        if len(self.numbers) < most:
            self.numbers.append(number)


@dataclass
class Answers:
    """Original against mirror, pair by pair, as far as both were answered."""

    pairs: int = 0
    same: int = 0
    unknown: Some = field(default_factory=Some)
    bodies: Some = field(default_factory=Some)  # the same status, another body
    statuses: dict[tuple[int, int], Some] = field(default_factory=dict)
    one_sided: int = 0  # one of the two, or both, had no response


Route = tuple[str, str, str, str]  # leg, client's address, server's endpoint, host as asked for


@dataclass
class ReportCounts:
    """Counts for the report. Times in ns."""

    captures: Sequence[CaptureView]
    summary: SummaryView
    by_verdict: dict[str, Some] = field(default_factory=dict)
    by_reason: dict[str, Some] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    lags: array[int] = field(default_factory=lambda: array("q"))
    latency: dict[str, array[int]] = field(default_factory=dict)  # by leg: request's first byte to response's last
    routes: Counter[Route] = field(default_factory=Counter)
    other_routes: int = 0  # exchanges of routes beyond KINDS
    proxies: set[str] = field(default_factory=set)
    leaks: Counter[tuple[str, str]] = field(default_factory=Counter)  # (proxy, mirror's server)

    @property
    def span(self) -> int:
        """From the first to the last packet, ns."""
        first = [c.first for c in self.captures if c.first is not None]
        last = [c.last for c in self.captures if c.last is not None]
        return max(last) - min(first) if first and last else 0

    def chosen(self) -> list[int]:
        """The mirrors for the table, those that alarm first."""
        words = [*ALARMING, *(w for w in self.by_verdict if w not in ALARMING)]
        return [n for w in words if w in self.by_verdict for n in self.by_verdict[w].numbers][:MIRRORS]

    def told(self) -> list[int]:
        """The mirrors to be reported in full: those that alarm, or the first as an example."""
        alarming = sum(self.by_verdict[w].count for w in ALARMING if w in self.by_verdict)
        return self.chosen()[: min(alarming, TOLD) or 1]


def gather(source: Shown) -> ReportCounts:
    """Count mirrors and exchanges."""
    g = ReportCounts(source.captures, source.summary)
    for m in source.mirror_views():
        _mirror(g, m)
    _routes(g, source.exchange_views())
    g.proxies |= {client for leg, client, _server, _host in g.routes if leg in UPSTREAM}
    return g


def _mirror(g: ReportCounts, m: MirrorView) -> None:
    g.by_verdict.setdefault(m.verdict, Some()).add(m.id, MIRRORS)
    if m.verdict == "unproven":
        g.by_reason.setdefault(m.reason or "", Some()).add(m.id)
    if m.lag is not None:
        g.lags.append(m.lag)
    for x in (m.downstream, m.original, m.mirror):
        if x is not None and x.duration is not None:
            g.latency.setdefault(x.leg, array("q")).append(x.duration)
    proxy = m.proxy if m.proxy is not None else host(m.mirror.client)
    g.proxies.add(proxy)
    if m.verdict == "leaked":
        g.leaks[proxy, m.mirror.server] += 1
    if m.original is not None:
        _answers(g.answers, m.id, m.original, m.mirror)


def _answers(a: Answers, number: int, original: ExchangeView, mirror: ExchangeView) -> None:
    if original.status is None or mirror.status is None:
        a.one_sided += 1
        return
    a.pairs += 1
    alike = same(original, mirror)
    if original.status != mirror.status:
        a.statuses.setdefault((original.status, mirror.status), Some()).add(number)
    elif alike is None:
        a.unknown.add(number)
    elif alike:
        a.same += 1
    else:
        a.bodies.add(number)


def _routes(g: ReportCounts, exchanges: Iterable[ExchangeView]) -> None:
    for x in exchanges:
        key = x.leg, host(x.client), x.server, x.host or ""
        if key in g.routes or len(g.routes) < KINDS:
            g.routes[key] += 1
        else:
            g.other_routes += 1
