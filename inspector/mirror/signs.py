"""The signs of a copy as columns, so that pairs are compared by numbers alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture.addresses import format_address
from inspector.http.tables import FIELDS, Mark
from inspector.http.xxh64 import M, xxh64
from inspector.kernels.kernel import compiled, kernel
from inspector.mirror.groups import numbered
from inspector.mirror.tables import Exchanges
from inspector.table import I64, U64, Bool, Table

LOOPBACK_V4 = np.uint64(0x0000FFFF7F000000)


@dataclass(frozen=True, eq=False)
class Signs(Table):
    """Columns beside Exchanges, row by row."""

    sender: I64  # number of the address that sent the request; loopback addresses of different hosts differ
    serves: I64  # number of the address that was asked; of a loopback address with its port, for any process may send from it
    serves_wire: I64  # the address on the wire where NAT changed it, else -1
    serves_self: I64  # the sender's own address where the request was redirected to a proxy beside it, else -1
    base_host: U64  # hash of the host without the suffix
    suffixed: Bool
    xff_base: U64  # hash of x-forwarded-for without its last element, where that is the sender; 0 where it was alone
    xff_own: Bool  # the last element of x-forwarded-for is the sender
    internal: Bool  # x-envoy-internal: true
    loopback: Bool  # sent from a loopback address (a sidecar to its app: 127.0.0.6)


def hash_bytes(data: bytes) -> int:
    """XXH64 as the http room computes it for header fields."""
    return int(xxh64.plain(data, 0, len(data), [0]))


def text(exchanges: Exchanges, row: int, name: str) -> bytes:
    """One text field of one exchange, as the bytes on the wire (cut at the parser's limit)."""
    i = FIELDS.index(name)
    start = 0 if i == 0 else int(getattr(exchanges, FIELDS[i - 1] + "_end")[row])
    return exchanges.text[row][start : int(getattr(exchanges, name + "_end")[row])].tobytes()


def without_suffix(host: bytes, suffix: bytes) -> bytes | None:
    """The host that `suffix` was appended to, or None where it was not.

    Envoy appends before the port (source/common/router/shadow_writer_impl.cc), releases before 1.10 at the very end.
    The first letter's case does not matter (RFC 9110 section 4.2.3).
    """
    lower = suffix.lower()
    name, colon, port = host.rpartition(b":")
    if colon and port.isdigit() and name.lower().endswith(lower) and len(name) > len(suffix):
        return name[: -len(suffix)] + colon + port
    if host.lower().endswith(lower) and len(host) > len(suffix):
        return host[: -len(suffix)]
    return None


def is_loopback(hi: U64, lo: U64) -> Bool:
    """Which addresses are in 127.0.0.0/8 or ::1 (or ::6, Istio's IPv6 inbound passthrough)."""
    v4 = (hi == 0) & ((lo & np.uint64(0xFFFFFFFFFF000000)) == LOOPBACK_V4)
    return v4 | ((hi == 0) & ((lo == 1) | (lo == 6)))


_SEED, _ODD = (int.from_bytes(os.urandom(8), "little") | 1 for _ in range(2))


@kernel
def mix(column: U64, odd: U64, out: U64) -> None:
    """Each of `out` takes in one of `column`. odd: (1,), odd."""
    for i in range(len(out)):
        x = ((out[i] ^ column[i]) * odd[0]) & M
        out[i] = x ^ (x >> 29)


def blend(*columns: NDArray[Any]) -> I64:
    """A number for each row that is equal where all `columns` are: (n,) int64, not negative, a keyed 63-bit mix.

    For grouping only. The key differs from run to run, so that no capture can be made to collide.
    """
    out, odd = np.full(len(columns[0]), _SEED, np.uint64), np.array([_ODD], np.uint64)
    for column in columns:
        words = column if column.dtype == np.uint64 else column.astype(np.int64, copy=False).view(np.uint64)
        if compiled():
            mix(np.ascontiguousarray(words), odd, out)
        else:  # as Python, whole columns are faster than rows
            out ^= words
            out *= odd
            out ^= out >> np.uint64(29)
    return (out >> np.uint64(1)).view(np.int64)


def number(*columns: NDArray[Any]) -> I64:
    """Like `blend`, with the numbers 0, 1, 2, ... in the order of rows: (n,) int64."""
    return numbered(blend(*columns))[0]


def prepare(exchanges: Exchanges, suffix: bytes) -> Signs:
    """Compute the columns of `Signs`. Texts are looked at once per distinct host and x-forwarded-for."""
    e = exchanges
    client, server, wire = (
        blend(e.client_hi, e.client_lo), blend(e.server_hi, e.server_lo), blend(e.wire_hi, e.wire_lo)
    )  # fmt: skip
    loop_client, loop_server = is_loopback(e.client_hi, e.client_lo), is_loopback(e.server_hi, e.server_lo)
    loop_wire = is_loopback(e.wire_hi, e.wire_lo)
    # A loopback address says which process only together with the host it is on.
    there = np.where(loop_client & ~loop_server, blend(client, server), client)
    redirected = (wire != server) & (loop_wire | (wire == client))
    base_host, suffixed = _base_hosts(e, suffix)
    xff_base, xff_own = _xff(e)
    return Signs(
        sender=there,
        serves=np.where(loop_server, blend(e.server_hi, e.server_lo, e.server_port), server),
        serves_wire=np.where((wire != server) & ~loop_wire, wire, -1),
        serves_self=np.where(redirected, client, -1),
        base_host=base_host,
        suffixed=suffixed,
        xff_base=xff_base,
        xff_own=xff_own,
        internal=(e.request_marks & np.uint32(Mark.ENVOY_INTERNAL)) != 0,
        loopback=loop_client & ~loop_server,
    )


def _base_hosts(e: Exchanges, suffix: bytes) -> tuple[U64, Bool]:
    if not suffix or not len(e):
        return e.host.copy(), np.zeros(len(e), bool)
    inverse, first = numbered(blend(e.host))
    bases = e.host[first]
    suffixed = np.zeros(len(bases), bool)
    for k, row in enumerate(first.tolist()):
        found = without_suffix(text(e, row, "host"), suffix)
        if found is not None:
            bases[k] = hash_bytes(found)
            suffixed[k] = True
    return bases[inverse], suffixed[inverse]


def _xff(e: Exchanges) -> tuple[U64, Bool]:
    n = len(e)
    base = np.zeros(n, np.uint64)
    own = np.zeros(n, bool)
    rows = np.flatnonzero(e.xff != 0)
    if not len(rows):
        return base, own
    inverse, first = numbered(blend(e.xff[rows], e.client_hi[rows], e.client_lo[rows]))
    bases = np.zeros(len(first), np.uint64)
    owns = np.zeros(len(first), bool)
    for k, at in enumerate(rows[first].tolist()):
        rest, _, last = text(e, at, "xff").rpartition(b",")
        if last.strip() == format_address(int(e.client_hi[at]), int(e.client_lo[at])).encode():
            owns[k] = True
            bases[k] = hash_bytes(rest.rstrip()) if rest else 0
    base[rows] = bases[inverse]
    own[rows] = owns[inverse]
    return base, own
