"""Which downstream responses an upstream response that is no copy's explains: the positive fit that a proof by content needs."""

from __future__ import annotations

import numpy as np

from inspector.kernels.kernel import kernel
from inspector.mirror.downstream import SCAN, Served, next_free
from inspector.mirror.groups import in_groups, member, numbered
from inspector.mirror.layout import Grouped, Mates, nobody
from inspector.mirror.lines import SLACK, UNKNOWN, Lines, given_in_time
from inspector.mirror.signs import blend
from inspector.mirror.tables import Lossy
from inspector.mirror.verdict import UPSTREAM_TIME, Given
from inspector.table import I64, Bool

FAR = np.iinfo(np.int64).max
CROWDED = 1 << 18  # pairs of equal responses that are looked at together
FEW = 4096  # groups of them


@kernel
def fits(d: int, x: int, lines: Lines, slack: int) -> bool:
    """Whether upstream response `x`, equal to `d`, can have been given to downstream request `d`: asked for after it was, and
    there before its answer began (see `begun_before`), give or take `slack` ns; times of two captures are not compared."""
    if lines.capture[d] != lines.capture[x]:
        return True
    if lines.asked[x] < lines.asked[d] - SLACK:
        return False
    apart = lines.answered[d] - lines.answered[x]
    if apart != 0 and abs(apart) <= SLACK:
        return apart >= -slack
    return lines.begun_in[x] < lines.begun_in[d] or (slack > 0 and apart >= -slack)


@kernel
def couple_equals(ds: Grouped, xs: Grouped, starts: I64, skip: I64, lines: Lines, by: I64, slack: int) -> int:
    """Give each downstream response of `ds` an equal upstream response of `xs`, each at most once; returns how many have one.

    ds: rows in order of their answers; groups: families with equal class. xs: rows by (group, asked). starts: where each group
    of xs begins. skip: 0, 1, 2, ..., one more than xs has rows. Answered first, served first, with the earliest that fits: so as
    many as possible find one (a matching in one order of nested intervals). by: (n,) int64 by row, written to.
    """
    found = 0
    for i in range(len(ds.row)):
        group = ds.group[i]
        if group < 0:
            continue
        d = ds.row[i]
        at = starts[group]
        for _ in range(SCAN):
            at = next_free(skip, at)
            if at >= len(xs.row) or xs.group[at] != group:
                break
            x = xs.row[at]
            if x != d and fits(d, x, lines, slack):
                by[d] = x
                skip[at] = at + 1
                found += 1
                break
            at += 1
    return found


def explain(
    lines: Lines, served: Served, sender: I64, mates: Mates, mirrors: Bool, upstream: Bool, tied: Bool
) -> Given:
    """What is known of each downstream response. sender: (n,) int64 number of who sent a row's request. mirrors, upstream, tied:
    (n,) bool, copies, requests that a proxy sent, downstream requests that a request id ties to their upstream one."""
    n = len(lines.status)
    rows, address = served.row, served.address
    given_by = upstream & ~mirrors
    family = _families(lines, mates, tied)
    answer = blend(lines.status, lines.size, lines.digest)
    known = (lines.size != UNKNOWN) & (lines.status >= 0)
    own = np.maximum(mates.claimed, 0)
    plain = tied & known & (answer == answer[own]) & known[own] & given_by[own] & (lines.fields == lines.fields[own])
    plain &= given_in_time(lines, own, np.arange(n))
    spent = np.zeros(n, bool)
    spent[own[plain]] = True
    d = np.flatnonzero(known[rows] & ~plain[rows])
    every = np.flatnonzero(given_by & known)
    x = every[~spent[every]]
    whose = np.where((mates.downstream[x] >= 0), mates.downstream[x], x)
    of_d, of_x = (address[d], family[rows[d]], answer[rows[d]]), (sender[x], family[whose], answer[x])
    by = _coupled(lines, rows[d], blend(*of_d), x, blend(*of_x))
    loose = _coupled(lines, rows[d], blend(*of_d), x, blend(*of_x), SLACK)
    by[plain] = own[plain]
    exact = by
    if (by >= 0).any():
        differ = np.flatnonzero((by >= 0) & ~plain & (lines.fields[np.maximum(by, 0)] != lines.fields))
        if len(differ):
            fields = lines.fields
            exact = _coupled(lines, rows[d], blend(*of_d, fields[rows[d]]), x, blend(*of_x, fields[x]))
            exact[plain] = own[plain]
    murky = _murky(lines, rows, address, sender, family, given_by, mates, tied)
    body = blend(lines.size, lines.digest)
    like = member(blend(address, family[rows], body[rows]), blend(sender[x], family[whose], body[x]))
    like &= (lines.size[rows] > 0) & (by[rows] < 0)
    murky[rows[like]] = True  # an original's bytes, under a status that is not its own
    murky |= _unasked(lines, rows, address, sender, given_by, mirrors)
    return Given(
        by=by,
        contested=_contested(lines, rows[d], blend(*of_d), x, blend(*of_x), by),
        exact=exact,
        murky=murky | ((loose >= 0) & (by < 0)),
        elsewhere=_elsewhere(lines, rows, address, sender, answer, every, mirrors),
        tied=tied,
        envoy=_envoy(lines, rows, address),
        suspects=np.zeros(n, np.int64),
        copied=_copied(lines, mates, np.flatnonzero(mirrors)),
    )


