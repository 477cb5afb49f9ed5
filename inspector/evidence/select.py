"""Which packets carry a proof: windows of time on the connections of a transaction's legs.

A leg is an exchange, and an exchange owns its connection from its own first packet to the next exchange's; the first one on a
connection owns the handshake as well. So nothing is cut out of the middle of a stream: what is taken reads as a capture
that began there and ended there. HTTP/2 is taken from the start of its connection on, since its header tables are built there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from inspector.mirror.lost_requests import effective_time
from inspector.mirror.tables import NONE, Exchanges, Leg, Mirrors, Reason
from inspector.ragged import Ragged
from inspector.table import I64, U8, Bool
from inspector.tcp.tables import Connections

AROUND = 50_000_000  # ns: what was in flight so close to a transaction may be its rival
SLACK = 1_000_000_000  # ns: copies of a connection's last packet come no later, see tcp.copies
OPENING = 1_000_000_000  # ns of a connection without exchanges (TLS, say): enough to see what it is
H2 = 20

Endpoint = tuple[int, int, int]  # two halves of the address, port


class Reach(IntEnum):
    """How much is taken around the proof."""

    LEGS = 0  # the transactions' legs
    AROUND = 1  # and what was in flight together with those that need it
    EXCHANGES = 2  # every exchange
    EVERYTHING = 3  # every TCP packet


@dataclass(frozen=True)
class Told:
    """What an inspection found, as its tables: exchanges in order of time, mirrors among them, legs, connections."""

    exchanges: Exchanges
    mirrors: Mirrors
    leg: U8
    connections: Connections

    def legs_of(self, rows: I64) -> list[tuple[I64, Leg]]:
        """The exchanges of mirrors `rows`, leg by leg, NONE where there is none."""
        t = self.mirrors
        return [(t.downstream[rows], Leg.DOWNSTREAM), (t.original[rows], Leg.ORIGINAL), (t.mirror[rows], Leg.MIRROR)]


@dataclass(frozen=True)
class Window:
    """A stretch of a connection's time that is taken. rows[i] owns what comes from starts[i] on, -1 is nobody's."""

    client: Endpoint
    others: frozenset[Endpoint]  # the server's addresses, dialled and on the wire
    foreign: frozenset[Endpoint]  # servers of other connections of this client endpoint
    starts: Sequence[int]
    rows: Sequence[int]
    end: int
    joined: bool

    def row_at(self, time: int, other: Endpoint) -> int | None:
        """The exchange that owns a packet exchanged with `other` then, -1 for nobody's, None where it is not of this window."""
        if not self.starts[0] <= time <= self.end or (other in self.foreign and other not in self.others):
            return None
        return self.rows[bisect_right(self.starts, time) - 1]


@dataclass
class Selection:
    """What is taken. owners: exchange row -> (mirror number, leg) of the mirrors that were asked for."""

    everything: bool = False
    windows: dict[Endpoint, list[Window]] = field(default_factory=dict)
    owners: dict[int, list[tuple[int, Leg]]] = field(default_factory=dict)
    spans: I64 = field(default_factory=lambda: np.empty((0, 2), np.int64))  # all windows' times, merged and sorted

    def during(self, times: I64) -> Bool:
        """Which times lie in some window."""
        if self.everything or not len(self.spans):
            return np.full(len(times), self.everything)
        at = np.searchsorted(self.spans[:, 0], times, side="right") - 1
        return (at >= 0) & (times <= self.spans[np.maximum(at, 0), 1])

    def packets(self, told: Told) -> tuple[I64, I64, U8]:
        """The packets that carry messages of the owned exchanges, sorted: (capture << 40 | packet, exchange row, side)."""
        e = told.exchanges
        rows = np.array(sorted(self.owners), np.int64)
        parts = []
        for side, runs in ((0, e.request_packets), (1, e.response_packets)):
            mine: Ragged = runs.take(rows).packed()
            row = np.repeat(rows, mine.lengths)
            parts.append((e.capture[row].astype(np.int64) << 40 | mine.values, row, np.full(len(row), side, np.uint8)))
        keys, owner, sides = (np.concatenate([p[k] for p in parts]) for k in range(3))
        order = np.argsort(keys, kind="stable")
        return keys[order], owner[order], sides[order]


