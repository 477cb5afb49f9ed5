"""Finds the downstream leg of an upstream request: by request id, by content and nesting in time, by addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from inspector.kernels.kernel import kernel
from inspector.mirror.groups import Keyed, meeting, member, numbered
from inspector.mirror.layout import Grouped, Mates
from inspector.mirror.likeness import contradicts, same_request_body, same_response
from inspector.mirror.lines import UNKNOWN, Lines
from inspector.mirror.signs import Signs, blend
from inspector.mirror.tables import Exchanges
from inspector.table import I64, Bool

SCAN = 1024  # upstream requests looked at for one downstream request


class Terms(NamedTuple):
    """On which terms a downstream request takes an upstream one.

    rank: (n,) int64 by row, preference of a row's server. late: also one that was answered after the downstream was (the proxy
    answered by itself). sure: only where the responses are known to be equal. window: ns after which a downstream request that
    was never answered takes none.
    """

    rank: I64
    late: bool
    sure: bool
    window: int


@kernel
def next_free(skip: I64, at: int) -> int:
    """The first place from `at` on that was not taken. skip[i] is i, or a later place where i was taken; paths are halved."""
    while skip[at] != at:
        skip[at] = skip[skip[at]]
        at = skip[at]
    return at


@kernel
def claim(ds: Grouped, lows: I64, xs: Grouped, skip: I64, lines: Lines, terms: Terms, mates: Mates) -> int:
    """Let each downstream request take the upstream request that was sent for it; returns how many did.

    xs: rows sorted by (family, request time); ds: rows sorted by the time they were answered; groups are families, numbered
    alike; lows: for each of ds the first place in xs of its family that was not sent before it. skip: one more than xs has
    rows, 0, 1, 2, ... at the start. Answered first, served first, with the earliest request that fits: so as many as possible
    find theirs (a matching of nested intervals).
    """
    taken = 0
    for i in range(len(ds.row)):
        d = ds.row[i]
        if mates.claimed[d] >= 0:
            continue
        end = lines.answered[d]
        if end < 0:
            end = lines.asked[d] + terms.window
        at = lows[i]
        best = -1
        best_score = -1
        seen = 0
        while seen < SCAN:
            at = next_free(skip, at)
            if at >= len(xs.row) or xs.group[at] != ds.group[i]:
                break
            x = xs.row[at]
            if lines.asked[x] > end:
                break
            seen += 1
            if x != d and mates.downstream[x] < 0:
                score = fit(d, x, lines, terms)
                if score > best_score:
                    best = at
                    best_score = score
            at += 1
        if best >= 0:
            x = xs.row[best]
            mates.downstream[x] = d
            mates.claimed[d] = x
            skip[best] = best + 1
            taken += 1
    return taken


@kernel
def fit(d: int, x: int, lines: Lines, terms: Terms) -> int:
    """How well upstream request `x` fits downstream request `d`; -1 where it cannot be its."""
    if contradicts(d, x, lines) or same_request_body(d, x, lines) == 0:
        return -1
    if not terms.late and lines.answered[d] >= 0 and lines.answered[x] > lines.answered[d]:
        return -1
    score = terms.rank[x]
    equal = same_response(d, x, lines)
    if equal == 1:
        score += 32 + (16 if lines.fields[d] == lines.fields[x] else 0)
    elif terms.sure:
        return -1
    elif equal == -1:
        score += 8
    if lines.headers[d] == lines.headers[x]:
        score += 16
    if lines.host[d] == lines.host[x]:
        score += 4
    return score


@dataclass(frozen=True)
class Served:
    """Every exchange under each address that its request may have been served by: rows (in their order) and address numbers."""

    row: I64
    address: I64

    @staticmethod
    def of(e: Exchanges, s: Signs, upstream: Bool) -> Served:
        """Only addresses that also send requests (proxies) are kept."""
        senders = s.sender[upstream]
        senders = senders[numbered(senders)[1]]
        parts = []
        for column in (s.serves, s.serves_wire, s.serves_self):
            mine = np.flatnonzero(member(column, senders))
            parts.append((mine, column[mine]))
        row, address = (np.concatenate([p[k] for p in parts]) for k in range(2))
        order = np.argsort(row, kind="stable")
        return Served(row[order], address[order])


class Way(NamedTuple):
    """One way to find the upstream request of a downstream one. by: names of columns that must be equal. late: also one that was
    answered after the downstream was. sure: only where the responses are known to be equal."""

    by: tuple[str, ...]
    late: bool = False
    sure: bool = False


class Course(NamedTuple):
    """How `assign` goes about it. rank: (n,) int64 by row, preference of a row's server. window: as in Terms. ways: in order."""

    rank: I64
    window: int
    ways: tuple[Way, ...]


SURE = (
    Way(("request_id", "method", "target"), sure=True),
    Way(("method", "target"), sure=True),
    Way(("method",), sure=True),
)
REST = (Way(("request_id", "method", "target")), Way(("method", "target")), Way(("method", "target"), late=True))
WAYS = (*REST, SURE[2])


def assign(e: Exchanges, s: Signs, lines: Lines, served: Served, among: Bool, terms: Course, mates: Mates) -> None:
    """Fill `downstream` and `claimed` of the mates of upstream rows `among`, the surest ways first."""
    d, address = served.row, served.address
    for way in terms.ways:
        open_x = among & (mates.downstream < 0)
        open_d = (mates.claimed[d] < 0) & (e.request_time[d] >= 0)
        if "request_id" in way.by:
            open_x &= e.request_id != 0
            open_d &= e.request_id[d] != 0
        if way.late:
            open_d &= e.status[d] >= 400
        if way.sure:
            open_x &= (lines.size != UNKNOWN) & (e.status >= 0)
            open_d &= (lines.size[d] != UNKNOWN) & (e.status[d] >= 0)
        x = np.flatnonzero(open_x)
        di = np.flatnonzero(open_d)
        if not len(x) or not len(di):
            continue
        columns = [getattr(e, name) for name in way.by]
        if way.sure:
            columns += [lines.status, lines.size, lines.digest]
        asks = Keyed.of(d[di], blend(address[di], *(column[d[di]] for column in columns)))
        sent = Keyed.of(x, blend(s.sender[x], *(column[x] for column in columns)))
        xs, lows = meeting(sent, asks, e.request_time)
        if not len(xs.row):
            continue
        answered = e.response_time[asks.row]
        od = np.argsort(np.where(answered < 0, np.iinfo(np.int64).max, answered), kind="stable")
        ds, skip = Grouped(asks.row[od], asks.number[od]), np.arange(len(xs.row) + 1)
        claim(ds, lows[od], xs, skip, lines, Terms(terms.rank, way.late, way.sure, terms.window), mates)
