"""The pcapng file format: sections, interfaces, options. The packets are read by kernels in `blocks`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture import blocks, faults, links
from inspector.capture.decode import AT, CAPTURED, DEPTH, INTERFACE, KIND, LINK
from inspector.capture.faults import count_faults
from inspector.capture.layers import BIG_ENDIAN
from inspector.capture.pcap import unknown_link_hint
from inspector.capture.records import SPECIAL
from inspector.capture.tables import CaptureInfo, Interface
from inspector.errors import CaptureError
from inspector.lang import _, marked
from inspector.table import I64, U8

MAGIC = b"\x0a\x0d\x0d\x0a"
MAX_INTERFACES = 4096  # in a section, and in all: more are counted as never described
MAX_COMMENTS = 100
MAX_PACKET_COMMENTS = 1000
MAX_NAMES = 4096  # and so many blocks of them at most
MAX_TEXT = 4096  # bytes of a name, a description, a packet's comment
MAX_SECRETS = 1 << 24
TLS_KEY_LOG = 0x544C534B

IF_NAME = 2
IF_DESCRIPTION = 3
IF_TSRESOL = 9
IF_TSOFFSET = 14


class Pcapng:
    """Reads the blocks of one pcapng file. Raises CaptureError when a packet comes and no link type so far is known."""

    name = marked("block")
    header = 0

    def __init__(self, info: CaptureInfo) -> None:
        self.info = info
        self.state = np.zeros((1, blocks.STATE_COLUMNS), np.int64)
        self.state[0, [blocks.PREVIOUS, blocks.UNNAMED]] = -1
        self.interfaces = np.zeros((blocks.INTERFACE_ROWS, 8), np.int64)
        self.links: set[int] = set()  # link types described so far
        self.told = 0  # rows of the batch whose comments are kept
        self.name_blocks = 0  # looked into
        info.format = "pcapng"
        blocks.stand_in(self.state, self.interfaces)

    @property
    def big(self) -> int:
        return int(self.state[0, blocks.BIG])

    def scan(self, data: U8, at: int, end: int, final: bool, records: I64, room: int) -> tuple[int, int, int]:
        """Fill the scanners' rows of `records`: `(count, at, status)`, as `Pcap.scan`."""
        count = 0
        self.told = 0
        while True:
            before = count
            self.state[0, blocks.INTERFACES_LEFT] = MAX_INTERFACES - len(self.info.interfaces)
            self.state[0, blocks.COMMENTS_LEFT] = MAX_COMMENTS - len(self.info.comments)
            self.state[0, blocks.NAMES_LEFT] = MAX_NAMES - max(len(self.info.names), self.name_blocks)
            count, at, status = blocks.scan_blocks(data, at, end, self.state, self.interfaces, records, count, room)
            if count > before:
                self._refuse()
            if status != SPECIAL:
                break
            # The decoder numbers interfaces of LINUX_SLL2 where it meets them: those before this block come first.
            if count and links.LINUX_SLL2 in self.links:
                break
            self._comments(data, records, count)
            at = self._special(data, at, end)
        self._comments(data, records, count)
        self._count(records, count)
        records[DEPTH, :count] = 0
        return count, at, status

    def _refuse(self) -> None:
        """Raise for a packet before which no interface was described whose link type is read."""
        if self.links.isdisjoint(links.READ) and self.links:
            number = next(i.link_type for i in self.info.interfaces if i.link_type >= 0)
            name = links.link_type_name(number)
            raise CaptureError(
                self.info.path,
                _("link type {number} ({name}) is not read").format(number=number, name=name),
                unknown_link_hint(),
            )

    def _count(self, records: I64, count: int) -> None:
        """The faults of a batch."""
        odd, omitted, unnamed = (int(self.state[0, i]) for i in (blocks.ODD, blocks.OMITTED, blocks.UNNAMED))
        self.state[0, [blocks.ODD, blocks.OMITTED]] = 0
        count_faults(self.info, faults.RECORD_TIME, odd)
        strange = records[INTERFACE, :count] == unnamed
        count_faults(self.info, faults.UNKNOWN_INTERFACE, omitted + int(np.count_nonzero(strange)))
        if not self.links <= links.READ:
            read = np.isin(records[LINK, :count] & 0xFFFF, sorted(links.READ)) | strange
            count_faults(self.info, faults.UNKNOWN_LINK_TYPE, int(np.count_nonzero(~read)))

    def _comments(self, data: U8, records: I64, count: int) -> None:
        """Keep the comments of packets up to row `count`."""
        row = self.told
        self.told = count
        kept = self.info.packet_comments
        while row < count and (len(self.info.comments) < MAX_COMMENTS or len(kept) < MAX_PACKET_COMMENTS):
            row = blocks.next_comment(data, records, row, count)
            if row < count:
                start = records[AT, row] + (records[CAPTURED, row] + 3 & ~3)
                big = int(records[LINK, row] >= BIG_ENDIAN)
                number = self.info.packets + row + 1  # the batch is counted when it is decoded
                for comment in self._keep_comments(bytes(data[start : records[KIND, row]]), big):
                    if len(kept) < MAX_PACKET_COMMENTS:
                        kept.append((number, text(comment[:MAX_TEXT])))
                row += 1

    def _keep_comments(self, body: bytes, big: int) -> list[bytes]:
        """Keep the comments among options; returns all of them."""
        found = [value for code, value in options(body, big) if code == blocks.COMMENT]
        self.info.comments += map(text, found[: max(MAX_COMMENTS - len(self.info.comments), 0)])
        return found

    def _special(self, data: U8, at: int, end: int) -> int:
        """Keep what is to be kept of the block at `at`, whose end is in the data; where to go on."""
        order: Any = "big" if self.big else "little"
        kind, size = (int.from_bytes(data[i : i + 4].tobytes(), order) for i in (at, at + 4))
        if kind == blocks.SECRETS:
            return self._secrets(data, at, end)
        if kind == blocks.NAMES:
            self._names(data[at + 8 : at + size - 4].tobytes())
        elif kind == blocks.SECTION:
            self._keep_comments(data[at + 24 : at + size - 4].tobytes(), self.big)
        elif kind == blocks.INTERFACE_BLOCK:
            self._interface(data[at + 8 : at + size - 4].tobytes())
        else:  # a packet of an interface never described
            self.state[0, blocks.UNNAMED] = len(self.info.interfaces)
            self.info.interfaces.append(Interface("not described", -1))
            blocks.stand_in(self.state, self.interfaces)
            return at
        return at + size

    def _interface(self, body: bytes) -> None:
        order: Any = "big" if self.big else "little"
        link = int.from_bytes(body[:2], order)
        snaplen = int.from_bytes(body[4:8], order)
        name, comment, description = "", "", ""
        multiply, divide, shift, offset = 1000, 1, 0, 0
        for code, value in options(body[8:], self.big):
            if code == IF_NAME:
                name = text(value)
            elif code == blocks.COMMENT:
                comment = text(value)
            elif code == IF_DESCRIPTION:
                description = text(value[:MAX_TEXT])
            elif code == IF_TSRESOL and len(value) == 1:
                multiply, divide, shift = resolution(value[0])
            elif code == IF_TSOFFSET and len(value) == 8:
                seconds = int.from_bytes(value, order, signed=True)
                offset = seconds * 1_000_000_000 if abs(seconds) < 1 << 32 else 0
        self._keep_comments(body[8:], self.big)
        index = len(self.info.interfaces)
        self.info.interfaces.append(Interface(name, link, snaplen, comment, description))
        if link not in self.links:
            self.links.add(link)
            if links.link_type_name(link) not in self.info.link_types:
                self.info.link_types.append(links.link_type_name(link))
        known = int(self.state[0, blocks.KNOWN])
        if known + 2 > self.interfaces.shape[1]:
            wider = np.zeros((blocks.INTERFACE_ROWS, 2 * self.interfaces.shape[1]), np.int64)
            wider[:, :known] = self.interfaces[:, :known]
            self.interfaces = wider
        self.interfaces[:, known] = (index, link + BIG_ENDIAN * self.big, snaplen, multiply, divide, shift, offset)
        self.state[0, blocks.KNOWN] = known + 1
        blocks.stand_in(self.state, self.interfaces)

    def _names(self, body: bytes) -> None:
        """Keep the names in a block (section 4.5): records of an address and the names it has, each ended by a zero."""
        self.name_blocks += 1
        for kind, value in options(body, self.big):
            size = {1: 4, 2: 16}.get(kind, 0)
            if not size or len(value) <= size:
                continue
            address = str(ip_address(value[:size]))
            for name in value[size : size + MAX_TEXT].split(b"\0"):
                if name and len(self.info.names) < MAX_NAMES:
                    self.info.names.append((address, text(name)))

    def _secrets(self, data: U8, at: int, end: int) -> int:
        """The secrets blocks that stand in a row from `at` on; where the row ends."""
        view = data.data
        number = struct.Struct(">I" if self.big else "<I").unpack_from
        sound = struct.Struct(">IIII" if self.big else "<IIII").unpack_from
        while at + 12 <= end:
            kind, size = number(view, at)[0], number(view, at + 4)[0]
            whole = 12 <= size <= end - at and size <= blocks.LARGEST_BLOCK and size & 3 == 0
            if kind != blocks.SECRETS or not whole or number(view, at + size - 4)[0] != size:
                break
            if size >= 20:
                _kind, _size, what, length = sound(view, at)
                length = min(length, size - 20)
                if what == TLS_KEY_LOG and len(self.info.tls_secrets) + length <= MAX_SECRETS:
                    self.info.tls_secrets += view[at + 16 : at + 16 + length]
            at += size
        return at

    def candidates(self, data: U8, at: int, end: int) -> NDArray[Any]:
        """(n,) int64: where in [at, end) a block might start, with 12 bytes of it in [at, end)."""
        if end - at < 12:
            return np.empty(0, np.int64)
        order = ">u4" if self.big else "<u4"
        header = np.ndarray((end - at - 11,), np.dtype([("kind", order), ("size", order)]), data, at, (1,))
        kind, size = header["kind"], header["size"]
        usual = (kind > 0) & (kind <= 10) | (kind == 0xBAD) | (kind == 0x40000BAD)
        usual &= (size >= 12) & (size <= blocks.LARGEST_BLOCK) & (size & 3 == 0)
        return np.flatnonzero(usual | (kind == blocks.SECTION)) + at

    def chain(self, data: U8, at: int, end: int, final: bool, longest: int = 2) -> int:
        """Whether blocks stand in a row from `at` on: see `blocks.chain_blocks`."""
        return blocks.chain_blocks(data, at, end, int(final), self.big, longest)


def options(body: bytes, big: int) -> Iterator[tuple[int, bytes]]:
    """The options in `body` (section 3.5) up to opt_endofopt or where they make no sense."""
    order: Any = "big" if big else "little"
    at = 0
    while at + 4 <= len(body):
        code = int.from_bytes(body[at : at + 2], order)
        size = int.from_bytes(body[at + 2 : at + 4], order)
        if code == 0 or at + 4 + size > len(body):
            return
        yield code, body[at + 4 : at + 4 + size]
        at += 4 + (size + 3 & ~3)


def resolution(value: int) -> tuple[int, int, int]:
    """if_tsresol as (multiply, divide, shift), see `blocks`. Finer than 10**-27 s or 2**-63 s is taken as that."""
    if value == 0x80:
        return 1_000_000_000, 1, 0
    if value & 0x80:
        return 1, 1, min(value & 0x7F, 63)
    if value <= 9:
        return 10 ** (9 - value), 1, 0
    return 1, 10 ** min(value - 9, 18), 0


def text(value: bytes) -> str:
    """UTF-8 of an option, without the zero byte that some writers add; what is not UTF-8 is shown as U+FFFD."""
    return value.rstrip(b"\0").decode("utf-8", "replace")
