"""Content codings undone: against the libraries that made them, damaged, cut short, and as bombs."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from inspector.http.codings import MAX_CODINGS, Decoded, codings_of, decoded
from inspector.http.content import CapturedMessage

TEXT = b'{"items": [1, 2, 3], "name": "lantern"}' * 50


def raw_deflate(data: bytes) -> bytes:
    z = zlib.compressobj(wbits=-15)
    return z.compress(data) + z.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def coded(body: bytes, *codings: str, **how: object) -> CapturedMessage:
    headers = tuple((b"Content-Encoding", c.encode()) for c in codings)
    return CapturedMessage(b"HTTP/1.1 200 OK", headers, body, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CODERS)
def test_each_coding(name: str) -> None:
    assert decoded(coded(CODERS[name](TEXT), name)) == Decoded(TEXT, (name,))


def test_deflate_without_its_wrapper() -> None:
    assert decoded(coded(raw_deflate(TEXT), "deflate")) == Decoded(TEXT, ("deflate",))


def test_several_are_undone_from_the_last() -> None:
    body = brotli.compress(gzip.compress(TEXT))
    assert decoded(coded(body, "gzip", "BR")) == Decoded(TEXT, ("gzip", "br"))
    assert decoded(coded(body, "gzip, identity , br")) == Decoded(TEXT, ("gzip", "br"))
    assert codings_of(coded(b"", "identity")) == ()


def test_gzip_and_zstd_of_several_members() -> None:
    assert decoded(coded(gzip.compress(b"a") + gzip.compress(b"b"), "gzip")).body == b"ab"
    compress = zstandard.ZstdCompressor().compress
    assert decoded(coded(compress(b"a") + compress(b"b"), "zstd")).body == b"ab"


def test_no_coding_and_no_body() -> None:
    assert decoded(coded(b"abc")) == Decoded(b"abc")
    assert decoded(coded(b"", "gzip")) == Decoded(b"", ("gzip",))  # the answer to a HEAD
    assert decoded(coded(b"", "unheard-of")).problem is None
    long = decoded(coded(b"x" * 100), 10)
    assert (long.body, long.whole, long.opaque) == (b"x" * 10, False, False)
    assert long.problem


def test_what_is_not_known_is_told() -> None:
    got = decoded(coded(b"abc", "compress"))
    assert (got.body, got.opaque, got.whole) == (b"abc", True, False)
    assert got.problem == "content coding compress is not known"
    assert len(decoded(coded(b"abc", "x" * 5000)).problem or "") < 100
    assert decoded(coded(b"abc", *["gzip"] * (MAX_CODINGS + 1))).opaque


@pytest.mark.parametrize("name", CODERS)
def test_cut_short(name: str) -> None:
    body = CODERS[name](bytes(range(256)) * 300)
    for cut in (1, len(body) // 2, len(body) - 1):
        got = decoded(coded(body[:cut], name))
        assert not got.whole
        assert (bytes(range(256)) * 300).startswith(got.body) or got.opaque
        assert got.problem


@pytest.mark.parametrize("name", CODERS)
def test_damaged(name: str) -> None:
    got = decoded(coded(b"this is not compressed at all", name))
    assert not got.whole
    assert got.opaque
    assert got.problem


@pytest.mark.parametrize("name", CODERS)
def test_a_hole_ends_what_can_be_read(name: str) -> None:
    data = bytes(k * k % 251 for k in range(100_000))
    body = CODERS[name](data)
    half = len(body) // 2
    got = decoded(coded(body[:half] + body[half + 10 :], name, holes=((half, 10),), complete=False))
    assert not got.whole
    assert data.startswith(got.body) or got.opaque
    got = decoded(coded(b"seen", holes=((2, 10),), complete=False))
    assert (got.body, got.whole) == (b"seen", False)


@pytest.mark.parametrize("name", CODERS)
def test_bombs_are_bounded(name: str) -> None:
    bomb = CODERS[name](b"\0" * 50_000_000)
    tracemalloc.start()
    got = decoded(coded(bomb, name), 100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    assert (len(got.body), got.whole, got.opaque) == (100_000, False, False)
    assert got.problem
    got = decoded(coded(CODERS[name](bomb), name, name), 100_000)
    assert len(got.body) <= 100_000


@given(st.binary(max_size=300), st.sampled_from(sorted(CODERS)), st.integers(0, 400))
def test_never_more_than_there_is(data: bytes, name: str, limit: int) -> None:
    got = decoded(coded(CODERS[name](data), name), limit)
    assert got.body == data[:limit] or (got.opaque and not data)
    assert got.whole == (len(data) <= limit)


@given(st.binary(max_size=200), st.sampled_from(sorted(CODERS)))
def test_any_bytes(data: bytes, name: str) -> None:
    got = decoded(coded(data, name), 1000)
    assert len(got.body) <= max(1000, len(data))
