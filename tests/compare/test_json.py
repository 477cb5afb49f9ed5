"""JSON by path: against dull comparisons, and with documents that want to do harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import steps

from inspector.compare import json_bodies
from inspector.compare.json_bodies import KEPT, VALUE_ROOM, Change, TooMuch, diff_json, literal, parse, path_text


def diff(a: str, b: str) -> list[tuple[str, str, str | None, str | None]]:
    changes, more = diff_json(parse(a), parse(b))
    assert more == 0
    return [(path_text(c.path), c.change, c.original, c.mirror) for c in changes]


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        ('{"a":1}', '{ "a" : 1 }', []),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', []),
        ('{"a":1}', '{"a":2}', [("$.a", "changed", "1", "2")]),
        ('{"a":1}', '{"a":"1"}', [("$.a", "type", "1", '"1"')]),
        ('{"a":1}', '{"a":true}', [("$.a", "type", "1", "true")]),
        ('{"a":null}', "{}", [("$.a", "removed", "null", None)]),
        ("{}", '{"a":{"b":[1]}}', [("$.a", "added", None, '{"b": [1]}')]),
        ('{"a":1}', '{"a":1.0}', [("$.a", "notation", "1", "1.0")]),
        ('{"a":1e2}', '{"a":100}', [("$.a", "notation", "1e2", "100")]),
        ('{"a":0.1}', '{"a":0.10000000000000000001}', [("$.a", "changed", "0.1", "0.10000000000000000001")]),
        ('{"a":NaN}', '{"a":NaN}', []),
        ("[1,2,3]", "[0,1,2,3]", [("$[0]", "added", None, "0")]),
        ("[1,2,3,4]", "[1,3,4]", [("$[1]", "removed", "2", None)]),
        ("[1,2]", "[2,1]", [("$", "order", "[1, 2]", "[2, 1]")]),
        ("[1,2,3]", "[1,9,3]", [("$[1]", "changed", "2", "9")]),
        ('[{"a":1},{"a":2}]', '[{"a":1,"x":0},{"a":2,"x":0}]', [("$[0].x", "added", None, "0"), ("$[1].x", "added", None, "0")]),
        ('{"a":{"b":1}}', '{"a":[1]}', [("$.a", "type", '{"b": 1}', "[1]")]),
        ('{"a":1,"a":2}', '{"a":1}', [("$.a(again, 2)", "removed", "2", None)]),
        ('{"a b":{"":1}}', '{"a b":{"":2}}', [('$["a b"][""]', "changed", "1", "2")]),
        ('"x"', '"y"', [("$", "changed", '"x"', '"y"')]),
        ("\ufeff{}", "{}", []),
    ],
)  # fmt: skip
def test_changes(a: str, b: str, want: list[tuple[str, str, str | None, str | None]]) -> None:
    assert diff(a, b) == want


def test_indexes_fold() -> None:
    assert path_text(("a", 3, "b c", 0), fold=True) == '$.a[]["b c"][]'
    assert path_text(("a", 3)) == "$.a[3]"
    assert len(path_text(("x" * 5000,))) < 100


def test_long_values_are_shown_where_they_differ() -> None:
    a, b = "x" * 5000 + "1" + "y" * 500, "x" * 5000 + "2" + "y" * 500
    ((_, _, one, two),) = diff(json.dumps(a), json.dumps(b))
    assert one is not None
    assert two is not None
    assert one.startswith('…"x')
    assert "1" in one
    assert "2" in two
    assert max(len(one), len(two)) < VALUE_ROOM + 10
    ((_, _, one, two),) = diff("9" * 6000, "9" * 5999 + "8")
    assert two is not None
    assert two.startswith("…9")
    assert two.endswith("8")
    assert len(literal(parse(json.dumps(["a" * 50] * 1000)))) < VALUE_ROOM + 10


def test_many_changes_are_counted() -> None:
    changes, more = diff_json(parse(json.dumps(list(range(9000)))), parse(json.dumps([-n - 1 for n in range(9000)])))
    assert len(changes) == KEPT
    assert len(changes) + more == 9000


def test_depth_is_bounded() -> None:
    with pytest.raises(TooMuch):
        parse("[" * 100_000 + "]" * 100_000)
    deep = "[" * 300 + "1" + "]" * 300
    try:
        ((path, change, _, _),) = diff(deep, deep.replace("1", "2"))
        assert (path.count("[0]"), change) == (300, "changed")
    except TooMuch:  # where the stack is nearly used up
        pass


@pytest.mark.parametrize(
    "make",
    [
        lambda n: [n % 2] * 3000,
        lambda n: [[k % 7, n] for k in range(3000)],
        lambda n: list(range(n, 20_000 + n)),
        lambda n: {str(k): [n, k] for k in range(20_000)},
        lambda n: [{"a": [k, {"b": [k] * 10}]} for k in range(n, 2000 + n)],
    ],
)
def test_hostile_documents_are_compared_with_bounded_work(make: Any) -> None:
    a, b = (parse(json.dumps(make(n))) for n in (0, 1))
    assert steps(lambda: diff_json(a, b)) < 8_000_000


keys = st.sampled_from(["a", "b", "c", "long name", ""])
leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "1", "x", "\ud800"]) | st.just(1.5)
documents = st.recursive(
    leaves, lambda d: st.lists(d, max_size=4) | st.dictionaries(keys, d, max_size=4), max_leaves=15
)
objects = st.recursive(leaves, lambda d: st.dictionaries(keys, d, max_size=4), max_leaves=15)


def flat(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Leaves and empty objects by path; every object is named too."""
    if not isinstance(value, dict):
        return {path: (type(value), value)}
    out: dict[tuple[str, ...], Any] = {path: dict}
    for key, item in value.items():
        out |= flat(item, (*path, key))
    return out


