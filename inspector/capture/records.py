"""Kernels for pcap record headers: reading them in a row, and telling a record from damage.

https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/ section 5: seconds, fraction, captured length, original length.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector.capture.decode import AT, CAPTURED, LENGTH, TIME
from inspector.capture.octets import ByteRows, Octets, host32
from inspector.kernels.kernel import cold, kernel

HEADER = 16
LONGEST = 1 << 24  # no packet is longer on the wire
DAY = 86_400
CHAIN = 3  # plausible records in a row that make an odd one believed
LONG_CHAIN = 16  # where the first is also more than a day away from the last one read

# What a scan ended with.
MORE = 0  # bytes are needed
FULL = 1  # no room for more records
DAMAGED = 2  # what stands here is no record
SPECIAL = 3  # pcapng: a block that is not a packet

# What a chain is.
BROKEN = 0
UNKNOWN = 1  # bytes are needed
SOUND = 2
TO_THE_END = 3  # sound, and its last record ends where the file ends


class Framing(NamedTuple):
    """How the record headers of a file are read: `big` is 1 where they are big-endian, else 0; `unit` is fractions in a second
    (10**6 or 10**9); `limit` is the largest captured length believed, in bytes."""

    big: int
    unit: int
    limit: int


@kernel
def strict(data: Octets, at: int, framing: Framing) -> int:
    """Whether the 16 bytes at `at` are a record header beyond reproach."""
    captured = host32(data, at + 8, framing.big)
    length = host32(data, at + 12, framing.big)
    fraction = host32(data, at + 4, framing.big)
    if captured == 0 or captured > framing.limit or captured > length or length > LONGEST or fraction >= framing.unit:
        return 0
    return 1


@cold
def chain(data: Octets, at: int, end: int, final: int, framing: Framing, longest: int) -> int:
    """What follows from `at` on: whether up to `longest` records, or all to the end of the file, are sound.

    `final` is 1 where the file ends at `end`.
    """
    seen = 0
    while seen < longest:
        if at == end and final:
            return TO_THE_END
        if at + HEADER > end:
            return UNKNOWN if not final else (SOUND if seen > 1 else BROKEN)
        if not strict(data, at, framing):
            return BROKEN
        at += HEADER + host32(data, at + 8, framing.big)
        if at > end:
            return UNKNOWN if not final else (SOUND if seen > 1 else BROKEN)
        seen += 1
    return TO_THE_END if at == end and final else SOUND


@kernel
def scan_records(
    data: Octets, at: int, end: int, final: int, framing: Framing, previous: int, records: ByteRows, room: int
) -> tuple[int, int, int, int, int]:
    """Read records from `at` on: `(count, at, status, previous, odd)`.

    `previous` is the time of the packet before in nanoseconds, -1 where there is none. An odd header (no bytes, captured
    longer than sent, too large a fraction, a leap of more than a day) is believed only if sound records follow. Odd times
    are replaced by the previous and counted in `odd`.
    """
    big = framing.big
    unit = framing.unit
    count = 0
    odd = 0
    scale = 1_000_000_000 // unit
    while True:
        if count == room:
            return count, at, FULL, previous, odd
        if at + HEADER > end:
            return count, at, MORE, previous, odd
        seconds = host32(data, at, big)
        fraction = host32(data, at + 4, big)
        captured = host32(data, at + 8, big)
        length = host32(data, at + 12, big)
        if captured > framing.limit or length > LONGEST:
            return count, at, DAMAGED, previous, odd
        following = at + HEADER + captured
        time = seconds * 1_000_000_000 + fraction * scale
        leap = previous >= 0 and abs(seconds - previous // 1_000_000_000) > DAY
        if captured == 0 or captured > length or fraction >= unit or leap:
            sound = chain(data, following, end, final, framing, CHAIN) if following <= end else UNKNOWN
            if sound == BROKEN or (sound == UNKNOWN and final):
                return count, at, DAMAGED, previous, odd
            if sound == UNKNOWN:
                return count, at, MORE, previous, odd
            after = host32(data, following, big) if following + HEADER <= end else seconds
            back = previous >= 0 and abs(after - previous // 1_000_000_000) <= DAY
            if fraction >= unit or (leap and back and abs(after - seconds) > DAY):
                time = max(previous, 0)
                odd += 1
        if following > end:
            return count, at, MORE, previous, odd
        records[TIME, count] = time
        records[AT, count] = at + HEADER
        records[CAPTURED, count] = captured
        records[LENGTH, count] = max(captured, length)
        count += 1
        previous = time
        at = following
