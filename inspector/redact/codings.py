"""Codings that text may stand in: percent escapes, JSON escapes, base64; undone with the place of every character.

A secret is found in the decoded text and replaced in the text as it stands: all else of it stays as it was captured, however
deep the codings are nested. Text is latin-1 throughout: a character is a byte.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote

ROUNDS = 8  # of codings around codings that are undone
LONGEST_BASE64 = 1 << 20

_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_PERCENT_OR_PLUS = re.compile(r"%[0-9A-Fa-f]{2}|\+")
_PAIR = r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
_ESCAPE = re.compile(rf'{_PAIR}|\\u[0-9A-Fa-f]{{4}}|\\["\\/bfnrt]')
_BASE64 = tuple(  # with a slash as a letter, and with one before it: behind a path, say
    re.compile(rf"(?<![{letters}])[{letters}]{{12,{LONGEST_BASE64}}}={{0,2}}(?![={letters}])")
    for letters in ("A-Za-z0-9+/_-", "A-Za-z0-9_-")
)
_URL_SAFE = str.maketrans("-_", "+/")


class Spot(NamedTuple):
    """Where a secret stands, and what is shown there."""

    start: int
    end: int
    shown: str


class Undone(NamedTuple):
    """Decoded text. at[i]: where in the coded text character i begins; one more for the end. encode: a text coded again."""

    text: str
    at: list[int]
    encode: Callable[[str], str]

    def placed(self, spots: list[Spot]) -> list[Spot]:
        """Places in the decoded text as places in the coded one."""
        return [Spot(self.at[start], self.at[end], self.encode(shown)) for start, end, shown in spots]


def _undone(text: str, escapes: Iterator[tuple[int, int, str]], encode: Callable[[str], str]) -> Undone | None:
    """With each of `escapes` (start, end, what it means) undone; None where there is none."""
    parts: list[str] = []
    at: list[int] = []
    last = 0
    for start, end, meant in escapes:
        parts += [text[last:start], meant]
        at += range(last, start)
        at += [start] * len(meant)
        last = end
    if not parts:
        return None
    at += range(last, len(text) + 1)
    return Undone("".join([*parts, text[last:]]), at, encode)


def percent(text: str, plus: bool = False) -> Undone | None:
    """Percent escapes undone (RFC 3986 section 2.1), and with `plus` those of forms; None where there are none."""
    if "%" not in text and not (plus and "+" in text):
        return None
    pattern = _PERCENT_OR_PLUS if plus else _PERCENT

    found = ((m.start(), m.end(), " " if m[0] == "+" else chr(int(m[0][1:], 16))) for m in pattern.finditer(text))
    return _undone(text, found, quoted)


def quoted(text: str) -> str:
    """A text with percent escapes; the colon of a redacted word needs none."""
    return quote(text.encode("latin-1", "backslashreplace"), safe=":")


def json_string(text: str) -> Undone | None:
    """The escapes of a JSON string undone (RFC 8259 section 7): its bytes in UTF-8. None where there are none."""
    if "\\" not in text:
        return None
    found = ((m.start(), m.end(), _meant(m[0])) for m in _ESCAPE.finditer(text))
    return _undone(text, found, for_json)


def _meant(escape: str) -> str:
    return str(json.loads(f'"{escape}"')).encode("utf-8", "surrogatepass").decode("latin-1")


def for_json(text: str) -> str:
    """A text as it stands within a JSON string; bytes beyond ASCII stay bytes."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def from_base64(text: str) -> str | None:
    """What base64 (RFC 4648 section 4 or 5) says, where it is text; None for all else."""
    bare = text.rstrip("=")
    if len(bare) % 4 == 1 or len(bare) > LONGEST_BASE64 or len(text) - len(bare) > 2:
        return None
    try:
        raw = binascii.a2b_base64(bare.translate(_URL_SAFE) + "=" * (-len(bare) % 4), strict_mode=True)
    except (ValueError, binascii.Error):
        return None
    return raw.decode("latin-1") if _is_text(raw) else None


def _is_text(raw: bytes) -> bool:
    if not raw:
        return False
    if raw.isascii():
        return raw.decode("ascii").replace("\n", "").replace("\r", "").replace("\t", "").isprintable()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return len(raw) >= 16 and all(c.isprintable() or c in "\r\n\t" for c in text)


def base64_runs(text: str) -> Iterator[tuple[int, int, str]]:
    """Runs that base64 may have made of text: (start, end, the text)."""
    for pattern in _BASE64 if "/" in text else _BASE64[:1]:
        for match in pattern.finditer(text):
            meant = from_base64(match[0])
            if meant is not None:
                yield match.start(), match.end(), meant


def canonical(secret: bytes) -> bytes:
    """A secret without its codings: what its word is made of, so that it has one word in all of them.

    Two secrets that differ in nothing but codings have one word as well, as `a b` and `a+b` have.
    """
    text = secret.decode("latin-1")
    for _ in range(ROUNDS):
        before = text
        for undo in (percent, json_string):
            found = undo(text)
            text = found.text if found else text
        if len(text) >= 8 and (meant := from_base64(text.strip())) is not None:
            text = meant
        if text == before:
            break
    return text.replace("+", " ").strip().encode("latin-1")
