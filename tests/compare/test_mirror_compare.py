"""Original against mirror: what may differ, what should not, and what nobody can know."""

from __future__ import annotations

import gzip
import json
from typing import Any

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.compare.bodies import Bodies, BodyDiff, body_text, compare_bodies
from inspector.compare.json_bodies import path_text
from inspector.compare.pair import PairDifference, Setting, compare, request_rule
from inspector.http.content import CapturedMessage, Content
from inspector.redact import Redactor

KEEP, HIDE = Redactor(keep=True), Redactor(b"key")
JSON = (b"Content-Type", b"application/json")


def setting(redactor: Redactor = KEEP, suffix: str = "-shadow", proxy: str | None = "10.0.0.9") -> Setting:
    return Setting(Bodies(redactor), suffix, proxy)


def request(
    *fields: tuple[str, str], start: str = "GET /items HTTP/1.1", body: bytes = b"", **how: Any
) -> CapturedMessage:
    return CapturedMessage(
        start.encode("latin-1"), tuple((k.encode(), v.encode("latin-1")) for k, v in fields), body, **how
    )


def response(body: bytes = b"", *fields: tuple[bytes, bytes], status: int = 200, **how: Any) -> CapturedMessage:
    return CapturedMessage(b"HTTP/1.1 %d OK" % status, fields, body, **how)


def requests(one: CapturedMessage, two: CapturedMessage, **how: Any) -> PairDifference:
    return compare(Content(one, response()), Content(two, response()), setting(**how))


def bodies(a: CapturedMessage | None, b: CapturedMessage | None, redactor: Redactor = KEEP) -> BodyDiff:
    return compare_bodies(a, b, redactor)


# -- header fields -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "original", "mirror", "rule"),
    [
        ("host", "catalog", "catalog-shadow", "suffix"),
        ("host", "catalog:80", "catalog-shadow:80", "suffix"),
        ("host", "catalog", "other", "host"),
        ("host", "catalog", "other-shadow", "host"),
        ("host", "catalog", None, ""),
        ("x-forwarded-for", "1.2.3.4", "1.2.3.4,10.0.0.9", "forwarded-for"),
        ("x-forwarded-for", "1.2.3.4", "10.0.0.9", "forwarded-for"),
        ("x-forwarded-for", None, "10.0.0.9", "forwarded-for"),
        ("x-forwarded-for", "1.2.3.4", "1.2.3.4,10.0.0.8", ""),
        ("x-forwarded-for", "1.2.3.4", "5.6.7.8,10.0.0.9", ""),
        ("x-forwarded-for", "1.2.3.4", None, ""),
        ("x-envoy-internal", None, "true", "internal"),
        ("x-b3-spanid", "a", "b", "trace"),
        ("b3", "a", "b", "trace"),
        ("traceparent", "a", "b", "trace"),
        ("tracestate", None, "b", "trace"),
        ("x-b3-sampled", "1", "0", "sampled"),
        ("content-length", "1", None, "framing"),
        ("transfer-encoding", None, "chunked", "framing"),
        ("connection", None, "close", "framing"),
        ("x-envoy-attempt-count", "1", "2", "envoy"),
        ("x-request-id", "a", "b", ""),
        ("authorization", "a", "b", ""),
        ("cookie", "a=1", None, ""),
        ("accept", "*/*", "text/html", ""),
    ],
)
def test_what_a_mirroring_proxy_changes(name: str, original: str | None, mirror: str | None, rule: str) -> None:
    sides = [None if v is None else [v.encode()] for v in (original, mirror)]
    assert request_rule(name, sides[0], sides[1], setting()) == rule
    one, two = (request(*([(name.title(), v)] if v is not None else [])) for v in (original, mirror))
    found = requests(one, two).request_fields
    (diff,) = found.expected if rule else found.unexpected
    assert (diff.name, diff.rule) == (name, rule)
    assert (diff.original, diff.mirror) == tuple(None if v is None else (v,) for v in (original, mirror))
    assert found.same is bool(rule)


def test_fields_are_compared_by_name_with_all_values_in_order() -> None:
    one = request(("Accept", "a"), ("X", "1"), ("accept", "b"))
    two = request(("x", "1"), ("ACCEPT", "a"), ("Accept", "b"))
    assert requests(one, two).request_fields.equal == ("accept", "x")
    two = request(("x", "1"), ("ACCEPT", "b"), ("Accept", "a"))
    (diff,) = requests(one, two).request_fields.unexpected
    assert (diff.original, diff.mirror) == (("a", "b"), ("b", "a"))


def test_without_a_suffix_any_host_is_the_mirrors_own() -> None:
    found = requests(request(("host", "a")), request(("host", "a-shadow")), suffix="")
    assert found.request_fields.expected[0].rule == "host"


