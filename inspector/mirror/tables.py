"""Exchanges as columns: what the mirror room reads, and the links it writes beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

from inspector.ragged import Spans
from inspector.table import I16, I32, I64, U8, U16, U32, U64, Bool, Table

NONE = -1  # no such exchange, no such time
RUNS = ("text", "response_lines", "request_packets", "response_packets")  # columns of Exchanges


class Leg(IntEnum):
    """The part that an exchange plays for one user request."""

    OTHER = 0
    DOWNSTREAM = 1
    ORIGINAL = 2
    MIRROR = 3
    ATTEMPT = 4
    INBOUND = 5
    CASCADE = 6


class Sign(IntFlag):
    """What pairs a mirror with its original, strongest first."""

    REQUEST_ID = 1
    SUFFIX = 2
    XFF = 4
    INTERNAL = 8
    TRACE = 16
    CONTENT = 32  # method, path and body
    HEADERS = 64
    COUNT = 128  # more requests upstream than downstream
    TIME = 256
    ORDER = 512  # equals could be paired in several ways: paired in order

    @property
    def word(self) -> str:
        """The sign as it is written in `paired_by` and `--match`."""
        return (self.name or "").lower().replace("_", "-")


class Lossy(IntFlag):
    """What the capture lacks of the stream that an exchange's response came on, or would have."""

    CUT = 1  # bytes: lost, or cut off by the snap length
    UNENDED = 2  # its end: it was open when the capture ended
    LOST = 4  # bytes that no packet had


class Verdict(IntEnum):
    """What became of a mirror's response."""

    UNPROVEN = 0
    DISCARDED = 1
    LEAKED = 2
    UNANSWERED = 3


class Proof(IntFlag):
    """Why a verdict `discarded` holds."""

    CONTENT = 1
    TIME = 2
    COUNT = 4


class Reason(IntEnum):
    """Why a verdict is `unproven`."""

    NONE = 0
    NO_DOWNSTREAM_LEG = 1
    ENCRYPTED = 2
    GAP = 3
    SNAPLEN = 4
    MID_STREAM = 5
    ORIGINAL_NOT_CAPTURED = 6
    AMBIGUOUS = 7
    UNREAD = 8  # a protocol that is not read yet

    @property
    def word(self) -> str:
        """The reason as it is written."""
        return self.name.lower().replace("_", "-")


Address = tuple[int, int]


@dataclass(frozen=True)
class Hidden:
    """Who takes part in connections that are not read, and why they are not: those who serve them, and those who opened them."""

    servers: Mapping[Address, Reason] = field(default_factory=dict)
    clients: Mapping[Address, Reason] = field(default_factory=dict)


NOTHING_HIDDEN = Hidden()


class Delivered(IntEnum):
    """Whose response the downstream was given."""

    UNKNOWN = 0
    ORIGINAL = 1
    MIRROR = 2
    PROXY = 3


@dataclass(frozen=True, eq=False)
class Exchanges(Table):
    """One row a request with its response, or one of them alone. Times in ns; NONE (-1) where a side is missing.

    Hashes, facts and marks are those of `http.tables.Messages`.
    """

    id: I64
    connection: I64
    capture: I16
    client_hi: U64
    client_lo: U64
    client_port: U16
    server_hi: U64  # the address that the client dialled
    server_lo: U64
    server_port: U16
    wire_hi: U64  # the address on its packets
    wire_lo: U64
    synced: Bool  # the connection's start was captured
    lossy: U8  # Lossy
    version: U8
    request_time: I64
    request_end_time: I64
    response_time: I64
    response_end_time: I64
    request_facts: U32
    response_facts: U32
    request_marks: U32
    response_marks: U32
    status: I16
    attempt: I16
    request_bytes: I64
    response_bytes: I64
    request_hash: U64
    response_hash: U64
    response_decoded: (
        U64  # hash of the response body after its content codings are undone; response_hash where it has none
    )
    response_decoded_bytes: I64  # its length; response_bytes where it has none, -1 where they cannot be undone
    request_gap: I64
    response_gap: I64
    request_refused: I64  # bytes, head included, that its receiver had refused with a RST: they reached nobody
    response_refused: I64
    over_time: (
        I64  # of an exchange without a complete response: from then on no byte of one can come; NONE where not shown
    )
    silent: Bool  # so it ended, and no byte of a response was sent
    acknowledged: Bool  # the client acknowledged the response's last byte seen
    method: U64
    target: U64
    host: U64
    request_id: U64
    xff: U64
    trace: U64
    span: U64
    parent: U64
    headers: U64
    method_end: I32
    target_end: I32
    host_end: I32
    request_id_end: I32
    xff_end: I32
    content_type_end: I32
    text: Spans
    response_lines: Spans  # uint8: 8 bytes a header line that proxies rarely write, see http.tables.Messages
    request_packets: Spans
    response_packets: Spans

    def compact(self) -> Exchanges:
        """The same rows, holding nothing else alive: for what is kept beyond one step."""
        return self.replace(**{name: getattr(self, name).compact() for name in RUNS})


@dataclass(frozen=True, eq=False)
class Mirrors(Table):
    """One row a mirror; exchanges by row number in the Exchanges judged with it, NONE where there is none."""

    mirror: I64
    original: I64
    downstream: I64
    rivals: I32  # how many downstream exchanges could be this one's (1: it is certain)
    signs: U32  # Sign
    confidence: U8  # percent
    verdict: U8
    proof: U8
    reason: U8
    delivered: U8
