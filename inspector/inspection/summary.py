"""The finding in one sentence, and what the captures cannot show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from inspector.inspection.tally import Tally
from inspector.mirror.share import share
from inspector.mirror.tables import Reason
from inspector.mirror.views import SummaryView


@dataclass(frozen=True)
class Encrypted:
    """A TLS stream: who opened it, to where, and the server name it asked for."""

    client: str
    server: str
    sni: str


@dataclass
class Seen:
    """Counts of the whole input that the exchanges do not hold."""

    packets: int
    segments: int
    connections: int
    protocols: dict[str, int]
    encrypted: list[Encrypted]
    cut_packets: int
    snaplen: int
    gap_bytes: int
    conflicts: int
    unconfirmed: int = 0
    cut_short: int = 0  # connections closed early, too many were open
    let_go: int = 0  # exchanges that no longer waited for a copy, too many did
    hurried: int = 0  # mirrors decided while a rival could still have come


def summarise(tally: Tally, seen: Seen) -> SummaryView:
    """All counts, the finding and what could not be seen."""
    return SummaryView(
        connections=seen.connections,
        exchanges=tally.exchanges,
        mirrors=tally.mirrors,
        verdicts=tally.by_verdict(),
        share=share(*tally.share()),
        protocols=seen.protocols,
        unseen=unseen(tally, seen),
        finding=finding(tally),
    )


def proxies(names: list[str]) -> str:
    """The proxies that sent the mirrors: "the proxy A", "the proxies A and B", "5 proxies"."""
    if len(names) == 1:
        return f"the proxy {names[0]}"
    return f"the proxies {', '.join(names[:-1])} and {names[-1]}" if len(names) <= 3 else f"{len(names)} proxies"


def finding(tally: Tally) -> str:
    """One sentence that says what was found."""
    total = tally.mirrors
    if not total:
        if not tally.exchanges:
            return "No mirrored request was found: no HTTP/1 exchange could be read."
        return f"No mirrored request was found among {plural(tally.exchanges, 'exchange')}."
    arrived, verdicts = tally.arrived, tally.by_verdict()
    leaked, discarded = verdicts.get("leaked", 0), verdicts.get("discarded", 0)
    silent, unproven = verdicts.get("unanswered", 0), verdicts.get("unproven", 0)
    noun = "response" if total == 1 else "responses"
    reached = f"{arrived:,} of {total:,} mirrored {noun} reached {proxies(tally.proxy_names())}"
    if leaked:
        was = "was" if leaked == 1 else "were"
        return f"{reached} and {leaked:,} {was} handed to the downstream: a leak."
    rest = []
    if silent:
        rest.append(f"{silent:,} {'mirror was' if silent == 1 else 'mirrors were'} not answered")
    if unproven:
        rest.append(f"{unproven:,} cannot be proven")
    tail = f" ({'; '.join(rest)})" if rest else ""
    if discarded and discarded == arrived:
        return f"{reached} and none was handed to the downstream{tail}."
    if discarded:
        shown = "is" if discarded == 1 else "are"
        return f"{reached}; {discarded:,} of them {shown} proven not to have been handed to the downstream{tail}."
    if arrived:
        return f"{reached}; these packets cannot show what the downstream was given."
    return f"None of {plural(total, 'mirrored request')} was answered."


def plural(n: int, word: str) -> str:
    """The number with the word, in the plural unless it is 1."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


REASONS = {
    Reason.NO_DOWNSTREAM_LEG: "the downstream leg of {n} is not in the capture: capture in the client's pod on `lo` and "
    "eth0 (tcpdump -i any), or in the gateway's pod",
    Reason.ENCRYPTED: "the downstream leg of {n} is encrypted: capture where it is in clear (on `lo` in the pod)",
    Reason.GAP: "bytes that would carry the proof for {n} were lost from the capture: capture with a larger buffer "
    "(tcpdump -B 65536) or a narrower filter",
    Reason.SNAPLEN: "packets that would carry the proof for {n} were cut by the snap length: capture with -s 0",
    Reason.MID_STREAM: "the capture starts inside the connections of {n}: start it before the traffic, or restart the "
    "connections",
    Reason.ORIGINAL_NOT_CAPTURED: "the original of {n} is not in the capture: capture where the proxy sends both",
    Reason.AMBIGUOUS: "equal requests were in flight together and {n} cannot be told apart: send a header that the proxy "
    "hands on (x-request-id), or test with one request at a time",
}


def unseen(tally: Tally, seen: Seen) -> list[str]:
    """Sentences: what could not be seen, and what to capture instead."""
    out = []
    reasons = tally.by_reason()
    for reason, sentence in REASONS.items():
        if reason in reasons:
            said = sentence.format(n=plural(reasons[reason], "mirror"))
            out.append(said[0].upper() + said[1:] + ".")
    if not seen.packets:
        out.append("The capture holds no packet: check the interface and the filter it was taken with.")
    elif not seen.segments:
        out.append("No TCP segment was seen: check the interface and the filter the capture was taken with.")
    elif not tally.exchanges and not seen.encrypted and not seen.protocols.get("h2"):
        out.append(
            "TCP was seen, but no HTTP/1 message in it: check the port or the filter the capture was taken with."
        )
    out += _encrypted(seen.encrypted)
    if seen.protocols.get("h2"):
        n = plural(seen.protocols["h2"], "stream")
        out.append(f"HTTP/2 is not read yet: {n} in clear were left out.")
    if seen.cut_packets:
        out.append(
            f"{plural(seen.cut_packets, 'packet')} {'was' if seen.cut_packets == 1 else 'were'} cut by the snap length "
            f"of {seen.snaplen} bytes: what lies behind is not read. Capture with -s 0."
        )
    if seen.gap_bytes:
        out.append(f"{plural(seen.gap_bytes, 'byte')} of TCP streams are missing from the capture.")
    if seen.unconfirmed:
        verb = "looks" if seen.unconfirmed == 1 else "look"
        out.append(
            f"{plural(seen.unconfirmed, 'packet')} behind such a gap {verb} like the start of a request or response, but no "
            "other packet confirms it: left out."
        )
    return out + _bounds(seen)


def _bounds(seen: Seen) -> list[str]:
    """Sentences about what a bound on memory dropped."""
    out = []
    if seen.cut_short:
        out.append(
            f"{plural(seen.cut_short, 'connection')} with payload had to be forgotten, the idlest first, since too many were "
            "open at once: their requests may look unanswered. Capture fewer addresses or ports at a time."
        )
    if seen.let_go:
        out.append(
            f"{plural(seen.let_go, 'exchange')} did not wait for a copy as long as --window says, since too many did: "
            "a copy sent much later than its original may be missed."
        )
    if seen.hurried:
        out.append(
            f"{plural(seen.hurried, 'mirror')} had to be decided while equal requests were still open, since too many waited: "
            "one of those may be the true original."
        )
    return out


def _encrypted(streams: list[Encrypted]) -> list[str]:
    if not streams:
        return []
    routes = Counter((s.client.rsplit(":", 1)[0], s.server, s.sni) for s in streams)
    shown = [f"{c} > {s}{f' ({name})' if name else ''}" for (c, s, name), _ in routes.most_common(3)]
    more = f" and {len(routes) - 3} more" if len(routes) > 3 else ""
    count = plural(len(streams), "TLS connection")
    advice = "Capture where the traffic is in clear (on `lo` in the pod), or switch mTLS off for the test."
    return [f"{count} cannot be read: {', '.join(shown)}{more}. {advice}"]
