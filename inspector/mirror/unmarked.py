"""Copies without a mark: what a proxy sent besides the request whose answer it passed on, to a server that gets nothing else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspector.mirror.downstream import REST, SURE, Course, Served, Way, assign
from inspector.mirror.enclosing import BEHIND, Enclosed, enclosing
from inspector.mirror.groups import member, numbered
from inspector.mirror.layout import Mates, nobody
from inspector.mirror.likeness import shared_lines
from inspector.mirror.lines import UNKNOWN, Lines, given_in_time, over_before
from inspector.mirror.signs import Signs, blend, number
from inspector.mirror.tables import NONE, Exchanges, Sign
from inspector.table import I64, Bool

AHEAD = 50_000_000  # ns: an unmarked copy is sent no earlier than this before its original
MOSTLY = 0.8  # the part of a server's answers, or names, that must say the same
FIRM = 4  # times as often as not must a server's answer be the one that was passed on
CLOSE = 10_000_000  # ns: sent together
FAR = np.iinfo(np.int64).max
ENOUGH = 3  # answers not passed on, among equal requests in flight together, that show a role
PREFERRED = 64  # rank of a server whose answers clients get


class Found(NamedTuple):
    """What the rows are found to be, by row: (n,) each.

    original: int64, of a copy (NONE: the proxy answered by itself). downstream: int64, of a copy. attempt: bool, given up or
    failed before its transaction's answer was asked for. candidate: bool, may be a copy, is not shown to be one. several: bool,
    equal requests were open when the copy was sent. copy: bool. within: bool, sent for a downstream request that was captured.
    """

    copy: Bool
    original: I64
    downstream: I64
    attempt: Bool
    candidate: Bool
    several: Bool
    within: Bool


class Rows(NamedTuple):
    """(n,) bool each. open: requests that proxies sent, no mark on them, no retries. attempts: the retries."""

    open: Bool
    attempts: Bool


class Unmarked:
    """Looks for copies among requests without a mark."""

    def __init__(
        self, e: Exchanges, s: Signs, lines: Lines, served: Served, mates: Mates, rows: Rows, window: int
    ) -> None:
        self.e, self.s, self.lines, self.served, self.mates = e, s, lines, served, mates
        self.open, self.attempts, self.window = rows.open, rows.attempts, window
        self.pair = number(s.sender, lines.server)  # who sent it, and to which server
        self.servers = int(self.pair.max()) + 1 if len(e) else 0

    def find(self) -> Found:
        """Tie downstream requests to their upstream ones (in `mates`), and tell what is left over."""
        rows = np.flatnonzero(self.open)
        flat = np.zeros(len(self.e), np.int64)
        self._assign(rows, flat, SURE)
        sure = self.mates.downstream[rows] >= 0
        self._assign(rows, flat, REST)
        left = rows[self.mates.downstream[rows] < 0]
        spare = self._enclosing(left, False)
        left = left[spare.downstream[left] >= 0]
        if not len(left):
            return _nothing(len(self.e))
        mine = self._around(rows, left, spare.downstream[left])
        outside = rows[sure & ~mine[rows]]
        some = rows[mine[rows]]
        around = self._enclosing(some, False)
        role = self._roles(some, around, outside)
        o = self.mates.original[self.mates.original >= 0]
        role[self.pair[o]] = 1  # marks say so
        # What a server of copies is thought to have answered, though it was answered otherwise, is looked at again.
        taken = self.mates.downstream[rows]
        odd = (taken >= 0) & (role[self.pair[rows]] < 0) & ~self._equal(np.maximum(taken, 0), rows)
        mine[rows[odd]] = True
        some = rows[mine[rows]]
        rank = np.where(role[self.pair] > 0, PREFERRED, self._ranks(some, around))
        self._forget(some)
        firsts = some[role[self.pair[some]] >= 0]
        self._assign(firsts, rank, SURE[:2])
        self._assign(firsts, rank, REST)
        self._assign(firsts, rank, SURE[2:])
        return self._sort(rows, role)

    def _around(self, rows: I64, left: I64, d: I64) -> Bool:
        """Which rows to look at again, (n,) bool: all that were sent for the downstream requests `d` of what is left over;
        without a request id all equal requests of the same proxy."""
        lines = self.lines
        out = np.zeros(len(self.e), bool)
        touched = np.zeros(len(self.e), bool)
        touched[d] = True
        of = self.mates.downstream[rows]
        out[rows] = touched[np.maximum(of, 0)] & (of >= 0)
        out[left] = True
        loose = left[lines.request_id[left] == 0]
        if len(loose):
            key = blend(self.s.sender, lines.method, lines.target)
            own = np.where(self.mates.downstream >= 0, self.mates.downstream, np.arange(len(self.e)))
            asked = blend(self.s.sender, lines.method[own], lines.target[own])
            out[rows] |= member(key[rows], key[loose]) | member(asked[rows], key[loose])
        return out

    def _assign(self, rows: I64, rank: I64, ways: tuple[Way, ...]) -> None:
        chosen = np.zeros(len(self.e), bool)
        chosen[rows] = True
        assign(self.e, self.s, self.lines, self.served, chosen, Course(rank, self.window, ways), self.mates)

    def _forget(self, rows: I64) -> None:
        d = self.mates.downstream[rows]
        self.mates.claimed[d[d >= 0]] = NONE
        self.mates.downstream[rows] = NONE

    def _enclosing(self, rows: I64, once: bool) -> Enclosed:
        lines = self.lines
        return enclosing(lines, self.s, self.served, rows, (lines.method, lines.target), self.window, once)

    def _ranks(self, rows: I64, around: Enclosed) -> I64:
        """By row, 0 to 15: how often its server is asked by the downstream's own host name, and its answer taken."""
        e = self.e
        d = np.maximum(around.downstream[rows], 0)
        named = np.bincount(self.pair[rows], (e.host[rows] == e.host[d]) & (e.host[d] != 0), self.servers)
        all_of = np.maximum(np.bincount(self.pair[rows], minlength=self.servers), 1)
        taken = np.bincount(self.pair[rows], self.mates.downstream[rows] >= 0, self.servers)
        return (4 * np.round(3 * named / all_of) + np.round(3 * taken / all_of)).astype(np.int64)[self.pair]

    def _equal(self, d: I64, x: I64) -> Bool:
        """Whether what was passed on is what was answered, both wholly known."""
        lines = self.lines
        known = (lines.size[d] != UNKNOWN) & (lines.size[x] != UNKNOWN) & (lines.status[x] >= 0)
        same = (lines.status[d] == lines.status[x]) & (lines.size[d] == lines.size[x])
        return known & same & (lines.digest[d] == lines.digest[x])

    def _roles(self, rows: I64, around: Enclosed, outside: I64) -> I64:
        """By sender and server: 1 its answers reach clients, -1 they do not, 0 that is not known (rule `roles`).

        A contest is a downstream request with several upstream ones at once, of which one's answer alone was passed on. outside:
        rows that are not looked at and whose answers were passed on.
        """
        lines = self.lines
        x = rows[(around.downstream[rows] >= 0) & (around.open[rows] == 1)]
        role = np.zeros(self.servers, np.int64)
        d = around.downstream[x]
        equal = self._equal(d, x) & given_in_time(lines, x, d)
        n = len(self.e)
        shared = np.zeros(len(x), np.int64)
        shared_lines(d, x, lines, shared)
        most = np.zeros(n, np.int64)
        np.maximum.at(most, d, np.where(equal, shared, 0))
        alike = equal & (shared == most[d])  # with more of the same header lines, where one has more
        equal = np.where(np.bincount(d, alike, n)[d] > 0, alike, equal)
        passed = np.bincount(d, equal, n)[d]
        last = np.zeros(n, np.int64)
        np.maximum.at(last, d, lines.asked[x])
        # Over before another was sent: an attempt or a check.
        in_turn = (lines.closed[x] >= 0) & (lines.closed[x] <= last[d])
        won = equal & (passed == 1)
        known = (lines.size[x] != UNKNOWN) & (lines.status[x] >= 0)
        lost = ~equal & (passed == 1) & known & ~in_turn
        wins, losses = (np.bincount(self.pair[x], what, self.servers) for what in (won, lost))
        wins = wins + np.bincount(self.pair[outside], minlength=self.servers)
        # Where equal requests were always in flight together, it counts which answers were passed on at all.
        crowded = np.bincount(self.pair[rows], minlength=self.servers) - np.bincount(
            self.pair[x], minlength=self.servers
        )
        taken = np.bincount(self.pair[rows], self.mates.downstream[rows] >= 0, self.servers)
        whole = (lines.size[rows] != UNKNOWN) & (around.downstream[rows] >= 0) & (self.mates.downstream[rows] < 0)
        idle = np.bincount(self.pair[rows], whole, self.servers)
        sender = np.zeros(self.servers, np.int64)
        sender[self.pair[rows]] = number(self.s.sender[rows])
        best = np.zeros(int(sender.max()) + 1 if len(sender) else 0)
        np.maximum.at(best, sender, taken)
        mute = (wins + losses == 0) & (crowded > 0) & (best[sender] >= ENOUGH)
        wins = np.where(mute, taken, wins)
        losses = np.where(mute, np.where(idle >= ENOUGH, idle, 0), losses)
        # A server that gets a request twice at once gets copies; it is not where the original went if another got it once.
        numbers, _ = numbered(blend(d, self.pair[x]))
        times = np.bincount(numbers)[numbers]
        single = np.bincount(d, times == 1, n)[d]
        first = np.full(int(numbers.max()) + 1 if len(numbers) else 0, FAR)
        np.minimum.at(first, numbers, lines.asked[x])
        together = (times > 1) & (lines.asked[x] > first[numbers]) & (lines.asked[x] - first[numbers] <= CLOSE)
        twice = np.bincount(self.pair[x], together & (single > 0), self.servers)
        role[(wins + losses == 0) & (twice > 0)] = -1
        role[(losses > 0) & (wins * FIRM <= losses)] = -1
        role[(wins > 0) & (losses * FIRM <= wins)] = 1
        role[(wins > 0) & (losses > 0) & (wins * FIRM > losses) & (losses * FIRM > wins)] = 2
        return role

    def _sort(self, rows: I64, role: I64) -> Found:
        """What the rows are that no downstream request took."""
        lines, n = self.lines, len(self.e)
        left = rows[self.mates.downstream[rows] < 0]
        around = self._enclosing(left, True)
        left = left[around.downstream[left] >= 0]
        d = around.downstream[left]
        p = self.mates.claimed[d]
        has, q = p >= 0, np.maximum(p, 0)
        one = has & (around.open[left] <= 1)  # of several, any may be the one whose order counts
        before = one & over_before(lines, left, q)
        before |= one & (lines.asked[left] < lines.asked[q] - AHEAD)
        failed = (lines.status[left] >= 500) | (lines.closed[left] < 0) | (lines.closed[left] > lines.asked[q])
        again = one & ~self._equal(d, q) & (lines.status[q] >= 500) & over_before(lines, q, left)
        end = np.maximum(lines.over[d], np.where(has, lines.closed[q], -1))
        late = (end >= 0) & (lines.asked[left] > end + BEHIND)
        other = ~has | (self.pair[left] != self.pair[q])
        fits = self._answering(rows)[self.pair[q]] | ~has
        other_than = (
            (lines.status[d] >= 0) & (lines.size[d] != UNKNOWN) & (lines.size[left] != UNKNOWN) & ~self._equal(d, left)
        )
        other_than |= (lines.over[d] >= 0) & (lines.over[d] < lines.asked[left])
        tried = np.zeros(n, bool)
        of = self._enclosing(np.flatnonzero(self.attempts), False).downstream
        tried[of[of >= 0]] = True
        other_than &= ~tried[d]
        usual = ~has & other_than & (np.bincount(self.pair[left], minlength=self.servers)[self.pair[left]] > 1)
        gave = self.mates.downstream[rows]
        taken = np.bincount(self.pair[rows], (gave >= 0) & self._equal(np.maximum(gave, 0), rows), self.servers)
        asked = np.bincount(self.pair[rows], gave >= 0, self.servers)
        only = np.where(role < 0, taken, np.where(role == 0, asked, 1))[self.pair[left]] == 0
        checks = np.bincount(self.pair[left], before & ~failed, self.servers)
        asks = np.bincount(self.pair[left], one, self.servers)
        helper = (checks > 0) & (checks >= MOSTLY * asks)  # answered before the original is sent: authorization, quotas
        may = ~before & ~again & ~late & ~helper[self.pair[left]]
        answered = np.bincount(self.pair[left], may & (lines.status[left] >= 0), self.servers)
        only &= answered[self.pair[left]] > 0  # what was never answered may be an attempt that was given up
        sure = may & other & only & np.where(has, fits, usual | (other_than & (role[self.pair[left]] < 0)))
        mixed = np.bincount(self.pair[left], may & ~sure, self.servers) > 0
        sure &= ~mixed[self.pair[left]] | (role[self.pair[left]] < 0)
        found = _nothing(n)
        copies = left[sure]
        found.copy[copies] = True
        found.original[copies], found.downstream[copies] = p[sure], d[sure]
        found.several[copies] = around.open[copies] > 1
        found.within[left] = True
        found.attempt[left[(before & failed) | again]] = True
        found.candidate[left[may & ~sure]] = True
        return found

    def _answering(self, rows: I64) -> Bool:
        """By sender and server: known to answer the downstream, by an answer that was passed on, or, where answers cannot be
        compared, by the host name that it is asked for."""
        e, lines = self.e, self.lines
        x = rows[self.mates.downstream[rows] >= 0]
        d = self.mates.downstream[x]
        pair = self.pair[x]
        same = np.bincount(pair, self._equal(d, x), self.servers)
        unlike = (lines.size[d] != UNKNOWN) & (lines.size[x] != UNKNOWN) & ~self._equal(d, x)
        named = np.bincount(pair, (e.host[x] == e.host[d]) & (e.host[x] != 0) & ~unlike, self.servers)
        return (same > 0) | ((named > 0) & (named >= MOSTLY * np.bincount(pair, minlength=self.servers)))


def _nothing(n: int) -> Found:
    """No copy among `n` rows."""
    return Found(np.zeros(n, bool), nobody(n), nobody(n), *(np.zeros(n, bool) for _ in range(4)))


def signs_of(lines: Lines, m: I64, d: I64) -> I64:
    """The signs by which copies `m` are tied to downstream requests `d`, (k,) int64 Sign."""
    found = np.full(len(m), int(Sign.COUNT), np.int64)
    found |= np.where(
        (lines.request_id[m] != 0) & (lines.request_id[m] == lines.request_id[d]), int(Sign.REQUEST_ID), 0
    )
    same = (lines.sent[m] == lines.sent[d]) & (lines.sent[m] != UNKNOWN) & (lines.sent_hash[m] == lines.sent_hash[d])
    found |= np.where(same, int(Sign.CONTENT), 0)
    found |= np.where(lines.headers[m] == lines.headers[d], int(Sign.HEADERS), 0)
    return found | int(Sign.TIME)
