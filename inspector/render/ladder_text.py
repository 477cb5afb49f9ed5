"""The ladder in a terminal: Unicode box drawing, or ASCII; as wide as it needs to be, at most the columns given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import wcwidth

from inspector.render.ladder_parts import Arrow, ArrowKind, Ladder, Lifeline, below, fit, label, offset, where
from inspector.render.text import cut_middle, width, wrap

LEAST_GAP = 16  # columns between lifelines; where there is less room, messages are listed instead
HEADER_LINES = 3  # of an address or a name that is wider than its column
READABLE = 100
COLOURS = {
    ArrowKind.DISCARDED: "32",
    ArrowKind.LEAKED: "1;31",
    ArrowKind.UNPROVEN: "35",
    ArrowKind.UNSEEN: "2",
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What lines are drawn with. Dashed lines repeat their pattern from the left edge of the terminal."""

    line: str
    unseen_line: str
    cross: str  # a lifeline that an arrow passes
    right: str
    left: str
    solid: str
    dashed: str
    double: str
    dotted: str
    from_left: str  # a lifeline where an arrow to the right begins
    from_right: str
    ended: str  # the cross at the end of an arrow
    unknown: str


UNICODE = Glyphs("│", "┊", "┼", "►", "◄", "─", "╌", "═", "·", "├", "┤", "✗", "?")
ASCII = Glyphs("|", ":", "+", ">", "<", "-", "- ", "=", ".", "|", "|", "X", "?")
_PLAIN = {"…": "~", "–": "-", "—": "-", "µ": "u", "→": "->"}


def lines(
    ladder: Ladder, columns: int, unicode: bool = True, colour: bool = False, encoding: str = "utf-8"
) -> list[str]:
    """The ladder in lines of at most `columns` columns (40 at least), without line ends.

    unicode: box drawing, else ASCII. encoding: that of the terminal; what it lacks is written as an escape, so that widths
    stay right.
    """
    return list(_Drawing(ladder, max(columns, 40), unicode, colour, encoding).lines())


def plain(text: str, unicode: bool, encoding: str) -> str:
    """The text as a terminal can show it: typographic characters in ASCII, what the encoding lacks as an escape."""
    if not unicode:
        for special, simple in _PLAIN.items():
            text = text.replace(special, simple)
    return text.encode(encoding, "backslashreplace").decode(encoding)


