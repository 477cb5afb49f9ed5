"""Secrets in text of no known form: values behind telling names, tokens by their look, private keys, lines of a head."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from inspector.redact.codings import Spot
from inspector.redact.names import LOOKS, SECRET_FIELDS, is_secret, may_be_number

Word = Callable[[bytes], str]
Secret = Callable[[str], list[Spot]]  # where the secret stands in a value that is one

# Nothing of this in a text, in any case, and there is nothing to do: most bodies end here. Plain searches: one pattern of all
# these would take a hundred times as long.
_HINTS = (
    *("pass", "pwd", "secret", "token", "auth", "key", "sig", "sess", "sid", "jwt", "jws", "cred", "cookie", "hmac"),
    *(
        "csrf",
        "xsrf",
        "otp",
        "pin",
        "cvv",
        "cvc",
        "puk",
        "code",
        "nonce",
        "state",
        "assertion",
        "ticket",
        "hash",
        "cert",
    ),
    *(
        "bearer",
        "basic",
        "eyj",
        "akia",
        "asia",
        "aiza",
        "ya29",
        "sg.",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github",
    ),
    *(
        "glpat",
        "xox",
        "rk_",
        "sk_",
        "sk-",
        "shpat",
        "hf_",
        "npm_",
        "pypi",
        "dop_",
        "://",
        "@tcp",
        "@unix",
        "jdbc:",
        "\\u0",
    ),
)
_RUN = re.compile(r"[A-Za-z0-9+/_=.~-]{16}")
_NAMED = re.compile(
    r"(?:pass(?:word|wd|phrase|code|key)|pwd|secret|token|(?:api|access|private|account|shared|signing|encryption|subscription|auth)"
    r"[_-]?key|credential|signature|session[_-]?id|authorization|cookie|jwt|otp|cvv|csrf|xsrf|hmac"
    r"|(?<![A-Za-z])(?:pin|sid|sig|pass|jws|cvc|puk)(?![a-z]))[\w.-]{0,40}"
    r"(?P<between>\s{0,4}[\"']?\s{0,4}[=:>]\s{0,4})"
    r"(?P<value>\"(?:\\.|[^\"\\\r\n]){1,4096}\"?|'(?:\\.|[^'\\\r\n]){1,4096}'?"
    r"|(?:(?:Bearer|Basic|Digest|Negotiate|Token)\s{1,4})?[^\s\"'&;,<>\\]{1,4096})",
    re.IGNORECASE | re.ASCII,
)
_SCHEME = re.compile(
    r"(?<![\w-])(?:Bearer|Basic|Token|ApiKey)[ \t+]{1,4}(?P<value>[A-Za-z0-9._~+/=-]{7,4095}[A-Za-z0-9_~+/=-])",
    re.IGNORECASE | re.ASCII,
)
CREDENTIALS = re.compile(
    r"(?:Bearer|Token|ApiKey)[ \t+]{1,4}(?:\S{8,8192}|(?=\D{0,7}\d)\S{4,8192})", re.IGNORECASE | re.ASCII
)  # short words are words: "token ring"
_WORDS = re.compile(r"[A-Za-z]?[a-z]{0,24}(?:[._/-][A-Za-z]?[a-z]{0,24}){0,8}|[A-Z]{1,24}")
_HEAD_LINE = re.compile(
    rf"^(?:[<>*] )?(?P<name>{'|'.join(sorted(map(re.escape, SECRET_FIELDS)))}):[ \t]{{0,8}}(?P<value>[^\r\n]{{1,8192}})",
    re.IGNORECASE | re.MULTILINE,
)
COUNT = 6  # digits behind a name that are a number of something, not a secret, where they are fewer
_LETTER = re.compile(r"[^\W_]")
_PEM, _PEM_END, _PRIVATE = "-----BEGIN ", "-----END ", "PRIVATE KEY"


def worth_reading(text: str) -> bool:
    """Whether a text may hold a secret at all."""
    lower = text.lower()
    for _ in range(3):
        if any(map(lower.__contains__, _HINTS)) or _RUN.search(lower) is not None:
            return True
        if "%" not in lower:
            return False
        lower = unquote(lower, "latin-1").lower()
    return True


def head_lines(text: str, field: Callable[[str, str], list[Spot]]) -> tuple[list[Spot], str]:
    """Secrets of header fields that stand in a text as lines, and the text with blanks in place of these lines' values."""
    if ":" not in text:
        return [], text
    spots: list[Spot] = []
    parts: list[str] = []
    at = 0
    for match in _HEAD_LINE.finditer(text):
        start, end = match.span("value")
        spots += [Spot(start + a, start + b, shown) for a, b, shown in field(match["name"].lower(), match["value"])]
        parts += [text[at:start], " " * (end - start)]
        at = end
    return spots, "".join([*parts, text[at:]])


def named(text: str, secret: Secret) -> list[Spot]:
    """Values behind telling names."""
    spots: list[Spot] = []
    for match in _NAMED.finditer(text):
        name = text[match.start() : match.start("between")]
        if not is_secret(name) or not _LETTER.search(match["value"]):
            continue
        if (
            match["value"].isdecimal()
            and not may_be_number(name)
            and (len(match["value"]) < COUNT or name[-1:] in "sS")
        ):
            continue
        value = match["value"] + ('"' if match["value"][0] == '"' != match["value"][-1:] else "")
        start, size = match.start("value"), len(match["value"])
        spots += [Spot(start + a, start + min(b, size), shown) for a, b, shown in secret(value)]
    return spots


def schemes(text: str, secret: Secret) -> list[Spot]:
    """Tokens behind the name of a scheme (RFC 9110 section 11.1); what is a word, as in `Basic authentication`, is none."""
    spots: list[Spot] = []
    for match in _SCHEME.finditer(text):
        some = len(match[0]) < len(text) or match[0][:5].lower() == "basic"
        if some and _WORDS.fullmatch(match["value"]):
            continue
        spots += [Spot(match.start() + a, match.start() + b, shown) for a, b, shown in secret(match[0])]
    return spots


def looks(text: str, word: Word) -> list[Spot]:
    """Tokens by their look."""
    return [Spot(m.start(), m.end(), word(m[0].encode("latin-1"))) for m in LOOKS.finditer(text)]


def private_keys(text: str, word: Word) -> list[Spot]:
    """PEM blocks of private keys (RFC 7468); one whose end is missing goes on to the end of the text."""
    spots: list[Spot] = []
    at = 0
    while (start := text.find(_PEM, at)) >= 0:
        label = text[start : start + 80].split("\n")[0]
        end = text.find(_PEM_END, start)
        line_end = text.find("\n", end) if end >= 0 else -1
        at = line_end if line_end >= 0 else len(text)
        if _PRIVATE in label:
            spots.append(Spot(start, at, word(text[start:at].encode("latin-1", "backslashreplace"))))
    return spots
