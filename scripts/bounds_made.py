"""Endless captures for check-bounds, piece by piece: each is large in one way. Packets are rows of bytes, made with numpy."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)  # link type RAW
T0 = 1_700_000_000
CLIENT, SERVER = 0x0A000009, 0x0A000015
PIECE = 50_000  # packets that are made at once
FIN, SYN, RST, ACK = 1, 2, 4, 16
GET = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"
POST = b"POST / HTTP/1.1\r\ncontent-length: 9999999999\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
HELLO = bytes.fromhex("16030100300100002c0303") + bytes(40)
Rows = NDArray[np.uint8]
Made = Iterator[bytes]


def packets(number: Any, payload: bytes = b"", step: int = 1, **fields: Any) -> Rows:
    """Packets with one payload, `number` (an array) in the capture, `step` microseconds apart. fields: src, dst, sport, dport,
    seq, ack, flags, each a number or one a packet."""
    n = len(number)
    out = np.zeros((n, 56 + len(payload)), np.uint8)

    def put(at: int, width: int, value: Any, order: str = ">") -> None:
        values = np.broadcast_to(np.asarray(value, np.int64) & ((1 << 8 * width) - 1), (n,)).astype(f"{order}u{width}")
        out[:, at : at + width] = values.view(np.uint8).reshape(n, width)

    at = number * step
    size = 40 + len(payload)
    for place, value in enumerate((T0 + at // 1_000_000, at % 1_000_000, size, size)):
        put(4 * place, 4, value, "<")
    for place, width, value in (
        (16, 1, 0x45), (18, 2, size), (20, 2, number), (22, 2, 0x4000), (24, 1, 64), (25, 1, 6),
        (28, 4, fields.get("src", CLIENT)), (32, 4, fields.get("dst", SERVER)), (36, 2, fields.get("sport", 40000)),
        (38, 2, fields.get("dport", 80)), (40, 4, fields.get("seq", 1000)), (44, 4, fields.get("ack", 5000)),
        (48, 1, 0x50), (49, 1, fields.get("flags", ACK)), (50, 2, 65535),
    ):  # fmt: skip
        put(place, width, value)
    if payload:
        out[:, 56:] = np.frombuffer(payload, np.uint8)
    return out


def back(**fields: Any) -> dict[str, Any]:
    """The other direction of a connection."""
    src, dst = fields.get("src", CLIENT), fields.get("dst", SERVER)
    return {"src": dst, "dst": src, "sport": 80, "dport": fields.get("sport", 40000)}


def counted(n: int) -> Iterator[NDArray[np.int64]]:
    """0 to n - 1 in pieces."""
    for first in range(0, n, PIECE):
        yield np.arange(first, min(n, first + PIECE))


def turns(*rows: Rows) -> bytes:
    """The first packet of each, then the second of each."""
    return np.concatenate(rows, axis=1).tobytes()


def client(i: NDArray[np.int64]) -> dict[str, Any]:
    """A client for each number."""
    return {"src": 0x0A000000 + (i & 0xFFFFFF), "sport": 1024 + (i >> 24)}


def hexed(rows: Rows, payload: bytes, i: NDArray[np.int64]) -> Rows:
    """The packets with 32 digits of a number of their own where the payload has 32 zeros."""
    at = 56 + payload.index(b"0" * 32)
    digits = b"".join(b"%032x" % k for k in i.tolist())
    rows[:, at : at + 32] = np.frombuffer(digits, np.uint8).reshape(len(i), 32)
    return rows


def opened(n: int, payload: bytes) -> Made:
    """A packet from each of n clients, whose connections stay open."""
    for i in counted(n):
        yield packets(i, payload, **client(i), seq=i * 7919).tobytes()


def behind_holes(n: int) -> Made:
    """A request from each of n clients, and another one behind a hole."""
    for i in counted(n):
        yield turns(packets(2 * i, GET, **client(i)), packets(2 * i + 1, GET, **client(i), seq=1100))


def pipelined(n: int, answered: bool) -> Made:
    """n requests on one connection, 50 a packet, with or without responses."""
    ask, say = GET * 50, OK * 50
    for i in counted(n // 50):
        asked = packets(2 * i, ask, 10, seq=1000 + i * len(ask), ack=5000 + i * len(say) * answered)
        said = packets(2 * i + 1, say, 10, **back(), seq=5000 + i * len(say), ack=1000 + (i + 1) * len(ask))
        yield turns(asked, said) if answered else asked.tobytes()


def in_all(n: int) -> Made:
    """n requests without a response, a thousand on each connection."""
    ask = GET * 50
    for i in counted(n // 50):
        yield packets(i, ask, 10, **client(i // 20), seq=1000 + i % 20 * len(ask)).tobytes()


def whole(n: int) -> Made:
    """n connections one after another, each with an exchange, from handshake to FIN."""
    for i in counted(n):
        there = client(i)
        here = back(**there)
        yield turns(
            packets(6 * i, **there, seq=999, ack=0, flags=SYN),
            packets(6 * i + 1, **here, seq=4999, ack=1000, flags=SYN | ACK),
            packets(6 * i + 2, GET, **there),
            packets(6 * i + 3, OK, **here, seq=5000, ack=1000 + len(GET), flags=FIN | ACK),
            packets(6 * i + 4, **there, seq=1000 + len(GET), ack=5001 + len(OK), flags=FIN | ACK),
            packets(6 * i + 5, **here, seq=5001 + len(OK), ack=1001 + len(GET)),
        )


def stream(n: int, piece: bytes, first: bytes = b"", response: bool = False) -> Made:
    """One stream: `first`, then n packets with `piece` each."""
    there: dict[str, Any] = back() if response else {}
    begin, ack = (5000, 1000 + len(GET)) if response else (1000, 5000)
    if response:
        yield packets(np.arange(1), GET).tobytes()
    if first:
        yield packets(np.arange(1) + 1, first, **there, seq=begin, ack=ack).tobytes()
    for i in counted(n):
        yield packets(i + 2, piece, **there, seq=begin + len(first) + i * len(piece), ack=ack).tobytes()


def copies(n: int, one_id: bool) -> Made:
    """Requests with the suffix of copies, answered: of one request id with its original, or each of an id of its own without."""
    plain = b"GET /x HTTP/1.1\r\nhost: a\r\nx-request-id: " + b"0" * 32 + b"\r\n\r\n"
    shadow = plain.replace(b"host: a", b"host: a-shadow")
    if one_id:
        yield packets(np.arange(1), plain, sport=900).tobytes()
        yield packets(np.arange(1), OK, **back(sport=900), seq=5000, ack=1000 + len(plain)).tobytes()
    for i in counted(n):
        there = {"dst": 0x0B000000 + i, "sport": 1024 + i % 60000}
        asked = packets(2 * i + 2, shadow, **there)
        said = packets(2 * i + 3, OK, **back(**there), seq=5000, ack=1000 + len(shadow))
        yield turns(asked if one_id else hexed(asked, shadow, i + 1), said)


def hosts(n: int) -> Made:
    """n requests on one connection, each for another host, answered."""
    ask = b"GET / HTTP/1.1\r\nhost: " + b"0" * 32 + b"\r\n\r\n"
    for i in counted(n):
        asked = packets(2 * i, ask, seq=1000 + i * len(ask), ack=5000 + i * len(OK))
        said = packets(2 * i + 1, OK, **back(), seq=5000 + i * len(OK), ack=1000 + (i + 1) * len(ask))
        yield turns(hexed(asked, ask, i), said)


def tried(n: int, refused: bool) -> Made:
    """SYNs of n connections, refused or never answered."""
    for i in counted(n):
        there = {"sport": 1024 + i % 60000, "dst": 0x0B000000 + i // 60000}
        asked = packets(2 * i, **there, seq=i * 7919, ack=0, flags=SYN)
        said = packets(2 * i + 1, **back(**there), seq=0, ack=i * 7919 + 1, flags=RST | ACK)
        yield turns(asked, said) if refused else asked.tobytes()


def holes(n: int) -> Made:
    """A body of which every other byte is missing."""
    yield packets(np.arange(1), POST).tobytes()
    for i in counted(n):
        yield packets(i + 1, b"a", seq=2000 + 2 * i).tobytes()


def disordered(n: int) -> Made:
    """A body in pieces of one byte, each thousand of them in reverse order."""
    yield packets(np.arange(1), POST).tobytes()
    for i in counted(n):
        yield packets(i + 1, b"a", seq=1000 + len(POST) + i // 1000 * 1000 + 999 - i % 1000).tobytes()


def fragments(n: int) -> Made:
    """First fragments of n datagrams, of which nothing more comes."""
    for i in counted(n):
        rows = packets(i, bytes(24))
        rows[:, 22:24] = (0x20, 0)  # more are to come
        rows[:, 28:32] = (i >> 16).astype(">u4").view(np.uint8).reshape(len(i), 4)
        yield rows.tobytes()


MADE: tuple[tuple[str, float, Callable[[int], Made]], ...] = (  # what, millions, how it is made
    ("open connections with a request", 4, lambda n: opened(n, GET)),
    ("open connections without payload", 5, lambda n: opened(n, b"")),
    ("open connections with half a request line", 4, lambda n: opened(n, b"GET /xxxxxxx")),
    ("open TLS connections", 3, lambda n: opened(n, HELLO)),
    ("open HTTP/2 connections", 3, lambda n: opened(n, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
    ("open connections with a request behind a hole", 3, behind_holes),
    ("connections from handshake to FIN", 4, whole),
    ("connections that were refused", 6, lambda n: tried(n, True)),
    ("SYNs without an answer", 6, lambda n: tried(n, False)),
    ("requests on one connection without a response", 4, lambda n: pipelined(n, False)),
    ("requests on one connection with responses", 4, lambda n: pipelined(n, True)),
    ("requests without a response, a thousand a connection", 4, in_all),
    ("responses without a request", 4, lambda n: stream(n, OK, response=True)),
    ("interim responses", 6, lambda n: stream(n, b"HTTP/1.1 100 Continue\r\n\r\n", response=True)),
    ("chunks", 8, lambda n: stream(n, b"1\r\na\r\n", CHUNKED)),
    ("trailer lines", 8, lambda n: stream(n, b"x: a\r\n", CHUNKED + b"0\r\n")),
    ("packets of a protocol that is not known", 8, lambda n: stream(n, b"\x00\x01garbage")),
    ("copies of one request id", 1, lambda n: copies(n, True)),
    ("copies of different requests without originals", 3, lambda n: copies(n, False)),
    ("host names", 4, hosts),
    ("holes in a body", 8, holes),
    ("pieces of a body in reverse order", 8, disordered),
    ("fragments of IP packets", 6, fragments),
)  # fmt: skip


def made(number: int, n: int) -> Made:
    """Capture `number` of MADE with n of what it has many of."""
    yield HEADER
    yield from MADE[number][2](n)
