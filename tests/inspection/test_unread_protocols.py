"""What is said of mirrors whose original or downstream may be on a connection in a protocol that is not read."""

from __future__ import annotations

import io
import struct

import pytest
from made_traffic import ACK, CLIENT, PROXY, SYN, V1, V2, Made, asked, frame, told

import inspector
from inspector.cli import program as cli
from inspector.views.objects import SummaryView

H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
PING = b"\0\0\x08\6\0\0\0\0\0" + bytes(8)
INITIAL = b"\xc0\0\0\0\1\x08" + b"i" * 8 + b"\0" + bytes(1180)
SHORT = b"\x41" + b"i" * 8 + bytes(90)


def summary(made: Made) -> SummaryView:
    return inspector.inspect(io.BytesIO(made.pcap())).summary


def datagram(src: str, sport: int, dst: str, dport: int, payload: bytes) -> bytes:
    udp = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    ends = bytes(int(n) for n in f"{src}.{dst}".split("."))
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + ends + udp


def opened(made: Made, client: str, server: str, late: bool = False) -> None:
    """A connection that speaks HTTP/2; `late`: without its beginning."""
    made.ports += 1
    there, back = (client, made.ports, server, 80), (server, 80, client, made.ports)
    if not late:
        made.put(0, frame(*there, 999, 0, SYN))
        made.put(0, frame(*back, 4999, 1000, SYN | ACK))
    for k in range(4):
        size = len(PING) * k
        made.put(0.01 + k, frame(*there, 1000 + size, 5000 + size, ACK, (H2 if not late and k == 3 else PING)))
        made.put(0.02 + k, frame(*back, 5000 + size, 1000 + size + len(PING), ACK, PING))


def copy_alone(made: Made) -> None:
    made.exchange(1, PROXY, V2, asked("/a", "catalog-shadow", b"x-request-id: 1\r\n"), told(b"v2"))


def pair(made: Made) -> None:
    line = b"x-request-id: 1\r\n"
    made.exchange(1, PROXY, V1, asked("/a", "catalog", line), told(b"v1"))
    made.exchange(1.1, PROXY, V2, asked("/a", "catalog-shadow", line), told(b"v2"), 2)


def explained(made: Made, tmp_path, capsys: pytest.CaptureFixture[str]) -> str:
    path = tmp_path / "x.pcap"
    path.write_bytes(made.pcap())
    assert cli.run([str(path), "--explain", "1"]) == 0
    out = capsys.readouterr().out
    assert cli.run([str(path), "--fail-on", "inconclusive"]) == 4
    capsys.readouterr()
    return " ".join(out.split())


def test_the_downstream_may_be_h2(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Made()
    opened(made, CLIENT, PROXY, late=True)
    pair(made)
    found = summary(made)
    assert (found.unread, found.near) == ({"h2": 1}, {"h2": 1})
    assert "The downstream leg of 1 mirror may be among 1 HTTP/2 connection that is not read yet." in found.unseen
    assert list(inspector.inspect(io.BytesIO(made.pcap())).mirrors.reason) == ["unread"]
    said = explained(made, tmp_path, capsys)
    assert "is not in the capture" not in said
    assert "HTTP/2" in said


def test_the_original_may_be_h2(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Made()
    opened(made, PROXY, V1, late=True)
    copy_alone(made)
    found = summary(made)
    assert (
        "The original of 1 mirror was not read: it may be among 1 HTTP/2 connection that is not read yet."
        in found.unseen
    )
    said = explained(made, tmp_path, capsys)
    assert "The original's response is not in the capture" not in said
    assert "unproven (unread)" in said


def test_quic_is_counted_by_its_ends() -> None:
    made = Made()
    pair(made)
    for k in range(3):
        made.put(2 + k, datagram(CLIENT, 50000, PROXY, 443, INITIAL if k == 1 else SHORT))
        made.put(2.5 + k, datagram(PROXY, 443, CLIENT, 50000, SHORT))
    made.put(9, datagram(CLIENT, 50001, "10.9.9.9", 53, SHORT))
    found = summary(made)
    assert (found.unread, found.near) == ({"quic": 1}, {"quic": 1})
    assert "1 QUIC connection with 4 packets cannot be read: 10.0.0.9 > 10.0.0.5:443." in found.unseen
    assert list(inspector.inspect(io.BytesIO(made.pcap())).mirrors.reason) == ["unread"]
    size = len(INITIAL) + 3 * len(SHORT)
    assert inspector.inspect(io.BytesIO(made.pcap())).captures[0].read["quic"] == (size, 1)


@pytest.mark.parametrize(
    ("first", "quic"),
    [
        (b"\xc3\x6b\x33\x43\xcf\0\0x", True),
        (b"\xd0\xff\0\0\x1d\0\0x", True),
        (b"\x80\0\0\0\0\0\0\0\0\0\1", True),
        (b"\x80\0\0\0\0\0\0\1\2\3\4", False),
        (b"\xc0\0\0\0\3\0\0x", False),
        (b"\xc0\0\0\0\1\x15\0x", False),
        (b"\x80\0\0\0\1\0\0x", False),
        (b"\xc0\0\0\0\1", False),
    ],
)
def test_long_headers(first: bytes, quic: bool) -> None:
    made = Made()
    made.put(0, datagram(CLIENT, 50000, V1, 8443, first))
    assert ("quic" in summary(made).unread) == quic


def test_proxy_headers_are_counted() -> None:
    made = Made()
    made.exchange(0, CLIENT, PROXY, b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n" + asked("/a", "h"), told(b"x"))
    found = summary(made)
    assert (found.exchanges, found.unread) == (1, {})
    assert "1 connection begins with a PROXY protocol header: the addresses in it are not read yet." in found.unseen
    assert inspector.inspect(io.BytesIO(made.pcap())).captures[0].read["proxy"] == (45, 1)


def test_h2_after_an_upgrade_is_not_read() -> None:
    made = Made()
    line = b"Connection: upgrade\r\nUpgrade: h2c\r\n"
    say = told(b"", line, "101 Switching Protocols")
    made.exchange(0, CLIENT, PROXY, asked("/a", "h", line), say + PING * 3)
    found = summary(made)
    assert (found.exchanges, found.unread) == (1, {"h2": 1})
