"""Exchanges whose request was lost from the capture while its response was seen.

Method and path of such an exchange are unknown; the part that it plays can still be told by its server: one that gets
only copies from this proxy, or none. Pairs found here rest on order alone.
"""

from __future__ import annotations

import numpy as np

from inspector.mirror.signs import Signs, number
from inspector.mirror.tables import NONE, Exchanges, Sign
from inspector.table import I64, U32, Bool

KNOWN = 3  # exchanges with a request that a server must have had for its part to be told
STEPS = 512  # such moves in all at one step of deciding
NEAR = 1024  # exchanges, in order of time, among which equals in flight together are looked for
SHIFTS = 256  # pairs moved on for one lost request
ALWAYS = 0.9  # the part of them that must agree


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
) -> None:
    """Fill `original`, `found`, `downstream` and `claimed` for responses without a request, in order of time."""
    orphans = np.flatnonzero((e.request_time < 0) & (e.status >= 0))
    known = np.flatnonzero(upstream & ~retry)
    if not len(orphans) or not len(known) or not (original >= 0).any():
        return
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
    free = free[~np.isin(free, original)]
    # Lost originals stand in where a copy has none.
    bare = known[(original[known] < 0) & gets_copies[key[known]]]
    _couple(
        e, s, orphans[is_mirrored[key[orphans]]], bare, original, found, downstream, claimed, window, lost_copies=False
    )
    _couple(
        e, s, orphans[gets_copies[key[orphans]]], free, original, found, downstream, claimed, window, lost_copies=True
    )
    _served(e, s, orphans, known, original, downstream, claimed, window)


def _couple(
    e: Exchanges, s: Signs, orphans: I64, others: I64, original: I64, found: U32, downstream: I64, claimed: I64,
    window: int, lost_copies: bool,
) -> None:  # fmt: skip
    """Pair orphans with requests of the same proxy that lack a mate: the latest sent before the orphan was answered."""
    if not len(orphans) or not len(others):
        return
    others = others[np.argsort(e.request_time[others], kind="stable")]
    used = np.zeros(len(others), bool)
    for x in orphans.tolist():
        mine = np.flatnonzero(~used & (s.sender[others] == s.sender[x]))
        if not len(mine):
            continue
        times = e.request_time[others[mine]]
        before = int(np.searchsorted(times, e.response_time[x], side="right"))
        if before and e.response_time[x] - times[before - 1] <= window:
            pick = int(mine[max(0, int(np.searchsorted(times, e.response_time[x] - window)), before - 64)])
            used[pick] = True
            o, m = (int(others[pick]), x) if lost_copies else (x, int(others[pick]))
        elif lost_copies:
            pick = int(mine[0])
            o, m = _shift(e, s, int(others[pick]), x, original, found), x
            used[pick] = o >= 0
        else:
            continue
        if o >= 0:
            if downstream[m] >= 0:  # for want of its original the copy had passed for it
                downstream[o], claimed[downstream[m]], downstream[m] = downstream[m], o, NONE
            original[m] = o
            found[m] = np.uint32(Sign.COUNT | Sign.ORDER)


def _shift(e: Exchanges, s: Signs, free: int, x: int, original: I64, found: U32) -> int:
    """Pairs made by order alone, moved on by one so that an original sent before copy `x` was answered becomes free.

    Equals that were sent one after another are paired in order; where a copy's request was lost, later copies have taken
    the originals of earlier ones. Returns that original, or -1 (then nothing was moved).
    """
    low, high = max(x - NEAR, 0), max(free + NEAR, 0)
    family = low + np.flatnonzero(
        (original[low:high] >= 0) & (s.sender[low:high] == s.sender[free]) & (e.method[low:high] == e.method[free])
        & (e.target[low:high] == e.target[free]) & ((found[low:high] & np.uint32(Sign.ORDER)) != 0)
    )  # fmt: skip
    moves: list[tuple[int, int]] = []
    for _ in range(SHIFTS):
        fits = family[e.request_time[family] >= e.request_time[free]]
        if not len(fits):
            return -1
        m = int(fits[np.argmin(e.request_time[original[fits]])])
        earlier = int(original[m])
        if e.request_time[earlier] >= e.request_time[free]:
            return -1
        moves.append((m, free))
        free = earlier
        if e.request_time[free] <= e.response_time[x]:
            for copy, to in moves:
                original[copy] = to
            return free
    return -1