def choose(told: Told, asked: I64, company: I64, spans: I64, reach: Reach) -> Selection:
    """The packets for mirrors `asked` (rows of the mirror table).

    company: rows of mirrors that are reported as well when these are; they come whole, so that they are not misjudged. spans:
    (n, 2) times around which everything in flight is taken. reach: how far to go.
    """
    choice = Selection(everything=reach == Reach.EVERYTHING)
    for rows, leg in told.legs_of(asked):
        for row, mirror in zip(rows.tolist(), asked.tolist(), strict=True):
            if row != NONE:
                choice.owners.setdefault(row, []).append((mirror + 1, leg))
    for row, number in _attempts(told, asked):
        choice.owners.setdefault(row, []).append((number, Leg.ATTEMPT))
    if choice.everything:
        return choice
    e = told.exchanges
    wanted = np.zeros(len(e), bool)
    wanted[list(choice.owners)] = True
    for rows, _ in told.legs_of(company):
        wanted[rows[rows != NONE]] = True
    hidden = asked[told.mirrors.reason[asked] == Reason.ENCRYPTED]
    around = merged(np.concatenate([spans, spans_of(told, hidden)]), AROUND)
    wanted |= overlapping(around, effective_time(e), _ends(e))
    if reach >= Reach.EXCHANGES:
        wanted[:] = True
    found = _windows(told, wanted) + _bare(told, around)
    for window in found:
        choice.windows.setdefault(window.client, []).append(window)
    times = [(w.starts[0], w.end) for w in found]
    choice.spans = merged(np.array(times, np.int64).reshape(-1, 2), SLACK)
    return choice


def spans_of(told: Told, mirrors: I64) -> I64:
    """(n, 2): from the first to the last packet of each transaction, ns."""
    e = told.exchanges
    asked, ends = effective_time(e), _ends(e)
    first, last = asked[told.mirrors.mirror[mirrors]].copy(), ends[told.mirrors.mirror[mirrors]].copy()
    for rows, _ in told.legs_of(mirrors):
        there = rows != NONE
        first[there] = np.minimum(first[there], asked[rows[there]])
        last[there] = np.maximum(last[there], ends[rows[there]])
    return np.stack([first, last], axis=1)


def merged(spans: I64, slack: int) -> I64:
    """The spans, each longer by `slack` at both ends, as sorted ones that do not touch."""
    if not len(spans):
        return spans
    spans = spans[np.argsort(spans[:, 0])]
    low, high = spans[:, 0] - slack, np.maximum.accumulate(spans[:, 1] + slack)
    first = np.ones(len(spans), bool)
    first[1:] = low[1:] > high[:-1]
    last = np.append(first[1:], True)
    return np.stack([low[first], high[last]], axis=1)


def overlapping(spans: I64, starts: I64, ends: I64) -> Bool:
    """Which of [starts, ends] touch one of the merged spans."""
    if not len(spans):
        return np.zeros(len(starts), bool)
    at = np.searchsorted(spans[:, 0], ends, side="right") - 1
    return (at >= 0) & (spans[np.maximum(at, 0), 1] >= starts)


def _ends(e: Exchanges) -> I64:
    return np.maximum.reduce([e.request_time, e.request_end_time, e.response_time, e.response_end_time])


