"""Protocols that are named by their framing: HTTP/2 and TLS joined late, PROXY protocol headers, upgrades."""

from __future__ import annotations

import pytest
from http_wire import Feeder, Packet, whole
from hypothesis import given, settings
from hypothesis import strategies as st

import inspector.kernels.kernel
from inspector.http.parser import Parser
from inspector.http.tables import Protocol
from inspector.tcp.tables import End

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes(12)


@pytest.fixture(params=["plain", "compiled"])
def mode(request):
    inspector.kernels.kernel.use(request.param)
    yield request.param
    inspector.kernels.kernel.use("plain")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


ASKED = [frame(1, 5, 7 + 2 * k, b"\x82\x86\x84" * 9) for k in range(4)]
ANSWERED = [frame(1, 4, 7 + 2 * k, b"\x88" * 20) + frame(0, 1, 7 + 2 * k, b"body" * 50) for k in range(4)]
PING = [frame(6, k & 1, 0, bytes(8)) for k in range(4)]
RECORDS = [b"\x17\x03\x03\x00\x40" + bytes(64)] * 4


def protocols(packets: list[bytes], synced: bool = False, each: bool = True) -> set[int]:
    """What one direction is found to be, each packet a block of its own or all in one."""
    feeder = Feeder(Parser(), synced=synced)
    at = 0
    for k, data in enumerate(packets):
        feeder.add(Packet(k, 0, at, data))
        at += len(data)
        if each:
            feeder.feed()
    feeder.end(0, End.FIN)
    feeder.feed()
    return {int(p) for table in feeder.protocols for p in table.protocol}


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("rest", [b"", b"\x9c" * 700])
@pytest.mark.parametrize(
    ("packets", "protocol"),
    [(ASKED, Protocol.H2), (ANSWERED, Protocol.H2), (PING, Protocol.H2), (RECORDS, Protocol.TLS)],
)
def test_joined_late(mode: str, packets: list[bytes], protocol: Protocol, rest: bytes, each: bool) -> None:
    """At a frame or in the middle of one: the next packet that begins with one tells."""
    found = protocols([rest, *packets] if rest else packets, each=each)
    assert protocol in found
    assert not found - {protocol, Protocol.OTHER}


def test_the_side_that_answers_alone() -> None:
    assert Protocol.H2 in protocols([frame(4, 0, 0, bytes(6)) + frame(4, 1, 0, b""), *ANSWERED], synced=True)


def test_an_odd_frame_breaks_the_chain() -> None:
    for bad in (
        frame(1, 5, 8, b"\x82" * 9), frame(6, 0, 0, bytes(7)), frame(4, 0, 1, b""), frame(10, 0, 1, b"x"),
        frame(0, 2, 1, b"x"), frame(8, 0, 1 << 31 | 1, bytes(4)), bytes(9), b"\0\x40\x01\0\0\0\0\0\1",
    ):  # fmt: skip
        assert Protocol.H2 not in protocols([ASKED[0] + bad + ASKED[1]])
    assert Protocol.H2 not in protocols([frame(1, 1, 7, b"\x82") + ASKED[1] + ASKED[2]])  # its block goes on elsewhere


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=6), st.booleans())
def test_random_bytes_are_no_frames(packets: list[bytes], synced: bool) -> None:
    assert not protocols(packets, synced) & {Protocol.H2, Protocol.PROXY}


@settings(deadline=None)
@given(st.lists(st.sampled_from(ASKED + PING + RECORDS), min_size=1, max_size=5).map(b"".join), st.integers(1, 400))
def test_bodies_of_http_1_may_hold_anything(body: bytes, size: int) -> None:
    """On a connection where HTTP/1 is read nothing else is looked for."""
    request = b"PUT /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body + GET
    assert protocols([request[i : i + size] for i in range(0, len(request), size)], True) == {Protocol.HTTP1}


def test_http_1_is_read_behind_a_body_that_looks_like_frames() -> None:
    """A connection joined inside a body of frames: the next exchange is read."""
    feeder = Feeder(Parser(), synced=False)
    body = b"".join(ASKED)
    feeder.add(Packet(0, 0, 0, body))
    feeder.add(Packet(1, 1, 0, OK, peer=len(body)))
    feeder.add(Packet(2, 0, len(body), GET, peer=len(OK)))
    feeder.add(Packet(3, 1, len(OK), OK, peer=len(body) + len(GET)))
    feeder.feed()
    for side in (0, 1):
        feeder.end(side, End.FIN)
    feeder.feed()
    assert [m["kind"] for m in feeder.result()].count(1) == 1


@pytest.mark.parametrize("header", [V1, V2, b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\x00\x00\x00"])
def test_behind_a_proxy_header(mode: str, header: bytes) -> None:
    found = whole(header + GET, OK, End.FIN)
    assert [m["start"] for m in found.result()] == [len(header), 0]
    assert Protocol.PROXY in {int(p) for table in found.protocols for p in table.protocol}
    packets = [(header + GET)[i : i + 1] for i in range(len(header + GET))]
    assert protocols(packets, True) == {Protocol.PROXY, Protocol.HTTP1}


@pytest.mark.parametrize(
    "header", [V1.replace(b"\r\n", b"\n"), SIGNATURE + b"\x31\x11\x00\x00", b"PROXY " + b"T" * 200]
)
def test_what_is_no_proxy_header(header: bytes) -> None:
    assert Protocol.PROXY not in protocols([header + GET], True)


@pytest.mark.parametrize(
    ("token", "protocol"),
    [
        (b"h2c", Protocol.H2),
        (b"WebSocket", Protocol.WEBSOCKET),
        (b"tcp", Protocol.TUNNEL),
        (b"h2c-14", Protocol.TUNNEL),
    ],
)
def test_an_upgrade_is_named(mode: str, token: bytes, protocol: Protocol) -> None:
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: " + token + b"\r\n\r\n"
    say = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: " + token + b"\r\n\r\n"
    found = whole(ask + b"PRI * HTTP/2.0\r\n\r\n", say + b"\0\0\0\4\0\0\0\0\0", End.FIN)
    told = {int(p) for table in found.protocols for p in table.protocol}
    assert told == {Protocol.HTTP1, protocol}
