"""Pairs a mirror with its original: the inner loops. No policy about verdicts here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.kernels.kernel import kernel
from inspector.mirror.groups import in_groups, numbered
from inspector.mirror.layout import Mates
from inspector.mirror.likeness import same_request_body
from inspector.mirror.lines import INTERNAL as IS_INTERNAL
from inspector.mirror.lines import SUFFIXED, XFF_OWN, Lines
from inspector.mirror.signs import number
from inspector.mirror.tables import Exchanges, Sign
from inspector.table import I64, U8, U32, Bool

REQUEST_ID = int(Sign.REQUEST_ID)
SUFFIX = int(Sign.SUFFIX)
XFF = int(Sign.XFF)
INTERNAL = int(Sign.INTERNAL)
TRACE = int(Sign.TRACE)
CONTENT = int(Sign.CONTENT)
HEADERS = int(Sign.HEADERS)
TIME = int(Sign.TIME)
ORDER = int(Sign.ORDER)
NEARBY = 128  # equals looked at on either side of a mirror
CLOSE = 10_000_000  # ns: sent together
SLACK = 5_000_000  # ns: in flight, give or take


class Candidates(NamedTuple):
    """Which copies look for which originals.

    order: (k,) int64 rows, family by family, in order of time within each. family: (n,) int64 by row. copies, originals: (n,)
    bool by row, which are such.
    """

    order: I64
    family: I64
    copies: Bool
    originals: Bool


@kernel
def relation(o: int, m: int, lines: Lines) -> int:
    """The signs that exchange `m` is the proxy's copy of exchange `o`; -1 where it cannot be."""
    if lines.method[o] != lines.method[m] or lines.target[o] != lines.target[m]:
        return -1
    if lines.attempt[o] >= 0 and lines.attempt[m] >= 0 and lines.attempt[o] != lines.attempt[m]:
        return -1
    signs = 0
    if lines.request_id[o] != 0 and lines.request_id[m] != 0:
        if lines.request_id[o] != lines.request_id[m]:
            return -1
        signs |= REQUEST_ID
    if lines.trace[o] != 0 and lines.trace[m] != 0:
        if lines.trace[o] != lines.trace[m]:
            return -1
        if lines.parent[m] == lines.span[o] and lines.span[o] != 0:
            signs |= TRACE
    body = same_request_body(o, m, lines)
    if body == 0:
        return -1
    if body == 1:
        signs |= CONTENT
    if lines.signs[m] & SUFFIXED != 0 and lines.base_host[m] == lines.host[o]:
        signs |= SUFFIX
    if lines.signs[m] & XFF_OWN != 0 and lines.xff_base[m] == lines.xff[o]:
        signs |= XFF
    if lines.signs[m] & IS_INTERNAL != 0 and lines.signs[o] & IS_INTERNAL == 0:
        signs |= INTERNAL
    if lines.headers[o] == lines.headers[m]:
        signs |= HEADERS
    return signs


@kernel
def is_marked(signs: int) -> bool:
    """Whether a proxy's mark shows that one is the other's copy. x-envoy-internal alone says little at a gateway."""
    return signs & (SUFFIX | XFF | TRACE) != 0 or (signs & INTERNAL != 0 and signs & REQUEST_ID != 0)


@kernel
def weight(signs: int) -> int:
    """How much the signs speak for a pair."""
    total = 0
    if signs & REQUEST_ID:
        total += 64
    if signs & SUFFIX:
        total += 32
    if signs & (XFF | TRACE):
        total += 16
    if signs & (CONTENT):
        total += 8
    if signs & HEADERS:
        total += 4
    if signs & INTERNAL:
        total += 2
    return total


@kernel
def better(
    heavy: int, flight: bool, sent: int, lag: int, best_heavy: int, best_flight: bool, best_sent: int, best_lag: int
) -> bool:
    """Whether a candidate beats the best so far: by its signs, then in flight, then the earliest (else the nearest)."""
    if heavy != best_heavy:
        return heavy > best_heavy
    if flight != best_flight:
        return flight
    return sent < best_sent if flight else abs(lag) < abs(best_lag)


