"""Secrets in bodies: JSON by name and look, forms like queries, other text by what stands before a value.

Bodies are read as latin-1, so that every byte stays itself, and changed in place: all else of a body is as captured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from inspector.redact.names import LOOKS, is_mixed, is_secret, looks_secret, may_be_number, may_be_secret

Word = Callable[[bytes], str]  # what stands for a secret

# Nothing of this in a body, in any case, and there is nothing to do: most bodies end here. Plain searches: one pattern of all
# these would take a hundred times as long.
_HINTS = (
    *(
        "pass",
        "pwd",
        "secret",
        "token",
        "auth",
        "key",
        "sig",
        "sess",
        "sid",
        "jwt",
        "jws",
        "cred",
        "cookie",
        "hmac",
        "csrf",
        "xsrf",
    ),
    *(
        "otp",
        "pin",
        "cvv",
        "cvc",
        "code",
        "nonce",
        "state",
        "assertion",
        "ticket",
        "hash",
        "cert",
        "eyj",
        "akia",
        "asia",
        "aiza",
    ),
    *(
        "ya29",
        "sg.",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github",
        "glpat",
        "xox",
        "rk_",
        "sk_",
        "sk-",
        "shpat",
        "hf_",
        "npm_",
    ),
    *("pypi", "dop_"),
)
_RUN = re.compile(r"[A-Za-z0-9+/_=.~-]{32}")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]")
_NAMED = re.compile(
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|signature|session[_-]?id"
    r"|authorization|cookie|jwt|otp|cvv)[\w.-]{0,40}"
    r"(?P<between>\s{0,4}[\"']?\s{0,4}[=:>]\s{0,4})(?P<quote>[\"'])?(?:(?:Bearer|Basic|Digest|Negotiate)\s{1,4})?"
    r"(?P<value>(?(quote)[^\"'\r\n\\]{1,4096}|[^\s\"'&;,<>\\]{1,4096}))",
    re.IGNORECASE | re.ASCII,
)
_SCHEME = re.compile(r"\b(?:Bearer|Basic)\s{1,4}(?P<value>[A-Za-z0-9._~+/=-]{8,4096})")
_FIELD = re.compile(r'name="(?P<name>[^"\r\n]{1,80})"(?:\r?\n[^\r\n]{1,200}){0,4}\r?\n\r?\n(?P<value>[^\r\n]{1,4096})')
_PEM, _PEM_END, _PRIVATE = "-----BEGIN ", "-----END ", "PRIVATE KEY"


def worth_reading(text: str) -> bool:
    """Whether a body may hold a secret at all."""
    lower = text.lower()
    return any(map(lower.__contains__, _HINTS)) or _RUN.search(text) is not None


def json_text(text: str, word: Word) -> str:
    """A JSON text, or a piece of one, with the secrets in it replaced by strings."""
    out = _in_place(text, word)
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return plain_text(out, word)  # a piece: quotes may not be what they seem
    return out


def _in_place(text: str, word: Word) -> str:
    out: list[str] = []
    at = 0
    for start, end, shown in _json_secrets(text, word):
        out += [text[at:start], shown]
        at = end
    return "".join([*out, text[at:]]) if out else text


def _json_secrets(text: str, word: Word) -> Iterator[tuple[int, int, str]]:
    """Where secrets stand in a JSON text, and what is shown there. A string before a colon is a name, wherever it stands."""
    inherited = [""]  # under each open bracket: the name that makes all in it a secret
    name = ""
    tokens = _TOKEN.finditer(text)
    following = next(tokens, None)
    while following is not None:
        token, following = following, next(tokens, None)
        raw = token[0]
        first = raw[0]
        if first in "[{":
            inherited.append(inherited[-1] or (name if is_secret(name) else ""))
            name = name if first == "[" else ""
        elif first in "]}":
            if len(inherited) > 1:
                inherited.pop()
            name = ""
        elif first == '"':
            if following is not None and following[0] == ":":
                name = unescaped(raw)
            elif _is_secret_text(inherited[-1] or name, raw):
                yield token.start(), token.end(), f'"{word(plain_bytes(raw))}"'
            elif len(raw) >= 12 and (shown := plain_text(raw, word)) != raw:
                yield token.start(), token.end(), shown
        elif _NUMBER.match(raw) and may_be_number(inherited[-1] or name):
            yield token.start(), token.end(), f'"{word(raw.encode("latin-1"))}"'


def _is_secret_text(name: str, raw: str) -> bool:
    value = raw.strip('"')
    if not value:
        return False
    if is_secret(name) or LOOKS.search(value):
        return True
    return len(value) >= 20 and (
        looks_secret(value) if may_be_secret(name) else len(value) >= 32 and looks_mixed(value)
    )


def looks_mixed(value: str) -> bool:
    """Whether a value without a telling name is random text; hexadecimal digests and ids are let through."""
    return looks_secret(value) and is_mixed(value)


def unescaped(raw: str) -> str:
    """A JSON string's text, as far as it can be read."""
    if "\\" not in raw:
        return raw.strip('"')
    try:
        return str(json.loads(raw, strict=False))
    except ValueError:
        return raw.strip('"')


def plain_bytes(raw: str) -> bytes:
    """The bytes of a JSON string without its quotes and escapes: as they would stand in a header."""
    if "\\" not in raw:
        return raw.removeprefix('"').removesuffix('"').encode("latin-1")
    try:
        return str(json.loads(raw.encode("latin-1").decode("utf-8"), strict=False)).encode("utf-8", "surrogatepass")
    except ValueError:
        return raw.encode("latin-1")


def plain_text(text: str, word: Word) -> str:
    """Other text: values behind telling names, tokens by their look, private keys."""

    def hidden(match: re.Match[str]) -> str:
        if match.string.startswith("redacted:", match.start("value")):
            return match[0]
        return match[0][: match.start("value") - match.start()] + word(match["value"].encode("latin-1"))

    def named(match: re.Match[str]) -> str:
        name = match[0][: match.start("between") - match.start()]
        if not is_secret(name) or (match["value"].isdecimal() and not may_be_number(name)):
            return match[0]
        return hidden(match)

    text = _NAMED.sub(named, text)
    text = _SCHEME.sub(hidden, text)
    text = LOOKS.sub(lambda m: word(m[0].encode("latin-1")), text)
    return private_keys(text, word)


def multipart(text: str, word: Word) -> str:
    """multipart/form-data (RFC 7578): fields with telling names, and what other text is searched for."""

    def value(match: re.Match[str]) -> str:
        if not is_secret(match["name"]):
            return match[0]
        return match[0][: match.start("value") - match.start()] + word(match["value"].encode("latin-1"))

    return plain_text(_FIELD.sub(value, text), word)


def private_keys(text: str, word: Word) -> str:
    """PEM blocks of private keys (RFC 7468); one whose end is missing goes on to the end of the text."""
    out: list[str] = []
    at = 0
    while (start := text.find(_PEM, at)) >= 0:
        label = text[start : start + 80].split("\n")[0]
        end = text.find(_PEM_END, start)
        line_end = text.find("\n", end) if end >= 0 else -1
        stop = line_end if line_end >= 0 else len(text)
        if _PRIVATE in label:
            out += [text[at:start], word(text[start:stop].encode("latin-1"))]
        else:
            out.append(text[at:stop])
        at = stop
    return "".join([*out, text[at:]]) if out else text
