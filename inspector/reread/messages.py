"""Heads and bodies of exchanges that are shown. An inspection keeps none of them, so the captures are read once more.

Only the segments of the connections in question go through a fresh tracker and parser; a message is known again by its
first packet and by what was reported of it. What does not come out as it was reported (connections share a clock) is read
again with all segments, which repeats the first reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from inspector.http.content import Content
from inspector.lang import _, marked
from inspector.reread.second_pass import Again, Capture, Progress, RereadLimits, Wanted, without_bodies
from inspector.views.objects import ExchangeView

__all__ = ["Capture", "Content", "Progress", "RereadLimits", "each", "reread"]
READABLE = ("http/1.0", "http/1.1")
UNREADABLE = marked("only HTTP/1 messages can be read again")
LOST = marked("not found when the capture was read again: has it changed?")
NO_ROOM = marked("too much was open at once for it to be read again")


def reread(
    captures: Sequence[Capture],
    exchanges: Iterable[ExchangeView],
    limits: RereadLimits | None = None,
    progress: Progress | None = None,
) -> dict[int, Content]:
    """The content of each exchange, by its id. All of them are there; `Content.why` tells where one could not be read again.

    captures: those that the exchanges came from, in the same order. Raises CaptureError where one cannot be read any more.
    """
    limits = limits or RereadLimits()
    out: dict[int, Content] = {}
    room = limits.total
    for number, content in each(captures, exchanges, limits, progress):
        size = sum(len(p.body) for p in (content.request, content.response) if p)
        if size > room:
            content = without_bodies(content)
        else:
            room -= size
        out[number] = content
    return out


def each(
    captures: Sequence[Capture],
    exchanges: Iterable[ExchangeView],
    limits: RereadLimits | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Content]]:
    """Like `reread`, but each exchange is passed on when it has been read, in the order in which they end, and none is kept."""
    wanted = Wanted()
    told: set[int] = set()  # an exchange may be part of several pairs
    for exchange in exchanges:
        if exchange.id in told:
            continue
        told.add(exchange.id)
        if exchange.protocol in READABLE:
            wanted.add(exchange)
        else:
            yield exchange.id, Content(None, None, _(UNREADABLE))
    for narrow in (True, False):
        if wanted:
            yield from Again(wanted, narrow, limits or RereadLimits()).run(captures, progress)
    for number in wanted.left():
        yield number, Content(None, None, _(LOST))
