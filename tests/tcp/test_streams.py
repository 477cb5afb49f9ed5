"""Reassembly against a dull oracle, and independence of how the packets are divided."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tcp_traffic import ACK, FIN, MS, RST, SECOND, SYN, Packet, handshake, numbered, read, result

from inspector.kernels import kernel
from inspector.tcp import TcpOptions
from inspector.tcp.tables import End, Gap

EXAMPLES = int(os.environ.get("INSPECTOR_EXAMPLES", "40"))
C, S = "10.0.0.1:40000", "10.0.0.2:80"
portions = st.one_of(st.just([1]), st.lists(st.integers(1, 9), min_size=1, max_size=4))


@pytest.fixture
def compiled() -> Iterator[None]:
    kernel.use("compiled")
    yield
    kernel.use("plain")


def oracle(pieces: list[tuple[int, int, bytes]]) -> list[bytes | tuple[int, int]]:
    """Byte by byte: the first arrival of a byte wins; nobody acknowledges, so that every hole is open to the end.

    `pieces`: (time, offset, bytes) in the order of arrival, of a stream that starts at 0.
    """
    out: list[bytes | tuple[int, int]] = []
    waiting: dict[int, tuple[int, int, int]] = {}  # offset -> byte, arrival, start of its packet
    at = 0

    def take(goal: int | None) -> None:
        nonlocal at
        while waiting and (at in waiting or (goal is not None and at <= goal)):
            if at in waiting:
                byte = bytes([waiting.pop(at)[0]])
                if out and isinstance(out[-1], bytes):
                    out[-1] += byte
                else:
                    out.append(byte)
            elif out and isinstance(out[-1], tuple):
                out[-1] = (out[-1][0] + 1, Gap.LOST)
            else:
                out.append((1, Gap.LOST))
            at += 1

    for time, offset, data in pieces:
        for i, byte in enumerate(data):
            if offset + i >= at and offset + i not in waiting:
                waiting[offset + i] = byte, time, offset
        take(None)
    take(max(waiting, default=None))
    return out


@st.composite
def one_stream(draw: st.DrawFn) -> tuple[list[tuple[int, int, bytes]], int]:
    size = draw(st.integers(1, 60))
    text = bytes(i % 251 for i in range(size))
    count = draw(st.integers(1, 25))
    time, pieces = 10 * MS, []
    for n in range(count):
        time += draw(st.sampled_from([1, MS, 50 * MS, SECOND, 2 * SECOND, 4 * SECOND])) + n
        start = draw(st.integers(0, size - 1))
        stop = draw(st.integers(start + 1, size))
        data = text[start:stop] if draw(st.booleans()) else bytes([200 + n]) * (stop - start)
        if stop - start > 1:  # one byte may be a keep-alive probe: its own test
            pieces.append((time, start, data))
    return pieces, draw(st.sampled_from([0, 1000, 2**32 - 2, 2**32 - 20, 2**31 - 10]))


@settings(max_examples=EXAMPLES, deadline=None)
@given(one_stream(), portions)
def test_stream_as_the_oracle_has_it(traffic: tuple[list[tuple[int, int, bytes]], int], sizes: list[int]) -> None:
    pieces, isn = traffic
    packets = [Packet(C, S, isn, SYN)]
    packets += [Packet(C, S, isn + 1 + offset, ACK, data, time=time) for time, offset, data in pieces]
    reading = read(packets, sizes)
    assert reading.client().pieces == oracle(pieces)
    assert result(reading) == result(read(packets))


def conversation(draw: st.DrawFn, n: int) -> list[Packet]:
    """One connection with trouble of many kinds, in time order."""
    client, server = f"10.0.0.1:{40000 + n}", draw(st.sampled_from(["10.0.0.2:80", "127.0.0.1:15001", "[fd00::1]:80"]))
    if server.startswith("["):
        client = f"[fd00::{n + 2:x}]:40000"
    replier = "10.96.0.9:80" if "127" in server else server
    isn, other = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([7, 2**32 - 5]))
    time = draw(st.integers(0, 5)) * MS
    packets = []
    if draw(st.booleans()):
        packets = [
            Packet(client, server, isn, SYN, time=time),
            Packet(replier, client, other, SYN | ACK, ack=isn + 1, time=time),
        ]
    sent = [1, 1]
    for _ in range(draw(st.integers(1, 14))):
        time += draw(st.sampled_from([0, MS, 30 * MS, 150 * MS, SECOND, 4 * SECOND]))
        side = draw(st.integers(0, 1))
        bases = (isn, other)
        size = draw(st.integers(0, 12))
        flags = ACK | draw(st.sampled_from([0, 0, 0, 0, 0, FIN, RST, SYN]))
        offset = max(1, sent[side] + draw(st.sampled_from([0, 0, 0, 0, 0, -3, 4, 9, -8])))
        sent[side] = max(sent[side], offset + size)
        ack = bases[1 - side] + sent[1 - side] - draw(st.sampled_from([0, 0, 0, 2]))
        seq = bases[side] + offset
        text = bytes((seq + (flags & SYN != 0) + i) % 256 for i in range(size))  # a byte is its sequence number
        captured = draw(st.sampled_from([None, None, None, 0, 3]))
        src, dst = (client, server) if side == 0 else (replier, client)
        packet = Packet(src, dst, seq, flags, text, ack, time, captured, tsval=draw(st.integers(0, 1)))
        packets.append(packet)
        again = draw(st.sampled_from(["", "", "", "copy", "retransmission", "full copy"]))
        if again:
            packets.append(packet.but(time=time + 1000, interface=1 if "copy" in again else 0, tsval=9 * len(again)))
        if "copy" in again:
            packets[-1] = packets[-1].but(tsval=packet.tsval, captured=None if "full" in again else captured, ip_id=77)
            packets[-2] = packets[-2].but(ip_id=77)
    return packets


@st.composite
def traffic(draw: st.DrawFn) -> list[Packet]:
    packets = [p for n in range(draw(st.integers(1, 4))) for p in conversation(draw, n)]
    packets.sort(key=lambda p: p.time)
    for _ in range(draw(st.integers(0, 3))):
        i = draw(st.integers(0, len(packets) - 1))
        packets.append(packets.pop(i).but(time=packets[-1].time if packets else 0))
    return numbered(packets)


@settings(max_examples=EXAMPLES, deadline=None)
@given(traffic(), portions)
def test_any_division_gives_the_same(packets: list[Packet], sizes: list[int]) -> None:
    assert result(read(packets, sizes)) == result(read(packets))


@settings(max_examples=EXAMPLES, deadline=None)
@given(traffic(), portions)
def test_any_division_gives_the_same_where_memory_is_short(packets: list[Packet], sizes: list[int]) -> None:
    options = TcpOptions(hold_bytes=800, empty_connections=1, closed_connections=1, start_bytes=8)
    assert result(read(packets, sizes, options)) == result(read(packets, None, options))


def test_both_speeds_agree(compiled: None) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(traffic(), portions)
    def agree(packets: list[Packet], sizes: list[int]) -> None:
        fast = result(read(packets, sizes))
        kernel.use("plain")
        slow = result(read(packets, sizes))
        kernel.use("compiled")
        assert fast == slow

    agree()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.randoms(use_true_random=False), portions)
def test_any_order_gives_the_stream(text: bytes, random: object, sizes: list[int]) -> None:
    cuts = sorted({0, len(text), *(random.randrange(len(text)) for _ in range(12))})  # type: ignore[attr-defined]
    pieces = [(a, text[a:b]) for a, b in pairwise(cuts)]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    start = handshake(isn=2**32 - 30)
    packets = start + [Packet(C, S, 2**32 - 29 + o, ACK, t, 5001, 3 * MS + n) for n, (o, t) in enumerate(pieces)]
    end = Packet(C, S, 2**32 - 29 + len(text), FIN | ACK, ack=5001, time=4 * MS)
    reading = read([*packets, end], sizes)
    assert reading.client().pieces == [text]
    assert reading.client().end == (len(text), End.FIN)
    assert reading.tracker.counts["conflicts"] == reading.tracker.counts["gaps"] == 0


@settings(max_examples=EXAMPLES, deadline=None)
@given(traffic(), st.data())
def test_loss_never_invents_bytes(packets: list[Packet], data: st.DataObject) -> None:
    """What is handed out at an offset is what some packet has there."""
    kept = [p for p in packets if data.draw(st.booleans())]
    reading = read(kept)
    for stream in reading.streams.values():
        at = stream.first or 0
        bases = set()
        for piece in stream.pieces:
            if isinstance(piece, bytes):
                bases |= {(byte - at - i) % 256 for i, byte in enumerate(piece)}
                at += len(piece)
            else:
                at += piece[0]
        assert len(bases) <= 1
