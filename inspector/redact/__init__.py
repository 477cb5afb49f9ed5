"""Secrets in captured text are replaced by a short keyed hash, `redacted:1a2b3c4d`: equal stays equal, nothing can be looked up.

The word holds the first 32 bits of BLAKE2b, keyed, over the secret's bytes without percent or JSON escapes, so a token has
one word in headers, queries and bodies. Without a key a short password could be found by trying words. The command takes the
key from the captures' first bytes: the same captures give the same words at every run, and who lacks them cannot try. Hence
there is no option for a salt. In a library the key is random until `use`.

Names decide first (authorization, cookies, `token=`, `"password":`), then looks (JWT, known prefixes, private keys, long random
text). This finds what is usual; nothing can find all. Bodies are to be given without content codings.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote_from_bytes, unquote_to_bytes

from inspector.redact import bodies
from inspector.redact.names import (
    LOOKS,
    PLAIN_FIELDS,
    SECRET_FIELDS,
    URL_FIELDS,
    is_secret,
    looks_secret,
    may_be_secret,
)

__all__ = ["Redactor", "body", "current", "headers", "target", "use"]

WORD = "redacted:"
KEPT = 512  # characters of a target that is remembered: most repeat
_DONE = re.compile(r"redacted:[0-9a-f]{8}")
# What a target needs to be looked at closely: a look, userinfo; or behind its path a telling name, a name with escaped letters,
# or a long value.
_MARK = re.compile(r"[?#;]")
_LOOK = re.compile(r"eyJ|AKIA|ASIA|AIza|ya29|SG\.|gh[pousr]_|github|glpat|xox|[sr]k[_-]|shpat|hf_|npm_|pypi|dop_|@")
_HINT = re.compile(
    r"pass|pwd|secret|token|key|sig|sess|sid|jw[st]|cred|auth|cookie|hmac|[cx]srf|otp|cv[vc]|assertion|%[4-7][0-9A-Fa-f]"
    r"|[\w+/.~%-]{18}",
    re.IGNORECASE | re.ASCII,
)
_PAIR = re.compile(r"[^&;?#]+")
_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]{0,20}://)([^/?#@]{1,1000})@")
_MATRIX = re.compile(r";([^;/=]{1,200})=([^;/]{1,8192})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,30}) +(?=\S)")
_CHARSET = re.compile(r"charset=\"?([a-z0-9-]+)")
MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
WIDE = frozenset(("utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"))
BINARY = (
    "image/",
    "audio/",
    "video/",
    "font/",
    "application/octet-stream",
    "application/grpc",
    "application/zip",
    "application/pdf",
)

Field = tuple[bytes, bytes]


class Redactor:
    """Replaces secrets with words that its key makes; with `keep` it changes nothing."""

    def __init__(self, key: bytes | None = None, keep: bool = False) -> None:
        self.key = blake2b(secrets.token_bytes(32) if key is None else key, digest_size=32).digest()
        self.keep = keep
        self._remembered = lru_cache(maxsize=1 << 15)(self._target)

    def word(self, secret: bytes) -> str:
        """What stands for a secret; what is a redacted word already stays."""
        if len(secret) == len(WORD) + 8 and _DONE.fullmatch(secret.decode("latin-1")):
            return secret.decode("latin-1")
        return WORD + blake2b(secret, digest_size=4, key=self.key).hexdigest()

    # -- targets -----------------------------------------------------------------------------------------------------

    def target(self, text: str) -> str:
        """A request target or URL: values in its query, its fragment and its matrix parameters, userinfo, tokens in its path."""
        if self.keep:
            return text
        mark = _MARK.search(text)
        if (mark is None or not _HINT.search(text, mark.start())) and not _LOOK.search(text):
            return text
        return self._remembered(text) if len(text) <= KEPT else self._target(text)

    def changes(self, texts: Iterable[str | None]) -> dict[str | None, str | None]:
        """The targets among `texts` that are not shown as they are, and what they become."""
        if self.keep:
            return {}
        return {text: shown for text in set(texts) if text is not None and (shown := self.target(text)) != text}

    def _target(self, text: str, nested: bool = False) -> str:
        cut = min((i for i in (text.find("?"), text.find("#")) if i >= 0), default=len(text))
        path, rest = text[:cut], text[cut:]
        path = _USERINFO.sub(lambda m: f"{m[1]}{self.word(_bytes(m[2]))}@", path)
        path = _MATRIX.sub(lambda m: f";{m[1]}={self._value(m[1], m[2], nested)}", path)
        path = LOOKS.sub(lambda m: self.word(_bytes(m[0])), path)
        return path + _PAIR.sub(lambda m: self._pair(m[0], nested), rest)

    def _pair(self, text: str, nested: bool) -> str:
        """`name=value` of a query."""
        name, equals, value = text.partition("=")
        if not equals:
            return self.word(_bytes(name)) if looks_secret(name) else name
        return f"{name}={self._value(name, value, nested)}"

    def _value(self, name: str, value: str, nested: bool) -> str:
        """What a value in a URL becomes; it may be a URL itself."""
        raw = unquote_to_bytes(_bytes(value.replace("+", " "))) if "%" in value or "+" in value else _bytes(value)
        plain = raw.decode("latin-1")
        name = unquote_to_bytes(_bytes(name)).decode("latin-1") if "%" in name else name
        if not value:
            return value
        if is_secret(name) or looks_secret(plain) or looks_secret(value):
            return self.word(raw)
        if not nested and ("=" in plain or LOOKS.search(plain)):
            inner = self._target(plain, True)
            if inner != plain:
                return quote_from_bytes(_bytes(inner), safe=":")
        return value

    # -- headers -----------------------------------------------------------------------------------------------------

    def headers(self, fields: Iterable[Field]) -> list[Field]:
        """Header fields, (name, value) in bytes, as they may be shown."""
        fields = list(fields)
        return fields if self.keep else [(name, self.header(name, value)) for name, value in fields]

    def header(self, name: bytes, value: bytes) -> bytes:
        """The value of one field as it may be shown."""
        if self.keep or not value:
            return value
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        return self._header(key, text).encode("latin-1")

    def _header(self, name: str, text: str) -> str:
        if name == "cookie":
            return ";".join([self._cookie(part) for part in text.split(";")])
        if name == "set-cookie":
            first, semicolon, attributes = text.partition(";")
            return self._cookie(first) + semicolon + attributes
        if name in SECRET_FIELDS or is_secret(name):
            scheme = _SCHEME.match(text) if name.endswith("authorization") else None
            start = scheme.end() if scheme else 0
            return text[:start] + self.word(_bytes(text[start:]))
        if name in URL_FIELDS:
            return self.target(text)
        if name in PLAIN_FIELDS or name.endswith("-id") or name.startswith(("x-b3-", "x-datadog-")):
            return LOOKS.sub(lambda m: self.word(_bytes(m[0])), text)
        if looks_secret(text) and (bodies.looks_mixed(text) or may_be_secret(name)):
            return self.word(_bytes(text))
        return bodies.plain_text(text, self.word) if len(text) >= 12 else text

    def _cookie(self, text: str) -> str:
        """One `name=value` of a Cookie or Set-Cookie field (RFC 6265 section 4)."""
        name, equals, value = text.partition("=")
        bare = (value if equals else name).strip()
        if not bare:
            return text
        word = self.word(_bytes(bare.strip('"')))
        return f"{name}={word}" if equals else word

    # -- bodies ------------------------------------------------------------------------------------------------------

    def body(self, data: bytes, content_type: str = "") -> bytes:
        """A body without content codings as it may be shown. What is neither text nor JSON stays as it is."""
        if self.keep or not data:
            return data
        kind, _, parameters = content_type.lower().partition(";")
        kind = kind.strip()
        encoding = wide_encoding(data, parameters)
        if kind.startswith(BINARY) or (encoding is None and b"\0" in data[:1024]):
            return data
        if encoding is not None:
            try:
                text = data.decode(encoding).encode("utf-8").decode("latin-1")
                return self._text(text, kind).encode("latin-1").decode("utf-8").encode(encoding)
            except UnicodeError:  # not what it says: nothing in it can be told from anything else
                return self.word(data).encode()
        return self._text(data.decode("latin-1"), kind).encode("latin-1")

    def _text(self, text: str, kind: str) -> str:
        if not bodies.worth_reading(text):
            return text
        if "json" in kind or text.lstrip()[:1] in ("{", "["):
            return bodies.json_text(text, self.word)
        if kind == "application/x-www-form-urlencoded":
            return _PAIR.sub(lambda m: self._pair(m[0], False), text)
        if kind.startswith("multipart/"):
            return bodies.multipart(text, self.word)
        return bodies.plain_text(text, self.word)


def wide_encoding(data: bytes, parameters: str) -> str | None:
    """The encoding of a text whose characters take two or four bytes, None for all others."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    match = _CHARSET.search(parameters)
    return match[1] if match and match[1] in WIDE else None


def _bytes(text: str) -> bytes:
    return text.encode("latin-1", "backslashreplace")


_current = Redactor()


def use(key: bytes | None = None, keep: bool = False) -> Redactor:
    """From now on `headers`, `target` and `body` use this key (None: a random one), or change nothing with `keep`."""
    global _current
    _current = Redactor(key, keep)
    return _current


def current() -> Redactor:
    """The redactor in use."""
    return _current


def headers(fields: Iterable[Field]) -> list[Field]:
    """Header fields as they may be shown: see Redactor.headers."""
    return _current.headers(fields)


def target(text: str) -> str:
    """A request target as it may be shown: see Redactor.target."""
    return _current.target(text)


def body(data: bytes, content_type: str = "") -> bytes:
    """A body as it may be shown: see Redactor.body."""
    return _current.body(data, content_type)
