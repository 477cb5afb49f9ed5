"""Captures that are made, not recorded, for loads that no recording has: all requests equal, one connection, a scan.

Every transaction is the same bytes but for a few fields of fixed width, so that numpy writes millions of them. IP and TCP
checksums are zero.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_inputs import I64, U8

RAW = 101  # link type: packets begin with their IP header
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, RAW)
BEGIN = 1_700_000_000  # seconds
SPACING = 150  # µs from one transaction to the next: 40,000 packets/s
SCAN_SPACING = 25  # µs
CHUNK = 1 << 15  # transactions or packets written at a time
NUMBER = b"########"  # where a transaction's number stands in a template
SYN, ACK, PSH = 2, 16, 8
RECORD, IP, TCP = 16, 20, 20
MAX_CONNECTIONS = 50_000

POD, V1, V2, SERVICE, SIDECAR = ("10.244.0.10", "10.244.0.21", "10.244.0.22", "10.96.200.1", "127.0.0.1")


@dataclass(frozen=True)
class Leg:
    """One connection: `dialled` is the server's address on requests, `answers` on responses (a REDIRECT changes it)."""

    dialled: tuple[str, int]
    answers: tuple[str, int]
    request: bytes
    response: bytes


def legs(request_id: bool) -> tuple[Leg, Leg, Leg]:
    """Downstream, original and mirror of one request, as Istio's sidecar sends them."""
    line = b"GET /items?n=" + NUMBER + b" HTTP/1.1\r\nhost: catalog"
    marked = b"\r\nx-request-id: 3f0c1a52-7d41-4b6e-9c55-aaaa" + NUMBER if request_id else b""
    end = b"\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 128\r\n"
    body = {v: (b'{"version":"%s"}' % v).ljust(128) for v in (b"v1", b"v2")}
    shadow = (
        line + b"-shadow" + marked + b"\r\nx-forwarded-for: 10.244.0.10,10.244.0.10\r\nx-envoy-internal: true" + end
    )
    return (
        Leg((SIDECAR, 15001), (SERVICE, 80), line + end, answer + b"server: envoy\r\n\r\n" + body[b"v1"]),
        Leg(
            (V1, 3000),
            (V1, 3000),
            line + marked + b"\r\nx-forwarded-for: 10.244.0.10" + end,
            answer + b"\r\n" + body[b"v1"],
        ),
        Leg((V2, 3000), (V2, 3000), shadow, answer + b"\r\n" + body[b"v2"]),
    )


def packet(source: tuple[str, int], target: tuple[str, int], flags: int, payload: bytes = b"") -> bytes:
    """A pcap record of an IPv4 TCP segment. Time, sequence and acknowledgement numbers are zero."""
    size = IP + TCP + len(payload)
    address = [bytes(map(int, host.split("."))) for host, _ in (source, target)]
    return (
        struct.pack("<IIII", 0, 0, size, size)
        + struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, 0, 0x4000, 64, 6, 0, *address)
        + struct.pack(">HHIIBBHHH", source[1], target[1], 0, 0, 5 << 4, flags, 64240, 0, 0)[:TCP]
        + payload
    )


class Template:
    """Packets of fixed size, copied row by row; `add` notes where each begins."""

    def __init__(self) -> None:
        self.raw = b""
        self.starts: list[int] = []

    def add(self, record: bytes) -> int:
        self.starts.append(len(self.raw))
        self.raw += record
        return self.starts[-1]

    def rows(self, count: int) -> U8:
        return np.tile(np.frombuffer(self.raw, np.uint8), (count, 1))


def fill(rows: U8, at: int, values: npt.NDArray[np.int64] | int, kind: str) -> None:
    """Write an integer of a numpy type at one offset of every row."""
    column = np.broadcast_to(np.asarray(values, np.int64), (len(rows),)).astype(kind)
    rows[:, at : at + column.itemsize] = np.ascontiguousarray(column).view(np.uint8).reshape(len(rows), -1)


