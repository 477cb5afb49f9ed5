"""How many of the requests that could have been mirrored were."""

from __future__ import annotations

import math

from inspector.views.objects import Share

LEVEL = 0.95
STEPS = 100  # towards a quantile; about ten are needed
TERMS = 1_000_000  # of a continued fraction; some hundreds for a million requests
CLOSE = 1e-10


def interval(mirrored: int, eligible: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact (Clopper-Pearson) binomial interval, in percent. Precondition: 0 <= mirrored <= eligible, eligible > 0.

    scipy.special.betaincinv gives the same; importing it took longer than reading a small capture.
    """
    tail = (1 - level) / 2
    low = 0.0 if mirrored == 0 else _quantile(mirrored, eligible - mirrored + 1, tail)
    high = 1.0 if mirrored == eligible else 1 - _quantile(eligible - mirrored, mirrored + 1, tail)
    return round(100 * low, 2), round(100 * high, 2)


def _quantile(a: float, b: float, p: float) -> float:
    """The x where the beta distribution's I_x(a, b) is p: Newton's steps, halves where one leaves what is known."""
    below, above, x = 0.0, 1.0, a / (a + b)
    for _ in range(STEPS):
        value, slope = _beta(a, b, x)
        if value > p:
            above = x
        else:
            below = x
        after = x - (value - p) / slope if slope > 0 else -1.0
        if not below < after < above:
            after = (below + above) / 2
        if abs(after - x) <= CLOSE * x:
            return after
        x = after
    return x


def _beta(a: float, b: float, x: float) -> tuple[float, float]:
    """I_x(a, b), the regularized incomplete beta function, and its derivative by x. Precondition: 0 < x < 1."""
    whole = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    power = math.exp(whole + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        value = power * _fraction(a, b, x) / a
    else:
        value = 1 - power * _fraction(b, a, 1 - x) / b
    return value, power / (x * (1 - x))


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of DLMF 8.17.22, by Lentz's method as Thompson and Barnett changed it (DLMF 3.10(iii))."""
    value, c, d = 1.0, 1.0, 0.0
    for k in range(1, TERMS):
        m = k // 2
        if k % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        c, d = 1 + term / c, 1 / (1 + term * d)
        value *= c * d
        if abs(c * d - 1) < CLOSE:
            break
    return 1 / value


def share(mirrored: int, eligible: int) -> Share:
    """The observed percentage with its interval; None where nothing was eligible."""
    if not eligible:
        return Share(mirrored, 0, None, None, None)
    low, high = interval(mirrored, eligible)
    return Share(mirrored, eligible, round(100 * mirrored / eligible, 2), low, high)
