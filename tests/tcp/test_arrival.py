"""When bytes had arrived whose first transmission was not captured: when they were acknowledged, not when they came again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tcp_traffic import ACK, FIN, MS, SECOND, Packet, handshake, numbered, segments

import inspector.kernels.kernel
from inspector.tcp import Tracker

C, S = "10.0.0.1:40000", "10.0.0.2:80"


@pytest.fixture(params=["plain", "compiled"])
def mode(request):
    inspector.kernels.kernel.use(request.param)
    yield request.param
    inspector.kernels.kernel.use("plain")


def ask(time: int, offset: int, ack: int, text: bytes = b"") -> Packet:
    return Packet(C, S, 1001 + offset, ACK, text, 5001 + ack, time * MS)


def answer(time: int, offset: int, text: bytes, ack: int = 3, **more: int) -> Packet:
    return Packet(S, C, 5001 + offset, ACK, text, 1001 + ack, time * MS, **more)


def came(packets: list[Packet], size: int = 1000) -> list[tuple[int, int, int, int]]:
    """Offset, length, time (ms) and packet number of each chunk of the server's, however blocks are cut."""
    found = numbered([*handshake(C, S, 1000, 5000), *packets])
    tracker = Tracker()
    out = []
    for at in range(0, len(found), size):
        block = tracker.feed(*segments(found[at : at + size]))
        out.append(block.chunks)
    out.append(tracker.finish().chunks)
    return sorted(
        {
            (int(c.offset[i]), int(c.length[i]), int(c.time[i]) // MS, int(c.packet[i]) - 3)
            for c in out
            for i in range(len(c))
            if c.slot[i] & 1
        }
    )


def test_a_retransmission_had_arrived_when_it_was_acknowledged(mode):
    packets = [ask(1, 0, 0, b"get"), ask(12, 3, 5), answer(212, 0, b"hello"), answer(230, 5, b"next")]
    assert came(packets) == [(0, 5, 12, 3), (5, 4, 230, 4)]


def test_the_hole_may_be_in_front_of_what_was_seen(mode):
    packets = [ask(1, 0, 0, b"get"), answer(10, 5, b"world"), ask(12, 3, 10), answer(40, 0, b"hello")]
    assert came(packets) == [(0, 5, 12, 4), (5, 5, 10, 2)], "what was seen in time keeps its time"


def test_bytes_that_were_not_acknowledged_keep_their_time(mode):
    packets = [ask(1, 0, 0, b"get"), ask(12, 3, 3), answer(40, 0, b"hello")]
    assert came(packets) == [(0, 5, 40, 3)], "half of it came later than 12 ms"
    packets = [ask(1, 0, 0, b"get"), answer(10, 0, b"hello"), ask(12, 3, 5), answer(40, 0, b"hello")]
    assert came(packets) == [(0, 5, 10, 2)]


def test_later_acknowledgements_hold_for_all_before_them(mode):
    packets = [ask(1, 0, 0, b"get"), ask(12, 3, 5), ask(14, 3, 10), answer(40, 0, b"hello"), answer(41, 5, b"world")]
    assert came(packets) == [(0, 5, 14, 4), (5, 5, 14, 5)]


def test_a_request_that_comes_again_was_sent_before_it_was_acknowledged(mode):
    found = numbered(
        [*handshake(C, S, 1000, 5000), answer(9, 0, b"ok"), ask(212, 0, 2, b"get"), ask(213, 3, 2, b"more")]
    )
    block = Tracker().feed(*segments(found))
    assert [(t // MS, p) for t, p in zip(block.chunks.time.tolist(), block.chunks.packet.tolist(), strict=True)] == [
        (9, 5), (213, 6), (9, 4),
    ]  # fmt: skip


def test_clocks_of_two_captures_are_not_compared(mode):
    packets = [ask(1, 0, 0, b"get"), ask(12, 3, 5), answer(14, 0, b"hello", capture=1)]
    assert came(packets) == [(0, 5, 14, 3)]


def test_a_fin_that_was_acknowledged_brings_no_byte(mode):
    packets = [
        ask(1, 0, 0, b"get"), answer(5, 0, b"hello"), ask(12, 3, 6), Packet(S, C, 5006, FIN | ACK, b"", 1004, SECOND),
    ]  # fmt: skip
    assert came(packets) == [(0, 5, 5, 2)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["seen", "again", "again", "late"])), min_size=1, max_size=8),
    st.integers(1, 9),
)
def test_blocks_do_not_matter_and_the_first_proof_of_arrival_counts(pieces, size):
    """Each piece of an answer is captured in time, or only when it is sent again (after its acknowledgement or before it)."""
    packets, want = [ask(1, 0, 0, b"get")], []
    offset, now = 0, 10
    for length, how in pieces:
        text = bytes((offset + i) % 251 for i in range(length))
        if how == "seen":
            packets.append(answer(now, offset, text))
            came_at = now
        if how == "late":
            packets.append(answer(now + 2, offset, text))
            came_at = now + 2
        packets.append(ask(now + 4, 3, offset + length))
        if how == "again":
            packets.append(answer(now + 6, offset, text))
            came_at = now + 4
        want.append((offset, length, came_at))
        offset, now = offset + length, now + 10
    assert [c[:3] for c in came(packets)] == want
    assert came(packets, size) == came(packets)
