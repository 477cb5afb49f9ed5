"""Counts, shares and quantiles of groups of mirrors: by route, by day, by unit, over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspector.batch.report.columns import ANSWERS, UNPROVEN, VERDICTS, MirrorFigures, ReportColumns
from inspector.batch.report.scan import ABSENT, DAY
from inspector.table import I64, Bool
from inspector.views.objects import Share
from inspector.views.share import share

LEVELS = (0.5, 0.9, 0.99, 1.0)  # p50, p90, p99, the most


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of n values: three quantiles and the most, each a value that was seen (inverted CDF), ns."""

    n: int
    p50: int
    p90: int
    p99: int
    most: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What is reported of a group of mirrors. Durations are of pairs in which both were measured."""

    mirrors: int
    verdicts: dict[str, int]  # every word of VERDICTS
    reasons: dict[str, int]  # of the unproven, those that occur
    answers: dict[str, int]  # every word of ANSWERS
    share: Share
    failing: int  # leaked, or answered with another status or body
    lag: Quantiles | None
    original: Quantiles | None
    mirror: Quantiles | None

    @property
    def compared(self) -> int:
        """Pairs in which both sides were answered."""
        return self.mirrors - self.answers["one-sided"]

    @property
    def differing(self) -> int:
        """Pairs that were answered with another status or another body."""
        return self.answers["status"] + self.answers["body"]

    @property
    def worst(self) -> str:
        """The verdict that alarms most; "" without a mirror."""
        return next((word for word in VERDICTS if self.verdicts[word]), "")


@dataclass(frozen=True)
class Requests:
    """Requests that could have been mirrored (`count` of them), each line once for every route that they belong to."""

    route: I64
    unit: I64
    day: I64
    slot: I64
    count: I64


class Grouping:
    """Figures by group, over the same mirrors again and again."""

    def __init__(self, g: ReportColumns) -> None:
        self.g = g
        m = g.mirrors
        self.day = np.where(m.time == ABSENT, ABSENT, m.time // DAY)
        self.slot = np.where(m.time == ABSENT, ABSENT, m.time // g.slot)
        known = (m.original != ABSENT) & (m.sender >= 0)
        self.once = _first(m, known, None)  # originals, each counted once
        self.once_in_route = _first(m, known, m.route)
        both = (m.original_duration_ns != ABSENT) & (m.mirror_duration_ns != ABSENT)
        self._sorted = [
            _sorted(values, mask)
            for values, mask in (
                (m.lag_ns, m.lag_ns != ABSENT),
                (m.original_duration_ns, both),
                (m.mirror_duration_ns, both),
            )
        ]
        self.asked = self._requests()
        self.asked_in_route = self._by_route()

    def _requests(self) -> Requests:
        a = self.g.asked
        day, slot = self._moments(a.slot)
        return Requests(np.zeros(len(a.unit), np.int64), a.unit, day, slot, a.count)

    def _moments(self, place: I64) -> tuple[I64, I64]:
        size = min(self.g.slot, DAY)
        return place * size // DAY, place * size // self.g.slot

    def _by_route(self) -> Requests:
        a, m = self.g.asked, self.g.mirrors
        senders = len(self.g.senders) + 1
        known = m.sender >= 0
        pairs = np.unique(m.route[known].astype(np.int64) * senders + m.sender[known])
        order = np.argsort(a.sender, kind="stable")
        begin = np.searchsorted(a.sender[order], pairs % senders, "left")
        end = np.searchsorted(a.sender[order], pairs % senders, "right")
        size = end - begin
        ends = np.cumsum(size)
        rows = order[np.arange(int(size.sum())) - np.repeat(ends - size, size) + np.repeat(begin, size)]
        route = np.repeat(pairs // senders, size)
        kept = self._concerns(route, rows)
        rows, route = rows[kept], route[kept]
        day, slot = self._moments(a.slot[rows])
        return Requests(route, a.unit[rows], day, slot, a.count[rows])

    def _concerns(self, route: I64, rows: I64) -> Bool:
        """Which requests (rows of Asked) count for the route beside them: not those of a capture in which the same proxy
        had copies of the same host's requests sent by other routes only."""
        a, m = self.g.asked, self.g.mirrors
        units = max(int(x.max(initial=0)) for x in (a.unit, m.unit)) + 1
        known = m.sender >= 0
        here = m.sender[known].astype(np.int64) * units + m.unit[known]
        mine = here * len(self.g.routes) + m.route[known]
        asked = a.sender[rows] * units + a.unit[rows]
        out: Bool = np.isin(asked * len(self.g.routes) + route, mine) | ~np.isin(asked, here)
        return out

    def figures(self, group: I64, count: int, asked: I64, mirrored: Bool, of: Requests) -> list[Figures]:
        """Figures of `count` groups. group: (mirrors,) its number by mirror, -1 for none; asked: the same by line of `of`;
        mirrored: which mirrors stand for an original of theirs."""
        m, reasons = self.g.mirrors, self.g.reasons
        kept = group >= 0
        inside = group[kept].astype(np.int64)
        verdicts = _table(inside, count, m.verdict[kept], len(VERDICTS))
        answers = _table(inside, count, m.answer[kept], len(ANSWERS))
        unproven = kept & (m.verdict == UNPROVEN)
        why = _table(group[unproven].astype(np.int64), count, m.reason[unproven], max(len(reasons), 1))
        eligible = np.bincount(asked[asked >= 0], weights=of.count[asked >= 0], minlength=count).astype(np.int64)
        copied = np.bincount(group[kept & mirrored], minlength=count)
        failing = np.bincount(group[kept & m.failing], minlength=count)
        values = [_quantiles(rows, value, group, count) for rows, value in self._sorted]
        out = []
        for i in range(count):
            out.append(
                Figures(
                    mirrors=int(verdicts[i].sum()),
                    verdicts=dict(zip(VERDICTS, verdicts[i].tolist(), strict=True)),
                    reasons={reasons[j]: int(why[i, j]) for j in np.flatnonzero(why[i]).tolist()},
                    answers=dict(zip(ANSWERS, answers[i].tolist(), strict=True)),
                    share=share(int(copied[i]), int(max(eligible[i], copied[i]))),
                    failing=int(failing[i]),
                    lag=values[0][i],
                    original=values[1][i],
                    mirror=values[2][i],
                )
            )
        return out

    def total(self) -> Figures:
        """Of all."""
        nothing = np.zeros(len(self.g.mirrors), np.int64)
        return self.figures(nothing, 1, self.asked.route, self.once, self.asked)[0]

    def by_route(self) -> list[Figures]:
        """By number of the route."""
        r = self.asked_in_route
        return self.figures(self.g.mirrors.route, len(self.g.routes), r.route, self.once_in_route, r)

    def by(self, keys: I64, mine: I64, asked: I64) -> list[Figures]:
        """By place in `keys` (sorted): mine and asked hold a key by mirror and by line of requests."""
        return self.figures(placed(keys, mine), len(keys), placed(keys, asked), self.once, self.asked)

    def cells(
        self, mine: I64, asked: I64, most: int, routes: Sequence[int] | None = None
    ) -> tuple[list[tuple[int, int]], list[Figures], int]:
        """By route and moment (mine: by mirror, asked: by line of requests): (route, moment), their figures, and how
        many are left out, the earliest, since there are more than `most`. routes: these only."""
        r, m = self.asked_in_route, self.g.mirrors
        moments = np.unique(np.concatenate([mine, asked]))
        span = max(len(self.g.routes), 1)
        mine = np.searchsorted(moments, mine) * span + m.route
        asked = np.searchsorted(moments, asked) * span + r.route
        if routes is not None:
            mine = np.where(np.isin(m.route, routes), mine, -1)
            asked = np.where(np.isin(r.route, routes), asked, -1)
        keys = np.unique(np.concatenate([mine, asked]))
        keys = keys[keys >= 0]
        left, keys = max(len(keys) - most, 0), keys[-most:]
        found = self.figures(placed(keys, mine), len(keys), placed(keys, asked), self.once_in_route, r)
        return [(k % span, int(moments[k // span])) for k in keys.tolist()], found, left


def placed(keys: I64, values: I64) -> I64:
    """The place of each value in sorted `keys`, -1 where it is not among them."""
    if not len(keys):
        return np.full(len(values), -1, np.int64)
    at = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[at] == values, at, -1)


def ranks(group: I64) -> I64:
    """(n,) how many earlier rows have the same group."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    new = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1)) if len(group) else np.empty(0, np.int64)
    out = np.empty(len(group), np.int64)
    out[order] = np.arange(len(group)) - np.repeat(new, np.diff(np.append(new, len(group))))
    return out


def spread(rows: I64, keys: Sequence[I64], most: int) -> I64:
    """`most` of the rows, as many of each group as possible: the first of each, then the second of each, ...

    keys: columns over `rows` that make a group.
    """
    if not len(rows):
        return rows
    _values, group = np.unique(np.stack([k.astype(np.int64) for k in keys]), axis=1, return_inverse=True)
    out: I64 = rows[np.argsort(ranks(group.reshape(-1)), kind="stable")][:most]
    return out


def _first(m: MirrorFigures, known: Bool, route: I64 | None) -> Bool:
    """Which mirrors are the first of their original (in their route)."""
    out = np.zeros(len(m), bool)
    rows = np.flatnonzero(known)
    if not len(rows):
        return out
    columns = [m.unit[rows].astype(np.int64), m.original[rows]]
    if route is not None:
        columns.append(route[rows].astype(np.int64))
    order = np.lexsort(columns)
    new = np.ones(len(rows), bool)
    new[1:] = np.any([np.diff(c[order]) != 0 for c in columns], axis=0)
    out[rows[order[new]]] = True
    return out


def _sorted(values: I64, mask: Bool) -> tuple[I64, I64]:
    rows = np.flatnonzero(mask)
    order = np.argsort(values[rows])
    return rows[order], values[rows][order]


def _table(group: I64, count: int, code: I64, size: int) -> I64:
    out: I64 = np.bincount(group * size + code, minlength=count * size).reshape(count, size)
    return out


def _quantiles(rows: I64, values: I64, group: I64, count: int) -> list[Quantiles | None]:
    inside = group[rows]
    if (inside < 0).any():
        values, inside = values[inside >= 0], inside[inside >= 0]
    if count > 1:
        order = np.argsort(inside.astype(np.int16) if count < 1 << 15 else inside, kind="stable")  # int16: a radix sort
        values = values[order]
    n = np.bincount(inside, minlength=count)
    begin = np.cumsum(n) - n
    out: list[Quantiles | None] = []
    for size, start in zip(n.tolist(), begin.tolist(), strict=True):
        if not size:
            out.append(None)
            continue
        at = [start + max(int(np.ceil(level * size - 1e-9)) - 1, 0) for level in LEVELS]
        out.append(Quantiles(size, *values[at].tolist()))
    return out
