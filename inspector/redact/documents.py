"""Secrets in JSON texts and multipart bodies: places in the text, so that all else of it stays as captured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from inspector.redact.codings import Spot, json_string, percent
from inspector.redact.names import is_secret, looks_secret, may_be_number, of_one_value

if TYPE_CHECKING:
    from inspector.redact.finding import SecretFinder

LONG = 32  # characters of a string without a telling name that may be a secret by its look; ids and digests are shorter, mostly
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]")
_DISPOSITION = re.compile(
    r"^content-disposition:[^\r\n]{0,200}?[;\s]name(?P<star>\*?)=(?:\"(?P<quoted>[^\"\r\n]{1,200})\"|(?P<bare>[^\s;\"]{1,200}))",
    re.IGNORECASE | re.MULTILINE | re.ASCII,
)
_TYPE = re.compile(r"^content-type:[ \t]{0,8}(?P<type>[^\s;]{1,80})", re.IGNORECASE | re.MULTILINE | re.ASCII)
_DELIMITER = re.compile(r"^--[^\r\n]{1,200}", re.MULTILINE)
_BLANK = re.compile(r"\r?\n\r?\n")


class Documents:
    """Finds secrets in documents, with a finder for the values in them."""

    def __init__(self, finder: SecretFinder) -> None:
        self._finder = finder

    def json(self, text: str, depth: int) -> tuple[list[Spot], bool]:
        """Secrets in a JSON text, or in a piece of one; and whether it is a whole one."""
        spots = list(self._json(text, depth))
        try:
            json.loads(text, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            return spots, False  # quotes may not be what they seem
        return spots, True

    def _json(self, text: str, depth: int) -> Iterator[Spot]:
        """A string before a colon is a name, wherever it stands."""
        inherited = [""]  # under each open bracket: the name that makes all in it a secret
        name = ""
        tokens = _TOKEN.finditer(text)
        following = next(tokens, None)
        while following is not None:
            token, following = following, next(tokens, None)
            raw = token[0]
            first = raw[0]
            if first in "[{":
                inherited.append(inherited[-1] or (name if is_secret(name) and not of_one_value(name) else ""))
                name = name if first == "[" else ""
            elif first in "]}":
                if len(inherited) > 1:
                    inherited.pop()
                name = ""
            elif first == '"':
                if following is not None and following[0] == ":":
                    name = unescaped(raw)
                    if len(name) >= 20 and (inherited[-1] or len(name) >= LONG):
                        yield from self._named_by_secret(raw, name, token.start(), bool(inherited[-1]))
                else:
                    yield from self._string(raw, inherited[-1] or name, token.start(), depth)
            elif _NUMBER.match(raw) and may_be_number(inherited[-1] or name):
                yield Spot(token.start(), token.end(), f'"{self._finder.word(raw.encode("latin-1"))}"')

    def _string(self, raw: str, name: str, at: int, depth: int) -> Iterator[Spot]:
        inner = raw[1:].removesuffix('"') if len(raw) > 1 else ""
        closed = len(raw) > 1 and raw.endswith('"')
        if not inner or (len(inner) < 6 and not is_secret(name)):
            return
        undone = json_string(inner)
        spots = self._finder.value(name, undone.text if undone else inner, LONG, depth + 1)
        for start, end, shown in undone.placed(spots) if undone else spots:
            last = not closed and end == len(inner)  # a piece: what comes behind is not known
            yield Spot(at + 1 + start, at + 1 + end, shown + '"' if last else shown)

    def _named_by_secret(self, raw: str, name: str, at: int, surely: bool) -> Iterator[Spot]:
        """A key that is a secret itself, as in a table of sessions by their ids."""
        spots = self._finder.value("token" if surely and looks_secret(name) else "", name, LONG)
        if spots and "\\" not in raw:
            yield from (Spot(at + 1 + start, at + 1 + end, shown) for start, end, shown in spots)

    # -- multipart ----------------------------------------------------------------------------------------------------

    def multipart(self, text: str, boundary: str) -> list[Spot]:
        """Parts (RFC 2046 section 5.1, RFC 7578): by their names, their types, and what other text is searched for."""
        delimiter = re.compile(rf"^--{re.escape(boundary)}", re.MULTILINE) if boundary else _DELIMITER
        cuts = [match.start() for match in delimiter.finditer(text)]
        if not cuts:
            return self._finder.free(text)
        spots = self._finder.free(text[: cuts[0]])
        for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True):
            blank = _BLANK.search(text, start, end)
            spots += _moved(self._finder.free(text[start : blank.start() if blank else end]), start)
            if blank:
                spots += self._part(text, start, blank.end(), end)
        return spots

    def _part(self, text: str, start: int, content: int, end: int) -> list[Spot]:
        head, body = text[start:content], text[content:end].removesuffix("\n").removesuffix("\r")
        given, kind = _DISPOSITION.search(head), _TYPE.search(head)
        name = (given["quoted"] or given["bare"]) if given else ""
        if given and given["star"]:
            name = name.rpartition("'")[2]
        found = percent(name)
        media = kind["type"].lower() if kind else ""
        name = found.text if found else name
        if is_secret(name):
            return _moved(self._finder.secret(body), content)
        if media.startswith("application/x-www-form-urlencoded") or "json" in media:
            return _moved(self._finder.document(body, media, ""), content)
        return _moved(self._finder.value(name, body, LONG), content)


def _moved(spots: list[Spot], by: int) -> list[Spot]:
    return [Spot(start + by, end + by, shown) for start, end, shown in spots]


def unescaped(raw: str) -> str:
    """A JSON string's text, as far as it can be read."""
    if "\\" not in raw:
        return raw.strip('"')
    try:
        return str(json.loads(raw, strict=False))
    except ValueError:
        return raw.strip('"')
