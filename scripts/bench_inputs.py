"""Captures to measure with, made from a recorded one: repeated, as Ethernet, cut, turned round.

Checksums are not made right again; the tools that are measured do not check them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

MAGICS = {  # first four bytes: byte order, ticks per second
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}
ETHERNET, RAW, SLL2 = 1, 101, 276
LINKS = {ETHERNET: (14, 12), RAW: (0, -1), SLL2: (20, 0)}  # length of the link header, where its protocol stands
SLL2_LONGER = 6  # bytes by which the SLL2 header is longer than Ethernet's
CHUNK = 1 << 14  # records written at a time
FAIR = 64 << 20  # bytes that a capture should have to say something about speed
SECOND, THIRD = 128, 8  # values that the second and third octet of an address take in turn
LIMIT = SECOND * THIRD
ADDRESS_TEXT = re.compile(rb"\b10\.(2[2-5]\d)\.([01])\.\d")
REQUEST_ID = re.compile(rb"\b[Xx]-[Rr]equest-[Ii][Dd]: ?([0-9a-f]{3})[0-9a-f]{5}-")
HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


class Recorded:
    """A pcap file of link type Ethernet, RAW or LINUX_SLL2 in memory.

    `start`: offset of each record (its 16 byte header); `captured`: bytes of each packet.
    """

    def __init__(self, path: Path, packets: int | None = None) -> None:
        """Reads a plain or zst file, the first `packets` of it. Raises ValueError for another format."""
        raw = path.read_bytes() if path.suffix != ".zst" else decompress(path)
        if raw[:4] not in MAGICS:
            raise ValueError(f"{path.name}: not a pcap file")
        self.order, self.ticks = MAGICS[raw[:4]]
        self.link = struct.unpack_from(self.order + "I", raw, 20)[0] & 0xFFFF
        if self.link not in LINKS:
            raise ValueError(f"{path.name}: link type {self.link}; 1, 101 or 276 is needed")
        self.start, self.captured = records(raw, self.order, packets)
        end = int(self.start[-1] + 16 + self.captured[-1])
        self.header = raw[:24]
        self.data: U8 = np.frombuffer(raw, np.uint8)[:end]
        seconds, fraction = self._field(0), self._field(4)
        self.time: I64 = seconds * self.ticks + fraction
        lasts = int(self.time.max() - self.time.min()) * (len(self.time) + 1) // len(self.time) + 1
        self.span = max(lasts, self.ticks * 2)  # sooner, a packet with one other address is the same one behind a NAT
        self.address = self._addresses()
        self.address_text = np.array([m.start(1) for m in ADDRESS_TEXT.finditer(self.data.data)], np.int64)
        self.request_id = np.array([m.start(1) for m in REQUEST_ID.finditer(self.data.data)], np.int64)

    def __len__(self) -> int:
        return len(self.start)

    def _field(self, at: int) -> I64:
        """A 32-bit field of every record's header."""
        return self.data[self.start[:, None] + (at + np.arange(4))].view(self.order + "u4")[:, 0].astype(np.int64)

    def _addresses(self) -> I64:
        """Offsets of the IPv4 source and destination addresses that begin with 10."""
        length, protocol = LINKS[self.link]
        link = self.start[self.captured >= length + 20] + 16
        ip = link + length
        data = self.data
        is_ip = data[ip] >> 4 == 4
        if protocol >= 0:
            is_ip &= (data[link + protocol] == 8) & (data[link + protocol + 1] == 0)
        found = np.concatenate([ip[is_ip] + 12, ip[is_ip] + 16])
        return np.sort(found[data[found] == 10])

    def write(self, path: Path, times: int = 1, ethernet: bool = False) -> None:
        """Write the capture `times` times after each other, each time later, with other addresses and request ids.

        All addresses 10.x.y.z of a repetition change their second and third octet, in the headers and in the text of
        x-forwarded-for, so that its connections are its own. Raises ValueError where there are not enough addresses.
        """
        if not 0 < times <= LIMIT:
            raise ValueError(f"{times} repetitions: 1 to {LIMIT} can be made")
        header = bytearray(self.header)
        if ethernet and self.link == SLL2:
            struct.pack_into(self.order + "I", header, 20, ETHERNET)
        with path.open("wb") as out:
            out.write(header)
            for turn in range(times):
                for chunk, starts in self._repetition(turn):
                    piece = to_ethernet(chunk, starts, self.order) if ethernet and self.link == SLL2 else chunk
                    out.write(piece.data)

    def _repetition(self, turn: int) -> Iterator[tuple[U8, I64]]:
        """Pieces of one repetition, with the offsets of the records in each."""
        for first in range(0, len(self), CHUNK):
            starts = self.start[first : first + CHUNK]
            low = int(starts[0])
            high = int(starts[-1] + 16 + self.captured[min(first + CHUNK, len(self)) - 1])
            out = self.data[low:high].copy()
            local = starts - low
            if turn:
                put_time(out, local, self.time[first : first + CHUNK] + turn * self.span, self.ticks, self.order)
                shift_addresses(out, within(self.address, low, high), turn)
                shift_text(out, within(self.address_text, low, high), turn)
                shift_ids(out, within(self.request_id, low, high), turn)
            yield out, local

    def write_reversed(self, path: Path, window: int) -> None:
        """Write the capture with each `window` packets in reverse order; the times stay ascending."""
        raw = self.data.tobytes()
        pieces = []
        for first in range(0, len(self), window):
            rows = range(first, min(first + window, len(self)))
            for old, new in zip(reversed(rows), rows, strict=True):
                start = int(self.start[new])
                body = int(self.start[old])
                pieces.append(raw[start : start + 8])
                pieces.append(raw[body + 8 : body + 16 + int(self.captured[old])])
        path.write_bytes(self.header + b"".join(pieces))


