"""How many of the requests that could have been mirrored were."""

from __future__ import annotations

from inspector.mirror.views import Share

LEVEL = 0.95


def interval(mirrored: int, eligible: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact (Clopper-Pearson) binomial interval, in percent. Precondition: 0 <= mirrored <= eligible, eligible > 0."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if mirrored == 0 else float(betaincinv(mirrored, eligible - mirrored + 1, tail))
    high = 1.0 if mirrored == eligible else float(betaincinv(mirrored + 1, eligible - mirrored, 1 - tail))
    return round(100 * low, 2), round(100 * high, 2)


def warm() -> None:
    """Import what `interval` needs, which takes longer than all that it computes."""
    import scipy.special  # noqa: F401


def share(mirrored: int, eligible: int) -> Share:
    """The observed percentage with its interval; None where nothing was eligible."""
    if not eligible:
        return Share(mirrored, 0, None, None, None)
    low, high = interval(mirrored, eligible)
    return Share(mirrored, eligible, round(100 * mirrored / eligible, 2), low, high)
