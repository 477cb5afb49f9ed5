"""Any split gives the same messages; any loss gives some of them and no wrong one."""

from __future__ import annotations

import re

import pytest
from http_oracle import read_all
from http_wire import Exchange, play, run
from hypothesis import given, settings
from hypothesis import strategies as st

import inspector.kernels.kernel
from inspector.http.tables import Fact, Protocol
from inspector.tcp.tables import End

LOOKALIKES = [
    b"GET /wrong HTTP/1.1\r\nHost: wrong\r\n\r\n",
    b"HTTP/1.1 599 Wrong\r\nContent-Length: 0\r\n\r\n",
    b"POST /wrong HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd",
]
FAKE = re.compile(b"(?=" + b"|".join(map(re.escape, LOOKALIKES)) + b")")


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return b""
    if kind == 1:
        return draw(st.binary(max_size=90))
    parts = draw(st.lists(st.sampled_from([*LOOKALIKES, b"x" * 40, b"\r\n", b"0\r\n\r\n"]), min_size=1, max_size=4))
    return b"".join(parts)


@st.composite
def framed(draw: st.DrawFn, body: bytes) -> bytes:
    eol = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n"]))
    if draw(st.booleans()):
        return b"Content-Length: %d%s%s%s" % (len(body), eol, eol, body)
    out = [b"transfer-encoding: chunked", eol, eol]
    while body:
        size = draw(st.integers(1, max(1, len(body))))
        out += [b"%x" % size, draw(st.sampled_from([b"", b";a=b", b" ; c"])), eol, body[:size], eol]
        body = body[size:]
    out += [b"0", eol, draw(st.sampled_from([b"", b"x-sum: 1" + eol])), eol]
    return b"".join(out)


