"""The pcap file format: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture import faults, links
from inspector.capture.decode import DEPTH, INTERFACE, LINK
from inspector.capture.faults import count_faults
from inspector.capture.layers import BIG_ENDIAN
from inspector.capture.records import (
    BROKEN,
    CHAIN,
    DAY,
    HEADER,
    LONG_CHAIN,
    LONGEST,
    MODIFIED_HEADER,
    Before,
    Framing,
    chain,
    scan_records,
)
from inspector.capture.tables import CaptureInfo, Interface
from inspector.errors import CaptureError
from inspector.lang import _, marked
from inspector.table import I64, U8

FILE_HEADER = 24
MAGICS = {  # first four bytes: big-endian, fractions in a second
    b"\xa1\xb2\xc3\xd4": (1, 1_000_000),
    b"\xd4\xc3\xb2\xa1": (0, 1_000_000),
    b"\xa1\xb2\x3c\x4d": (1, 1_000_000_000),
    b"\x4d\x3c\xb2\xa1": (0, 1_000_000_000),
}
MODIFIED = {  # the same of Kuznetzov's libpcap, whose records have a longer header
    b"\xa1\xb2\xcd\x34": (1, 1_000_000),
    b"\x34\xcd\xb2\xa1": (0, 1_000_000),
}
USUAL_LIMIT = 262_144  # MAXIMUM_SNAPLEN of libpcap
LARGEST_LIMIT = 1 << 20  # a snap length beyond it is not believed


class Pcap:
    """Reads the records of one pcap file. Raises CaptureError for an unknown link type."""

    name = marked("record")
    header = FILE_HEADER

    def __init__(self, info: CaptureInfo, head: bytes) -> None:
        """`head`: the first 24 bytes."""
        self.info = info
        self.big, self.unit = (MAGICS | MODIFIED)[head[:4]]
        self.record_header = MODIFIED_HEADER if head[:4] in MODIFIED else HEADER
        order = ">u4" if self.big else "<u4"
        snaplen, network = (int(v) for v in np.frombuffer(head, order, 2, 16))
        self.snaplen = snaplen
        self.limit = min(max(snaplen, USUAL_LIMIT), LARGEST_LIMIT)
        self._framing = Framing(self.big, self.unit, self.limit, self.record_header)
        self.link = network & 0xFFFF  # the upper bits tell of a frame check sequence
        self.previous = -1
        self.loose = 0  # see `records.scan_records`
        info.format = "pcap"
        name = links.link_type_name(self.link)
        info.link_types.append(name)
        if self.link not in links.READ:
            raise CaptureError(
                info.path,
                _("link type {number} ({name}) is not read").format(number=self.link, name=name),
                unknown_link_hint(),
            )
        if self.link != links.LINUX_SLL2:
            info.interfaces.append(Interface("", self.link, snaplen))

    def scan(self, data: U8, at: int, end: int, final: bool, records: I64, room: int) -> tuple[int, int, int]:
        """Fill the scanners' rows of `records`: `(count, at, status)`, see `records.scan_records`."""
        count, at, status, self.previous, odd, self.loose = scan_records(
            data, at, end, int(final), self._framing, Before(self.previous, self.loose), records, room
        )
        count_faults(self.info, faults.RECORD_TIME, odd)
        records[LINK, :count] = self.link + BIG_ENDIAN * self.big
        records[INTERFACE, :count] = 0
        records[DEPTH, :count] = 0
        return count, at, status

    def candidates(self, data: U8, at: int, end: int) -> NDArray[Any]:
        """(n,) int64: where in [at, end) a record header might start, with all of it in [at, end)."""
        if end - at < HEADER:
            return np.empty(0, np.int64)
        order = ">u4" if self.big else "<u4"
        fields = np.dtype([("seconds", order), ("fraction", order), ("captured", order), ("length", order)])
        header = np.ndarray((end - at - HEADER + 1,), fields, data, at, (1,))
        captured = header["captured"]
        length = header["length"]
        good = (captured > 0) & (captured <= self.limit) & (captured <= length) & (length <= LONGEST)
        fair = header["fraction"] < self.unit
        if self.loose:
            fair |= np.abs(header["seconds"].astype(np.int64) - self.previous // 1_000_000_000) <= DAY
        return np.flatnonzero(good & fair) + at

    def chain(self, data: U8, at: int, end: int, final: bool, longest: int = CHAIN) -> int:
        """Whether records stand in a row from `at` on: see `records.chain`. Precondition: a candidate.

        One a day or more from the last record read needs more of them behind it; where those are of the last record's
        day again, it is a pattern in the damage that only looks like a record.
        """
        if self._leaps(data, at):
            longest = max(longest, LONG_CHAIN)
            following = at + self.record_header + self._number(data, at + 8)
            if following + self.record_header <= end and not self._leaps(data, following):
                return BROKEN
        near = self.previous // 1_000_000_000 if self.loose else -DAY - 1
        return chain(data, at, end, int(final), self._framing, near, longest)

    def _leaps(self, data: U8, at: int) -> bool:
        return self.previous >= 0 and abs(self._number(data, at) - self.previous // 1_000_000_000) > DAY

    def _number(self, data: U8, at: int) -> int:
        return int.from_bytes(data[at : at + 4].tobytes(), "big" if self.big else "little")


def unknown_link_hint() -> str:
    """What to do about a link type that is not read."""
    names = ", ".join(dict.fromkeys(links.link_type_name(n) for n in sorted(links.READ)))
    return _(
        "Read are {names}. Capture with `tcpdump -i any` or on an Ethernet interface, or convert with editcap -T."
    ).format(names=names)
