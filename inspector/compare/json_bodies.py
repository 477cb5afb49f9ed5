"""Two JSON documents by path: what was added, removed, changed, moved. Bounded, whatever the documents are."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import SequenceMatcher
from typing import Any

from inspector.compare.text_bodies import CROSSINGS, crossings, first_difference
from inspector.views.cache import Memo

KEPT = 500  # changes that are listed; the rest is counted
VALUE_ROOM = 400  # characters of a value that are shown
ALIGNED = 2_000  # elements of arrays that are matched with one another; longer ones are compared by index
LONGEST_NUMBER = 400  # digits that are compared as a number
DEEPEST = 40  # levels of a value that are shown

Step = str | int | tuple[str, int]  # a key, an index, a key that is there several times (and which time it is)
Path = tuple[Step, ...]

ADDED, REMOVED, CHANGED, TYPE, NOTATION, ORDER = "added", "removed", "changed", "type", "notation", "order"

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Number(str):
    """A JSON number as written: `1`, `1.0` and `1e0` are three."""

    __slots__ = ()


class TooMuch(Exception):
    """The document is nested too deep."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: added, removed, changed, type (of another type), notation (the same number, written differently) or order.

    original, mirror: the values as JSON text, shortened; None where there is none.
    """

    path: Path
    change: str
    original: str | None
    mirror: str | None


def parse(text: str) -> Any:
    """A document with numbers as written and keys that are there several times kept apart. Raises ValueError, TooMuch."""
    try:
        return json.loads(
            text.removeprefix("\ufeff"),
            parse_int=Number,
            parse_float=Number,
            parse_constant=Number,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise TooMuch from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str | tuple[str, int], Any]:
    out: dict[str | tuple[str, int], Any] = dict(pairs)
    if len(out) < len(pairs):
        out = {}
        times: Counter[str] = Counter()
        for key, value in pairs:
            times[key] += 1
            out[key if times[key] == 1 else (key, times[key])] = value
    return out


def diff_json(a: Any, b: Any) -> tuple[tuple[Change, ...], int]:
    """The changes from `a` to `b` (as `parse` gives them) in document order, at most KEPT, and how many more there are.

    Raises TooMuch.
    """
    try:
        kept: list[Change] = []
        more = 0
        for change in _Walk().changes(a, b):
            if len(kept) < KEPT:
                kept.append(change)
            else:
                more += 1
        return tuple(kept), more
    except RecursionError:
        raise TooMuch from None


class _Walk:
    """Marks are numbers that are equal where values are: subtrees are compared at once, arrays are aligned by them."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._marks: dict[int, int] = {}

    def mark(self, value: Any) -> int:
        """The mark of a value. A container must outlive the walk: its mark is remembered by its id."""
        if isinstance(value, dict):
            known = self._marks.get(id(value))
            if known is None:
                items = []
                for key, item in value.items():
                    items.append((key, self.mark(item)))
                known = self._marks[id(value)] = self._number(("{", frozenset(items)))
            return known
        if isinstance(value, list):
            known = self._marks.get(id(value))
            if known is None:
                elements = []
                for item in value:
                    elements.append(self.mark(item))
                known = self._marks[id(value)] = self._number(("[", tuple(elements)))
            return known
        return self._number((type(value), value))

    def _number(self, key: Any) -> int:
        return self._numbers.setdefault(key, len(self._numbers))

    def changes(self, a: Any, b: Any) -> Iterator[Change]:
        """What differs, in document order."""
        stack: list[tuple[Path, Any, Any]] = [((), a, b)]
        while stack:
            path, mine, other = stack.pop()
            if mine is _NOTHING:
                yield Change(path, ADDED, None, literal(other))
            elif other is _NOTHING:
                yield Change(path, REMOVED, literal(mine), None)
            elif self.mark(mine) == self.mark(other):
                continue
            elif isinstance(mine, dict) and isinstance(other, dict):
                keys = dict.fromkeys((*mine, *other))
                stack += [((*path, k), mine.get(k, _NOTHING), other.get(k, _NOTHING)) for k in reversed(keys)]
            elif isinstance(mine, list) and isinstance(other, list):
                marks, others = [self.mark(x) for x in mine], [self.mark(x) for x in other]
                if len(marks) > 1 and Counter(marks) == Counter(others):
                    yield Change(path, ORDER, literal(mine), literal(other))
                else:
                    pairs = list(_aligned(marks, others))
                    stack += [
                        (
                            (*path, i if i is not None else j if j is not None else 0),
                            _NOTHING if i is None else mine[i],
                            _NOTHING if j is None else other[j],
                        )
                        for i, j in reversed(pairs)
                    ]
            else:
                yield _scalar(path, mine, other)


