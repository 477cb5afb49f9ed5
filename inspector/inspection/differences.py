"""Pairs compared by what their exchanges carried: one mirror, or all of them in one further reading of the captures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from inspector.http.content import Content
from inspector.inspection.again import emptied
from inspector.inspection.reread import Capture, Limits, Progress, each, reread
from inspector.mirror.compare import Difference, Setting, compare
from inspector.mirror.compare_bodies import Bodies
from inspector.mirror.differences import Differences
from inspector.mirror.views import ExchangeView, MirrorView
from inspector.redact import Redactor


@dataclass
class _Pair:
    """A mirror's number, the exchanges of its pair, and the proxy between them."""

    number: int
    original: int | None
    mirror: int
    proxy: str | None


def difference(
    m: MirrorView,
    captures: Sequence[Capture],
    redactor: Redactor,
    suffix: str = "-shadow",
    progress: Progress | None = None,
) -> Difference:
    """A mirror against its original. captures: those it was found in, in the same order. Raises CaptureError."""
    found = reread(captures, [x for x in (m.original, m.mirror) if x is not None], progress=progress)
    return compare(
        found[m.original.id] if m.original else None, found[m.mirror.id], Setting(Bodies(redactor), suffix, m.proxy)
    )


def differences(
    mirrors: Iterable[MirrorView],
    captures: Sequence[Capture],
    redactor: Redactor,
    suffix: str = "-shadow",
    limits: Limits | None = None,
    progress: Progress | None = None,
    told: Callable[[int, Difference], None] | None = None,
) -> Differences:
    """All mirrors against their originals, counted. Memory grows by some hundred bytes a mirror. Raises CaptureError.

    told: called with each mirror's number and difference, in the order in which they are read.
    """
    limits = limits or Limits()
    gathering = _Gathering(redactor, suffix, limits.total, told)
    for number, content in each(captures, gathering.exchanges(mirrors), limits, progress):
        gathering.add(number, content)
    return gathering.found


class _Gathering:
    """Compares pairs as soon as both of their exchanges have been read."""

    def __init__(
        self, redactor: Redactor, suffix: str, room: int, told: Callable[[int, Difference], None] | None = None
    ) -> None:
        self.found = Differences()
        self.told = told
        self.bodies = Bodies(redactor)
        self.suffix = suffix
        self.room = room
        self.pairs: dict[int, list[_Pair]] = defaultdict(list)  # by the exchanges that they wait for
        self.held: dict[int, Content] = {}

    def exchanges(self, mirrors: Iterable[MirrorView]) -> Iterator[ExchangeView]:
        """The exchanges of all pairs, each once: an original may have several mirrors."""
        for m in mirrors:
            pair = _Pair(m.id, m.original.id if m.original else None, m.mirror.id, m.proxy)
            for x in (m.original, m.mirror):
                if x is not None:
                    if x.id not in self.pairs:
                        yield x
                    self.pairs[x.id].append(pair)

    def add(self, number: int, content: Content) -> None:
        """An exchange has been read."""
        size = _size(content)
        if size > self.room:
            content, size = _emptied(content), 0
        self.room -= size
        self.held[number] = content
        for pair in list(self.pairs[number]):
            original = None if pair.original is None else self.held.get(pair.original)
            mirror = self.held.get(pair.mirror)
            if mirror is None or (original is None and pair.original is not None):
                continue
            d = compare(original, mirror, Setting(self.bodies, self.suffix, pair.proxy))
            self.found.add(pair.number, d)
            if self.told is not None:
                self.told(pair.number, d)
            for done in (pair.original, pair.mirror):
                if done is not None:
                    self._done(done, pair)

    def _done(self, number: int, pair: _Pair) -> None:
        """The pair has been compared; an exchange that no other pair waits for goes."""
        self.pairs[number].remove(pair)
        if not self.pairs[number]:
            del self.pairs[number]
            self.room += _size(self.held.pop(number))


def _size(content: Content) -> int:
    return sum(len(p.body) for p in (content.request, content.response) if p)


def _emptied(content: Content) -> Content:
    request, response = (p and emptied(p) for p in (content.request, content.response))
    return Content(request, response, content.why)