def stamp(rows: U8, start: int, microseconds: I64) -> None:
    """The time of the packet that begins at `start`, counted from BEGIN."""
    fill(rows, start, BEGIN + microseconds // 1_000_000, "<u4")
    fill(rows, start + 4, microseconds % 1_000_000, "<u4")


def number(rows: U8, template: bytes, values: I64) -> None:
    """Write each row's number, eight digits, wherever the template has the mark."""
    at = template.find(NUMBER)
    while at >= 0:
        for k in range(8):
            rows[:, at + k] = 48 + values // 10 ** (7 - k) % 10
        at = template.find(NUMBER, at + 8)


def mirrored(path: Path, transactions: int, connections: int, identical: bool = False, request_id: bool = True) -> None:
    """Mirrored requests on `connections` sets of three connections, with handshakes, nothing lost.

    identical: every request has the same bytes, request id included (unless there is none).
    """
    if not 0 < connections <= MAX_CONNECTIONS:
        raise ValueError(f"{connections} connections: 1 to {MAX_CONNECTIONS} can be made")
    three = legs(request_id)
    shake = Template()
    for leg in three:
        for k in range(3):
            shake.add(_one_way(leg, k == 1, (SYN, SYN | ACK, ACK)[k]))
    data = Template()
    order = [(0, False), (1, False), (2, False), (1, True), (0, True), (2, True)]
    for which, answer in order:
        leg = three[which]
        data.add(_one_way(leg, answer, PSH | ACK, leg.response if answer else leg.request))
    with path.open("wb") as out:
        out.write(HEADER)
        for first in range(0, connections, CHUNK):
            which_set = np.arange(first, min(first + CHUNK, connections))
            rows = shake.rows(len(which_set))
            for k, start in enumerate(shake.starts):
                stamp(rows, start, which_set * 9 + k)
                _numbers(rows, start, k % 3 == 1, which_set, int(k % 3 == 2), int(k % 3 > 0), syn=k % 3 == 0)
            out.write(rows.data)
        for first in range(0, transactions, CHUNK):
            turn = np.arange(first, min(first + CHUNK, transactions))
            rows = data.rows(len(turn))
            number(rows, data.raw, np.zeros_like(turn) if identical else turn)
            nth = turn // connections  # on its connection
            for k, ((which, answer), start) in enumerate(zip(order, data.starts, strict=True)):
                leg = three[which]
                asked, answered = len(leg.request) * nth, len(leg.response) * nth
                stamp(rows, start, connections * 9 + 1000 + turn * SPACING + k * 20)
                sent, seen = (answered, asked + len(leg.request)) if answer else (asked, answered)
                _numbers(rows, start, answer, turn % connections, sent + 1, seen + 1)
            out.write(rows.data)


def _one_way(leg: Leg, answer: bool, flags: int, payload: bytes = b"") -> bytes:
    client = (POD, 0)
    return packet(leg.answers, client, flags, payload) if answer else packet(client, leg.dialled, flags, payload)


def _numbers(
    rows: U8, start: int, answer: bool, port: I64, sent: I64 | int, seen: I64 | int, syn: bool = False
) -> None:
    """The client's port, sequence number and acknowledgement; both counted from random looking initial numbers.

    Precondition: `sent` and `seen` count the SYN as 1 (0 for the SYN itself).
    """
    tcp = start + RECORD + IP
    fill(rows, tcp + (2 if answer else 0), 10_000 + port, ">u2")
    client, server = (port * 2_654_435_761 + 12345), (port * 2_246_822_519 + 54321)
    mine, other = (server, client) if answer else (client, server)
    fill(rows, tcp + 4, (mine + sent) & 0xFFFFFFFF, ">u4")
    fill(rows, tcp + 8, 0 if syn else (other + seen) & 0xFFFFFFFF, ">u4")


def scan(path: Path, packets: int, payload: bool = False) -> None:
    """Connections of one packet each: a SYN, or a request that nobody answers."""
    template = Template()
    request = b"GET /" + NUMBER + b" HTTP/1.1\r\nhost: scanned\r\n\r\n" if payload else b""
    template.add(packet(("10.0.0.0", 40_000), ("192.168.0.0", 80), PSH | ACK if payload else SYN, request))
    with path.open("wb") as out:
        out.write(HEADER)
        for first in range(0, packets, CHUNK):
            turn = np.arange(first, min(first + CHUNK, packets))
            rows = template.rows(len(turn))
            stamp(rows, 0, turn * SCAN_SPACING)
            number(rows, template.raw, turn)
            fill(rows, RECORD + 12, (10 << 24) + (turn & 0xFFFFFF), ">u4")
            fill(rows, RECORD + 16, (192 << 24) + (168 << 16) + (turn * 40_503 & 0xFFFF), ">u4")
            fill(rows, RECORD + IP, 1024 + (turn >> 24) + turn % 60_000, ">u2")
            fill(rows, RECORD + IP + 4, turn * 2_654_435_761 & 0xFFFFFFFF, ">u4")
            out.write(rows.data)
