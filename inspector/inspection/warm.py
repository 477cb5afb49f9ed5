"""Compiles the inner loops ahead, by inspecting a small made capture that has something of everything."""

from __future__ import annotations

import io
import struct
from collections import deque

from inspector.inspection import stream
from inspector.inspection.warm_rest import pcapng, warm_rest
from inspector.kernels import kernel

GATEWAY, CLIENT, FIRST, SECOND = b"\x0a\x00\x00\x05", b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x15", b"\x0a\x00\x00\x16"
ETHERNET = b"\x02" * 12 + b"\x08\x00"
PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


def segment(src: bytes, sport: int, dst: bytes, dport: int, seq: int, ack: int, flags: int, data: bytes = b"") -> bytes:
    """An Ethernet frame with IPv4 and TCP; checksums are zero."""
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0) + data
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), seq & 0xFFFF, 0, 64, 6, 0) + src + dst
    return ETHERNET + ip + tcp


def exchange(src: bytes, sport: int, dst: bytes, request: bytes, response: bytes) -> list[bytes]:
    """A connection with one request and its response."""
    there, back = (src, sport, dst, 8080), (dst, 8080, src, sport)
    x = 1000 * sport  # no two connections have the same numbers: their packets would be copies
    y, q, a = x + 500, len(request), len(response)
    return [
        segment(*there, x - 1, 0, 2),
        segment(*back, y - 1, x, 18),
        segment(*there, x, y, 16, request),
        segment(*back, y, x + q, 16, response[:40]),
        segment(*back, y + 40, x + q, 16, response[40:]),
        segment(*there, x + q, y + a, 17),
        segment(*back, y + a, x + q + 1, 17),
    ]


def traffic() -> list[bytes]:
    """Requests through a gateway, each mirrored once with marks and once without; some packets are lost."""
    frames: list[bytes] = []
    for k in range(12):
        marked = k < 6
        path = b"/marked" if marked else b"/plain"
        head = b"GET " + path + b" HTTP/1.1\r\nHost: %s\r\nx-request-id: %d\r\n\r\n"
        if not marked:
            head = head.replace(b"x-request-id", b"x-other")
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        other = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd"
        down = exchange(CLIENT, 40000 + k, GATEWAY, head % (b"shop", k), answer)
        up = exchange(GATEWAY, 41000 + k, FIRST, head % (b"shop", k), answer)
        copy = exchange(GATEWAY, 42000 + k, SECOND, head % (b"shop-shadow" if marked else b"canary", k), other)
        frames += down[:3] + up[:3] + copy[:3] + up[3:] + down[3:] + (copy[3:] if k != 5 else copy[4:])
    return frames


def capture() -> bytes:
    """A pcap of `traffic`."""
    out = [PCAP]
    for n, frame in enumerate(traffic()):
        out.append(struct.pack("<IIII", 1_700_000_000 + n // 1000, n % 1000 * 1000, len(frame), len(frame)) + frame)
    return b"".join(out)


def warm() -> int:
    """Compile; returns the number of mirrors found in the made capture (12 are in it)."""
    before = kernel.compiled()
    kernel.use("compiled")
    try:
        warm_rest()
        deque(stream(io.BytesIO(pcapng(traffic()))), maxlen=0)
        found = stream(io.BytesIO(capture()))
        deque(found, maxlen=0)
        return found.summary.mirrors
    finally:
        kernel.use("compiled" if before else "plain")
