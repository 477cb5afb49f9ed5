"""Bodies: content codings, JSON and text compared, secrets replaced."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable

from fuzzing import corpus
from fuzzing.target import Choices, Target, sized
from inspector.compare.bodies import compare_bodies
from inspector.compare.json_bodies import TooMuch, diff_json, parse
from inspector.compare.text_bodies import diff_text
from inspector.http.codings import DECODED_LIMIT, decoded
from inspector.http.content import CapturedMessage
from inspector.redact import Redactor

CODINGS = ("gzip", "deflate", "br", "zstd", "gzip, br", "br, gzip, deflate", "x-gzip", "zstd, zstd, zstd, zstd, zstd")
LIMIT = 1 << 16
REDACTOR = Redactor(b"the fuzzer's key")
TYPES = (b"application/json", b"text/plain", b"", b"application/x-www-form-urlencoded", b"text/html; charset=utf-16",
         b"multipart/form-data; boundary=x", b"image/png", b"application/json; charset=utf-32-le")  # fmt: skip


def whole(data: bytes, coding: str) -> bytes | None:
    """What the library itself makes of the data at once; None where it refuses."""
    import brotli

    try:
        if coding in ("gzip", "x-gzip"):
            return None if reserved_flags(data) else gzip.decompress(data)
        if coding == "br":
            return brotli.decompress(data)
        if coding == "deflate":
            return zlib.decompress(data)
    except (OSError, EOFError, zlib.error, brotli.error):
        return None
    return None


def reserved_flags(data: bytes) -> bool:
    """Whether a member of a gzip has a reserved flag (RFC 1952 section 2.3.1.2), which Python's gzip does not mind."""
    while data:
        if data[3:4] > b"\x1f":
            return True
        member = zlib.decompressobj(31)
        member.decompress(data)
        data = member.unused_data.lstrip(b"\0") if member.eof else b""
    return False


