"""Why a request was not read does not depend on the blocks in which the capture was read."""

from __future__ import annotations

import io
import random
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_traffic import ACK, CLIENT, SYN, V1, Made, asked, frame, told

import inspector
from inspector.views.objects import ExchangeView

ROOT = Path(__file__).parents[2]
Found = list[tuple[int, tuple[str, int | None] | None]]


def unread(data: bytes, block_bytes: int) -> Found:
    return lone(views(data, block_bytes))


def views(data: bytes, block_bytes: int) -> list[ExchangeView]:
    return list(inspector.inspect(io.BytesIO(data), block_bytes=block_bytes).exchange_views())


def lone(exchanges: list[ExchangeView]) -> Found:
    return [(x.response_packets[0], x.unread) for x in exchanges if x.method is None]


def thinned(data: bytes, seed: int, share: float) -> bytes:
    """A classic capture without some of its packets."""
    rng, out, at = random.Random(seed), [data[:24]], 24
    while at + 16 <= len(data):
        size = 16 + int.from_bytes(data[at + 8 : at + 12], "little")
        if rng.random() >= share:
            out.append(data[at : at + size])
        at += size
    return b"".join(out)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(["snap96-client", "items-client", "retry-client"]),
    st.integers(0, 2**32),
    st.sampled_from([0, 0.05, 0.3]),
    st.integers(512, 40_000),
)
def test_block_sizes_make_no_difference(name: str, seed: int, share: float, block_bytes: int) -> None:
    """Where the exchanges are the same: what confirms a message behind a gap may hang on blocks."""
    data = thinned((ROOT / f"captures/{name}.pcap").read_bytes(), seed, share)
    small, whole = (views(data, size) for size in (block_bytes, 64 << 20))
    assume(
        [(x.request_packets, x.response_packets) for x in small]
        == [(x.request_packets, x.response_packets) for x in whole]
    )
    assert lone(small) == lone(whole)


def lost_starts(n: int) -> Made:
    """n requests on one connection, of each only the second half was captured; then its response."""
    made, seq, ack = Made(), 1000, 5000
    made.put(0, frame(CLIENT, 4000, V1, 80, 999, 0, SYN))
    made.put(0.1, frame(V1, 80, CLIENT, 4000, 4999, 1000, SYN | ACK))
    for k in range(n):
        ask, say = asked("/" + "a" * 400, "h"), told(b"ok")
        half = len(ask) // 2
        made.put(k + 0.3, frame(CLIENT, 4000, V1, 80, seq + half, ack, ACK, ask[half:]))
        seq += len(ask)
        made.put(k + 0.5, frame(V1, 80, CLIENT, 4000, ack, seq, ACK, say))
        ack += len(say)
    return made


def test_each_response_names_the_packet_of_its_own_request() -> None:
    data = lost_starts(6).pcap()
    want = [(4 + 2 * k, ("lost", 3 + 2 * k)) for k in range(6)]
    for block_bytes in (512, 900, 1 << 20):
        assert unread(data, block_bytes) == want
