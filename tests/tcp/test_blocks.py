"""What lasts from block to block: bytes left for later, packets of a message, and the bounds on all of it."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tcp_traffic import ACK, MS, SYN, Packet, Reading, handshake, numbered, segments

from inspector.capture.tables import Segments
from inspector.tcp import TcpOptions, Tracker, tracker
from inspector.tcp.tables import UNKNOWN, End, Gap, StreamBlock

EXAMPLES = int(os.environ.get("INSPECTOR_EXAMPLES", "40"))
C, S = "10.0.0.1:40000", "10.0.0.2:80"


def feed(tracker: Tracker, packets: list[Packet]) -> StreamBlock:
    return tracker.feed(*segments(packets))


def say(text: bytes, offset: int, number: int, client: str = C) -> Packet:
    return Packet(client, S, 1001 + offset, ACK, text, 5001, 3 * MS, number=number, ip_id=number)


def shown(block: StreamBlock) -> list[tuple[int, bytes, int]]:
    r = block.runs
    return [
        (int(r.offset[i]), block.arena[r.at[i] : r.at[i] + r.length[i]].tobytes(), int(r.gap[i])) for i in range(len(r))
    ]


def release(tracker: Tracker, slot: int, consumed: int) -> None:
    tracker.release(np.array([slot], np.int32), np.array([consumed], np.int64))


def test_what_was_left_is_presented_again() -> None:
    tracker = Tracker()
    block = feed(tracker, [*numbered(handshake()), say(b"abcdef", 0, 4)])
    slot = int(block.runs.slot[0])
    release(tracker, slot, 4)
    other = feed(tracker, [say(b"zzz", 0, 5, "10.0.0.3:1")])
    assert shown(other) == [], "without news nothing is presented, and a stream without SYN waits"
    block = feed(tracker, [say(b"ghi", 6, 6)])
    assert shown(block) == [(4, b"efghi", 0)]
    assert block.chunks.packet.tolist() == [4, 6]
    release(tracker, slot, 4)
    block = feed(tracker, [say(b"j", 9, 7)])
    assert shown(block) == [(4, b"efghij", 0)]
    block = feed(tracker, [say(b"k", 10, 8)])
    assert shown(block) == [(10, b"k", 0)]


def test_gaps_inside_what_was_left_are_kept() -> None:
    tracker = Tracker()
    cut = say(b"abcdef", 0, 4).but(captured=3)
    block = feed(tracker, [*numbered(handshake()), cut, say(b"ghi", 6, 5)])
    assert shown(block) == [(0, b"abc", 0), (6, b"ghi", 3)]
    release(tracker, int(block.runs.slot[0]), 1)
    block = feed(tracker, [say(b"jkl", 9, 6)])
    assert shown(block) == [(1, b"bc", 0), (6, b"ghijkl", 3)]
    assert block.runs.reason.tolist() == [Gap.NONE, Gap.CUT]


def test_the_end_brings_what_was_left() -> None:
    tracker = Tracker()
    block = feed(tracker, [*numbered(handshake()), say(b"abc", 0, 4)])
    release(tracker, int(block.runs.slot[0]), 1)
    block = tracker.finish()
    assert shown(block) == [(1, b"bc", 0)]
    assert block.ends.how.tolist() == [End.CAPTURE, End.CAPTURE]


def test_too_much_left_is_a_gap() -> None:
    tracker = Tracker(TcpOptions(keep_bytes=100))
    block = feed(tracker, [*numbered(handshake()), say(b"a" * 150, 0, 4)])
    release(tracker, int(block.runs.slot[0]), 10)
    block = feed(tracker, [say(b"bcd", 150, 5)])
    assert shown(block) == [(150, b"bcd", 140)]
    assert block.runs.reason.tolist() == [Gap.LOST]
    assert tracker.counts["kept_too_much"] == 1


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 60), st.booleans(), st.integers(0, 80)), min_size=1, max_size=30
    )
)
def test_a_reader_sees_every_byte_from_where_it_stopped(steps: list[tuple[int, int, bool, int]]) -> None:
    """Three streams, each read as far as it likes; the store is small, so that it is compacted often."""
    tracker = Tracker()
    feed(tracker, numbered([p for n in range(3) for p in handshake(f"10.0.0.1:{n + 1}")]))
    sent, taken = [0, 0, 0], [0, 0, 0]
    for number, (n, size, ahead, leave) in enumerate(steps, 100):
        text = bytes((n + sent[n] + i) % 251 for i in range(size))
        packets = [say(text, sent[n], number, f"10.0.0.1:{n + 1}")]
        if ahead:  # in two pieces, the second first
            half = size // 2
            packets = [say(text[half:], sent[n] + half, number, packets[0].src)] * (half < size)
            packets += [say(text[:half], sent[n], 5000 + number, packets[0].src)] * (half > 0)
        sent[n] += size
        block = feed(tracker, packets)
        if size == 1 and ahead and not len(block.runs):
            continue
        assert shown(block) == [(taken[n], bytes((n + i) % 251 for i in range(taken[n], sent[n])), 0)]
        taken[n] = max(taken[n], sent[n] - leave)
        release(tracker, int(block.runs.slot[0]), taken[n])


def test_packets_of_messages() -> None:
    tracker = Tracker(TcpOptions(chunk_ends=3))
    packets = [say(b"0123456789", 10 * n, n + 10) for n in range(20)]
    packets = [p.but(time=p.number * MS) for p in packets]
    block = feed(tracker, [*numbered(handshake()), *packets])
    slot = int(block.runs.slot[0])

    def locate(*ranges: tuple[int, int]) -> tuple[list[list[int]], list[int], list[int]]:
        starts, ends = (np.array(c, np.int64) for c in zip(*ranges, strict=True))
        captures, numbers, first, last = tracker.locate(np.full(len(ranges), slot, np.int32), starts, ends)
        assert captures.values.dtype == np.int16
        assert (captures.offsets == numbers.offsets).all()
        return [numbers[i].tolist() for i in range(len(ranges))], first.tolist(), last.tolist()

    assert locate((0, 10), (9, 11), (30, 55)) == (
        [[10], [10, 11], [13, 14, 15]],
        [10 * MS, 10 * MS, 13 * MS],
        [10 * MS, 11 * MS, 15 * MS],
    )
    assert locate((0, 200))[0] == [[10, 11, 12, 27, 28, 29]], "of a long message the first and the last"
    assert locate((500, 600)) == ([[]], [UNKNOWN], [UNKNOWN])
    tracker.forget(np.array([slot], np.int32), np.array([35], np.int64))
    more = [say(b"0123456789", 200 + 10 * n, n + 30).but(time=(n + 30) * MS) for n in range(2)]
    feed(tracker, more)
    assert locate((0, 30), (30, 50)) == ([[], [13, 14]], [UNKNOWN, 13 * MS], [UNKNOWN, 14 * MS])
    assert locate((30, 220))[0] == [[13, 14, 15, 29, 30, 31]]
    block = tracker.finish()
    assert locate((210, 220))[0] == [[31]], "until the next block the slot stays what it was"


def scan(n: int, start: int) -> Segments:
    """`n` SYN segments, each to another address."""
    target = np.arange(start, start + n, dtype=np.uint64)
    zeros = np.zeros(n, np.int64)
    return Segments.build(
        capture=zeros, packet=target.astype(np.int64), time=target.astype(np.int64) * 1000, interface=zeros,
        src_hi=zeros.astype(np.uint64), src_lo=np.full(n, 0xFFFF0A000001, np.uint64),
        dst_hi=zeros.astype(np.uint64), dst_lo=np.uint64(0xFFFF0B000000) + target,
        sport=np.full(n, 40000), dport=np.full(n, 80), seq=target.astype(np.int64), ack=zeros, flags=np.full(n, SYN),
        ip_id=target % 65536, tsval=zeros, tunnel=zeros, at=zeros, captured=zeros, length=zeros,
    )  # fmt: skip


def test_a_scan_does_not_fill_memory() -> None:
    tracker = Tracker(TcpOptions(empty_connections=500))
    data = np.zeros(1, np.uint8)
    for start in range(0, 10_000, 1000):
        tracker.feed(scan(1000, start), data)
    assert len(tracker.arrays.conns) <= 1024
    assert len(tracker.arrays.keys) <= 4096
    assert len(tracker.arrays.table) <= 8192
    tracker.finish()
    counts = tracker.counts
    assert counts["connections"] == counts["connections_without_payload"] == 10_000
    assert counts["expired_early"] == 9499
    assert len(tracker.connections()) == 0


def test_held_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "STORE_BYTES", 4096)
    reading = Reading(TcpOptions(hold_bytes=20_000))
    reading.feed(numbered(handshake()))
    for n in range(60):
        reading.feed([say(bytes(500), 1000 * n + 1, 10 + n)])
        assert reading.tracker.arrays.state.max() < 2**62
    assert len(reading.tracker.store) <= tracker.RING_BYTES + (48 << 10)
    assert len(reading.client().data) > 10_000
    assert reading.tracker.counts["forced_gaps"] > 0


@pytest.mark.parametrize("order", ["backwards", "shuffled"])
def test_out_of_order_is_not_quadratic(order: str) -> None:
    n = 4000
    pieces = [say(b"ab", 2 * i, 10 + i).but(time=3 * MS + i) for i in range(n)]
    if order == "backwards":
        pieces.reverse()
    else:
        pieces = [pieces[i] for i in np.random.default_rng(1).permutation(n)]
    reading = Reading()
    reading.feed([*numbered(handshake()), *pieces])
    reading.finish()
    assert reading.client().pieces == [b"ab" * n]
    assert len(reading.tracker.arrays.nodes) < 4 * n + 10_000