@given(objects, objects)
def test_objects_against_flat_maps(a: Any, b: Any) -> None:
    changes, _ = diff_json(parse(json.dumps(a)), parse(json.dumps(b)))
    ours, theirs = flat(a), flat(b)
    differ = {path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path)}
    top = {path for path in differ if not any(path[:n] in differ for n in range(len(path)))}
    assert {c.path for c in changes} == top
    for c in changes:
        assert (c.change == "added") == (c.path not in ours)
        assert (c.change == "removed") == (c.path not in theirs)


@given(documents, documents)
def test_a_difference_is_found_exactly_where_there_is_one(a: Any, b: Any) -> None:
    one, two = json.dumps(a, sort_keys=True), json.dumps(b, sort_keys=True)
    forth, _ = diff_json(parse(one), parse(two))
    back, _ = diff_json(parse(two), parse(one))
    # How the items of arrays are matched may depend on the direction: [null, [], []] and [[], null].
    assert bool(forth) == bool(back) == (one != two)
    if "[" not in one + two:
        mirrored = {"added": "removed", "removed": "added"}
        assert sorted(c.change for c in forth) == sorted(mirrored.get(c.change, c.change) for c in back)


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_arrays_are_explained(a: list[int], b: list[int]) -> None:
    """Taking out what was removed and changed, and putting in what was added and changed, makes one of the other."""
    changes, _ = diff_json(parse(json.dumps(a)), parse(json.dumps(b)))
    if [c.change for c in changes] == ["order"]:
        assert sorted(a) == sorted(b)
        return
    gone = [c.path[0] for c in changes if c.change in ("removed", "changed")]
    left = [x for i, x in enumerate(a) if i not in gone]
    new = [c.mirror for c in changes if c.change in ("added", "changed")]
    assert sorted([*map(str, left), *[n for n in new if n is not None]]) == sorted(map(str, b))


def test_parse_says_what_is_no_json() -> None:
    for text in ("", "{", "{'a':1}", "[1,]", "tru", "1 2"):
        with pytest.raises(ValueError):
            parse(text)
    assert isinstance(parse("1"), json_bodies.Number)
    assert Change(("a",), "added", None, "1").path == ("a",)
