"""The pcapng file format: sections, interfaces, options. The packets are read by kernels in `blocks`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture import blocks, faults, links
from inspector.capture.decode import AT, CAPTURED, DEPTH, INTERFACE, KIND, LINK
from inspector.capture.faults import count_faults
from inspector.capture.layers import BIG_ENDIAN
from inspector.capture.pcap import unknown_link_hint
from inspector.capture.records import DAMAGED, MORE, SPECIAL
from inspector.capture.tables import CaptureInfo, Interface
from inspector.errors import CaptureError
from inspector.lang import _, marked
from inspector.table import I64, U8

MAGIC = b"\x0a\x0d\x0d\x0a"
MAX_INTERFACES = 4096  # in a section, and in all: more are counted as never described
MAX_COMMENTS = 100
MAX_SECRETS = 1 << 24
TLS_KEY_LOG = 0x544C534B

COMMENT = 1
IF_NAME = 2
IF_TSRESOL = 9
IF_TSOFFSET = 14


class Pcapng:
    """Reads the blocks of one pcapng file. Raises CaptureError when a packet comes and no link type so far is known."""

    name = marked("block")
    header = 0

    def __init__(self, info: CaptureInfo) -> None:
        self.info = info
        self.big = 0
        self.previous = -1
        self.known = 0  # interfaces of this section
        self.unnamed = -1  # index of the interface that stands for those never described
        self.interfaces = np.zeros((blocks.INTERFACE_ROWS, 8), np.int64)
        info.format = "pcapng"
        self._new_section(0)

    def _new_section(self, big: int) -> None:
        self.big = big
        self.known = 0
        self._stand_in()

    def _stand_in(self) -> None:
        """The column behind the last interface stands for those never described."""
        if self.known + 1 > self.interfaces.shape[1]:
            wider = np.zeros((blocks.INTERFACE_ROWS, 2 * self.interfaces.shape[1]), np.int64)
            wider[:, : self.known] = self.interfaces[:, : self.known]
            self.interfaces = wider
        self.interfaces[:, self.known] = (self.unnamed, 0xFFFF, 0, 1000, 1, 0, 0)

    def scan(self, data: U8, at: int, end: int, final: bool, records: I64, room: int) -> tuple[int, int, int]:
        """Fill the scanners' rows of `records`: `(count, at, status)`, as `Pcap.scan`."""
        while True:
            count, at, status, self.previous, odd = blocks.scan_blocks(
                data, at, end, self.big, self.interfaces, self.known, self.previous, records, room
            )
            count_faults(self.info, faults.RECORD_TIME, odd)
            if count or status != SPECIAL:
                break
            at, status = self._special(data, at, end)
            if status != SPECIAL:
                break
        records[DEPTH, :count] = 0
        if count:
            self._look_at(data, records, count)
        return count, at, status

    def _look_at(self, data: U8, records: I64, count: int) -> None:
        """Packets whose link type is not read, or is not known; comments of packets."""
        if not any(i.link_type in links.READ for i in self.info.interfaces):
            number = next((i.link_type for i in self.info.interfaces if i.link_type >= 0), None)
            if number is not None:
                name = links.link_type_name(number)
                raise CaptureError(
                    self.info.path,
                    _("link type {number} ({name}) is not read").format(number=number, name=name),
                    unknown_link_hint(),
                )
        unnamed = np.count_nonzero(records[INTERFACE, :count] == self.unnamed)
        count_faults(self.info, faults.UNKNOWN_INTERFACE, int(unnamed))
        if any(i.link_type not in links.READ and i.link_type >= 0 for i in self.info.interfaces):
            read = np.isin(records[LINK, :count] & 0xFFFF, sorted(links.READ))
            read |= records[INTERFACE, :count] == self.unnamed
            count_faults(self.info, faults.UNKNOWN_LINK_TYPE, int(np.count_nonzero(~read)))
        if len(self.info.comments) >= MAX_COMMENTS:
            return
        start = records[AT, :count] + (records[CAPTURED, :count] + 3 & ~3)
        for row in np.flatnonzero(records[KIND, :count] - start >= 8):
            for code, value in options(bytes(data[start[row] : records[KIND, row]]), self.big):
                if code == COMMENT:
                    self._comment(value)

    def _comment(self, value: bytes) -> None:
        if len(self.info.comments) < MAX_COMMENTS:
            self.info.comments.append(text(value))

    def _special(self, data: U8, at: int, end: int) -> tuple[int, int]:
        """Read the block at `at` that is no packet: `(at, status)`, SPECIAL to go on."""
        order = ">u4" if self.big else "<u4"
        kind = int(np.frombuffer(data, order, 1, at)[0])
        if kind == blocks.SECTION:
            big = blocks.section_order(data, at)
            if big < 0:
                return at, DAMAGED
            size = blocks.block_size(data, at, end, big)
            if size <= 0 or size < 28:
                return at, MORE if size == 0 else DAMAGED
            self._new_section(big)
            for code, value in options(bytes(data[at + 24 : at + size - 4]), big):
                if code == COMMENT:
                    self._comment(value)
            return at + size, SPECIAL
        size = blocks.block_size(data, at, end, self.big)
        body = bytes(data[at + 8 : at + size - 4])
        if kind == blocks.INTERFACE_BLOCK:
            if len(body) < 8:
                return at, DAMAGED
            self._interface(body)
        elif kind == blocks.SECRETS:
            self._secrets(body)
        else:  # a packet of an interface never described
            if self.unnamed < 0:
                self.unnamed = len(self.info.interfaces)
                self.info.interfaces.append(Interface("not described", -1))
            self._stand_in()
            return at, SPECIAL
        return at + size, SPECIAL

    def _interface(self, body: bytes) -> None:
        if self.known >= MAX_INTERFACES or len(self.info.interfaces) >= MAX_INTERFACES:
            count_faults(self.info, faults.UNKNOWN_INTERFACE, 1)
            return
        order = "big" if self.big else "little"
        link = int.from_bytes(body[:2], order)  # type: ignore[arg-type]
        snaplen = int.from_bytes(body[4:8], order)  # type: ignore[arg-type]
        name, comment = "", ""
        multiply, divide, shift, offset = 1000, 1, 0, 0
        for code, value in options(body[8:], self.big):
            if code == IF_NAME:
                name = text(value)
            elif code == COMMENT:
                comment = text(value)
                self._comment(value)
            elif code == IF_TSRESOL and len(value) == 1:
                multiply, divide, shift = resolution(value[0])
            elif code == IF_TSOFFSET and len(value) == 8:
                seconds = int.from_bytes(value, order, signed=True)  # type: ignore[arg-type]
                offset = seconds * 1_000_000_000 if abs(seconds) < 1 << 32 else 0
        index = len(self.info.interfaces)
        self.info.interfaces.append(Interface(name, link, snaplen, comment))
        if links.link_type_name(link) not in self.info.link_types:
            self.info.link_types.append(links.link_type_name(link))
        self.interfaces[:, self.known] = (index, link + BIG_ENDIAN * self.big, snaplen, multiply, divide, shift, offset)
        self.known += 1
        self._stand_in()

    def _secrets(self, body: bytes) -> None:
        order = "big" if self.big else "little"
        if len(body) < 8 or int.from_bytes(body[:4], order) != TLS_KEY_LOG:  # type: ignore[arg-type]
            return
        size = int.from_bytes(body[4:8], order)  # type: ignore[arg-type]
        if len(self.info.tls_secrets) + size <= MAX_SECRETS:
            self.info.tls_secrets += body[8 : 8 + size]

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
    """UTF-8 of an option, without the zero byte that some writers add; what is no UTF-8 is shown as U+FFFD."""
    return value.rstrip(b"\0").decode("utf-8", "replace")
