"""Copies: the same packet captured again on another interface, or twice on one (a SPAN port).

Routing changes TTL, checksum and link header, NAT changes one endpoint; sequence and acknowledgement numbers, flags,
length, IP identification, timestamp value and payload stay. A retransmission has a new IP identification.

Hand-made captures have connections with equal numbers: a copy comes within milliseconds, never as a SYN where the
connection is under way (unless its time shows that it was written late), and its addresses do not lead to a connection
with a handshake of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.capture.tables import Segments
from inspector.kernels.instructions import load64, prefetch
from inspector.kernels.kernel import compiled, kernel
from inspector.table import I64, U8
from inspector.tcp import layout as col
from inspector.tcp.keys import find_pair
from inspector.tcp.layout import Tcp

WAYS = 4
LAG = 50 * col.MS  # between a packet and its copy in one capture; two captures may have two clocks
FAR_LAG = col.SECOND
SOON = 8  # segments
COLUMNS = (
    (col.T_CAPTURE, "capture"),
    (col.T_PACKET, "packet"),
    (col.T_TIME, "time"),
    (col.T_INTERFACE, "interface"),
    (col.T_SPORT, "sport"),
    (col.T_DPORT, "dport"),
    (col.T_SEQ, "seq"),
    (col.T_ACK, "ack"),
    (col.T_FLAGS, "flags"),
    (col.T_IP_ID, "ip_id"),
    (col.T_AT, "at"),
    (col.T_CAPTURED, "captured"),
    (col.T_LENGTH, "length"),
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
        source = spread(
            (spread((w[col.T_SRC_LO, i] ^ seed[0]) & M) + w[col.T_SRC_HI, i] * MIX_2 + w[col.T_SPORT, i]) & M
        )
        target = spread(
            (spread((w[col.T_DST_LO, i] ^ seed[0]) & M) + w[col.T_DST_HI, i] * MIX_2 + w[col.T_DPORT, i]) & M
        )
        w[col.T_SRC, i] = source
        w[col.T_DST, i] = target
        w[col.T_KEY, i] = spread((source + target) & M)
        x = spread(((w[col.T_SEQ, i] << 32) | w[col.T_ACK, i]) & M)
        x = spread((x + (((tsval[i] & M) << 32) ^ (w[col.T_IP_ID, i] << 16))) & M)
        w[col.T_PRINT, i] = spread((x + ((w[col.T_LENGTH, i] << 16) | w[col.T_FLAGS, i])) & M) | 1


def fill(segments: Segments, seed: int, seg: NDArray[np.int64]) -> None:
    """Columns and hashes of `segments` into seg[T_*, :len(segments)]. `seed` hides the endpoint hashes from the capture."""
    n = len(segments)
    for row, name in COLUMNS:
        seg[row, :n] = getattr(segments, name)
    seg[col.T_SRC_HI, :n] = segments.src_hi.view(np.int64)
    seg[col.T_SRC_LO, :n] = segments.src_lo.view(np.int64)
    seg[col.T_DST_HI, :n] = segments.dst_hi.view(np.int64)
    seg[col.T_DST_LO, :n] = segments.dst_lo.view(np.int64)
    words = seg.view(np.uint64)
    if compiled():
        hash_rows(words, segments.tsval, np.array([seed], np.uint64))
        return
    # As Python, whole columns are faster than rows.
    w = words[:, :n]
    for at, hi, lo, port in (
        (col.T_SRC, col.T_SRC_HI, col.T_SRC_LO, col.T_SPORT),
        (col.T_DST, col.T_DST_HI, col.T_DST_LO, col.T_DPORT),
    ):
        x = mixed(w[lo] ^ np.uint64(seed))
        x += w[hi] * M2
        x += w[port]
        w[at] = mixed(x)
    w[col.T_KEY] = mixed(w[col.T_SRC] + w[col.T_DST])
    x = mixed((w[col.T_SEQ] << S32) | w[col.T_ACK])
    x += (segments.tsval.astype(np.uint64) << S32) ^ (w[col.T_IP_ID] << S16)
    x = mixed(x)
    x += (w[col.T_LENGTH] << S16) | w[col.T_FLAGS]
    w[col.T_PRINT] = mixed(x) | np.uint64(1)


@kernel
def look_ahead(prints: I64, seg: I64, i: int, last: int) -> None:
    """The bucket that `seen` will look at soon is fetched: where packets are many, it is in no cache."""
    if i + SOON < last:
        prefetch(prints, (seg[col.T_PRINT, i + SOON] >> 8) & (len(prints) - 1))


@kernel
def sample(data: U8, at: int, length: int) -> int:
    """A hash of the first, the middle and the last eight bytes of a payload."""
    word = load64(data, at) ^ (load64(data, at + ((length - 8) >> 1)) >> 3) ^ (load64(data, at + length - 8) >> 5)
    return spread(word & M)


@kernel
def take_sample(tcp: Tcp, i: int) -> None:
    """The sample of segment i's payload; 0 where it has none, or was cut: copies may be cut at different places."""
    length = tcp.seg[col.T_LENGTH, i]
    at = tcp.seg[col.T_AT, i]
    tcp.state[col.G_SAMPLE] = 0
    if length == 0 or tcp.seg[col.T_CAPTURED, i] < length or at < 0 or at + length > len(tcp.data):
        return
    if length >= 8:
        tcp.state[col.G_SAMPLE] = sample(tcp.data, at, length) & 0x7FFFFFFFFFFFFFFF
        return
    number = 1
    for k in range(length):
        number = (number << 8) | tcp.data[at + k]
    tcp.state[col.G_SAMPLE] = number


