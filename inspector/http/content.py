"""A message read again as it was captured: its head as lines, its content without chunked framing. For what is shown only.

Damage is data here too: a hole in a body is a place and a length, a head that breaks off has the lines before it, and what
a limit cut is counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from inspector.http.tables import Fact

Pieces = Sequence[tuple[int, bytes]]  # stream offset and bytes, in order, not overlapping
Fields = tuple[tuple[bytes, bytes], ...]

COMPLETE, HEAD_COMPLETE, CHUNKED, BODY_GAP = (
    int(Fact.COMPLETE),
    int(Fact.HEAD_COMPLETE),
    int(Fact.CHUNKED),
    int(Fact.BODY_GAP),
)
NO_REST = int(Fact.COMPLETE | Fact.CHUNKED | Fact.NO_BODY | Fact.UNTIL_CLOSE)  # what the length says is no news

REPEATED = 256  # bytes of a field line that is remembered: most come again and again

_DIGITS = re.compile(rb"[0-9]{1,18}")
_HEX = re.compile(rb"[0-9A-Fa-f]+")


@dataclass(frozen=True, slots=True)
class CapturedMessage:
    """A request or a response as captured.

    start: the start line. headers, trailers: (name, value) as sent, values trimmed; what has no name has the name b"".
    body: the content bytes seen; chunked framing is taken off, content codings are not. holes: where bytes of it are missing, as
    (position in `body`, how many), also behind its end where a length says so. missing: all bytes of the message known to be
    missing, of its head too. dropped: bytes of the body that were captured but are beyond the limit of re-reading.
    head_complete: the whole head was captured. complete: so was the whole content (this says nothing of `dropped`).
    """

    start: bytes
    headers: Fields
    body: bytes
    trailers: Fields = ()
    holes: tuple[tuple[int, int], ...] = ()
    missing: int = 0
    dropped: int = 0
    head_complete: bool = True
    complete: bool = True

    @property
    def cut(self) -> bool:
        """Whether a limit cut the body."""
        return self.dropped > 0

    @property
    def whole(self) -> bool:
        """Whether `body` is all of the content."""
        return self.complete and not self.holes and not self.dropped

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields called `name` (lower case), in order."""
        return [value for key, value in self.headers if key.lower() == name]

    def text(self, name: bytes) -> str:
        """All values of `name` joined with commas (RFC 9110 section 5.3) as latin-1; "" where there is none."""
        return ", ".join(value.decode("latin-1") for value in self.values(name))


@dataclass(frozen=True, slots=True)
class Content:
    """An exchange's request and response as captured; None where one was not captured, or not found again: `why` says that."""

    request: CapturedMessage | None
    response: CapturedMessage | None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a message lies in its stream and what the parser found in it: see http.tables.Messages."""

    start: int
    head_end: int
    end: int
    facts: int
    body_bytes: int
    gap_bytes: int


def part(extent: Extent, pieces: Pieces, dropped_from: int | None = None) -> CapturedMessage:
    """Read a message from its bytes. What lies between the pieces is missing; beyond offset `dropped_from` they were let go."""
    stop = extent.end if dropped_from is None else max(min(extent.end, dropped_from), extent.start)
    head_complete = bool(extent.facts & HEAD_COMPLETE) and stop >= extent.head_end
    head = within(pieces, extent.start, min(extent.head_end, stop))
    start, headers = read_head(b"".join([raw for _, raw in head]), head_complete)
    content = within(pieces, extent.head_end, stop)
    trailers: Fields = ()
    if extent.facts & CHUNKED:
        runs, size, last = unchunk(content, extent.head_end, stop)
        trailers = fields(last, bool(extent.facts & COMPLETE))
        body, holes = joined(runs, size)
    else:
        body, holes = joined([(at - extent.head_end, raw) for at, raw in content], max(stop - extent.head_end, 0))
    dropped = max(extent.body_bytes - len(body), 0) if stop < extent.end else 0
    rest = extent.gap_bytes - sum(size for _, size in holes)
    if rest > 0 and not dropped and extent.facts & BODY_GAP:
        holes = (*holes, (len(body), rest))  # chunked framing was in what is missing: it broke off there
    unseen = 0
    if head_complete and not extent.facts & NO_REST:
        unseen = max(declared(headers) - (extent.end - extent.head_end), 0)
        if unseen and not dropped:
            holes = (*holes, (len(body), unseen))
    return CapturedMessage(
        start=start,
        headers=headers,
        body=body,
        trailers=trailers,
        holes=holes,
        missing=extent.gap_bytes + unseen,
        dropped=dropped,
        head_complete=head_complete,
        complete=bool(extent.facts & COMPLETE) and extent.gap_bytes == 0,
    )


def as_text(raw: bytes) -> str:
    """Header bytes as text: UTF-8 where they are, latin-1 otherwise."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def within(pieces: Pieces, start: int, stop: int) -> list[tuple[int, bytes]]:
    """The bytes of the pieces from stream offset `start` to `stop`."""
    out = []
    for at, raw in pieces:
        low, high = max(start - at, 0), min(stop - at, len(raw))
        if low < high:
            out.append((at + low, raw[low:high]))
    return out


