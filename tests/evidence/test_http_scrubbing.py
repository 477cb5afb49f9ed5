"""What messages say, replaced: nothing of it is left, everything is as long, equal stays equal."""

from __future__ import annotations

import re
import zlib
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.evidence.masking import WORD_CLASSES, Mask
from inspector.evidence.scrub_heads import GZIP_CONTENT, SHORT_BODY, SHORTEST_GZIP, Scrubber

SCRUB = Scrubber(Mask(b"a key for tests only"))
HEAD = b"""GET /users/alice%40example.com/orders?token=s3cr3t&v2.delay=0.4 HTTP/1.1\r
Host: catalog-shadow.prod.svc.cluster.local:8080\r
X-Forwarded-For: 203.0.113.77,10.244.0.10\r
x-forwarded-host: catalog\r
Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl\r
Cookie: session=Zm9vYmFy; theme=dark\r
X-Request-Id: 1a8ae260-6ddc-91a6-9d74-e4615bee2dc0\r
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r
b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0-05e3ac9a4f6e3b90\r
X-B3-Sampled: 0\r
X-Acme-Team: blue whale\r
x-envoy-internal: true\r
Content-Type: application/json; charset=utf-8\r
Accept: */*\r
Content-Length: 21\r
Date: Sat, 21 Nov 2026 03:09:26 GMT\r
Referer: http://shop.example.com/checkout\r
\r
"""
SECRETS = re.findall(
    rb"alice|40|example|token|s3cr3t|catalog|prod\b|203|113|244|eyJ\w+|c2lnb\w+|Zm9v\w+|dark|1a8ae260|6ddc|4bf92f3577b34da6\w+"
    rb"|00f067aa0ba902b7|80f198ee\w+|e457b5\w+|05e3ac\w+|Acme|blue|whale|shop|checkout|orders|users",
    HEAD,
)
KEPT = (
    b"GET ", b" HTTP/1.1\r\n", b".svc.cluster.local:8080\r\n", b"-shadow.", b"Bearer ", b"X-B3-Sampled: 0\r\n",
    b"x-envoy-internal: true\r\n", b"Content-Type: application/json; charset=utf-8\r\n", b"Accept: */*\r\n",
    b"Content-Length: 21\r\n", b"Date: Sat, 21 Nov 2026 03:09:26 GMT\r\n", b"Referer: http://", b"-01\r\n", b"-0-",
)  # fmt: skip


