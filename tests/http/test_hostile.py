"""Nothing that a stream may hold crashes the parser, and both speeds of the kernels give the same tables."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import xxhash
from http_wire import Feeder, Packet
from hypothesis import given, settings
from hypothesis import strategies as st

import inspector.kernels.kernel
from inspector.http import xxh64
from inspector.http.names import begins_with, build, find_name
from inspector.http.parser import Options, Parser
from inspector.http.tables import Messages
from inspector.ragged import Ragged
from inspector.tcp.tables import UNKNOWN, End, Gap

WORDS = [
    b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 101 S\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n", b"HEAD /h HTTP/1.0\r\n", b"Content-Length: 5\r\n",
    b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: x\r\n", b"\r\n",
    b"\n", b"\r", b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b" folded\r\n", b":", b"X",
    b"x-forwarded-for: 1\r\n", b"b3: 1-2-3-4\r\n", b"traceparent: 00--\r\n", b"PRI * HTTP/2.0",
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x00", b"\xff\xff\xff", b"connection: close,,\r\n",
]  # fmt: skip


@st.composite
def traffic(draw: st.DrawFn) -> list[tuple]:
    """Packets with gaps, ends and blocks between them."""
    steps = []
    offsets = [0, 0]
    for time in range(draw(st.integers(1, 14))):
        side = draw(st.integers(0, 1))
        data = b"".join(draw(st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=12)), max_size=6)))
        gap = draw(st.sampled_from([0, 0, 0, 3, 5, 700]))
        peer = draw(st.sampled_from([UNKNOWN, offsets[side ^ 1], 0, 5]))
        steps.append(("packet", Packet(time, side, offsets[side] + gap, data, peer)))
        offsets[side] += gap + len(data)
        if draw(st.booleans()):
            steps.append(("block", None))
    return steps


def tables(steps: list[tuple], synced: bool, how: End, options: Options | None = None) -> tuple:
    feeder = Feeder(Parser(options), synced=synced)
    for what, packet in steps:
        if what == "packet":
            feeder.add(packet)
        else:
            feeder.feed()
    feeder.end(1, how)
    feeder.feed()
    feeder.end(0, how)
    feeder.feed()
    messages = Messages.concat(feeder.messages)
    assert feeder.kept_bytes <= 2 * 65536
    return messages, feeder.kinds(), feeder.unanswered


def same(a: Messages, b: Messages) -> None:
    for column in fields(Messages):
        x, y = getattr(a, column.name), getattr(b, column.name)
        if isinstance(x, Ragged):
            assert [x.bytes(i) for i in range(len(x))] == [y.bytes(i) for i in range(len(y))]
        else:
            assert np.array_equal(x, y), column.name


@settings(max_examples=150, deadline=None)
@given(traffic(), st.booleans(), st.sampled_from(list(End)))
def test_both_speeds_give_the_same_tables(steps, synced, how):
    plain = tables(steps, synced, how)
    inspector.kernels.kernel.use("compiled")
    try:
        compiled = tables(steps, synced, how)
    finally:
        inspector.kernels.kernel.use("plain")
    same(plain[0], compiled[0])
    assert plain[1:] == compiled[1:]
    m = plain[0]
    assert (m.start <= m.head_end).all()
    assert (m.head_end <= m.end).all()
    assert (m.request < m.id).all()
    assert len(set(m.id.tolist())) == len(m)
    requests = set(m.id[m.kind == 1].tolist())
    answered = m.request[m.request >= 0].tolist()
    assert set(answered) <= requests
    assert len(answered) == len(set(answered))
    assert sorted([*answered, *plain[2]]) == sorted(requests)  # each is answered or given up, once


@settings(max_examples=60, deadline=None)
@given(traffic(), st.sampled_from(list(End)))
def test_small_limits_hold(steps, how):
    options = Options(
        head_limit=40, header_lines=2, field_limit=3, target_limit=2, pending=2, wait_limit=20, chunk_line_limit=4
    )
    messages = tables(steps, True, how, options)[0]
    assert (messages.text.lengths <= 64 + 2 + 4 * 3).all()


@pytest.mark.parametrize("mode", ["plain", "compiled"])
def test_xxh64(mode):
    data = np.random.default_rng(1).integers(0, 256, 2003, dtype=np.uint8)
    cell = np.zeros(1, np.uint64)
    inspector.kernels.kernel.use(mode)
    try:
        for at in (0, 3, 1003):
            for n in [*range(100), 1000]:
                expect = xxhash.xxh64_intdigest(data[at : at + n].tobytes())
                assert int(xxh64.xxh64(data, at, n, cell)) == expect
        lanes, tails = np.zeros((3, 4), np.uint64), np.zeros(3 * xxh64.TAIL, np.uint8)
        for sizes in ([0], [31, 1], [5, 40, 0, 90], [32, 32, 7], [1] * 70, [100, 28, 4]):
            xxh64.start_sum(lanes, 1)
            total = 0
            for n in sizes:
                xxh64.add_sum(lanes, tails, 1, total, data, total, n)
                total += n
            found = xxh64.end_sum(lanes, tails, 1, total, cell)
            assert int(found) == xxhash.xxh64_intdigest(data[:total].tobytes())
    finally:
        inspector.kernels.kernel.use("plain")


def test_names_are_found_and_others_are_not():
    names, table = build()
    line = np.zeros(64, np.uint8)

    def find(name: bytes) -> tuple[int, int]:
        line[: len(name)] = np.frombuffer(name, np.uint8)
        return find_name(line, len(name), names, table)

    assert find(b"host") == (1, 1)
    assert find(b"content-type")[1] == 0
    assert find(b"grpc-timeout") == find(b"x-datadog-any") == find(b"proxy-authorization") == (0, 1)
    assert find(b"hosu") == find(b"x-envoy") == find(b"h") == find(b"accept") == (0, 0)
    assert not begins_with(line, 3, names, 0, 4)


def test_a_silent_direction_delays_responses_by_a_bounded_amount():
    feeder = Feeder()
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    feeder.add(Packet(0, 1, 0, body, 500))
    feeder.feed()
    for i in range(40):
        feeder.add(Packet(i, 1, len(body) + 1000 * i, b"x" * 1000, 500))
        feeder.feed()
    assert feeder.kept_bytes <= 18000
    feeder.miss(1, len(body) + 100000, Gap.LOST)
    feeder.end(1, End.FIN)
    feeder.feed()
    (m,) = feeder.result()
    assert (m["request"], m["body_bytes"], m["gap_bytes"]) == (-1, 40000, 60000)


def test_many_connections_leave_nothing_behind():
    parser = Parser()
    for number in range(0, 400, 2):
        feeder = Feeder(parser, slot=number % 8, number=number)
        feeder.add(Packet(0, 0, 0, b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\nPOST " % number))
        feeder.feed()
        feeder.end(0, End.RST)
        feeder.end(1, End.RST)
        feeder.feed()
        assert len(feeder.unanswered) == 1
    assert len(parser._state) <= 16
    assert parser._rows.shape[1] <= 256
    assert parser._counters[[0, 1, 2, 3]].sum() == 0
    assert len(parser._pool) <= 64
