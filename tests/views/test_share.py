"""The interval of the observed share, against sums of the distribution's terms."""

from __future__ import annotations

import pytest
from binomial import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.views.share import interval


def same(k: int, n: int) -> bool:
    return fits(k, n, *interval(k, n), within=0.0051)


def test_all_of_small_counts():
    assert all(same(k, n) for n in range(1, 41) for k in range(n + 1))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_any_count(pair: tuple[int, int]):
    assert same(*pair)


@pytest.mark.parametrize(
    ("k", "n"), [(66_022, 66_028), (1, 10**9), (10**9 - 1, 10**9), (5 * 10**6, 10**7), (10**9, 10**9)]
)
def test_large_counts(k: int, n: int):
    assert same(k, n)


def test_another_interval_does_not_fit():
    assert fits(17, 40, *interval(17, 40), within=0.0051)
    low, high = interval(17, 40)
    assert not fits(17, 40, low + 0.02, high, within=0.0051)
    assert not fits(17, 40, low, high - 0.02, within=0.0051)
