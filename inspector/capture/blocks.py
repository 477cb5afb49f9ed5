"""Kernels for pcapng blocks: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/."""

from __future__ import annotations

from inspector.capture.decode import AT, CAPTURED, INTERFACE, KIND, LENGTH, LINK, TIME
from inspector.capture.octets import Octets, Rows, host16, host32
from inspector.capture.records import BROKEN, DAMAGED, FULL, LONGEST, MORE, SOUND, SPECIAL, TO_THE_END, UNKNOWN
from inspector.kernel import kernel

SECTION = 0x0A0D0D0A
INTERFACE_BLOCK = 1
OLD_PACKET = 2
SIMPLE_PACKET = 3
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
def to_ns(high: int, low: int, interfaces: Rows, column: int) -> int:
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
    data: Octets, at: int, kind: int, size: int, big: int, interfaces: Rows, column: int
) -> tuple[int, int]:
    """Captured bytes and time (ns) of the packet block at `at`; -1 for a time out of range, or none (simple blocks)."""
    if kind != SIMPLE_PACKET:
        time = to_ns(host32(data, at + 12, big), host32(data, at + 16, big), interfaces, column)
        return host32(data, at + 20, big), time
    captured = min(host32(data, at + 8, big), size - 16)
    snaplen = interfaces[SNAPLEN, column]
    return (min(captured, snaplen) if snaplen > 0 else captured), -1


@kernel
def scan_blocks(
    data: Octets, at: int, end: int, big: int, interfaces: Rows, known: int, previous: int, records: Rows, room: int
) -> tuple[int, int, int, int, int]:
    """Read packet blocks from `at` on: `(count, at, status, previous, odd)`; other blocks are passed over.

    SPECIAL: a section, interface or secrets block stands at `at`, or a packet of an interface that was never described
    and has no name yet. `known` is the number of interfaces. Where each block ends is left in row KIND, for comments.
    """
    count = 0
    odd = 0
    while True:
        if count == room:
            return count, at, FULL, previous, odd
        if at + 12 > end:
            return count, at, MORE, previous, odd
        kind = host32(data, at, big)
        if kind == SECTION:
            return count, at, SPECIAL, previous, odd
        size = block_size(data, at, end, big)
        if size <= 0:
            return count, at, DAMAGED if size < 0 else MORE, previous, odd
        if kind == INTERFACE_BLOCK or kind == SECRETS:
            return count, at, SPECIAL, previous, odd
        if kind != ENHANCED_PACKET and kind != SIMPLE_PACKET and kind != OLD_PACKET:
            at += size
            continue
        head = 12 if kind == SIMPLE_PACKET else 28
        if size < head + 4:
            return count, at, DAMAGED, previous, odd
        column = interface_of(data, at, kind, big)
        if column >= known:
            column = known
            if interfaces[INDEX, column] < 0:
                return count, at, SPECIAL, previous, odd
        length = host32(data, at + head - 4, big)
        captured, time = captured_and_time(data, at, kind, size, big, interfaces, column)
        if captured > size - head - 4 or length > LONGEST:
            return count, at, DAMAGED, previous, odd
        if time < 0:
            time = max(previous, 0)
            if kind != SIMPLE_PACKET:
                odd += 1
        records[TIME, count] = time
        records[AT, count] = at + head
        records[CAPTURED, count] = captured
        records[LENGTH, count] = max(captured, length)
        records[LINK, count] = interfaces[LINK_TYPE, column]
        records[INTERFACE, count] = interfaces[INDEX, column]
        records[KIND, count] = at + size - 4
        count += 1
        previous = time
        at += size


@kernel
def section_order(data: Octets, at: int) -> int:
    """Byte order of the section header at `at`: 1 big-endian, 0 little-endian, -1 neither. Precondition: 12 bytes."""
    if host32(data, at + 8, 1) == BYTE_ORDER:
        return 1
    return 0 if host32(data, at + 8, 0) == BYTE_ORDER else -1


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
