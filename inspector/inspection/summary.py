"""All counts, and the finding in one sentence."""

from __future__ import annotations

from inspector.inspection.counts import Tally
from inspector.inspection.unseen import InputCounts, unseen
from inspector.inspection.unseen_routes import plural
from inspector.lang import _, several
from inspector.views.objects import SummaryView
from inspector.views.sentences import capture_ends, span
from inspector.views.share import share


def summarise(tally: Tally, seen: InputCounts) -> SummaryView:
    """All counts, the finding and what could not be seen."""
    blind = not tally.mirrors and (seen.near or not tally.exchanges)
    return SummaryView(
        connections=seen.connections,
        exchanges=tally.exchanges,
        mirrors=tally.mirrors,
        verdicts=tally.by_verdict(),
        share=share(0, 0) if blind else share(*tally.share()),
        protocols=seen.protocols,
        unseen=unseen(tally, seen) + ([candidates(tally.candidates)] if tally.mirrors and tally.candidates else []),
        finding=finding(tally, seen),
        unread=seen.unread,
        near=seen.near,
        encapsulated=seen.encapsulated,
    )


def proxies(names: list[str]) -> str:
    """The proxies that sent the mirrors: "the proxy A", "the proxies A and B", "5 proxies"."""
    if len(names) == 1:
        return _("the proxy {name}").format(name=names[0])
    if len(names) <= 3:
        return _("the proxies {names} and {last}").format(names=", ".join(names[:-1]), last=names[-1])
    return _("{n} proxies").format(n=len(names))


def finding(tally: Tally, seen: InputCounts) -> str:
    """One sentence that says what was found."""
    total = tally.mirrors
    if not total:
        if not tally.exchanges:
            return _("No mirrored request was found: no HTTP/1 exchange could be read.")
        if tally.candidates:
            return candidates(tally.candidates)
        said = several(
            "No mirrored request was found among {n} exchange.",
            "No mirrored request was found among {n} exchanges.",
            tally.exchanges,
        )
        return said.format(n=f"{tally.exchanges:,}")
    arrived, verdicts = tally.arrived, tally.by_verdict()
    leaked, discarded = verdicts.get("leaked", 0), verdicts.get("discarded", 0)
    reached = several(
        "{arrived} of {total} mirrored response reached {proxies}",
        "{arrived} of {total} mirrored responses reached {proxies}",
        total,
    ).format(arrived=f"{arrived:,}", total=f"{total:,}", proxies=proxies(tally.proxy_names()))
    waiting = _waiting(tally, seen.end)
    if leaked:
        said = several(
            "{reached} and {n} was handed to the downstream: a leak.",
            "{reached} and {n} were handed to the downstream: a leak.",
            leaked,
        )
        said = said.format(reached=reached, n=f"{leaked:,}")
        return f"{said} {waiting[0].upper()}{waiting[1:]}." if waiting else said
    tail = _rest(verdicts.get("unanswered", 0) - tally.waiting, verdicts.get("unproven", 0), waiting)
    if discarded and discarded == arrived:
        said = _("{reached} and none was handed to the downstream{tail}.")
    elif discarded:
        said = several(
            "{reached}; {n} of them is proven not to have been handed to the downstream{tail}.",
            "{reached}; {n} of them are proven not to have been handed to the downstream{tail}.",
            discarded,
        )
    elif arrived:
        said = _("{reached}; these packets cannot show what the downstream was given.")
    elif verdicts.get("unproven", 0):
        said = several(
            "No response to the {total} mirrored request is in the capture, though bytes of it were acknowledged.",
            "No response to the {total} mirrored requests is in the capture, though bytes of some were acknowledged.",
            total,
        )
    elif tally.waiting == total:
        said = _("No response is in the capture: {waiting}.").format(waiting=waiting)
    elif waiting:
        said = _("No mirrored request was answered{tail}.")
    else:
        said = several(
            "None of {total} mirrored request was answered.", "None of {total} mirrored requests was answered.", total
        )
    return said.format(reached=reached, n=f"{discarded:,}", tail=tail, total=f"{total:,}")


def candidates(n: int) -> str:
    """That requests may be copies, and are not shown to be."""
    return several(
        "{n} request may be a copy, but the packets do not show it: a proxy sent two at once, and either server's answer may be "
        "the one that clients get.",
        "{n} requests may be copies, but the packets do not show it: a proxy sent two at once, and either server's answer may be "
        "the one that clients get.",
        n,
    ).format(n=f"{n:,}")


def _waiting(tally: Tally, end: tuple[int, bool] | None) -> str:
    """`1 mirror had no response yet: the capture ends 0.23 ms later`, or nothing."""
    if not tally.waiting or end is None:
        return ""
    last, cut = end
    longest, shortest = (span(max(last - sent, 0)) for sent in tally.waited)
    later = longest if longest == shortest else _("{shortest} to {longest}").format(shortest=shortest, longest=longest)
    said = several("{n} had no response yet: {end}", "{n} had no response yet: {end}", tally.waiting)
    return said.format(n=plural(tally.waiting, "mirror"), end=capture_ends(later, cut))


def _rest(silent: int, unproven: int, waiting: str) -> str:
    """` (1 mirror was not answered; 2 cannot be proven)`, or nothing."""
    rest = [waiting] if waiting else []
    if silent:
        said = several("{n} mirror was not answered", "{n} mirrors were not answered", silent)
        rest.append(said.format(n=f"{silent:,}"))
    if unproven:
        rest.append(several("{n} cannot be proven", "{n} cannot be proven", unproven).format(n=f"{unproven:,}"))
    return f" ({'; '.join(rest)})" if rest else ""
