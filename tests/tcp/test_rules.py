"""One rule of TCP, NAT or capture each."""

from __future__ import annotations

import numpy as np
import pytest
from tcp_traffic import ACK, FIN, MS, RST, SECOND, SYN, Packet, Reading, endpoint, handshake, numbered, read

from inspector.tcp import TcpOptions
from inspector.tcp.tables import UNKNOWN, End, Gap

C, S = "10.0.0.1:40000", "10.0.0.2:80"


def say(text: bytes, offset: int = 0, **more: object) -> Packet:
    """Client's bytes after handshake()."""
    return Packet(C, S, 1001 + offset, ACK, text, 5001).but(**{"time": 3 * MS, **more})


def answer(text: bytes, offset: int = 0, ack: int = 0, **more: object) -> Packet:
    return Packet(S, C, 5001 + offset, ACK, text, 1001 + ack).but(**{"time": 4 * MS, **more})


def server_of(reading: Reading, row: int = 0) -> tuple[int, int, int]:
    c = reading.tracker.connections()
    return int(c.server_hi[row]), int(c.server_lo[row]), int(c.server_port[row])


def wire_of(reading: Reading, row: int = 0) -> tuple[int, int, int]:
    c = reading.tracker.connections()
    return int(c.wire_hi[row]), int(c.wire_lo[row]), int(c.wire_port[row])


def client_of(reading: Reading, row: int = 0) -> tuple[int, int, int]:
    c = reading.tracker.connections()
    return int(c.client_hi[row]), int(c.client_lo[row]), int(c.client_port[row])


def test_a_conversation() -> None:
    fins = [answer(b"", 5, 5, flags=FIN | ACK), say(b"", 5, flags=FIN | ACK, time=5 * MS)]
    reading = read([*handshake(), say(b"hello"), answer(b"world", ack=5), *fins])
    assert reading.client().pieces == [b"hello"]
    assert reading.server().pieces == [b"world"]
    assert reading.client().end == reading.server().end == (5, End.FIN)
    assert reading.client().chunks == [(0, 5, 4, 0)]
    assert reading.server().chunks == [(0, 5, 5, 5)]
    c = reading.tracker.connections()
    assert (c.packets[0], c.sent_bytes[0], c.received_bytes[0], c.handshake[0], c.joined[0]) == (7, 5, 5, True, False)
    assert (client_of(reading), server_of(reading)) == (endpoint(C), endpoint(S))
    assert c.end[0] == End.FIN
    assert c.flags[0] == 3


def test_data_in_the_syn_is_the_start() -> None:
    syn, *rest = handshake()
    reading = read([syn.but(payload=b"fast "), rest[0], say(b"open", 5)])
    assert reading.client().pieces == [b"fast open"]
    assert reading.client().first == 0


def test_first_bytes_lost_after_the_handshake_are_a_gap() -> None:
    reading = read([*handshake(), say(b"world", 6)])
    assert reading.client().pieces == [(6, Gap.LOST), b"world"]
    assert reading.client().first == 0


def test_lost_syn_is_derived_from_the_answer() -> None:
    reading = read([*handshake()[1:], say(b"x", 3)])
    assert reading.client().pieces == [(3, Gap.LOST), b"x"]
    assert client_of(reading) == endpoint(C)


def test_lost_answer_is_derived_from_the_acknowledgement() -> None:
    reading = read([handshake()[0], handshake()[2], answer(b"x", 3)])
    assert reading.server().pieces == [(3, Gap.LOST), b"x"]


def test_a_question_that_stands_where_the_other_side_had_come_to_waits_for_nothing() -> None:
    """Without SYN: the server's first bytes wait for earlier ones, the client's need not, whose place they acknowledged."""
    reading = Reading()
    first = answer(b"of before", time=0, number=1)
    asked = say(b"question", time=90 * MS, number=2).but(ack=5010)
    reading.feed([first, asked])
    assert reading.streams[1].data == b"question"
    reading.feed([answer(b"answer", 9, 8, time=120 * MS, number=3)])
    assert reading.streams[0].data == b"of beforeanswer"
    late = say(b"lost ", -5, time=121 * MS, number=4)
    reading.feed([late])
    reading.finish()
    assert reading.streams[1].pieces == [b"question"]


