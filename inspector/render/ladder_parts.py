"""What a ladder diagram is made of, and its words: labels, packets and times of its arrows.

All text is visible text of one line (`render.text.shown`); what acts in SVG or in Mermaid is still in it, and each renderer
escapes it for its medium.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from inspector.lang import _
from inspector.render.text import cut_middle, width, wrap

MAX_SAID = 3  # lines of what became of a message


class ArrowKind(Enum):
    """What an arrow is; the value is its word in the class names of an SVG."""

    REQUEST = "request"
    RESPONSE = "response"
    DISCARDED = "discarded"  # the mirror's response, which ends at the proxy
    LEAKED = "leaked"  # passed on to the client
    UNPROVEN = "unproven"  # reached the proxy; where it went cannot be known
    UNSEEN = "unseen"  # no packet of it was captured


@dataclass(frozen=True, slots=True)
class Lifeline:
    """One who takes part."""

    role: str  # for people: client, proxy, original, mirror
    address: str  # "" where it is not known
    name: str = ""  # a name for the address, "" without one
    seen: bool = True  # whether packets of it are in the capture
    port_changes: bool = False  # its port is another with each connection
    asked: str = ""  # the host that requests to it name, with the word for where that stands; "" where none does


@dataclass(frozen=True, slots=True)
class Arrow:
    """One message. `source` and `target` are places in Ladder.lifelines."""

    leg: str
    kind: ArrowKind
    source: int
    target: int
    what: str  # "GET /items", "200"
    size: str = ""  # "396 B", "no body"
    says: str = ""  # what became of it, in words
    capture: int = 0
    packets: tuple[int, ...] = ()
    time: int | None = None  # ns after the first message

    @property
    def answer(self) -> bool:
        """Whether it is a response: drawn dashed."""
        return self.kind is not ArrowKind.REQUEST


@dataclass(frozen=True, slots=True)
class Ladder:
    """A diagram of one mirror."""

    number: int
    title: str
    verdict: str
    lifelines: tuple[Lifeline, ...]
    arrows: tuple[Arrow, ...]
    notes: tuple[str, ...] = ()
    captures: tuple[str, ...] = ()  # names, by number; () where packets of one capture only are shown

    @property
    def seen(self) -> list[Arrow]:
        """The arrows that packets of the capture stand for."""
        return [a for a in self.arrows if a.kind is not ArrowKind.UNSEEN]


def host(endpoint: str) -> str:
    """The address of "addr:port", without brackets."""
    return endpoint.rpartition(":")[0].removeprefix("[").removesuffix("]")


def offset(ns: int) -> str:
    """`+1,204.113 ms`: time after the first message, to the microsecond."""
    us = (abs(ns) + 500) // 1000
    return f"{'-' if ns < 0 else '+'}{us // 1000:,}.{us % 1000:03d} ms"


def packets(numbers: Sequence[int], ascii_only: bool = False) -> str:
    """`#4`, `#22–41` for a run without a hole, `#22…41` for the first and last of others; "" for none."""
    if not numbers:
        return ""
    if len(numbers) == 1:
        return f"#{numbers[0]}"
    low, high = min(numbers), max(numbers)
    whole = high - low + 1 == len(set(numbers))
    dash = ("-" if whole else "..") if ascii_only else ("–" if whole else "…")
    return f"#{low}{dash}{high}"


def below(line: Lifeline, room: int) -> list[str]:
    """What stands below a role: its name, the host that it is asked for (in one line of `room` columns), its address."""
    if not line.seen:
        return [_("not in the capture")]
    return [text for text in (line.name, cut_middle(line.asked, room), line.address) if text]


def where(ladder: Ladder, arrow: Arrow, ascii_only: bool = False) -> str:
    """The packets of an arrow, with the capture's number in brackets where there are several captures."""
    text = packets(arrow.packets, ascii_only)
    return f"[{arrow.capture + 1}] {text}" if text and ladder.captures else text


def label(arrow: Arrow) -> str:
    """`200 (576 B), not passed on`."""
    return ", ".join(part for part in (_head(arrow.what, arrow.size), arrow.says) if part)


def _head(what: str, size: str) -> str:
    return f"{what} ({size})" if what and size else what or size


def fit(arrow: Arrow, room: int) -> list[str]:
    """The label in one line of at most `room` columns, or in some: what happened, then what became of it."""
    whole = label(arrow)
    if width(whole) <= room:
        return [whole]
    what = cut_middle(arrow.what, room)
    both = _head(what, arrow.size)
    head = [both] if width(both) <= room else [what, cut_middle(arrow.size, room)]
    said = wrap(arrow.says, room) if arrow.says else []
    if len(said) > MAX_SAID:
        said[MAX_SAID - 1 :] = [cut_middle(" ".join(said[MAX_SAID - 1 :]), room)]
    return [part for part in (*head, *said) if part]


def tell(ladder: Ladder) -> list[str]:
    """The diagram in words, a sentence an arrow: for screen readers."""
    out = []
    for a in ladder.arrows:
        ends = _who(ladder.lifelines[a.source]), _who(ladder.lifelines[a.target])
        if a.kind is ArrowKind.UNSEEN:
            out.append(_("{source} to {target}: {label}").format(source=ends[0], target=ends[1], label=label(a)))
            continue
        out.append(
            _("{time}, {packets}: {source} to {target}: {label}").format(
                time="?" if a.time is None else offset(a.time),
                packets=where(ladder, a),
                source=ends[0],
                target=ends[1],
                label=label(a),
            )
        )
    return [*out, *ladder.notes]


def _who(line: Lifeline) -> str:
    return f"{line.role} {line.name or line.address}".rstrip()
