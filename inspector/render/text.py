"""Text for people: captured bytes made harmless, display width, times and durations.

Every captured string goes through `shown` (or `escape`) before it reaches a terminal, CSV or Markdown.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

# What acts on a terminal, hides, or reorders text: C0, DEL, C1, soft hyphen, bidi controls (UAX #9), zero-width and
# invisible characters, line and paragraph separators, annotations, surrogates, tags.
_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORD = re.compile(r"-\w [^\s-]\S*|\S+")  # `-s 0` stays together
ELLIPSIS = "…"


def readable(text: str) -> str:
    """Header bytes decoded as latin-1, read as UTF-8 where all of them are valid UTF-8; otherwise unchanged."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def escape(text: str) -> str:
    r"""Every character that acts instead of showing, as `\xNN` or `\u{...}`; the result is one line of visible text.

    A surrogate that stands for a byte which is not UTF-8 shows as this byte, `\xNN`.
    """
    if text.isascii() and text.isprintable():
        return text
    return _ACTIVE.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


def shown(text: str | None, absent: str = "?") -> str:
    """A captured string for display; `absent` where it is not known."""
    return absent if text is None else escape(readable(text))


def width(text: str) -> int:
    """Columns that `text` takes in a terminal (wide characters take two)."""
    if text.isascii():
        return len(text)
    import wcwidth  # its tables take longer to load than most captures to read

    return max(wcwidth.wcswidth(text), 0)


def cut(text: str, room: int) -> str:
    """`text`, its end cut off with an ellipsis where it is wider than `room` columns."""
    return _cut(text, room, 0)


def cut_middle(text: str, room: int) -> str:
    """`text`, its middle cut out where it is wider than `room` columns: both ends of a path say something."""
    return _cut(text, room, max(room - 1, 0) * 2 // 5)


def _cut(text: str, room: int, tail: int) -> str:
    if len(text) <= room and width(text) <= room:
        return text
    if room < 2:
        return ELLIPSIS[: max(room, 0)]
    end = _fit(text[::-1], tail)[::-1] if tail else ""
    return _fit(text, room - 1 - width(end)) + ELLIPSIS + end


def _fit(text: str, room: int) -> str:
    """The longest start of `text` that takes at most `room` columns."""
    part = text[:room]
    while width(part) > room:
        part = part[:-1]
    return part


def wrap(text: str, room: int, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most `room` columns (a longer word is broken); `first` and `rest` stand before them."""
    lines: list[str] = []
    line, empty = first, True
    for word in _WORD.findall(text):
        while word:
            gap = "" if empty else " "
            if width(line) + len(gap) + width(word) <= room:
                line, word, empty = line + gap + word, "", False
            elif empty:
                part = _fit(word, max(room - width(line), 1)) or word[0]
                lines.append(line + part)
                line, word = rest, word[len(part) :]
            else:
                lines.append(line)
                line, empty = rest, True
    return lines if empty and lines else [*lines, line]


@lru_cache(maxsize=256)
def _second(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)


@lru_cache(maxsize=256)
def _second_text(seconds: int) -> str:
    return f"{_second(seconds):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=256)
def _clock_text(seconds: int) -> str:
    return f"{_second(seconds):%H:%M:%S}"


def rfc3339(time: int) -> str:
    """Nanoseconds since the epoch as RFC 3339 in UTC with nine digits: `2026-11-21T03:09:26.429573000Z`."""
    return f"{_second_text(time // 1_000_000_000)}.{time % 1_000_000_000:09d}Z"


def clock(time: int | None) -> str:
    """Time of day in UTC: `03:09:26.429`."""
    if time is None:
        return "?"
    return f"{_clock_text(time // 1_000_000_000)}.{time % 1_000_000_000 // 1_000_000:03d}"


def day(time: int) -> str:
    """The date in UTC: `2026-11-21`."""
    return f"{_second(time // 1_000_000_000):%Y-%m-%d}"


def microseconds(time: int) -> str:
    """Nanoseconds as an exact decimal number of microseconds: `213`, `-0.250`."""
    whole, part = divmod(abs(time), 1000)
    sign = "-" if time < 0 else ""
    return f"{sign}{whole}.{part:03d}" if part else f"{sign}{whole}"


def duration(time: int | None, signed: bool = False) -> str:
    """Nanoseconds in a unit that fits: `+213 µs`, `3.25 ms`, `1.204 s`."""
    if time is None:
        return ""
    sign = "-" if time < 0 else "+" if signed and time else ""
    size = abs(time)
    if size < 10_000 and size % 1000:
        return f"{sign}{size / 1000:.1f} µs"
    if size < 999_500:
        return f"{sign}{size / 1000:.0f} µs"
    if size < 999_500_000:
        return f"{sign}{size / 1e6:#.3g} ms".replace(". ", " ")
    return f"{sign}{size / 1e9:.3f} s"


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 packet`, `12,856 packets`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
