"""`inspect verify` has a reason, looked up in the packets, for every difference in ordinary traffic."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from made_traffic import ACK, FIN, SYN, Made, asked, frame, told

from inspector.referee.verify import Order, verify

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
C, S = "10.0.0.9", "10.0.0.21"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


class Talk:
    """A connection, packet by packet."""

    def __init__(self, made: Made, port: int, ms: float = 0) -> None:
        self.made, self.port, self.client, self.server, self.at = made, port, 1000, 5000, ms
        self.put([frame(C, port, S, 80, 999, 0, SYN), frame(S, 80, C, port, 4999, 1000, SYN | ACK), self.ack()])

    def ack(self, flags: int = ACK) -> bytes:
        return frame(C, self.port, S, 80, self.client, self.server, flags)

    def put(self, frames: list[bytes]) -> None:
        for each in frames:
            self.made.put(self.at, each)
            self.at += 0.1

    def asks(self, data: bytes, size: int = 5000) -> list[bytes]:
        out = []
        for i in range(0, len(data), size):
            part = data[i : i + size]
            out.append(frame(C, self.port, S, 80, self.client, self.server, ACK, part))
            self.client += len(part)
        return out

    def says(self, data: bytes, size: int = 5000) -> list[bytes]:
        out = []
        for i in range(0, len(data), size):
            part = data[i : i + size]
            out.append(frame(S, 80, C, self.port, self.server, self.client, ACK, part))
            self.server += len(part)
        return out

    def end(self) -> None:
        self.put([self.ack(ACK | FIN), frame(S, 80, C, self.port, self.server, self.client + 1, ACK | FIN)])


def post(path: str, body: bytes, lines: bytes = b"") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n".encode() + lines + b"\r\n" + body


def told_apart(made: Made, tmp_path: Path) -> tuple[int, dict[str, int], int]:
    """(exchanges without a reason, differences by reason, exchanges)."""
    path = tmp_path / "a.pcap"
    path.write_bytes(made.pcap())
    (found,) = verify(str(path), Order())
    return found.reasons[""], {k: n for k, n in found.reasons.items() if k and n}, found.units


def test_http_over_udp_is_not_asked_for(tmp_path: Path) -> None:
    made = Made()
    made.exchange(0, C, S, asked("/1", "h"), told(b"ok"))
    text = b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\n\r\n'
    udp = struct.pack(">HHHH", 50_000, 1900, 8 + len(text), 0) + text
    ends = ip_address(C).packed + ip_address("239.255.255.250").packed
    made.put(5, struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 7, 0, 4, 17, 0) + ends + udp)
    assert told_apart(made, tmp_path) == (0, {}, 1)


@pytest.mark.parametrize("end", [True, False])
def test_a_gap_in_a_body(end: bool, tmp_path: Path) -> None:
    """The head is in a packet, the body in none: later packets show it, or an acknowledgement alone."""
    made = Made()
    talk = Talk(made, 4000)
    talk.put(talk.asks(asked("/1", "h")))
    talk.put(talk.says(told(b"r" * 14), 38)[:1])
    talk.put([talk.ack()])
    if not end:
        talk.put(talk.asks(asked("/2", "h")) + talk.says(told(b"ok")))
    without, reasons, _n = told_apart(made, tmp_path)
    assert without == 0
    assert set(reasons) <= {"gap"}


def continued(talk: Talk) -> None:
    head = b"expect: 100-continue\r\n"
    for interim in (INTERIM, HINTS, INTERIM + HINTS):
        whole = post("/a", b"x" * 30, head)
        talk.put(talk.asks(whole[:-30]) + talk.says(interim) + talk.asks(whole[-30:]) + talk.says(told(b"ok")))
        talk.put(talk.asks(post("/b", b"x" * 30, head)) + talk.says(interim + told(b"okk")))
        talk.put(talk.asks(asked("/c", "h")) + talk.says(told(b"ok")))


def pipelined(talk: Talk, r: random.Random) -> None:
    n = r.randrange(2, 7)
    requests = [post(f"/{j}", b"b" * 30) if r.random() < 0.5 else asked(f"/{j}", "h") for j in range(n)]
    responses = [told(b"r" * r.choice((1, 50))) for _ in range(n)]
    size = r.choice((70, 5000))
    together, answered = r.random() < 0.5, r.random() < 0.5
    talk.put(talk.asks(b"".join(requests), size) if together else [f for x in requests for f in talk.asks(x)])
    talk.put(talk.says(b"".join(responses), size) if answered else [f for x in responses for f in talk.says(x)])
    talk.put(talk.asks(asked("/last", "h")) + talk.says(told(b"ok")))


def disordered(talk: Talk, r: random.Random) -> None:
    for j in range(5):
        there = talk.asks(post(f"/{j}", b"b" * r.choice((0, 50, 130))), r.choice((30, 60, 500)))
        back = talk.says(told(b"r" * r.choice((1, 50, 150))), r.choice((30, 60, 500)))
        how = r.randrange(4)
        if how == 0:
            r.shuffle(there)
            r.shuffle(back)
        frames = back + there if how == 1 else there + back
        if how == 2:
            i = r.randrange(len(frames))
            frames.insert(min(len(frames) - 1, i + r.randrange(1, 3)), frames.pop(i))
        talk.put(frames)


def lossy(talk: Talk, r: random.Random) -> None:
    for j in range(4):
        there = talk.asks(post(f"/{j}", b"b" * r.choice((0, 50, 130))), r.choice((60, 500)))
        back = talk.says(told(b"r" * r.choice((14, 50, 150))), r.choice((60, 500)))
        lost = r.choice((there, back))
        if r.random() < 0.35:
            lost.pop(r.randrange(len(lost)))
        talk.put([*there, *back, talk.ack()])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("talks", [pipelined, disordered, lossy])
def test_no_difference_without_a_reason(
    talks: Callable[[Talk, random.Random], None], seed: int, tmp_path: Path
) -> None:
    made, r = Made(), random.Random(seed)
    for k in range(4):
        talk = Talk(made, 4000 + k, 100 * k)
        talks(talk, r)
        talk.end()
    assert told_apart(made, tmp_path)[0] == 0


def test_interim_responses(tmp_path: Path) -> None:
    made = Made()
    talk = Talk(made, 4000)
    continued(talk)
    talk.end()
    without, reasons, n = told_apart(made, tmp_path)
    assert (without, n) == (0, 9)
    assert "interim" in reasons


def test_requests_in_one_packet(tmp_path: Path) -> None:
    made = Made()
    talk = Talk(made, 4000)
    talk.put(talk.asks(b"".join(asked(f"/{j}", "h") for j in range(5))))
    talk.put([f for j in range(5) for f in talk.says(told(b"r%d" % j))])
    without, reasons, _n = told_apart(made, tmp_path)
    assert without == 0
    assert "packet-shared" in reasons