class _Drawing:
    def __init__(self, ladder: Ladder, columns: int, unicode: bool, colour: bool, encoding: str) -> None:
        self.ladder = ladder
        self.columns = columns
        self.unicode = unicode
        self.colour = colour
        self.encoding = encoding
        self.glyphs = UNICODE if unicode else ASCII
        times = [offset(a.time) for a in ladder.arrows if a.time is not None]
        self.gutter = max(map(len, times), default=0) + 2
        count = len(ladder.lifelines)
        # The first header may stand over the gutter; half of the last one needs room on the right.
        room = int((columns - self.gutter - 1) / (count - 0.5))
        self.gap = max(min(room, self._wanted()), LEAST_GAP)
        self.fits = room >= LEAST_GAP and all(len(self._packets(a)) + 3 <= self._inner(a) for a in ladder.arrows)
        self.x = [self.gutter + self.gap * i for i in range(count)]

    def _wanted(self) -> int:
        """The gap at which nothing is cut."""
        out = LEAST_GAP
        for a in self.ladder.arrows:
            span = max(abs(a.source - a.target), 1)
            out = max(out, -(-(max(width(self._plain(label(a))), len(self._packets(a)) + 3) + 3) // span))
        for line in self.ladder.lifelines:
            out = max(out, *(width(self._plain(part)) + 2 for part in (line.role, line.address, line.name, line.asked)))
        return out

    def _inner(self, a: Arrow) -> int:
        """Columns for text between the lifelines of an arrow, with a blank on either side."""
        return self.gap * max(abs(a.source - a.target), 1) - 3

    def _packets(self, a: Arrow) -> str:
        return where(self.ladder, a, not self.unicode)

    def _plain(self, text: str) -> str:
        """The text as this terminal can show it."""
        return plain(text, self.unicode, self.encoding)

    def _cut(self, text: str, room: int) -> str:
        text = self._plain(cut_middle(text, room))
        return text if width(text) <= room else self._plain(text[: max(room, 0)])[: max(room, 0)]

    def lines(self) -> Iterator[str]:
        """Header, messages, notes."""
        if self.fits:
            yield from self._header()
            for arrow in self.ladder.arrows:
                yield from self._arrow(arrow)
            yield self._row().text(self.colour)
        else:
            for arrow in self.ladder.arrows:
                yield from self._listed(arrow)
        room = min(self.columns, READABLE)
        for number, name in enumerate(self.ladder.captures, 1):
            yield from (self._plain(line) for line in wrap(self._plain(name), room, f"[{number}] ", "    "))
        for note in self.ladder.notes:
            yield from wrap(self._plain(note), room, "- ", "  ")

    def _header(self) -> Iterator[str]:
        blocks = [self._block(line) for line in self.ladder.lifelines]
        for i in range(max(map(len, blocks))):
            row = _Row(self.columns)
            for x, block, line in zip(self.x, blocks, self.ladder.lifelines, strict=True):
                text = block[i] if i < len(block) else ""
                code = "2" if not line.seen else "1" if i == 0 else ""
                row.put(min(max(x - width(text) // 2, 0), self.columns - width(text)), text, code)
            yield row.text(self.colour)
        yield self._row().text(self.colour)

    def _block(self, line: Lifeline) -> list[str]:
        room = self.gap - 1
        out = [self._cut(line.role, room)]
        for text in below(line, room):
            out += [self._cut(part, room) for part in wrap(self._plain(text), room)[:HEADER_LINES]]
        return out

    def _row(self) -> _Row:
        """A row with all lifelines."""
        row = _Row(self.columns)
        for x, line in zip(self.x, self.ladder.lifelines, strict=True):
            row.put(x, self.glyphs.line if line.seen else self.glyphs.unseen_line, "" if line.seen else "2")
        return row

    def _arrow(self, a: Arrow) -> Iterator[str]:
        low, high = sorted((self.x[a.source], self.x[a.target]))
        code = COLOURS.get(a.kind, "")
        for text in fit(a, self._inner(a)):
            row = self._row()
            text = self._cut(text, self._inner(a))
            row.put(low + 1, " " * (high - low - 1), "")
            for x, line in zip(self.x, self.ladder.lifelines, strict=True):
                if low < x < high:
                    row.put(x, self.glyphs.line if line.seen else self.glyphs.unseen_line, "")
            # A label that would cross a lifeline stands free of it.
            row.put(low + 1 + (high - low - 1 - width(text)) // 2, text, code)
            yield row.text(self.colour)
        yield self._shaft(a, low, high, code).text(self.colour)

    def _shaft(self, a: Arrow, low: int, high: int, code: str) -> _Row:
        g, row = self.glyphs, self._row()
        if a.time is not None:
            row.put(self.gutter - 2 - len(offset(a.time)), offset(a.time), "")
        pattern = {ArrowKind.REQUEST: g.solid, ArrowKind.LEAKED: g.double, ArrowKind.UNSEEN: g.dotted}.get(
            a.kind, g.dashed
        )
        for x in range(low + 1, high):
            row.put(x, pattern[x % len(pattern)], code)
        for x, line in zip(self.x, self.ladder.lifelines, strict=True):
            if low < x < high and a.kind is not ArrowKind.UNSEEN:
                row.put(x, g.cross if line.seen else g.unseen_line, code)
            elif low < x < high:
                row.put(x, g.line if line.seen else g.unseen_line, "")
        packets = self._packets(a)
        if packets:
            row.put(low + 1 + (high - low - 1 - len(packets) - 2) // 2, f" {packets} ", code)
        if a.kind is ArrowKind.UNSEEN:
            return row
        rightwards = a.source < a.target
        row.put(self.x[a.source], g.from_left if rightwards else g.from_right, "")
        row.put(high - 1 if rightwards else low + 1, g.right if rightwards else g.left, code)
        end = {ArrowKind.DISCARDED: g.ended, ArrowKind.UNPROVEN: g.unknown}.get(a.kind)
        if end:
            row.put(self.x[a.target], end, code)
        return row

    def _listed(self, a: Arrow) -> Iterator[str]:
        """A message in words, for a narrow terminal."""
        ends = self.ladder.lifelines[a.source].role, self.ladder.lifelines[a.target].role
        parts = ["" if a.time is None else offset(a.time), self._packets(a), f"{ends[0]} -> {ends[1]}:", label(a)]
        yield from wrap(self._plain(" ".join(part for part in parts if part)), self.columns, "", "  ")


class _Row:
    """One line of the terminal as cells; a wide character takes two."""

    def __init__(self, columns: int) -> None:
        self.cells = [" "] * columns
        self.codes = [""] * columns

    def put(self, at: int, text: str, code: str) -> None:
        """Write `text` from column `at` on; what would stand outside is left out."""
        for char in text:
            size = wcwidth.wcwidth(char)
            if size == 0 and 0 < at <= len(self.cells):
                self.cells[at - 1] += char
                continue
            if size < 1 or at < 0 or at + size > len(self.cells):
                continue
            self.cells[at], self.codes[at] = char, code
            if size == 2:
                self.cells[at + 1], self.codes[at + 1] = "", code
            at += size

    def text(self, colour: bool) -> str:
        """The line, without blanks at its end."""
        plain = "".join(self.cells).rstrip()
        if not colour or not any(self.codes):
            return plain
        out, last = [], ""
        end = len(self.cells)
        while end and self.cells[end - 1] == " ":
            end -= 1
        for cell, code in zip(self.cells[:end], self.codes[:end], strict=True):
            if code != last:
                out.append(("\x1b[0m" if last else "") + (f"\x1b[{code}m" if code else ""))
                last = code
            out.append(cell)
        return "".join(out) + ("\x1b[0m" if last else "")