def test_a_stream_without_syn_starts_at_the_lowest_byte_of_its_first_moments() -> None:
    reading = read([say(b"def", 3), say(b"abc", 0, time=50 * MS), say(b"ghi", 6, time=60 * MS)])
    assert reading.client().pieces == [b"abcdefghi"]
    assert reading.client().first == -3
    silent = read([say(b"def", 3), say(b"ghi", 6, time=700 * SECOND), say(b"abc", 0, time=1400 * SECOND)])
    assert silent.client().pieces == [b"abcdefghi"]
    late = read([say(b"def", 3), *others(3 * MS), say(b"abc", 0, time=SECOND), say(b"ghi", 6, time=SECOND)])
    assert late.client().pieces == [b"defghi"]
    assert late.tracker.counts["early"] == 1


def others(start: int, count: int = 40) -> list[Packet]:
    """Packets of another connection, 1 ms from one to the next."""
    return [
        Packet("10.0.0.9:1", "10.0.0.8:2", 1 + n, ACK, b"x", time=start + (n + 1) * MS, ip_id=5000 + n)
        for n in range(count)
    ]


@pytest.mark.parametrize("wait", [SECOND, 4 * SECOND, 700 * SECOND])
def test_a_hole_is_open_until_the_receiver_acknowledged_beyond_it(wait: int) -> None:
    late = say(b"abc", time=3 * MS + wait)
    reading = read([*handshake(), say(b"def", 3), answer(b"", ack=0), *others(4 * MS), late])
    assert reading.client().pieces == [b"abcdef"]
    assert reading.tracker.counts["gaps"] == 0


@pytest.mark.parametrize("swapped", [False, True])
def test_an_acknowledged_hole_is_lost_after_an_allowance_for_what_is_written_late(swapped: bool) -> None:
    pair = [say(b"def", 3), answer(b"", ack=6)]
    start = [*handshake(), *(pair[::-1] if swapped else pair)]
    assert read([*start, *others(4 * MS, 5), say(b"abc", time=9 * MS)]).client().pieces == [b"abcdef"]
    assert read([*start, say(b"abc", time=700 * SECOND)]).client().pieces == [b"abcdef"]
    lost = [*start, *others(4 * MS), say(b"abc", time=SECOND)]
    assert read(lost).client().pieces == [(3, Gap.LOST), b"def"]


def test_held_bytes_are_handed_out_as_soon_as_their_hole_is_lost() -> None:
    reading = Reading()
    reading.feed(numbered([*handshake(), say(b"def", 3)]))
    assert reading.client().pieces == []
    reading.feed(numbered([answer(b"", ack=6), *others(4 * MS)]))
    assert reading.client().pieces == [(3, Gap.LOST), b"def"]


def test_what_is_acknowledged_behind_the_last_byte_is_lost() -> None:
    reading = Reading()
    reading.feed(numbered([*handshake(), say(b"abc"), answer(b"", ack=9), *others(4 * MS)]))
    assert reading.client().pieces == [b"abc", (6, Gap.LOST)]
    reading.finish()
    assert reading.client().end == (9, End.CAPTURE)
    fin = read([*handshake(), say(b"abc"), answer(b"", ack=4), *others(4 * MS)])
    assert fin.client().pieces == [b"abc"]


def test_conflicts_are_seen_across_blocks() -> None:
    text = bytes(range(250)) * 8
    packets = [*handshake(), say(text), say(b"XX" + text[2:100], ip_id=99, time=SECOND)]
    packets += [say(text[500:900], 500, ip_id=98, time=2 * SECOND)]
    for portions in (None, [1]):
        reading = read(packets, portions)
        counts = reading.tracker.counts
        assert (counts["retransmissions"], counts["conflicts"]) == (2, 1)
        assert reading.client().pieces == [text]