def _families(lines: Lines, mates: Mates, tied: Bool) -> I64:
    """By row, what a downstream request and the upstream ones for it have in common: its id where one ties it, else its line."""
    free = blend(lines.method, lines.target)
    return np.where(tied, blend(lines.request_id, lines.method, lines.target), free)


def _coupled(lines: Lines, d: I64, of_d: I64, x: I64, of_x: I64, slack: int = 0) -> I64:
    """`by` of `Given` among rows `d` and `x` with equal keys."""
    by = nobody(len(lines.status))
    if not len(d) or not len(x):
        return by
    od = np.argsort(lines.answered[d], kind="stable")
    ox = np.argsort(lines.asked[x], kind="stable")
    numbers, firsts = numbered(np.concatenate([of_x[ox], of_d[od]]))
    mine = numbers[: len(x)]
    count = int((firsts < len(x)).sum())
    places = in_groups(np.arange(len(x)), mine, count)
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(mine, minlength=count), out=starts[1:])
    group = numbers[len(x) :]
    group[group >= count] = -1
    couple_equals(
        Grouped(d[od], group), Grouped(x[ox][places], mine[places]), starts, np.arange(len(x) + 1), lines, by, slack
    )
    return by


def _contested(lines: Lines, d: I64, of_d: I64, x: I64, of_x: I64, by: I64) -> Bool:
    """Rule `count`: which downstream responses another matching of as many would leave without an upstream one.

    Where more equal answers went down than originals gave, it shows for none of those that could have had one that it had it.
    """
    out = np.zeros(len(lines.status), bool)
    without = member(of_d, of_x) & (by[d] < 0)
    if not without.any():
        return out
    keys = of_d[without]
    keys = keys[numbered(keys)[1]]
    for key in keys.tolist():
        ds, xs = d[of_d == key], x[of_x == key]
        if len(ds) * len(xs) > CROWDED or len(keys) > FEW:
            out[ds] = True
            continue
        edges = given_in_time(lines, xs, ds[:, None])
        reached = by[ds] < 0
        while True:
            more = reached | np.isin(by[ds], xs[edges[reached].any(axis=0)])
            if (more == reached).all():
                break
            reached = more
        out[ds[reached & edges.any(axis=1)]] = True
    return out


