"""Exchanges whose request was lost from the capture while its response was seen.

Method and path of such an exchange are unknown; the part that it plays can still be reported by its server: one that gets
only copies from this proxy, or none. Pairs found here rest on order alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.mirror import lost_kernels
from inspector.mirror.groups import member, numbered
from inspector.mirror.layout import Grouped, Mates
from inspector.mirror.lost_kernels import Outlines, Queues, Shifts
from inspector.mirror.signs import Signs, number
from inspector.mirror.tables import NONE, Exchanges
from inspector.table import I64, Bool

KNOWN = 3  # exchanges with a request that a server must have had for its part to be reported
ALWAYS = 0.9  # the part of them that must agree


def place(e: Exchanges, s: Signs, server: I64, mates: Mates, upstream: Bool, retry: Bool, window: int) -> Bool:
    """Fill in the mates of responses without a request, in order of time.

    Returns by row of `e` whether its original was reported by order alone, or its downstream exchange by equal responses.
    """
    original = mates.original
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
    outlines = _outlines(e, s)
    _couple(outlines, orphans[is_mirrored[key[orphans]]], bare, mates, window, lost_copies=False)
    _couple(outlines, orphans[gets_copies[key[orphans]]], free, mates, window, lost_copies=True)
    moved = original != paired
    _contradicted(e, np.flatnonzero(moved), mates)
    before = mates.downstream.copy()
    _served(e, s, outlines, orphans, mates, window)
    return (mates.downstream != before) | moved


def _contradicted(e: Exchanges, rows: I64, mates: Mates) -> None:
    """A copy that was moved to an original with another request id has lost its own."""
    original = mates.original
    mine, other = e.request_id[rows], e.request_id[np.maximum(original[rows], 0)]
    wrong = rows[(original[rows] >= 0) & (mine != 0) & (other != 0) & (mine != other)]
    original[wrong] = NONE
    mates.signs[wrong] = 0


def _outlines(e: Exchanges, s: Signs) -> Outlines:
    """Lay the columns out."""
    times: list[NDArray[Any]] = [e.request_time, e.response_time, e.status, e.response_bytes]
    words = [s.sender, e.method.view(np.int64), e.target.view(np.int64), e.response_hash.view(np.int64)]
    serves = [s.serves, s.serves_self, s.serves_wire]
    return Outlines(np.stack(times, axis=1, dtype=np.int64), np.stack(words, axis=1), np.stack(serves, axis=1))


def _couple(outlines: Outlines, orphans: I64, others: I64, mates: Mates, window: int, lost_copies: bool) -> None:
    """Pair orphans with requests of the same proxy that lack a mate: the latest sent before the orphan was answered."""
    if not len(orphans) or not len(others):
        return
    sender = outlines.words[:, lost_kernels.SENDER]
    numbers, firsts = numbered(np.concatenate([sender[others], sender[orphans]]))
    proxies = int((firsts < len(others)).sum())  # those of the orphans alone come after
    mine = numbers[: len(others)]
    groups = numbers[len(others) :]
    groups[groups >= proxies] = NONE
    others = others[np.lexsort((outlines.times[others, lost_kernels.ASKED], mine))]
    begins = np.zeros(proxies + 1, np.int64)
    np.cumsum(np.bincount(mine, minlength=proxies), out=begins[1:])
    queues = Queues(others, begins, begins[:-1].copy(), np.arange(-1, len(others)))
    room = Shifts(np.empty(len(sender), np.int64), np.empty(2 * lost_kernels.SHIFTS, np.int64))
    lost_kernels.couple(Grouped(orphans, groups), queues, outlines, mates, window, lost_copies, room)


def _served(e: Exchanges, s: Signs, outlines: Outlines, orphans: I64, mates: Mates, window: int) -> None:
    """Give originals without a downstream exchange the response that their proxy gave soon after theirs, if it is equal."""
    original = mates.original
    downstream = mates.downstream
    claimed = mates.claimed
    is_mate = np.zeros(len(e), bool)
    is_mate[original[original >= 0]] = True
    copied = np.flatnonzero(is_mate)
    bare = copied[(downstream[copied] < 0) & (e.status[copied] >= 0)]
    if not len(bare):
        return
    # Downstream exchanges without an upstream one: their requests were lost, or the requests of their originals.
    unserved = np.flatnonzero((e.request_time >= 0) & (claimed < 0) & (downstream < 0) & (e.status >= 0))
    served = np.concatenate([orphans, unserved])
    mine = member(s.serves[served], s.sender[bare]) | member(s.serves_self[served], s.sender[bare])
    served = served[mine & (claimed[served] < 0)]
    served = served[np.argsort(e.response_time[served], kind="stable")]
    bare = bare[np.argsort(e.response_time[bare], kind="stable")]
    used, moves = np.zeros(len(served), np.int64), np.empty(2 * lost_kernels.STEPS, np.int64)
    lost_kernels.serve(bare, served, used, outlines, mates, window, moves)


def effective_time(e: Exchanges) -> I64:
    """When an exchange was asked for, or, where the request was lost, answered."""
    return np.where(e.request_time >= 0, e.request_time, e.response_time)
