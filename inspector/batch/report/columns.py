"""The store's rows as a few columns of numbers: what every figure of the report is counted from.

A mirror takes some sixty bytes here, an exchange none (they are counted while they pass). Routes are made of hosts and
servers, which captured text names: how many are told apart is bounded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from inspector.table import I64, Bool

VERDICTS = ("leaked", "unproven", "unanswered", "discarded")  # what alarms first
ANSWERS = ("status", "body", "unknown", "same", "one-sided")  # how original and mirror were answered
STATUS, BODY, UNKNOWN, SAME, ONE_SIDED = range(5)
LEAKED, UNPROVEN, UNANSWERED, DISCARDED = range(4)


@dataclass(frozen=True)
class UnitFigures:
    """A row of `units` with its files. Times in ns, None where not known."""

    number: int
    day: str
    source: str
    key: str
    row: dict[str, Any]
    paths: tuple[str, ...] = ()
    files: tuple[dict[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Its first file, and that there are more."""
        return self.paths[0] if self.paths else self.key

    @property
    def state(self) -> str:
        """read, damaged or failed."""
        return str(self.row["state"])


@dataclass(frozen=True)
class Route:
    """A service route: requests for `asked` (host, or the original's server), copied to `copied` (host or server)."""

    asked: str | None
    copied: str | None
    other: bool = False  # stands for all beyond ROUTES


@dataclass(frozen=True)
class MirrorFigures:
    """Columns, one row a mirror, in order of units. ABSENT where a number is not known."""

    unit: I64
    id: I64
    time: I64  # of the request; the unit's first packet where it is not known
    route: I64
    sender: I64  # place of (proxy, host); -1 beyond SENDERS
    verdict: I64  # place in VERDICTS
    reason: I64  # place in Gathered.reasons
    answer: I64  # place in ANSWERS
    original: I64  # id of the original where its request was captured
    original_status: I64
    mirror_status: I64
    original_duration_ns: I64
    mirror_duration_ns: I64
    lag_ns: I64
    headers: I64  # 1 the same, 0 not, -1 not known

    def __len__(self) -> int:
        return len(self.unit)

    @cached_property
    def failing(self) -> Bool:
        """Leaked, or answered with another status or body."""
        out: Bool = (self.verdict == LEAKED) | (self.answer == STATUS) | (self.answer == BODY)
        return out


@dataclass(frozen=True)
class EligibleCounts:
    """Requests that could have been mirrored, counted by unit, (proxy, host) and slot."""

    unit: I64
    sender: I64
    slot: I64
    count: I64


@dataclass(frozen=True)
class Field:
    """Something that differs: where, in which route, how often, and the first mirrors (rows of Mirrors) that show it."""

    route: int
    part: str
    name: str
    change: str
    pairs: int
    examples: tuple[int, ...]


@dataclass
class ReportColumns:
    """All that the report is counted from."""

    units: list[UnitFigures]
    mirrors: MirrorFigures
    asked: EligibleCounts
    routes: list[Route]
    reasons: list[str]
    legs: Counter[str]
    fields: list[Field]
    since: int | None
    slot: int  # ns
    dropped_fields: int = 0  # differences beyond FIELDS
    cut: int = 0  # mirrors whose list of differences was cut short
    dropped_senders: int = 0  # mirrors beyond SENDERS
    senders: list[tuple[str | None, str | None]] = field(default_factory=list)
