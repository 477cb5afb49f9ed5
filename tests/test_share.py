"""The interval of the observed share, against scipy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaincinv

from inspector.mirror.share import interval


def exact(k: int, n: int) -> tuple[float, float]:
    low = 0.0 if k == 0 else 100 * betaincinv(k, n - k + 1, 0.025)
    high = 100.0 if k == n else 100 * betaincinv(k + 1, n - k, 0.975)
    return low, high


def same(k: int, n: int) -> bool:
    return interval(k, n) == pytest.approx(exact(k, n), abs=0.0051)


def test_all_of_small_counts():
    assert all(same(k, n) for n in range(1, 41) for k in range(n + 1))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_any_count(pair: tuple[int, int]):
    assert same(*pair)


@pytest.mark.parametrize(
    ("k", "n"), [(66_022, 66_028), (1, 10**9), (10**9 - 1, 10**9), (5 * 10**8, 10**9), (10**9, 10**9)]
)
def test_large_counts(k: int, n: int):
    assert same(k, n)
