"""Kernels for 802.11: data frames as a card in monitor mode captures them, with what radiotap says of each."""

from __future__ import annotations

from inspector.capture import faults
from inspector.capture.carried import IN_WLAN, LLC, NOTHING, WLAN_AGGREGATE, WLAN_ENCRYPTED, WLAN_FRAGMENT
from inspector.capture.octets import Octets, host16, host32
from inspector.kernels.kernel import cold

SHORT = -faults.SHORT_HEADER
BAD_LINK = -faults.BAD_LINK

# Radiotap, https://www.radiotap.org: which fields there are, and what the field of flags says.
HAS_TIME = 1 << 0
HAS_FLAGS = 1 << 1
MORE_FIELDS = 1 << 31
PADDED = 0x20  # the frame's header is filled up to four bytes

# The two bytes of frame control, IEEE 802.11 section 9.2.4.1.
DATA = 2  # type
NO_DATA = 4  # bits of the subtype
QOS = 8
BOTH_WAYS = 3  # to and from the distribution system: a fourth address
MORE_FRAGMENTS = 0x04
PROTECTED = 0x40
ORDER = 0x80  # with QOS: four bytes of HT control


@cold
def radiotap(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """Version, padding, length (little-endian), which fields there are; then the fields, and the frame."""
    if cap - at < 8:
        return SHORT, at
    size = host16(data, at + 2, 0)
    if data[at] != 0 or size < 8:
        return BAD_LINK, at
    if size > cap - at:
        return SHORT, at
    present = host32(data, at + 4, 0)
    field = 8
    more = present
    while more & MORE_FIELDS:
        if field + 4 > size:
            return BAD_LINK, at
        more = host32(data, at + field, 0)
        field += 4
    if present & HAS_TIME:
        field = ((field + 7) & ~7) + 8
    padded = 0
    if present & HAS_FLAGS and field < size:
        padded = data[at + field] & PADDED
    return wlan(data, at + size, cap, padded)


@cold
def wlan(data: Octets, at: int, cap: int, padded: int) -> tuple[int, int]:
    """An 802.11 frame: LLC follows where it is one of data in the clear."""
    if cap - at < 2:
        return SHORT, at
    control = data[at] & 0xFF
    flags = data[at + 1] & 0xFF
    subtype = control >> 4
    if (control & 3) != 0 or (control >> 2 & 3) != DATA or subtype & NO_DATA:
        return NOTHING, at
    size = 30 if flags & BOTH_WAYS == BOTH_WAYS else 24
    if cap - at < size + 2:
        return SHORT, at
    if flags & PROTECTED:
        return -(IN_WLAN | WLAN_ENCRYPTED), at
    if flags & MORE_FRAGMENTS or data[at + 22] & 0x0F:
        return -(IN_WLAN | WLAN_FRAGMENT), at
    if subtype & QOS:
        if data[at + size] & 0x80:
            return -(IN_WLAN | WLAN_AGGREGATE), at
        size += 6 if flags & ORDER else 2
    if padded:
        size = (size + 3) & ~3
    return LLC, at + size
