"""Bytes that come when their receiver has reset the connection are read, marked, and reached nobody."""

from __future__ import annotations

import io

import pytest
from made_traffic import ACK, CLIENT, FIN, PROXY, SYN, V1, V2, Made, asked, frame, told

import inspector
from inspector.views.objects import MirrorView

RST = 4
LINE = b"x-request-id: 1\r\n"
SHADOW = asked("/a", "catalog-shadow", LINE)
THERE, BACK = (PROXY, 7777, V2, 80), (V2, 80, PROXY, 7777)


def judged(body: bytes, *packets: tuple[float, bytes], original: bytes = b"v1", given: bytes = b"v1") -> MirrorView:
    made = Made()
    made.exchange(0, CLIENT, PROXY, asked("/a", "catalog", LINE), told(given), 30)
    made.exchange(0.2, PROXY, V1, asked("/a", "catalog", LINE), told(original), 1)
    made.exchange(0.3, PROXY, V2, SHADOW, None, port=7777)
    for ms, packet in packets:
        made.put(ms, packet)
    (mirror,) = inspector.inspect(io.BytesIO(made.pcap())).mirror_views()
    return mirror


AT = 1000 + len(SHADOW)


def answer(ms: float, body: bytes = b"v2") -> tuple[float, bytes]:
    return ms, frame(*BACK, 5000, AT, ACK, told(body))


@pytest.mark.parametrize("body", [b"v2", b"v1"])
def test_a_response_behind_the_reset_of_its_receiver(body: bytes) -> None:
    m = judged(body, (5, frame(*THERE, AT, 5000, RST | ACK)), answer(6, body), given=b"v2")
    assert (m.verdict, m.proof, m.delivered, m.arrived, m.acknowledged) == (
        "discarded",
        ["time"],
        "unknown",
        "complete",
        False,
    )
    (gap,) = m.mirror.gaps
    assert (gap.side, gap.bytes, gap.reason) == ("response", len(told(body)), "reset")
    assert any(f"refused {len(told(body))} bytes of it with a RST" in e.says for e in m.evidence)


def test_a_response_that_is_answered_with_a_reset() -> None:
    closed = (5, frame(*THERE, AT, 5000, FIN | ACK)), answer(6), (6.1, frame(*THERE, AT + 1, 0, RST))
    assert judged(b"v2", *closed).mirror.gaps[0].reason == "reset"


def test_what_was_taken_before_the_reset() -> None:
    taken = answer(5), (6, frame(*THERE, AT, 5000 + len(told(b"v2")), RST | ACK))
    assert judged(b"v2", *taken, given=b"v2").verdict == "leaked"
    unknown = answer(5), (6, frame(*THERE, AT, 0, RST))  # without a number nobody knows what its sender had taken
    assert judged(b"v2", *unknown, given=b"v2").mirror.gaps == []


def test_a_reset_that_had_no_effect() -> None:
    body = told(b"v2")
    challenged = (5, frame(*THERE, AT, 5000, RST | ACK)), answer(6), (7, frame(*THERE, AT, 5000 + len(body), ACK))
    m = judged(b"v2", *challenged, given=b"v2")
    assert (m.verdict, m.acknowledged, m.mirror.gaps) == ("leaked", True, [])


@pytest.mark.parametrize("others", [10, 1200])
def test_a_connection_that_goes_on_after_its_reset(others: int) -> None:
    made = Made()
    made.exchange(0, CLIENT, V1, asked("/1", "a"), told(b"one"), port=7000)
    there, back = (CLIENT, 7000, V1, 80), (V1, 80, CLIENT, 7000)
    at, said = 1000 + len(asked("/1", "a")), 5000 + len(told(b"one"))
    made.put(2, frame(*back, said, 0, RST))
    for n in range(others):
        made.put(3 + n * 2, frame(PROXY, 9, V2, 9, 100 + n, 100, ACK))
    late = 10 + others * 2
    made.put(late, frame(*there, at, said, ACK, asked("/2", "a")))
    made.put(late + 1, frame(*back, said, at + len(asked("/2", "a")), ACK, told(b"two")))
    made.put(late + 2, frame(*there, at + len(asked("/2", "a")), said + len(told(b"two")), ACK))
    made.put(late + 9, frame(*there, 70_000, 0, SYN))
    made.put(late + 9.1, frame(*back, 90_000, 70_001, SYN | ACK))
    made.put(late + 9.2, frame(*there, 70_001, 90_001, ACK, asked("/3", "a")))
    made.put(late + 9.3, frame(*back, 90_001, 70_001 + len(asked("/3", "a")), ACK, told(b"three")))
    found = inspector.inspect(io.BytesIO(made.pcap()))
    assert [(x.path, x.status) for x in found.exchange_views()] == [("/1", 200), ("/2", 200), ("/3", 200)]
