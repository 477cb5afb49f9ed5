"""Secrets in captured text are replaced by a short keyed hash, `redacted:1a2b3c4d`: equal stays equal, nothing can be looked up.

The word holds the first 32 bits of BLAKE2b, keyed, over the secret's bytes without their codings (`redact.codings`), so a token
has one word in headers, queries and bodies. Without a key a short password could be found by trying words. The command takes the
key from the captures' first bytes: the same captures give the same words at every run, and who lacks them cannot try. Hence
there is not an option for a salt. In a library the key is random until `use`.

Names decide first (authorization, cookies, `token=`, `"password":`), then looks (JWT, known prefixes, private keys, long random
text). This finds what is usual; nothing can find all. Bodies are to be given without content codings.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b

from inspector.redact import quick
from inspector.redact.codings import canonical
from inspector.redact.finding import SecretFinder, applied
from inspector.redact.prose import worth_reading

WORD = "redacted:"
KEPT = 512  # characters of a target that is remembered: most repeat
STEPS = 5  # times that a text is gone through until nothing in it changes
_DONE = re.compile(r"redacted:[0-9a-f]{8}")
_BOUNDARY = re.compile(r"boundary=(?:\"([^\"\r\n]{1,200})\"|([^\s;\"]{1,200}))", re.IGNORECASE)
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
OCTETS = "application/octet-stream"  # says nothing of what it is: text, often

Field = tuple[bytes, bytes]


class Redactor:
    """Replaces secrets with words that its key makes; with `keep` it changes nothing."""

    def __init__(self, key: bytes | None = None, keep: bool = False) -> None:
        self.key = blake2b(secrets.token_bytes(32) if key is None else key, digest_size=32).digest()
        self.keep = keep
        self._finder = SecretFinder(self.word)
        self._remembered = lru_cache(maxsize=1 << 15)(self._target)

    def word(self, secret: bytes) -> str:
        """What stands for a secret; what is a redacted word already stays."""
        if len(secret) == len(WORD) + 8 and _DONE.fullmatch(secret.decode("latin-1")):
            return secret.decode("latin-1")
        return WORD + blake2b(canonical(secret), digest_size=4, key=self.key).hexdigest()

    # -- targets -----------------------------------------------------------------------------------------------------

    def target(self, text: str) -> str:
        """A request target or URL: values in its query, its fragment and its matrix parameters, userinfo, tokens in its path."""
        if self.keep:
            return text
        if not quick.worth_reading(text):
            return text
        return self._remembered(text) if len(text) <= KEPT else self._target(text)

    def changes(self, texts: Iterable[str | None]) -> dict[str | None, str | None]:
        """The targets among `texts` that are not shown as they are, and what they become."""
        if self.keep:
            return {}
        return {text: shown for text in set(texts) if text is not None and (shown := self.target(text)) != text}

    def name(self, text: str) -> str:
        """A host or an id of a request: what is random and no secret, but for what somebody has put into it."""
        if self.keep or not quick.worth_reading_name(text):
            return text
        return self.header(b"host", text.encode("latin-1", "surrogateescape")).decode("latin-1")

    def named(self, texts: Iterable[str | None]) -> dict[str | None, str | None]:
        """The names among `texts` that are not shown as they are, and what they become."""
        if self.keep:
            return {}
        return {text: shown for text in set(texts) if text is not None and (shown := self.name(text)) != text}

    def _target(self, text: str) -> str:
        known = quick.simple(text, self.word)
        return known if known is not None else stable(text, self._read_target)

    def _read_target(self, text: str) -> str:
        return applied(text, self._finder.target(text))

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
        return stable(text, lambda given: applied(given, self._finder.field(key, given))).encode("latin-1")

    # -- bodies ------------------------------------------------------------------------------------------------------

    def body(self, data: bytes, content_type: str = "") -> bytes:
        """A body without content codings as it may be shown. What is neither text nor JSON stays as it is."""
        if self.keep or not data:
            return data
        kind, _, parameters = content_type.lower().partition(";")
        kind = kind.strip()
        given = _BOUNDARY.search(content_type)
        boundary = (given[1] or given[2]) if given else ""
        encoding = wide_encoding(data, parameters)
        binary = kind.startswith(BINARY) and kind != OCTETS and not kind.endswith(("+xml", "+json"))
        if binary or (encoding is None and b"\0" in data[:1024]):
            return data
        if encoding is not None:
            try:
                text = data.decode(encoding).encode("utf-8").decode("latin-1")
                return self._text(text, kind, boundary).encode("latin-1").decode("utf-8").encode(encoding)
            except UnicodeError:  # not what it says: nothing in it can be known from anything else
                return self.word(data).encode()
        return self._text(data.decode("latin-1"), kind, boundary).encode("latin-1")

    def _text(self, text: str, kind: str, boundary: str) -> str:
        if not worth_reading(text):
            return text
        return stable(text, lambda given: applied(given, self._finder.document(given, kind, boundary)))


def stable(text: str, change: Callable[[str], str]) -> str:
    """What a text becomes, so that doing it again changes nothing: what stands beside a word may look otherwise than before."""
    for _ in range(STEPS):
        changed = change(text)
        if changed == text:
            break
        text = changed
    return text


def wide_encoding(data: bytes, parameters: str) -> str | None:
    """The encoding of a text whose characters take two or four bytes, None for all others."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    match = _CHARSET.search(parameters)
    return match[1] if match and match[1] in WIDE else None


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
