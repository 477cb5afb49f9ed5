"""One batch of records to packets and segments: the decode kernel, interface names, reassembled datagrams."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture import decode as rows
from inspector.capture import faults, links
from inspector.capture.carried import UNREAD
from inspector.capture.decode import Scratch, decode
from inspector.capture.faults import count_faults
from inspector.capture.fragments import LARGEST, Fragment, Reassembler
from inspector.capture.tables import CaptureInfo, Interface, PacketKind, Packets, Segments
from inspector.table import I64, U8, U64

MAX_NAMES = 1024  # LINUX_SLL2 interface indexes told apart
NESTED = 8  # fragments within reassembled datagrams


class Decoder:
    """Decodes the batches of one capture in order. Keeps open fragments and the interfaces met."""

    def __init__(self, info: CaptureInfo, room: int) -> None:
        self.info = info
        self.batch = Scratch.of(room)
        self.single = Scratch.of(1)
        self.named: I64 = np.zeros((1, MAX_NAMES), np.int64)
        self.names = 0
        self.interface_of: I64 = np.zeros(0, np.int64)  # slot of `named` -> index into info.interfaces
        self.reassembler = Reassembler(info)

    def decode(self, data: U8, count: int) -> tuple[U8, Packets, Segments]:
        """The first `count` records of the batch; `data` comes back with reassembled datagrams behind it, if any."""
        batch = self.batch
        found, broken, datagrams, self.names = decode(data, batch, count, self.named, self.names, MAX_NAMES)
        self._name_interfaces(batch.records, count)
        segments = batch.segments[:, :found]
        addresses = batch.addresses[:, :found]
        if broken:
            data, segments, addresses = self._reassemble(data, segments, addresses, broken)
        self.info.quic.add(batch.datagrams[:, :datagrams], batch.ends[:, :datagrams])
        self._count(batch.records[rows.FAULT, :count])
        first = self.info.packets + 1
        return data, self._packets(count), self._segments(segments, addresses, first)

    def _count(self, codes: I64) -> None:
        """Count faults, and packets by what they are in that is not looked into: 16 bits tell as many apart, of eight kinds."""
        if not len(codes) or codes.max() == 0:
            return
        counts = np.bincount(codes[codes < UNREAD])
        for code in np.flatnonzero(counts[1:]) + 1:
            count_faults(self.info, faults.HEADER_FAULTS[code], counts[code])
        codes = codes[codes >= UNREAD]
        unread = self.info.unread
        for kind in np.flatnonzero(np.bincount(codes >> 16)):
            numbers = np.bincount(codes[codes >> 16 == kind] & 0xFFFF)
            for number in np.flatnonzero(numbers):
                one = int(kind) << 16 | int(number)
                unread[one] = unread.get(one, 0) + int(numbers[number])

    def _name_interfaces(self, records: I64, count: int) -> None:
        """LINUX_SLL2: from slots of `named` to interfaces, describing those met for the first time."""
        for slot in range(len(self.interface_of), self.names):
            key = int(self.named[0, slot])
            name = f"if{key % rows.SLL2_SPACE}" if slot < MAX_NAMES - 1 else "others"
            self.interface_of = np.append(self.interface_of, len(self.info.interfaces))
            self.info.interfaces.append(Interface(name, links.LINUX_SLL2, within=key // rows.SLL2_SPACE))
        if self.names:
            column = records[rows.INTERFACE, :count]
            met = column < 0
            column[met] = self.interface_of[-1 - column[met]]

    def _packets(self, count: int) -> Packets:
        info = self.info
        time, at, captured, length = (self.batch.records[row, :count] for row in range(4))
        if count:
            first, last = int(time.min()), int(time.max())
            info.first = first if info.first is None else min(info.first, first)
            info.last = last if info.last is None else max(info.last, last)
            cut = captured < length
            if (cuts := int(np.count_nonzero(cut))) > 0:
                info.cut_packets += cuts
                info.snaplen = max(info.snaplen, int(captured[cut].max()))
        number = np.arange(info.packets + 1, info.packets + count + 1, dtype=np.int64)
        info.packets += count
        return Packets(
            capture=np.full(count, info.number, np.int16),
            number=number,
            time=time.copy(),
            interface=self.batch.records[rows.INTERFACE, :count].astype(np.int32),
            at=at.copy(),
            captured=captured.astype(np.int32),
            length=length.astype(np.int32),
            kind=self.batch.records[rows.KIND, :count].astype(np.uint8),
        )

    def _segments(self, found: I64, addresses: U64, first: int) -> Segments:
        """`first` is the number of the batch's first packet."""
        records = self.batch.records
        record = found[rows.RECORD]

        def column(row: int, dtype: Any) -> NDArray[Any]:
            cast: NDArray[Any] = found[row].astype(dtype)
            return cast

        return Segments(
            capture=np.full(len(record), self.info.number, np.int16),
            packet=record + first,
            time=records[rows.TIME][record],
            interface=records[rows.INTERFACE][record].astype(np.int32),
            src_hi=addresses[rows.SRC_HI].copy(),
            src_lo=addresses[rows.SRC_LO].copy(),
            dst_hi=addresses[rows.DST_HI].copy(),
            dst_lo=addresses[rows.DST_LO].copy(),
            sport=column(rows.SPORT, np.uint16),
            dport=column(rows.DPORT, np.uint16),
            seq=column(rows.SEQ, np.uint32),
            ack=column(rows.ACK, np.uint32),
            flags=column(rows.FLAGS, np.uint16),
            ip_id=column(rows.IP_ID, np.uint32),
            tsval=column(rows.TSVAL, np.uint32),
            tunnel=column(rows.TUNNEL, np.uint8),
            at=found[rows.PAYLOAD_AT].copy(),
            captured=column(rows.PAYLOAD_CAPTURED, np.int32),
            length=column(rows.PAYLOAD_LENGTH, np.int32),
        )

    def _reassemble(self, data: U8, segments: I64, addresses: U64, broken: int) -> tuple[U8, I64, U64]:
        """Put the batch's fragments together; segments of whole datagrams are merged in by record."""
        extra = bytearray()
        more: list[I64] = []
        more_addresses: list[U64] = []
        for i in range(broken):
            place = [int(v) for v in self.batch.fragments[:, i]]
            record = place[rows.FRAGMENT_RECORD]
            source = data
            for _ in range(NESTED):
                part = self._fragment(source, place)
                if part is None:
                    self._mark(record, PacketKind.MALFORMED, faults.BAD_FRAGMENT)
                    break
                done = self.reassembler.add(part)
                if done is None:
                    break
                one = self.single
                found, again = self._decode_datagram(done, record, place[rows.FRAGMENT_DEPTH])
                self._mark(record, int(one.records[rows.KIND, 0]), int(one.records[rows.FAULT, 0]))
                if found:
                    one.segments[rows.RECORD, 0] = record
                    one.segments[rows.PAYLOAD_AT, 0] += len(data) + len(extra)
                    extra += done[0]
                    more.append(one.segments.copy())
                    more_addresses.append(one.addresses.copy())
                if not again:
                    break
                source = np.frombuffer(done[0], np.uint8)
                place = [int(v) for v in one.fragments[:, 0]]
        if not more:
            return data, segments, addresses
        data = np.concatenate([data, np.frombuffer(bytes(extra), np.uint8)])
        segments = np.concatenate([segments, *more], axis=1)
        order = np.argsort(segments[rows.RECORD], kind="stable")
        return data, segments[:, order], np.concatenate([addresses, *more_addresses], axis=1)[:, order]

    def _mark(self, record: int, kind: int, fault: int) -> None:
        self.batch.records[rows.KIND, record] = kind
        self.batch.records[rows.FAULT, record] = fault

    def _decode_datagram(self, done: tuple[bytes, int], record: int, depth: int) -> tuple[int, int]:
        """Decode a whole datagram into `single`: how many segments (0, 1) and fragments (0, 1) it gave."""
        one = self.single
        one.records[:, 0] = 0
        one.records[rows.CAPTURED, 0] = len(done[0])
        one.records[rows.LENGTH, 0] = done[1]
        one.records[rows.LINK, 0] = links.RAW
        one.records[rows.DEPTH, 0] = depth
        data = np.frombuffer(bytearray(done[0]), np.uint8)
        found, again, _datagrams, _names = decode(data, one, 1, self.named, self.names, MAX_NAMES)
        return found, again

    def _fragment(self, data: U8, place: list[int]) -> Fragment | None:
        """The fragment that the kernel found at `place`; None where its numbers cannot be."""
        record, ip_at, at, cap, wire, version, depth = place
        records = self.batch.records
        where = (int(records[rows.INTERFACE, record]), depth, version)
        if version == 4:
            ip = bytes(data[ip_at : ip_at + 20])
            control = int.from_bytes(ip[6:8], "big")
            offset, last, protocol = (control & 0x1FFF) * 8, not control & 0x2000, ip[9]
            header = bytes([0x45]) + ip[1:]
            key: tuple[object, ...] = (*where, ip[12:20], ip[4:6], protocol)
        else:
            header = bytes(data[ip_at : ip_at + 40])
            extension = bytes(data[at : at + 8])
            control = int.from_bytes(extension[2:4], "big")
            offset, last, protocol = control & 0xFFF8, not control & 1, extension[0]
            key = (*where, header[8:40], extension[4:8])
            at += 8
        length = wire - at
        if length <= 0 or offset + length > LARGEST or (not last and length % 8):
            return None
        time = int(records[rows.TIME, record])
        return Fragment(key, time, version, header, protocol, offset, last, bytes(data[at : max(at, cap)]), length)
