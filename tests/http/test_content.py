"""Messages read again from their bytes, against dull readers: heads, chunked framing, holes and limits."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.http.content import (
    CapturedMessage,
    Extent,
    Fields,
    declared,
    fields,
    joined,
    part,
    read_head,
    unchunk,
    within,
)
from inspector.http.tables import Fact

WHOLE = int(Fact.COMPLETE | Fact.HEAD_COMPLETE)
CHUNKED = WHOLE | int(Fact.CHUNKED)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Two: a\r\nx-two:  b \r\n\r\n"


def whole(body: bytes, facts: int = WHOLE, head: bytes = HEAD, **changes: int) -> tuple[Extent, bytes]:
    raw = head + body
    values = {"body_bytes": len(body), "gap_bytes": 0, **changes}
    return Extent(0, len(head), len(raw), facts, values["body_bytes"], values["gap_bytes"]), raw


def test_a_whole_message() -> None:
    extent, raw = whole(b"hello")
    p = part(extent, [(0, raw[:30]), (30, raw[30:])])
    assert p == CapturedMessage(
        b"HTTP/1.1 200 OK", ((b"Content-Type", b"text/plain"), (b"X-Two", b"a"), (b"x-two", b"b")), b"hello"
    )
    assert p.whole
    assert not p.cut
    assert p.text(b"x-two") == "a, b"


def test_what_is_missing_has_a_place() -> None:
    extent, raw = whole(b"0123456789", WHOLE | int(Fact.BODY_GAP), body_bytes=6, gap_bytes=4)
    body = len(HEAD)
    p = part(extent, [(0, raw[: body + 3]), (body + 7, raw[body + 7 :])])
    assert (p.body, p.holes, p.missing) == (b"012789", ((3, 4),), 4)
    assert not p.complete
    assert not p.whole


def test_a_body_that_broke_off_misses_what_its_length_says() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
    extent, raw = whole(b"0123456789", int(Fact.HEAD_COMPLETE), head)
    p = part(extent, [(0, raw)])
    assert (p.body, p.holes, p.missing, p.complete) == (b"0123456789", ((10, 90),), 90, False)


def test_head_and_204_have_a_length_and_no_body() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
    p = part(*pieced(*whole(b"", WHOLE | int(Fact.NO_BODY), head)))
    assert p.whole
    assert p.missing == 0


def pieced(extent: Extent, raw: bytes) -> tuple[Extent, list[tuple[int, bytes]]]:
    return extent, [(0, raw)]


def test_what_the_limit_cuts_is_counted() -> None:
    extent, raw = whole(b"x" * 1000)
    p = part(extent, [(0, raw)], len(HEAD) + 10)
    assert (p.body, p.dropped, p.holes, p.complete) == (b"x" * 10, 990, (), True)
    assert p.cut
    assert not p.whole
    p = part(extent, [(0, raw)], 20)  # inside the head
    assert (p.body, p.dropped, p.head_complete) == (b"", 1000, False)
    assert p.headers == ()


def test_trailers() -> None:
    extent, raw = whole(b"3\r\nabc\r\n0;x=y\r\nGrpc-Status: 0\r\n\r\n", CHUNKED, body_bytes=3)
    p = part(extent, [(0, raw)])
    assert (p.body, p.trailers) == (b"abc", ((b"Grpc-Status", b"0"),))


@pytest.mark.parametrize(
    ("raw", "complete", "want"),
    [
        (b"GET / HTTP/1.1\nA: b\nC: d\n\n", True, (b"GET / HTTP/1.1", ((b"A", b"b"), (b"C", b"d")))),
        (b"GET / HTTP/1.1\r\nA: b\r\n  c\r\n\td \r\n\r\n", True, (b"GET / HTTP/1.1", ((b"A", b"b c d"),))),
        (b"GET / HTTP/1.1\r\nA: b\r\nCooki", False, (b"GET / HTTP/1.1", ((b"A", b"b"),))),
        (b"GET / HT", False, (b"", ())),
        (b"", True, (b"", ())),
        (b"x\r\nno colon\r\n: v\r\nA : b\r\n\r\n", True, (b"x", ((b"", b"no colon"), (b"", b"v"), (b"A", b"b")))),
        (b"x\r\n folded first\r\nA: b\r\n\r\n", True, (b"x", ((b"", b"folded first"), (b"A", b"b")))),
        (b"x\r\nA:\xff\x00\x1b[2J\r\n\r\n", True, (b"x", ((b"A", b"\xff\x00\x1b[2J"),))),
    ],
)
def test_heads(raw: bytes, complete: bool, want: tuple[bytes, Fields]) -> None:
    assert read_head(raw, complete) == want


def test_hostile_heads_are_read_in_time() -> None:
    for line in (b" " * 60_000, b"\t\r" * 30_000, b"a:" + b" " * 60_000, b"\r\n " * 20_000, b":" * 60_000):
        fields(line + b"\r\n" + line, True)


def test_declared() -> None:
    assert declared(((b"Content-Length", b"12"),)) == 12
    assert declared(((b"content-length", b"9" * 5000),)) == 10**18 - 1
    assert declared(((b"content-length", b"-1"), (b"a", b"3"))) == 0


names = st.text("abcXYZ-", min_size=1, max_size=8).map(str.encode)
texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10).map(str.encode)


@given(st.lists(st.tuples(names, texts), max_size=6))
def test_heads_as_the_standard_library_reads_them(pairs: list[tuple[bytes, bytes]]) -> None:
    raw = b"".join(name + b": " + value + b"\r\n" for name, value in pairs) + b"\r\n"
    message = http.client.parse_headers(io.BytesIO(raw))
    assert [(k.decode(), v.decode()) for k, v in fields(raw, True)] == [(k, v.strip()) for k, v in message.items()]


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, list[int | None]]:
    """A chunked body, and for each of its bytes the place in the content, None for framing."""
    raw, places, at = b"", [], 0
    for data in [*draw(st.lists(st.binary(min_size=1, max_size=20), max_size=5)), b""]:
        line = f"{len(data):x}".encode() + draw(st.sampled_from([b"", b";ext=1", b" "])) + draw(ends)
        raw, places = raw + line, places + [None] * len(line)
        raw, places = raw + data, [*places, *range(at, at + len(data))]
        at += len(data)
        if data:
            end = draw(ends)
            raw, places = raw + end, places + [None] * len(end)
    return raw + b"\r\n", [*places, None, None]


ends = st.sampled_from([b"\r\n", b"\n"])


@given(chunked(), st.data())
def test_unchunk_steps_over_holes_inside_a_chunk_only(
    case: tuple[bytes, list[int | None]], data: st.DataObject
) -> None:
    raw, places = case
    lost = data.draw(st.sets(st.integers(0, len(raw) - 1), max_size=4)) if data.draw(st.booleans()) else set()
    pieces = [(i, raw[i : i + 1]) for i in range(len(raw)) if i not in lost]
    framing = [i for i in sorted(lost) if places[i] is None]
    stop = framing[0] if framing else len(raw)
    pieces = [(i, b) for i, b in pieces if i < stop]
    runs, size, rest = unchunk(pieces, 0, stop)
    got = {place + k: raw_byte for place, run in runs for k, raw_byte in enumerate(run)}
    want = {places[i]: raw[i] for i in range(stop) if places[i] is not None and i not in lost}
    assert got == want
    body, holes = joined(runs, size)
    assert body == bytes(want[k] for k in sorted(want))
    known = [p for p in places[:stop] if p is not None]
    assert len(body) + sum(n for _, n in holes) == len(known)
    if not lost:
        assert rest == b"\r\n"


@given(st.binary(max_size=60))
def test_damaged_framing_never_invents(raw: bytes) -> None:
    runs, _, _ = unchunk([(5, raw)], 5, 5 + len(raw))
    assert all(data in raw for _, data in runs)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.binary(min_size=1, max_size=6)), max_size=6),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_within_against_a_map(parts: list[tuple[int, bytes]], start: int, stop: int) -> None:
    pieces, at = [], 0
    for skip, raw in parts:
        at += skip
        pieces.append((at, raw))
        at += len(raw)
    known = {at + k: byte for at, raw in pieces for k, byte in enumerate(raw)}
    got = {at + k: byte for at, raw in within(pieces, start, stop) for k, byte in enumerate(raw)}
    assert got == {k: v for k, v in known.items() if start <= k < stop}
