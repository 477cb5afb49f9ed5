"""Secrets never come out, equal stays equal, and what is no secret stays as it is."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector import redact
from inspector.redact import Redactor, quick, redactor
from inspector.redact.names import is_secret, looks_secret, may_be_number, may_be_secret

R = Redactor(b"a key")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
RANDOM = "Zx81LqPw77YtRr5VbNm0"
WORD = re.compile(r"redacted:[0-9a-f]{8}")
SECRETS = ["hunter2", JWT, RANDOM, "ghp_0123456789abcdefghij", "p w+d/%"]


def word(secret: str) -> str:
    return R.word(secret.encode())


def header(name: str, value: str) -> str:
    return R.header(name.encode(), value.encode()).decode()


def body(text: str, kind: str = "application/json") -> str:
    return R.body(text.encode(), kind).decode()


def test_the_word_is_short_stable_and_keyed() -> None:
    assert WORD.fullmatch(R.word(b"hunter2"))
    assert R.word(b"hunter2") == Redactor(b"a key").word(b"hunter2")
    assert R.word(b"hunter2") != Redactor(b"another").word(b"hunter2")
    assert Redactor().word(b"hunter2") != Redactor().word(b"hunter2")
    assert R.word(R.word(b"x").encode()) == R.word(b"x")


@pytest.mark.parametrize(
    ("target", "want"),
    [
        ("/items", "/items"),
        ("/items?page=2&q=lantern", "/items?page=2&q=lantern"),
        ("/a?token=abc&x=1", f"/a?token={word('abc')}&x=1"),
        ("/a?x=1;Password=abc", f"/a?x=1;Password={word('abc')}"),
        ("/a?token=", "/a?token="),
        ("/a?token=a%62c", f"/a?token={word('abc')}"),
        ("/a?pass%77ord=abc", f"/a?pass%77ord={word('abc')}"),
        ("/cb?code=short&state=x", "/cb?code=short&state=x"),
        (f"/cb?code={RANDOM}", f"/cb?code={word(RANDOM)}"),
        (f"/a?{RANDOM}", f"/a?{word(RANDOM)}"),
        (f"/a?whatever={RANDOM}", f"/a?whatever={word(RANDOM)}"),
        ("/a?q=Samsung-UE55-TV-2021-Model", "/a?q=Samsung-UE55-TV-2021-Model"),
        ("/a?id=550e8400-e29b-41d4-a716-446655440000", "/a?id=550e8400-e29b-41d4-a716-446655440000"),
        ("/a?max_tokens=5&token_type=x&password_policy=y", "/a?max_tokens=5&token_type=x&password_policy=y"),
        ("/l;jsessionid=1A2B?x=1#access_token=abc", f"/l;jsessionid={word('1A2B')}?x=1#access_token={word('abc')}"),
        ("http://bob:pw@host/x", f"http://{word('bob')}:{word('pw')}@host/x"),
        ("http://tok3n@host/x", f"http://{word('tok3n')}@host/x"),
        (f"/reset/{JWT}/now", f"/reset/{word(JWT)}/now"),
        (
            "/r?next=https%3A%2F%2Fa.example%2Fb%3Ftoken%3Dabc%26x%3D1",
            f"/r?next=https%3A%2F%2Fa.example%2Fb%3Ftoken%3D{word('abc')}%26x%3D1",
        ),
        (
            "/s?X-Amz-Signature=abc&X-Amz-SignedHeaders=host",
            f"/s?X-Amz-Signature={word('abc')}&X-Amz-SignedHeaders=host",
        ),
        ("*", "*"),
        ("", ""),
    ],
)
def test_targets(target: str, want: str) -> None:
    assert R.target(target) == want
    assert R.changes([target, None]) == ({} if want == target else {target: want})
    assert R.target(want) == want


@pytest.mark.parametrize(
    ("name", "value", "want"),
    [
        ("Authorization", "Bearer abc", f"Bearer {word('abc')}"),
        ("authorization", "abc", word("abc")),
        ("Proxy-Authorization", "Basic dXNlcg==", f"Basic {word('dXNlcg==')}"),
        ("Authorization", 'Digest username="u", response="r"', "Digest " + word('username="u", response="r"')),
        ("Cookie", "a=1; sid=abc; bare", f"a={word('1')}; sid={word('abc')}; {word('bare')}"),
        ("Set-Cookie", "sid=abc; Path=/; HttpOnly", f"sid={word('abc')}; Path=/; HttpOnly"),
        ("X-Forwarded-Client-Cert", "By=spiffe://x;Hash=aa", word("By=spiffe://x;Hash=aa")),
        ("x-api-key", "k1", word("k1")),
        ("x-session", "ed2894de-7154-99b4-bdba-4f85737ac583", word("ed2894de-7154-99b4-bdba-4f85737ac583")),
        ("ssl-client-cert", "-----BEGIN%20CERTIFICATE-----", word("-----BEGIN%20CERTIFICATE-----")),
        ("X-Vault-Token", "s.1", word("s.1")),
        ("x-custom", RANDOM, word(RANDOM)),
        ("x-custom", f"jwt {JWT}", f"jwt {word(JWT)}"),
        ("x-note", "password=hunter2 and more", f"password={word('hunter2')} and more"),
        ("location", "/a?token=abc", f"/a?token={word('abc')}"),
        ("x-request-id", "ed2894de-7154-99b4-bdba-4f85737ac583", None),
        ("x-correlation-id", RANDOM, None),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
        ("x-b3-traceid", "0af7651916cd43dd8448eb211c80319c", None),
        ("etag", '"33a64df551425fcc55e4d42a148795d9f25f89d4"', None),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", None),
        ("x-envoy-peer-metadata", "Ci8KDFNFUlZJQ0VfTkFNRRIfCh1wcm9kdWN0", None),
        ("content-type", "application/json; charset=utf-8", None),
        ("x-max-tokens", "50", None),
        ("host", "catalog-shadow:8080", None),
        ("cookie", "", None),
    ],
)
def test_headers(name: str, value: str, want: str | None) -> None:
    assert header(name, value) == (value if want is None else want)
    assert header(name, header(name, value)) == header(name, value)


def test_fields_keep_order_and_names() -> None:
    fields = [(b"Cookie", b"a=1"), (b"A", b"b"), (b"Cookie", b"a=1"), (b"", b"no name")]
    out = R.headers(fields)
    assert [name for name, _ in out] == [name for name, _ in fields]
    assert out[0] == out[2] != fields[0]
    assert out[1] == fields[1]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('{"a": 1, "b": [true, null]}', None),
        ('{"password" : "hunter2","a":1}', f'{{"password" : "{word("hunter2")}","a":1}}'),
        ('{"pass\\u0077ord":"h\\u0075nter2"}', f'{{"pass\\u0077ord":"{word("hunter2")}"}}'),
        ('{"password":1234,"token":null,"secret":true}', f'{{"password":"{word("1234")}","token":null,"secret":true}}'),
        ('{"tokens":["a","b",{"c":"d"}],"x":"a"}', f'{{"tokens":["{word("a")}","{word("b")}",{{"c":"{word("d")}"}}],"x":"a"}}'),
        ('{"credentials":{"user":"bob","ttl":5},"a":"bob"}', f'{{"credentials":{{"user":"{word("bob")}","ttl":5}},"a":"bob"}}'),
        ('{"usage":{"total_tokens":5,"max_tokens":"9"},"token_type":"bearer"}', None),
        ('{"key":"color","value":"black"}', None),
        (f'{{"key":"{RANDOM}"}}', f'{{"key":"{word(RANDOM)}"}}'),
        (f'["{JWT}"]', f'["{word(JWT)}"]'),
        ('{"sha":"d41d8cd98f00b204e9800998ecf8427e"}', None),
        ('{"url":"https://x/?token=abc&a=b"}', f'{{"url":"https://x/?token={word("abc")}&a=b"}}'),
        ('{"log":"password=hunter2\\nnext"}', f'{{"log":"password={word("hunter2")}\\nnext"}}'),
        ('{"password":"hunt', f'{{"password":"{word("hunt")}"'),
        ('{"password":"', None),
        ('rest"},{"password":"hunter2"}]', f'rest"}},{{"password":"{word("hunter2")}"}}]'),
    ],
)  # fmt: skip
def test_json(text: str, want: str | None) -> None:
    assert body(text) == (text if want is None else want)
    assert body(body(text)) == body(text)


@pytest.mark.parametrize(
    ("kind", "text", "want"),
    [
        ("application/x-www-form-urlencoded", "user=bob&password=p+w&x=1", f"user=bob&password={word('p w')}&x=1"),
        ("text/plain", "Authorization: Bearer abcdefghij\nx", f"Authorization: Bearer {word('abcdefghij')}\nx"),
        ("text/xml", "<a><password>hunter2</password></a>", f"<a><password>{word('hunter2')}</password></a>"),
        (
            "multipart/form-data; boundary=x",
            '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--x--',
            f'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n{word("hunter2")}\r\n--x--',
        ),
        ("text/plain", "nothing to see here, however long", "nothing to see here, however long"),
        ("image/png", "password=hunter2", "password=hunter2"),
        ("", '{"token":"abc"}', f'{{"token":"{word("abc")}"}}'),
        ("", "binary\0 password=hunter2", "binary\0 password=hunter2"),
    ],
)
def test_other_bodies(kind: str, text: str, want: str) -> None:
    assert body(text, kind) == want
    assert body(want, kind) == want


def test_private_keys() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
    assert body(f"a\n{key}\nb", "text/plain") == f"a\n{word(key)}\nb"
    assert "MIIEow" not in body(key[:45], "text/plain")
    public = "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n"
    assert body(public + key, "text/plain") == public + word(key)


def test_wide_encodings() -> None:
    for encoding in ("utf-16", "utf-16-le"):
        data = '{"password":"hunter2"}'.encode(encoding)
        kind = "application/json" + ("; charset=UTF-16LE" if encoding.endswith("le") else "")
        assert json.loads(R.body(data, kind).decode(encoding)) == {"password": word("hunter2")}
    assert R.body(b"\xff\xfe\x00\xd8\x00", "text/plain") == R.word(b"\xff\xfe\x00\xd8\x00").encode()


def test_equal_stays_equal_everywhere() -> None:
    places = [
        header("authorization", f"Bearer {RANDOM}"),
        R.target(f"/a?access_token={RANDOM}"),
        body(json.dumps({"token": RANDOM})),
        body(f"token={RANDOM}", "application/x-www-form-urlencoded"),
        body(f"token: {RANDOM}", "text/plain"),
    ]
    assert {found for text in places for found in WORD.findall(text)} == {word(RANDOM)}


def test_keep_changes_nothing() -> None:
    keep = Redactor(keep=True)
    assert keep.headers([(b"cookie", b"a=b")]) == [(b"cookie", b"a=b")]
    assert keep.target("/?token=a") == "/?token=a"
    assert keep.changes(["/?token=a"]) == {}
    assert keep.body(b'{"password":"x"}', "application/json") == b'{"password":"x"}'


def test_the_module_uses_one_redactor() -> None:
    before = redact.current()
    try:
        redact.use(b"a key")
        assert redact.target("/?token=abc") == R.target("/?token=abc")
        assert redact.headers([(b"Cookie", b"a=1")]) == R.headers([(b"Cookie", b"a=1")])
        assert redact.body(b'{"otp":"1"}') == R.body(b'{"otp":"1"}')
        redact.use(keep=True)
        assert redact.target("/?token=abc") == "/?token=abc"
    finally:
        redactor._current = before


def test_names() -> None:
    for name in (
        "password",
        "X-Api-Key",
        "apiKey",
        "API_KEY",
        "access_token",
        "refreshToken",
        "sessionId",
        "PHPSESSID",
        "client_secret",
    ):
        assert is_secret(name), name
    for name in (
        "tokenizer",
        "secretary",
        "author",
        "passenger",
        "keyboard",
        "compass",
        "design",
        "tokens_used",
        "session_timeout_ms",
    ):
        assert not is_secret(name), name
    assert may_be_secret("key")
    assert not may_be_secret("keyboard")
    assert may_be_number("otp")
    assert not may_be_number("token")


def test_looks() -> None:
    for value in SECRETS[1:4]:
        assert looks_secret(value), value
    for value in (
        "lorempixel-example-640-480-abcdefgh",
        "2026-11-21T03:09:26.429573000Z",
        "Samsung-UE55-TV-2021",
        "x" * 50,
        "1" * 30,
    ):
        assert not looks_secret(value), value


# -- properties --------------------------------------------------------------------------------------------------------

plain = st.text(st.characters(min_codepoint=97, max_codepoint=122), max_size=8)
leaves = st.none() | st.booleans() | st.integers(-9, 9) | plain
documents = st.recursive(
    leaves, lambda d: st.lists(d, max_size=3) | st.dictionaries(plain, d, max_size=3), max_leaves=12
)


def secret_free(value: Any, path: str = "") -> Any:
    """The document with what stands under a telling name taken out."""
    if isinstance(value, dict):
        return {k: secret_free(v, k) for k, v in value.items() if not is_secret(k)}
    return [secret_free(v) for v in value] if isinstance(value, list) else value


@given(
    documents,
    st.sampled_from(["password", "accessToken", "x_api_key"]),
    st.text(min_size=1),
    st.sampled_from([None, 2]),
)
def test_json_stays_json_and_the_secret_goes(doc: Any, name: str, secret: str, indent: int | None) -> None:
    secret = f"<{secret}>"
    text = json.dumps({"doc": doc, "in": [{name: secret}], "again": {name: {"deep": [secret]}}}, indent=indent)
    out = json.loads(body(text))
    assert secret_free(out["doc"]) == secret_free(doc)
    assert out["in"] == [{name: R.word(secret.encode("utf-8", "surrogatepass"))}]
    assert out["again"] == {name: {"deep": [R.word(secret.encode("utf-8", "surrogatepass"))]}}


@given(
    st.binary(max_size=200),
    st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/x", ""]),
)
def test_any_bytes_twice_are_as_once(data: bytes, kind: str) -> None:
    once = R.body(data, kind)
    assert R.body(once, kind) == once


@given(st.text(st.characters(max_codepoint=255), max_size=100))
def test_any_target(text: str) -> None:
    once = R.target(text)
    assert R.target(once) == once
    assert once.count("&") == text.count("&") or "%" in text


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["token", "q", "pin", "a[b]", "key", "x"]), st.from_regex(r"[\w.~-]{0,40}", fullmatch=True)
        )
    ),
    st.sampled_from(["/a", "/sk_live_1", "/a/ghp_0123456789abcdefghij", "/a:b"]),
)
def test_the_quick_way_says_the_same(pairs: list[tuple[str, str]], path: str) -> None:
    text = f"{path}?" + "&".join(f"{name}={value}" for name, value in pairs)
    known = quick.simple(text, R.word)
    assert known is None or known == R._read_target(text)


@given(st.binary(max_size=20), st.binary(max_size=60))
def test_any_field(name: bytes, value: bytes) -> None:
    ((kept, once),) = R.headers([(name, value)])
    assert kept == name
    assert R.header(name, once) == once


@given(st.sampled_from(SECRETS), st.sampled_from(["token", "password", "x-api-key", "sig"]), plain)
def test_a_named_secret_never_comes_out(secret: str, name: str, around: str) -> None:
    from urllib.parse import quote, quote_plus

    assert secret not in R.target(f"/{around}?{name}={quote(secret)}&{around}=1")
    assert secret not in R.target(f"/{around}?a=1&{name}={quote_plus(secret)}")
    assert secret not in header(name, secret)
    assert secret not in body(json.dumps({around: {name: secret}}))


HOSTILE = [
    b"eyJ", b"eyJaaaaaa.", b"token", b"token=", b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN ", b" ghp_", b'"', b'\\"', b'{"a":',
    b"[", b'{"token":[', b'name="a"\r\n', b"Bearer ", b"A1b2" * 9, b"password\t\t\t\t", b";=", b"%41",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_hostile_texts_take_linear_time(piece: bytes) -> None:
    kinds = ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")

    def took(size: int) -> float:
        data = (piece * (size // len(piece) + 1))[:size]
        began = time.process_time()
        for kind in kinds:
            R.body(data, kind)
        R.target("/?" + data[: size // 8].decode("latin-1"))
        R.header(b"x-anything", data[: size // 4])
        return time.process_time() - began

    took(1000)
    small = min(took(20_000) for _ in range(3))
    assert min(took(200_000) for _ in range(2)) < 40 * max(small, 0.001)  # squares would be a hundred
