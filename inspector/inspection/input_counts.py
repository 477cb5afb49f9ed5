"""What is counted of the whole input and stands in no exchange."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspector.capture.quic import QuicConnection
from inspector.inspection.refused import RefusedRoute
from inspector.lang import several


@dataclass(frozen=True)
class Encrypted:
    """A TLS stream: who opened it, to where, and the server name it asked for."""

    client: str
    server: str
    sni: str


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
