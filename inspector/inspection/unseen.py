"""What the captures cannot show, in sentences."""

from __future__ import annotations

from collections import Counter

from inspector.capture.addresses import format_address
from inspector.capture.carried import carriers, datagrams
from inspector.capture.quic import QuicConnection
from inspector.inspection.counts import Tally
from inspector.inspection.given_up import given_up
from inspector.inspection.input_counts import Encrypted, InputCounts, plural
from inspector.inspection.refused import RefusedRoute
from inspector.lang import _, marked, several
from inspector.mirror.tables import Reason
from inspector.views.present import format_endpoint

ROUTES = 3  # named of each kind
CARRIERS = 5  # named of what is not looked into: the rest is counted


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


UNREACHABLE = {
    "network": marked("network unreachable"),
    "host": marked("host unreachable"),
    "protocol": marked("protocol unreachable"),
    "port": marked("port unreachable"),
    "route": marked("source route failed"),
    "filtered": marked("administratively prohibited"),
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
    out += _refused(seen.refused)
    out += _encrypted(seen.encrypted)
    out += _quic(seen.quic)
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
    return out + given_up(seen)


def _named(seen: InputCounts) -> bool:
    """Whether what is no HTTP/1 is named for itself."""
    return any(seen.unread.get(kind) for kind in ("tls", "h2", "quic")) or bool(seen.protocols.get("h2"))


def _no_segment(seen: InputCounts) -> list[str]:
    """Why there is no TCP; empty where the sentences on carriers and QUIC say so."""
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


def _refused(groups: list[RefusedRoute]) -> list[str]:
    """What a proxy tried just as it sent an original: the mirror's server may be down."""
    out = []
    for g in groups[:ROUTES]:
        if g.refused:
            said = several(
                "{n} connection of the proxy to {server} was refused within {time} of an original: a mirror whose server is "
                "down?",
                "{n} connections of the proxy to {server} were refused within {time} of an original: a mirror whose server is "
                "down?",
                g.n,
            )
        elif g.error is not None:
            said = several(
                "{n} connection of the proxy to {server}, tried within {time} of an original, could not be made: ICMP {what} by "
                "{by}, packet {packet}. Is it a mirror that cannot be reached?",
                "{n} connections of the proxy to {server}, tried within {time} of an original, could not be made: ICMP {what} by "
                "{by}, first in packet {packet}. Is it a mirror that cannot be reached?",
                g.n,
            )
        else:
            said = several(
                "{n} connection of the proxy to {server}, tried within {time} of an original, was not answered: a mirror that "
                "cannot be reached?",
                "{n} connections of the proxy to {server}, tried within {time} of an original, were not answered: a mirror "
                "that cannot be reached?",
                g.n,
            )
        whole = -(-g.within // 1_000_000)
        what, by = ("", "") if g.error is None else (_(UNREACHABLE[g.error[0]]), format_address(*g.error[1]))
        words = {"server": format_endpoint(*g.server), "time": f"{max(whole, 1)} ms", "what": what, "by": by}
        out.append(said.format(n=f"{g.n:,}", packet=g.packet, **words))
    return out


def _quic(found: list[QuicConnection]) -> list[str]:
    """The pairs of addresses that speak QUIC, those with the most packets first."""
    if not found:
        return []
    packets: Counter[tuple[str, str]] = Counter()
    for c in found:
        packets[format_address(*c.client), format_endpoint(*c.server, c.server_port)] += c.packets
    shown = [f"{client} > {server}" for (client, server), _n in packets.most_common(ROUTES)]
    rest = len(packets) - ROUTES
    more = " " + several("and {n} more", "and {n} more", rest).format(n=f"{rest:,}") if rest > 0 else ""
    said = several(
        "{n} QUIC connection with {packets} cannot be read: {routes}.",
        "{n} QUIC connections with {packets} cannot be read: {routes}.",
        len(found),
    )
    total = plural(sum(c.packets for c in found), "packet")
    return [said.format(n=f"{len(found):,}", packets=total, routes=", ".join(shown) + more)]


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


def _encrypted(streams: list[Encrypted]) -> list[str]:
    if not streams:
        return []
    routes = Counter((s.client.rsplit(":", 1)[0], s.server, s.sni) for s in streams)
    shown = [f"{c} > {s}{f' ({name})' if name else ''}" for (c, s, name), _times in routes.most_common(3)]
    rest = len(routes) - 3
    more = " " + several("and {n} more", "and {n} more", rest).format(n=rest) if rest > 0 else ""
    count = plural(len(streams), "TLS connection")
    advice = _("Capture where the traffic is in clear (on `lo` in the pod), or switch mTLS off for the test.")
    said = _("{count} cannot be read: {routes}. {advice}")
    return [said.format(count=count, routes=", ".join(shown) + more, advice=advice)]
