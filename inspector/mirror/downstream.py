"""Finds the downstream leg of an upstream request: by request id, by content and nesting in time, by addresses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.kernels.kernel import kernel
from inspector.mirror.groups import meeting, member, numbered
from inspector.mirror.pairing import same_body
from inspector.mirror.signs import Signs, blend
from inspector.mirror.tables import NONE, Exchanges
from inspector.table import I64, U64, Bool

SCAN = 1024  # upstream requests looked at for one downstream request


@kernel
def same_response(a: int, b: int, nums: I64, hashes: U64) -> int:
    """1: status and body are equal and wholly known; 0: they differ; -1: the capture does not tell.

    nums (n, 8) int64: status, response facts, response bytes, response time, response end time, request time (the response's
    where the request was lost), request facts, request bytes.
    """
    if nums[a, 0] < 0 or nums[b, 0] < 0:
        return -1
    if nums[a, 0] != nums[b, 0]:
        return 0
    return same_body(nums[a, 1], nums[a, 2], hashes[a], nums[b, 1], nums[b, 2], hashes[b])


@kernel
def next_free(skip: I64, at: int) -> int:
    """The first place from `at` on that was not taken. skip[i] is i, or a later place where i was taken; paths are halved."""
    while skip[at] != at:
        skip[at] = skip[skip[at]]
        at = skip[at]
    return at


@kernel
def claim(
    ds: I64,
    d_family: I64,
    lows: I64,
    xs: I64,
    x_family: I64,
    nums: I64,
    hashes: U64,
    keys: U64,
    rank: I64,
    late: bool,
    sure: bool,
    window: int,
    downstream: I64,
    claimed: I64,
    skip: I64,
) -> int:
    """Let each downstream request take the upstream request that was sent for it; returns how many did.

    xs: rows sorted by (family, request time); ds: rows sorted by the time they were answered; d_family and x_family beside
    them (the same family numbers); lows: for each of ds the first place in xs of its family that was not sent before it.
    Answered first, served first, with the earliest request that fits: so as many as possible find theirs (a matching of
    nested intervals). keys (n, 4): trace, headers, host, request body hash. rank (n,): preference of a row's server.
    late: also take an upstream request that was answered after the downstream was (the proxy answered by itself).
    sure: only where the responses are known to be equal. skip: (len(xs) + 1,), 0, 1, 2, ... at the start.
    """
    taken = 0
    for i in range(len(ds)):
        d = ds[i]
        if claimed[d] >= 0:
            continue
        end = nums[d, 3]
        if end < 0:
            end = nums[d, 5] + window
        at = lows[i]
        best = -1
        best_score = -1
        seen = 0
        while seen < SCAN:
            at = next_free(skip, at)
            if at >= len(xs) or x_family[at] != d_family[i]:
                break
            x = xs[at]
            if nums[x, 5] > end:
                break
            seen += 1
            if x != d and downstream[x] < 0:
                score = fit(d, x, nums, hashes, keys, rank, late, sure)
                if score > best_score:
                    best = at
                    best_score = score
            at += 1
        if best >= 0:
            x = xs[best]
            downstream[x] = d
            claimed[d] = x
            skip[best] = best + 1
            taken += 1
    return taken


@kernel
def fit(d: int, x: int, nums: I64, hashes: U64, keys: U64, rank: I64, late: bool, sure: bool) -> int:
    """How well upstream request `x` fits downstream request `d`; -1 where it cannot be its."""
    if keys[d, 0] != 0 and keys[x, 0] != 0 and keys[d, 0] != keys[x, 0]:
        return -1
    if same_body(nums[d, 6], nums[d, 7], keys[d, 3], nums[x, 6], nums[x, 7], keys[x, 3]) == 0:
        return -1
    if not late and nums[d, 3] >= 0 and nums[x, 3] > nums[d, 3]:
        return -1
    score = rank[x]
    equal = same_response(d, x, nums, hashes)
    if equal == 1:
        score += 32
    elif sure:
        return -1
    elif equal == -1:
        score += 8
    if keys[d, 1] == keys[x, 1]:
        score += 16
    if keys[d, 2] == keys[x, 2]:
        score += 4
    return score


@dataclass(frozen=True)
class Lines:
    """What `claim` reads of the exchanges. nums (n, 8), hashes (n,), keys (n, 4)."""

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
    e: Exchanges,
    s: Signs,
    lines: Lines,
    served: Served,
    upstream: Bool,
    rank: I64,
    window: int,
    downstream: I64,
    claimed: I64,
) -> None:
    """Fill `downstream` (by upstream row) and `claimed` (by downstream row), the surest ways first."""
    d, address = served.row, served.address
    ways: list[tuple[tuple[NDArray[np.generic], ...], tuple[NDArray[np.generic], ...], bool, bool]] = [
        ((e.request_id[d], e.method[d], e.target[d]), (e.request_id, e.method, e.target), False, False),
        ((e.method[d], e.target[d]), (e.method, e.target), False, False),
        ((e.method[d], e.target[d]), (e.method, e.target), True, False),
        ((e.method[d],), (e.method,), False, True),
    ]
    for way, (of_d, of_x, late, sure) in enumerate(ways):
        open_x = upstream & (downstream < 0)
        open_d = (claimed[d] < 0) & (e.request_time[d] >= 0)
        if way == 0:
            open_x &= e.request_id != 0
            open_d &= e.request_id[d] != 0
        if late:
            open_d &= e.status[d] >= 400
        x = np.flatnonzero(open_x)
        di = np.flatnonzero(open_d)
        if not len(x) or not len(di):
            continue
        fd = blend(address[di], *(column[di] for column in of_d))
        fx = blend(s.sender[x], *(column[x] for column in of_x))
        x, nx, nd, lows = meeting(x, fx, d[di], fd, e.request_time)
        if not len(x):
            continue
        answered = e.response_time[d[di]]
        od = np.argsort(np.where(answered < 0, np.iinfo(np.int64).max, answered), kind="stable")
        claim(
            d[di][od], nd[od], lows[od], x, nx, lines.nums, lines.hashes, lines.keys, rank,
            late, sure, window, downstream, claimed, np.arange(len(x) + 1),
        )  # fmt: skip


def nobody(n: int) -> I64:
    """(n,) int64 of NONE."""
    return np.full(n, NONE, np.int64)
