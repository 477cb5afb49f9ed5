"""Pairs compared by what their exchanges carried: one mirror, or all of them in one further reading of the captures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from inspector.capture.addresses import format_address
from inspector.compare.bodies import Bodies
from inspector.compare.counts import Differences
from inspector.compare.pair import PairDifference, Setting, compare
from inspector.http.content import Content
from inspector.lang import _
from inspector.redact import Redactor
from inspector.reread.messages import LOST, NO_ROOM, UNREADABLE, Capture, Progress, RereadLimits, reread
from inspector.reread.pairs import PairRows, Rows
from inspector.reread.second_pass import NONE, Again, Wanted, without_bodies
from inspector.table import I64
from inspector.views.cache import Memo
from inspector.views.columns import Listing, MirrorColumns
from inspector.views.objects import MirrorView

CHUNK = 1024  # views that become columns at once
# Beyond these, pairs are put off to the second reading.
OPEN = 1 << 16  # exchanges that are looked for at once
HEADS = 64 << 20  # bytes of heads, without bodies, that wait for the other one of their pair
HEAD, FIELD = 1024, 128  # bytes that an exchange, or a field, takes beside its content
UNTOLD, TOLD, PUT_OFF = 0, 1, 2  # a pair that is still to be compared; compared; one for which there was no room

Tell = Callable[[int, PairDifference], None]


def difference(
    m: MirrorView,
    captures: Sequence[Capture],
    redactor: Redactor,
    suffix: str = "-shadow",
    progress: Progress | None = None,
) -> PairDifference:
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
    limits: RereadLimits | None = None,
    progress: Progress | None = None,
    told: Tell | None = None,
) -> Differences:
    """All mirrors against their originals, counted. Memory grows by some two hundred bytes a mirror. Raises CaptureError.

    told: called with each mirror's number and difference, in the order in which they are read.
    """
    found, legs = Differences(), PairRows()
    for chunk in _chunks(mirrors):
        legs.add(chunk)

    def tell(number: int, d: PairDifference) -> None:
        found.add(number, d)
        if told is not None:
            told(number, d)

    compare_pairs(legs, captures, redactor, tell, suffix, limits, progress)
    return found


def _chunks(mirrors: Iterable[MirrorView]) -> Iterator[MirrorColumns]:
    if isinstance(mirrors, Listing):
        yield from mirrors.chunks
        return
    views = iter(mirrors)
    while chunk := list(islice(views, CHUNK)):
        yield MirrorColumns.of(chunk)


def compare_pairs(
    legs: PairRows,
    captures: Sequence[Capture],
    redactor: Redactor,
    tell: Tell,
    suffix: str = "-shadow",
    limits: RereadLimits | None = None,
    progress: Progress | None = None,
) -> None:
    """Compare all pairs; memory grows by a byte a pair. tell: called with each pair's number and difference. Raises CaptureError.

    captures: those that the pairs were found in, in the same order. What the connections of the pairs alone do not give
    (connections share a clock) is looked for among all segments, as `reread` does it.
    """
    limits = limits or RereadLimits()
    gathering = _Gathering(legs, redactor, suffix, limits.total, tell)
    if legs.readable:
        for narrow in (True, False):
            feed = _Feed(legs, gathering)
            if feed:
                for number, content in Again(feed, narrow, limits).run(captures, progress):
                    gathering.add(number, content)
            gathering.end(last=not narrow)
    gathering.give_up()


class _Pair(NamedTuple):
    """A mirror's number, the exchanges of its pair, and the proxy between them."""

    number: int
    original: int
    mirror: int
    proxy: str | None


class _Feed(Wanted):
    """Looks for exchanges from their time on. Where too many were not found, the oldest are put off."""

    def __init__(self, legs: PairRows, gathering: _Gathering) -> None:
        super().__init__()
        self._legs, self._gathering = legs, gathering
        self._source = (rows for found in legs.merged() if len(rows := gathering.untold(found)))
        self._next: Rows | None = next(self._source, None)

    def __len__(self) -> int:
        return len(self._wishes) + (self._next is not None)

    def clients(self) -> I64:
        """Of all pairs: what is read of a connection must not depend on when its first exchange is looked for."""
        return self._legs.clients()

    def reach(self, time: int) -> bool:
        """As Wanted."""
        before = self._next
        while self._next is not None:
            count = int(np.searchsorted(self._next["time"], time, "right"))
            self._look_for(self._next[:count])
            if count < len(self._next):
                self._next = self._next[count:]
                break
            self._next = next(self._source, None)
        while len(self._wishes) > OPEN:
            for exchange, _asked, _answered in self._wishes.pop(next(iter(self._wishes))):
                self._gathering.put_off(exchange)
        return self._next is not before

    def _look_for(self, rows: Rows) -> None:
        names = ("exchange", "key", "asked", "answered", "readable")
        new = self._gathering.expect(rows)
        for exchange, key, asked, answered, readable in zip(*(rows[name].tolist() for name in names), strict=True):
            if exchange not in new:
                continue
            new.discard(exchange)
            if readable:
                self._wishes[key].append((exchange, asked, answered))
            else:
                self._gathering.add(exchange, Content(None, None, _(UNREADABLE)))


