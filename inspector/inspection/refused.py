"""Connections that were never made: a proxy's own, tried just as it sent an original, may be a mirror whose server is down."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from inspector.inspection.unread import Address
from inspector.mirror.pool import Decisions
from inspector.mirror.tables import Exchanges
from inspector.table import I64
from inspector.tcp import layout as col

SYN, RST, ACK = 2, 4, 16
MASK = (1 << 32) - 1
_WORD = (1 << 64) - 1
LOOK = 4  # requests before and after a try that are looked at
KEPT = 10_000  # tries that are remembered; those beyond are not told
NEAR = 50_000_000  # ns between an original and a try that belongs to it
PATIENCE = 1_000_000_000  # ns that a SYN waits for an answer before it counts as unanswered
Endpoint = tuple[int, int, int]


@dataclass
class Try:
    """A SYN without a connection. refused: a RST came back; asked: how often it was sent."""

    client: Address
    server: Endpoint
    time: int
    refused: bool = False
    asked: int = 1
    after: int | None = None  # ns between it and the original next to it


class Tries:
    """Collects the tries of a capture, segment by segment."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int, int, int], Try] = {}
        self.failed: list[Try] = []

    def add(self, seg: I64) -> None:
        """Look at segments: (layout.T_WIDTH, n), in order of time."""
        flags = seg[col.T_FLAGS]
        asks = (flags & (SYN | ACK | RST)) == SYN
        answers = ((flags & ACK) != 0) & ((flags & (SYN | RST)) != 0)
        rows = np.flatnonzero(asks | answers)
        if not len(rows):
            return
        names = (col.T_SRC_HI, col.T_SRC_LO, col.T_SPORT, col.T_DST_HI, col.T_DST_LO, col.T_DPORT)
        ends = zip(*(seg[name, rows].tolist() for name in names), strict=True)
        rest = zip(*(seg[name, rows].tolist() for name in (col.T_SEQ, col.T_ACK, col.T_TIME, col.T_FLAGS)), strict=True)
        for (*source, s, d, e, f), (seq, ack, time, flag) in zip(ends, rest, strict=True):
            if flag & ACK:
                self._answered((d, e, f, ack - 1 & MASK), bool(flag & RST))
            else:
                self._asked((source[0], source[1], s, seq), (d, e, f), time)

    def _asked(self, key: tuple[int, int, int, int], server: Endpoint, time: int) -> None:
        known = self._open.get(key)
        if known is not None:
            known.asked += time - known.time > PATIENCE // 10
        elif len(self._open) < KEPT:
            client = key[0] & _WORD, key[1] & _WORD
            self._open[key] = Try(client, (server[0] & _WORD, server[1] & _WORD, server[2]), time)

    def _answered(self, key: tuple[int, int, int, int], refused: bool) -> None:
        found = self._open.pop(key, None)
        if found is not None and refused and len(self.failed) < KEPT:
            found.refused = True
            self.failed.append(found)

    def finish(self, clock: int) -> None:
        """The capture has ended: what waited long enough was not answered."""
        for found in self._open.values():
            if (found.asked > 1 or clock - found.time >= PATIENCE) and len(self.failed) < KEPT:
                self.failed.append(found)
        self._open = {}

    def meet(self, batch: Decisions) -> None:
        """Find the originals that tries were made beside, among the exchanges that leave. Called while others are added."""
        tries = defaultdict(list)
        for found in (*list(self.failed), *list(self._open.values())):
            if found.after is None:
                tries[found.client].append(found)
        if not tries:
            return
        e, f = batch.found.exchanges, batch.found
        sent = batch.gone & (e.request_time >= 0) & (f.original < 0) & ~f.lone & (f.claimed < 0)
        sent &= (f.signs.serves_self < 0) & ~f.signs.loopback
        for (hi, lo), mine in tries.items():
            rows = np.flatnonzero(sent & (e.client_hi == np.uint64(hi)) & (e.client_lo == np.uint64(lo)))
            if len(rows):
                _beside(mine, rows[np.argsort(e.request_time[rows], kind="stable")], e)

    def groups(self) -> list[RefusedRoute]:
        """Tries beside originals, by proxy, server and what became of them; the most first."""
        found: dict[tuple[Address, Endpoint, bool], list[int]] = defaultdict(list)
        for t in self.failed:
            if t.after is not None:
                found[t.client, t.server, t.refused].append(t.after)
        groups = [RefusedRoute(*key, len(after), max(after)) for key, after in found.items()]
        return sorted(groups, key=lambda g: (-g.n, g.server))


@dataclass(frozen=True)
class RefusedRoute:
    """Connections that a proxy did not get. within: ns between each and an original, at most."""

    proxy: Address
    server: Endpoint
    refused: bool
    n: int
    within: int


def _beside(tries: list[Try], rows: I64, e: Exchanges) -> None:
    """Note the request next to each try, where it is near and went to another server."""
    times = e.request_time[rows]
    at = np.searchsorted(times, [t.time for t in tries])
    for t, place in zip(tries, at.tolist(), strict=True):
        for k in range(max(place - LOOK, 0), min(place + LOOK, len(rows))):
            row, apart = rows[k], abs(int(times[k]) - t.time)
            server = int(e.server_hi[row]), int(e.server_lo[row]), int(e.server_port[row])
            if apart <= NEAR and server != t.server and (t.after is None or apart < t.after):
                t.after = apart
