"""Kernels for pcapng blocks: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/."""

from __future__ import annotations

from inspector.capture.decode import AT, CAPTURED, INTERFACE, KIND, LENGTH, LINK, TIME
from inspector.capture.layers import BIG_ENDIAN
from inspector.capture.octets import ByteRows, Octets, host16, host32
from inspector.capture.records import BROKEN, DAMAGED, FULL, LONGEST, MORE, SOUND, SPECIAL, TO_THE_END, UNKNOWN
from inspector.kernels.kernel import cold, kernel

SECTION = 0x0A0D0D0A
INTERFACE_BLOCK = 1
OLD_PACKET = 2
SIMPLE_PACKET = 3
NAMES = 4
ENHANCED_PACKET = 6
SECRETS = 0x0A
BYTE_ORDER = 0x1A2B3C4D

LARGEST_BLOCK = 1 << 24  # 16 MiB: a longer one is damage

# Rows of `interfaces`, (7, n + 1) int64; the column after the last stands for interfaces never described.
INDEX = 0  # into CaptureInfo.interfaces, -1 where it is not there yet
LINK_TYPE = 1
SNAPLEN = 2
MULTIPLY = 3  # time units to ns: * MULTIPLY // DIVIDE, or for SHIFT > 0 units of 2**-SHIFT s
DIVIDE = 4
SHIFT = 5
OFFSET = 6  # ns
INTERFACE_ROWS = 7

# Columns of `state`, (1, n) int64: what is known of the file where the scan stands.
BIG = 0  # byte order of the section
KNOWN = 1  # interfaces of the section
PREVIOUS = 2  # time of the packet before, -1 where there is none
ODD = 3  # times that were replaced by it
UNNAMED = 4  # INDEX of the interface that stands for those never described, -1 where none was needed yet
INTERFACES_LEFT = 5  # that may still be described
COMMENTS_LEFT = 6  # that may still be kept
OMITTED = 7  # interfaces described beyond that
NAMES_LEFT = 8  # blocks of names that may still be looked into
STATE_COLUMNS = 9

COMMENT = 1  # an option

LAST_TIME = 1 << 62


@kernel
def block_size(data: Octets, at: int, end: int, big: int) -> int:
    """Total length of the block at `at`; 0 if more bytes are needed, -1 if it is no block. Precondition: 12 bytes."""
    size = host32(data, at + 4, big)
    if size < 12 or size & 3 or size > LARGEST_BLOCK:
        return -1
    if at + size > end:
        return 0
    return size if host32(data, at + size - 4, big) == size else -1


@kernel
def to_ns(high: int, low: int, interfaces: ByteRows, column: int) -> int:
    """Time of a packet in ns since the epoch, -1 where it is out of range."""
    if high >= 1 << 31:
        return -1
    units = (high << 32) | low
    shift = interfaces[SHIFT, column]
    if shift > 0:
        seconds = units >> shift
        fraction = units - (seconds << shift)
        if shift > 32:  # so that the product fits; a unit of 2**-32 s is finer than a nanosecond
            fraction >>= shift - 32
            shift = 32
        if seconds >= LAST_TIME // 1_000_000_000:
            return -1
        time = seconds * 1_000_000_000 + ((fraction * 1_000_000_000) >> shift)
    else:
        multiply = interfaces[MULTIPLY, column]
        if units > LAST_TIME // multiply:
            return -1
        time = units * multiply // interfaces[DIVIDE, column]
    time += interfaces[OFFSET, column]
    return time if time >= 0 and time < LAST_TIME else -1


@kernel
def interface_of(data: Octets, at: int, kind: int, big: int) -> int:
    """The interface number that the packet block at `at` names; a simple one is of the first interface."""
    if kind == ENHANCED_PACKET:
        return host32(data, at + 8, big)
    return host16(data, at + 8, big) if kind == OLD_PACKET else 0


@kernel
def captured_and_time(
    data: Octets, at: int, kind: int, size: int, big: int, interfaces: ByteRows, column: int
) -> tuple[int, int]:
    """Captured bytes and time (ns) of the packet block at `at`; -1 for a time out of range, or none (simple blocks)."""
    if kind != SIMPLE_PACKET:
        time = to_ns(host32(data, at + 12, big), host32(data, at + 16, big), interfaces, column)
        return host32(data, at + 20, big), time
    captured = min(host32(data, at + 8, big), size - 16)
    snaplen = interfaces[SNAPLEN, column]
    return (min(captured, snaplen) if snaplen > 0 else captured), -1


@kernel
def section_order(data: Octets, at: int) -> int:
    """Byte order of the section header at `at`: 1 big-endian, 0 little-endian, -1 neither. Precondition: 12 bytes."""
    if host32(data, at + 8, 1) == BYTE_ORDER:
        return 1
    return 0 if host32(data, at + 8, 0) == BYTE_ORDER else -1


@kernel
def comment_in(data: Octets, at: int, end: int, big: int) -> int:
    """Whether there is a comment among the options (section 3.5) in [at, end)."""
    while at + 4 <= end:
        code = host16(data, at, big)
        size = host16(data, at + 2, big)
        if code == 0 or at + 4 + size > end:
            return 0
        if code == COMMENT:
            return 1
        at += 4 + ((size + 3) & ~3)
    return 0


@kernel
def stand_in(state: ByteRows, interfaces: ByteRows) -> None:
    """The column behind the section's last interface stands for those never described."""
    column = state[0, KNOWN]
    interfaces[INDEX, column] = state[0, UNNAMED]
    interfaces[LINK_TYPE, column] = 0xFFFF + BIG_ENDIAN * state[0, BIG]
    interfaces[SNAPLEN, column] = 0
    interfaces[MULTIPLY, column] = 1000
    interfaces[DIVIDE, column] = 1
    interfaces[SHIFT, column] = 0
    interfaces[OFFSET, column] = 0


