"""Small made-up HTTP captures (link type RAW), for what no real capture has: a hundred thousand of something, or a bomb."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import count

from capture_files import T0, pcap

RAW = 101
SYN, ACK, FIN = 2, 16, 1
NUMBERS = count(1)
CLIENT, PROXY, V1, V2 = "10.0.0.9", "10.0.0.5", "10.0.0.21", "10.0.0.22"


def frame(src: str, sport: int, dst: str, dport: int, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
    """An IPv4 packet with a TCP segment; checksums are zero (nobody reads them)."""
    ends = ip_address(src).packed + ip_address(dst).packed
    number = next(NUMBERS) & 0xFFFF  # packets that are equal but for their addresses would be copies
    head = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), number, 0x4000, 64, 6, 0) + ends
    return head + struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65535, 0, 0) + payload


@dataclass
class Made:
    """Frames with their times."""

    frames: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    ports: int = 20_000

    def put(self, ms: float, packet: bytes) -> None:
        self.frames.append(packet)
        self.times.append(T0 + int(ms * 1_000_000))

    def exchange(
        self, ms: float, client: str, server: str, request: bytes, response: bytes | None, took: float = 1.0,
        port: int | None = None, size: int = 60_000,
    ) -> None:  # fmt: skip
        """A connection with one request, and its response `took` ms later."""
        if port is None:
            self.ports += 1
            port = self.ports
        there, back = (client, port, server, 80), (server, 80, client, port)
        self.put(ms, frame(*there, 999, 0, SYN))
        self.put(ms, frame(*back, 4999, 1000, SYN | ACK))
        at = 1000
        for i in range(0, len(request), size):
            self.put(ms + 0.01, frame(*there, at, 5000, ACK, request[i : i + size]))
            at += len(request[i : i + size])
        if response is None:
            return
        said = 5000
        for i in range(0, len(response), size):
            self.put(ms + took, frame(*back, said, at, ACK, response[i : i + size]))
            said += len(response[i : i + size])
        self.put(ms + took + 0.01, frame(*there, at, said, ACK))

    def mirrored(
        self, ms: float, path: str = "/items", original: bytes = b"v1", mirror: bytes = b"v2 body", copies: int = 1,
        extra: bytes = b"", answer: bytes = b"", rid: str = "",
    ) -> None:  # fmt: skip
        """A client's request, its original and copies; answer: header lines of the responses."""
        rid = rid or f"{int(ms * 1000):032x}"
        line = f"x-request-id: {rid}\r\n".encode() + extra
        self.exchange(ms, CLIENT, PROXY, asked(path, "catalog", line), told(original, answer), 3)
        self.exchange(ms + 0.2, PROXY, V1, asked(path, "catalog", line), told(original, answer), 1)
        for i in range(copies):
            server = V2 if i == 0 else f"10.2.{i >> 8}.{i & 255}"
            shadow = asked(path, "catalog-shadow", line)
            self.exchange(ms + 0.3 + i / 1e4, PROXY, server, shadow, told(mirror, answer), 2)

    def pcap(self) -> bytes:
        """The capture, in order of time."""
        order = sorted(range(len(self.times)), key=lambda i: self.times[i])
        return pcap([self.frames[i] for i in order], RAW, nano=True, times=[self.times[i] for i in order])


def asked(path: str, host: str, lines: bytes = b"") -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: {host}\r\n".encode("utf-8", "surrogateescape") + lines + b"\r\n"


def told(body: bytes, lines: bytes = b"", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n".encode() + lines + b"\r\n" + body
