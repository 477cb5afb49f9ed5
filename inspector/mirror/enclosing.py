"""Which downstream request an upstream request was sent for: one that was asked before it and open when it was sent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.kernels.kernel import kernel
from inspector.mirror.downstream import Served
from inspector.mirror.groups import in_groups, numbered
from inspector.mirror.layout import Grouped, nobody
from inspector.mirror.likeness import contradicts, same_request_body
from inspector.mirror.lines import Lines
from inspector.mirror.signs import Signs, blend
from inspector.table import I64

NEARBY = 128  # downstream requests looked at for one upstream request
BEHIND = 1_000_000_000  # ns: a copy is sent no later than this after the last byte of its transaction


class Enclosed(NamedTuple):
    """By row, (n,) int64: the downstream request of an upstream one, -1 without one, and how many could be it."""

    downstream: I64
    open: I64

    @staticmethod
    def nowhere(n: int) -> Enclosed:
        """Nothing is found of `n` rows."""
        return Enclosed(nobody(n), np.zeros(n, np.int64))


class Search(NamedTuple):
    """How to look. starts: (g + 1,) int64, where each group of downstream requests begins; at: the same, moved on while looking.
    taken: (n,) int64 by row, 1 + the number of the server that has a copy of it already. once: a server gets one copy of each.
    apart: not for what the same sender sent. window: ns for which a downstream request without a known end may be open."""

    starts: I64
    at: I64
    taken: I64
    once: bool
    apart: bool
    window: int


@kernel
def may_be_copied(d: int, x: int, lines: Lines) -> bool:
    """Whether `x` may have been sent for `d`, as far as identifiers and bodies go. A proxy may leave the body out."""
    if contradicts(d, x, lines):
        return False
    return lines.sent[x] == 0 or same_request_body(d, x, lines) != 0


@kernel
def enclose(xs: Grouped, ds: Grouped, lines: Lines, search: Search, out: Enclosed) -> int:
    """Find the downstream request of each of `xs`; returns how many have one.

    xs, ds: rows by (group, time). The one with the same request id; else the earliest open one that has no copy at the server
    yet; else the latest open one; else the one that ended last, within BEHIND.
    """
    found = 0
    for i in range(len(xs.row)):
        x, group = xs.row[i], xs.group[i]
        if group < 0:
            continue
        end = search.starts[group + 1]
        at = search.at[group]
        while at < end and lines.asked[ds.row[at]] <= lines.asked[x]:
            at += 1
        search.at[group] = at
        free, latest, past, count = -1, -1, -1, 0
        for k in range(at - 1, max(search.starts[group], at - NEARBY) - 1, -1):
            d = ds.row[k]
            if search.apart and lines.sender[d] == lines.sender[x]:
                continue
            if d == x or lines.asked[x] - lines.asked[d] > search.window or not may_be_copied(d, x, lines):
                continue
            if lines.request_id[d] != 0 and lines.request_id[d] == lines.request_id[x]:
                free, latest, count = d, d, 1
                break
            over = lines.until[d]
            if over < 0 or over >= lines.asked[x]:
                count += 1
                if latest < 0:
                    latest = d
                if search.taken[d] != lines.server[x] + 1:
                    free = d
            elif over >= lines.asked[x] - BEHIND and (past < 0 or over > lines.until[past]):
                past = d
        chosen = (free if search.once and free >= 0 else latest) if latest >= 0 else past
        if chosen >= 0:
            found += 1
            out.downstream[x] = chosen
            out.open[x] = max(count, 1)
            if search.once:
                search.taken[chosen] = lines.server[x] + 1
    return found


def enclosing(
    lines: Lines,
    s: Signs,
    served: Served,
    x: I64,
    keys: tuple[NDArray[np.generic], ...],
    window: int,
    once: bool,
    apart: bool = False,
) -> Enclosed:
    """The downstream requests of the upstream rows `x` among those with equal `keys`, columns by row, at the same proxy."""
    out = Enclosed.nowhere(len(lines.status))
    d, address = served.row, served.address
    if not len(x) or not len(d):
        return out
    x = x[np.argsort(lines.asked[x], kind="stable")]
    od = np.argsort(lines.asked[d], kind="stable")
    d, address = d[od], address[od]
    of_d, of_x = blend(address, *(k[d] for k in keys)), blend(s.sender[x], *(k[x] for k in keys))
    numbers, firsts = numbered(np.concatenate([of_d, of_x]))
    count = int((firsts < len(d)).sum())
    mine, group = numbers[: len(d)], numbers[len(d) :]
    group[group >= count] = -1
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(mine, minlength=count), out=starts[1:])
    places = in_groups(np.arange(len(d)), mine, count)
    search = Search(starts, starts[:-1].copy(), np.zeros(len(lines.status), np.int64), once, apart, window)
    enclose(Grouped(x, group), Grouped(d[places], mine[places]), lines, search, out)
    return out