def read_head(raw: bytes, complete: bool) -> tuple[bytes, Fields]:
    """Start line and fields of a head's bytes."""
    line, found, rest = raw.partition(b"\n")
    if not found and not complete:
        return b"", ()
    return line.removesuffix(b"\r"), fields(rest, complete)


def fields(raw: bytes, complete: bool) -> Fields:
    """The field lines of a head or a trailer section (RFC 9112 section 5); of an incomplete one without its broken last line."""
    lines = raw.split(b"\n")
    last = lines.pop()
    if complete:
        lines.append(last)
    if b"\n " in raw or b"\n\t" in raw:
        lines = unfolded(lines)
    found = [_remembered(line) if len(line) <= REPEATED else field_of(line) for line in lines]
    return tuple([field for field in found if field is not None])


def field_of(line: bytes) -> tuple[bytes, bytes] | None:
    """A field line's name and value; what has no name has the name b"". None: the line is empty."""
    name, colon, value = line.partition(b":")
    if colon:
        return name.strip(), value.strip()
    text = name.strip()
    return (b"", text) if text else None


_remembered = lru_cache(maxsize=1 << 14)(field_of)


def unfolded(lines: list[bytes]) -> list[bytes]:
    """The lines with those that begin with a space put behind the one before (obs-fold, RFC 9112 section 5.2)."""
    groups: list[list[bytes]] = []
    for line in lines:
        if groups and line[:1] in (b" ", b"\t"):
            groups[-1].append(line.strip())
        else:
            groups.append([line.strip()])
    return [b" ".join(group) for group in groups]


def declared(headers: Fields) -> int:
    """The first content-length, 0 where there is none."""
    for name, value in headers:
        if name.lower() == b"content-length" and (digits := _DIGITS.match(value)):
            return int(digits[0])
    return 0


def joined(runs: Pieces, size: int) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """The bytes of the runs and the holes between them; `size`: how long the content is with its holes."""
    out: list[bytes] = []
    holes: list[tuple[int, int]] = []
    at = length = 0
    for place, raw in runs:
        if place > at:
            holes.append((length, place - at))
        out.append(raw)
        length += len(raw)
        at = place + len(raw)
    if size > at:
        holes.append((length, size - at))
    return b"".join(out), tuple(holes)


def unchunk(pieces: Pieces, start: int, stop: int) -> tuple[list[tuple[int, bytes]], int, bytes]:
    """Take chunked framing off the stream bytes from `start` to `stop` (RFC 9112 section 7.1).

    Gives runs of content by their place in it, its length with its holes, and the trailer section. A hole inside a chunk
    is stepped over; where framing is missing or damaged, the content ends.
    """
    runs: list[tuple[int, bytes]] = []
    place, left, at = 0, 0, start
    closing = False  # a chunk's data has ended, its CRLF comes next
    for offset, raw in contiguous(pieces):
        gap = offset - at
        if gap > left:
            return runs, place + left, b""
        place, left, closing = place + gap, left - gap, closing or (gap > 0 and gap == left)
        i, at = 0, offset + len(raw)
        while i < len(raw):
            if left:
                data = raw[i : i + left]
                runs.append((place, data))
                place, left, i = place + len(data), left - len(data), i + len(data)
                closing = left == 0
            elif closing:
                i, closing = after_line_end(raw, i), False
                if i < 0:
                    return runs, place, b""
            else:
                end = raw.find(b"\n", i)
                size = _HEX.match(raw, i, max(end, i))
                if size is None:
                    return runs, place, b""
                left, i = int(size[0], 16), end + 1
                if left == 0:
                    return runs, place, raw[i:]
    return runs, place + min(left, max(stop - at, 0)), b""


def after_line_end(raw: bytes, i: int) -> int:
    """The index after the CRLF or LF at `i`, -1 where there is none."""
    if raw[i : i + 2] == b"\r\n":
        return i + 2
    return i + 1 if raw[i : i + 1] == b"\n" else -1


def contiguous(pieces: Pieces) -> list[tuple[int, bytes]]:
    """The pieces with those that touch joined."""
    out: list[tuple[int, list[bytes]]] = []
    end = None
    for at, raw in pieces:
        if at == end:
            out[-1][1].append(raw)
        else:
            out.append((at, [raw]))
        end = at + len(raw)
    return [(at, b"".join(parts)) for at, parts in out]
