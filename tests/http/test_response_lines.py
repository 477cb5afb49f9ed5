"""The header lines of a response that proxies rarely write: each for itself, in its order, by its hash."""

from __future__ import annotations

import pytest
import xxhash
from http_wire import Feeder, Packet, whole
from hypothesis import given, settings
from hypothesis import strategies as st

import inspector.kernels.kernel
from inspector.http.layout import LINES_KEPT
from inspector.http.parser import Options, Parser
from inspector.tcp.tables import End

GET = b"GET / HTTP/1.1\r\nHost: a\r\nX-Mine: 1\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=["plain", "compiled"])
def mode(request):
    inspector.kernels.kernel.use(request.param)
    yield request.param
    inspector.kernels.kernel.use("plain")


def words(*lines: bytes) -> bytes:
    return b"".join(xxhash.xxh64_intdigest(line).to_bytes(8, "little") for line in lines)


def lines_of(requests: bytes, responses: bytes, options: Options | None = None) -> list[bytes]:
    """The lines of the requests, which have none, and of the responses."""
    found = whole(requests, responses, options=options).result()
    assert all(m["lines"] == b"" for m in found if m["kind"] == 1)
    return [m["lines"] for m in found if m["kind"] == 2]


def test_lines_stand_in_their_order_and_without_what_proxies_write(mode):
    head = (
        b"HTTP/1.1 302 Found\r\nDate: now\r\nServer: envoy\r\nLOCATION:  /a b \r\nX-Request-ID: 1\r\nx-envoy-a: 2\r\n"
        b"Set-Cookie: a=1\r\nContent-Type: text/plain\r\nset-cookie: b=2\r\nx-folded: a\r\n  b\r\nContent-Length: 0\r\n\r\n"
    )
    want = words(b"location:/a b", b"set-cookie:a=1", b"content-type:text/plain", b"set-cookie:b=2", b"x-folded:a b")
    assert lines_of(GET * 2, head * 2) == [want, want]  # the second time its lines are known ones


def test_content_length_of_a_head_and_of_a_304_counts(mode):
    told = b"ETag: x\r\nContent-Length: 1203\r\n\r\n"
    assert lines_of(HEAD, b"HTTP/1.1 200 OK\r\n" + told) == [words(b"etag:x", b"content-length:1203")]
    assert lines_of(GET, b"HTTP/1.1 304 No\r\n" + told) == [words(b"etag:x", b"content-length:1203")]
    assert lines_of(GET, b"HTTP/1.1 304 No\r\nContent-Length: 0\r\n\r\n") == [words(b"content-length:0")]
    assert lines_of(GET, b"HTTP/1.1 204 No\r\n" + told) == [words(b"etag:x")]
    assert lines_of(GET, b"HTTP/1.1 304 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n") == [b""]


def test_no_more_than_the_first_lines_are_kept(mode):
    many = [b"x-%d: v" % k for k in range(LINES_KEPT + 5)]
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(line + b"\r\n" for line in many) + b"Content-Length: 0\r\n\r\n"
    assert lines_of(GET, head) == [words(*[line.replace(b": ", b":") for line in many[:LINES_KEPT]])]


def test_lines_of_an_interim_response_are_not_those_of_the_final_one(mode):
    responses = b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nx-version: 2\r\nContent-Length: 0\r\n\r\n"
    assert lines_of(GET, responses) == [words(b"x-version:2")]


def test_heads_that_come_in_turns_keep_their_lines_apart(mode):
    """Two connections, each head in pieces, a block each: what is open moves to the front of the store after every block."""
    parser = Parser()
    feeders = [Feeder(parser, 2 * n, 2 * n) for n in range(2)]
    heads = [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d-%d: v\r\n" % (n, k) for k in range(6)) + b"Content-Length: 0\r\n\r\n"
        for n in range(2)
    ]
    for feeder in feeders:
        feeder.add(Packet(0, 0, 0, GET))
        feeder.feed()
    for at in range(0, len(heads[0]), 9):
        for feeder, head in zip(feeders, heads, strict=True):
            feeder.add(Packet(1, 1, at, head[at : at + 9], len(GET)))
            feeder.feed()
    for n, feeder in enumerate(feeders):
        for side in (0, 1):
            feeder.end(side, End.FIN)
        feeder.feed()
        (answer,) = [m for m in feeder.result() if m["kind"] == 2]
        assert answer["lines"] == words(*[b"x-%d-%d:v" % (n, k) for k in range(6)])


NAMES = st.sampled_from([b"etag", b"Location", b"x-a", b"set-cookie", b"server", b"date", b"x-b3-traceid", b"vary"])
TOUCHED = (b"server", b"date", b"x-b3-traceid", b"content-length")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, st.sampled_from([b"1", b"two", b"", b"x" * 200])), max_size=40), st.integers(1, 50))
def test_any_split_gives_the_lines_of_a_dull_reader(fields, size):
    head = b"".join(b"%s: %s\r\n" % field for field in fields)
    responses = b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n"
    kept = [name.lower() + b":" + value for name, value in fields if name not in TOUCHED][:LINES_KEPT]
    feeder = Feeder()
    feeder.add(Packet(0, 0, 0, GET))
    feeder.feed()
    for at in range(0, len(responses), size):
        feeder.add(Packet(1, 1, at, responses[at : at + size], len(GET)))
        feeder.feed()
    feeder.end(0, End.FIN)
    feeder.end(1, End.FIN)
    feeder.feed()
    assert [m["lines"] for m in feeder.result() if m["kind"] == 2] == [words(*kept)]
