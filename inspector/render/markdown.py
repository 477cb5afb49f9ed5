"""GitHub-flavoured Markdown: tables whose captured text cannot become markup."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator

from inspector.lang import _
from inspector.render import cells
from inspector.render.cells import NONE
from inspector.render.source import Shown, Summed
from inspector.render.text import clock, duration, escape

_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")


def safe(text: str) -> str:
    """Escaped text as literal Markdown: no markup, no HTML, no table border, no automatic link."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\1", text)
    return text.replace("://", "\\://").replace("www.", "www\\.")


def table(names: list[str], rows: Iterable[list[str]], right: Container[int]) -> Iterator[str]:
    """A table; its cells are Markdown already (`safe`)."""
    yield "| " + " | ".join(names) + " |\n"
    yield "| " + " | ".join("---:" if i in right else "---" for i in range(len(names))) + " |\n"
    for row in rows:
        yield "| " + " | ".join(row) + " |\n"


def mirrors(source: Shown) -> Iterator[str]:
    """A table with a row a mirror, the finding, and what could not be seen."""
    rows = (
        [
            str(m.id),
            clock(cells.started(m.mirror)),
            safe(cells.mirror_request(m)),
            safe(cells.server(m.original)),
            safe(cells.server(m.mirror)),
            duration(m.lag, signed=True),
            safe(cells.verdict(m)),
        ]
        for m in source.mirror_views()
    )
    if source.summary.mirrors:
        yield from table(
            ["#", _("time (UTC)"), _("request"), _("original"), _("mirror"), _("lag"), _("verdict")], rows, (0, 5)
        )
        yield "\n"
    yield from _finding(source)


def exchanges(source: Shown) -> Iterator[str]:
    """A table with a row an exchange."""
    rows = (
        [
            str(x.id),
            clock(cells.started(x)),
            safe(x.leg),
            safe(escape(x.client)),
            safe(escape(x.server)),
            safe(cells.request(x.method, x.path, x.unread)),
            cells.status(x),
            duration(x.duration) or NONE,
        ]
        for x in source.exchange_views()
    )
    yield from table(
        ["#", _("time (UTC)"), _("leg"), _("client"), _("server"), _("request"), _("status"), _("duration")],
        rows,
        (0, 7),
    )


def summary(source: Summed) -> Iterator[str]:
    """Captures, counts, the finding, and what could not be seen."""
    s = source.summary
    for c in source.captures:
        yield f"## {safe(escape(c.path))}\n\n"
        for line in cells.capture_facts(c):
            yield f"- {safe(line)}\n"
        yield "\n"
    streams = ", ".join(f"{n:,} {escape(name)}" for name, n in s.protocols.items() if n) or NONE
    rows = [
        [_("connections"), f"{s.connections:,}"],
        [_("streams"), safe(streams)],
        [_("exchanges"), f"{s.exchanges:,}"],
        [_("mirrors"), f"{s.mirrors:,}"],
        [_("verdicts"), safe(cells.verdicts(s.verdicts)) or NONE],
        [_("share"), safe(cells.summed_share(s))],
    ]
    yield from table([_("what"), _("how many")], rows, ())
    yield "\n"
    yield from _finding(source)


def _finding(source: Summed) -> Iterator[str]:
    if source.summary.finding:
        yield safe(escape(source.summary.finding)) + "\n"
    if source.summary.unseen:
        yield "\n" + _("Not seen:") + "\n\n"
        for sentence in source.summary.unseen:
            yield f"- {safe(escape(sentence))}\n"