def test_a_head_that_broke_off_claims_nothing_of_what_is_missing() -> None:
    one = request(("a", "1"), ("b", "2"))
    found = requests(one, request(("a", "1"), head_complete=False)).request_fields
    assert (found.same, found.equal, found.unexpected, found.expected) == (None, ("a",), (), ())
    found = requests(one, request(("a", "2"), head_complete=False)).request_fields
    assert (found.same, [d.name for d in found.unexpected]) == (False, ["a"])


def test_responses_differ_by_nature_and_otherwise() -> None:
    one = response(b"", (b"Date", b"now"), (b"Age", b"1"), (b"Server", b"a"), (b"X-Envoy-Upstream-Service-Time", b"1"))
    two = response(b"", (b"Date", b"then"), (b"Server", b"b"))
    found = compare(Content(request(), one), Content(request(), two), setting()).response_fields
    assert [(d.name, d.rule) for d in found.expected] == [
        ("date", "time"), ("age", "time"), ("x-envoy-upstream-service-time", "time"),
    ]  # fmt: skip
    assert [(d.name, d.original, d.mirror) for d in found.unexpected] == [("server", ("a",), ("b",))]


def test_trailers_are_fields_of_their_own() -> None:
    one, two = (response(trailers=((b"grpc-status", v),)) for v in (b"0", b"2"))
    found = compare(Content(request(), one), Content(request(), two), setting()).response_fields
    assert [d.name for d in found.unexpected] == ["grpc-status (trailer)"]


def test_secrets_differ_as_their_words_do() -> None:
    one, two = (request(("Authorization", f"Bearer {v}"), ("cookie", "a=1")) for v in ("x", "y"))
    found = requests(one, two, redactor=HIDE).request_fields
    (diff,) = found.unexpected
    assert diff.original != diff.mirror
    assert diff.original == (f"Bearer {HIDE.word(b'x')}",)
    assert found.equal == ("cookie",)


# -- status, request line, notes ---------------------------------------------------------------------------------------


def test_status_and_request_line() -> None:
    found = compare(Content(request(), response(status=200)), Content(request(), response(status=503)), setting())
    assert (found.status, found.status_same, found.line_same) == ((200, 503), False, True)
    found = requests(request(), request(start="GET /x?token=abc HTTP/1.1"), redactor=HIDE)
    assert found.line == ("GET /items", f"GET /x?token={HIDE.word(b'abc')}")
    assert found.line_same is False


def test_what_was_not_captured_is_never_equal() -> None:
    whole = Content(request(), response(b"x"))
    for other in (None, Content(request(), None), Content(None, None, "it is gone")):
        found = compare(whole, other, setting())
        assert found.status_same is None
        assert found.response_fields.same is None
        assert (found.response_body.same, found.response_body.kind) == (None, "unknown")
        assert found.notes
    assert compare(None, whole, setting()).request_body.kind == "unknown"


def test_notes_say_what_is_missing() -> None:
    gap = response(b"ab", holes=((1, 7),), missing=7, complete=False)
    found = compare(Content(request(), gap), Content(request(), response(b"x" * 9, dropped=5)), setting())
    assert found.notes == (
        "7 bytes of the original's response were not captured.",
        "5 bytes of the mirror's response are beyond the limit and were not read again.",
    )


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_codings_are_undone_before_bodies_are_compared() -> None:
    text = b'{"a": [1, 2], "b": "x"}'
    one = response(gzip.compress(text), JSON, (b"content-encoding", b"gzip"))
    two = response(brotli.compress(text), JSON, (b"content-encoding", b"br"))
    assert bodies(one, two).same is True
    found = bodies(one, response(text.replace(b"2", b"3"), JSON))
    assert (found.same, found.kind) == (False, "json")
    assert [path_text(c.path) for c in found.changes] == ["$.a[1]"]


@pytest.mark.parametrize(
    ("a", "b", "kind", "same"),
    [
        (b"", b"", "empty", True),
        (b'{"a":1}', b'{"a":2}', "json", False),
        (b"text\n", b"text\n", "text", True),
        (b"text", b"", "text", False),
        (b"\0\1\2", b"\0\1\3", "binary", False),
        (b"caf\xc3\xa9", b"caf\xe9", "binary", False),
    ],
)
def test_kinds_without_a_type(a: bytes, b: bytes, kind: str, same: bool) -> None:
    found = bodies(response(a), response(b))
    assert (found.kind, found.same) == (kind, same)


def test_binary_by_size_hash_and_first_difference() -> None:
    png = (b"content-type", b"image/png")
    found = bodies(response(b"\x89PNG1", png), response(b"\x89PNG22", png))
    assert (found.kind, found.first) == ("binary", 4)
    assert found.original is not None
    assert found.original.digest == "sha256:" + __import__("hashlib").sha256(b"\x89PNG1").hexdigest()


def test_json_written_differently_is_equivalent() -> None:
    found = bodies(response(b'{"a":1,"b":2}', JSON), response(b'{ "b": 2, "a": 1 }', JSON))
    assert (found.same, found.equivalent, found.changes) == (False, True, ())


