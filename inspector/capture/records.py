"""Kernels for pcap record headers: reading them in a row, and telling a record from damage.

https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/ section 5: seconds, fraction, captured length, original length.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector.capture.decode import AT, CAPTURED, LENGTH, TIME
from inspector.capture.octets import ByteRows, Octets, host32
from inspector.kernels.kernel import cold, kernel

HEADER = 16
MODIFIED_HEADER = 24  # Kuznetzov's libpcap adds interface index, protocol and packet type
LONGEST = 1 << 24  # no packet is longer on the wire
DAY = 86_400
CHAIN = 3  # plausible records in a row that make an odd one believed
MANY = 4  # fractions out of range, beyond those in range: all of the file's count nanoseconds
MOST = 16  # of them that count
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
    (10**6 or 10**9); `limit` is the largest captured length believed, and `header` the length of a record's header, in bytes."""

    big: int
    unit: int
    limit: int
    header: int


class Before(NamedTuple):
    """What the packets before say of times: `previous` is that of the last one in ns, -1 where there is none; `loose` is more
    than 0 where fractions were too large (see `scan_records`)."""

    previous: int
    loose: int


@kernel
def strict(data: Octets, at: int, framing: Framing, near: int) -> int:
    """Whether the 16 bytes at `at` are a record header beyond reproach. A fraction out of range is none where the seconds
    are within a day of `near`: writers are known to put nanoseconds into a file that announces microseconds."""
    captured = host32(data, at + 8, framing.big)
    length = host32(data, at + 12, framing.big)
    fraction = host32(data, at + 4, framing.big)
    if captured == 0 or captured > framing.limit or captured > length or length > LONGEST:
        return 0
    return 1 if fraction < framing.unit or abs(host32(data, at, framing.big) - near) <= DAY else 0


@cold
def chain(data: Octets, at: int, end: int, final: int, framing: Framing, near: int, longest: int) -> int:
    """What follows from `at` on: whether up to `longest` records, or all to the end of the file, are sound.

    `final` is 1 where the file ends at `end`. `near`: see `strict`.
    """
    seen = 0
    while seen < longest:
        if at == end and final:
            return TO_THE_END
        if at > end:
            return UNKNOWN
        if at + framing.header > end:
            return UNKNOWN if not final else (SOUND if seen > 1 else BROKEN)
        if not strict(data, at, framing, near):
            return BROKEN
        near = host32(data, at, framing.big)
        at += framing.header + host32(data, at + 8, framing.big)
        if at > end:
            return UNKNOWN if not final else (SOUND if seen > 1 else BROKEN)
        seen += 1
    return TO_THE_END if at == end and final else SOUND


@cold
def loose_time(seconds: int, fraction: int, unit: int, previous: int, loose: int) -> tuple[int, int]:
    """Time in ns of a record in a file some of whose fractions are out of range, and what `loose` is then (`scan_records`).

    Such a fraction counts nanoseconds; where it is more than a second, the time is what is nearest to the packet before.
    """
    base = seconds * 1_000_000_000
    loose = min(loose + 1, MOST) if fraction >= unit else loose - 1
    if fraction >= 1_000_000_000:
        return min(max(previous, base), base + 999_999_999), loose
    if fraction >= unit or loose > MANY:
        return base + fraction, loose
    return base + fraction * (1_000_000_000 // unit), loose


@kernel
def scan_records(
    data: Octets, at: int, end: int, final: int, framing: Framing, before: Before, records: ByteRows, room: int
) -> tuple[int, int, int, int, int, int]:
    """Read records from `at` on: `(count, at, status, previous, odd, loose)`.

    An odd header (no bytes, captured longer than sent, too large a fraction, a leap of more than a day) is believed only if
    sound records follow. `loose` tells whether fractions before were too large: it grows with each that was and shrinks
    with each that was not, and while it is not 0 another one needs no proof. Odd times are replaced and counted in `odd`.
    """
    big, unit, header = framing.big, framing.unit, framing.header
    previous, loose = before.previous, before.loose
    count = 0
    odd = 0
    scale = 1_000_000_000 // unit
    while True:
        if count == room:
            return count, at, FULL, previous, odd, loose
        if at + header > end:
            return count, at, MORE, previous, odd, loose
        seconds = host32(data, at, big)
        fraction = host32(data, at + 4, big)
        captured = host32(data, at + 8, big)
        length = host32(data, at + 12, big)
        if captured > framing.limit or length > LONGEST:
            return count, at, DAMAGED, previous, odd, loose
        following = at + header + captured
        time = seconds * 1_000_000_000 + fraction * scale
        leap = previous >= 0 and abs(seconds - previous // 1_000_000_000) > DAY
        if captured == 0 or captured > length or leap or (fraction >= unit and loose == 0):
            sound = chain(data, following, end, final, framing, seconds, CHAIN)
            if sound == BROKEN or sound == UNKNOWN:
                return count, at, DAMAGED if sound == BROKEN or final else MORE, previous, odd, loose
            after = host32(data, following, big) if following + header <= end else seconds
            if leap and abs(after - previous // 1_000_000_000) <= DAY and abs(after - seconds) > DAY:
                time = max(previous, 0)
                odd += 1
                fraction = -1
        if following > end:
            return count, at, MORE, previous, odd, loose
        if fraction >= unit or (loose > 0 and fraction >= 0):
            odd += fraction >= unit
            time, loose = loose_time(seconds, fraction, unit, previous, loose)
        records[TIME, count] = time
        records[AT, count] = at + header
        records[CAPTURED, count] = captured
        records[LENGTH, count] = max(captured, length)
        count += 1
        previous = time
        at = following
