"""Two bodies side by side: JSON by path, other text by line, anything else by size and hash."""

from __future__ import annotations

import codecs
import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

from inspector.compare.json_bodies import Change, TooMuch, diff_json, parse
from inspector.compare.text_bodies import DiffLine, diff_text, first_difference
from inspector.http.codings import Decoded, codings_of, decoded
from inspector.http.content import CapturedMessage, as_text, declared
from inspector.lang import _
from inspector.redact import BINARY as BINARY_TYPES
from inspector.redact import Redactor, wide_encoding

JSON_LIMIT = 4 << 20  # bytes of a document that is compared by path
TEXT_LIMIT = 1 << 20  # bytes compared by line
SMALL, REMEMBERED = 1 << 15, 512  # bytes of a body whose comparison is remembered, and how many are
SHORT, REPEATED = 256, 1 << 14  # bytes of a field's value that is remembered as it is shown, and how many are
CONTENT_FIELDS = (b"content-type", b"content-encoding", b"content-length", b"transfer-encoding")

_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)
_ENCODINGS = re.compile(
    r"utf-8|utf-16(-[lb]e)?|utf-32(-[lb]e)?|ascii|iso8859-\d+|cp125\d|cp949|cp932|euc_(kr|jp)|shift_jis|iso2022_(kr|jp)|gb(k|2312|18030)"
    r"|big5|koi8-[ru]|johab|mac-roman"
)
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two bodies.

    captured: content bytes seen (codings not undone). decoded: bytes without codings, None where they could not be undone.
    missing: bytes known to be missing. dropped: those beyond the limit of re-reading. whole: all of the content is there, without
    codings. digest: "sha256:..." of content that is not text, where it is whole. problem: with its codings.
    """

    captured: int
    decoded: int | None
    type: str
    codings: tuple[str, ...]
    missing: int
    dropped: int
    whole: bool
    digest: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class BodyDiff:
    """What `compare_bodies` found.

    kind: json, text, binary, empty (no content on either side) or unknown (a side was not captured). same: whether the contents
    are equal byte by byte; None where what was seen does not tell. equivalent: JSON documents with equal values, written
    differently. changes: of JSON; lines: of text; more: how many further ones are left out. first: the first byte that differs.
    """

    kind: str
    same: bool | None
    equivalent: bool
    original: Side | None
    mirror: Side | None
    changes: tuple[Change, ...] = ()
    lines: tuple[DiffLine, ...] = ()
    more: int = 0
    first: int | None = None
    notes: tuple[str, ...] = ()


class Bodies:
    """Compares contents, and remembers small ones: in most captures the same pairs come again and again."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self._remembered: dict[Hashable, BodyDiff] = {}
        self._field = lru_cache(maxsize=REPEATED)(self._shown)

    def compare(self, a: CapturedMessage | None, b: CapturedMessage | None) -> BodyDiff:
        """As `compare_bodies`."""
        if a is None or b is None or len(a.body) > SMALL or len(b.body) > SMALL:
            return compare_bodies(a, b, self.redactor)
        key = (*_content(a), *_content(b))
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            found = self._remembered[key] = compare_bodies(a, b, self.redactor)
        return found

    def field(self, name: str, value: bytes) -> str:
        """A header field's value as it may be shown. name: in lower case."""
        return self._field(name, value) if len(value) <= SHORT else self._shown(name, value)

    def _shown(self, name: str, value: bytes) -> str:
        return as_text(self.redactor.header(name.encode(), value))


def _content(p: CapturedMessage) -> tuple[object, ...]:
    """What of a message matters to its content."""
    headers = [field for field in p.headers if field[0].lower() in CONTENT_FIELDS]
    return *headers, p.body, p.holes, p.missing, p.dropped, p.head_complete, p.complete


def compare_bodies(a: CapturedMessage | None, b: CapturedMessage | None, redactor: Redactor) -> BodyDiff:
    """Compare the contents of two messages. What is shown of them goes through the redactor."""
    if a is None or b is None:
        sides = [_side(p, decoded(p), False, redactor) if p else None for p in (a, b)]
        return BodyDiff("unknown", None, False, sides[0], sides[1])
    one, two = decoded(a), decoded(b)
    same = _equal(a, b, one, two)
    kind = _kind(a, b, one, two)
    binary = kind == "binary"
    first = first_difference(one.body, two.body) if binary and same is False else None
    found = BodyDiff(kind, same, False, _side(a, one, binary, redactor), _side(b, two, binary, redactor), first=first)
    if same or kind in ("empty", "binary"):
        return found
    return _shown(found, a, b, _seen(a, one), _seen(b, two), redactor)


def _side(p: CapturedMessage, d: Decoded, digest: bool, redactor: Redactor) -> Side:
    return Side(
        captured=len(p.body) + p.dropped,
        decoded=None if d.opaque else len(d.body),
        type=as_text(redactor.header(b"content-type", b", ".join(p.values(b"content-type")))),
        codings=tuple(as_text(coding.encode("latin-1")) for coding in d.codings),
        missing=p.missing,
        dropped=p.dropped,
        whole=d.whole,
        digest=f"sha256:{sha256(d.body).hexdigest()}" if digest and d.whole else None,
        problem=d.problem,
    )


