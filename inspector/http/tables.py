"""What http gives: messages as columns. It knows stream offsets only: no packets, no files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np

from inspector.ragged import Ragged, gather
from inspector.table import I16, I32, I64, U8, U32, U64, Table


class Protocol(IntEnum):
    """What the bytes of a stream are (column `Protocols.protocol`)."""

    UNKNOWN = 0
    HTTP1 = 1
    H2 = 2
    TLS = 3
    TUNNEL = 4  # after a 101 or a CONNECT: passed on
    OTHER = 5
    PROXY = 6  # a PROXY protocol header came first: what follows it is read as a connection is
    WEBSOCKET = 7  # after a 101


class Fact(IntFlag):
    """Facts about a message (column `Messages.facts`)."""

    COMPLETE = 1  # head and body were seen to their end
    HEAD_COMPLETE = 2
    CHUNKED = 4
    UNTIL_CLOSE = 8  # the body ends where the stream ends
    NO_BODY = 16  # HEAD, 204, 304, or no length given in a request
    BODY_GAP = 32  # bytes of the body are missing: body_hash means nothing
    CUT = 64  # of these, some were cut by the snap length
    ABORTED = 128  # the stream ended (FIN, RST) inside the message
    MIDSTREAM = 256  # the first message of a stream whose start was not captured
    RESYNCED = 512  # found again after a gap
    INTERIM = 1024  # a 1xx response came first (100, 103)
    UPGRADED = 2048  # 101, or a CONNECT that succeeded: what follows is passed on
    TRAILERS = 4096
    BARE_LF = 8192
    FOLDED = 16384  # obs-fold in a header
    LENGTH_CONFLICT = 32768  # contradicting content-length or with transfer-encoding: read as RFC 9112 section 6.3 says
    HEAD_TOO_LONG = 65536  # the head is longer than the limit: its fields are those before it
    CLOSE = 131072  # Connection: close (or HTTP/1.0 without keep-alive)
    BAD_LINE = 524288  # a request line that RFC 9112 section 3 calls invalid: blanks in the target, or too many
    REFUSED = 1048576  # all of it came when its receiver had reset the connection: set where tcp and http meet
    UNCONFIRMED = (
        2097152  # found again after a gap where only its direction was captured: nothing shows that it begins there
    )
    BAD_CHUNK = 262144  # chunked framing that cannot be read: the stream is lost until it is found again


class Mark(IntFlag):
    """Header fields seen (column `Messages.marks`), as far as pairing and proof care."""

    REQUEST_ID = 1
    XFF = 2
    ENVOY_INTERNAL = 4
    SAMPLED_0 = 8
    SAMPLED_1 = 16
    UPSTREAM_TIME = 32  # x-envoy-upstream-service-time: the response came from an upstream, Envoy passed it on
    SERVER_ENVOY = 64  # server: envoy or istio-envoy
    CONTENT_ENCODING = 128
    TRACE = 256
    GRPC = 512  # content-type: application/grpc...
    AUTHORITY_UNKNOWN = 1024  # HTTP/2 joined late: the field was in a table that was not captured
    PATH_UNKNOWN = 2048
    METHOD_UNKNOWN = 4096


@dataclass(frozen=True, eq=False)
class Messages(Table):
    """One row a request or a response (final ones: 1xx are a fact of what follows them), when it has ended.

    Hashes are XXH64 with seed 0; 0 where the field is absent. `text` holds method, target, host, request id,
    x-forwarded-for and content-type one after another; `*_end` says where each ends in it.

    Behind content_type_end, of a response: its lines. Eight bytes each, the little-endian XXH64 of `name:value` (the name in
    lower case, the value trimmed), for each header line that counts in `headers`, in the order in which they came, at most
    layout.LINES_KEPT; last, of a response to HEAD and of a 304, its content-length as `content-length:` and the number.
    """

    id: I64  # running number; a request's is smaller than its response's
    request: I64  # of a response: its request's id, -1 where it has none
    slot: I32
    stream: I64
    kind: U8  # 1 request, 2 response
    version: U8  # 10, 11, 20
    start: I64  # stream offset of the first byte
    head_end: I64  # of the first byte after the head
    end: I64  # of the first byte after the message (of what was seen of it)
    facts: U32
    marks: U32
    status: I16  # -1 for a request
    attempt: I16  # x-envoy-attempt-count, -1 where absent
    body_bytes: I64  # content bytes after chunked framing is taken off, as far as seen
    body_hash: U64  # of these bytes; meaningful without BODY_GAP
    gap_bytes: I64  # missing bytes inside the message
    decoded: U64  # body_hash, of a response after its content codings are undone
    decoded_bytes: (
        I64  # body_bytes, the same; -1 where they cannot be undone: unknown, damaged, incomplete, or beyond a limit
    )
    peer: I64  # what the packet of its first byte acknowledged of the other stream; tcp.tables.UNKNOWN where nobody can tell
    method: U64  # hashes ...
    target: U64
    host: U64
    request_id: U64
    xff: U64
    trace: U64  # trace id, span id, parent span id: from traceparent, b3 or x-b3-*
    span: U64
    parent: U64
    headers: U64  # order-free hash over the end-to-end header lines that a proxy has no reason to touch
    method_end: I32
    target_end: I32
    host_end: I32
    request_id_end: I32
    xff_end: I32
    content_type_end: I32
    text: Ragged


FIELDS = ("method", "target", "host", "request_id", "xff", "content_type")


def field_of(messages: Messages, name: str) -> Ragged:
    """One text field of every message, as a Ragged of uint8."""
    i = FIELDS.index(name)
    starts = np.zeros(len(messages), np.int64) if i == 0 else getattr(messages, FIELDS[i - 1] + "_end").astype(np.int64)
    ends = getattr(messages, name + "_end").astype(np.int64)
    return gather(messages.text.values, messages.text.offsets[:-1] + starts, ends - starts)


@dataclass(frozen=True, eq=False)
class Protocols(Table):
    """What a stream was found to be, a row each time that becomes known."""

    slot: I32
    stream: I64
    protocol: U8
    before: U8  # what was said of it before, 0 where nothing was
    sni: Ragged  # TLS: server name of the ClientHello, else empty
