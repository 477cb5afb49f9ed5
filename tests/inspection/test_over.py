"""Exchanges without a response: from when on none can come any more, and whether a byte of one was sent."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field

import pytest

from inspector.inspection.pipeline import Pipeline
from inspector.inspection.warm import CLIENT, FIRST, PCAP, segment
from inspector.mirror.pool import Rules
from inspector.mirror.tables import NONE

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Wire:
    """One connection: packets of client and server, with their numbers. A lost packet is sent and not captured."""

    frames: list[tuple[int, bytes]] = field(default_factory=list)
    sent: list[int] = field(default_factory=lambda: [1001, 5001])
    known: list[int] = field(default_factory=lambda: [1001, 5001])  # of each, what the other side has acknowledged
    time: int = 0

    def say(self, side: int, flags: int = ACK, data: bytes = b"", lost: bool = False, back: int = 0) -> Wire:
        """back: the numbers begin so many bytes earlier (or later, negative), and do not go on."""
        ends = ((CLIENT, 40000), (FIRST, 80))
        self.time += 1
        self.known[1 - side] = self.sent[1 - side]
        seq = self.sent[side] - back
        frame = segment(*ends[side], *ends[1 - side], seq, self.known[1 - side], flags, data)
        if not lost:
            self.frames.append((self.time, frame))
        if not back:
            self.sent[side] += len(data) + (flags & FIN)
        return self

    def client(self, data: bytes = b"", flags: int = ACK, **more: int) -> Wire:
        return self.say(0, flags, data, **more)

    def server(self, data: bytes = b"", flags: int = ACK, **more: int) -> Wire:
        return self.say(1, flags, data, **more)

    def pcap(self) -> bytes:
        out = [PCAP]
        out += [struct.pack("<IIII", 100, 1000 * ms, len(frame), len(frame)) + frame for ms, frame in self.frames]
        return b"".join(out)


def opened() -> Wire:
    wire = Wire(sent=[1000, 5000])
    wire.say(0, SYN)
    wire.sent[0] += 1
    wire.say(1, SYN | ACK)
    wire.sent[1] += 1
    return wire.client()


def facts(wire: Wire) -> list[tuple[int, int | None, bool]]:
    """Status, when it was over (ms), whether silent: of each exchange, the same however long blocks are."""
    found = read(wire, 1 << 22)
    assert found == read(wire, 100)
    return found


def read(wire: Wire, block: int) -> list[tuple[int, int | None, bool]]:
    pipeline = Pipeline((io.BytesIO(wire.pcap()),), Rules(), block, None)
    out = []
    for batch in pipeline.run():
        e = batch.found.exchanges.take(batch.gone)
        for i in range(len(e)):
            over = int(e.over_time[i])
            when = None if over == NONE else (over - 100 * 10**9) // 10**6
            out.append((int(e.request_time[i]), (int(e.status[i]), when, bool(e.silent[i]))))
    return [row for _, row in sorted(out)]


def test_a_client_that_hangs_up_and_a_server_that_closes():
    wire = opened().client(GET).server().client(flags=FIN | ACK).server()
    assert facts(wire) == [(-1, None, False)], "half closed: an answer may still come"
    wire.server(flags=FIN | ACK).client()
    assert facts(wire) == [(-1, 8, True)]


def test_a_reset_of_the_client_or_of_the_server():
    assert facts(opened().client(GET).server().client(flags=RST | ACK)) == [(-1, 6, True)]
    assert facts(opened().client(GET).server(flags=RST | ACK)) == [(-1, 5, True)]


def test_a_reset_that_names_bytes_that_were_not_seen_shows_nothing():
    assert facts(opened().client(GET).server(OK, lost=True).server(flags=RST | ACK)) == [(-1, None, False)]


def test_bytes_that_are_missing_before_the_end_may_be_the_response():
    wire = opened().client(GET).server(OK, lost=True).server(flags=FIN | ACK).client()
    assert facts(wire) == [(-1, None, False)]


def test_the_last_request_of_a_connection_that_answered_others():
    wire = opened().client(GET).server(OK).client(GET).server().server(flags=FIN | ACK).client()
    assert facts(wire) == [(200, None, False), (-1, 8, True)]


def test_a_loss_before_the_request_takes_nothing_away():
    wire = opened().client(GET).server(OK, lost=True).client().client(GET).server(OK).client(GET)
    wire.server(flags=FIN | ACK).client()
    assert facts(wire)[-1] == (-1, 10, True)


def test_half_a_response_is_over_with_its_stream_but_not_silent():
    wire = opened().client(GET).server(OK[:-1]).client().server(flags=RST | ACK)
    assert facts(wire) == [(200, 7, False)]
    wire = opened().client(GET).server(OK[:-1]).client().server(OK[-1:], lost=True).server(flags=FIN | ACK)
    assert facts(wire) == [(200, None, False)]
    wire = opened().client(GET).server(b"HTTP/1.1 2").client().server(flags=FIN | ACK).client()
    assert facts(wire)[0][1:] == (7, False)


def test_a_request_is_over_when_one_was_sent_that_knew_its_response():
    wire = opened().client(GET).server(OK, lost=True).client(GET).server(OK).client()
    assert facts(wire) == [(-1, 6, False), (200, None, False)]


@pytest.mark.parametrize("how", [ACK, PSH | ACK])
def test_a_connection_that_is_open_shows_nothing(how):
    assert facts(opened().client(GET, how).server()) == [(-1, None, False)]


def test_pipelined_requests_end_with_the_connection_only():
    wire = opened().client(GET).client(GET).server(OK).server(flags=FIN | ACK).client()
    assert facts(wire) == [(200, None, False), (-1, 7, False)]