def test_a_request_head():
    new = SCRUB.head(HEAD, True)
    assert len(new) == len(HEAD)
    assert len(SECRETS) > 25
    for secret in SECRETS:
        assert secret not in new, secret
    for kept in KEPT:
        assert kept in new, kept
    lines = dict(line.split(b": ", 1) for line in new.split(b"\r\n")[1:-2])
    assert lines[b"Host"].startswith(lines[b"x-forwarded-host"] + b"-shadow.")
    assert re.fullmatch(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", lines[b"X-Request-Id"])
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", lines[b"traceparent"])
    assert re.fullmatch(rb"\d{3}\.\d\.\d{3}\.\d{2},10\.\d{3}\.\d\.\d{2}", lines[b"X-Forwarded-For"])
    assert SCRUB.head(HEAD, True) == new


def test_a_response_head():
    head = b'HTTP/1.1 404 Not Found\r\nserver: istio-envoy\r\netag: "alice"\r\nset-cookie: sid=alice; Path=/\r\n\r\n'
    new = SCRUB.head(head, False)
    assert new.startswith(b"HTTP/1.1 404 Not Found\r\nserver: istio-envoy\r\netag: ")
    assert b"alice" not in new
    assert b"alice" not in SCRUB.head(b"HTTP/1.1 200 hello alice\r\nx: 1\n\n", False)


@given(st.binary(max_size=200), st.booleans())
def test_any_head_keeps_its_length_and_its_lines(raw, request):
    new = SCRUB.head(raw, request)
    assert len(new) == len(raw)
    assert [i for i, c in enumerate(new) if c == 10] == [i for i, c in enumerate(raw) if c == 10]


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_different_texts_stay_different(a, b):
    assert (SCRUB.text(a) == SCRUB.text(b)) == (a == b)
    assert len(SCRUB.text(a)) == len(a)


WORD = st.text("".join(WORD_CLASSES), min_size=1, max_size=40).map(str.encode)


@given(WORD)
def test_a_word_keeps_classes_and_no_character_that_has_another(word):
    new = SCRUB.mask.word(word)
    for old, c in zip(word.decode(), new.decode(), strict=True):
        members = next(members for members in WORD_CLASSES if old in members)
        assert c in members
        assert c != old or len(members) == 1 or len(word) > 16


@given(WORD, WORD)
def test_short_words_that_begin_alike_go_on_to(a, b):
    a, b = a[:16], b[:16]
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    new_a, new_b = SCRUB.mask.word(a), SCRUB.mask.word(b)
    assert new_a[:same] == new_b[:same]


@pytest.mark.parametrize("suffix", ["-shadow", "-canary.test", "shadow", ""])
def test_the_suffix_stays_readable(suffix):
    scrub = Scrubber(Mask(b"k"), suffix)
    raw = suffix.encode()
    assert scrub.text(b"catalog" + raw) == scrub.text(b"catalog") + raw


def test_names_of_fields():
    for known in (b"Host", b"x-request-id", b"X-ENVOY-Attempt-Count", b"Content-Length"):
        assert SCRUB.name(known) == known
    assert SCRUB.name(b"X-Acme-Team")[:2] == b"X-"
    assert SCRUB.name(b"X-Acme-Team") != b"X-Acme-Team"
    short = [bytes([c, d]) for c in b"abcdefghijklmnopqrstuvwxyz" for d in b"abcdefghij0123456789"]
    assert {b"te", b"b3"} & {SCRUB.name(name) for name in short} == {b"te", b"b3"}
    for name in short:  # one that means nothing must not become one that means something
        assert SCRUB.name(name) not in (b"te", b"b3") or name in (b"te", b"b3")


@given(st.binary(max_size=SHORT_BODY - 1), st.binary(max_size=SHORT_BODY - 1))
def test_short_bodies(a, b):
    assert len(SCRUB.short(a)) == len(a)
    assert (SCRUB.short(a) == SCRUB.short(b)) == (a == b)


def test_long_bodies_depend_on_all_of_the_hash():
    a, b = (b"".join(islice(SCRUB.filler(digest), 3)) for digest in (b"1", b"2"))
    assert a != b
    assert a == b"".join(islice(SCRUB.filler(b"1"), 3))
    assert a[:1000] != a[1 << 14 : (1 << 14) + 1000]
    assert re.fullmatch(rb"[a-z2-7]+", a)


def hello(name: bytes) -> bytes:
    """A ClientHello with a server name, a session id, ALPN and a key share."""
    entry = b"\0" + len(name).to_bytes(2, "big") + name
    sni = len(entry).to_bytes(2, "big") + entry
    extensions = b"".join(
        kind.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data
        for kind, data in ((0, sni), (16, b"\0\x03\x02h2"), (51, b"keyshare-secret"))
    )
    body = (
        b"\x03\x03"
        + b"R" * 32
        + b"\x20"
        + b"S" * 32
        + b"\0\x02\x13\x01"
        + b"\x01\0"
        + len(extensions).to_bytes(2, "big")
        + extensions
    )
    return b"\x01" + len(body).to_bytes(3, "big") + body


def test_a_hello_keeps_its_lengths_and_nothing_else():
    name = b"outbound_.80_.version-v2_.catalog.istioinaction.svc.cluster.local"
    raw = hello(name)
    new = SCRUB.hello(raw)
    assert len(new) == len(raw)
    for secret in (b"RRRR", b"SSSS", b"secret", b"catalog", b"istioinaction"):
        assert secret not in new
    assert SCRUB.text(name) in new
    assert new.endswith(b"\0" * 15)


@given(st.integers(0, 200))
def test_a_hello_cut_anywhere(size):
    raw = hello(b"catalog.example.com")[:size]
    assert len(SCRUB.hello(raw)) == len(raw)


@given(st.integers(SHORTEST_GZIP, 1 << 16), st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 20))
def test_a_gzip_body_becomes_one_whose_content_depends_on_the_content_alone(size, content, length):
    new = b"".join(SCRUB.zipped(b"one", size, content, length))
    assert len(new) == size
    said = zlib.decompress(new, zlib.MAX_WBITS + 16)
    assert bool(said) == bool(length)
    again = b"".join(SCRUB.zipped(b"another", SHORTEST_GZIP + GZIP_CONTENT + size, content, length))
    assert zlib.decompress(again, zlib.MAX_WBITS + 16)[: len(said)] == said
