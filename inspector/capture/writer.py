"""Writing pcapng: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/. Blocks as bytes; who wants a file joins them.

Everything is little-endian, times are whole nanoseconds (if_tsresol 9), so that a time read is the time written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

SECTION = 0x0A0D0D0A
INTERFACE = 1
PACKET = 6  # an Enhanced Packet Block
BYTE_ORDER = 0x1A2B3C4D
UNKNOWN_LENGTH = 0xFFFFFFFFFFFFFFFF  # section 4.1: the section's length is not told

COMMENT, END = 1, 0  # options of every block (section 3.5)
APPLICATION = 4  # shb_userappl
NAME, DESCRIPTION, RESOLUTION = 2, 3, 9  # of an interface

LONGEST_OPTION = 0xFFFF  # bytes
LARGEST_BLOCK = 1 << 24  # what our own reader takes: see capture.blocks
TAIL = 4  # bytes of the total length repeated at a block's end

Options = Iterable[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class WrittenInterface:
    """An interface block. name, description: "" leaves the option out. snaplen: 0 means no limit."""

    link_type: int
    snaplen: int = 0
    name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class WrittenPacket:
    """A packet block: the number of its interface in the section, ns since the epoch, captured bytes, length on the wire."""

    interface: int
    time: int
    data: bytes
    length: int
    comments: tuple[str, ...] = ()


def section(application: str, comment: str = "") -> bytes:
    """A section header block of unknown length."""
    given = [(COMMENT, encoded(comment)), (APPLICATION, encoded(application))]
    return _block(SECTION, struct.pack("<IHHQ", BYTE_ORDER, 1, 0, UNKNOWN_LENGTH), given)


def interface(described: WrittenInterface) -> bytes:
    """An interface description block with nanosecond times."""
    given = [
        (NAME, encoded(described.name)),
        (DESCRIPTION, encoded(described.description)),
        (RESOLUTION, b"\x09"),
    ]
    return _block(INTERFACE, struct.pack("<HHI", described.link_type, 0, described.snaplen), given)


def packet(p: WrittenPacket) -> bytes:
    """An enhanced packet block. Raises ValueError for a packet that no reader of ours would take back."""
    if not 0 <= p.time < 1 << 63 or not len(p.data) <= p.length < 1 << 32 or len(p.data) > LARGEST_BLOCK >> 1:
        raise ValueError("a packet's time or size is out of range")
    head = struct.pack("<IIIII", p.interface, p.time >> 32, p.time & 0xFFFFFFFF, len(p.data), p.length)
    return _block(PACKET, head + _padded(p.data), [(COMMENT, encoded(comment)) for comment in p.comments])


def encoded(text: str) -> bytes:
    """UTF-8 that fits an option, cut between characters."""
    raw = text.encode("utf-8", "replace")
    return raw if len(raw) <= LONGEST_OPTION else raw[:LONGEST_OPTION].decode("utf-8", "ignore").encode()


def _block(kind: int, body: bytes, given: Options) -> bytes:
    parts = [struct.pack("<HH", code, len(value)) + _padded(value) for code, value in given if value]
    if parts:
        parts.append(struct.pack("<HH", END, 0))
    body += b"".join(parts)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def written(file: BinaryIO) -> Iterator[WrittenInterface | WrittenPacket]:
    """The interfaces and packets of a file that this module wrote, in order. Raises ValueError for anything else."""
    while head := file.read(8):
        if len(head) < 8:
            raise ValueError("ends inside a block")
        kind, size = struct.unpack("<II", head)
        body = file.read(size - 8) if 12 <= size <= LARGEST_BLOCK else b""
        least = {INTERFACE: 8 + TAIL, PACKET: 20 + TAIL}.get(kind, TAIL)
        if len(body) < least or len(body) != size - 8 or struct.unpack("<I", body[-TAIL:])[0] != size:
            raise ValueError("not a block that was written here")
        if kind == INTERFACE:
            link_type, _, snaplen = struct.unpack_from("<HHI", body)
            told = dict(_options(body, 8))
            yield WrittenInterface(link_type, snaplen, *(told.get(code, b"").decode() for code in (NAME, DESCRIPTION)))
        elif kind == PACKET:
            number, high, low, captured, length = struct.unpack_from("<IIIII", body)
            if captured > len(body) - 20 - TAIL:
                raise ValueError("not a block that was written here")
            given = _options(body, 20 + captured + (-captured % 4))
            comments = tuple(value.decode() for code, value in given if code == COMMENT)
            yield WrittenPacket(number, high << 32 | low, body[20 : 20 + captured], length, comments)
        elif kind != SECTION:
            raise ValueError("not a block that was written here")


def _options(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= len(body) - TAIL:
        code, size = struct.unpack_from("<HH", body, at)
        if code == END:
            return
        yield code, body[at + 4 : at + 4 + size]
        at += 4 + size + (-size % 4)
