"""Tables for the terminal: one row a mirror or an exchange, fitted to its width."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from inspector.lang import _
from inspector.render import cells
from inspector.render.cells import NONE
from inspector.render.source import Shown, Summed
from inspector.render.text import clock, cut, cut_middle, duration, escape, width, wrap

GAP = 2
NARROW = 22  # columns of what stands behind a verdict in a narrow terminal
READABLE = 100  # sentences are wrapped at this width also where the terminal is wider
Steps = Sequence[tuple[int, int]]  # (column, least width), in the order in which columns give way
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
VERDICT_COLOURS = {"discarded": "32", "leaked": "1;31", "unanswered": "33", "unproven": "35"}


def paint(word: str, code: str | None, colour: bool) -> str:
    """`word` in an ANSI colour; the word itself says the same."""
    return f"\x1b[{code}m{word}\x1b[0m" if colour and code else word


def verdict_colour(line: str, verdict: str, colour: bool) -> str:
    """`line` with the verdict, its last such word, coloured."""
    before, word, after = line.rpartition(verdict)
    return before + paint(word, VERDICT_COLOURS.get(verdict), colour) + after if word else line


def sentences(source: Summed, columns: int) -> Iterator[str]:
    """The finding in one sentence, then what could not be seen."""
    room = min(max(columns, 20), READABLE)
    if source.summary.finding:
        yield from (line + "\n" for line in wrap(escape(source.summary.finding), room))
    if source.summary.unseen:
        yield "\n" + _("Not seen:") + "\n"
        for sentence in source.summary.unseen:
            yield from (line + "\n" for line in wrap(escape(sentence), room, "- ", "  "))


def _widest(rows: Sequence[Sequence[str]], names: Sequence[str]) -> list[int]:
    """Display width of each column; a cell of several lines counts with its widest, colours do not count."""
    out = [0] * len(names)
    for row in (names, *rows):
        for i, cell in enumerate(row):
            if "\x1b" in cell:
                cell = _ANSI.sub("", cell)
            w = width(cell) if "\n" not in cell else max(map(width, cell.split("\n")))
            if w > out[i]:
                out[i] = w
    return out


def _limits(widths: list[int], columns: int, steps: Steps) -> dict[int, int]:
    """How wide columns may be: each step takes from its column, down to a least width, until the row fits."""
    over = sum(widths) + GAP * (len(widths) - 1) - columns
    limits = {i: widths[i] for i, _ in steps}
    for i, least in steps:
        give = min(max(over, 0), max(limits[i] - least, 0))
        limits[i] -= give
        over -= give
    return limits


def _fits(widths: list[int], columns: int, steps: Steps) -> bool:
    limits = _limits(widths, columns, steps)
    return sum(limits.get(i, w) for i, w in enumerate(widths)) + GAP * (len(widths) - 1) <= columns


def _layout(rows: list[list[str]], names: list[str], right: tuple[int, ...]) -> Iterator[str]:
    import tabulate

    rules = ["-" * w for w in _widest(rows, names)]
    align = ["right" if i in right else "left" for i in range(len(names))]
    # The names are a row like the others: as headers they would get padding that nobody counted.
    text = tabulate.tabulate([names, rules, *rows], tablefmt="plain", disable_numparse=True, colalign=align)
    for line in text.split("\n"):
        yield line.rstrip() + "\n"


def mirrors(source: Shown, columns: int, colour: bool = False) -> Iterator[str]:
    """Number, time, request, original, mirror, lag and verdict; in a narrow terminal some cells take two lines."""
    rows, words = [], []
    for m in source.mirror_views():
        at, lag = clock(cells.started(m.mirror)), duration(m.lag, signed=True) or NONE
        servers = [cells.server(m.original), cells.server(m.mirror)]
        rows.append([str(m.id), at, cells.mirror_request(m), *servers, lag, cells.verdict(m)])
        words.append(m.verdict)
    names = ["#", _("time (UTC)"), _("request"), _("original"), _("mirror"), _("lag"), _("verdict")]
    steps = [(2, 16)]
    if rows and not _fits(_widest(rows, names), columns, steps):
        names = ["#", _("time (UTC)"), _("request"), _("original") + "\n" + _("mirror"), _("lag"), _("verdict")]
        rows = [
            [n, at, request, f"{original}\n{mirror}", lag, _narrow(verdict)]
            for n, at, request, original, mirror, lag, verdict in rows
        ]
        steps = [(2, 16), (3, 20), (2, 8)]
        yield from _table(rows, names, columns, steps, (0, 4), words if colour else None)
    elif rows:
        yield from _table(rows, names, columns, steps, (0, 5), words if colour else None)
    if rows:
        yield "\n"
    yield from sentences(source, columns)


def _narrow(verdict: str) -> str:
    """What stands behind a verdict, in lines below it."""
    word, _space, behind = verdict.partition(" (")
    return "\n".join([word, *wrap(behind.removesuffix(")"), NARROW)]) if behind else word


def _table(
    rows: list[list[str]],
    names: list[str],
    columns: int,
    steps: Steps,
    right: tuple[int, ...],
    words: list[str] | None,
) -> Iterator[str]:
    """Cut the cells to the width and lay them out; `words` are the verdicts to colour in the last column."""
    limits = _limits(_widest(rows, names), columns, steps)
    for n, row in enumerate(rows):
        for i, limit in limits.items():
            row[i] = "\n".join([cut_middle(part, limit) for part in row[i].split("\n")])
        if words is not None:
            row[-1] = row[-1].replace(words[n], paint(words[n], VERDICT_COLOURS.get(words[n]), True), 1)
    yield from _layout(rows, names, right)


def exchanges(source: Shown, columns: int) -> Iterator[str]:
    """Number, time, leg, client, server, request, status and duration of every exchange."""
    rows = [
        [
            str(x.id),
            clock(cells.started(x)),
            x.leg,
            escape(x.client),
            escape(x.server),
            cells.request(x.method, x.path, x.unread),
            cells.status(x),
            duration(x.duration) or NONE,
        ]
        for x in source.exchange_views()
    ]
    names = ["#", _("time (UTC)"), _("leg"), _("client"), _("server"), _("request"), _("status"), _("duration")]
    if not rows:
        yield _("No exchange was found.") + "\n"
    elif _fits(_widest(rows, names), columns, [(5, 16)]):
        yield from _table(rows, names, columns, [(5, 16)], (0, 7), None)
    else:
        narrow = [[n, at, leg, f"{client}\n{server}", *rest] for n, at, leg, client, server, *rest in rows]
        names = ["#", _("time (UTC)"), _("leg"), _("client") + "\n" + _("server"), *names[5:]]
        yield from _table(narrow, names, columns, [(4, 16), (3, 17), (4, 8)], (0, 6), None)


def summary(source: Summed, columns: int, colour: bool = False) -> Iterator[str]:
    """What is in the captures: packets, connections, exchanges, mirrors by verdict, and what cannot be seen."""
    s = source.summary
    for c in source.captures:
        yield paint(cut(escape(c.path), columns), "1", colour) + "\n"
        for fact in cells.capture_facts(c):
            yield from (line + "\n" for line in wrap(fact, min(columns, READABLE), "  ", "    "))
    streams = ", ".join(f"{n:,} {escape(name)}" for name, n in s.protocols.items() if n)
    facts = [
        (
            _("connections"),
            f"{s.connections:,}" + (" " + _("(streams: {streams})").format(streams=streams) if streams else ""),
        ),
        (_("exchanges"), f"{s.exchanges:,}"),
        (_("mirrors"), f"{s.mirrors:,}" + (f": {cells.verdicts(s.verdicts)}" if s.mirrors else "")),
        (_("share"), cells.summed_share(s)),
    ]
    yield "\n"
    for name, value in facts:
        lead = name + " " * max(13 - width(name), 1)
        yield from (line + "\n" for line in wrap(value, min(columns, READABLE), lead, " " * 13))
    yield "\n"
    yield from sentences(source, columns)