_NOTHING = object()


def _aligned(a: list[int], b: list[int]) -> Iterator[tuple[int | None, int | None]]:
    """Elements that are compared with one another, by index; None for those that stand alone. Equal ones are left out."""
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    ours, theirs = a[head : len(a) - tail], b[head : len(b) - tail]
    blocks = [("replace", 0, len(ours), 0, len(theirs))]
    if len(ours) != len(theirs) or not set(ours).isdisjoint(theirs):
        small = len(ours) <= ALIGNED and len(theirs) <= ALIGNED and crossings(ours, theirs) <= CROSSINGS
        if small:
            blocks = [*SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()]
    for what, i, i_end, j, j_end in blocks:
        if what == "equal":
            continue
        both = min(i_end - i, j_end - j)
        yield from ((head + i + k, head + j + k) for k in range(both))
        yield from ((head + k, None) for k in range(i + both, i_end))
        yield from ((None, head + k) for k in range(j + both, j_end))


def _scalar(path: Path, a: Any, b: Any) -> Change:
    """Values of which one at least is no container, or containers of two types."""
    change = CHANGED
    if type(a) is not type(b):
        change = TYPE
    elif isinstance(a, Number) and _same_number(a, b):
        change = NOTATION
    mine, other = literal(a), literal(b)
    if isinstance(a, str) and isinstance(b, str) and max(len(a), len(b)) > VALUE_ROOM:
        mine, other = window(a, b)
    return Change(path, change, mine, other)


def _same_number(a: str, b: str) -> bool:
    if max(len(a), len(b)) > LONGEST_NUMBER:
        return False
    try:
        return Decimal(a) == Decimal(b)
    except InvalidOperation:
        return False


def window(a: str, b: str) -> tuple[str, str]:
    """Two long strings from a little before their first difference on."""
    start = max(first_difference(a, b) - VALUE_ROOM // 4, 0)
    lead = "…" if start else ""
    one, two = (_quoted(s, start) for s in (a, b))
    ends = ["…" if len(s) > start + VALUE_ROOM else "" for s in (a, b)]
    return lead + one + ends[0], lead + two + ends[1]


def _quoted(value: str, start: int) -> str:
    part = value[start : start + VALUE_ROOM]
    return part if isinstance(value, Number) else json.dumps(part, ensure_ascii=False)


def literal(value: Any) -> str:
    """A value as JSON text, at most about VALUE_ROOM characters; what was left out is an ellipsis."""
    out: list[str] = []
    room = VALUE_ROOM
    for piece in _pieces(value, 0):
        if len(piece) > room:
            out.append(piece[:room] + "…")
            break
        out.append(piece)
        room -= len(piece)
    return "".join(out)


def _pieces(value: Any, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        yield "…"
    elif isinstance(value, dict):
        yield "{"
        for n, (key, item) in enumerate(value.items()):
            name = key if isinstance(key, str) else key[0]
            yield (", " if n else "") + json.dumps(name[:VALUE_ROOM], ensure_ascii=False) + ": "
            yield from _pieces(item, depth + 1)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for n, item in enumerate(value):
            if n:
                yield ", "
            yield from _pieces(item, depth + 1)
        yield "]"
    elif isinstance(value, Number):
        yield str(value)
    elif isinstance(value, str):
        yield json.dumps(value[: VALUE_ROOM + 1], ensure_ascii=False)
    else:
        yield {None: "null", True: "true", False: "false"}[value]


def path_text(path: Path, fold: bool = False) -> str:
    """`$.items[3].name`; with `fold` `$.items[].name`. A key that is not a plain name is quoted, a repeated one numbered."""
    out = ["$"]
    for step in path:
        if isinstance(step, int):
            out.append("[]" if fold else f"[{step}]")
            continue
        key, time = (step, 1) if isinstance(step, str) else step
        out.append(_KEYS[key])
        if time > 1:
            out.append(f"(again, {time})")
    return "".join(out)


def _key_text(key: str) -> str:
    plain = len(key) <= 80 and _PLAIN_KEY.fullmatch(key)
    return f".{key}" if plain else f"[{json.dumps(cut_key(key), ensure_ascii=False)}]"


_KEYS = Memo(_key_text)


def cut_key(key: str) -> str:
    """A key that may be shown."""
    return key if len(key) <= 80 else key[:79] + "…"
