"""What the report says first: leaks, what cannot be proven, and what else a reader must not miss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector.lang import several
from inspector.render.ladder_parts import host
from inspector.render.report.gather import ReportCounts, Some
from inspector.render.text import shown

STATUSES = 8  # pairs of statuses named


@dataclass(frozen=True)
class Finding:
    """One sentence, the mirrors that show it, and how many more there are. kind: a verdict, or "notable"."""

    kind: str
    says: str
    numbers: Sequence[int] = ()
    more: int = 0


def findings(g: ReportCounts) -> list[Finding]:
    """What is to be said beside the finding itself, the worst first."""
    out = []
    if leaked := g.by_verdict.get("leaked"):
        said = several(
            "{n} mirror leaked: the client was given the mirror's response.",
            "{n} mirrors leaked: their clients were given the mirror's response.",
            leaked.count,
        )
        out.append(_finding("leaked", said, leaked))
    for reason, some in sorted(g.by_reason.items(), key=lambda item: -item[1].count):
        said = several(
            "{n} mirror is unproven ({reason}): the packets do not show where its response went.",
            "{n} mirrors are unproven ({reason}): the packets do not show where their responses went.",
            some.count,
        )
        out.append(_finding("unproven", said, some, reason=reason))
    if silent := g.by_verdict.get("unanswered"):
        said = several(
            "No response to {n} mirror is in the capture.",
            "No response to {n} mirrors is in the capture.",
            silent.count,
        )
        out.append(_finding("unanswered", said, silent))
    out += _other(g)
    return out


def _finding(kind: str, said: str, some: Some, **words: str) -> Finding:
    says = said.format(n=f"{some.count:,}", **words)
    numbers = some.numbers[:12]
    return Finding(kind, says, numbers, some.count - len(numbers))


def _other(g: ReportCounts) -> list[Finding]:
    out = []
    pairs = sorted(g.answers.statuses.items(), key=lambda item: -item[1].count)
    if pairs:
        total = Some(sum(some.count for _pair, some in pairs), sorted(n for _pair, some in pairs for n in some.numbers))
        listed = ", ".join(f"{o} → {m} ({some.count:,})" for (o, m), some in pairs[:STATUSES])
        said = several(
            "{n} mirror was answered with another status than its original: {pairs}.",
            "{n} mirrors were answered with another status than their originals: {pairs}.",
            total.count,
        )
        out.append(_finding("notable", said, total, pairs=listed + (" …" if len(pairs) > STATUSES else "")))
    if calls := side_effects(g):
        said = several(
            "A server that gets copies made {n} further call because of them: a side effect of mirroring ({servers}).",
            "Servers that get copies made {n} further calls because of them: side effects of mirroring ({servers}).",
            sum(calls.values()),
        )
        listed = ", ".join(shown(server) for server in list(calls)[:STATUSES])
        out.append(Finding("notable", said.format(n=f"{sum(calls.values()):,}", servers=listed)))
    return out


def side_effects(g: ReportCounts) -> dict[str, int]:
    """Calls that servers made which get copies and nothing else, by the server that they called."""
    copies = {host(server) for leg, _client, server, _host in g.routes if leg == "mirror"}
    copies -= {host(server) for leg, _client, server, _host in g.routes if leg in ("original", "attempt")}
    out: dict[str, int] = {}
    for (leg, client, server, _host), n in g.routes.items():
        if leg == "cascade" and client in copies:
            out[server] = out.get(server, 0) + n
    return out
