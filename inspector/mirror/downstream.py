"""Finds the downstream leg of an upstream request: by request id, by content and nesting in time, by addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.kernels.kernel import kernel
from inspector.mirror.groups import Keyed, meeting, member, numbered
from inspector.mirror.layout import Grouped, Mates
from inspector.mirror.pairing import same_body
from inspector.mirror.signs import Signs, blend
from inspector.mirror.tables import Exchanges
from inspector.table import I64, U64, Bool

SCAN = 1024  # upstream requests looked at for one downstream request


class Lines(NamedTuple):
    """What distinguishes legs, by row.

    nums: (n, 8) int64: status, response facts, response bytes, response time, response end time, request time (the response's
    where the request was lost), request facts, request bytes; times in ns. hashes: (n,) uint64, of the response's body. keys:
    (n, 4) uint64: trace, headers, host, request body hash.
    """

    nums: I64
    hashes: U64
    keys: U64

    @staticmethod
    def of(e: Exchanges) -> Lines:
        """Lay the columns out."""
        nums = [
            e.status.astype(np.int64),
            e.response_facts.astype(np.int64),
            e.response_bytes,
            e.response_time,
            e.response_end_time,
            np.where(e.request_time >= 0, e.request_time, e.response_time),
            e.request_facts.astype(np.int64),
            e.request_bytes,
        ]
        keys = [e.trace, e.headers, e.host, e.request_hash]
        return Lines(np.stack(nums, axis=1), e.response_hash, np.stack(keys, axis=1))


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
def same_response(a: int, b: int, lines: Lines) -> int:
    """1: status and body are equal and wholly known; 0: they differ; -1: the capture does not tell."""
    nums = lines.nums
    if nums[a, 0] < 0 or nums[b, 0] < 0:
        return -1
    if nums[a, 0] != nums[b, 0]:
        return 0
    return same_body(nums[a, 1], nums[a, 2], lines.hashes[a], nums[b, 1], nums[b, 2], lines.hashes[b])


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
        end = lines.nums[d, 3]
        if end < 0:
            end = lines.nums[d, 5] + terms.window
        at = lows[i]
        best = -1
        best_score = -1
        seen = 0
        while seen < SCAN:
            at = next_free(skip, at)
            if at >= len(xs.row) or xs.group[at] != ds.group[i]:
                break
            x = xs.row[at]
            if lines.nums[x, 5] > end:
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
    nums = lines.nums
    keys = lines.keys
    if keys[d, 0] != 0 and keys[x, 0] != 0 and keys[d, 0] != keys[x, 0]:
        return -1
    if same_body(nums[d, 6], nums[d, 7], keys[d, 3], nums[x, 6], nums[x, 7], keys[x, 3]) == 0:
        return -1
    if not terms.late and nums[d, 3] >= 0 and nums[x, 3] > nums[d, 3]:
        return -1
    score = terms.rank[x]
    equal = same_response(d, x, lines)
    if equal == 1:
        score += 32
    elif terms.sure:
        return -1
    elif equal == -1:
        score += 8
    if keys[d, 1] == keys[x, 1]:
        score += 16
    if keys[d, 2] == keys[x, 2]:
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


def assign(
    e: Exchanges, s: Signs, lines: Lines, served: Served, upstream: Bool, rank: I64, window: int, mates: Mates
) -> None:
    """Fill `downstream` and `claimed` of the mates of `upstream` rows, the surest ways first."""
    d, address = served.row, served.address
    ways: list[tuple[tuple[NDArray[np.generic], ...], tuple[NDArray[np.generic], ...], bool, bool]] = [
        ((e.request_id[d], e.method[d], e.target[d]), (e.request_id, e.method, e.target), False, False),
        ((e.method[d], e.target[d]), (e.method, e.target), False, False),
        ((e.method[d], e.target[d]), (e.method, e.target), True, False),
        ((e.method[d],), (e.method,), False, True),
    ]
    for way, (of_d, of_x, late, sure) in enumerate(ways):
        open_x = upstream & (mates.downstream < 0)
        open_d = (mates.claimed[d] < 0) & (e.request_time[d] >= 0)
        if way == 0:
            open_x &= e.request_id != 0
            open_d &= e.request_id[d] != 0
        if late:
            open_d &= e.status[d] >= 400
        x = np.flatnonzero(open_x)
        di = np.flatnonzero(open_d)
        if not len(x) or not len(di):
            continue
        asks = Keyed.of(d[di], blend(address[di], *(column[di] for column in of_d)))
        sent = Keyed.of(x, blend(s.sender[x], *(column[x] for column in of_x)))
        xs, lows = meeting(sent, asks, e.request_time)
        if not len(xs.row):
            continue
        answered = e.response_time[asks.row]
        od = np.argsort(np.where(answered < 0, np.iinfo(np.int64).max, answered), kind="stable")
        ds, skip = Grouped(asks.row[od], asks.number[od]), np.arange(len(xs.row) + 1)
        claim(ds, lows[od], xs, skip, lines, Terms(rank, late, sure, window), mates)
