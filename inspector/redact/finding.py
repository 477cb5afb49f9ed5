"""Secrets in a text, wherever they stand in it: each as a place and what is shown there.

A text is looked at as it stands, then with each coding undone that it may be in: a query in a JSON string in a query holds
what it holds. Of places that overlap the longer one counts, since the shorter is a part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from inspector.redact import connections, fields, prose, quick
from inspector.redact.codings import Spot, base64_runs, from_base64, json_string, percent
from inspector.redact.documents import Documents
from inspector.redact.names import SCHEMES, is_mixed, is_secret, looks_secret, may_be_secret

Word = Callable[[bytes], str]  # what stands for a secret

DEEPEST = 6  # codings and documents within one another
_DONE = re.compile(r"redacted:[0-9a-f]{8}(?::redacted:[0-9a-f]{8})?|:redacted:[0-9a-f]{8}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s\"'<>\\]{1,8192}", re.ASCII)
_NO_QUERY = re.compile(r"[\s\"<>{}]", re.ASCII)
_PAIR = re.compile(r"[^&#]+")
_SPLIT = re.compile(r"[;?](?=[\w.%\[\]-]{1,64}=)", re.ASCII)  # other signs belong to a value, unless a name follows
_MATRIX = re.compile(r"[;/](?P<name>[^;/=]{1,200})=(?P<value>[^;/]{1,8192})")
_PARAMETER = re.compile(
    r"(?:^|[;,\s])\s{0,4}(?P<name>[A-Za-z][\w.-]{0,63})\s{0,2}=\s{0,2}"
    r"(?P<value>\"(?:[^\"\\]|\\.){1,4096}\"|[^\s\";,]{1,4096})",
    re.ASCII | re.DOTALL,
)


class SecretFinder:
    """Finds secrets in texts; `word` says what stands for one."""

    def __init__(self, word: Word) -> None:
        self.word = word
        self._documents = Documents(self)

    def hide(self, text: str, start: int, end: int) -> Spot:
        """All from start to end as one secret."""
        return Spot(start, end, self.word(text[start:end].encode("latin-1", "backslashreplace")))

    # -- values -------------------------------------------------------------------------------------------------------

    def secret(self, text: str) -> list[Spot]:
        """A value that is a secret: a scheme before it and quotes around it stay, the credentials of Basic are two."""
        scheme = SCHEMES.match(text)
        start = scheme.end() if scheme else len(text) - len(text.lstrip())
        end = len(text.rstrip())
        if end - start > 1 and text[start] in "\"'" and text[start] == text[end - 1]:
            start, end = start + 1, end - 1
        if start >= end or _DONE.fullmatch(text, start, end):
            return []
        if scheme and scheme[1].lower() == "basic":
            user, colon, password = (from_base64(text[start:end]) or "").partition(":")
            if colon and password:
                shown = [self.word(part.encode("latin-1")) if part else "" for part in (user, password)]
                return [Spot(start, end, ":".join(shown))]
        return [self.hide(text, start, end)]

    def value(self, name: str, text: str, least: int = 0, depth: int = 0) -> list[Spot]:
        """A decoded value called `name`. least: how long one without a telling name is that may be a secret by its look."""
        if not text:
            return []
        if is_secret(name) or (may_be_secret(name) and SCHEMES.match(text)):
            return self.secret(text)
        if looks_secret(text) and (may_be_secret(name) or not least or (len(text) >= least and is_mixed(text))):
            return [self.hide(text, 0, len(text))]
        return self.free(text, depth)

    def pairs(self, text: str, depth: int = 0) -> list[Spot]:
        """`name=value` of a query, a fragment or a form."""
        spots: list[Spot] = []
        for match in _PAIR.finditer(text):
            start, end = match.span()
            for cut in _SPLIT.finditer(text, start + 1, end) if _SPLIT.search(text, start + 1, end) else ():
                spots += self._pair(text[start : cut.start()], start, depth)
                start = cut.start()
            spots += self._pair(text[start:end], start, depth)
        return spots

    def _pair(self, text: str, at: int, depth: int) -> list[Spot]:
        name, equals, value = text.partition("=")
        if name[:1] in ("?", ";"):  # what parted it from the one before
            name, at = name[1:], at + 1
        if not equals:
            return shifted(self._decoded("", name, depth), at)
        if not value or _DONE.fullmatch(value):
            return []
        found = percent(name, plus=True)
        return shifted(self._decoded(found.text if found else name, value, depth), at + len(name) + 1)

    def _decoded(self, name: str, value: str, depth: int) -> list[Spot]:
        """A value as it stands in a query."""
        if not is_secret(name) and looks_secret(value):  # a token may hold a plus sign
            return [self.hide(value, 0, len(value))]
        found = percent(value, plus=True)
        return (
            found.placed(self.value(name, found.text, depth=depth + 1))
            if found
            else self.value(name, value, depth=depth)
        )

    def target(self, text: str, depth: int = 0) -> list[Spot]:
        """A request target or a URL: userinfo, matrix parameters and tokens in its path, pairs in its query and its fragment."""
        cut = min((i for i in (text.find("?"), text.find("#")) if i >= 0), default=len(text))
        path = text[:cut]
        spots: list[Spot] = []
        if "@" in path:
            spots += [self.hide(path, *place) for place in connections.sole(path)]
            spots += [self.hide(path, *place) for place in connections.userinfo(path) if place[0] < place[1]]
        if quick.LOOK.search(path):
            spots += prose.looks(path, self.word)
        if " " in path:
            spots += prose.schemes(path, self.secret)
        if "=" in path:
            for match in _MATRIX.finditer(path):
                found = percent(match["name"])
                spots += shifted(
                    self._decoded(found.text if found else match["name"], match["value"], depth), match.start("value")
                )
        if depth < DEEPEST and (undone := percent(path)):
            spots += undone.placed(self.target(undone.text, depth + 1))
        if '"' in path:
            spots += prose.named(path, self.secret)
        return merged(text, [*spots, *shifted(self.pairs(text[cut:], depth), cut)], self.hide)

    # -- text ---------------------------------------------------------------------------------------------------------

    def free(self, text: str, depth: int = 0) -> list[Spot]:
        """Any text: a document, a URL, prose, and what they hold in codings."""
        if depth > DEEPEST or len(text) < 6 or not prose.worth_reading(text):
            return []
        if prose.CREDENTIALS.fullmatch(text):
            return self.secret(text)
        if text.lstrip()[:1] in ("{", "["):
            spots, valid = self._documents.json(text, depth)
            if valid:
                return merged(text, spots, self.hide)
        else:
            spots = []
        lines, rest = prose.head_lines(text, self.field)
        spots += lines + self._plain(rest, depth)
        if "=" in rest and not _NO_QUERY.search(rest):
            spots += self.target(rest, depth)
        elif "://" in rest:
            for match in _URL.finditer(rest):
                spots += shifted(self.target(match[0], depth), match.start())
        for start, end, meant in base64_runs(rest):
            if self.free(meant, depth + 1):
                spots.append(self.hide(text, start, end))
        return merged(text, spots, self.hide)

    def _plain(self, text: str, depth: int) -> list[Spot]:
        """What patterns find, as it stands and behind one more coding."""
        spots = [
            *prose.named(text, self.secret),
            *prose.schemes(text, self.secret),
            *prose.looks(text, self.word),
            *prose.private_keys(text, self.word),
            *(self.hide(text, *place) for place in connections.userinfo(text) if place[0] < place[1]),
            *(spot for start, end in connections.items(text) for spot in shifted(self.secret(text[start:end]), start)),
        ]
        if depth < DEEPEST:
            if "%" in text and "+" in text and (undone := percent(text, plus=True)):  # a form, or a plus that is one
                spots += undone.placed(self.free(undone.text, depth + 2))
            for undo in (percent, json_string):
                if undone := undo(text):
                    return spots + undone.placed(self.free(undone.text, depth + 1))
        return spots

    def document(self, text: str, kind: str, boundary: str) -> list[Spot]:
        """A body of a media type."""
        if kind == "application/x-www-form-urlencoded":
            return merged(text, self.pairs(text), self.hide)
        if kind.startswith("multipart/"):
            return merged(text, self._documents.multipart(text, boundary), self.hide)
        if "json" in kind and text.lstrip()[:1] not in ("{", "["):
            return merged(text, self._documents.json(text, 0)[0] + self.free(text), self.hide)
        return self.free(text)

    # -- header fields ------------------------------------------------------------------------------------------------

    def field(self, name: str, text: str) -> list[Spot]:
        """The value of a header field. name: in lower case."""
        return merged(text, fields.found(self, name, text), self.hide)

    def parameters(self, text: str, depth: int = 0) -> list[Spot]:
        """`name=value` behind semicolons or commas, as header fields have them."""
        spots: list[Spot] = []
        for match in _PARAMETER.finditer(text) if "=" in text else ():
            value, start = match["value"], match.start("value")
            if value[0] == '"':
                value, start = value[1:-1], start + 1
            if is_secret(match["name"]):
                spots += shifted(self.secret(value), start)
        return spots


def shifted(spots: Iterable[Spot], by: int) -> list[Spot]:
    """The same places in a text that begins `by` characters earlier."""
    return [Spot(start + by, end + by, shown) for start, end, shown in spots]


def merged(text: str, spots: Iterable[Spot], hide: Callable[[str, int, int], Spot]) -> list[Spot]:
    """Places in order that do not overlap. What was replaced already is left alone."""
    out: list[Spot] = []
    for spot in sorted(spots, key=lambda s: (s.start, -s.end)):
        if spot.start >= spot.end or _DONE.fullmatch(text, spot.start, spot.end):
            continue
        if not out or spot.start >= out[-1].end:
            out.append(spot)
        elif spot.end > out[-1].end:
            out[-1] = hide(text, out[-1].start, spot.end)
    return out


def applied(text: str, spots: Iterable[Spot]) -> str:
    """The text with what is shown in place of each secret."""
    out: list[str] = []
    at = 0
    for start, end, shown in spots:
        out += [text[at:start], shown]
        at = end
    return "".join([*out, text[at:]]) if out else text
