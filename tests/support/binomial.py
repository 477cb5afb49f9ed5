"""The binomial distribution by adding up its terms: slow, and plain to see."""

from __future__ import annotations

import math

import numpy as np

FAR = 14  # standard deviations; what is beyond adds nothing


def at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) of n draws with probability p each."""
    if k <= 0 or p >= 1:
        return 1.0
    if p <= 0 or k > n:
        return 0.0
    if k <= n * p:
        return 1 - at_least(n - k + 1, n, 1 - p)  # the smaller side: P(X < k) = P(n - X > n - k)
    last = min(n, k + 60 + int(FAR * math.sqrt(n * p * (1 - p))))
    j = np.arange(k, last)
    ratios = np.concatenate([[0.0], np.cumsum(np.log((n - j) / (j + 1)) + math.log(p) - math.log1p(-p))])
    return math.exp(_log_of_one(k, n, p)) * float(np.exp(ratios).sum())


def _log_of_one(k: int, n: int, p: float) -> float:
    """log P(X = k)."""
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choose + (k * math.log(p) if k else 0.0) + ((n - k) * math.log1p(-p) if n > k else 0.0)


def fits(k: int, n: int, low: float, high: float, within: float) -> bool:
    """Whether low and high (in percent) are the ends of the exact 95 % interval (Clopper and Pearson) of k out of n, give or take
    `within`: at the lower end as much as k or more has a chance of 2.5 %, at the upper end as much as k or less."""

    def rising(p: float) -> float:
        return at_least(k, n, min(1.0, max(0.0, p / 100)))

    def falling(p: float) -> float:
        return 1 - at_least(k + 1, n, min(1.0, max(0.0, p / 100)))

    lower = low == 0 if k == 0 else rising(low - within) <= 0.025 <= rising(low + within)
    upper = high == 100 if k == n else falling(high + within) <= 0.025 <= falling(high - within)
    return lower and upper