def _attempts(told: Told, asked: I64) -> Iterable[tuple[int, int]]:
    """Retries and hedges of the originals of mirrors `asked`: (exchange row, mirror number)."""
    e, t = told.exchanges, told.mirrors
    tries = np.flatnonzero(told.leg == Leg.ATTEMPT)
    if not len(tries):
        return
    columns = (e.client_hi, e.client_lo, e.request_id, e.method, e.target, e.headers)
    by_key: dict[tuple[int, ...], list[int]] = {}
    for row, *key in zip(tries.tolist(), *(column[tries].tolist() for column in columns), strict=True):
        by_key.setdefault(tuple(key), []).append(row)
    for mirror in asked[t.original[asked] != NONE].tolist():
        original = int(t.original[mirror])
        for row in by_key.get(tuple(int(column[original]) for column in columns), ()):
            if row not in (original, t.mirror[mirror]):
                yield row, mirror + 1


def _windows(told: Told, wanted: Bool) -> list[Window]:
    """A window for each connection with wanted exchanges: from the first of them to the last, nothing left out between."""
    e, c = told.exchanges, told.connections
    begin, end = effective_time(e), _ends(e)
    order = np.lexsort((begin, e.connection))
    connection = e.connection[order]
    numbers, first = np.unique(connection, return_index=True)
    last = np.append(first[1:], len(order))[: len(numbers)]
    place = {int(number): k for k, number in enumerate(c.connection.tolist())}
    foreign = _others(c)
    out = []
    for number, low, high in zip(numbers.tolist(), first.tolist(), last.tolist(), strict=True):
        mine = order[low:high]
        picked = np.flatnonzero(wanted[mine])
        if not len(picked):
            continue
        k = place[number]
        a, z = int(picked[0]), int(picked[-1])
        if (e.version[mine[picked]] == H2).any():
            a = 0
        starts = begin[mine[a : z + 1]].tolist()
        if a == 0:
            starts[0] = min(starts[0], int(c.first[k]))
        stop = int(end[mine[a : z + 1]].max())
        # A connection lasts until its last packet was copied, or its next exchange begins.
        stop = max(stop, int(begin[mine[z + 1]]) - 1 if z + 1 < len(mine) else int(c.last[k]) + SLACK)
        client = (int(e.client_hi[mine[0]]), int(e.client_lo[mine[0]]), int(e.client_port[mine[0]]))
        own = _ends_of(c, k)
        rows = mine[a : z + 1].tolist()
        out.append(Window(client, own, foreign.get(client, frozenset()), starts, rows, stop, bool(c.joined[k])))
    return out


def _bare(told: Told, around: I64) -> list[Window]:
    """The beginnings of connections without exchanges that lived in the spans `around`: that they are TLS, say."""
    c = told.connections
    bare = ~np.isin(c.connection, told.exchanges.connection) & overlapping(around, c.first, c.last)
    out = []
    for k in np.flatnonzero(bare).tolist():
        client = (int(c.client_hi[k]), int(c.client_lo[k]), int(c.client_port[k]))
        first = int(c.first[k])
        out.append(Window(client, _ends_of(c, k), frozenset(), (first,), (NONE,), first + OPENING, bool(c.joined[k])))
    return out


def _ends_of(c: Connections, k: int) -> frozenset[Endpoint]:
    """The addresses of connection row k's server."""
    dialled = (int(c.server_hi[k]), int(c.server_lo[k]), int(c.server_port[k]))
    return frozenset((dialled, (int(c.wire_hi[k]), int(c.wire_lo[k]), int(c.wire_port[k]))))


def _others(c: Connections) -> dict[Endpoint, frozenset[Endpoint]]:
    """The servers of each client endpoint that has several connections (a port used again, or for two servers at once)."""
    columns = (c.client_hi, c.client_lo, c.client_port)
    order = np.lexsort(columns)
    same = np.ones(max(len(order) - 1, 0), bool)
    for column in columns:
        same &= column[order[1:]] == column[order[:-1]]
    out: dict[Endpoint, frozenset[Endpoint]] = {}
    for i in np.flatnonzero(same).tolist():
        for k in order[i : i + 2].tolist():
            client = (int(c.client_hi[k]), int(c.client_lo[k]), int(c.client_port[k]))
            out[client] = out.get(client, frozenset()) | _ends_of(c, k)
    return out
