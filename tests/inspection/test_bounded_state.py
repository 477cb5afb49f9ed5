"""What is kept while reading stays bounded, and what a bound gave up is reported."""

from __future__ import annotations

import io

import pytest
from capture_files import pcap
from exchanges import exchange, table
from made_traffic import CLIENT, RAW, V1, Made, asked, frame, told

from inspector import limits
from inspector.http.parser import FAR, Parser
from inspector.inspection import inspect, refused
from inspector.inspection.assemble import Assembler
from inspector.mirror.pool import Rules, Settler
from inspector.mirror.tables import Exchanges

ACK = 16
GET, OK = asked("/", "a"), told(b"x")


def pipelined(n: int, answered: bool = True, port: int = 4000) -> list[bytes]:
    """n requests in one packet, and their responses in another."""
    frames = [frame(CLIENT, port, V1, 80, 999, 0, 2), frame(V1, 80, CLIENT, port, 4999, 1000, 18)]
    frames.append(frame(CLIENT, port, V1, 80, 1000, 5000, ACK, GET * n))
    if answered:
        frames.append(frame(V1, 80, CLIENT, port, 5000, 1000 + n * len(GET), ACK, OK * n))
    return frames


def read(frames: list[bytes]):
    return inspect(io.BytesIO(pcap(frames, RAW)))


def test_a_block_of_many_messages_gives_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pipelined(300) + pipelined(200, port=4001)
    at_once = read(frames)
    monkeypatch.setattr(Parser.portions, "__defaults__", (32, FAR))
    steps = []
    add = Assembler.add
    monkeypatch.setattr(
        Assembler, "add", lambda self, news: (steps.append(sum(map(len, news.messages))), add(self, news))[1]
    )
    in_parts = read(frames)
    assert list(in_parts.exchange_views()) == list(at_once.exchange_views())
    assert in_parts.captures == at_once.captures
    assert sum(steps) == 1000
    assert max(steps) < 300


def test_requests_that_wait_are_bounded_in_all() -> None:
    frames = [packet for port in range(4000, 4040) for packet in pipelined(20, False, port)]
    with limits.use({"waiting-requests-in-all": 64, "waiting-requests": 32}):
        found = read(frames)
    assert found.summary.exchanges == 800
    (said,) = [s for s in found.summary.unseen if "too many requests waited" in s]
    assert int(said.split()[0]) >= 800 - 64 - 40
    assert not [s for s in read(frames).summary.unseen if "too many requests waited" in s]


def test_exchanges_are_joined_though_too_many_requests_wait_elsewhere() -> None:
    frames = [packet for port in range(4000, 4040) for packet in pipelined(1, False, port)]
    for i in range(10):
        frames.append(frame(CLIENT, 3000, V1, 80, 1000 + i * len(GET), 5000 + i * len(OK), ACK, GET))
        frames.append(frame(V1, 80, CLIENT, 3000, 5000 + i * len(OK), 1000 + (i + 1) * len(GET), ACK, OK))
    with limits.use({"waiting-requests-in-all": 8}):
        found = read(frames)
    assert sum(e.status == 200 for e in found.exchange_views()) == 10


def copies(n: int, one_id: bool) -> Exchanges:
    pair = [exchange("10.0.0.5:2", "10.0.0.21:80", 0, 4, rid="0", host="a")] if one_id else []
    return table(
        pair
        + [
            exchange(
                f"10.0.0.5:{i + 9}", f"10.0.1.{i}:80", 1 + i / 100, 5, rid="0" if one_id else f"{i}", host="a-shadow"
            )
            for i in range(n)
        ]
    )


@pytest.mark.parametrize("one_id", [True, False])
def test_mirrors_leave_a_pool_that_is_too_large(one_id: bool) -> None:
    rows = copies(60, one_id)
    clock = int(rows.request_time.max()) + 1_000_000
    settler = Settler(Rules(), crowd=16)
    batch = settler.step(rows, Exchanges.empty(), clock, False)
    assert len(settler.pool) <= 16
    assert settler.hurried > 0
    last = settler.step(Exchanges.empty(), Exchanges.empty(), clock, True)
    assert len(batch.decided) + len(last.decided) == 60
    assert int(batch.gone.sum() + last.gone.sum()) == len(rows)


def test_tries_that_lead_nowhere_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "KEPT", 10)
    made = Made()
    for i in range(200):
        made.put(i, frame("10.0.3.1", 2000 + i, "10.0.3.9", 9, 100, 0, 2))
        made.put(i + 0.1, frame("10.0.3.9", 9, "10.0.3.1", 2000 + i, 0, 101, 20))
    made.exchange(300, CLIENT, V1, GET, OK)
    made.put(300.2, frame(CLIENT, 5000, "10.0.0.22", 80, 100, 0, 2))
    made.put(300.3, frame("10.0.0.22", 80, CLIENT, 5000, 0, 101, 20))
    unseen = " ".join(inspect(io.BytesIO(made.pcap())).summary.unseen)
    assert "1 connection of the proxy to 10.0.0.22:80 was refused" in unseen
    assert "connections that were tried were not followed up" in unseen