@st.composite
def exchange(draw: st.DrawFn, last: bool) -> Exchange:
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD", b"M-SEARCH"]))
    more = draw(st.sampled_from([b"", b"X-Folded: a\r\n b\r\n", b"x-request-id: 1-2\r\nx-forwarded-for: 1.2.3.4\r\n"]))
    request = b"%s /t%d HTTP/1.1\r\nHost: h\r\n%s" % (method, draw(st.integers(0, 9)), more)
    request += draw(framed(draw(contents()))) if method == b"POST" else b"\r\n"
    status = draw(st.sampled_from([200, 200, 200, 204, 304, 404]))
    response = draw(st.sampled_from([b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    response += b"HTTP/1.%d %d Why\r\nServer: envoy\r\n" % (draw(st.integers(0, 1)), status)
    if method == b"HEAD" or status in (204, 304):
        response += draw(st.sampled_from([b"\r\n", b"Content-Length: 80\r\n\r\n"]))
    elif last and draw(st.booleans()):
        response += b"\r\n" + draw(contents())
    else:
        response += draw(framed(draw(contents())))
    return Exchange(request, response)


@st.composite
def exchanges(draw: st.DrawFn) -> list[Exchange]:
    n = draw(st.integers(1, 5))
    return [draw(exchange(i == n - 1)) for i in range(n)]


@st.composite
def cutter(draw: st.DrawFn):
    """How data are cut into packets: by size, or where something that looks like a start line begins."""
    sizes = draw(st.lists(st.integers(1, 60), min_size=1, max_size=5))
    at_lookalikes = draw(st.booleans())

    def cut(data: bytes) -> list[bytes]:
        if at_lookalikes:
            return [piece for piece in FAKE.split(data) if piece]
        out, i, k = [], 0, 0
        while i < len(data):
            out.append(data[i : i + sizes[k % len(sizes)]])
            i += sizes[k % len(sizes)]
            k += 1
        return out

    return cut


KEYS = ("kind", "start", "head_end", "end", "status", "method", "target", "request", "body_bytes", "body_hash")


def brief(message: dict) -> dict:
    return {k: message[k] for k in KEYS}


def truth(played: list[Exchange]) -> list[dict]:
    return read_all(b"".join(e.request for e in played), b"".join(e.response for e in played))


@settings(max_examples=120, deadline=None)
@given(exchanges(), cutter(), st.integers(1, 5), st.data())
def test_any_split_gives_the_same_messages(played, cut, burst, data):
    packets = play(played, cut, burst)
    blocks = data.draw(st.sets(st.integers(0, len(packets) - 1)))
    one = run(packets)
    several = run(packets, sorted(blocks))
    assert [brief(m) for m in one.result()] == truth(played)
    assert all(m["facts"] & Fact.COMPLETE for m in one.result())
    for a, b in zip(one.result(), several.result(), strict=True):
        assert {**a, "id": 0} == {**b, "id": 0}
    assert one.unanswered == several.unanswered == []
    assert [k[1] for k in several.kinds()] == [Protocol.HTTP1] * 2


@settings(max_examples=300, deadline=None)
@given(exchanges(), cutter(), st.booleans(), st.data())
def test_any_loss_gives_a_subset_and_no_wrong_one(played, cut, all_blocks, data):
    packets = play(played, cut)
    lost = frozenset(data.draw(st.sets(st.integers(0, len(packets) - 1), max_size=max(1, len(packets) // 2))))
    found = run(packets, range(len(packets)) if all_blocks else (), lost)
    true = {(m["kind"], m["start"]): m for m in truth(played)}
    ids = {m["id"] for m in found.result() if m["kind"] == 1}
    for m in found.result():
        whole = true[m["kind"], m["start"]]  # no message begins where none does
        assert m["status"] == whole["status"]
        assert m["method"] == whole["method"]
        assert m["target"] == whole["target"]
        if m["request"] != -1:
            assert m["request"] == whole["request"]
        if m["facts"] & Fact.HEAD_COMPLETE:
            assert m["head_end"] == whole["head_end"]
        if m["facts"] & Fact.COMPLETE:
            assert m["end"] == whole["end"]
            assert m["body_bytes"] + m["gap_bytes"] >= whole["body_bytes"]
            if not m["facts"] & Fact.BODY_GAP:
                assert (m["body_bytes"], m["body_hash"]) == (whole["body_bytes"], whole["body_hash"])
        else:
            assert m["end"] <= whole["end"]
    answered = {m["request"] for m in found.result() if m["kind"] == 2 and m["request"] >= 0}
    silent = {m["start"] for m in found.result() if m["id"] in set(found.unanswered)}
    assert set(found.unanswered) <= ids
    assert answered | silent == {m["start"] for m in found.result() if m["kind"] == 1}
    assert not answered & silent


@settings(max_examples=60, deadline=None)
@given(exchanges(), st.data())
def test_a_lost_packet_costs_no_message_but_its_own(played, data):
    """Packets as servers send them: one a message, and the next request after the response."""
    lost = data.draw(st.integers(0, 2 * len(played) - 1))
    found = {(m["kind"], m["start"]) for m in run(play(played, lambda d: [d]), lost=frozenset([lost])).result()}
    true = [(m["kind"], m["start"]) for m in truth(played)]
    own = true[lost // 2] if lost % 2 == 0 else true[len(played) + lost // 2]
    assert found == set(true) - {own}


@settings(max_examples=60, deadline=None)
@given(exchanges(), cutter(), st.integers(20, 120))
def test_snap_length_costs_bodies_but_no_start_line(played, cut, snap):
    packets = [
        type(p)(p.time, p.side, p.offset, p.data, p.peer, min(snap, len(p.data))) for p in play(played, lambda d: [d])
    ]
    found = run(packets).result()
    true = {(m["kind"], m["start"]): m for m in truth(played)}
    for m in found:
        whole = true[m["kind"], m["start"]]
        assert (m["status"], m["target"]) == (whole["status"], whole["target"])
        assert m["request"] in (whole["request"], -1)
        if m["end"] < whole["end"] or m["gap_bytes"]:
            assert m["facts"] & Fact.CUT
    if snap >= 60 and not any(b"100 Continue" in e.response for e in played):
        assert len(found) == len(true)
        assert all(m["request"] == true[m["kind"], m["start"]]["request"] for m in found)


@settings(max_examples=60, deadline=None)
@given(exchanges(), cutter(), st.data())
def test_a_capture_that_starts_late_gives_a_subset(played, cut, data):
    packets = play(played, cut)
    first = data.draw(st.integers(0, len(packets) - 1))
    late = packets[first:]
    true = {(m["kind"], m["start"]): m for m in truth(played)}
    found = run(late, synced=False).result()
    # What a stream begins with is taken at its word, and said to be MIDSTREAM: "ET / HTTP/1.1" may be the end of something.
    if any(m["kind"] - 1 != m["slot"] for m in found):
        return
    if any(m["facts"] & Fact.MIDSTREAM and (m["kind"], m["start"]) not in true for m in found):
        return
    if len({p.side for p in late}) == 1:  # nobody can confirm what follows, and that is said
        return
    assert not any(m["facts"] & Fact.UNCONFIRMED for m in found)
    for m in found:
        assert (m["kind"], m["start"]) in true
        assert m["request"] in (-1, true[m["kind"], m["start"]]["request"])
        assert m["status"] == true[m["kind"], m["start"]]["status"]


@pytest.mark.parametrize("mode", ["plain", "compiled"])
def test_end_of_capture_keeps_partial_messages(mode):
    inspector.kernels.kernel.use(mode)
    try:
        request = b"POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"
        found = run(play([Exchange(request, b"")], lambda d: [d]), how=End.CAPTURE)
        (m,) = found.result()
        assert m["facts"] == Fact.HEAD_COMPLETE
        assert (m["body_bytes"], m["end"]) == (3, len(request))
        assert found.unanswered == [m["id"]]
    finally:
        inspector.kernels.kernel.use("plain")
