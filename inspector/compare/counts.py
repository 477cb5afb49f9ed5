"""How all pairs differ: counts of statuses, header fields, bodies and JSON paths, with the mirrors that show them."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from inspector.compare.bodies import BodyDiff
from inspector.compare.json_bodies import path_text
from inspector.compare.pair import FieldDiff, FieldsDiff, PairDifference

EXAMPLES = 5  # mirrors named for each difference
KEYS = 5_000  # kinds of differences of one sort that are told apart; further ones are counted together

K = TypeVar("K", bound=Hashable)


def keep_least(examples: list[int], number: int) -> int:
    """Keep the smallest EXAMPLES numbers; the place that this one would take. Pairs are not counted in order."""
    place = bisect(examples, number)
    examples.insert(place, number)
    del examples[EXAMPLES:]
    return place


@dataclass
class PairCounts:
    """In how many pairs something is the same, differs, or cannot be known. equivalent: of those that differ, equal values."""

    same: int = 0
    differ: int = 0
    unknown: int = 0
    equivalent: int = 0
    examples: list[int] = field(default_factory=list)  # mirrors that differ

    def add(self, number: int, same: bool | None, equivalent: bool = False) -> None:
        """Count one pair."""
        if same is None:
            self.unknown += 1
        elif same:
            self.same += 1
        else:
            self.differ += 1
            self.equivalent += equivalent
            keep_least(self.examples, number)


@dataclass
class DifferenceKind:
    """A kind of difference: in how many pairs, in which (the first of them), and what the very first had."""

    pairs: int = 0
    examples: list[int] = field(default_factory=list)
    original: str | None = None
    mirror: str | None = None


class Kinds(dict[K, DifferenceKind], Generic[K]):
    """Kinds of differences by key. left_out: pairs whose kind was one too many."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out = 0

    def count(self, key: K, number: int, original: str | None, mirror: str | None) -> None:
        """One more pair has this difference. Call it once for a pair and key."""
        seen = self.get(key)
        if seen is None:
            if len(self) >= KEYS:
                self.left_out += 1
                return
            seen = self[key] = DifferenceKind()
        seen.pairs += 1
        if keep_least(seen.examples, number) == 0:
            seen.original, seen.mirror = original, mirror

    def most(self) -> list[tuple[K, DifferenceKind]]:
        """The most frequent first, then those seen first."""
        return sorted(self.items(), key=lambda item: (-item[1].pairs, item[1].examples))


@dataclass
class Differences:
    """All pairs together.

    Keys of the kinds: (original, mirror) statuses; (name, change) of header fields; (name, rule) of those that differ for a
    reason; (path, change) of JSON, array indexes folded to [].
    """

    pairs: int = 0
    status: PairCounts = field(default_factory=PairCounts)
    headers: PairCounts = field(default_factory=PairCounts)
    body: PairCounts = field(default_factory=PairCounts)
    request: PairCounts = field(
        default_factory=PairCounts
    )  # method and target, what a proxy should not change, and the body
    statuses: Kinds[tuple[int, int]] = field(default_factory=Kinds)
    fields: Kinds[tuple[str, str]] = field(default_factory=Kinds)
    expected: Kinds[tuple[str, str]] = field(default_factory=Kinds)
    paths: Kinds[tuple[str, str]] = field(default_factory=Kinds)
    kinds: Kinds[str] = field(default_factory=Kinds)  # of bodies that differ: json, text, binary
    asked: Kinds[tuple[str, str]] = field(default_factory=Kinds)  # what differs in requests and should not
    asked_expected: Kinds[tuple[str, str]] = field(default_factory=Kinds)
    unlisted: int = 0  # changes of JSON documents beyond those that a comparison lists

    def add(self, number: int, d: PairDifference) -> None:
        """Count the pair of mirror `number`."""
        self.pairs += 1
        self.status.add(number, d.status_same)
        if d.status_same is False and d.status[0] is not None and d.status[1] is not None:
            self.statuses.count((d.status[0], d.status[1]), number, None, None)
        self.headers.add(number, d.response_fields.same)
        _count_fields(d.response_fields, number, self.fields, self.expected)
        self.body.add(number, d.response_body.same, d.response_body.equivalent)
        self._add_body(number, d.response_body)
        self._add_request(number, d)

    def _add_body(self, number: int, b: BodyDiff) -> None:
        if b.same is not False:
            return
        self.kinds.count(b.kind, number, None, None)
        self.unlisted += b.more if b.kind == "json" else 0
        told = set()
        for change in b.changes:
            key = (path_text(change.path, fold=True), change.change)
            if key not in told:
                told.add(key)
                self.paths.count(key, number, change.original, change.mirror)

    def _add_request(self, number: int, d: PairDifference) -> None:
        parts = (d.line_same, d.request_fields.same, d.request_body.same)
        self.request.add(number, False if False in parts else None if None in parts else True)
        _count_fields(d.request_fields, number, self.asked, self.asked_expected)
        if d.line_same is False:
            self.asked.count(("method and target", "changed"), number, d.line[0], d.line[1])
        if d.request_body.same is False:
            self.asked.count(("body", "changed"), number, None, None)


def _count_fields(
    d: FieldsDiff, number: int, unexpected: Kinds[tuple[str, str]], expected: Kinds[tuple[str, str]]
) -> None:
    for f in d.unexpected:
        unexpected.count((f.name, change_of(f)), number, _joined(f.original), _joined(f.mirror))
    for f in d.expected:
        expected.count((f.name, f.rule), number, _joined(f.original), _joined(f.mirror))


def change_of(f: FieldDiff) -> str:
    """added, removed or changed."""
    return "added" if f.original is None else "removed" if f.mirror is None else "changed"


def _joined(values: tuple[str, ...] | None) -> str | None:
    return None if values is None else ", ".join(values)
