"""Counts that grow while a capture is read: what the summary needs when the exchanges themselves are let go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from inspector.capture.addresses import format_address
from inspector.mirror.find import Assignment
from inspector.mirror.groups import member, numbered
from inspector.mirror.pool import Decisions
from inspector.mirror.signs import blend
from inspector.mirror.tables import Lossy, Reason, Verdict
from inspector.table import I64, U64, Bool

ROUTES = 100_000  # routes counted apart for the share; beyond, requests are counted on none
PROXIES = 1000
AT_ONCE = 50_000_000  # ns
FAR = np.iinfo(np.int64).max


@dataclass
class Tally:
    """Running totals of the decided mirrors and of the exchanges that have left."""

    exchanges: int = 0
    mirrors: int = 0
    arrived: int = 0
    waiting: int = 0  # mirrors without a response on connections that the capture does not see the end of
    waited: tuple[int, int] = (FAR, 0)  # when the first and the last of these had been sent, ns
    unread_originals: int = 0  # mirrors without an original that may be on a connection that is not read
    doubled: int = 0  # mirrors without an original, of which a request is there that they may be copies of
    open: int = 0  # requests of whom nobody is known to have sent them on: what a proxy could have mirrored
    candidates: int = 0  # requests that may be copies, and are not shown to be
    verdicts: Counter[int] = field(default_factory=Counter)
    reasons: Counter[int] = field(default_factory=Counter)
    proxies: set[tuple[int, int]] = field(default_factory=set)
    _asked: Counter[tuple[int, int]] = field(default_factory=Counter)
    _mirrored: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, batch: Decisions) -> None:
        """Count one step's decisions."""
        found, rows = batch.found, batch.decided
        e, t = found.exchanges, found.mirrors
        self.exchanges += int(batch.gone.sum())
        self.mirrors += len(rows)
        self.candidates += int((found.candidate & batch.gone).sum())
        m = t.mirror[rows]
        self.arrived += int((e.status[m] >= 0).sum())
        self.verdicts.update(t.verdict[rows].tolist())
        self._waiting(batch, m)
        unproven = t.verdict[rows] == Verdict.UNPROVEN
        lone = unproven & (t.original[rows] < 0) & np.isin(t.reason[rows], (Reason.ENCRYPTED, Reason.UNREAD))
        self.unread_originals += int(lone.sum())
        self.reasons.update(t.reason[rows][unproven & ~lone].tolist())
        if len(self.proxies) < PROXIES:
            first = m[numbered(blend(e.client_hi[m], e.client_lo[m]))[1]]
            self.proxies.update(zip(e.client_hi[first].tolist(), e.client_lo[first].tolist(), strict=True))
        self._routes(batch)

    def _waiting(self, batch: Decisions, m: I64) -> None:
        e, t, rows = batch.found.exchanges, batch.found.mirrors, batch.decided
        silent = m[(t.verdict[rows] == Verdict.UNANSWERED) & ((e.lossy[m] & Lossy.UNENDED) != 0)]
        if len(silent):
            sent = e.request_end_time[silent]
            self.waiting += len(silent)
            self.waited = min(self.waited[0], int(sent.min())), max(self.waited[1], int(sent.max()))
        reason = t.reason[rows]
        unread = (t.original[rows] < 0) & np.isin(reason, (Reason.ENCRYPTED, Reason.UNREAD))
        lone = m[unread | (reason == Reason.ORIGINAL_NOT_CAPTURED)]
        if len(lone):
            s = batch.found.signs
            others = (e.request_time >= 0) & (e.request_id != 0) & (s.serves_self < 0) & (batch.found.claimed < 0)
            others[t.mirror] = False
            key = blend(e.client_hi, e.client_lo, e.request_id)
            self.doubled += int(((e.request_id[lone] != 0) & member(key[lone], key[others])).sum())

    def _routes(self, batch: Decisions) -> None:
        """Count requests that a proxy could have mirrored, and those it did: originals, and what it answered by itself."""
        found = batch.found
        e, s, t = found.exchanges, found.signs, found.mirrors
        asked = (e.request_time >= 0) & ~found.retry & ~found.helper & (found.original < 0) & ~found.lone & batch.gone
        originals = np.zeros(len(e), bool)
        originals[t.original[t.original >= 0]] = True
        serves = (s.serves, s.serves_wire, s.serves_self)
        senders = s.sender[numbered(s.sender)[1]]
        there = e.request_time >= 0
        served = np.concatenate([column[member(column, senders) & there] for column in serves])
        watched = member(s.sender, served)  # whose downstream legs were captured
        sent = asked & (s.serves_self < 0) & (originals | (found.downstream >= 0) | ~watched)
        if not self.mirrors:  # else nobody asks
            self.open += int(
                (
                    sent
                    & (found.claimed < 0)
                    & ~s.loopback
                    & ~found.candidate
                    & ~_twins(found, sent & (found.downstream < 0))
                ).sum()
            )
        self._count(e.host, s.sender, np.flatnonzero(sent), self._asked)
        self._count(e.host, s.sender, np.flatnonzero(sent & originals), self._mirrored)
        proxies = s.sender[t.mirror]
        mirrored = np.zeros(len(e), bool)
        mirrored[t.downstream[(t.original < 0) & (t.downstream >= 0)]] = True
        own = np.flatnonzero(asked & (found.claimed < 0))
        for address in serves:
            mine = own[member(address[own], proxies)]
            self._count(e.host, address, mine, self._asked)
            self._count(e.host, address, mine[mirrored[mine]], self._mirrored)

    def _count(self, host: U64, proxy: I64, rows: I64, into: Counter[tuple[int, int]]) -> None:
        if not len(rows):
            return
        numbers, first = numbered(blend(proxy[rows], host[rows]))
        counts = np.bincount(numbers)
        for row, count in zip(rows[first].tolist(), counts.tolist(), strict=True):
            route = (int(proxy[row]), int(host[row]))
            if route in into or len(into) < ROUTES:
                into[route] += count

    def share(self) -> tuple[int, int]:
        """(mirrored, eligible): originals with a mirror, and all requests that the same proxy sent for the same host
        (unless they are copies or retries themselves). Without a mirror: all requests that nobody seen here sent on."""
        if not self.mirrors:
            return 0, self.open
        routes = [r for r, n in self._mirrored.items() if n]
        return sum(self._mirrored[r] for r in routes), sum(self._asked[r] for r in routes)

    def by_verdict(self) -> dict[str, int]:
        """Mirrors by verdict, the most alarming first; absent ones left out."""
        order = (Verdict.LEAKED, Verdict.DISCARDED, Verdict.UNANSWERED, Verdict.UNPROVEN)
        return {v.name.lower(): self.verdicts[int(v)] for v in order if self.verdicts[int(v)]}

    def by_reason(self) -> dict[Reason, int]:
        """Unproven mirrors by reason."""
        return {r: self.reasons[int(r)] for r in Reason if self.reasons[int(r)]}

    def proxy_names(self) -> list[str]:
        """The proxies that sent mirrors."""
        return [format_address(hi, lo) for hi, lo in sorted(self.proxies)]


def _twins(found: Assignment, rows: Bool) -> Bool:
    """Which of `rows` repeat a request to another server at once, from the same sender: one request, sent twice."""
    e, s = found.exchanges, found.signs
    at = np.flatnonzero(rows)
    key = blend(s.sender[at], e.method[at], e.target[at], e.request_hash[at], e.request_id[at])
    order = np.lexsort((e.request_time[at], key))
    at, key = at[order], key[order]
    server = blend(e.server_hi[at], e.server_lo[at], e.server_port[at])
    again = (key[1:] == key[:-1]) & (server[1:] != server[:-1])
    again &= e.request_time[at[1:]] - e.request_time[at[:-1]] <= AT_ONCE
    out = np.zeros(len(e), bool)
    out[at[1:][again]] = True
    return out
