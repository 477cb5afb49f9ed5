"""Mirrors line by line while a capture is still being written: columns of fixed width, since no row waits for the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from inspector.lang import _, marked
from inspector.render import cells
from inspector.render.cells import NONE
from inspector.render.table import verdict_colour
from inspector.render.text import clock, cut_middle, duration, escape, width
from inspector.views.objects import MirrorView

# Name and width of each column; the request (0) gets what is left.
WIDE = (
    ("#", 5),
    (marked("time (UTC)"), 12),
    (marked("request"), 0),
    (marked("original"), 20),
    (marked("mirror"), 20),
    (marked("lag"), 8),
    (marked("verdict"), 25),
)
NARROW = (
    ("#", 4),
    (marked("time (UTC)"), 12),
    (marked("request"), 0),
    (marked("mirror"), 20),
    (marked("lag"), 8),
    (marked("verdict"), 11),
)  # verdicts by their word
LEAST = 12  # of the request
GAP = "  "
RIGHT = ("#", "lag")


def _fitted(columns: int) -> list[tuple[str, int]]:
    """The columns with their widths."""
    for chosen in (WIDE, NARROW):
        rest = columns - sum(room for _name, room in chosen) - len(GAP) * (len(chosen) - 1)
        if rest >= LEAST:
            break
    return [(name, room or max(rest, LEAST)) for name, room in chosen]


def _line(cells_of: dict[str, str], fitted: list[tuple[str, int]]) -> str:
    out = []
    for name, room in fitted:
        text = cut_middle(cells_of[name], room)
        space = " " * (room - width(text))
        out.append(space + text if name in RIGHT else text + space)
    return GAP.join(out).rstrip()


def heading(columns: int) -> str:
    """The names of the columns and a rule."""
    fitted = _fitted(columns)
    rule = {name: "-" * room for name, room in fitted}
    return (
        _line({name: _(name) if name != "#" else name for name, _room in fitted}, fitted)
        + "\n"
        + _line(rule, fitted)
        + "\n"
    )


def rows(mirrors: Iterable[MirrorView], columns: int, colour: bool = False) -> Iterator[str]:
    """A line each."""
    fitted = _fitted(columns)
    wide = len(fitted) == len(WIDE)
    for m in mirrors:
        line = _line(
            {
                "#": str(m.id),
                "time (UTC)": clock(cells.started(m.mirror)),
                "request": cells.mirror_request(m),
                "original": cells.server(m.original),
                "mirror": cells.server(m.mirror),
                "lag": duration(m.lag, signed=True) or NONE,
                "verdict": cells.verdict(m) if wide else escape(m.verdict),
            },
            fitted,
        )
        yield verdict_colour(line, m.verdict, colour) + "\n"
