"""Sentences about what was not read, by who spoke to whom: TLS, QUIC, and connections that a proxy did not get."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from inspector.capture.addresses import format_address
from inspector.capture.quic import QuicConnection
from inspector.inspection.refused import RefusedRoute
from inspector.lang import _, marked, several
from inspector.views.present import format_endpoint

ROUTES = 3  # named of each kind

UNREACHABLE = {
    "network": marked("network unreachable"),
    "host": marked("host unreachable"),
    "protocol": marked("protocol unreachable"),
    "port": marked("port unreachable"),
    "route": marked("source route failed"),
    "filtered": marked("administratively prohibited"),
}


@dataclass(frozen=True)
class Encrypted:
    """A TLS stream: who opened it, to where, and the server name it asked for."""

    client: str
    server: str
    sni: str


def plural(n: int, word: str) -> str:
    """`1 mirror`, `12 packets`, in the language spoken."""
    forms = {
        "mirror": several("{n} mirror", "{n} mirrors", n),
        "stream": several("{n} stream", "{n} streams", n),
        "packet": several("{n} packet", "{n} packets", n),
        "byte": several("{n} byte", "{n} bytes", n),
        "connection": several("{n} connection", "{n} connections", n),
        "exchange": several("{n} exchange", "{n} exchanges", n),
        "TLS connection": several("{n} TLS connection", "{n} TLS connections", n),
    }
    return forms[word].format(n=f"{n:,}")


def refused(groups: list[RefusedRoute]) -> list[str]:
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


def quic(found: list[QuicConnection]) -> list[str]:
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


def encrypted(streams: list[Encrypted]) -> list[str]:
    """Who spoke TLS to whom, the most frequent first."""
    if not streams:
        return []
    routes = Counter((s.client.rsplit(":", 1)[0], s.server, s.sni) for s in streams)
    shown = [f"{c} > {s}{f' ({name})' if name else ''}" for (c, s, name), _times in routes.most_common(ROUTES)]
    rest = len(routes) - ROUTES
    more = " " + several("and {n} more", "and {n} more", rest).format(n=rest) if rest > 0 else ""
    count = plural(len(streams), "TLS connection")
    advice = _("Capture where the traffic is in clear (on `lo` in the pod), or switch mTLS off for the test.")
    said = _("{count} cannot be read: {routes}. {advice}")
    return [said.format(count=count, routes=", ".join(shown) + more, advice=advice)]
