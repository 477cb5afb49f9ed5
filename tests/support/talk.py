"""Captures of made-up conversations: TCP over IPv4 over Ethernet, with handshake, acknowledgements and close."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from capture_files import T0, pcap

MS = 1_000_000
SEGMENT = 1400
Frame = tuple[int, bytes]  # time in ns, and the packet
CLIENT, PROXY, V1, V2 = "10.0.0.5", "10.0.0.10", "10.0.0.21:3000", "10.0.0.22:3000"


def packet(src: str, dst: str, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
    """One Ethernet frame."""
    (a, sport), (b, dport) = (text.rsplit(":", 1) for text in (src, dst))
    tcp = struct.pack(">HHIIBBHHH", int(sport), int(dport), seq, ack, 5 << 4, flags, 65535, 0, 0) + payload
    addresses = ipaddress.IPv4Address(a).packed + ipaddress.IPv4Address(b).packed
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + addresses
    return b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0" + ip + tcp


@dataclass
class Talk:
    """One connection: say(side, bytes) with side 0 for the client; lose=(from, to) leaves out packets of these bytes."""

    client: str
    server: str
    at: float = 0.0  # ms

    def __post_init__(self) -> None:
        self.frames: list[Frame] = []
        self.next = [1000, 5000]
        self._send(0, 2)
        self._send(1, 18)
        self._send(0, 16)

    def _send(self, side: int, flags: int, payload: bytes = b"", lost: bool = False) -> None:
        ends = (self.client, self.server)
        ack = 0 if flags == 2 else self.next[1 - side]
        frame = packet(ends[side], ends[1 - side], self.next[side], ack, flags, payload)
        self.next[side] += len(payload) + (flags & 3 != 0)
        self.at += 0.01
        if not lost:
            self.frames.append((T0 + int(self.at * MS), frame))

    def say(self, side: int, data: bytes, after: float = 0.1, segment: int = SEGMENT, lose: Iterable[int] = ()) -> Talk:
        """Send `data` `after` ms; `lose` names the segments that the capture misses."""
        self.at += after
        for k, i in enumerate(range(0, len(data), segment)):
            self._send(side, 24, data[i : i + segment], lost=k in set(lose))
        self._send(1 - side, 16)
        return self

    def close(self) -> Talk:
        """FIN from both sides, the server first."""
        self._send(1, 17)
        self._send(0, 17)
        self._send(1, 16)
        return self


def write(path: Path, talks: Sequence[Talk], **how: int) -> str:
    """All packets in order of time as a pcap; its path."""
    frames = sorted((f for talk in talks for f in talk.frames), key=lambda f: f[0])
    path.write_bytes(pcap([f[1] for f in frames], times=[f[0] for f in frames], nano=True, **how))
    return str(path)


def ask(
    target: str = "/items", method: str = "GET", host: str = "catalog", extra: str = "", body: bytes = b""
) -> bytes:
    """A request; `extra` are more header lines, each with its CRLF."""
    length = f"content-length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n{extra}{length}\r\n".encode("latin-1") + body


def answer(body: bytes = b"", status: int = 200, extra: str = "content-type: application/json\r\n") -> bytes:
    """A response with a content-length."""
    return f"HTTP/1.1 {status} OK\r\n{extra}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body


def mirrored(
    original: bytes,
    mirror: bytes,
    number: int = 0,
    target: str = "/items",
    extra: str = "",
    copy_extra: str | None = None,
    **request: object,
) -> list[Talk]:
    """Three legs of one mirrored request: what the original and the mirror answer, each in bytes; the original goes down."""
    at, rid = 20.0 * number, f"x-request-id: 00000000-0000-4000-8000-{number:012}\r\n"
    port = 40000 + number
    asked = ask(target, extra=rid + extra, **request)  # type: ignore[arg-type]
    copied = rid + (extra if copy_extra is None else copy_extra) + "x-envoy-internal: true\r\n"
    copied = ask(target, host="catalog-shadow", extra=copied, **request)  # type: ignore[arg-type, assignment]
    down = Talk(f"{CLIENT}:{port}", f"{PROXY}:8080", at).say(0, asked)
    first = Talk(f"{PROXY}:{port + 10000}", V1, at + 0.5).say(0, asked).say(1, original).close()
    second = Talk(f"{PROXY}:{port + 20000}", V2, at + 0.6).say(0, copied).say(1, mirror, after=5).close()  # type: ignore[arg-type]
    down.at = first.at
    down.say(1, original).close()
    return [down, first, second]
