"""Runs that stand anywhere, tables merged a column at a time, and the order by time: each against what it replaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector.mirror.groups import in_time, member
from inspector.ragged import Ragged, Spans
from inspector.table import I64, Table

WORDS = st.lists(st.binary(max_size=6), max_size=8)


def words(runs: Spans | Ragged) -> list[bytes]:
    return [runs[i].tobytes() for i in range(len(runs))]


@given(WORDS, WORDS, st.data())
def test_runs_are_what_a_list_is(a: list[bytes], b: list[bytes], data: st.DataObject) -> None:
    both = Spans.concat([Spans.of(Ragged.of(a)), Spans.of(Ragged.of(b))])
    assert words(both) == a + b
    index = data.draw(st.lists(st.integers(0, len(a + b) - 1), max_size=9)) if a + b else []
    taken = both.take(np.array(index, np.int64))
    expected = [(a + b)[i] for i in index]
    assert words(taken) == words(taken.packed()) == words(taken.compact()) == expected
    assert len(taken.compact().values) == sum(map(len, expected))
    assert words(Spans.concat([taken, both])) == expected + a + b
    mask = np.array([i % 2 == 0 for i in range(len(both))], bool)
    assert words(both.take(mask)) == (a + b)[::2]


@dataclass(frozen=True, eq=False)
class Some(Table):
    number: I64
    text: Spans
    name: Ragged


def some(rows: list[tuple[int, bytes]]) -> Some:
    texts = Ragged.of([text for _, text in rows])
    return Some.build(number=[n for n, _ in rows], text=Spans.of(texts), name=texts)


ROWS = st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=4)), max_size=6)


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_merged_is_concat_and_take(parts: list[list[tuple[int, bytes]]]) -> None:
    tables = [some(rows) for rows in parts]
    whole = Some.concat(tables)
    order = np.random.default_rng(len(whole)).permutation(len(whole))
    one, two = Some.merged(tables, order), whole.take(order)
    assert one.number.tolist() == two.number.tolist()
    assert words(one.text) == words(two.text) == words(one.name) == words(two.name)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=40))
def test_the_order_by_time_is_that_of_lexsort(rows: list[tuple[int, int]]) -> None:
    time, rank = (np.array([row[k] for row in rows], np.int64) for k in range(2))
    assert in_time(time, rank).tolist() == np.lexsort((rank, time)).tolist()


@given(
    st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=30),
    st.lists(st.integers(-3, 9), max_size=30),
    st.booleans(),
)
def test_member_is_isin(values: list[int], more: list[int], swapped: bool) -> None:
    a, b = np.array([*values[::2], *more], np.int64), np.array([*values, *more[::3]], np.int64)
    a, b = (b, a) if swapped else (a, b)
    assert member(a, b).tolist() == np.isin(a, b).tolist()
