"""Secrets planted in every place and every coding that HTTP has, for tests that look for them in what is shown."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

NAMES = [
    "password", "passwd", "pwd", "db_password", "userpassword", "token", "access_token", "refreshToken", "X-Api-Key", "apiKey",
    "client_secret", "pin", "otp", "sessionId", "csrf_token", "signature", "SharedAccessKey", "passphrase",
]  # fmt: skip
JWT_HEAD = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0."
ALNUM = string.ascii_letters + string.digits
SPECIAL = "!$%&()*+-./:=?@^_~ "


@dataclass(frozen=True)
class Secret:
    """text: as whoever chose it typed it. look: it is known by its look, whatever it is called."""

    text: str
    look: bool = False

    def codings(self) -> set[str]:
        """Every form that must not be found."""
        text = self.text
        once = [quote(text, safe=""), quote(text), quote_plus(text), escaped(text)]
        forms = {
            text,
            json.dumps(text)[1:-1],
            u_escaped(text),
            *once,
            *map(quote, once),
            quote(u_escaped(text)),
            escaped(escaped(text)),
        }
        for given in (text, f"bob:{text}", f"password={text}"):
            plain = base64.b64encode(given.encode()).decode()
            forms |= {
                plain,
                plain.rstrip("="),
                base64.urlsafe_b64encode(given.encode()).decode(),
                quote(plain, safe=""),
            }
        return forms | {form.lower() for form in forms if "%" in form}


def escaped(text: str) -> str:
    """Percent escapes for every character."""
    return "".join(f"%{c:02X}" for c in text.encode())


def u_escaped(text: str) -> str:
    """JSON escapes for every character."""
    return "".join(f"\\u{ord(c):04x}" for c in text)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def random_text(letters: str, least: int = 8, most: int = 24) -> st.SearchStrategy[str]:
    """Text in which a coding can be told from anything else that an output holds."""
    return st.text(letters, min_size=least - 2, max_size=most).map(lambda s: f"Q{s.strip()}7")


simple = random_text(ALNUM).map(Secret)
wild = random_text(ALNUM + SPECIAL).filter(lambda s: "redacted" not in s).map(Secret)
pins = st.integers(10_000_000, 99_999_999).map(lambda n: Secret(str(n)))
tokens = st.one_of(
    random_text(ALNUM + "_-", 20, 40).map(lambda s: Secret(JWT_HEAD + s, True)),
    random_text(ALNUM, 36, 36).map(lambda s: Secret(f"ghp_{s}", True)),
    st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16).map(lambda s: Secret(f"AKIA{s}", True)),
)
any_simple = st.one_of(simple, pins, tokens)
any_secret = st.one_of(any_simple, wild)


# -- what a value may be -----------------------------------------------------------------------------------------------

Inner = Callable[[Secret, str], tuple[str, str]]  # (secret, telling name) -> (name, value)


def _url(s: Secret, name: str) -> tuple[str, str]:
    return "next", f"https://shop.example/cart?a=1&{name}={quote(s.text, safe='')}&b=2"


def _in_json(s: Secret, name: str) -> tuple[str, str]:
    return "filter", json.dumps({"a": [1, {name: s.text}], "b": "x"})


INNER: dict[str, Inner] = {
    "named": lambda s, name: (name, s.text),
    "url": _url,
    "json": _in_json,
    "json-escaped": lambda s, name: ("filter", f'{{"{u_escaped(name)}": "{u_escaped(s.text)}", "a": 1}}'),
    "json-in-json": lambda s, name: ("message", json.dumps({"log": json.dumps({name: s.text})})),
    "form": lambda s, name: ("body", f"a=1&{name}={quote_plus(s.text)}"),
    "basic": lambda s, _: ("q", f"Basic {b64(f'bob:{s.text}')}"),
    "base64": lambda s, _: ("data", b64(f"password={quote(s.text, safe='')}")),
    "postgres": lambda s, _: ("dsn", f"postgres://bob:{quote(s.text, safe='')}@db.example:5432/shop"),
    "redis": lambda s, _: ("cache", f"redis://:{quote(s.text, safe='')}@cache:6379/0"),
    "amqp": lambda s, _: ("broker", f"amqps://bob:{quote(s.text, safe='')}@mq/vhost"),
    "mongodb": lambda s, _: (
        "db",
        f"mongodb+srv://bob:{quote(s.text, safe='')}@a.example,b.example/x?retryWrites=true",
    ),
    "jdbc": lambda s, _: ("db", f"jdbc:mysql://db/shop?user=bob&password={quote(s.text, safe='')}"),
}
PLAIN_INNER: dict[str, Inner] = {  # only for secrets without signs that would end them
    "bearer": lambda s, _: ("q", f"Bearer {s.text}"),
    "ado": lambda s, _: ("conn", f"Server=db,1433;Database=shop;User Id=bob;Password={s.text};Encrypt=true"),
    "azure": lambda s, _: ("conn", f"Endpoint=sb://x.example/;SharedAccessKeyName=all;SharedAccessKey={s.text}"),
    "libpq": lambda s, _: ("conn", f"host=db user=bob password={s.text} dbname=shop"),
    "oracle": lambda s, _: ("db", f"jdbc:oracle:thin:scott/{s.text}@//db:1521/x"),
    "driver": lambda s, _: ("db", f"bob:{s.text}@tcp(db:3306)/shop"),
    "sentence": lambda s, name: ("note", f"it said {name}={s.text} and went on"),
}


# -- where it stands ---------------------------------------------------------------------------------------------------

CODINGS: dict[str, Callable[[str], str]] = {
    "quote": lambda v: quote(v, safe=""),
    "plus": quote_plus,
    "all": escaped,
    "twice": lambda v: quote(quote(v, safe=""), safe=""),
    "plus-twice": lambda v: quote(quote(v, safe=""), safe="%"),
}


@dataclass(frozen=True)
class Planted:
    """Where a secret stands: as a target, header fields, a body with its type."""

    target: str = "/items?page=2"
    fields: tuple[tuple[str, str], ...] = ()
    body: str = ""
    kind: str = ""


Place = Callable[[str, str, Callable[[str], str]], Planted]


def _multipart(name: str, value: str, _code: Callable[[str], str]) -> Planted:
    parts = [("note", "nothing"), (name, value), ("other", "b")]
    text = "".join(f'--xYz\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in parts)
    return Planted(body=f"{text}--xYz--\r\n", kind="multipart/form-data; boundary=xYz")


PLACES: dict[str, Place] = {
    "query": lambda n, v, code: Planted(f"/items?page=2&{n}={code(v)}&z=1"),
    "query-name": lambda n, v, code: Planted(f"/items?{escaped(n)}={code(v)}"),
    "semicolon": lambda n, v, code: Planted(f"/items?a=1;{n}={code(v)}"),
    "fragment": lambda n, v, code: Planted(f"/items?a=1#{n}={code(v)}"),
    "matrix": lambda n, v, code: Planted(f"/items;{n}={code(v)}/next"),
    "json-in-query": lambda n, v, code: Planted(f"/items?q={code(json.dumps({'a': {n: v}}))}"),
    "url-in-query": lambda n, v, code: Planted(f"/go?to={code(f'https://a.example/b?x=1&{n}={quote(v, safe=str())}')}"),
    "referer": lambda n, v, code: Planted(fields=(("Referer", f"https://a.example/b?x=1&{n}={code(v)}"),)),
    "location": lambda n, v, code: Planted(fields=(("Location", f"/b?x=1&{n}={code(v)}#top"),)),
    "link": lambda n, v, code: Planted(fields=(("Link", f'<https://a.example/b?x=1&{n}={code(v)}>; rel="next"'),)),
    "refresh": lambda n, v, code: Planted(fields=(("Refresh", f"5; url=/b?{n}={code(v)}"),)),
    "original-path": lambda n, v, code: Planted(fields=(("X-Envoy-Original-Path", f"/b?{n}={code(v)}"),)),
    "cookie": lambda n, v, code: Planted(fields=(("Cookie", f"theme=dark; {n}={code(v)}"),)),
    "set-cookie": lambda n, v, code: Planted(fields=(("Set-Cookie", f"{n}={code(v)}; Path=/; HttpOnly"),)),
    "parameter": lambda n, v, code: Planted(fields=(("X-Upload", f'file; size=3; {n}="{code(v)}"'),)),
    "json-header": lambda n, v, _: Planted(fields=(("X-Context", json.dumps({"a": 1, n: v})),)),
    "form": lambda n, v, code: Planted(body=f"user=bob&{n}={code(v)}&z=1", kind="application/x-www-form-urlencoded"),
    "json": lambda n, v, _: Planted(body=json.dumps({"a": [{"b": {n: v}}], "z": 1}), kind="application/json"),
    "json-indented": lambda n, v, _: Planted(body=json.dumps([{n: v}], indent=2), kind="application/vnd.x+json"),
    "json-untyped": lambda n, v, _: Planted(body=json.dumps({n: v}, ensure_ascii=False), kind=""),
    "json-escapes": lambda n, v, _: Planted(body=f'{{"{u_escaped(n)}": "{u_escaped(v)}"}}', kind="application/json"),
    "json-in-json": lambda n, v, _: Planted(body=json.dumps({"m": json.dumps({"k": {n: v}})}), kind="application/json"),
    "query-in-json": lambda n, v, code: Planted(
        body=json.dumps({"url": f"/x?a=1&{n}={code(v)}"}), kind="application/json"
    ),
    "json-in-form": lambda n, v, code: Planted(
        body=f"p={code(json.dumps({n: v}))}", kind="application/x-www-form-urlencoded"
    ),
    "text": lambda n, v, code: Planted(body=f"first line\n{n}={code(v)}\nlast line\n", kind="text/plain"),
    "octets": lambda n, v, code: Planted(body=f"first line\n{n}={code(v)}\nlast", kind="application/octet-stream"),
    "multipart": _multipart,
}
NAMED_PLACES: dict[str, Place] = {  # whose name is all that tells
    "authorization": lambda _n, v, _c: Planted(fields=(("Authorization", f"Bearer {v}"),)),
    "proxy-authorization": lambda _n, v, _c: Planted(fields=(("Proxy-Authorization", f"Basic {b64(f'bob:{v}')}"),)),
    "header": lambda n, v, _c: Planted(fields=((f"X-{n}".replace("X-X-", "X-"), v),)),
    "userinfo": lambda _n, v, _c: Planted(f"http://bob:{quote(v, safe='')}@shop/items"),
    "authorization-in-query": lambda _n, v, c: Planted(f"/a?h={c('Bearer ' + v.replace(' ', ''))}"),
}


@st.composite
def plantings(draw: st.DrawFn, secrets: st.SearchStrategy[Secret] = any_secret) -> tuple[Secret, Planted]:
    """A secret, and where it stands."""
    secret, name = draw(secrets), draw(st.sampled_from(NAMES))
    code = draw(st.sampled_from(list(CODINGS.values())))
    if draw(st.integers(0, 5)) == 0:
        place = draw(st.sampled_from(list(NAMED_PLACES.values())))
        return secret, place(name, secret.text, code)
    plain = secret.text.isalnum() or secret.look
    inner = draw(st.sampled_from([*INNER.values(), *(PLAIN_INNER.values() if plain else ())]))
    where, value = inner(secret, name)
    place = draw(st.sampled_from(list(PLACES.values())))
    return secret, place(where, value, code)
