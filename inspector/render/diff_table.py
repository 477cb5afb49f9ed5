"""A difference for the terminal: sections, with original and mirror side by side in the width that there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.render.diff_words import NamedRows, Section
from inspector.render.table import GAP, READABLE, paint
from inspector.render.text import ELLIPSIS, escape, width, wrap

CELL_LINES = 8  # lines of a cell; what is longer is cut
LEAST = 12  # columns of a cell that gives way


def document(heading: str, lead: Sequence[str], found: Sequence[Section], columns: int, colour: bool) -> Iterator[str]:
    """The heading, sentences, and each section."""
    room = min(max(columns, 20), READABLE)
    yield from (paint(line, "1", colour) + "\n" for line in wrap(escape(heading), room))
    for sentence in lead:
        yield from (line + "\n" for line in wrap(escape(sentence), room, "", "  "))
    for section in found:
        yield "\n" + paint(escape(section.title), "1", colour) + "\n"
        for sentence in section.sentences:
            yield from (line + "\n" for line in wrap(escape(sentence), room, "  ", "  "))
        if section.table:
            yield from table(section.table, max(columns, 40))


def table(t: NamedRows, columns: int) -> Iterator[str]:
    """The rows, indented by two; cells that are too wide for their column are broken, and cut after CELL_LINES lines."""
    rows = [[escape(cell) for cell in row] for row in t.rows]
    widths = fitted(t, rows, columns - 2)
    for n, row in enumerate((t.names, *rows)):
        broken = [broken_up(cell, widths[i]) for i, cell in enumerate(row)]
        for k in range(max(map(len, broken))):
            yield _line([part[k] if k < len(part) else "" for part in broken], widths, t.right)
        if n == 0:
            yield _line(["-" * w for w in widths], widths, ())


def fitted(t: NamedRows, rows: Sequence[Sequence[str]], columns: int) -> list[int]:
    """The width of each column: as wide as its cells; where that is too much, the flexible ones share what the others leave."""
    widths = [max([width(t.names[i]), *(width(row[i]) for row in rows)]) for i in range(len(t.names))]
    room = columns - GAP * (len(widths) - 1) - sum(w for i, w in enumerate(widths) if i not in t.flexible)
    wide = sorted(t.flexible, key=lambda i: widths[i])
    for n, i in enumerate(wide):
        share = max(room // (len(wide) - n), LEAST)
        widths[i] = min(widths[i], share)
        room -= widths[i]
    return widths


def broken_up(text: str, room: int) -> list[str]:
    """Lines of at most `room` columns with all white space kept; the last one ends with an ellipsis where more is left out."""
    if len(text) <= room and width(text) <= room:
        return [text]
    lines: list[str] = []
    at = 0
    while at < len(text) and len(lines) <= CELL_LINES:
        end = at + room
        while width(text[at:end]) > room and end > at + 1:
            end -= 1
        lines.append(text[at:end])
        at = end
    if len(lines) > CELL_LINES:
        lines = lines[:CELL_LINES]
        last = lines[-1]
        while width(last) > room - 1:
            last = last[:-1]
        lines[-1] = last + ELLIPSIS
    return lines


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> str:
    out = []
    for i, cell in enumerate(cells):
        pad = " " * (widths[i] - width(cell))
        out.append(pad + cell if i in right else cell + pad)
    return ("  " + (" " * GAP).join(out)).rstrip() + "\n"