def test_a_secret_number_and_the_same_in_a_string_are_not_equivalent() -> None:
    found = bodies(response(b'{"password":12}', JSON), response(b'{"password":"12"}', JSON), HIDE)
    assert (found.same, found.equivalent, found.changes) == (False, False, ())
    assert found.notes == ("What differs is redacted.",)


def test_secrets_in_bodies_are_redacted_and_still_differ() -> None:
    one, two = (response(json.dumps({"token": t, "same": {"token": "s"}}).encode(), JSON) for t in ("x", "y"))
    (change,) = bodies(one, two, HIDE).changes
    assert (change.original, change.mirror) == (f'"{HIDE.word(b"x")}"', f'"{HIDE.word(b"y")}"')


def test_invalid_json_is_compared_as_text() -> None:
    found = bodies(response(b'{"a":1', JSON), response(b'{"a":2', JSON))
    assert found.kind == "text"
    assert found.notes == ("Not valid JSON on both sides: compared as text.",)
    assert [(r.original, r.mirror) for r in found.lines] == [('{"a":1', '{"a":2')]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (response(b"abc", complete=False), response(b"abc"), None),
        (response(b"abx", complete=False), response(b"abc"), False),
        (response(b"abcd", complete=False), response(b"abc"), False),
        (response(b"ac", holes=((1, 1),), missing=1, complete=False), response(b"abc"), None),
        (response(b"ac", holes=((1, 1),), missing=1, complete=False), response(b"xbc"), False),
        (response(b"abc", dropped=5), response(b"abc", dropped=5), None),
        (response(b"abc", dropped=5), response(b"abc", dropped=6), False),
        (
            response(b"a", (b"content-length", b"9"), holes=((1, 8),), missing=8, complete=False),
            response(b"a", (b"content-length", b"8"), holes=((1, 7),), missing=7, complete=False),
            False,
        ),
    ],
)
def test_equality_is_claimed_of_what_was_seen_only(a: CapturedMessage, b: CapturedMessage, same: bool | None) -> None:
    assert bodies(a, b).same is same
    assert bodies(b, a).same is same


def test_unknown_codings() -> None:
    foo = (b"content-encoding", b"foo")
    assert bodies(response(b"a", foo), response(b"b", foo)).same is None
    assert bodies(response(b"a", foo), response(b"a", foo)).same is True
    assert bodies(response(b"a", foo), response(b"a")).same is None


def test_encodings() -> None:
    assert body_text("한글".encode("euc-kr"), "text/plain; charset=EUC-KR") == "한글"
    assert body_text("é".encode("latin-1"), "text/plain; charset=iso-8859-1") == "é"
    assert body_text("é".encode("utf-16"), "text/plain; charset=utf-16") == "é"
    assert body_text(b"\xff", "text/plain") == "\udcff"
    for name in ("zlib_codec", "idna", "punycode", "unicode_escape", "hex", "nonsense", "../x"):
        assert body_text(b"\\x41", f"text/plain; charset={name}") == "\\x41"


def test_large_texts_are_compared_up_to_a_limit() -> None:
    text = b"line\n" * 400_000
    found = bodies(
        response(text + b"a", (b"content-type", b"text/plain")), response(text, (b"content-type", b"text/plain"))
    )
    assert found.same is False
    assert found.notes == ("Compared up to 1,048,576 bytes.",)


def test_remembered_comparisons_are_the_same() -> None:
    memory = Bodies(KEEP)
    pairs = [(b'{"a":1}', b'{"a":2}'), (b"x", b"y"), (b'{"a":1}', b'{"a":2}'), (b"", b"")]
    for a, b in pairs:
        for extra in ((b"x-a", b"1"), (b"x-a", b"2")):
            one, two = response(a, JSON, extra, status=201), response(b, JSON)
            assert memory.compare(one, two) == compare_bodies(one, two, KEEP)
    assert memory.compare(None, response()) == compare_bodies(None, response(), KEEP)


contents = st.sampled_from([b"", b"abc", b'{"a": 1}', b'{"a":1}', b"[1]", b"\0\xff", b"abc\nd"])


@given(contents, contents, st.sampled_from([None, b"gzip", b"br"]), st.booleans())
def test_same_means_equal_bytes(a: bytes, b: bytes, coding: bytes | None, swap: bool) -> None:
    coder = {None: bytes, b"gzip": gzip.compress, b"br": brotli.compress}[coding]
    fields = ((b"content-encoding", coding),) if coding else ()
    one, two = response(coder(a), *fields), response(b)
    found = bodies(two, one) if swap else bodies(one, two)
    assert found.same is (a == b)
    shown = found.changes or any(not r.same for r in found.lines) or found.first is not None or found.equivalent
    assert bool(shown) is (a != b)


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=20), st.binary(max_size=20))
def test_any_bytes(a: bytes, b: bytes, kind: bytes, coding: bytes) -> None:
    fields = ((b"content-type", kind), (b"content-encoding", coding))
    found = bodies(response(a, *fields), response(b, *fields), HIDE)
    assert found.same is not True or a == b
