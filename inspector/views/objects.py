"""Objects for what is shown: exchanges and mirrors as section 7 of the design has them in JSON.

Times are int nanoseconds since the epoch, durations int nanoseconds here; renderers write RFC 3339 and microseconds.
Text fields are str decoded from header bytes as latin-1; renderers escape them.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GapView:
    """Bytes that are missing inside a message, or before it: `unconfirmed`, and then `bytes` is 0."""

    side: str  # "request" or "response"
    bytes: int
    # "lost", "snaplen"; "reset": captured, but its receiver had reset the connection; "unconfirmed": nothing shows that it begins
    # there, one direction was captured
    reason: str


@dataclass(frozen=True, slots=True)
class ExchangeView:
    """A request and its response on one connection; what is missing is None (or an empty list of packets)."""

    id: int  # running number of the exchange in its inspection, from 1
    leg: str  # downstream, original, mirror, attempt, inbound, cascade, other
    capture: int
    client: str  # "addr:port"; IPv6 as "[addr]:port"
    server: str
    connection: int
    protocol: str
    method: str | None
    path: str | None
    host: str | None
    status: int | None
    request_id: str | None
    request_packets: list[int]
    response_packets: list[int]
    request_time: int | None
    response_time: int | None
    response_end_time: int | None
    duration: int | None  # request's first byte to response's last, ns
    request_body_bytes: int | None
    response_body_bytes: int | None
    response_body_hash: str | None  # "xxh64:<16 hex digits>"
    complete: bool
    gaps: list[GapView] = field(default_factory=list)

    @property
    def unread(self) -> tuple[str, int | None] | None:
        """Of a request that was captured at least in part and not read: why ("snaplen", "lost", "unread"), and its first
        packet, where it is known."""
        return None


@dataclass(frozen=True, slots=True)
class LoneResponseView(ExchangeView):
    """A response whose request was captured, and not read."""

    unread: tuple[str, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A packet and what it shows."""

    capture: int
    packet: int
    says: str


@dataclass(frozen=True, slots=True)
class CaptureEnd:
    """The end of the capture, where a request was still waiting for its response."""

    after: int  # ns between the request's last byte and the last packet
    cut: bool  # the file is cut off there


@dataclass(frozen=True, slots=True)
class MirrorView:
    """A mirror with its verdict and what proves it."""

    id: int  # from 1, in order of time
    request_id: str | None
    method: str | None
    path: str | None
    host: str | None
    proxy: str | None  # address without port
    original: ExchangeView | None
    mirror: ExchangeView
    downstream: ExchangeView | None
    paired_by: list[str]
    confidence: float
    lag: int | None  # ns, negative when the mirror was first
    verdict: str  # discarded, leaked, unanswered, unproven
    proof: list[str]  # content, time, count
    reason: str | None
    delivered: str  # original, mirror, proxy, unknown
    arrived: str  # complete, partial, none
    acknowledged: bool
    evidence: list[Evidence]
    rivals: int = 1  # downstream exchanges that it could belong to, and was judged for
    end: CaptureEnd | None = None  # of an unanswered mirror whose connection was open when the capture ended


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the requests that could have been mirrored were, with an exact 95 % binomial interval (percent)."""

    mirrored: int
    eligible: int
    percent: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class CaptureView:
    """A capture, as the JSON contract has it, with some more for people."""

    path: str
    format: str
    compression: str
    link_types: list[str]
    interfaces: list[str]
    packets: int
    bytes: int
    first: int | None
    last: int | None
    copies: int
    dropped_tail: bool
    faults: dict[str, int]
    warnings: list[str]
    read: dict[str, tuple[int, int]] = field(default_factory=dict)  # TCP payload by what it is: bytes, connections


@dataclass(frozen=True, slots=True)
class SummaryView:
    """Counts over all captures of an inspection."""

    connections: int
    exchanges: int
    mirrors: int
    verdicts: dict[str, int]
    share: Share
    protocols: dict[str, int]  # streams by protocol: http/1, h2, tls, other
    unseen: list[str]  # sentences: what could not be seen and what to capture instead
    finding: str  # the finding in one sentence
    unread: dict[str, int] = field(default_factory=dict)  # connections that were not read, by why
    near: dict[str, int] = field(
        default_factory=dict
    )  # of these, those with an end that is a proxy, original or mirror
    encapsulated: int = 0  # packets that could not be taken out of their tunnel

    @property
    def blind(self) -> bool:
        """Whether what was not read may hold requests or mirrors: a verdict over the rest is not one over the capture."""
        return bool(self.near) or not (self.exchanges or self.mirrors)
