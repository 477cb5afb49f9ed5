"""Two texts line by line, as rows that stand side by side. Bounded: hostile texts make difference algorithms slow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

ALIGNED = 4_000  # lines on each side that are matched with one another; more are compared by number
CROSSINGS = 200_000  # pairs of equal lines, at most, for the same reason
CONTEXT = 2  # equal lines shown around different ones
KEPT = 400  # rows
LINE_ROOM = 300  # characters of a line


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A row: line numbers from 1 and texts, None where a side has no such line. same: both are equal (shown as context)."""

    original_number: int | None
    mirror_number: int | None
    original: str | None
    mirror: str | None
    same: bool


def crossings(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """How many pairs of equal elements there are: what the matching's time grows with."""
    counts = Counter(b)
    return sum(n * counts[x] for x, n in Counter(a).items())


def diff_text(a: str, b: str) -> tuple[tuple[DiffLine, ...], int]:
    """Rows that differ with some context, at most KEPT, and how many further ones differ."""
    ours, theirs = a.split("\n"), b.split("\n")
    if ours[-1] == theirs[-1] == "":  # what ends with a line end has no line after it
        ours, theirs = ours[:-1], theirs[:-1]
    rows: list[DiffLine] = []
    more = 0
    for what, i, i_end, j, j_end in _blocks(ours, theirs):
        if what == "equal":
            if len(rows) < KEPT:
                rows += [
                    DiffLine(i + k + 1, j + k + 1, _cut(ours[i + k]), _cut(theirs[j + k]), True)
                    for k in range(i_end - i)
                ]
            continue
        for k in range(max(i_end - i, j_end - j)):
            if len(rows) >= KEPT:
                more += 1
                continue
            x = i + k if i + k < i_end else None
            y = j + k if j + k < j_end else None
            rows.append(_row(ours, theirs, x, y))
    return tuple(rows), more


def _row(ours: list[str], theirs: list[str], x: int | None, y: int | None) -> DiffLine:
    mine, other = None if x is None else ours[x], None if y is None else theirs[y]
    if mine is not None and other is not None:
        mine, other = window(mine, other)
    else:
        mine, other = mine and _cut(mine), other and _cut(other)
    return DiffLine(None if x is None else x + 1, None if y is None else y + 1, mine, other, False)


def _blocks(a: list[str], b: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Blocks of lines as difflib's opcodes, of equal ones only the context of others."""
    head = 0
    least = min(len(a), len(b))
    while head < least and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < least - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    a_end, b_end = len(a) - tail, len(b) - tail
    ours, theirs = a[head:a_end], b[head:b_end]
    yield "equal", max(head - CONTEXT, 0), head, max(head - CONTEXT, 0), head
    if len(ours) <= ALIGNED and len(theirs) <= ALIGNED and crossings(ours, theirs) <= CROSSINGS:
        matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
        for what, i, i_end, j, j_end in matcher.get_opcodes():
            if what == "equal" and i_end - i > 2 * CONTEXT:
                yield "equal", head + i, head + i + CONTEXT, head + j, head + j + CONTEXT
                yield "equal", head + i_end - CONTEXT, head + i_end, head + j_end - CONTEXT, head + j_end
            else:
                yield what, head + i, head + i_end, head + j, head + j_end
    else:
        yield "replace", head, a_end, head, b_end
    yield "equal", a_end, min(a_end + CONTEXT, len(a)), b_end, min(b_end + CONTEXT, len(b))


def window(a: str, b: str) -> tuple[str, str]:
    """Two lines; long ones from a little before their first difference on."""
    if len(a) <= LINE_ROOM and len(b) <= LINE_ROOM:
        return a, b
    at = first_difference(a, b)
    start = max(at - LINE_ROOM // 4, 0)
    lead = "…" if start else ""
    return lead + _cut(a[start:]), lead + _cut(b[start:])


def first_difference(a: str | bytes, b: str | bytes) -> int:
    """The index of the first element that differs; the shorter one's length where it is the start of the other."""
    low, high = 0, min(len(a), len(b))
    while low < high:  # halving: each step compares at C speed
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _cut(line: str) -> str:
    return line if len(line) <= LINE_ROOM else line[:LINE_ROOM] + "…"
