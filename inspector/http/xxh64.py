"""XXH64, seed 0 (the algorithm's specification: xxHash, doc/xxhash_spec.md), over ranges of bytes and over bytes that pass.

All arithmetic is modulo 2**64. Plain kernels hold such numbers as Python integers, compiled ones as uint64: `& M` is the wrap
for the former and nothing for the latter. The two primes below 2**63 would be int64 when compiled, so they are kept inverted.
"""

from __future__ import annotations

from inspector.kernels.instructions import load64, move
from inspector.kernels.kernel import kernel
from inspector.table import U8, U64

M = 0xFFFFFFFFFFFFFFFF
TAIL = 32  # bytes of a stripe
P1 = 0x9E3779B185EBCA87
P2 = 0xC2B2AE3D27D4EB4F
P3_INVERTED = 0x165667B19E3779F9 ^ M
P4 = 0x85EBCA77C2B2AE63
P5_INVERTED = 0x27D4EB2F165667C5 ^ M
LANE_4_INVERTED = (-P1 & M) ^ M
EMPTY_SUM = 0xEF46DB3751D8E999  # of no bytes


@kernel
def word32(data: U8, i: int) -> int:
    """The little-endian 32-bit word at `i`. Precondition: it lies in `data`."""
    return (data[i] & M) | (data[i + 1] & M) << 8 | (data[i + 2] & M) << 16 | (data[i + 3] & M) << 24


@kernel
def round64(lane: int, word: int) -> int:
    """One lane takes in one word."""
    lane = (lane + word * P2) & M
    return (((lane << 31) & M | (lane >> 33)) * P1) & M


@kernel
def merge(total: int, lane: int) -> int:
    """The total takes in one lane (step 3, convergence)."""
    lane = (lane * P2) & M
    lane = (((lane << 31) & M | (lane >> 33)) * P1) & M
    return ((total ^ lane) * P1 + P4) & M


@kernel
def converge(a: int, b: int, c: int, d: int) -> int:
    """The four lanes become one number."""
    total = ((a << 1) & M | a >> 63) + ((b << 7) & M | b >> 57) + ((c << 12) & M | c >> 52) + ((d << 18) & M | d >> 46)
    return merge(merge(merge(merge(total & M, a), b), c), d)


@kernel
def finish64(total: int, data: U8, i: int, end: int) -> int:
    """Steps 5 and 6: the last bytes `data[i:end]`, fewer than 32, and the final mix."""
    while i + 8 <= end:
        word = (load64(data, i) * P2) & M
        word = (((word << 31) & M | (word >> 33)) * P1) & M
        total ^= word
        total = (((total << 27) & M | (total >> 37)) * P1 + P4) & M
        i += 8
    if i + 4 <= end:
        total ^= (word32(data, i) * P1) & M
        total = (((total << 23) & M | (total >> 41)) * P2 + (P3_INVERTED ^ M)) & M
        i += 4
    while i < end:
        total ^= ((data[i] & M) * (P5_INVERTED ^ M)) & M
        total = (((total << 11) & M | (total >> 53)) * P1) & M
        i += 1
    total = ((total ^ (total >> 33)) * P2) & M
    total = ((total ^ (total >> 29)) * (P3_INVERTED ^ M)) & M
    return total ^ (total >> 32)


@kernel
def stripes(data: U8, i: int, end: int, a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    """The four lanes take in the full stripes of 32 bytes in `data[i:end]`."""
    while i + 32 <= end:
        a = round64(a, load64(data, i))
        b = round64(b, load64(data, i + 8))
        c = round64(c, load64(data, i + 16))
        d = round64(d, load64(data, i + 24))
        i += 32
    return a, b, c, d


@kernel
def xxh64(data: U8, at: int, length: int, cell: U64) -> int:
    """XXH64 of `data[at : at + length]`. Precondition: it lies in `data`.

    cell (1,) makes the length unsigned.
    """
    cell[0] = length
    total = (P5_INVERTED ^ M) & M
    end = at + length
    if length >= 32:
        a, b, c, d = stripes(data, at, end, (P1 + P2) & M, P2 & M, P1 ^ P1, LANE_4_INVERTED ^ M)
        total = converge(a, b, c, d)
    return finish64((total + cell[0]) & M, data, end - (length & 31), end)


@kernel
def start_sum(lanes: U64, s: int) -> None:
    """Row `s` of `lanes` (n, 4) becomes the state of an empty input."""
    lanes[s, 0] = (P1 + P2) & M
    lanes[s, 1] = P2
    lanes[s, 2] = P1 ^ P1
    lanes[s, 3] = LANE_4_INVERTED ^ M


@kernel
def add_sum(lanes: U64, tails: U8, s: int, total: int, data: U8, at: int, length: int) -> None:
    """State `s`, which has taken in `total` bytes, takes in `data[at : at + length]`.

    lanes: (n, 4); tails: (TAIL * n,), the bytes of each since its last full stripe. Precondition: the range lies in `data`.
    """
    i = at
    end = at + length
    kept = total & 31
    tail = TAIL * s
    if kept > 0:
        size = min(TAIL - kept, length)
        move(tails, tail + kept, data, i, size)
        i += size
        if kept + size < TAIL:
            return
        for lane in range(4):
            lanes[s, lane] = round64(lanes[s, lane], load64(tails, tail + 8 * lane))
    if i + 32 <= end:
        a, b, c, d = stripes(data, i, end, lanes[s, 0], lanes[s, 1], lanes[s, 2], lanes[s, 3])
        lanes[s, 0] = a
        lanes[s, 1] = b
        lanes[s, 2] = c
        lanes[s, 3] = d
        i = end - ((end - i) & 31)
    move(tails, tail, data, i, end - i)


@kernel
def end_sum(lanes: U64, tails: U8, s: int, total: int, cell: U64) -> int:
    """XXH64 of the `total` bytes that state `s` has taken in."""
    cell[0] = total
    value = (P5_INVERTED ^ M) & M
    if total >= 32:
        value = converge(lanes[s, 0], lanes[s, 1], lanes[s, 2], lanes[s, 3])
    return finish64((value + cell[0]) & M, tails, TAIL * s, TAIL * s + (total & 31))
