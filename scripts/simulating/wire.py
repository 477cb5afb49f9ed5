"""Packets as bytes, and capture files: Ethernet, SLL, SLL2 or raw IP; IPv4 and IPv6; TCP; pcap."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from functools import lru_cache

from simulating.network import SYN, Packet

ETHERNET, RAW, SLL, SLL2 = 1, 101, 113, 276
EPOCH = 1_796_000_000 * 1_000_000_000  # ns; when cases take place


@dataclass(slots=True)
class Record:
    """A packet in a capture. `packet` is None for what belongs to no message (stray packets)."""

    time: int
    packet: Packet | None
    source: tuple[str, int]
    target: tuple[str, int]
    interface: int = 1
    ttl: int = 64
    outgoing: bool = True
    keep: int | None = None  # bytes that are captured of the frame
    forged: tuple[int, int, int, bytes] | None = None  # seq, ack, flags, payload of a stray packet


@lru_cache(maxsize=512)
def packed(ip: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


def checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def numbers(record: Record) -> tuple[int, int, int, bytes]:
    """Sequence number, acknowledgement, flags and payload."""
    p = record.packet
    if p is None:
        assert record.forged
        return record.forged
    c = p.connection
    seq = (c.isn[p.side] + 1 + p.at) & 0xFFFFFFFF
    ack = 0 if p.ack is None else (c.isn[1 - p.side] + 1 + p.ack) & 0xFFFFFFFF
    return seq, ack, p.flags, payload(p)


def payload(p: Packet) -> bytes:
    """What stands on the wire."""
    return p.data if not p.connection.encrypted or not p.data else _cipher(p)


def _cipher(p: Packet) -> bytes:
    """Bytes that look like TLS: each message begins with a record of its own."""
    out = bytearray((0x80 + (i * 151 + p.at * 13 + p.connection.number * 7) % 101) for i in range(len(p.data)))
    for span in p.connection.spans[p.side]:
        first = span is p.connection.spans[p.side][0]
        size = span.end - span.start - 5
        kind = bytes((22, 3, 1)) if first else bytes((23, 3, 3))
        head = kind + struct.pack("!H", max(0, min(size, 0xFFFF)))
        if first:
            head += bytes((1 if p.side == 0 else 2,)) + struct.pack("!I", max(0, size - 4))[1:] + b"\x03\x03"
        for i, byte in enumerate(head):
            if p.at <= span.start + i < p.end and span.start + i < span.end:
                out[span.start + i - p.at] = byte
    return bytes(out)


def frame(record: Record, link: int, right_sums: bool, number: int) -> bytes:
    """The bytes of a record."""
    seq, ack, flags, data = numbers(record)
    (src, sport), (dst, dport) = record.source, record.target
    a, b = packed(src), packed(dst)
    options = b"\x02\x04\x05\xb4" if flags & SYN else b""
    tcp = (
        struct.pack("!HHIIBBHHH", sport, dport, seq, ack, (20 + len(options)) << 2, flags, 64240, 0, 0) + options + data
    )
    if right_sums:
        total = checksum(a + b + struct.pack("!II", len(tcp), 6) + tcp)
        tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
    if len(a) == 4:
        length = 20 + len(tcp)
        head = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, length if length < 65536 else 0, number & 0xFFFF, 0x4000, record.ttl, 6, 0, a, b
        )
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    else:
        head = struct.pack("!IHBB16s16s", 0x60000000, len(tcp) if len(tcp) < 65536 else 0, 6, record.ttl, a, b)
    return _link(record, link, 0x0800 if len(a) == 4 else 0x86DD) + head + tcp


def _link(record: Record, link: int, kind: int) -> bytes:
    mac = b"\x02\x42" + packed(record.source[0])[-4:]
    if link == ETHERNET:
        return b"\x02\x42" + packed(record.target[0])[-4:] + mac + struct.pack("!H", kind)
    way = 4 if record.outgoing else 0
    if link == SLL2:
        return struct.pack("!HHIHBB6s2s", kind, 0, record.interface, 1, way, 6, mac, b"\0\0")
    if link == SLL:
        return struct.pack("!HHH6s2sH", way, 1, 6, mac, b"\0\0", kind)
    return b""


def pcap(records: list[Record], link: int, right_sums: bool, nano: bool, snaplen: int = 262144) -> bytes:
    """A capture file, in the order of the list."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snaplen, link)]
    for n, r in enumerate(records):
        data = frame(r, link, right_sums, n if r.packet is None else r.packet.number)
        time = EPOCH + r.time
        kept = data[: min(snaplen, len(data) if r.keep is None else r.keep)]
        out.append(struct.pack("<IIII", time // 10**9, time % 10**9 // (1 if nano else 1000), len(kept), len(data)))
        out.append(kept)
    return b"".join(out)