@kernel
def enter(data: Octets, at: int, end: int, state: ByteRows, interfaces: ByteRows) -> int:
    """The section header at `at`: its length, 0 if more bytes are needed, -1 if it is none; the section is entered then."""
    big = section_order(data, at)
    if big < 0:
        return -1
    size = block_size(data, at, end, big)
    if size <= 0 or size < 28:
        return 0 if size == 0 else -1
    state[0, BIG] = big
    state[0, KNOWN] = 0
    stand_in(state, interfaces)
    return size


@kernel
def put_packet(
    data: Octets, at: int, kind: int, size: int, state: ByteRows, interfaces: ByteRows, records: ByteRows, count: int
) -> int:
    """The packet block at `at` as row `count`: 0, or SPECIAL or DAMAGED where there is none."""
    big = state[0, BIG]
    head = 12 if kind == SIMPLE_PACKET else 28
    if size < head + 4:
        return DAMAGED
    column = interface_of(data, at, kind, big)
    if column >= state[0, KNOWN]:
        column = state[0, KNOWN]
        if interfaces[INDEX, column] < 0:
            return SPECIAL
    length = host32(data, at + head - 4, big)
    captured, time = captured_and_time(data, at, kind, size, big, interfaces, column)
    if captured > size - head - 4 or length > LONGEST:
        return DAMAGED
    if time < 0:
        time = max(state[0, PREVIOUS], 0)
        if kind != SIMPLE_PACKET:
            state[0, ODD] += 1
    records[TIME, count] = time
    records[AT, count] = at + head
    records[CAPTURED, count] = captured
    records[LENGTH, count] = max(captured, length)
    records[LINK, count] = interfaces[LINK_TYPE, column]
    records[INTERFACE, count] = interfaces[INDEX, column]
    records[KIND, count] = at + head if kind == SIMPLE_PACKET else at + size - 4
    state[0, PREVIOUS] = time
    return 0


@cold
def named(data: Octets, at: int, size: int, state: ByteRows) -> int:
    """Whether the block of names at `at` begins with one, and may be looked into."""
    return 1 if state[0, NAMES_LEFT] > 0 and size >= 20 and host16(data, at + 8, state[0, BIG]) != 0 else 0


@kernel
def scan_blocks(
    data: Octets, at: int, end: int, state: ByteRows, interfaces: ByteRows, records: ByteRows, count: int, room: int
) -> tuple[int, int, int]:
    """Read blocks from `at` on, packets into `records` from row `count` on: `(count, at, status)`.

    SPECIAL: at `at` stands what Python has to keep something of: an interface, secrets, names, a section with a comment, or a
    packet of an interface that was never described and has no name yet. Other blocks are passed over, and so are descriptions
    beyond what may be kept, so that a file of nothing else costs no more than its bytes. Where each packet's options end is
    left in row KIND.
    """
    while True:
        if count == room:
            return count, at, FULL
        if at + 12 > end:
            return count, at, MORE
        kind = host32(data, at, state[0, BIG])
        if kind == SECTION:
            size = enter(data, at, end, state, interfaces)
            if size <= 0:
                return count, at, DAMAGED if size < 0 else MORE
            if state[0, COMMENTS_LEFT] > 0 and comment_in(data, at + 24, at + size - 4, state[0, BIG]):
                return count, at, SPECIAL
            at += size
            continue
        size = block_size(data, at, end, state[0, BIG])
        if size <= 0:
            return count, at, DAMAGED if size < 0 else MORE
        if kind == INTERFACE_BLOCK:
            if size < 20:
                return count, at, DAMAGED
            if state[0, INTERFACES_LEFT] > 0:
                return count, at, SPECIAL
            state[0, OMITTED] += 1
        elif kind == SECRETS or (kind == NAMES and named(data, at, size, state)):
            return count, at, SPECIAL
        elif kind == ENHANCED_PACKET or kind == SIMPLE_PACKET or kind == OLD_PACKET:
            status = put_packet(data, at, kind, size, state, interfaces, records, count)
            if status:
                return count, at, status
            count += 1
        at += size


@kernel
def next_comment(data: Octets, records: ByteRows, row: int, count: int) -> int:
    """The first of the rows [row, count) whose packet has a comment, `count` where none has."""
    while row < count:
        at = records[AT, row] + ((records[CAPTURED, row] + 3) & ~3)
        if comment_in(data, at, records[KIND, row], 1 if records[LINK, row] >= BIG_ENDIAN else 0):
            return row
        row += 1
    return row


@kernel
def chain_blocks(data: Octets, at: int, end: int, final: int, big: int, longest: int) -> int:
    """Whether blocks of known types stand in a row from `at` on, as `records.chain` tells it."""
    seen = 0
    while seen < longest:
        if at == end and final:
            return TO_THE_END
        if at + 12 > end:
            return UNKNOWN if not final else (SOUND if seen > 0 else BROKEN)
        kind = host32(data, at, big)
        if kind == SECTION:
            order = section_order(data, at)
            if order < 0:
                return BROKEN
            big = order
        elif kind > 10 and kind != 0xBAD and kind != 0x40000BAD:
            return BROKEN
        size = block_size(data, at, end, big)
        if size < 0:
            return BROKEN
        if size == 0:
            return UNKNOWN if not final else (SOUND if seen > 0 else BROKEN)
        at += size
        seen += 1
    return TO_THE_END if at == end and final else SOUND
