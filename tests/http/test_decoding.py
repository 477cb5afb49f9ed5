"""Content codings undone while bodies pass: what a whole reader finds, however the bytes are divided."""

from __future__ import annotations

import gzip
import zlib

import brotli
import numpy as np
import pytest
import xxhash
import zstandard
from http_wire import Exchange, Feeder, Packet, play, run, whole
from hypothesis import given, settings
from hypothesis import strategies as st

import inspector.kernels.kernel
from inspector import limits
from inspector.http import decoding
from inspector.http.codings import decoded
from inspector.http.content import CapturedMessage
from inspector.http.tables import Messages
from inspector.http.xxh64 import end_sum, start_sum
from inspector.tcp.tables import End

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
EMPTY = xxhash.xxh64_intdigest(b"")


def deflated(body: bytes) -> bytes:
    z = zlib.compressobj(wbits=-15)
    return z.compress(body) + z.flush()


CODERS = {
    "gzip": gzip.compress,
    "X-GZip": lambda body: gzip.compress(body[:10]) + b"\0\0" + gzip.compress(body[10:]) + b"\0" * 5,
    "deflate": zlib.compress,
    "Deflate": deflated,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "ZSTD": lambda body: zstandard.compress(body[:7]) + b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstandard.compress(body[7:]),
    "identity": bytes,
}


@pytest.fixture(params=["plain", "compiled"])
def mode(request):
    inspector.kernels.kernel.use(request.param)
    yield request.param
    inspector.kernels.kernel.use("plain")


def coded(body: bytes, names: list[str]) -> bytes:
    for name in names:
        body = CODERS[name](body)
    return body


def response(body: bytes, codings: str, chunk: int = 0, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Encoding: " + codings.encode() + b"\r\n" + more
    if not chunk:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = [body[i : i + chunk] for i in range(0, len(body), chunk)]
    return (
        head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in [*pieces, b""])
    )


def found(feeder: Feeder) -> list[tuple[int, int]]:
    """Hash and length of what each response says."""
    messages = Messages.concat(feeder.messages)
    rows = [i for i in messages.start.argsort(kind="stable") if messages.kind[i] == 2]
    return [(int(messages.decoded[i]), int(messages.decoded_bytes[i])) for i in rows]


def content(body: bytes) -> tuple[int, int]:
    return xxhash.xxh64_intdigest(body), len(body)


def one(raw: bytes, how: End = End.FIN, request: bytes = GET) -> tuple[int, int]:
    (only,) = found(whole(request, raw, how))
    return only


BODY = b'{"name": "teapot"}' * 40


@pytest.mark.parametrize("name", CODERS)
def test_each_coding_is_undone(mode, name):
    raw = coded(BODY, [name])
    assert one(response(raw, name)) == content(BODY)
    assert one(response(raw, name, chunk=33)) == content(BODY)


def test_several_codings_are_undone_from_the_last_on():
    raw = coded(BODY, ["br", "gzip", "zstd", "deflate"])
    assert one(response(raw, "br ,gzip,, identity , zstd\t,deflate")) == content(BODY)
    split = b"Content-Encoding: gzip\r\ncontent-encoding: zstd, deflate\r\n"
    assert one(response(raw, "br", more=split)) == content(BODY)
    five = coded(BODY, ["gzip"] * 5)
    assert one(response(five, "gzip, gzip, gzip, gzip, gzip"))[1] == -1


def test_a_body_without_coding_is_itself():
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
    assert one(plain) == content(BODY)
    assert one(response(BODY, "identity")) == content(BODY)
    assert one(plain[:-5], End.CAPTURE) == content(BODY[:-5])


def test_where_there_is_no_body_nothing_is_undone():
    assert one(response(b"", "gzip")) == (EMPTY, 0)
    assert one(response(b"", "gzip", status=b"304 Not Modified")) == (EMPTY, 0)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n"
    assert one(head, request=HEAD) == (EMPTY, 0)


@pytest.mark.parametrize(
    "raw",
    [
        response(BODY, "gzip"),
        response(BODY, "br"),
        response(BODY, "zstd"),
        response(BODY, "compress"),
        response(gzip.compress(BODY), "gzip;q=1"),
        response(gzip.compress(BODY)[:-1], "gzip"),
        response(zstandard.compress(BODY)[:-1], "zstd"),
        response(brotli.compress(BODY)[:-1], "br"),
        response(b"x", "deflate"),
        response(gzip.compress(BODY) + b"more", "gzip"),
        response(gzip.compress(BODY), "gzip")[:-3],
        response(gzip.compress(BODY), "gzip", chunk=50)[:-5],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n",
    ],
    ids=range(13),
)
def test_what_cannot_be_undone_is_unknown(raw):
    assert one(raw) == (0, -1)