def records(raw: bytes, order: str, packets: int | None) -> tuple[I64, I64]:
    """Offset and captured length of each whole record."""
    length = struct.Struct(order + "I")
    starts: list[int] = []
    sizes: list[int] = []
    at, end = 24, len(raw)
    while at + 16 <= end and (packets is None or len(starts) < packets):
        size = length.unpack_from(raw, at + 8)[0]
        if at + 16 + size > end:
            break
        starts.append(at)
        sizes.append(size)
        at += 16 + size
    if not starts:
        raise ValueError("a capture without packets")
    return np.array(starts, np.int64), np.array(sizes, np.int64)


def within(places: I64, low: int, high: int) -> I64:
    """The sorted places from low up to high, counted from low."""
    return places[np.searchsorted(places, low) : np.searchsorted(places, high)] - low


def put(out: U8, places: I64, values: npt.NDArray[Any], kind: str) -> None:
    """Write integers of a numpy type at byte offsets."""
    octets = np.ascontiguousarray(values.astype(kind)).view(np.uint8).reshape(len(places), -1)
    out[places[:, None] + np.arange(octets.shape[1])] = octets


def put_time(out: U8, starts: I64, time: I64, ticks: int, order: str) -> None:
    put(out, starts, time // ticks, order + "u4")
    put(out, starts + 4, time % ticks, order + "u4")


def shift_addresses(out: U8, places: I64, turn: int) -> None:
    """Second octet down, third octet up; as unsigned bytes, so they wrap."""
    out[places + 1] -= np.uint8(turn % SECOND)
    out[places + 2] += np.uint8(turn // SECOND)


def shift_text(out: U8, places: I64, turn: int) -> None:
    """The same for addresses as text, which keep their length: 220 to 255 stay above 99 up to 120 turns."""
    octet = (out[places].astype(np.int64) - 48) * 100 + (out[places + 1] - 48) * np.int64(10) + (out[places + 2] - 48)
    octet -= turn % SECOND
    places, octet = places[octet >= 100], octet[octet >= 100]
    for k, unit in enumerate((100, 10, 1)):
        out[places + k] = 48 + octet // unit % 10
    out[places + 4] += np.uint8(turn // SECOND)


def shift_ids(out: U8, places: I64, turn: int) -> None:
    """Another request id: its first three hex digits count up by the turn."""
    value = np.full(len(places), turn, np.int64)
    for k, unit in enumerate((256, 16, 1)):
        digit = out[places + k].astype(np.int64)
        value += np.where(digit > 57, digit - 87, digit - 48) * unit
    for k, bits in enumerate((8, 4, 0)):
        out[places + k] = HEX[value >> bits & 15]


def to_ethernet(chunk: U8, starts: I64, order: str) -> U8:
    """Records with an SLL2 header as records with an Ethernet header (source address kept, destination zero)."""
    out = chunk.copy()
    link = starts + 16
    protocol = out[link[:, None] + np.arange(2)]
    source = out[link[:, None] + 12 + np.arange(6)]
    for at in (8, 12):
        size = out[starts[:, None] + at + np.arange(4)].view(order + "u4")[:, 0].astype(np.int64)
        put(out, starts + at, size - SLL2_LONGER, order + "u4")
    new = link[:, None] + SLL2_LONGER
    out[new + np.arange(6)] = 0
    out[new + 6 + np.arange(6)] = source
    out[new + 12 + np.arange(2)] = protocol
    kept = np.ones(len(out), bool)
    kept[link[:, None] + np.arange(SLL2_LONGER)] = False
    return out[kept]


def decompress(path: Path) -> bytes:
    import zstandard

    with path.open("rb") as packed:
        return zstandard.ZstdDecompressor().stream_reader(packed).read()


def compress(path: Path, target: Path) -> None:
    """A zst file as `zstd` makes it by default (level 3)."""
    import zstandard

    with path.open("rb") as plain, target.open("wb") as packed:
        zstandard.ZstdCompressor(level=3).copy_stream(plain, packed)


def choose(root: Path) -> tuple[Path, int]:
    """The capture to measure with where none is named, and how often it is repeated to have a fair size."""
    for path in (
        root.parent / "shared/captures/perf/client-400k.pcap.zst",
        root / "captures/perf/client-400k.pcap.zst",
    ):
        if path.exists():
            return path, 1
    sizes = []
    for path in sorted((root / "captures").glob("*-client.pcap*")):  # those of a pod have no tunnels
        try:
            recorded = Recorded(path)
        except ValueError:
            continue
        sizes.append((len(recorded.data), path))
    if not sizes:
        raise FileNotFoundError("no capture to measure with: name one")
    size, path = max(sizes)
    return path, min(LIMIT // 16, FAIR // size + 1)
