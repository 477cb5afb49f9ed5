"""What the captures cannot show, in sentences, and the counts that they are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector.capture.carried import carriers, datagrams
from inspector.capture.quic import QuicConnection
from inspector.inspection.counts import Tally
from inspector.inspection.refused import RefusedRoute
from inspector.inspection.unseen_routes import Encrypted, encrypted, plural, quic, refused
from inspector.lang import _, marked, several
from inspector.mirror.tables import Reason

CARRIERS = 5  # named of what is not looked into: the rest is counted


@dataclass
class InputCounts:
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
    alone: int = 0  # messages behind gaps that were taken up though only their direction was captured
    cut_short: int = 0  # connections closed early, too many were open
    let_go: int = 0  # exchanges that no longer waited for a copy, too many did
    unread: dict[str, int] = field(default_factory=dict)  # connections that were not read, by why
    near: dict[str, int] = field(default_factory=dict)  # of these, those of proxies, originals and mirrors seen here
    refused: list[RefusedRoute] = field(default_factory=list)  # connections that a proxy did not get beside an original
    lost: int = 0  # bytes that no packet brought and no snap length cut off
    end: tuple[int, bool] | None = None  # time of the last packet, and whether an input is cut off or damaged there
    damaged: bool = False  # an input was cut short or damaged
    encapsulated: int = 0  # packets that could not be taken out of their tunnel
    carried: dict[int, int] = field(default_factory=dict)  # packets by what they are in that is not looked into
    broken: int = 0  # packets whose headers are damaged or cut off
    proxied: int = 0  # connections that begin with a PROXY protocol header
    quic: list[QuicConnection] = field(default_factory=list)
    hurried: int = 0  # mirrors decided while a rival could still have come
    overtaken: int = 0  # requests given up, too many waited for a response
    gaps_forced: int = 0  # holes given up, too many bytes waited behind holes
    kept_too_much: int = 0  # messages whose bytes were dropped, too many waited for their rest
    tries_left_out: int = 0  # connections that were tried and not followed up, too many were


REASONS = {
    Reason.NO_DOWNSTREAM_LEG: marked(
        "the downstream leg of {n} is not in the capture: capture in the client's pod on `lo` and "
        "eth0 (tcpdump -i any), or in the gateway's pod"
    ),
    Reason.ENCRYPTED: marked(
        "the downstream leg of {n} is encrypted: capture where it is in clear (on `lo` in the pod)"
    ),
    Reason.UNREAD: marked("the downstream leg of {n} may be among {hidden}"),
    Reason.GAP: marked(
        "bytes that would carry the proof for {n} were lost from the capture: capture with a larger buffer "
        "(tcpdump -B 65536) or a narrower filter"
    ),
    Reason.SNAPLEN: marked("packets that would carry the proof for {n} were cut by the snap length: capture with -s 0"),
    Reason.MID_STREAM: marked(
        "the capture starts inside the connections of {n}: start it before the traffic, or restart the connections"
    ),
    Reason.ORIGINAL_NOT_CAPTURED: marked(
        "the original of {n} is not in the capture: capture where the proxy sends both"
    ),
    Reason.AMBIGUOUS: marked(
        "equal requests were in flight together and {n} cannot be distinguished: send a header that the proxy "
        "passes on (x-request-id), or test with one request at a time"
    ),
}


NOT_WHOLE = marked(
    "the responses that would carry the proof for {n} are not whole, though no packet was lost: let the capture run until "
    "they have ended"
)


def _without_original(n: int, tally: Tally, seen: InputCounts) -> list[str]:
    """The original is said not to be in the capture only where all of it was read."""
    out, doubled = [], min(tally.doubled, n)
    if doubled:
        out.append(
            _(
                "A request with the same request id is in the capture for {n} without an original, but they were not paired: "
                "it may have several mirrors."
            ).format(n=plural(doubled, "mirror"))
        )
    if n > doubled:
        hidden = _hidden(seen)
        said = _(REASONS[Reason.ORIGINAL_NOT_CAPTURED])
        if hidden:
            said = _("the original of {n} was not read: it may be among {hidden}")
        said = said.format(n=plural(n - doubled, "mirror"), hidden=hidden)
        out.append(said[0].upper() + said[1:] + ".")
    return out


def _hidden(seen: InputCounts) -> str:
    """What was not read and may hold an original."""
    parts = [_closed(seen)] if _closed(seen) else []
    if tls := seen.unread.get("tls", 0):
        parts.append(several("{n} encrypted connection", "{n} encrypted connections", tls).format(n=f"{tls:,}"))
    if partly := seen.unread.get("gaps", 0) + seen.unread.get("cut-heads", 0):
        said = several("{n} connection read in part", "{n} connections read in part", partly)
        parts.append(said.format(n=f"{partly:,}"))
    return ", ".join(parts)


def _closed(seen: InputCounts) -> str:
    """`3 HTTP/2 connections that are not read yet`: those of proxies, originals and mirrors, if there are any."""
    parts = []
    h2, quic = (seen.near.get(kind, 0) or seen.unread.get(kind, 0) for kind in ("h2", "quic"))
    if h2:
        parts.append(
            several(
                "{n} HTTP/2 connection that is not read yet", "{n} HTTP/2 connections that are not read yet", h2
            ).format(n=f"{h2:,}")
        )
    if quic:
        parts.append(
            several(
                "{n} QUIC connection that is not read yet", "{n} QUIC connections that are not read yet", quic
            ).format(n=f"{quic:,}")
        )
    return ", ".join(parts)


def unseen(tally: Tally, seen: InputCounts) -> list[str]:
    """Sentences: what could not be seen, and what to capture instead."""
    out = []
    reasons = tally.by_reason()
    if tally.unread_originals:
        reasons[Reason.ORIGINAL_NOT_CAPTURED] = reasons.get(Reason.ORIGINAL_NOT_CAPTURED, 0) + tally.unread_originals
    for reason, sentence in REASONS.items():
        if reason in reasons:
            if reason == Reason.ORIGINAL_NOT_CAPTURED:
                out += _without_original(reasons[reason], tally, seen)
                continue
            if reason == Reason.GAP and not seen.lost:
                sentence = NOT_WHOLE
            said = _(sentence).format(n=plural(reasons[reason], "mirror"), hidden=_closed(seen))
            out.append(said[0].upper() + said[1:] + ".")
    if not seen.packets:
        out.append(_("The capture holds no packet: check the interface and the filter it was taken with."))
    elif not seen.segments:
        out += _no_segment(seen)
    elif not tally.exchanges and not seen.encrypted and not seen.unread and not _named(seen):
        out.append(
            _("TCP was seen, but no HTTP/1 message in it: check the port or the filter the capture was taken with.")
        )
    out += _not_looked_into(seen.carried)
    out += refused(seen.refused)
    out += encrypted(seen.encrypted)
    out += quic(seen.quic)
    if seen.proxied:
        said = several(
            "{n} connection begins with a PROXY protocol header: the addresses in it are not read yet.",
            "{n} connections begin with a PROXY protocol header: the addresses in it are not read yet.",
            seen.proxied,
        )
        out.append(said.format(n=f"{seen.proxied:,}"))
    if seen.protocols.get("h2"):
        n = plural(seen.protocols["h2"], "stream")
        out.append(_("HTTP/2 is not read yet: {n} in clear were left out.").format(n=n))
    if seen.cut_packets:
        said = several(
            "{n} was cut by the snap length of {snaplen} bytes: what lies behind is not read. Capture with -s 0.",
            "{n} were cut by the snap length of {snaplen} bytes: what lies behind is not read. Capture with -s 0.",
            seen.cut_packets,
        )
        out.append(said.format(n=plural(seen.cut_packets, "packet"), snaplen=seen.snaplen))
    if seen.gap_bytes:
        n = plural(seen.gap_bytes, "byte")
        out.append(_("{n} of TCP streams are missing from the capture.").format(n=n))
    out += _unread(seen)
    return out + _behind_gaps(seen) + _bounds(seen)


def _behind_gaps(seen: InputCounts) -> list[str]:
    """Sentences about what begins like a message behind a gap and nothing confirms."""
    out = []
    if seen.unconfirmed:
        said = several(
            "{n} behind such a gap looks like the start of a request or response, but no other packet confirms it: left out.",
            "{n} behind such a gap look like the start of a request or response, but no other packet confirms it: left out.",
            seen.unconfirmed,
        )
        out.append(said.format(n=plural(seen.unconfirmed, "packet")))
    if seen.alone:
        said = several(
            "{n} message behind a gap was read from where a packet looks like its start: only one direction of its "
            "connection was captured, so nothing confirms it.",
            "{n} messages behind gaps were read from where packets look like their start: only one direction of their "
            "connections was captured, so nothing confirms them.",
            seen.alone,
        )
        out.append(said.format(n=f"{seen.alone:,}"))
    return out


def _named(seen: InputCounts) -> bool:
    """Whether what is no HTTP/1 is named for itself."""
    return any(seen.unread.get(kind) for kind in ("tls", "h2", "quic")) or bool(seen.protocols.get("h2"))


def _no_segment(seen: InputCounts) -> list[str]:
    """Why there is no TCP; empty where other sentences name what carries the packets, or QUIC."""
    if carriers(seen.carried) or seen.quic:
        return []
    if 2 * seen.broken > seen.packets:
        said = _("No TCP segment could be read: the headers of {n} are damaged. Take the capture again.")
        if 2 * seen.cut_packets > seen.packets:
            said = _("No TCP segment could be read: the headers of {n} are cut off. Capture with -s 0.")
        return [said.format(n=plural(seen.broken, "packet"))]
    ports = datagrams(seen.carried)
    many = sum(packets for _port, packets in ports)
    if 2 * many > seen.packets:
        said = several(
            "No packet is TCP: {n} is UDP, most of it of port {port}, and no tunnel that is looked into. "
            "Check the filter the capture was taken with.",
            "No packet is TCP: {n} are UDP, most of them of port {port}, and no tunnel that is looked into. "
            "Check the filter the capture was taken with.",
            many,
        )
        return [said.format(n=plural(many, "packet"), port=ports[0][0])]
    if seen.damaged:
        return [_("No TCP segment could be read: the capture is damaged, as its warnings say. Take it again.")]
    return [_("No TCP segment was seen: check the interface and the filter the capture was taken with.")]


def _not_looked_into(carried: dict[int, int]) -> list[str]:
    """What packets are in that is not looked into, though TCP may be inside."""
    found = carriers(carried)
    out = []
    for name, packets in found[:CARRIERS]:
        said = several(
            "{n} is in {name}, which is not looked into.", "{n} are in {name}, which is not looked into.", packets
        )
        out.append(said.format(n=plural(packets, "packet"), name=name))
    if rest := sum(packets for _name, packets in found[CARRIERS:]):
        said = several(
            "{n} more is in something else that is not looked into.",
            "{n} more are in something else that is not looked into.",
            rest,
        )
        out.append(said.format(n=plural(rest, "packet")))
    return out


def _unread(seen: InputCounts) -> list[str]:
    """How many connections were not read, and how many of them may hide something."""
    out = []
    total, near = sum(seen.unread.values()), sum(seen.near.values())
    if total and (seen.segments or seen.quic):
        said = several(
            "{n} was not read, or only in part ({kinds}).", "{n} were not read, or only in part ({kinds}).", total
        ).format(n=plural(total, "connection"), kinds=kinds(seen.unread))
        if near:
            more = several(
                "{n} of them has an end that is a proxy, an original or a mirror here: it may hold requests and mirrors "
                "that are not listed.",
                "{n} of them have an end that is a proxy, an original or a mirror here: they may hold requests and mirrors "
                "that are not listed.",
                near,
            ).format(n=f"{near:,}")
            said = f"{said} {more}"
        out.append(said)
    if seen.encapsulated:
        said = several(
            "{n} could not be taken out of its tunnel: what it carries is not read.",
            "{n} could not be taken out of their tunnels: what they carry is not read.",
            seen.encapsulated,
        )
        out.append(said.format(n=plural(seen.encapsulated, "packet")))
    return out


def kinds(counts: dict[str, int]) -> str:
    """`2 TLS, 1 with gaps`."""
    words = {
        "tls": _("{n} TLS"),
        "h2": _("{n} HTTP/2"),
        "quic": _("{n} QUIC"),
        "cut-heads": _("{n} cut by the snap length"),
        "gaps": _("{n} with gaps"),
    }
    return ", ".join(words[kind].format(n=f"{n:,}") for kind, n in counts.items())


def _bounds(seen: InputCounts) -> list[str]:
    """Sentences about what a bound on memory dropped."""
    out = []
    if seen.cut_short:
        out.append(
            _(
                "{n} with payload had to be forgotten, the idlest first, since too many were "
                "open at once: their requests may look unanswered. Capture fewer addresses or ports at a time."
            ).format(n=plural(seen.cut_short, "connection"))
        )
    out += _waiting(seen)
    if seen.let_go:
        out.append(
            _(
                "{n} did not wait for a copy as long as --window says, since too many did: "
                "a copy sent much later than its original may be missed."
            ).format(n=plural(seen.let_go, "exchange"))
        )
    if seen.hurried:
        out.append(
            _(
                "{n} had to be decided while equal requests were still open, since too many waited: "
                "one of those may be the true original."
            ).format(n=plural(seen.hurried, "mirror"))
        )
    return out


def _waiting(seen: InputCounts) -> list[str]:
    """Sentences about what waited for more, and was given up."""
    out = []
    if n := seen.overtaken:
        said = several(
            "{n} request is called unanswered since too many requests waited for a response: the oldest were given up.",
            "{n} requests are called unanswered since too many requests waited for a response: the oldest were given up.",
            n,
        )
        out.append(said.format(n=f"{n:,}"))
    if n := seen.gaps_forced:
        said = several(
            "{n} hole in a TCP stream was called lost before its time, since too many bytes waited behind holes.",
            "{n} holes in TCP streams were called lost before their time, since too many bytes waited behind holes.",
            n,
        )
        out.append(said.format(n=f"{n:,}"))
    if n := seen.kept_too_much:
        said = several(
            "The beginning of {n} message was dropped while its rest was waited for, since too many bytes waited.",
            "The beginnings of {n} messages were dropped while their rest was waited for, since too many bytes waited.",
            n,
        )
        out.append(said.format(n=f"{n:,}"))
    if n := seen.tries_left_out:
        said = several(
            "{n} connection that was tried was not followed up, since too many waited for an answer: it may have been a "
            "mirror's that was refused.",
            "{n} connections that were tried were not followed up, since too many waited for an answer: some may have been "
            "mirrors' that were refused.",
            n,
        )
        out.append(said.format(n=f"{n:,}"))
    return out
