"""After a gap a message begins only where packets of the other side show it, wherever blocks end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from http_wire import dicts
from hypothesis import given, settings
from hypothesis import strategies as st
from tcp_traffic import ACK, FIN, MS, PSH, Packet, handshake, segments

import inspector.kernels.kernel
from inspector.http.parser import Parser
from inspector.http.tables import Fact, Messages
from inspector.tcp import Tracker

C, S = "10.0.0.1:40000", "10.0.0.2:80"
ISN = {C: 1001, S: 5001}
FAKE = b"GET /wrong HTTP/1.1\r\nHost: wrong\r\n\r\n"
FAKE_ANSWER = b"HTTP/1.1 599 Wrong\r\nContent-Length: 0\r\n\r\n"
LONG = b"X-Long: " + b"x" * 90 + b"\r\n"


def get(n: int, more: bytes = b"") -> list[bytes]:
    return [b"GET /%d HTTP/1.1\r\nHost: a\r\n%s\r\n" % (n, more)]


def post(n: int, *body: bytes) -> list[bytes]:
    """A head and packets of its body."""
    size = sum(map(len, body))
    return [b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (n, size), *body]


def ok(*body: bytes, head: bytes = b"HTTP/1.1 200 OK\r\n") -> list[bytes]:
    return [head + b"Content-Length: %d\r\n\r\n" % sum(map(len, body)), *body]


class Talk:
    """Packets of a connection, one after another; `starts` are the offsets where messages begin."""

    def __init__(self) -> None:
        self.packets = handshake(C, S, ISN[C] - 1, ISN[S] - 1)
        self.at = {C: 0, S: 0}
        self.starts: set[tuple[int, int]] = set()

    def send(self, src: str, data: bytes, flags: int = ACK | PSH) -> None:
        dst = S if src == C else C
        self.packets.append(Packet(src, dst, ISN[src] + self.at[src], flags, data, ISN[dst] + self.at[dst]))
        self.at[src] += len(data)

    def message(self, src: str, pieces: list[bytes], acked: Callable[[], bool]) -> None:
        self.starts.add((1 if src == C else 2, self.at[src]))
        for piece in pieces:
            self.send(src, piece)
            if acked():
                self.send(S if src == C else C, b"", ACK)

    def done(self) -> list[Packet]:
        self.send(C, b"", ACK | FIN)
        self.at[C] += 1
        self.send(S, b"", ACK | FIN)
        return [p.but(time=(n + 1) * MS, number=n + 1, ip_id=n + 1) for n, p in enumerate(self.packets)]


def read(packets: list[Packet], cuts: frozenset[int] = frozenset()) -> list[dict]:
    """The messages; a block ends after each packet named in `cuts`."""
    tracker, parser, out = Tracker(), Parser(), []

    def take(block) -> None:
        found = parser.feed(block, tracker.synced)
        out.append(found.messages)
        tracker.forget(found.open_slots, found.open_starts)
        tracker.release(found.consumed_slots, found.consumed)

    portion: list[Packet] = []
    for n, p in enumerate(packets):
        portion.append(p)
        if n in cuts:
            take(tracker.feed(*segments(portion)))
            portion = []
    if portion:
        take(tracker.feed(*segments(portion)))
    take(tracker.finish())
    return sorted(dicts(Messages.concat(out)), key=lambda m: (m["kind"], m["start"]))


def same(a: list[dict], b: list[dict]) -> None:
    assert [{**m, "id": 0} for m in a] == [{**m, "id": 0} for m in b]


@st.composite
def talks(draw: st.DrawFn) -> Talk:
    """Requests whose bodies begin packets with what looks like a request, responses likewise; acknowledged at any packet."""
    talk = Talk()
    body = st.lists(st.sampled_from([FAKE, b"x" * 30, FAKE_ANSWER]), max_size=3)
    for n in range(draw(st.integers(1, 6))):
        asked = draw(st.one_of(st.just(get(n)), st.just(get(n, LONG)), body.map(lambda b, n=n: post(n, *b))))
        talk.message(C, asked, lambda: draw(st.booleans()))
        talk.message(S, ok(*draw(body)), lambda: draw(st.booleans()))
    return talk


@settings(max_examples=250, deadline=None)
@given(talks(), st.data())
def test_any_loss_in_any_blocks(talk, data):
    """The same messages wherever blocks end, and none where none begins: whichever packets are lost, burst or not."""
    packets = talk.done()
    first = data.draw(st.integers(3, len(packets) - 1), label="burst from")
    burst = set(range(first, first + data.draw(st.integers(1, 8), label="packets")))
    lost = burst | data.draw(st.sets(st.integers(3, len(packets) - 1), max_size=4), label="others lost")
    left = [p for n, p in enumerate(packets) if n not in lost]
    found = read(left)
    assert {(m["kind"], m["start"]) for m in found} <= talk.starts
    assert not any(m["facts"] & Fact.UNCONFIRMED for m in found)
    cuts = data.draw(st.sets(st.integers(0, len(left) - 1)), label="cuts")
    same(found, read(left, frozenset(cuts)))
    same(found, read(left, frozenset(range(len(left)))))


def without(talk: Talk, *lost: int) -> list[Packet]:
    return [p for n, p in enumerate(talk.done()) if n not in lost]


def test_a_pure_acknowledgement_confirms():
    """The response is lost; that its server had the request before it, no more and no less, shows in a packet without payload."""
    talk = Talk()
    talk.message(C, get(1, LONG), lambda: False)
    talk.message(S, ok(), lambda: False)
    talk.message(C, get(2, LONG), lambda: True)
    talk.message(S, ok(), lambda: False)
    talk.message(C, get(3), lambda: False)
    talk.message(S, ok(), lambda: False)
    _handshake, _get, _ok, second, pure, answer = range(2, 8)
    found = {m["target"] for m in read(without(talk, second, answer)) if m["kind"] == 1}
    assert found == {b"/1", b"/3"}
    assert b"/3" not in {m["target"] for m in read(without(talk, second, pure, answer))}


def test_a_burst_shorter_than_a_head_with_a_body():
    """Nothing but one request fits into what is lost: what follows begins another."""
    talk = Talk()
    for n in range(4):
        talk.message(C, get(n), lambda: False)
        talk.message(S, ok(), lambda: False)
    found = read(without(talk, 5, 6))
    asked = [m["target"] for m in found if m["kind"] == 1]
    assert asked == [b"/0", b"/2", b"/3"]
    starts = {m["start"]: m["target"] for m in found if m["kind"] == 1}
    assert [starts[m["request"]] for m in found if m["kind"] == 2] == asked


def test_a_body_whose_head_was_lost_is_no_request():
    """Its response begins at its acknowledgement and acknowledges its end: as that of a request would."""
    talk = Talk()
    talk.message(C, get(0), lambda: False)
    talk.message(S, ok(), lambda: True)
    talk.message(C, post(1, FAKE), lambda: True)
    talk.message(S, ok(), lambda: True)
    for more in ((), (7,), (7, 9)):
        assert b"/wrong" not in {m["target"] for m in read(without(talk, 6, *more))}


@pytest.mark.parametrize("mode", ["plain", "compiled"])
@pytest.mark.parametrize("side", [C, S])
def test_one_direction_alone(side, mode):
    """Nobody can confirm: what looks like a start counts, marked. One packet of the other direction, and it does not."""
    talk = Talk()
    for n in range(4):
        talk.message(C, get(n, LONG), lambda: False)
        talk.message(S, ok(b"body"), lambda: True)
    packets = [p for p in talk.done() if p.src == side]
    second = [n for n, p in enumerate(packets) if p.payload.startswith((b"GET", b"HTTP"))][1]
    del packets[second]
    inspector.kernels.kernel.use(mode)
    try:
        found = read(packets)
        same(found, read(packets, frozenset(range(len(packets)))))
    finally:
        inspector.kernels.kernel.use("plain")
    marked = [bool(m["facts"] & Fact.UNCONFIRMED) for m in found]
    assert any(marked)
    assert {(m["kind"], m["start"]) for m in found} <= talk.starts
    other = next(p for p in reversed(talk.done()) if p.src != side)
    heard = read([*packets, other])
    assert not any(m["facts"] & Fact.UNCONFIRMED for m in heard)
    same(heard, read([*packets, other], frozenset(range(len(packets)))))


def test_a_long_stream_alone_does_not_wait_for_its_end():
    talk = Talk()
    talk.message(C, get(0), lambda: False)
    talk.message(C, get(1), lambda: False)
    for n in range(200):
        talk.message(C, get(n + 2, b"X: " + b"y" * 1000 + b"\r\n"), lambda: False)
    packets = [p for p in talk.done()[:-2] if p.src == C]
    packets[3] = packets[3].but(captured=10)
    tracker, parser = Tracker(), Parser()
    read_ = parser.feed(tracker.feed(*segments(packets)), tracker.synced)
    facts = read_.messages.facts & np.uint32(Fact.UNCONFIRMED)
    assert len(read_.messages) > 100
    assert int((facts != 0).sum()) == parser.alone == 1


def test_the_rest_of_a_method_is_not_a_method() -> None:
    talk = Talk()
    talk.message(C, get(1), lambda: False)
    talk.message(S, ok(), lambda: True)
    first, rest = (len(talk.packets), get(2)[0])
    talk.send(C, rest[:1])
    talk.send(C, rest[1:])
    talk.message(S, ok(), lambda: True)
    packets = talk.done()
    found = read([*packets[:first], *packets[first + 1 :]])
    assert [m["start"] for m in found if m["kind"] == 1] == [0]
