"""Secrets planted in every place and coding never come out; equal ones have one word; what is no secret stays."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from planted_secrets import NAMES, Planted, Secret, any_secret, b64, plantings, u_escaped

from inspector.redact import Redactor

R = Redactor(b"a key")
TWO_LINES = "two\r\nlines"
WORD = re.compile(r"redacted:[0-9a-f]{8}")


def word(secret: str) -> str:
    return R.word(secret.encode())


def shown(p: Planted) -> Planted:
    fields = R.headers((name.encode(), value.encode()) for name, value in p.fields)
    return Planted(
        R.target(p.target),
        tuple((name.decode(), value.decode()) for name, value in fields),
        R.body(p.body.encode(), p.kind).decode(),
        p.kind,
    )


def all_of(p: Planted) -> str:
    return "\n".join((p.target, *(value for _, value in p.fields), p.body))


@given(plantings())
@example((Secret("Qabcdefgh7"), Planted("/a?x=Bearer%20Qabcdefgh7")))
@example((Secret("4711"), Planted(body='{"pin": 4711}', kind="application/json")))
@example((Secret("4711"), Planted(body='{"pin": "4711"}', kind="application/json")))
def test_no_secret_comes_out(planted: tuple[Secret, Planted]) -> None:
    secret, place = planted
    out = shown(place)
    text = all_of(out)
    for form in secret.codings():
        assert form not in text, (form, place)
    for _ in range(3):  # nor what is decoded again
        text = unquote(text)
        assert secret.text not in text, place
    assert shown(out) == out


@given(any_secret, st.sampled_from(NAMES))
def test_one_secret_has_one_word(secret: Secret, name: str) -> None:
    s = secret.text
    places = {
        R.target(f"/a?{name}={quote(s, safe='')}"),
        R.target(f"/a?{name}={quote(quote(s, safe=''), safe='')}"),
        R.target(f"/a?q={quote(json.dumps({name: s}), safe='')}"),
        R.target(f"/a?next={quote(f'/b?{name}={quote(s, safe=str())}', safe='')}"),
        R.header(b"authorization", f"Bearer {s}".encode()).decode(),
        R.header(b"cookie", f"a={quote(s, safe='')}".encode()).decode(),
        R.body(json.dumps({name: s}).encode(), "application/json").decode(),
        R.body(json.dumps({"log": json.dumps({name: s})}).encode(), "application/json").decode(),
        R.body(f'{{"{name}": "{u_escaped(s)}"}}'.encode(), "application/json").decode(),
        R.body(f"a=1&{name}={quote(s, safe='')}".encode(), "application/x-www-form-urlencoded").decode(),
    }
    for text in places:
        assert word(s) in text, text
        assert len(WORD.findall(text)) == 1, text
    credentials = (
        R.header(b"authorization", f"Basic {b64(f'bob:{s}')}".encode()).decode(),
        R.target(f"http://bob:{quote(s, safe='')}@h/a"),
        R.body(json.dumps({"url": f"postgres://bob:{quote(s, safe='')}@db/x"}).encode()).decode(),
    )
    for text in credentials:
        assert WORD.findall(text) == [word("bob"), word(s)], text


HARMLESS = [
    "/items?page=2&q=lantern%20lamp&sort=price%2Cname", "/%EB%93%B1%EB%B6%88/1?q=%EC%BA%A0%ED%95%91", "/v1/token:exchange",
    "/users/a%40b.example/x",
    "/search?q=a+b%2Bc&filter=%7B%22a%22%3A%5B1%2C2%5D%7D", "/go?to=https%3A%2F%2Fa.example%2Fb%3Fx%3D1%26y%3D2",
    "/shopping?spin=1&opinion=b",
    "/a?x=1;y=2?z", "/img/data?u=https://host:8080/a@2x.png",
]  # fmt: skip
BODIES = [
    ("application/json", '{"a": "x\\u0042y", "b": "https://shop.example:8080/a@2x.png"}'),
    ("application/json", '{"pinned": true, "pin": null, "pins": [{"pin": {"x": 1}}]}'),
    ("application/json", '{"m": "{\\"a\\": 1, \\"b\\": [\\"x\\"]}", "token_type": "bearer"}'),
    ("application/json", '{"auth": "basic", "note": "Basic authentication"}'),
    ("text/plain", "Basic authentication failed for the bearer of this; see https://a.example/b?x=1&y=2 (100% of 3 + 4)"),
    ("text/html", "<p>Reset your password</p><a href='/a?b=1&amp;c=2'>mailto:a@b.example</a>"),
    ("application/x-www-form-urlencoded", "a=1&b=x+y&c=%7B%22d%22%3A%22e%22%7D&e=a%40b.example"),
    ("multipart/form-data; boundary=x", '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello world\r\n--x--\r\n'),
    ("text/plain", "Server=db;Database=shop;User Id=bob;Encrypt=true"),
    ("application/json", '{"image": "aGVsbG8gd29ybGQ=", "url": "redis://cache:6379/0"}'),
]  # fmt: skip


@pytest.mark.parametrize("target", HARMLESS)
def test_targets_without_secrets_stay(target: str) -> None:
    assert R.target(target) == target
    assert R.header(b"referer", target.encode()) == target.encode()


@pytest.mark.parametrize(("kind", "text"), BODIES)
def test_bodies_without_secrets_stay(kind: str, text: str) -> None:
    assert R.body(text.encode(), kind).decode() == text


words = st.sampled_from(
    ["lantern", "camping", "list", "page", "sort", "name", "items", "12", "3.5", "é", "등불", "a-b", "x_y"]
)


@given(st.lists(st.tuples(words, words), max_size=5), st.sampled_from([0, 1, 2]))
def test_made_up_text_without_secrets_stays(pairs: list[tuple[str, str]], times: int) -> None:
    value = json.dumps(dict(pairs), ensure_ascii=bool(times))
    query = "&".join(f"{quote(a)}={quote(b)}" for a, b in pairs)
    for _ in range(times):
        query = f"next={quote('/a?' + query, safe='')}&q={quote(value, safe='')}"
    assert R.target(f"/a?{query}") == f"/a?{query}"
    for kind, text in (
        ("application/json", value),
        ("application/x-www-form-urlencoded", query),
        ("text/plain", query + "\n" + value),
    ):
        assert R.body(text.encode(), kind).decode() == text


@pytest.mark.parametrize(
    ("kind", "text", "want"),
    [
        ("text/plain", "dsn=postgres://bob:pw@db/x\n", f"dsn=postgres://{word('bob')}:{word('pw')}@db/x\n"),
        ("text/plain", "Server=db;Password=a b;X=1", f"Server=db;Password={word('a b')};X=1"),
        ("text/plain", 'Server=db;Pwd="a;b";X=1', f'Server=db;Pwd="{word("a;b")}";X=1'),
        ("text/plain", "> Cookie: sid=abc; b=c\n> Accept: */*", f"> Cookie: sid={word('abc')}; b={word('c')}\n> Accept: */*"),
        ("text/plain", "Authorization: Bearer abc.", f"Authorization: Bearer {word('abc.')}"),
        ("text/plain", "postgres://bob:p@ss@db/x", f"postgres://{word('bob')}:{word('p@ss')}@db/x"),
        ("application/json", '{"m":"{\\"pin\\":1234}"}', f'{{"m":"{{\\"pin\\":\\"{word("1234")}\\"}}"}}'),
        ("application/json", '{"pin":"1234","pin_code":12}', f'{{"pin":"{word("1234")}","pin_code":"{word("12")}"}}'),
        (
            "multipart/form-data; boundary=x",
            '--x\r\nContent-Disposition: form-data; name=secret\r\n\r\n' + TWO_LINES + '\r\n--x--',
            f'--x\r\nContent-Disposition: form-data; name=secret\r\n\r\n{word(TWO_LINES)}\r\n--x--',
        ),
        ("application/x-www-form-urlencoded", "password=a?b;c&d=1", f"password={word('a?b;c')}&d=1"),
    ],
)  # fmt: skip
def test_examples(kind: str, text: str, want: str) -> None:
    assert R.body(text.encode(), kind).decode() == want
