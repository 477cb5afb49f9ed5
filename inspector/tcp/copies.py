"""Copies: the same packet captured again on another interface, or twice on one (a SPAN port).

Routing changes TTL, checksum and link header, NAT changes one endpoint; sequence and acknowledgement numbers, flags,
length, IP identification and timestamp value stay. A retransmission has a new IP identification.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture.tables import Segments
from inspector.instructions import prefetch
from inspector.kernel import compiled, kernel
from inspector.tcp.layout import (
    D_CAPTURED,
    D_DST,
    D_SLOT,
    D_SRC,
    D_STREAM,
    D_TIME,
    D_WHERE,
    G_NOTED,
    NONE,
    SECOND,
    T_ACK,
    T_AT,
    T_CAPTURE,
    T_CAPTURED,
    T_DPORT,
    T_DST,
    T_DST_HI,
    T_DST_LO,
    T_FLAGS,
    T_INTERFACE,
    T_IP_ID,
    T_KEY,
    T_LENGTH,
    T_PACKET,
    T_PRINT,
    T_SEQ,
    T_SPORT,
    T_SRC,
    T_SRC_HI,
    T_SRC_LO,
    T_TIME,
)

WAYS = 4
SOON = 8  # segments
COLUMNS = (
    (T_CAPTURE, "capture"),
    (T_PACKET, "packet"),
    (T_TIME, "time"),
    (T_INTERFACE, "interface"),
    (T_SPORT, "sport"),
    (T_DPORT, "dport"),
    (T_SEQ, "seq"),
    (T_ACK, "ack"),
    (T_FLAGS, "flags"),
    (T_IP_ID, "ip_id"),
    (T_AT, "at"),
    (T_CAPTURED, "captured"),
    (T_LENGTH, "length"),
)
U64 = NDArray[np.uint64]
M = 0xFFFFFFFFFFFFFFFF
MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
M1, M2 = np.uint64(MIX_1), np.uint64(MIX_2)
S16, S29, S32 = np.uint64(16), np.uint64(29), np.uint64(32)


def mixed(x: U64) -> U64:
    """Spread the bits (in place): a multiply-xorshift finaliser."""
    x ^= x >> S32
    x *= M2
    x ^= x >> S29
    x *= M1
    x ^= x >> S32
    return x


@kernel
def spread(x: int) -> int:
    """`mixed` for one number."""
    x ^= x >> 32
    x = (x * MIX_2) & M
    x ^= x >> 29
    x = (x * MIX_1) & M
    return x ^ (x >> 32)


@kernel
def hash_rows(w: U64, tsval: NDArray[np.uint32], seed: U64) -> None:
    """The hashes of each segment from its columns; arithmetic is modulo 2**64 (as in `http.xxh64`). seed: (1,)."""
    for i in range(len(tsval)):
        source = spread((spread((w[T_SRC_LO, i] ^ seed[0]) & M) + w[T_SRC_HI, i] * MIX_2 + w[T_SPORT, i]) & M)
        target = spread((spread((w[T_DST_LO, i] ^ seed[0]) & M) + w[T_DST_HI, i] * MIX_2 + w[T_DPORT, i]) & M)
        w[T_SRC, i] = source
        w[T_DST, i] = target
        w[T_KEY, i] = spread((source + target) & M)
        x = spread(((w[T_SEQ, i] << 32) | w[T_ACK, i]) & M)
        x = spread((x + (((tsval[i] & M) << 32) ^ (w[T_IP_ID, i] << 16))) & M)
        w[T_PRINT, i] = spread((x + ((w[T_LENGTH, i] << 16) | w[T_FLAGS, i])) & M) | 1


def fill(segments: Segments, seed: int, seg: NDArray[np.int64]) -> None:
    """Columns and hashes of `segments` into seg[T_*, :len(segments)]. `seed` hides the endpoint hashes from the capture."""
    n = len(segments)
    for row, name in COLUMNS:
        seg[row, :n] = getattr(segments, name)
    seg[T_SRC_HI, :n] = segments.src_hi.view(np.int64)
    seg[T_SRC_LO, :n] = segments.src_lo.view(np.int64)
    seg[T_DST_HI, :n] = segments.dst_hi.view(np.int64)
    seg[T_DST_LO, :n] = segments.dst_lo.view(np.int64)
    words = seg.view(np.uint64)
    if compiled():
        hash_rows(words, segments.tsval, np.array([seed], np.uint64))
        return
    # As Python, whole columns are faster than rows.
    w = words[:, :n]
    for at, hi, lo, port in ((T_SRC, T_SRC_HI, T_SRC_LO, T_SPORT), (T_DST, T_DST_HI, T_DST_LO, T_DPORT)):
        x = mixed(w[lo] ^ np.uint64(seed))
        x += w[hi] * M2
        x += w[port]
        w[at] = mixed(x)
    w[T_KEY] = mixed(w[T_SRC] + w[T_DST])
    x = mixed((w[T_SEQ] << S32) | w[T_ACK])
    x += (segments.tsval.astype(np.uint64) << S32) ^ (w[T_IP_ID] << S16)
    x = mixed(x)
    x += (w[T_LENGTH] << S16) | w[T_FLAGS]
    w[T_PRINT] = mixed(x) | np.uint64(1)


@kernel
def look_ahead(prints: Any, seg: Any, i: int, last: int) -> None:
    """The bucket that `seen` will look at soon is fetched: where packets are many, it is in no cache."""
    if i + SOON < last:
        prefetch(prints, (seg[T_PRINT, i + SOON] >> 8) & (len(prints) - 1))


@kernel
def seen(state: Any, prints: Any, details: Any, seg: Any, i: int) -> int:
    """Where in `details` the packet that segment i copies is, or -1 - where segment i itself was noted.

    prints: a row a bucket, WAYS fingerprints (0: free) and which packet had each, together one line of a processor's cache;
    details: the newest packets in their order, a power of two, so that they are written one after another.
    """
    mark = seg[T_PRINT, i]
    time = seg[T_TIME, i]
    where = (seg[T_CAPTURE, i] << 32) | seg[T_INTERFACE, i]
    bucket = (mark >> 8) & (len(prints) - 1)
    number = state[G_NOTED]
    victim = -1
    oldest = number
    for way in range(WAYS):
        noted = prints[bucket, WAYS + way]
        if prints[bucket, way] == mark and number - noted < len(details):
            d = noted & (len(details) - 1)
            lag = time - details[d, D_TIME]
            if (
                -SECOND <= lag <= SECOND
                and (details[d, D_SRC] == seg[T_SRC, i] or details[d, D_DST] == seg[T_DST, i])
                and (details[d, D_WHERE] != where or seg[T_IP_ID, i] != 0)
            ):
                return d
            victim = way
            break
        age = noted if prints[bucket, way] != 0 else NONE
        if victim < 0 or age < oldest:
            victim = way
            oldest = age
    prints[bucket, victim] = mark
    prints[bucket, WAYS + victim] = number
    d = number & (len(details) - 1)
    state[G_NOTED] = number + 1
    details[d, D_TIME] = time
    details[d, D_WHERE] = where
    details[d, D_SRC] = seg[T_SRC, i]
    details[d, D_DST] = seg[T_DST, i]
    details[d, D_SLOT] = 0
    details[d, D_STREAM] = 0
    details[d, D_CAPTURED] = seg[T_CAPTURED, i]
    return -1 - d