def test_keep_alive_is_neither_data_nor_retransmission() -> None:
    reading = read([*handshake(), say(b"abc"), say(b"\0", 2, time=SECOND), say(b"", 2, time=SECOND), say(b"def", 3)])
    assert reading.client().pieces == [b"abcdef"]
    counts = reading.tracker.counts
    assert counts["conflicts"] == counts["retransmissions"] == 0


def test_cut_bytes_are_a_gap_at_once() -> None:
    reading = Reading()
    reading.feed(numbered([*handshake(), say(b"abcdef", captured=4)]))
    assert reading.client().pieces == [b"abcd", (2, Gap.CUT)]
    reading.feed([say(b"ghi", 6, number=9, ip_id=9)])
    assert reading.client().pieces == [b"abcd", (2, Gap.CUT), b"ghi"]


def test_a_longer_copy_fills_what_was_cut() -> None:
    short = say(b"defghi", 3, captured=2, ip_id=7)
    whole = say(b"defghi", 3, capture=1, ip_id=7)
    reading = read([*handshake(), short, whole, say(b"abc")])
    assert reading.client().pieces == [b"abcdefghi"]
    assert reading.tracker.copies == {0: 0, 1: 1}
    shorter = read([*handshake(), whole, short, say(b"abc")])
    assert shorter.client().pieces == [b"abcdefghi"]


@pytest.mark.parametrize(
    ("change", "copies"),
    [
        ({"interface": 1}, 1),
        ({"capture": 1}, 1),
        ({}, 1),  # a SPAN port
        ({"ip_id": 8}, 0),
        ({"interface": 1, "time": 20 * MS}, 1),
        ({"interface": 1, "time": 500 * MS}, 0),
        ({"capture": 1, "time": 500 * MS}, 1),
        ({"capture": 1, "time": 2 * SECOND}, 0),
        ({"interface": 1, "payload": b"abd"}, 0),
        ({"interface": 1, "payload": b"abd", "captured": 2}, 1),
        ({"interface": 1, "tsval": 5}, 0),
        ({"interface": 1, "flags": ACK | 8}, 0),
        ({"interface": 1, "src": "10.0.0.7:1", "dst": S}, 1),
        ({"interface": 1, "src": "10.0.0.7:1", "dst": "10.0.0.8:2"}, 0),
    ],
)
def test_what_is_a_copy(change: dict[str, object], copies: int) -> None:
    packet = say(b"abc", ip_id=7)
    reading = read([*handshake(), packet, packet.but(**change)])
    assert reading.tracker.counts["copies"] == copies
    assert reading.client().pieces == [b"abc"]


