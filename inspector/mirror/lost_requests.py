"""Exchanges whose request was lost from the capture while its response was seen.

Method and path of such an exchange are unknown; the part that it plays can still be told by its server: one that gets
only copies from this proxy, or none. Pairs found here rest on order alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.mirror import lost_kernels
from inspector.mirror.groups import member, numbered
from inspector.mirror.signs import Signs, number
from inspector.mirror.tables import NONE, Exchanges
from inspector.table import I64, U32, Bool

KNOWN = 3  # exchanges with a request that a server must have had for its part to be told
ALWAYS = 0.9  # the part of them that must agree


@dataclass(frozen=True)
class _Rows:
    """What the inner loops read of the exchanges, and room for rows."""

    times: I64
    words: I64
    family: I64


def place(
    e: Exchanges,
    s: Signs,
    server: I64,
    original: I64,
    found: U32,
    downstream: I64,
    claimed: I64,
    upstream: Bool,
    retry: Bool,
    window: int,
) -> Bool:
    """Fill `original`, `found`, `downstream` and `claimed` for responses without a request, in order of time.

    Returns by row of `e` whether its original was told by order alone, or its downstream exchange by equal responses.
    """
    orphans = np.flatnonzero((e.request_time < 0) & (e.status >= 0))
    known = np.flatnonzero(upstream & ~retry)
    if not len(orphans) or not len(known) or not (original >= 0).any():
        return np.zeros(len(e), bool)
    paired = original.copy()
    orphans = orphans[np.argsort(e.response_time[orphans], kind="stable")]
    key = number(s.sender, server)
    size = int(key.max()) + 1
    asked = np.bincount(key[known], minlength=size)
    copied = np.bincount(key[known], original[known] >= 0, size)
    mirrored = np.bincount(key[original[original >= 0]], minlength=size)
    sure = asked >= KNOWN
    gets_copies = sure & (copied >= ALWAYS * asked)
    is_mirrored = sure & (copied == 0) & (mirrored > 0)
    free = known[(original[known] < 0) & is_mirrored[key[known]]]
    free = free[~member(free, original)]
    # Lost originals stand in where a copy has none.
    bare = known[(original[known] < 0) & gets_copies[key[known]]]
    w = _Rows(*_columns(e, s), np.empty(len(e), np.int64))
    links = original, found, downstream, claimed, window
    _couple(w, orphans[is_mirrored[key[orphans]]], bare, *links, lost_copies=False)
    _couple(w, orphans[gets_copies[key[orphans]]], free, *links, lost_copies=True)
    moved = original != paired
    _contradicted(e, np.flatnonzero(moved), original, found)
    before = downstream.copy()
    _served(e, s, w, orphans, original, downstream, claimed, window)
    return (downstream != before) | moved


def _contradicted(e: Exchanges, rows: I64, original: I64, found: U32) -> None:
    """A copy that was moved to an original with another request id has lost its own."""
    mine, other = e.request_id[rows], e.request_id[np.maximum(original[rows], 0)]
    wrong = rows[(original[rows] >= 0) & (mine != 0) & (other != 0) & (mine != other)]
    original[wrong] = NONE
    found[wrong] = 0


def _columns(e: Exchanges, s: Signs) -> tuple[I64, I64]:
    """(times, words) as `standins` reads them."""
    times: list[NDArray[Any]] = [e.request_time, e.response_time, e.status, e.response_bytes]
    words = [s.sender, e.method.view(np.int64), e.target.view(np.int64), e.response_hash.view(np.int64)]
    return np.stack(times, axis=1, dtype=np.int64), np.stack(words, axis=1)


def _couple(
    w: _Rows, orphans: I64, others: I64, original: I64, found: U32, downstream: I64, claimed: I64, window: int,
    lost_copies: bool,
) -> None:  # fmt: skip
    """Pair orphans with requests of the same proxy that lack a mate: the latest sent before the orphan was answered."""
    if not len(orphans) or not len(others):
        return
    numbers, firsts = numbered(
        np.concatenate([w.words[others, lost_kernels.SENDER], w.words[orphans, lost_kernels.SENDER]])
    )
    proxies = int((firsts < len(others)).sum())  # those of the orphans alone come after
    mine = numbers[: len(others)]
    groups = numbers[len(others) :]
    groups[groups >= proxies] = NONE
    others = others[np.lexsort((w.times[others, lost_kernels.ASKED], mine))]
    begins = np.zeros(proxies + 1, np.int64)
    np.cumsum(np.bincount(mine, minlength=proxies), out=begins[1:])
    lost_kernels.couple(
        orphans, groups, others, begins, begins[:-1].copy(), np.arange(-1, len(others)), w.times, w.words, original, found,
        downstream, claimed, window, lost_copies, w.family, np.empty(2 * lost_kernels.SHIFTS, np.int64),
    )  # fmt: skip


def _served(
    e: Exchanges, s: Signs, w: _Rows, orphans: I64, original: I64, downstream: I64, claimed: I64, window: int
) -> None:
    """Give originals without a downstream exchange the response that their proxy gave soon after theirs, if it is equal."""
    is_mate = np.zeros(len(e), bool)
    is_mate[original[original >= 0]] = True
    mates = np.flatnonzero(is_mate)
    bare = mates[(downstream[mates] < 0) & (e.status[mates] >= 0)]
    if not len(bare):
        return
    # Downstream exchanges without an upstream one: their requests were lost, or the requests of their originals.
    unserved = np.flatnonzero((e.request_time >= 0) & (claimed < 0) & (downstream < 0) & (e.status >= 0))
    served = np.concatenate([orphans, unserved])
    mine = member(s.serves[served], s.sender[bare]) | member(s.serves_self[served], s.sender[bare])
    served = served[mine & (claimed[served] < 0)]
    served = served[np.argsort(e.response_time[served], kind="stable")]
    bare = bare[np.argsort(e.response_time[bare], kind="stable")]
    serves = np.stack([s.serves, s.serves_self, s.serves_wire], axis=1)
    lost_kernels.serve(
        bare, served, np.zeros(len(served), np.int64), w.times, w.words, serves, downstream, claimed, window,
        np.empty(2 * lost_kernels.STEPS, np.int64),
    )  # fmt: skip


def effective_time(e: Exchanges) -> I64:
    """When an exchange was asked for, or, where the request was lost, answered."""
    return np.where(e.request_time >= 0, e.request_time, e.response_time)
