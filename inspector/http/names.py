"""Header field names that mean something here, and those that a proxy touches on the way (they stay out of `headers`)."""

from __future__ import annotations

import numpy as np

from inspector.kernels.kernel import kernel
from inspector.table import I64, U8

UNNAMED = 0
# Text fields, each one less than its index in tables.FIELDS.
HOST = 1
X_REQUEST_ID = 2
X_FORWARDED_FOR = 3
CONTENT_TYPE = 4
# Framing.
CONTENT_LENGTH = 5
TRANSFER_ENCODING = 6
CONNECTION = 7
UPGRADE = 8
# Trace context.
TRACEPARENT = 9
B3 = 10
X_B3_TRACEID = 11
X_B3_SPANID = 12
X_B3_PARENTSPANID = 13
X_B3_SAMPLED = 14
# Signs.
CONTENT_ENCODING = 15
SERVER = 16
X_ENVOY_INTERNAL = 17
X_ENVOY_ATTEMPT_COUNT = 18
X_ENVOY_UPSTREAM_SERVICE_TIME = 19

_MEANT = (
    (b"host", HOST),
    (b"content-length", CONTENT_LENGTH),
    (b"transfer-encoding", TRANSFER_ENCODING),
    (b"connection", CONNECTION),
    (b"upgrade", UPGRADE),
    (b"content-type", CONTENT_TYPE),
    (b"content-encoding", CONTENT_ENCODING),
    (b"server", SERVER),
    (b"x-request-id", X_REQUEST_ID),
    (b"x-forwarded-for", X_FORWARDED_FOR),
    (b"traceparent", TRACEPARENT),
    (b"b3", B3),
    (b"x-b3-traceid", X_B3_TRACEID),
    (b"x-b3-spanid", X_B3_SPANID),
    (b"x-b3-parentspanid", X_B3_PARENTSPANID),
    (b"x-b3-sampled", X_B3_SAMPLED),
    (b"x-envoy-internal", X_ENVOY_INTERNAL),
    (b"x-envoy-attempt-count", X_ENVOY_ATTEMPT_COUNT),
    (b"x-envoy-upstream-service-time", X_ENVOY_UPSTREAM_SERVICE_TIME),
)
# RFC 9110 section 7.6.1's hop-by-hop fields, and what proxies and tracers set. Their prefixes are in `touched`.
_TOUCHED = (
    b"host connection keep-alive te trailer transfer-encoding upgrade content-length expect via forwarded x-real-ip "
    b"x-request-id b3 traceparent tracestate x-cloud-trace-context x-ot-span-context date server x-client-trace-id "
    b"grpc-timeout x-forwarded-for x-b3-traceid x-b3-spanid x-b3-parentspanid x-b3-sampled x-envoy-internal "
    b"x-envoy-attempt-count x-envoy-upstream-service-time"
).split()
_PREFIXES = (b"proxy-", b"x-forwarded-", b"x-envoy-", b"x-b3-", b"x-istio-", b"x-datadog-")

BUCKETS = 64
# Columns of the table: BUCKETS rows of first entries, then one row a name, then one a prefix.
FIRST_ENTRY = 0
NAME_AT = 0
NAME_LENGTH = 1
NAME_ID = 2
NAME_TOUCHED = 3
NEXT_ENTRY = 4


def bucket(name: bytes) -> int:
    """The bucket of a lower-case name: by its length, first and last byte (as `find_name` has it)."""
    return (len(name) * 7 + name[0] * 3 + name[-1]) % BUCKETS


def build() -> tuple[U8, I64]:
    """All names in one array, and the table over it: (BUCKETS + names + prefixes, 5) int64."""
    meant = dict(_MEANT)
    names = sorted(set(meant) | set(_TOUCHED))
    table = np.full((BUCKETS + len(names) + len(_PREFIXES), 5), -1, np.int64)
    at = 0
    for k, name in enumerate([*names, *_PREFIXES]):
        row = BUCKETS + k
        table[row] = at, len(name), meant.get(name, UNNAMED), name in _TOUCHED, -1
        at += len(name)
        if k < len(names):
            table[row, NEXT_ENTRY] = table[bucket(name), FIRST_ENTRY]
            table[bucket(name), FIRST_ENTRY] = row
    table[0, NAME_LENGTH] = BUCKETS + len(names)
    return np.frombuffer(b"".join([*names, *_PREFIXES]), np.uint8).copy(), table


@kernel
def begins_with(line: U8, length: int, names: U8, at: int, size: int) -> bool:
    """Whether `line[:length]` begins with `names[at : at + size]`."""
    if size > length:
        return False
    for k in range(size):  # noqa: SIM110
        if line[k] != names[at + k]:
            return False
    return True


@kernel
def find_name(line: U8, length: int, names: U8, table: I64) -> tuple[int, int]:
    """The id of the lower-case field name `line[:length]` (UNNAMED if it means nothing), and whether proxies touch it (0, 1)."""
    if length == 0:
        return UNNAMED, 1
    entry = table[(length * 7 + line[0] * 3 + line[length - 1]) % BUCKETS, FIRST_ENTRY]
    while entry >= 0:
        if table[entry, NAME_LENGTH] == length and begins_with(line, length, names, table[entry, NAME_AT], length):
            return table[entry, NAME_ID], table[entry, NAME_TOUCHED]
        entry = table[entry, NEXT_ENTRY]
    if line[0] == 112 or line[0] == 120:  # p, x
        for prefix in range(table[0, NAME_LENGTH], len(table)):
            if begins_with(line, length, names, table[prefix, NAME_AT], table[prefix, NAME_LENGTH]):
                return UNNAMED, 1
    return UNNAMED, 0