@pytest.mark.parametrize("gap", [MS, 500 * MS])
@pytest.mark.parametrize("ports", [(1, 2, 3), (1, 1, 1)])
@pytest.mark.parametrize("end", ["fins", "reset", ""])
def test_connections_with_equal_numbers_are_no_copies(gap: int, ports: tuple[int, ...], end: str) -> None:
    """Captures made for lessons: fixed numbers, fixed IP identification, one connection after the other."""
    packets = []
    for n, port in enumerate(ports):
        talk = [*handshake(), say(b"ask"), answer(b"tell", ack=3), say(b"", 3, ack=5005)]
        if end == "fins":
            talk += [say(b"", 3, ack=5005, flags=FIN | ACK), answer(b"", 4, 4, flags=FIN | ACK)]
            talk += [say(b"", 4, ack=5006)]
        elif end == "reset":
            talk += [say(b"", 3, flags=RST)]
        elif len(set(ports)) == 1:
            return  # nothing says where one ends
        for k, p in enumerate(talk):
            mine = {"src": f"10.0.0.1:{port}"} if p.src == C else {"dst": f"10.0.0.1:{port}"}
            packets.append(p.but(**mine, time=n * (gap + 9 * MS) + k * MS // 10, ip_id=1))
    reading = read(packets)
    assert reading.tracker.counts["copies"] == 0
    assert len(reading.tracker.connections()) == 3
    for n in range(3):
        assert (reading.client(n).pieces, reading.server(n).pieces) == ([b"ask"], [b"tell"])


def test_ipv6_has_no_copies_on_one_interface() -> None:
    packet = Packet("[fd00::1]:1", "[fd00::2]:2", 10, ACK, b"abc", 1, ip_id=0)
    assert read([packet, packet.but(time=MS)]).tracker.counts["copies"] == 0
    assert read([packet, packet.but(time=MS, interface=1)]).tracker.counts["copies"] == 1


REDIRECT = ("10.244.0.10:40320", "127.0.0.1:15001", "10.96.200.1:80")


def redirected(start: int = 0) -> list[Packet]:
    client, proxy, service = REDIRECT
    packets = handshake(client, proxy)
    packets[1] = packets[1].but(src=service)
    packets.append(Packet(client, proxy, 1001, ACK, b"request", 5001, 3 * MS))
    packets.append(Packet(service, client, 5001, ACK, b"", 1008, 4 * MS))
    packets.append(Packet(service, client, 5001, ACK, b"response", 1008, 5 * MS))
    packets.append(Packet(client, proxy, 1008, ACK, b"", 5009, 6 * MS))
    return packets[start:]


@pytest.mark.parametrize("start", range(5))
def test_redirected_halves_are_joined(start: int) -> None:
    reading = read(redirected(start))
    c = reading.tracker.connections()
    assert len(c) == 1
    assert c.joined[0]
    assert client_of(reading) == endpoint(REDIRECT[0])
    assert server_of(reading) == endpoint(REDIRECT[2])
    assert wire_of(reading) == endpoint(REDIRECT[1])
    texts = {s.data for s in reading.streams.values() if s.pieces}
    assert texts == ({b"request", b"response"} if start < 4 else {b"response"})


def test_the_reply_may_be_seen_first() -> None:
    packets = redirected()
    reading = read([packets[5], packets[3], packets[6]])
    c = reading.tracker.connections()
    assert len(c) == 1
    assert (client_of(reading), server_of(reading), wire_of(reading)) == tuple(endpoint(REDIRECT[i]) for i in (0, 2, 1))
    assert (c.sent_bytes[0], c.received_bytes[0]) == (7, 8)
    slots = np.array([reading.slots[n] for n in sorted(reading.slots)], np.int32)
    where = reading.tracker.streams(slots)
    data = [reading.streams[int(n)].data for n in where.stream]
    assert dict(zip(data, where.from_client.tolist(), strict=True)) == {b"request": True, b"response": False}
    assert set(where.mate.tolist()) == set(where.stream.tolist())


def test_numbers_that_do_not_fit_are_not_joined() -> None:
    client, proxy, service = REDIRECT
    reading = read(
        [
            Packet(client, proxy, 1001, ACK, b"request", 5001, 3 * MS),
            Packet(service, client, 777_000_000, ACK, b"response", 888_000_000, 5 * MS),
        ]
    )
    c = reading.tracker.connections()
    assert len(c) == 2
    assert not c.joined.any()


def test_service_address_on_a_node() -> None:
    """kube-proxy: each packet is seen before and after its address was changed."""
    client, service, pod = "10.244.0.5:40000", "10.96.0.1:80", "10.244.1.7:3000"
    packets = []
    for n, p in enumerate([*handshake(client, service), Packet(client, service, 1001, ACK, b"ask", 5001, 3 * MS)]):
        if p.src == client:
            packets += [p.but(ip_id=n + 1), p.but(dst=pod, interface=1, ip_id=n + 1)]
        else:
            packets += [p.but(src=pod, interface=1, ip_id=n + 1), p.but(ip_id=n + 1)]
    packets.append(Packet(pod, client, 5001, ACK, b"tell", 1004, 4 * MS, interface=1, ip_id=50))
    packets.append(Packet(service, client, 5001, ACK, b"tell", 1004, 4 * MS, ip_id=50))
    # the copy of a packet whose original was not captured still finds its connection
    packets.append(Packet(client, pod, 1004, ACK, b"more", 5005, 5 * MS, interface=1, ip_id=51))
    reading = read(packets)
    c = reading.tracker.connections()
    assert len(c) == 1
    assert server_of(reading) == endpoint(service)
    assert reading.client().pieces == [b"askmore"]
    assert reading.server().pieces == [b"tell"]
    assert reading.tracker.counts["copies"] == 5
    assert reading.tracker.counts["connections"] == 1


def test_a_port_used_again_is_a_new_connection() -> None:
    again = [p.but(time=p.time + SECOND) for p in handshake(isn=77_000, other=88_000)]
    text = Packet(C, S, 77_001, ACK, b"new", 88_001, 2 * SECOND)
    reading = read([*handshake(), say(b"old"), *again, text])
    assert reading.client(0).pieces == [b"old"]
    assert reading.client(0).end == (3, End.REUSED)
    assert reading.client(1).pieces == [b"new"]
    assert reading.client(1).end == (3, End.CAPTURE)


def test_a_repeated_syn_is_a_retransmission() -> None:
    syn, *rest = handshake()
    reading = read([syn, syn.but(time=MS, ip_id=900, tsval=4), *rest, say(b"x")])
    assert reading.tracker.counts["connections"] == 1
    assert reading.tracker.counts["retransmissions"] == 1


def test_the_same_syn_after_the_close_is_a_new_connection() -> None:
    reset = answer(b"", flags=RST | ACK)
    again = [p.but(time=p.time + 5 * SECOND, ip_id=800 + i) for i, p in enumerate([*handshake(), say(b"b")])]
    reading = read([*handshake(), say(b"a"), reset, *again])
    assert [reading.client(n).pieces for n in (0, 1)] == [[b"a"], [b"b"]]


def test_reset_ends_both_and_what_is_in_flight_is_read() -> None:
    reading = read([*handshake(), say(b"def", 3), answer(b"", flags=RST | ACK), say(b"abc", time=SECOND)])
    assert reading.server().end == (0, End.RST)
    assert reading.client().pieces == [b"abcdef"]
    assert reading.client().end == (6, End.RST)
    flying = read([*handshake(), say(b"abc"), answer(b"", flags=RST | ACK), say(b"def", 3)])
    assert flying.client().pieces == [b"abcdef"]
    assert flying.client().end == (6, End.RST)
    assert flying.tracker.counts["dropped_bytes"] == flying.tracker.counts["ignored"] == 0


def test_a_reset_has_counted_when_nobody_contradicts_it() -> None:
    reading = Reading()
    reading.feed(numbered([*handshake(), say(b"abc"), answer(b"", ack=3, flags=RST)]))
    assert reading.client().end is None
    reading.feed(numbered(others(4 * MS, 1200)))
    assert reading.client().end == (3, End.RST)
    assert reading.server().end == (0, End.RST)


@pytest.mark.parametrize(
    ("seq", "ignored"),
    [(5004, 1), (5005, 1), (5010, 1), (5005 + (1 << 25), 1), (4000, 1)],
)
def test_a_reset_without_effect_changes_nothing(seq: int, ignored: int) -> None:
    """Stale, refused, challenged or outside of the window: both sides go on."""
    packets = [*handshake(), say(b"ask"), answer(b"tell", ack=3), say(b"", 3, ack=5005)]
    packets += [answer(b"", flags=RST | ACK, ack=3).but(seq=seq)]
    packets += [say(b"more", 3, ack=5005), answer(b"again", 4, 7), say(b"", 7, ack=5010)]
    packets += [say(b"", 7, ack=5010, flags=FIN | ACK), answer(b"", 9, 8, flags=FIN | ACK)]
    reading = read(packets)
    assert reading.client().pieces == [b"askmore"]
    assert reading.server().pieces == [b"tellagain"]
    assert reading.client().end == (7, End.FIN)
    assert reading.server().end == (9, End.FIN)
    assert reading.tracker.counts["ignored"] == ignored
    assert reading.tracker.counts["connections"] == 1


def test_a_response_refused_with_a_reset_is_read_and_not_acknowledged() -> None:
    reading = Reading()
    refused = [answer(b"refused", ack=4), say(b"", 4, flags=RST)]
    packets = [*handshake(), say(b"ask"), say(b"", 3, flags=FIN | ACK), say(b"", 4, flags=RST), *refused]
    reading.feed(numbered(packets))
    assert reading.server().pieces == [b"refused"]
    assert reading.tracker.acknowledged(np.array([reading.slots[1]], np.int32)).tolist() == [0]
    reading.finish()
    assert reading.server().end == (7, End.RST)
    assert reading.client().end == (3, End.FIN)


def test_numbers_far_from_all_others_are_ignored_until_they_are_confirmed() -> None:
    far = 1 << 28
    stray = say(b"old", far, ack=77)
    reading = read([*handshake(), say(b"abc"), stray, answer(b"x", ack=3), say(b"def", 3)])
    assert reading.client().pieces == [b"abcdef"]
    assert reading.tracker.counts["ignored"] == 1
    paused = [*handshake(), say(b"abc"), say(b"d", far), say(b"ef", far + 1), answer(b"", ack=far + 3)]
    assert read(paused).client().pieces == [b"abc", (far - 2, Gap.LOST), b"ef"]


def test_fin_waits_for_the_bytes_before_it() -> None:
    fin = say(b"", 6, flags=FIN | ACK)
    reading = Reading()
    reading.feed(numbered([*handshake(), say(b"abc"), fin]))
    assert reading.client().end is None
    reading.feed([say(b"def", 3, time=SECOND, number=9)])
    assert reading.client().pieces == [b"abcdef"]
    assert reading.client().end == (6, End.FIN)
    lost = read([*handshake(), say(b"abc"), fin])
    assert lost.client().pieces == [b"abc", (3, Gap.LOST)]
    assert lost.client().end == (6, End.FIN)


def test_acknowledged_and_synced() -> None:
    reading = Reading()
    reading.feed(numbered([*handshake(), say(b"abcdef"), answer(b"", ack=4)]))
    slots = np.array([reading.slots[0], reading.slots[0] ^ 1], np.int32)
    assert reading.tracker.acknowledged(slots).tolist() == [4, 0]
    assert reading.tracker.synced(slots).tolist() == [True, True]
    other = Reading()
    other.feed(numbered([Packet(C, S, 9, SYN), Packet(C, S, 10, 0, b"abc")]))
    slots = np.array([other.slots[0], other.slots[0] ^ 1], np.int32)
    assert other.tracker.acknowledged(slots).tolist() == [UNKNOWN, UNKNOWN]
    assert other.tracker.synced(slots).tolist() == [True, False]


def test_idle_connections_end_where_memory_does() -> None:
    later = [Packet("10.0.0.9:1", "10.0.0.8:2", 1, ACK, b"x", time=7000 * SECOND)]
    reading = read([*handshake(), say(b"abc"), *later, say(b"def", 3, time=14000 * SECOND)])
    assert reading.client().pieces == [b"abcdef"]
    full = read([*handshake(), say(b"abc"), *later, *others(7000 * SECOND, 1)], options=TcpOptions(busy_connections=1))
    assert full.client().end == (3, End.EXPIRED)
    assert full.tracker.counts["expired_early"] == full.tracker.counts["cut_short"] == 1


def test_closed_connections_are_dropped() -> None:
    reading = Reading(TcpOptions(reset_connections=0, closed_connections=0))
    reading.feed(numbered([*handshake(), say(b"abc"), answer(b"", flags=RST)]))
    reading.feed([Packet("10.0.0.9:1", "10.0.0.8:2", 1, ACK, b"x", time=SECOND, number=8)])
    assert len(reading.tracker.connections()) == 2
    reading.tracker.drop_connections()
    assert reading.tracker.connections().connection.tolist() == [1]


@pytest.mark.parametrize("step", [MS, -SECOND])
def test_a_clock_that_goes_back_stops_nothing(step: int) -> None:
    future = Packet("10.0.0.9:1", "10.0.0.8:2", 1, ACK, b"x", time=10**18)
    packets = [*handshake(), future, *handshake(isn=50, other=60), say(b"def", 3).but(seq=54, ack=61)]
    tail = [say(b"x", 100).but(seq=155, ack=61, time=20 * SECOND + step)]
    reading = read([*packets, *tail])
    assert reading.streams[max(n for n, s in reading.streams.items() if s.pieces)].data == b"defx"