def _murky(
    lines: Lines, rows: I64, address: I64, sender: I64, family: I64, given_by: Bool, mates: Mates, tied: Bool
) -> Bool:
    """Which downstream responses an upstream response may explain that was not seen, or not in whole."""
    out = np.zeros(len(lines.status), bool)
    lost = (lines.status < 0) & ((lines.lossy & int(Lossy.CUT | Lossy.UNENDED)) != 0)
    x = np.flatnonzero(given_by & (lost | ((lines.status >= 0) & (lines.size == UNKNOWN))))
    if not len(x):
        return out
    mine = mates.downstream[x]
    out[mine[mine >= 0]] = True
    loose = x[(mine < 0) | ~tied[np.maximum(mine, 0)]]
    if not len(loose):
        return out
    own = np.where(mates.downstream[loose] >= 0, mates.downstream[loose], loose)
    of_x, of_d = blend(sender[loose], family[own]), blend(address, family[rows])
    out[rows[_in_flight(lines, rows, of_d, of_x, lines.asked[loose])]] = True
    return out


def _unasked(lines: Lines, rows: I64, address: I64, sender: I64, given_by: Bool, mirrors: Bool) -> Bool:
    """Which downstream responses may be one to an upstream request that was lost: equal as far as was seen, and it came while
    they were open. What a server of copies alone answered is no original's."""
    out = np.zeros(len(lines.status), bool)
    pair = blend(sender, lines.server)
    x = np.flatnonzero((lines.sent_in < 0) & (lines.status >= 0) & ~mirrors)
    x = x[member(sender[x], address)]
    x = x[~member(pair[x], pair[mirrors]) | member(pair[x], pair[given_by])]
    if not len(x):
        return out
    whole = lines.size != UNKNOWN
    answer = blend(lines.status, lines.size, lines.digest)
    for known in (True, False):
        y = x[whole[x] == known]
        of_x, of_d = (blend(sender[y], answer[y]), blend(address, answer[rows])) if known else (sender[y], address)
        out[rows[_in_flight(lines, rows, of_d, of_x, lines.answered[y])]] = True
    return out


def _in_flight(lines: Lines, rows: I64, of_d: I64, of_x: I64, times: I64) -> Bool:
    """Beside downstream `rows`: whether one of the `times` whose key (`of_x`) is theirs (`of_d`) lies where they were open."""
    numbers, _ = numbered(np.concatenate([of_x, of_d]))
    mine, theirs = numbers[: len(of_x)], numbers[len(of_x) :]
    scale = len(times) + 1
    sorted_times = np.sort(times)
    at = np.sort(mine * scale + np.searchsorted(sorted_times, times))
    until = np.where(lines.ended[rows] >= 0, lines.ended[rows], FAR)
    low = theirs * scale + np.searchsorted(sorted_times, lines.asked[rows] - SLACK)
    high = theirs * scale + np.searchsorted(sorted_times, until, side="right")
    return np.searchsorted(at, high) > np.searchsorted(at, low)


def _elsewhere(lines: Lines, rows: I64, address: I64, sender: I64, answer: I64, x: I64, mirrors: Bool) -> Bool:
    """Which downstream responses are what some original of their proxy was given, whenever, and no mirror was."""
    out = np.zeros(len(lines.status), bool)
    if not len(x):
        return out
    key = blend(address, answer[rows])
    copies = np.flatnonzero(mirrors & (lines.status >= 0))
    known = (lines.size[rows] != UNKNOWN) & (lines.status[rows] >= 0)
    found = known & member(key, blend(sender[x], answer[x])) & ~member(key, blend(sender[copies], answer[copies]))
    out[rows[found]] = True
    return out


def _envoy(lines: Lines, rows: I64, address: I64) -> Bool:
    """Whose proxy marks what it passes on."""
    marked = (lines.marks[rows] & UPSTREAM_TIME) != 0
    out = np.zeros(len(lines.status), bool)
    out[rows[member(address, address[marked])]] = True
    return out


def _copied(lines: Lines, mates: Mates, m: I64) -> I64:
    """By row: 1 + the number of the server that has a copy of a downstream request."""
    o = mates.original[m]
    d = np.where(o >= 0, mates.downstream[np.maximum(o, 0)], mates.downstream[m])
    out = np.zeros(len(lines.status), np.int64)
    out[d[d >= 0]] = lines.server[m[d >= 0]] + 1
    return out
