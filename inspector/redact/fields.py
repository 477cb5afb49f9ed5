"""Secrets in header fields, by the field's name: credentials, cookies, URLs, and what any other field may hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from inspector.redact import connections, prose
from inspector.redact.codings import Spot, percent
from inspector.redact.names import PLAIN_FIELDS, SECRET_FIELDS, URL_FIELDS, is_secret

if TYPE_CHECKING:
    from inspector.redact.finding import SecretFinder

_LINKED = re.compile(r"<(?P<url>[^<>]{1,8192})>")
_REFRESHED = re.compile(r"[;,]\s{0,8}url\s{0,8}=\s{0,8}[\"']?(?P<url>[^\"']{1,8192})", re.IGNORECASE | re.ASCII)
_PART = re.compile(r"[^;]+")


def found(finder: SecretFinder, name: str, text: str) -> list[Spot]:
    """Where secrets stand in the value of a field; name: in lower case."""
    if name == "cookie":
        return [spot for part in _PART.finditer(text) for spot in cookie(finder, part[0], part.start())]
    if name == "set-cookie":
        first = _PART.match(text)
        spots = cookie(finder, first[0], 0) if first else []
        return spots + finder.parameters(text) if ";" in text else spots
    if name in SECRET_FIELDS or is_secret(name):
        return finder.secret(text)
    if name in ("link", "refresh"):
        return _urls(finder, _LINKED if name == "link" else _REFRESHED, text) + finder.parameters(text)
    if name in URL_FIELDS:
        return finder.target(text)
    if name in PLAIN_FIELDS or name.endswith("-id") or name.startswith(("x-b3-", "x-datadog-")):
        return plain(finder, text) + (_before_host(finder, text) if name in ("host", ":authority") else [])
    return finder.value(name, text, least=20) + finder.parameters(text)


def cookie(finder: SecretFinder, text: str, start: int) -> list[Spot]:
    """One `name=value` of a Cookie or Set-Cookie field (RFC 6265 section 4)."""
    name, equals, value = text.partition("=")
    given = value if equals else name
    at = start + (len(name) + 1 if equals else 0)
    bare = given.strip().strip('"')
    at += given.find(bare)
    return [Spot(at, at + len(bare), finder.word(bare.encode("latin-1", "backslashreplace")))] if bare else []


def plain(finder: SecretFinder, text: str) -> list[Spot]:
    """What may be long and random and is not a secret: only what is named so, or has the look of a token."""
    spots: list[Spot] = []
    undone = percent(text)
    for given in (text, undone.text if undone else ""):
        if given:
            found = (
                prose.looks(given, finder.word)
                + prose.named(given, finder.secret)
                + prose.schemes(given, finder.secret)
            )
            found += [finder.hide(given, *place) for place in connections.userinfo(given) if place[0] < place[1]]
            spots += undone.placed(found) if undone and given is undone.text else found
    return spots + finder.parameters(text)


def _before_host(finder: SecretFinder, text: str) -> list[Spot]:
    """Userinfo before a host, where none belongs."""
    before, at, _host = text.rpartition("@")
    return finder.secret(before) if at else []


def _urls(finder: SecretFinder, pattern: re.Pattern[str], text: str) -> list[Spot]:
    spots: list[Spot] = []
    for match in pattern.finditer(text):
        start = match.start("url")
        spots += [Spot(start + a, start + b, shown) for a, b, shown in finder.target(match["url"])]
    return spots