def codings(data: bytes) -> None:
    """A body without its codings: within the limit, called whole only where the library says the same, equal to what it gives."""
    choices = Choices(data)
    coding = CODINGS[choices.below(len(CODINGS))]
    body = choices.rest()
    headers = ((b"Content-Encoding", coding.encode()),)
    found = decoded(CapturedMessage(b"HTTP/1.1 200 OK", headers, body), LIMIT)
    assert len(found.body) <= LIMIT or found.opaque
    assert not (found.whole and found.opaque)
    assert (found.problem is None) == found.whole
    assert found == decoded(CapturedMessage(b"HTTP/1.1 200 OK", headers, body), LIMIT)
    more = decoded(CapturedMessage(b"HTTP/1.1 200 OK", headers, body), DECODED_LIMIT)
    if not found.opaque and not more.opaque:
        assert more.body.startswith(found.body) or more.body[:LIMIT] == found.body[:LIMIT]
    if len(body) <= 2000 and coding in ("gzip", "br", "deflate"):
        right = whole(body, coding)
        if right is not None and body and len(right) <= LIMIT:
            assert found.whole
            assert found.body == right
        if found.whole and coding == "br" and body:  # of deflate two formats are taken, of gzip several members
            assert right == found.body
    cut = decoded(
        CapturedMessage(b"HTTP/1.1 200 OK", headers, body, holes=((len(body) // 2, 9),), complete=False), LIMIT
    )
    assert not cut.whole


def json_pair(data: bytes) -> None:
    """Two documents by path: no difference exactly where they are equal, and the same seen from the other side."""
    choices = Choices(data)
    texts = [choices.sized().decode("utf-8", "surrogateescape"), choices.rest().decode("utf-8", "surrogateescape")]
    documents = []
    for text in texts:
        try:
            documents.append(parse(text))
        except (ValueError, TooMuch):
            assert not valid(text) or text.startswith("\ufeff") or len(text) > 500
            return
    a, b = documents
    try:
        there, more = diff_json(a, b)
        back, more_back = diff_json(b, a)
        again = diff_json(a, parse(texts[0]))
    except TooMuch:
        assert max(map(len, texts)) > 500
        return
    assert again == ((), 0)
    assert bool(there) == bool(back)
    assert bool(more) == bool(more_back) or more + more_back > 0
    equal = json.dumps(plain(a), sort_keys=False) == json.dumps(plain(b), sort_keys=False)
    if equal:
        assert not there
    elif not there:
        assert sorted_text(a) == sorted_text(b)
    for change in there:
        assert change.original is None or len(change.original) < 1000


def valid(text: str) -> bool:
    """Whether the library takes it."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def plain(value: object) -> object:
    """With keys that are there several times as texts, so that it can be written."""
    if isinstance(value, dict):
        return {repr(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else [type(value).__name__, value]


def sorted_text(value: object) -> str:
    """A document's text with its keys in order."""
    return json.dumps(plain(value), sort_keys=True)


def text_pair(data: bytes) -> None:
    """Two texts by line: rows differ exactly where the texts do, numbers are those of the lines, bounded."""
    choices = Choices(data)
    a, b = choices.sized().decode("latin-1"), choices.rest().decode("latin-1")
    rows, more = diff_text(a, b)
    trimmed = [t.split("\n") for t in (a, b)]
    if trimmed[0][-1] == trimmed[1][-1] == "":
        trimmed = [t[:-1] for t in trimmed]
    assert (trimmed[0] == trimmed[1]) == (not more and all(row.same for row in rows))
    assert not diff_text(a, a)[1]
    for row in rows:
        mine = None if row.original_number is None else trimmed[0][row.original_number - 1]
        other = None if row.mirror_number is None else trimmed[1][row.mirror_number - 1]
        assert (row.original is None) == (mine is None)
        assert (row.mirror is None) == (other is None)
        if row.same:
            assert mine == other
        elif mine is not None and other is not None:
            assert mine != other or len(mine) > 300
    if not more and len(rows) < 400:  # every line that has no partner is told
        told = ([r.original_number for r in rows], [r.mirror_number for r in rows])
        mates = [set(t) for t in trimmed]
        for side in (0, 1):
            lone = [n + 1 for n, line in enumerate(trimmed[side]) if line not in mates[1 - side]]
            assert set(lone) <= set(told[side])


def compared(data: bytes) -> None:
    """Two bodies as they are compared for people: equal where their contents are, the same from both sides, and with secrets
    replaced."""
    choices = Choices(data)
    kind = TYPES[choices.below(len(TYPES))]
    flags = choices.byte()
    one, two = choices.sized(), choices.rest()
    holes = ((len(two) // 2, 5),) if flags & 1 else ()
    a = CapturedMessage(b"HTTP/1.1 200 OK", ((b"content-type", kind),), one)
    b = CapturedMessage(b"HTTP/1.1 200 OK", ((b"content-type", kind),), two, holes=holes, complete=not holes)
    found = compare_bodies(a, b, REDACTOR)
    back = compare_bodies(b, a, REDACTOR)
    assert (found.kind, found.same, found.equivalent) == (back.kind, back.same, back.equivalent)
    assert compare_bodies(a, a, REDACTOR).same is True
    if not holes:
        assert found.same == (one == two)
    else:
        assert found.same is not True
    if found.same:
        assert not found.changes
        assert not found.lines
    assert REDACTOR.body(one, kind.decode()) == REDACTOR.body(one, kind.decode())
    REDACTOR.target(one.decode("latin-1"))
    REDACTOR.header(b"cookie" if flags & 2 else b"x-token", one)


def secret(make: Callable[[str], bytes]) -> Iterable[bytes]:
    """Documents with secrets of several kinds."""
    for word in (
        "hunter2",
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
        "4111 1111 1111 1111",
        "-----BEGIN PRIVATE KEY-----",
    ):
        yield make(word)


def coding_seeds() -> Iterable[bytes]:
    """Every coding, and codings around codings."""
    import brotli
    import zstandard

    text = b'{"items": [1, 2, 3], "name": "abcdefgh"}' * 5
    undo = {
        "gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress,
        "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    }  # fmt: skip
    for n, names in enumerate(CODINGS):
        body = text
        for name in names.split(", "):
            body = undo[name](body)
        yield bytes([n]) + body
    yield bytes([0]) + gzip.compress(b"a") + gzip.compress(b"b")
    yield bytes([1]) + zlib.compress(text)[2:-4]
    yield bytes([0]) + gzip.compress(bytes(1 << 20))


def json_seeds() -> Iterable[bytes]:
    """Documents that differ in each way."""
    pairs = [
        (b'{"a": [1, 2, 3], "b": {"c": null}}', b'{"b": {"c": true}, "a": [1, 3]}'), (b"[1, 1.0, 1e0]", b"[1.0, 1, 1]"),
        (b'{"a": 1, "a": 2}', b'{"a": 2, "a": 1}'), (b'"\\ud800"', b'"\xf0\x9f\x92\xa9"'), (b"[[[]]]" * 1, b"[[{}]]"),
        (b"[" * 60 + b"]" * 60, b"[" * 59 + b"]" * 59), (b"NaN", b"-Infinity"), (b'[1,2,3,4,5,6]', b'[6,5,4,3,2,1]'),
    ]  # fmt: skip
    bodies = [r.partition(b"\r\n\r\n")[2] for _, r in corpus.streams() if b"json" in r[:300]]
    bodies = [body[: body.find(b"HTTP/1.1")] if b"HTTP/1.1" in body else body for body in bodies if body]
    pairs += list(zip(bodies[::9], bodies[1::9], strict=False))[:20]
    return [sized(a) + b for a, b in pairs]


def text_seeds() -> Iterable[bytes]:
    """Lines moved, added, changed."""
    lines = b"1\n2\n3\n4\n5\n6\n7\n8\n9"
    pairs = (
        (b"a\nb\nc\n", b"a\nc\nb\nc"),
        (b"x" * 400, b"x" * 350 + b"y"),
        (b"", b"\n\n"),
        (lines, lines.replace(b"4", b"q")),
    )
    return [sized(a) + b for a, b in pairs]


def compared_seeds() -> Iterable[bytes]:
    """The same, by content type, with secrets."""
    for n in range(len(TYPES)):
        for pair in (*json_seeds(), *text_seeds()):
            yield bytes([n, n & 3]) + pair
    for make in (
        lambda w: b"\0\0" + sized(json.dumps({"password": w, "items": [{"token": w}]}).encode()) + b'{"password": 1}',
        lambda w: b"\3\2" + sized(f"user=a&password={w}&x=1".encode()) + b"user=b",
        lambda w: (
            b"\5\1"
            + sized(f'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n{w}\r\n--x--'.encode())
            + b"--x--"
        ),
    ):
        yield from secret(make)


TARGETS = [
    Target("codings", "gzip, deflate, br, zstd bodies", codings, coding_seeds, longest=8000),
    Target("json", "JSON documents compared", json_pair, json_seeds, longest=4000),
    Target("text", "texts compared", text_pair, text_seeds, longest=4000),
    Target("compared", "bodies compared and redacted", compared, compared_seeds, longest=4000),
]
