"""How many of the requests that could have been mirrored were."""

from __future__ import annotations

import numpy as np

from inspector.mirror.signs import number
from inspector.mirror.transactions import Found
from inspector.mirror.views import Share

LEVEL = 0.95


def counts(found: Found) -> tuple[int, int]:
    """(mirrored, eligible): originals with a mirror, and all requests that the same proxy sent for the same host
    (unless they are copies or retries themselves)."""
    mirrors = found.mirrors
    if not len(mirrors):
        return 0, 0
    e, s = found.exchanges, found.signs
    originals = np.unique(mirrors.original[mirrors.original >= 0])
    route = number(s.sender, e.host)
    candidates = (e.request_time >= 0) & (s.serves_self < 0) & ~found.retry & (found.original < 0) & ~found.lone
    candidates &= np.isin(route, np.unique(route[originals]))
    candidates[originals] = True
    return len(originals), int(candidates.sum())


def interval(mirrored: int, eligible: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact (Clopper-Pearson) binomial interval, in percent. Precondition: 0 <= mirrored <= eligible, eligible > 0."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if mirrored == 0 else float(betaincinv(mirrored, eligible - mirrored + 1, tail))
    high = 1.0 if mirrored == eligible else float(betaincinv(mirrored + 1, eligible - mirrored, 1 - tail))
    return round(100 * low, 2), round(100 * high, 2)


def share(mirrored: int, eligible: int) -> Share:
    """The observed percentage with its interval; None where nothing was eligible."""
    if not eligible:
        return Share(mirrored, 0, None, None, None)
    low, high = interval(mirrored, eligible)
    return Share(mirrored, eligible, round(100 * mirrored / eligible, 2), low, high)


