"""The page's data: what its script draws of each mirror when it is opened. What repeats is kept once and named by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspector.inspection.story import MirrorStory
from inspector.lang import _
from inspector.render import cells, ladder_svg
from inspector.render import ladder as ladders
from inspector.render.ladder_parts import MAX_SAID, Ladder, where
from inspector.render.likeness import same
from inspector.render.report.compared import Brief
from inspector.render.report.html import data
from inspector.render.text import cut_middle, duration, shown
from inspector.views.objects import ExchangeView, MirrorView

MAX_TEXT = 300  # columns of a captured text in the data
EVIDENCE = 12  # packets listed of one mirror


class Pool:
    """Texts, and lists of numbers of texts, each once, with the bytes that they take in the page."""

    def __init__(self) -> None:
        self.items: list[str | list[int]] = []
        self.bytes = 0
        self._numbers: dict[str | tuple[int, ...], int] = {}

    def of(self, item: str | tuple[int, ...]) -> int:
        """The number of a text or a list."""
        number = self._numbers.setdefault(item, len(self.items))
        if number == len(self.items):
            self.items.append(item if isinstance(item, str) else list(item))
            self.bytes += len(data(self.items[-1])) + 1
        return number

    def row(self, *texts: str) -> int:
        """The number of a list of texts."""
        return self.of(tuple(map(self.of, texts)))


@dataclass(frozen=True)
class PageNames:
    """What ladders and details need beside the mirror: names of captures and of addresses, and what differs."""

    captures: Sequence[str]
    names: Mapping[str, str]
    briefs: Mapping[int, Brief] = field(default_factory=dict)


def ladder_of(told: MirrorStory, look: PageNames) -> Ladder:
    """The ladder of a mirror."""
    return ladders.layout(told.mirror, look.names, told.others, look.captures, told.more)


def entry(told: MirrorStory, look: PageNames, pool: Pool) -> list[Any]:
    """What the script needs of one mirror: request id, ladder, comparison, facts, evidence; `different` is put behind."""
    m = told.mirror
    return [
        pool.of(cut_middle(shown(m.request_id, ""), MAX_TEXT)),
        _ladder(m, ladder_of(told, look), pool),
        [pool.row(*row) for row in comparison(m)],
        [pool.row(*pair) for pair in facts(m)],
        [[e.capture, e.packet, pool.of(cut_middle(shown(e.says), MAX_TEXT))] for e in m.evidence[:EVIDENCE]],
    ]


def different(found: Brief, pool: Pool) -> list[Any]:
    """What differs of one pair: sentences, rows, and how many more there are."""
    return [pool.row(*found.says), [pool.row(*row) for row in found.rows], found.more]


def _ladder(m: MirrorView, ladder: Ladder, pool: Pool) -> list[Any]:
    n = pool.of
    return [
        n(cut_middle(cells.request(m.method, m.path), ladders.MAX_TEXT)),
        n(cells.verdict(m)),
        [
            pool.row(line.role, line.address, line.name, line.asked, "" if line.seen else "unseen")
            for line in ladder.lifelines
        ],
        [
            [n(a.kind.value), a.source, a.target, n(a.what), n(a.size), n(a.says), n(where(ladder, a)), a.time]
            for a in ladder.arrows
        ],
        pool.row(*ladder.notes),
        pool.row(*ladder.captures),
    ]


def comparison(m: MirrorView) -> list[list[str]]:
    """Rows: what, original, mirror, what the client was given, and "1" where original and mirror differ."""
    legs = (m.original, m.mirror, m.downstream)
    absent = _("not captured")

    def row(name: str, cells: list[str], comparable: bool) -> list[str]:
        unlike = comparable and cells[0] != cells[1] and absent not in cells[:2]
        return [name, *cells, "1" if unlike else ""]

    def of(x: ExchangeView | None, value: object) -> str:
        return absent if x is None or value is None else str(value)

    def size(x: ExchangeView | None) -> str:
        n = x.response_body_bytes if x is not None and x.status is not None else None
        return absent if n is None else f"{n:,} B"

    return [
        row(_("server"), [absent if x is None else shown(x.server) for x in legs], False),
        row(_("status"), [of(x, x and x.status) for x in legs], True),
        row(_("body"), [size(x) for x in legs], True),
        row(_("hash of the body"), [of(x, x and x.response_body_hash) for x in legs], True),
        row(_("duration"), [of(x, x and (duration(x.duration) or None)) for x in legs], False),
    ]


def answers(m: MirrorView) -> tuple[str, str]:
    """(word for the filter, what the cell says) of how the mirror's answer compares with the original's."""
    o, x = m.original, m.mirror
    if o is None or o.status is None or x.status is None:
        return "unknown", _("not comparable")
    if o.status != x.status:
        return "status", _("status differs")
    alike = same(o, x)
    if alike is None:
        return "unknown", _("body unknown")
    return ("same", _("same")) if alike else ("body", _("body differs"))


def facts(m: MirrorView) -> list[tuple[str, str]]:
    """Name and value: how it was paired and judged."""
    arrived = {
        "complete": _("whole"),
        "partial": _("in part"),
        "none": _("no response was seen"),
    }
    out = [(_("verdict"), m.verdict)]
    if m.proof:
        out.append((_("proof"), ", ".join(m.proof)))
    if m.reason:
        out.append((_("reason"), m.reason))
    out.append((_("mirror's response at the proxy"), arrived.get(m.arrived, m.arrived)))
    percent = round(m.confidence * 100)
    out.append((_("paired by"), _("{signs} ({percent} % sure)").format(signs=", ".join(m.paired_by), percent=percent)))
    return [*out, (_("lag"), duration(m.lag, signed=True) or _("not known"))]


def constants() -> dict[str, Any]:
    """What the drawing of ladders shares with `ladder_svg`."""
    return {
        "character": ladder_svg.CHARACTER,
        "line": ladder_svg.LINE,
        "least": ladder_svg.LEAST_GAP,
        "most": ladder_svg.MOST_GAP,
        "edge": ladder_svg.EDGE,
        "addresses": ladder_svg.ADDRESS_LINES,
        "said": MAX_SAID,
        "desc": ladder_svg.MAX_DESC,
        "inks": list(ladder_svg.INKS["light"]),
    }


def words() -> dict[str, str]:
    """What the script says, in the page's language; `{n}` is filled in by it."""
    return {
        "title": _("Mirror {number}: {request}, {verdict}"),
        "unseen": _("not in the capture"),
        "tellUnseen": _("{source} to {target}: {label}"),
        "tell": _("{time}, {packets}: {source} to {target}: {label}"),
        "shown": _("{n} of {total} mirrors shown"),
        "sorted": _("sorted by {column}"),
        "ascending": _("ascending"),
        "descending": _("descending"),
        "open": _("Mirror {n}: show the ladder and the details"),
        "compared": _("Original, mirror, and what the client was given"),
        "what": _("response"),
        "original": _("original"),
        "mirror": _("mirror"),
        "client": _("to the client"),
        "evidence": _("Packets that show it"),
        "different": _("What differs"),
        "part": _("part"),
        "change": _("change"),
        "more": _("{n} more: inspect FILE --diff {number}"),
        "packet": _("packet {n}"),
        "wireshark": _("In Wireshark"),
        "differs": _("differs"),
        "requestId": "x-request-id",
        "steps": _("All steps: inspect FILE --explain {n}"),
        "scroll": _("ladder diagram"),
    }
