"""The ladder as Mermaid text (`sequenceDiagram`), which GitHub, GitLab and many wikis draw.

Nothing of a capture acts in it: every character that is no letter, no digit and not in a short list of harmless ones is written
as an entity (`#59;`), as https://mermaid.js.org/syntax/sequenceDiagram.html says. Mermaid refuses more than 50,000 characters
(`maxTextSize`) and 500 edges (`maxEdges`) by default: what does not fit is left out, and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from inspector.lang import several
from inspector.render.ladder import layout
from inspector.render.ladder_parts import Arrow, ArrowKind, Ladder, Lifeline, below, host, label, offset, where
from inspector.render.source import Shown
from inspector.render.text import cut_middle
from inspector.views.objects import MirrorView

MAX_CHARACTERS = 49_000  # of maxTextSize's 50,000
MAX_MESSAGES = 490  # of maxEdges' 500
MAX_PARTICIPANTS = 24  # what a person can still follow
MAX_LABEL = 120  # columns of one label
_ARROWS = {
    ArrowKind.REQUEST: "->>",
    ArrowKind.RESPONSE: "-->>",
    ArrowKind.DISCARDED: "--x",
    ArrowKind.LEAKED: "-->>",
    ArrowKind.UNPROVEN: "--)",
}
_HARMLESS = re.compile(r"[^\W_]|[ ./,()=?&_+'-]")


def literal(text: str) -> str:
    """Visible text as Mermaid text that means itself; its length is bounded."""
    return "".join([c if _HARMLESS.match(c) else f"#{ord(c)};" for c in cut_middle(text, MAX_LABEL)])


def diagram(ladder: Ladder) -> str:
    """The diagram of one mirror, ending in a newline."""
    return "".join(f"{line}\n" for line in _whole([ladder], 0))


def mirrors(source: Shown) -> Iterator[str]:
    """One diagram with the ladders of the first mirrors of an inspection, one below the other."""
    views = source.mirror_views()
    yield from (f"{line}\n" for line in _whole(_layouts(views), source.summary.mirrors))


def _layouts(views: Iterable[MirrorView]) -> Iterator[Ladder]:
    return (layout(view) for view in views)


class _Sheet:
    """Lines of one diagram while they fit."""

    def __init__(self, many: bool) -> None:
        self.many = many
        self.participants: dict[str, str] = {}  # name -> id
        self.body: list[str] = []
        self.size = 3000  # for the first line and what is said at the end
        self.messages = 0

    def take(self, ladder: Ladder) -> bool:
        """Add a ladder; False where it does not fit any more, and nothing was added."""
        known = dict(self.participants)
        places = [known.setdefault(_name(line, self.many), f"p{len(known)}") for line in ladder.lifelines]
        fresh = list(known.items())[len(self.participants) :]
        body = [*(_heading(ladder, places) if self.many else ()), *_messages(ladder, places)]
        body += [] if self.many else _notes(ladder, places)
        size = sum(len(line) + 1 for line in body) + sum(len(name) + 30 for name, _id in fresh)
        messages = self.messages + len(ladder.arrows)
        if self.size + size > MAX_CHARACTERS or messages > MAX_MESSAGES or len(known) > MAX_PARTICIPANTS:
            return False
        self.participants = known
        self.body += body
        self.size += size
        self.messages = messages
        return True


def _whole(ladders: Iterable[Ladder], total: int) -> Iterator[str]:
    """The lines of a diagram; `total` is the number of mirrors there are, 0 for a diagram of one."""
    sheet, drawn = _Sheet(total > 0), 0
    first = None
    for ladder in ladders:
        first = first or ladder
        if not sheet.take(ladder):
            break
        drawn += 1
    yield "sequenceDiagram"
    if first is not None and not total:
        yield f"    title {literal(first.title)}"
        yield f"    accTitle: {literal(first.title)}"
    for name, number in sheet.participants.items():
        yield f"    participant {number} as {name}"
    yield from sheet.body
    left = max(total, 1) - drawn
    if left:
        said = several("{n} more mirror is not drawn", "{n} more mirrors are not drawn", left).format(n=f"{left:,}")
        ends = list(sheet.participants.values()) or ["p0"]
        yield f"    Note over {ends[0]},{ends[-1]}: {literal(said)}"


def _name(line: Lifeline, many: bool) -> str:
    """A role with its name and address. In a diagram of many ladders a client is one, whatever its port."""
    if many:  # hosts differ from request to request
        line = replace(line, address=host(line.address) if line.port_changes else line.address, asked="")
    return "<br/>".join(literal(part) for part in (line.role, *below(line, MAX_LABEL)))


def _heading(ladder: Ladder, places: list[str]) -> Iterator[str]:
    yield f"    Note over {places[0]},{places[-1]}: {literal(ladder.title)}"


def _messages(ladder: Ladder, places: list[str]) -> list[str]:
    return [f"    {_message(a, ladder, places)}" for a in ladder.arrows]


def _notes(ladder: Ladder, places: list[str]) -> list[str]:
    notes = [f"[{i}] {name}" for i, name in enumerate(ladder.captures, 1)] + list(ladder.notes)
    return [f"    Note over {places[0]},{places[-1]}: {literal(note)}" for note in notes]


def _message(a: Arrow, ladder: Ladder, places: list[str]) -> str:
    source, target = places[a.source], places[a.target]
    text = literal(label(a))
    if a.kind is ArrowKind.UNSEEN:
        low, high = sorted((a.source, a.target))
        return f"Note over {places[low]},{places[high]}: {text}"
    time = "" if a.time is None else offset(a.time)
    behind = literal(" ".join(part for part in (where(ladder, a), time) if part))
    return (
        f"{source}{_ARROWS[a.kind]}{target}: {text}<br/>{behind}"
        if behind
        else f"{source}{_ARROWS[a.kind]}{target}: {text}"
    )
