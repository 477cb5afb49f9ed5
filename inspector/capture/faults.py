"""Fault codes: what is wrong in a capture is counted under one of these in `CaptureInfo.faults`."""

from __future__ import annotations

from inspector.capture.tables import CaptureInfo
from inspector.lang import _

# Faults of the file, met while records are read.
TRUNCATED_RECORD = "truncated-record"
DAMAGED_RECORD = "damaged-record"
RECORD_TIME = "record-time"  # a time that cannot be: the previous packet's is used
LINE_ENDS = "line-ends"  # a terminal wrote CR LF for each LF, which was undone
DECOMPRESSION = "decompression"
READ_ERROR = "read-error"
UNKNOWN_LINK_TYPE = "unknown-link-type"
UNKNOWN_INTERFACE = "unknown-interface"  # pcapng: a packet of an interface that was never described
FRAGMENT_INCOMPLETE = "fragment-incomplete"  # a datagram of which fragments are missing
FRAGMENT_LIMIT = "fragment-limit"  # a datagram given up because too many were open
FRAGMENT_OVERLAP = "fragment-overlap"  # IPv6: RFC 5722 has such datagrams dropped

# Faults of a packet's headers, as the decoding kernels number them.
NONE = 0
CUT_HEADER = 1  # the snap length cut a header off
SHORT_HEADER = 2  # the packet ends inside a header
BAD_IPV4 = 3
BAD_IPV6 = 4
BAD_TCP = 5
BAD_TUNNEL = 6
TUNNEL_DEPTH = 7
BAD_LINK = 8
BAD_FRAGMENT = 9

HEADER_FAULTS = (
    "",
    "cut-header",
    "short-header",
    "malformed-ipv4",
    "malformed-ipv6",
    "malformed-tcp",
    "malformed-tunnel",
    "tunnel-depth",
    "malformed-link",
    "malformed-fragment",
)

MAX_WARNINGS = 20


def count_faults(info: CaptureInfo, code: str, times: int) -> None:
    """Count `times` faults under `code`."""
    if times:
        info.faults[code] = info.faults.get(code, 0) + int(times)


def warn(info: CaptureInfo, sentence: str) -> None:
    """Keep a sentence for people; after MAX_WARNINGS of them only that there were more."""
    if len(info.warnings) < MAX_WARNINGS:
        info.warnings.append(sentence)
    elif len(info.warnings) == MAX_WARNINGS:
        info.warnings.append(_("There are more warnings of this kind; the fault counts have all of them."))
