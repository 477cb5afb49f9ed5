"""IP reassembly (RFC 791 section 3.2, RFC 8200 section 4.5), in bounded memory and time of the capture."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from inspector.capture import faults
from inspector.capture.faults import count_faults
from inspector.capture.tables import CaptureInfo

MAX_DATAGRAMS = 1024  # open at once
MAX_BYTES = 8 << 20  # held for them
LIFETIME = 30_000_000_000  # ns; Linux's default, ipfrag_time
LARGEST = 65_535


@dataclass
class Fragment:
    """One fragment: `header` is what the datagram's header is made of, `data` what was captured of `length` bytes."""

    key: tuple[object, ...]  # who sent it to whom, under which identification, and where it was captured
    time: int
    version: int
    header: bytes
    protocol: int
    offset: int  # bytes
    last: bool
    data: bytes
    length: int


@dataclass
class Datagram:
    """A datagram in the making. `spans` are the byte ranges had, as sorted, disjoint [start, end) that do not touch."""

    first: int  # time of its first fragment
    header: bytes = b""
    protocol: int = -1  # of the fragment with offset 0
    total: int = -1  # payload bytes, once the last fragment is known
    cut: int = LARGEST  # the snap length cut bytes off from here on
    spoilt: bool = False
    data: bytearray = field(default_factory=bytearray)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def complete(self) -> bool:
        """Whether all of its bytes were on the wire."""
        return self.total >= 0 and self.protocol >= 0 and self.starts == [0] and self.ends == [self.total]

    def holes(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of [start, end) not had yet."""
        out = []
        i = bisect_left(self.ends, start + 1)
        while i < len(self.starts) and self.starts[i] < end:
            if start < self.starts[i]:
                out.append((start, self.starts[i]))
            start = max(start, self.ends[i])
            i += 1
        if start < end:
            out.append((start, end))
        return out

    def cover(self, start: int, end: int) -> None:
        """[start, end) is had now."""
        low = bisect_left(self.ends, start)
        high = bisect_right(self.starts, end)
        if low < high:
            start, end = min(start, self.starts[low]), max(end, self.ends[high - 1])
        self.starts[low:high] = [start]
        self.ends[low:high] = [end]

    def add(self, part: Fragment) -> int:
        """Put a fragment in; returns by how many bytes the memory held grew. Bytes had first are kept."""
        end = part.offset + part.length
        holes = self.holes(part.offset, end)
        if part.version == 6 and holes != [(part.offset, end)] and not self._same(part):
            self.spoilt = True  # RFC 5722; a fragment that came twice is none of that
            return 0
        if part.last:
            self.spoilt |= self.total >= 0 and self.total != end
            self.total = end
        self.spoilt |= self.total >= 0 and max([end, *self.ends[-1:]]) > self.total
        if part.offset == 0 and self.protocol < 0:
            self.header, self.protocol = part.header, part.protocol
        before = len(self.data)
        captured = part.offset + len(part.data)
        if captured > before:
            self.data.extend(bytes(captured - before))
        for start, stop in holes:
            self.data[start : min(stop, captured)] = part.data[start - part.offset : min(stop, captured) - part.offset]
            if stop > captured:
                self.cut = min(self.cut, max(start, captured))
        if holes:
            self.cover(part.offset, end)
        return len(self.data) - before

    def _same(self, part: Fragment) -> bool:
        """Whether the bytes of `part` are all there already and equal."""
        had = not self.holes(part.offset, part.offset + part.length)
        return had and self.data[part.offset : part.offset + len(part.data)] == part.data


class Reassembler:
    """Takes fragments in capture order, gives back whole datagrams."""

    def __init__(self, info: CaptureInfo) -> None:
        self.info = info
        self.open: dict[tuple[object, ...], Datagram] = {}  # in order of their first fragments
        self.bytes = 0

    def add(self, part: Fragment) -> tuple[bytes, int] | None:
        """The datagram that `part` completes, and its bytes on the wire: more where the snap length cut some.

        The datagram is an IP header without options or extension headers, and the payload.
        """
        self._expire(part.time)
        datagram = self.open.get(part.key)
        if datagram is None:
            datagram = self.open[part.key] = Datagram(part.time)
        self.bytes += datagram.add(part)
        if datagram.spoilt:
            self._drop(part.key)
            count_faults(self.info, faults.FRAGMENT_OVERLAP, 1)
            return None
        if datagram.complete():
            self._drop(part.key)
            return whole(datagram, part.version)
        while len(self.open) > MAX_DATAGRAMS or self.bytes > MAX_BYTES:
            self._drop(next(iter(self.open)))
            count_faults(self.info, faults.FRAGMENT_LIMIT, 1)
        return None

    def finish(self) -> None:
        """The capture ends: count what stayed incomplete."""
        count_faults(self.info, faults.FRAGMENT_INCOMPLETE, len(self.open))
        self.open.clear()

    def _expire(self, now: int) -> None:
        while self.open:
            key, oldest = next(iter(self.open.items()))
            if now - oldest.first <= LIFETIME:
                return
            self._drop(key)
            count_faults(self.info, faults.FRAGMENT_INCOMPLETE, 1)

    def _drop(self, key: tuple[object, ...]) -> None:
        self.bytes -= len(self.open.pop(key).data)


def whole(datagram: Datagram, version: int) -> tuple[bytes, int]:
    """The complete datagram as (captured bytes, bytes on the wire)."""
    payload = bytes(datagram.data[: min(datagram.cut, datagram.total)])
    header = bytearray(datagram.header)
    if version == 4:
        size = 20 + datagram.total
        header[2:4] = (size if size <= LARGEST else 0).to_bytes(2, "big")  # 0: to the end of the packet
        header[6:8] = b"\0\0"
        header[9] = datagram.protocol
    else:
        size = 40 + datagram.total
        header[4:6] = (datagram.total if datagram.total <= LARGEST else 0).to_bytes(2, "big")
        header[6] = datagram.protocol
    return bytes(header) + payload, size