@kernel
def is_copy(tcp: Tcp, i: int, d: int) -> bool:
    """Whether segment i, with the fingerprint of packet d, is that packet captured again."""
    where = (tcp.seg[col.T_CAPTURE, i] << 32) | tcp.seg[col.T_INTERFACE, i]
    lag = tcp.seg[col.T_TIME, i] - tcp.details[d, col.D_TIME]
    one_capture = tcp.details[d, col.D_WHERE] >> 32 == tcp.seg[col.T_CAPTURE, i]
    most = LAG + 0 if one_capture else FAR_LAG + 0
    if lag > most or lag < -most:
        return False
    if tcp.details[d, col.D_SRC] != tcp.seg[col.T_SRC, i] and tcp.details[d, col.D_DST] != tcp.seg[col.T_DST, i]:
        return False
    if tcp.details[d, col.D_WHERE] == where and tcp.seg[col.T_IP_ID, i] == 0:
        return False
    noted = tcp.details[d, col.D_SAMPLE]
    if noted != 0 and tcp.state[col.G_SAMPLE] != 0 and noted != tcp.state[col.G_SAMPLE]:
        return False
    slot = tcp.details[d, col.D_SLOT]
    if not one_capture or slot == 0:
        return True
    if tcp.seg[col.T_FLAGS, i] & (col.SYN | col.ACK) == col.SYN:
        gone = tcp.streams[slot, col.S_ID] != tcp.details[d, col.D_STREAM]
        late = tcp.details[d, col.D_WHERE] != where and tcp.seg[col.T_TIME, i] < tcp.conns[slot >> 1, col.C_LAST]
        if gone or (tcp.conns[slot >> 1, col.C_PAYLOAD] != 0 and not late):
            return False
    s = find_pair(tcp, i)
    if s == 0 or tcp.streams[s, col.S_ID] == tcp.details[d, col.D_STREAM]:
        return True
    return tcp.streams[s, col.S_SYN] == 0 and tcp.streams[s ^ 1, col.S_SYN] == 0


@kernel
def seen(tcp: Tcp, i: int) -> int:
    """Where in `details` the packet that segment i copies is, or -1 - where segment i itself was noted.

    prints: a row a bucket, WAYS fingerprints (0: free) and which packet had each, together one line of a processor's cache;
    details: the newest packets in their order, a power of two, so that they are written one after another.
    """
    mark = tcp.seg[col.T_PRINT, i]
    time = tcp.seg[col.T_TIME, i]
    where = (tcp.seg[col.T_CAPTURE, i] << 32) | tcp.seg[col.T_INTERFACE, i]
    take_sample(tcp, i)
    bucket = (mark >> 8) & (len(tcp.prints) - 1)
    number = tcp.state[col.G_NOTED]
    victim = -1
    oldest = number
    for way in range(WAYS):
        noted = tcp.prints[bucket, WAYS + way]
        if tcp.prints[bucket, way] == mark and number - noted < len(tcp.details):
            d = noted & (len(tcp.details) - 1)
            if is_copy(tcp, i, d):
                return d
            victim = way
            break
        age = noted if tcp.prints[bucket, way] != 0 else col.NONE
        if victim < 0 or age < oldest:
            victim = way
            oldest = age
    tcp.prints[bucket, victim] = mark
    tcp.prints[bucket, WAYS + victim] = number
    d = number & (len(tcp.details) - 1)
    tcp.state[col.G_NOTED] = number + 1
    tcp.details[d, col.D_TIME] = time
    tcp.details[d, col.D_WHERE] = where
    tcp.details[d, col.D_SRC] = tcp.seg[col.T_SRC, i]
    tcp.details[d, col.D_DST] = tcp.seg[col.T_DST, i]
    tcp.details[d, col.D_SLOT] = 0
    tcp.details[d, col.D_STREAM] = 0
    tcp.details[d, col.D_CAPTURED] = tcp.seg[col.T_CAPTURED, i]
    tcp.details[d, col.D_SAMPLE] = tcp.state[col.G_SAMPLE]
    return -1 - d