class _Gathering:
    """Compares pairs as soon as both of their exchanges have been read."""

    def __init__(self, legs: PairRows, redactor: Redactor, suffix: str, room: int, tell: Tell) -> None:
        self.legs, self.tell = legs, tell
        self.room, self.heads = room, HEADS  # bytes that may still be held
        self._rooms = self.room, self.heads
        self.state = np.zeros(legs.pairs + 1, np.uint8)
        self.pairs: dict[int, list[_Pair]] = {}  # by the exchanges that they wait for
        self.held: dict[int, Content] = {}
        bodies = Bodies(redactor)
        self._setting = Memo[str | None, Setting](lambda proxy: Setting(bodies, suffix, proxy))
        self._address = Memo[tuple[int, int], str](lambda address: format_address(*address))

    def untold(self, rows: Rows) -> Rows:
        """Those of pairs that are still to be compared."""
        state = self.state[rows["pair"]]
        return rows if not state.any() else rows[state == UNTOLD]

    def expect(self, rows: Rows) -> set[int]:
        """Take up the pairs of these rows; the exchanges that are to be looked for now."""
        new = set()
        for exchange, pair in zip(rows["exchange"].tolist(), self._pairs(rows), strict=True):
            if self.state[pair.number] == UNTOLD:
                if exchange not in self.pairs:
                    self.pairs[exchange] = []
                    new.add(exchange)
                self.pairs[exchange].append(pair)
        return new

    def _pairs(self, rows: Rows) -> Iterator[_Pair]:
        names = ("pair", "original", "mirror", "proxy_hi", "proxy_lo", "proxied")
        for number, original, mirror, hi, lo, known in zip(*(rows[name].tolist() for name in names), strict=True):
            yield _Pair(number, original, mirror, self._address[hi, lo] if known else None)

    def add(self, number: int, content: Content) -> None:
        """An exchange has been read."""
        if number not in self.pairs:  # its pairs were put off
            return
        for pair in list(self.pairs[number]):
            original, mirror = self.held.get(pair.original), self.held.get(pair.mirror)
            if number == pair.original and mirror is not None:
                self._compare(pair, content, mirror)
            elif number == pair.mirror and (original is not None or pair.original == NONE):
                self._compare(pair, original, content)
        if number in self.pairs:
            self._hold(number, content)

    def _hold(self, number: int, content: Content) -> None:
        """Keep an exchange until the other one of a pair has been read."""
        body, head = _sizes(content)
        if body > self.room:
            content, body = without_bodies(content), 0
        if head > self.heads:
            self.put_off(number)
            return
        self.room -= body
        self.heads -= head
        self.held[number] = content

    def _compare(self, pair: _Pair, original: Content | None, mirror: Content) -> None:
        self._close(pair, TOLD)
        self.tell(pair.number, compare(original, mirror, self._setting[pair.proxy]))

    def put_off(self, number: int) -> None:
        """There is no room for this exchange: its pairs are to be read once more."""
        for pair in list(self.pairs.get(number, ())):
            self._close(pair, PUT_OFF)

    def _close(self, pair: _Pair, state: int) -> None:
        """The pair is done with for now; exchanges that no other pair waits for go."""
        self.state[pair.number] = state
        for exchange in (pair.original, pair.mirror):
            waiting = self.pairs.get(exchange)
            if waiting is None:
                continue
            if pair in waiting:
                waiting.remove(pair)
            if not waiting:
                del self.pairs[exchange]
                content = self.held.pop(exchange, None)
                if content is not None:
                    body, head = _sizes(content)
                    self.room += body
                    self.heads += head

    def end(self, last: bool) -> None:
        """The captures have been read to their end. last: they will not be read again."""
        if last:
            missing = Content(None, None, _(LOST))
            for pair in {pair: None for pairs in self.pairs.values() for pair in pairs}:
                original = None if pair.original == NONE else self.held.get(pair.original, missing)
                self._compare(pair, original, self.held.get(pair.mirror, missing))
        else:
            self.state[self.state == PUT_OFF] = UNTOLD
        self.pairs, self.held = {}, {}
        self.room, self.heads = self._rooms

    def give_up(self) -> None:
        """What was not compared is not read any more."""
        for found in self.legs.merged():
            rows = found[self.state[found["pair"]] != TOLD]
            for pair, readable in zip(self._pairs(rows), rows["readable"].tolist(), strict=True):
                if self.state[pair.number] != TOLD:
                    why = UNREADABLE if not readable else NO_ROOM if self.state[pair.number] == PUT_OFF else LOST
                    content = Content(None, None, _(why))
                    self._compare(pair, None if pair.original == NONE else content, content)


def _sizes(content: Content) -> tuple[int, int]:
    """Bytes of its bodies, and of all the rest."""
    parts = [p for p in (content.request, content.response) if p]
    fields = [value for p in parts for _name, value in p.headers]
    return sum([len(p.body) for p in parts]), sum(map(len, fields)) + FIELD * len(fields) + HEAD