def _served(
    e: Exchanges, s: Signs, orphans: I64, known: I64, original: I64, downstream: I64, claimed: I64, window: int
) -> None:
    """Give originals without a downstream exchange the response that their proxy gave soon after theirs, if it is equal."""
    mates = np.unique(original[original >= 0])
    bare = mates[(downstream[mates] < 0) & (e.status[mates] >= 0)]
    # Downstream exchanges without an upstream one: their requests were lost, or the requests of their originals.
    unserved = np.flatnonzero((e.request_time >= 0) & (claimed < 0) & (downstream < 0) & (e.status >= 0))
    served = np.concatenate([orphans, unserved])
    mine = np.isin(s.serves[served], s.sender[bare]) | np.isin(s.serves_self[served], s.sender[bare])
    served = served[mine & (claimed[served] < 0)]
    served = served[np.argsort(e.response_time[served], kind="stable")]
    bare = bare[np.argsort(e.response_time[bare], kind="stable")]
    used = np.zeros(len(served), bool)
    steps = STEPS
    for o in bare.tolist():
        moves: list[tuple[int, int]] = []
        free = o
        while steps > 0 and not used.all():
            steps -= 1
            d = _given(e, s, free, served[~used], window)
            if d >= 0:
                used[served == d] = True
                downstream[free], claimed[d] = d, free
                for x, to in moves:
                    downstream[x], claimed[to] = to, x
                break
            # A downstream exchange that was given to an earlier equal may be this one's: then that one is looked for.
            d = _lent(e, s, free, claimed)
            if d < 0 or e.response_time[claimed[d]] >= e.response_time[free]:
                break
            moves.append((free, d))
            free = int(claimed[d])


def _given(e: Exchanges, s: Signs, o: int, served: I64, window: int) -> int:
    """The first of `served` that was answered like `o` and not before it, -1 without one."""
    t = e.response_time[o]
    for d in served[(e.response_time[served] >= t) & (e.response_time[served] <= t + window)][:64].tolist():
        asked = e.request_time[o] if e.request_time[o] >= 0 else t
        mine = s.sender[o] in (s.serves[d], s.serves_self[d], s.serves_wire[d])
        alike = e.request_time[o] < 0 or e.request_time[d] < 0 or e.target[o] == e.target[d]
        if mine and alike and e.request_time[d] <= asked and same(e, d, o):
            return int(d)
    return -1


def _lent(e: Exchanges, s: Signs, o: int, claimed: I64) -> int:
    """The downstream exchange with the same request as `o`, open while `o` was, whose own original was answered first."""
    rows = np.arange(max(0, o - NEAR), o)
    rows = rows[(claimed[rows] >= 0) & (e.request_time[rows] >= 0)]
    fits = (e.response_time[rows] >= e.response_time[o]) & (s.sender[claimed[rows]] == s.sender[o])
    rows = rows[fits & (e.method[rows] == e.method[o]) & (e.target[rows] == e.target[o])]
    return int(rows[np.argmin(e.response_time[claimed[rows]])]) if len(rows) else -1


def same(e: Exchanges, a: int, b: int) -> bool:
    """Whether status and body of two responses are equal, as far as they were seen."""
    return bool(
        e.status[a] == e.status[b]
        and e.response_bytes[a] == e.response_bytes[b]
        and e.response_hash[a] == e.response_hash[b]
    )


def effective_time(e: Exchanges) -> I64:
    """When an exchange was asked for, or, where the request was lost, answered."""
    return np.where(e.request_time >= 0, e.request_time, e.response_time)