def _seen(p: CapturedMessage, d: Decoded) -> bytes:
    """The content up to the first byte that is missing."""
    return d.body[: p.holes[0][0]] if p.holes and not d.codings else d.body


def _equal(a: CapturedMessage, b: CapturedMessage, one: Decoded, two: Decoded) -> bool | None:
    if one.whole and two.whole:
        return one.body == two.body
    if one.opaque or two.opaque:
        return True if a.whole and b.whole and a.body == b.body and one.codings == two.codings else None
    ours, theirs = _seen(a, one), _seen(b, two)
    least = min(len(ours), len(theirs))
    if ours[:least] != theirs[:least]:
        return False
    if (one.whole and len(theirs) > len(ours)) or (two.whole and len(ours) > len(theirs)):
        return False
    sizes = _size(a), _size(b)
    return False if None not in sizes and sizes[0] != sizes[1] else None


def _size(p: CapturedMessage) -> int | None:
    """How long the content is without codings, also where not all of it was seen; None where that is not known."""
    if codings_of(p):
        return None
    if p.complete:
        return len(p.body) + p.dropped
    plain = p.head_complete and not p.values(b"transfer-encoding") and p.values(b"content-length")
    return declared(p.headers) if plain else None


def _kind(a: CapturedMessage, b: CapturedMessage, one: Decoded, two: Decoded) -> str:
    if one.whole and two.whole and not one.body and not two.body:
        return "empty"
    if one.opaque or two.opaque:
        return "binary"
    kinds = {_kind_of(p, d) for p, d in ((a, one), (b, two)) if d.body}
    return kinds.pop() if len(kinds) == 1 else "text" if kinds <= {"json", "text"} and kinds else "binary"


def _kind_of(p: CapturedMessage, d: Decoded) -> str:
    kind = p.text(b"content-type").partition(";")[0].strip().lower()
    head = d.body[:4096]
    if kind.endswith(("/json", "+json")) or (not kind and head.lstrip()[:1] in (b"{", b"[")):
        return "json"
    if kind.startswith(BINARY_TYPES):
        return "binary"
    if kind.startswith("text/") or wide_encoding(head, kind):
        return "text"
    try:
        text = head.decode("utf-8", "strict" if len(d.body) <= len(head) else "ignore")
    except UnicodeDecodeError:
        return "binary"
    return "binary" if _CONTROL.search(text) else "text"


def _shown(
    found: BodyDiff, a: CapturedMessage, b: CapturedMessage, ours: bytes, theirs: bytes, redactor: Redactor
) -> BodyDiff:
    """With the changes of JSON documents, or the rows of texts."""
    types = [p.text(b"content-type") for p in (a, b)]
    notes: list[str] = []
    limit = JSON_LIMIT if found.kind == "json" else TEXT_LIMIT
    if max(len(ours), len(theirs)) > limit:
        notes.append(_("Compared up to {limit:,} bytes.").format(limit=TEXT_LIMIT))
        ours, theirs = ours[:TEXT_LIMIT], theirs[:TEXT_LIMIT]
    texts = [body_text(redactor.body(body, kind), kind) for body, kind in zip((ours, theirs), types, strict=True)]
    whole = found.original is not None and found.mirror is not None and found.original.whole and found.mirror.whole
    if found.kind == "json" and whole and not notes:
        try:
            changes, more = _json_changes(*texts)
            equivalent = not changes and not _json_changes(body_text(ours, types[0]), body_text(theirs, types[1]))[0]
        except TooMuch:
            notes.append(_("The document is nested too deep to be compared by path."))
        except ValueError:
            notes.append(_("Not valid JSON on both sides: compared as text."))
        else:
            if equivalent:
                notes.append(_("The values are equal; they are written differently."))
            elif not changes:
                notes.append(_("What differs is redacted."))
            return replace(found, changes=changes, more=more, equivalent=equivalent, notes=tuple(notes))
    lines, more = diff_text(*texts)
    return replace(found, kind="text", lines=lines, more=more, notes=tuple(notes))


def _json_changes(a: str, b: str) -> tuple[tuple[Change, ...], int]:
    return diff_json(parse(a), parse(b))


def body_text(body: bytes, content_type: str) -> str:
    """A body's text. Bytes that are none in its encoding stay apart from one another."""
    match = _CHARSET.search(content_type)
    name = wide_encoding(body, content_type.lower()) or (match[1] if match else "utf-8")
    try:
        name = codecs.lookup(name).name
    except LookupError:
        name = "utf-8"
    if not _ENCODINGS.fullmatch(name):
        name = "utf-8"
    one_byte = name == "utf-8" or name == "ascii" or name.startswith(("iso8859", "cp125", "koi8"))
    return body.decode(name, "surrogateescape" if one_byte else "backslashreplace")
