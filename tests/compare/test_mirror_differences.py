"""Counts over all pairs: against counting by hand, and bounded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.compare import counts
from inspector.compare.bodies import Bodies
from inspector.compare.counts import EXAMPLES, Differences, Kinds, keep_least
from inspector.compare.pair import Setting, compare
from inspector.http.content import CapturedMessage, Content
from inspector.redact import Redactor

SETTING = Setting(Bodies(Redactor(keep=True)))


def content(status: int, body: object, server: str = "a") -> Content:
    fields = ((b"content-type", b"application/json"), (b"server", server.encode()))
    return Content(
        CapturedMessage(b"GET / HTTP/1.1", (), b""),
        CapturedMessage(b"HTTP/1.1 %d OK" % status, fields, json.dumps(body).encode()),
    )


def count(*pairs: tuple[Content | None, Content | None]) -> Differences:
    ds = Differences()
    for number, (a, b) in enumerate(pairs, 1):
        ds.add(number, compare(a, b, SETTING))
    return ds


def test_counts() -> None:
    items = [{"a": 1}, {"a": 2}]
    ds = count(
        (content(200, items), content(200, items)),
        (content(200, items), content(500, {"error": "x"})),
        (content(200, items), content(200, [{"a": 1, "b": 0}, {"a": 2, "b": 0}], "b")),
        (content(200, items), Content(CapturedMessage(b"GET / HTTP/1.1", (), b""), None)),
        (None, content(200, items)),
    )
    assert (ds.pairs, ds.status.same, ds.status.differ, ds.status.unknown) == (5, 2, 1, 2)
    assert (ds.body.same, ds.body.differ, ds.body.unknown, ds.body.examples) == (1, 2, 2, [2, 3])
    assert (ds.headers.same, ds.headers.differ, ds.headers.unknown) == (2, 1, 2)
    assert (ds.request.same, ds.request.differ, ds.request.unknown) == (4, 0, 1)
    assert {key: seen.pairs for key, seen in ds.statuses.items()} == {(200, 500): 1}
    assert {key: seen.pairs for key, seen in ds.paths.items()} == {("$", "type"): 1, ("$[].b", "added"): 1}
    ((key, seen),) = ds.fields.items()
    assert (key, seen.examples, seen.original, seen.mirror) == (("server", "changed"), [3], "a", "b")


def test_kinds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "KEYS", 3)
    kinds: Kinds[int] = Kinds()
    for n in range(10):
        kinds.count(n, n, None, None)
    kinds.count(0, 10, None, None)
    assert (len(kinds), kinds.left_out) == (3, 7)
    assert kinds.most()[0] == (0, kinds[0])
    assert kinds[0].pairs == 2


@given(st.permutations(range(1, 9)))
def test_the_order_in_which_pairs_are_counted_does_not_matter(order: list[int]) -> None:
    kinds: Kinds[str] = Kinds()
    for n in order:
        kinds.count("x", n, f"original {n}", f"mirror {n}")
    seen = kinds["x"]
    assert seen.examples == list(range(1, EXAMPLES + 1))
    assert (seen.original, seen.mirror) == ("original 1", "mirror 1")


@given(st.lists(st.integers(0, 99), unique=True))
def test_names_are_the_smallest(numbers: list[int]) -> None:
    kept: list[int] = []
    for n in numbers:
        keep_least(kept, n)
    assert kept == sorted(numbers)[:EXAMPLES]
