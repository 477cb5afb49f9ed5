"""Decides mirrors while a capture is still being read, and lets go of what no later packet can change.

Exchanges wait in a pool. At each step the whole pool is paired and judged; a mirror is decided when its exchanges are
complete and no open request could still be a rival. What is decided is reported once and never revised.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from inspector.mirror.find import Assignment, find
from inspector.mirror.groups import in_time
from inspector.mirror.lost_requests import effective_time
from inspector.mirror.signs import number
from inspector.mirror.tables import NOTHING_HIDDEN, Exchanges, Hidden, Sign
from inspector.table import I64, Bool

TOGETHER = 3  # how far the members of a transaction are followed: copies, their original, its other copies
GUARD = 250_000_000  # ns: nothing younger is decided, packets may still be out of order
AROUND = 10_000_000  # ns: requests closer than this may be paired in another order
ENOUGH = 30_000  # exchanges that are new, for the pool to be looked at
CROWD = 1 << 17  # exchanges that wait in the pool; beyond, some are decided or let go before their time
FAR = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Rules:
    """What pairs."""

    suffix: str = "-shadow"
    window: int = 15_000_000_000  # ns
    signs: Sign | None = None


@dataclass(frozen=True)
class Decisions:
    """One step's decisions: `found` judges the whole pool; `decided` are rows of found.mirrors, `gone` rows of
    found.exchanges that leave the pool (each exchange leaves once)."""

    found: Assignment
    decided: I64
    gone: Bool


class Settler:
    """Holds the pool. Exchanges must have unique ids."""

    def __init__(self, rules: Rules, guard: int = GUARD, crowd: int = CROWD) -> None:
        self.rules = rules
        self.guard = guard
        self.crowd = crowd
        self.hurried = 0  # mirrors decided although an open request could still have been their rival
        self.let_go = 0  # exchanges that no longer waited for a copy of theirs
        self.pool = Exchanges.empty()
        self._fresh: list[Exchanges] = []
        self._told = np.zeros(0, bool)  # beside the pool: mirrors that were decided before

    @property
    def worthwhile(self) -> bool:
        """Whether enough was added for the pool to be looked at again: the work stays in proportion to what is new."""
        return sum(map(len, self._fresh)) >= max(ENOUGH, len(self.pool) // 4)

    def add(self, fresh: Exchanges) -> None:
        """Take in exchanges that ended; they are looked at in the next step."""
        self._fresh.append(fresh)

    def step(
        self,
        fresh: Exchanges,
        pending: Exchanges,
        clock: int,
        final: bool,
        hidden: Hidden = NOTHING_HIDDEN,
    ) -> Decisions:
        """Take in exchanges that ended (`fresh`) and look at the requests that wait for a response (`pending`, given anew
        each time). clock: capture time, ns. final: the capture has ended, everything is decided."""
        parts, self._fresh = [self.pool, *self._fresh, fresh, pending], []
        order = in_time(*(np.concatenate([column(p) for p in parts]) for column in (effective_time, attrgetter("id"))))
        waiting = order >= len(order) - len(pending)
        told = np.append(self._told, np.zeros(len(order) - len(self._told), bool))[order]
        rows = Exchanges.merged(parts, order)
        del parts
        self.pool = Exchanges.empty()  # not beside `rows` while these are judged
        found = find(rows, self.rules.suffix, self.rules.window, self.rules.signs, hidden)
        news = ~told[found.mirrors.mirror]
        if final:
            self.pool, self._told = Exchanges.empty(), np.zeros(0, bool)
            return Decisions(found, np.flatnonzero(news), np.ones(len(rows), bool))
        settled = self._settled(found, waiting, clock, True)
        if len(rows) > self.crowd:
            hurried = self._settled(found, waiting, clock, False)
            self.hurried += int((news & hurried & ~settled).sum())
            settled = hurried
        gone = self._gone(found, waiting, settled, clock)
        settled = self._make_room(found, waiting, gone, settled, news)
        decided = np.flatnonzero(news & settled)
        told[found.mirrors.mirror[decided]] = True
        stay = np.flatnonzero(~gone & ~waiting)
        self.pool, self._told = rows.take(stay).compact(), told[stay]
        return Decisions(found, decided, gone)

    def _make_room(self, found: Assignment, waiting: Bool, gone: Bool, settled: Bool, news: Bool) -> Bool:
        """The oldest exchanges leave a pool that is too large: marked in `gone`, and counted. First those that are no mirror's;
        where these are too few, mirrors are decided before their time and leave with all that belongs to them. Returns which
        mirrors are settled then."""
        t = found.mirrors
        here = ~gone & ~waiting
        over = int(here.sum()) - self.crowd
        if over <= 0:
            return settled
        free = here.copy()
        for members in (t.mirror, t.original, t.downstream):
            free[members[members >= 0]] = False
        oldest = np.flatnonzero(free)[:over]
        gone[oldest] = True
        self.let_go += len(oldest)
        over -= len(oldest)
        if over <= 0:
            return settled
        leave = np.zeros(len(gone), bool)
        leave[np.flatnonzero(here & ~free)[:over]] = True
        for _ in range(TOGETHER):
            mine = leave[t.mirror] & ~waiting[t.mirror]
            for members in (t.mirror, t.original, t.downstream):
                mine |= (members >= 0) & leave[members] & ~waiting[t.mirror]
            for members in (t.mirror, t.original, t.downstream):
                leave[members[mine & (members >= 0)]] = True
        gone |= leave & ~waiting
        self.hurried += int((news & mine & ~settled).sum())
        return settled | mine

    def _settled(self, found: Assignment, waiting: Bool, clock: int, patient: bool) -> Bool:
        """Which mirrors nothing that is still to come can change; without `patient`, requests that are still open do not count
        as rivals."""
        e, t = found.exchanges, found.mirrors
        asked = effective_time(e)
        open_rows = waiting & (asked > clock - self.rules.window)
        family = number(e.method, e.target)
        first = np.full(int(family.max()) + 1 if len(family) else 0, FAR)
        np.minimum.at(first, family[open_rows], asked[open_rows])
        at = asked[t.mirror]
        blocked = waiting[t.mirror].copy()
        limit = first[family[t.mirror]]
        for members in (t.original, t.downstream):
            there = members >= 0
            rows = np.where(there, members, 0)
            at = np.maximum(at, np.where(there, asked[rows], 0))
            blocked |= there & waiting[rows]
            limit = np.minimum(limit, np.where(there, first[family[rows]], FAR))
        late = np.where(t.original >= 0, self.guard, self.rules.window)
        return ~blocked & ((at < limit) | (not patient)) & (at <= clock - late)

    def _gone(self, found: Assignment, waiting: Bool, settled: Bool, clock: int) -> Bool:
        """Which exchanges are not needed any more.

        A decided transaction leaves when it ended before anything that is still to come, and was not in flight when a
        request began that is still undecided (it could be that one's rival). What is not a mirror's leaves when the
        window for a copy of it has passed.
        """
        e, t = found.exchanges, found.mirrors
        asked = effective_time(e)
        end = np.maximum(e.response_end_time, e.request_end_time)
        mirrored = np.zeros(len(e), bool)
        last = end.copy()
        whole = end[t.mirror].copy()
        for members in (t.original, t.downstream):
            whole = np.maximum(whole, np.where(members >= 0, end[np.maximum(members, 0)], 0))
        whole[~settled] = FAR
        # The members of a transaction leave together, and the copies of one original as well.
        for members in (t.mirror, t.original, t.downstream):
            there = members >= 0
            mirrored[members[there]] = True
            np.maximum.at(last, members[there], whole[there])
        shared = t.original >= 0
        np.maximum.at(last, t.mirror[shared], last[t.original[shared]])
        undecided = np.concatenate([asked[waiting], asked[t.mirror[~settled]], asked[t.original[~settled & shared]]])
        undecided.sort()
        begun = np.searchsorted(undecided, asked - AROUND)
        rival = np.searchsorted(undecided, end + AROUND, side="right") > begun
        rest = clock - self.guard - np.where(mirrored, 0, self.rules.window)
        return ~waiting & (last < rest) & ~(rival & (end > clock - self.rules.window))