@kernel
def best_original(
    at: int, among: Candidates, lines: Lines, marked: bool, window: int, mates: Mates
) -> tuple[int, int, int]:
    """(row, signs, rivals) of the best original for the copy at place `at` of the order; row -1 without one.

    rivals: how many fit equally well by what they are and were in flight when the copy was sent.
    """
    m = among.order[at]
    best, best_heavy, best_signs, best_flight, best_sent, best_lag = -1, -1, 0, False, 0, 0
    rivals = 0
    for side in range(2):
        step = 2 * side - 1
        near = at
        for _ in range(NEARBY):
            near += step
            if near < 0 or near >= len(among.order):
                break
            o = among.order[near]
            lag = lines.asked[m] - lines.asked[o]
            if among.family[o] != among.family[m] or lag > window or -lag > window:
                break
            if not among.originals[o] or mates.original[o] >= 0 or mates.fan[o] == lines.server[m] + 1:
                continue
            found = relation(o, m, lines)
            if found < 0 or marked != is_marked(found) or (not marked and lines.server[o] == lines.server[m]):
                continue
            # An original that has a copy at another server already comes after one that has none.
            heavy = weight(found) * 4 - (1 if mates.fan[o] != 0 else 0)
            flight = lag >= -SLACK and (lines.closed[o] < 0 or lines.closed[o] + SLACK >= lines.asked[m])
            if flight:
                rivals += 1
            if best < 0 or better(heavy, flight, lines.asked[o], lag, best_heavy, best_flight, best_sent, best_lag):
                best, best_heavy, best_signs, best_flight, best_sent, best_lag = (
                    o,
                    heavy,
                    found,
                    flight,
                    lines.asked[o],
                    lag,
                )
    return best, best_signs, rivals


@kernel
def match(among: Candidates, lines: Lines, marked: bool, window: int, mates: Mates) -> int:
    """Give each copy its original among the originals of the same family; returns how many were paired.

    `marked`: only pairs with a proxy's mark. `window`: ns between a copy and its original. Among equals in flight together the
    earliest that has no copy at this server yet is taken, and the sign ORDER set; otherwise the nearest in time. Written to:
    original and signs by the copy's row, fan by the original's.
    """
    paired = 0
    for at in range(len(among.order)):
        m = among.order[at]
        if not among.copies[m] or mates.original[m] >= 0:
            continue
        o, found, rivals = best_original(at, among, lines, marked, window, mates)
        if o < 0:
            continue
        lag = lines.asked[m] - lines.asked[o]
        if lag <= CLOSE and -lag <= CLOSE:
            found |= TIME
        if rivals > 1:
            found |= ORDER
        mates.original[m] = o
        mates.signs[m] = found
        mates.fan[o] = lines.server[m] + 1
        paired += 1
    return paired


def by_family(family: I64, rows: Bool) -> I64:
    """The rows of the mask `rows`, family by family, in order of time within each. Precondition: rows are in order of time."""
    index = np.flatnonzero(rows)
    numbers, firsts = numbered(family[index])
    return in_groups(index, numbers, len(firsts))


def retried(e: Exchanges, sender: I64, upstream: Bool) -> Bool:
    """Which requests are a proxy's second or later try: same sender and request (id, or content), larger attempt count.

    Envoy counts in x-envoy-attempt-count (source/common/router/router.cc); a copy has its original's count.
    """
    out = np.zeros(len(e), bool)
    rows = np.flatnonzero(upstream & (e.attempt > 1))
    if not len(rows):
        return out
    key = number(sender, e.request_id, e.method, e.target)
    least = np.full(int(key.max()) + 1, np.iinfo(np.int64).max)
    counted = np.flatnonzero(upstream & (e.attempt >= 0))
    np.minimum.at(least, key[counted], e.attempt[counted].astype(np.int64))
    out[rows] = e.attempt[rows] > least[key[rows]]
    # Without a request id the first try may not be in the capture: a count above 1 is a retry all the same.
    out[rows] |= e.request_id[rows] == 0
    return out


def confidence(signs: U32) -> U8:
    """Percent, from the signs of each pair."""

    def has(sign: int) -> NDArray[np.bool_]:
        return (signs & np.uint32(sign)) != 0

    marks = sum(has(s).astype(np.int64) for s in (SUFFIX, XFF, INTERNAL, TRACE))
    out = np.where(has(REQUEST_ID), np.where(marks > 0, 99, 70), np.where(marks > 1, 90, np.where(marks == 1, 75, 60)))
    out = out - np.where(has(ORDER), 25, 0) - np.where(has(CONTENT), 0, 10)
    return np.clip(out, 5, 99).astype(np.uint8)
