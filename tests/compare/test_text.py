"""Text by line: rows explain one text from the other, whatever the texts are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import steps

from inspector.compare.text_bodies import CONTEXT, KEPT, LINE_ROOM, DiffLine, crossings, diff_text, first_difference

lines = st.lists(st.sampled_from(["", "a", "b", "c", "d"]), max_size=14)


@given(lines, lines)
def test_the_rows_explain_the_texts(a: list[str], b: list[str]) -> None:
    rows, more = diff_text("\n".join(a), "\n".join(b))
    assert more == 0
    ours, theirs = "\n".join(a).split("\n"), "\n".join(b).split("\n")
    if ours[-1] == theirs[-1] == "":
        ours, theirs = ours[:-1], theirs[:-1]
    for r in rows:
        assert r.original_number is None or ours[r.original_number - 1] == r.original
        assert r.mirror_number is None or theirs[r.mirror_number - 1] == r.mirror
        assert not r.same or r.original == r.mirror
    gone = {r.original_number for r in rows if not r.same}
    new = {r.mirror_number for r in rows if not r.same}
    kept = [x for n, x in enumerate(ours, 1) if n not in gone]
    assert kept == [x for n, x in enumerate(theirs, 1) if n not in new]
    assert (not any(not r.same for r in rows)) == (ours == theirs)
    for numbers in ([r.original_number for r in rows], [r.mirror_number for r in rows]):
        known = [n for n in numbers if n is not None]
        assert known == sorted(set(known))


def test_context_stands_around_differences() -> None:
    a = "\n".join(map(str, range(40)))
    rows, _ = diff_text(a, a.replace("20", "x"))
    assert [r.original_number for r in rows] == [19, 20, 21, 22, 23]
    assert [r for r in rows if not r.same] == [DiffLine(21, 21, "20", "x", False)]
    assert CONTEXT == 2


def test_a_missing_line_end_is_a_difference() -> None:
    rows, _ = diff_text("a\nb\n", "a\nb")
    assert [(r.original, r.mirror) for r in rows if not r.same] == [("", None)]
    rows, _ = diff_text("a\r\nb", "a\nb")
    assert [(r.original, r.mirror) for r in rows if not r.same] == [("a\r", "a")]


def test_long_lines_are_shown_where_they_differ() -> None:
    rows, _ = diff_text("x" * 5000 + "1" + "z" * 500, "x" * 5000 + "2" + "z" * 500)
    (row,) = rows
    assert row.original is not None
    assert row.mirror is not None
    assert row.original.startswith("…x")
    assert "1" in row.original
    assert "2" in row.mirror
    assert len(row.original) < LINE_ROOM + 5


def test_many_rows_are_counted() -> None:
    rows, more = diff_text("\n".join(f"a{n}" for n in range(1000)), "\n".join(f"b{n}" for n in range(1000)))
    assert len(rows) == KEPT
    assert len(rows) + more == 1000


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a\n" * 100_000, "a\n" * 99_999 + "b"),
        ("\n".join("ab"[n % 2] for n in range(4000)), "\n".join("ba"[n % 3 % 2] for n in range(4000))),
        ("\n".join(map(str, range(50_000))), "\n".join(map(str, range(50_000, 0, -1)))),
        ("x" * 1_000_000, "x" * 999_999 + "y"),
    ],
)
def test_hostile_texts_are_compared_with_bounded_work(a: str, b: str) -> None:
    assert steps(lambda: diff_text(a, b)) < 3_000_000


@given(st.text("ab", max_size=20), st.text("ab", max_size=20))
def test_first_difference(a: str, b: str) -> None:
    want = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    assert first_difference(a, b) == want
    assert first_difference(a.encode(), b.encode()) == want


@given(lines, lines)
def test_crossings(a: list[str], b: list[str]) -> None:
    assert crossings(a, b) == sum(x == y for x in a for y in b)
