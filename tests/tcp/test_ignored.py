"""What an endpoint ignored changes nothing but the count of such packets; times only order."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tcp_traffic import ACK, FIN, MS, PSH, RST, SECOND, SYN, Packet, Reading, handshake, numbered, read

from inspector.tcp.tables import End, Gap

EXAMPLES = int(os.environ.get("INSPECTOR_EXAMPLES", "60"))
C, S = "10.0.0.1:40000", "10.0.0.2:80"
NEAR = 1 << 16


def talk(sizes: list[tuple[int, int]], isn: int = 1000, other: int = 5000) -> list[Packet]:
    """A whole conversation: exchanges of the given sizes, each byte acknowledged, then both FINs."""
    packets = handshake(C, S, isn, other)
    sent, told = isn + 1, other + 1
    for asked, answered in sizes:
        packets.append(Packet(C, S, sent, ACK | PSH, bytes((sent + i) % 251 for i in range(asked)), told))
        sent += asked
        packets.append(Packet(S, C, told, ACK | PSH, bytes((told + i) % 251 for i in range(answered)), sent))
        told += answered
        packets.append(Packet(C, S, sent, ACK, b"", told))
    packets.append(Packet(C, S, sent, FIN | ACK, b"", told))
    packets.append(Packet(S, C, told, FIN | ACK, b"", sent + 1))
    packets.append(Packet(C, S, sent + 1, ACK, b"", told + 1))
    return [p.but(time=(n + 1) * MS, number=n + 1, ip_id=n + 1) for n, p in enumerate(packets)]


def what(reading: Reading) -> object:
    """All that must stay the same."""
    streams = {n: (s.pieces, s.end, s.chunks) for n, s in reading.streams.items() if s.pieces or s.end}
    c = reading.tracker.connections()
    ends = (
        c.connection.tolist(),
        c.handshake.tolist(),
        c.sent_bytes.tolist(),
        c.received_bytes.tolist(),
        c.flags.tolist(),
    )
    counts = reading.tracker.counts
    return streams, ends, {k: counts[k] for k in ("gaps", "conflicts", "dropped_bytes", "joined")}


exchanges = st.lists(st.tuples(st.integers(2, 40), st.integers(2, 40)), min_size=1, max_size=5)
starts = st.sampled_from([(1000, 5000), (2**32 - 20, 2**32 - 45), (7, 2**31 - 3)])


def numbers(packets: list[Packet], at: int) -> tuple[int, int]:
    """The next sequence numbers of client and server after packets[:at]."""
    after = {C: packets[0].seq, S: packets[1].seq}
    for p in packets[:at]:
        after[p.src] = p.seq + len(p.payload) + (p.flags & SYN != 0) + (p.flags & FIN != 0)
    return after[C], after[S]


def stray(data: st.DataObject, packets: list[Packet]) -> tuple[int, Packet]:
    """A packet that its receiver ignores, and where it comes."""
    draw = data.draw
    last = max(n for n, p in enumerate(packets) if p.payload)
    at = draw(st.integers(3, last - 1), label="at")
    sent, told = numbers(packets, at)
    kind = draw(st.sampled_from(["syn", "syn,ack", "rst", "refused", "probe", "empty probe", "far data", "far fin"]))
    back = draw(st.booleans())
    src, dst, seq, ack = (S, C, told, sent) if back else (C, S, sent, told)
    away = draw(st.sampled_from([-NEAR * 1000, NEAR * 1000, 1 << 30, (1 << 31) - 99]))
    if kind == "syn":
        return at, Packet(src, dst, seq + away, SYN)
    if kind == "syn,ack":
        return at, Packet(S, C, told + away, SYN | ACK, ack=draw(st.sampled_from([packets[0].seq + 1, sent, 99])))
    if kind == "rst":
        return at, Packet(src, dst, seq + away, RST)
    if kind == "refused":
        return at, Packet(src, dst, seq, RST | ACK, ack=ack)
    if kind == "probe":
        return at, Packet(src, dst, seq - 1, ACK, b"\0", ack)
    if kind == "empty probe":
        return at, Packet(src, dst, seq - 1, ACK, b"", ack)
    return at, Packet(src, dst, seq + away, ACK | (FIN if kind == "far fin" else 0), b"stray", ack + away)


@settings(max_examples=4 * EXAMPLES, deadline=None)
@given(exchanges, starts, st.data())
def test_a_packet_that_its_receiver_ignored_changes_nothing(
    sizes: list[tuple[int, int]], start: tuple[int, int], data: st.DataObject
) -> None:
    packets = talk(sizes, *start)
    at, packet = stray(data, packets)
    packet = packet.but(time=packets[at].time - MS // 2, number=999, ip_id=999)
    assert what(read([*packets[:at], packet, *packets[at:]])) == what(read(packets))


@settings(max_examples=EXAMPLES, deadline=None)
@given(exchanges, starts, st.data())
def test_a_clock_step_changes_nothing(
    sizes: list[tuple[int, int]], start: tuple[int, int], data: st.DataObject
) -> None:
    packets = talk(sizes, *start)
    lost = data.draw(st.sets(st.integers(3, len(packets) - 1), max_size=2))
    packets = [p for n, p in enumerate(packets) if n not in lost]
    step = data.draw(st.sampled_from([-12 * SECOND, -700 * SECOND, 700 * SECOND, 10**7 * SECOND]))
    first = data.draw(st.integers(0, len(packets) - 1))
    after = data.draw(st.sampled_from([first + 1, len(packets)]))
    moved = [p.but(time=p.time + 10**8 * SECOND) for p in packets]
    stepped = [p.but(time=p.time + step) if first <= n < after else p for n, p in enumerate(moved)]
    assert what(read(stepped)) == what(read(moved))


def say(text: bytes, offset: int = 0, **more: object) -> Packet:
    return Packet(C, S, 1001 + offset, ACK, text, 5001).but(**{"time": 3 * MS, **more})


def test_a_syn_counts_when_it_is_answered_or_its_number_is_spoken() -> None:
    old = [*handshake(), say(b"old")]
    syn, answer, ack = handshake(isn=77_000, other=88_000, time=SECOND)
    text = Packet(C, S, 77_001, ACK, b"new", 88_001, 2 * SECOND)
    back = Packet(S, C, 88_001, ACK, b"back", 77_004, 2 * SECOND)
    for opening in ([syn, answer], [syn], [answer], [syn, ack], [answer, ack], [syn, syn.but(tsval=9), answer, ack]):
        reading = read([*old, *opening, text, back])
        assert reading.client(0).pieces == [b"old"]
        assert reading.client(0).end == (3, End.REUSED)
        assert (reading.client(1).pieces, reading.server(1).pieces) == ([b"new"], [b"back"])
        assert reading.tracker.counts["ignored"] == (1 if len(opening) == 4 else 0)
        assert reading.tracker.connections().client_port.tolist() == [40000, 40000]
    lost = read([*old, syn, answer, text.but(seq=77_005)])
    assert lost.client(1).pieces == [(4, Gap.LOST), b"new"]
    assert read([*old, syn, say(b"more", 3)]).client(0).pieces == [b"oldmore"]


@pytest.mark.parametrize("taken", [5000, 777_000])
@pytest.mark.parametrize("first", [5000, 777_000])
def test_the_answer_that_the_client_acknowledges_counts(first: int, taken: int) -> None:
    answers = [Packet(S, C, n, SYN | ACK, ack=1001, time=MS) for n in sorted((5000, 777_000), key=lambda n: n != first)]
    packets = [Packet(C, S, 1000, SYN), *answers, Packet(C, S, 1001, ACK, ack=taken + 1, time=2 * MS)]
    packets += [say(b"ask", ack=taken + 1), Packet(S, C, taken + 1, ACK, b"answer", 1004, 4 * MS)]
    reading = read(packets)
    c = reading.tracker.connections()
    assert len(c) == 1
    assert c.handshake[0]
    assert c.flags[0] == 3
    assert {s.data for s in reading.streams.values() if s.pieces} == {b"ask", b"answer"}


def test_a_redirected_client_port_used_again() -> None:
    client, proxy, service = "10.244.0.10:40320", "127.0.0.1:15001", "10.96.200.1:80"
    packets = []
    for isn, other, text in ((1000, 5000, b"one"), (71_000, 85_000, b"two")):
        syn, answer, ack = handshake(client, proxy, isn, other)
        packets += [syn, answer.but(src=service), ack, Packet(client, proxy, isn + 1, ACK, text, other + 1)]
        packets += [Packet(service, client, other + 1, ACK, b"back", isn + 4)]
    packets = [p.but(time=n * MS) for n, p in enumerate(packets)]
    for left_out in (None, 5, 6, 7):
        reading = read([p for n, p in enumerate(packets) if n != left_out])
        c = reading.tracker.connections()
        assert len(c) == 2
        assert c.joined.tolist() == [True, True]
        assert {s.data for s in reading.streams.values() if s.pieces} == {b"one", b"two", b"back"}


@pytest.mark.parametrize("probe", [b"\0", b""])
def test_a_keep_alive_probe_is_no_first_byte(probe: bytes) -> None:
    probes = [say(probe, -1), Packet(S, C, 5001, ACK, b"", 1001, 3 * MS)] * 2
    reading = read(numbered([*probes, say(b"ask", flags=ACK | PSH), Packet(S, C, 5001, ACK, b"tell", 1004, 4 * MS)]))
    assert reading.client().pieces == [b"ask"]
    assert reading.client().first == 0
    assert reading.tracker.counts["gaps"] == 0


def test_talk_is_whole() -> None:
    packets = talk([(3, 4), (5, 6)])
    reading = read(packets)
    assert [len(s.data) for s in (reading.client(), reading.server())] == [8, 10]
    assert all(a.time < b.time for a, b in pairwise(packets))