def test_a_gap_makes_a_coded_body_unknown_and_no_other():
    packets = play([Exchange(GET, response(gzip.compress(BODY), "gzip")), Exchange(GET, response(b"plain", "identity"))],
                   lambda data: [data[i : i + 40] for i in range(0, len(data), 40)])  # fmt: skip
    lost = next(i for i, p in enumerate(packets) if p.side == 1 and p.offset >= 80)
    assert found(run(packets, lost=frozenset([lost]))) == [(0, -1), content(b"plain")]


def test_a_body_that_ends_with_its_stream_is_undone():
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n" + brotli.compress(BODY)
    assert one(raw) == content(BODY)
    assert one(raw, End.RST) == (0, -1)


def test_what_unpacks_to_too_much_is_unknown():
    bomb = bytes(20 << 20)
    for name in ("gzip", "br", "zstd"):
        assert one(response(coded(bomb, [name]), name)) == (0, -1)
        assert one(response(coded(bomb[: 1 << 15], [name]), name)) == content(bomb[: 1 << 15])
    body = b"".join(b"%d" % k for k in range(3000))
    raw = response(gzip.compress(body), "gzip")
    with limits.use({"decoded-body": 5000}):
        assert one(raw) == (0, -1)
    with limits.use({"decoded-body": len(body)}):
        assert one(raw) == content(body)


def test_bombs_use_up_their_budget(monkeypatch):
    monkeypatch.setattr(decoding, "BUDGET", 1 << 20)
    raw = response(coded(bytes(1 << 20), ["br"]), "br")  # 64 KiB is what so few bytes may give
    small = response(gzip.compress(BODY), "gzip")
    answers = [small, *[raw] * 40, small]
    results = found(whole(GET * len(answers), b"".join(answers)))
    assert results[0] == content(BODY)
    assert results[-1] == (0, -1)


def test_too_many_open_bodies_give_up_the_oldest(monkeypatch):
    monkeypatch.setattr(decoding, "OPEN_BYTES", 3 * decoding.OPEN_COST + 4096)
    raw = response(gzip.compress(BODY), "gzip")
    feeder = Feeder()
    feeders = [feeder] + [Feeder(feeder.parser, 2 * n, 2 * n) for n in range(1, 5)]
    for f in feeders:
        f.add(Packet(0, 0, 0, GET))
        f.add(Packet(1, 1, 0, raw[:-9], len(GET)))
        f.feed()
    for f in feeders:
        f.add(Packet(2, 1, len(raw) - 9, raw[-9:], len(GET)))
        f.feed()
    assert [found(f)[0][1] for f in feeders] == [-1, -1, len(BODY), len(BODY), len(BODY)]
    assert not feeder.parser._decoders._open


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_the_sum_is_the_same_without_a_compiler(parts):
    lanes, tail = np.zeros((1, 4), np.uint64), np.zeros(32, np.uint8)
    start_sum(lanes, 0)
    total = 0
    for part in parts:
        decoding.add_plainly(lanes, tail, total, bytearray(part))
        total += len(part)
    assert end_sum(lanes, tail, 0, total, np.zeros(1, np.uint64)) == xxhash.xxh64_intdigest(b"".join(parts))


BODIES = st.one_of(
    st.binary(min_size=1, max_size=300),
    st.builds(lambda part, n: part * n, st.binary(min_size=1, max_size=9), st.integers(1, 3000)),
)


@st.composite
def answer(draw: st.DrawFn) -> tuple[list[str], bytes, bytes]:
    """Codings, the coded bytes (perhaps damaged), the response."""
    names = draw(st.lists(st.sampled_from(sorted(CODERS)), min_size=1, max_size=3))
    raw = bytearray(coded(draw(BODIES), names))
    damage = draw(st.sampled_from(["none", "none", "change", "cut", "more"]))
    at = draw(st.integers(0, len(raw) - 1))
    if damage == "change":
        raw[at] ^= draw(st.integers(1, 255))
    elif damage == "cut":
        del raw[max(at, 1) :]
    elif damage == "more":
        raw += draw(st.binary(min_size=1, max_size=12))
    return names, bytes(raw), response(bytes(raw), ", ".join(names), draw(st.sampled_from([0, 1, 5, 200])))


@settings(max_examples=60, deadline=None)
@given(st.lists(answer(), min_size=1, max_size=3), st.integers(1, 700), st.sets(st.integers(0, 40)))
def test_any_split_gives_what_a_whole_reader_finds(answers, size, blocks):
    packets = play([Exchange(GET, raw) for _, _, raw in answers],
                   lambda data: [data[i : i + size] for i in range(0, len(data), size)])  # fmt: skip
    one = found(run(packets))
    assert one == found(run(packets, sorted(blocks)))
    assert one == found(run(packets, range(len(packets))))
    for (names, raw, _), result in zip(answers, one, strict=True):
        told = decoded(CapturedMessage(b"", ((b"content-encoding", ", ".join(names).encode()),), raw))
        if not told.whole or told.opaque:
            assert result == (0, -1)
        elif len(told.body) <= decoding.FREE:
            assert result == content(told.body)
