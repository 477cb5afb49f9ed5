"""Judges each mirror from the packets alone: the rules of docs/proof.md, a function each, as inner loops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspector.http.tables import Fact, Mark
from inspector.kernels.kernel import kernel
from inspector.mirror.layout import Grouped
from inspector.mirror.likeness import carries, has_line, same_body
from inspector.mirror.lines import UNKNOWN as UNKNOWN_SIZE
from inspector.mirror.lines import Lines
from inspector.mirror.tables import Delivered, Proof, Reason, Verdict
from inspector.table import I64, Bool

UNPROVEN, DISCARDED, LEAKED, UNANSWERED = (int(v) for v in Verdict)
SUSPECT = 8  # not a verdict yet: a downstream response that nothing but a mirror explains
CONTENT, TIME, COUNT = int(Proof.CONTENT), int(Proof.TIME), int(Proof.COUNT)
UNKNOWN, ORIGINAL, MIRROR, PROXY = (int(d) for d in Delivered)
NO_LEG, GAP, SNAPLEN = int(Reason.NO_DOWNSTREAM_LEG), int(Reason.GAP), int(Reason.SNAPLEN)
NO_ORIGINAL, AMBIGUOUS = int(Reason.ORIGINAL_NOT_CAPTURED), int(Reason.AMBIGUOUS)
CUT = int(Fact.CUT)
UPSTREAM_TIME = int(Mark.UPSTREAM_TIME)
FAILED = 400  # status from which a proxy answers by itself
LATE = 5_000_000  # ns: a copy leaves no later than this after its client was answered, where another was asked since
CLOSE = 10_000_000  # ns by which clocks may differ that are taken for one
CROWD = 4096  # downstream requests in flight together that are judged; beyond: ambiguous


class Judgement(NamedTuple):
    """What became of one mirror's response. proof: Proof. The others as in the table of mirrors."""

    verdict: int
    proof: int
    reason: int
    delivered: int


class Given(NamedTuple):
    """What is known of each downstream response, by row: (n,) each. by: int64, the upstream response that explains it
    (equal, and no copy's), -1 without one. exact: int64, the same with equal header lines as well. contested: bool, another
    matching would leave it without one. murky: bool, an upstream response that may explain it was not seen in whole.
    elsewhere: bool, it is what some original of the proxy was given at another time, and no mirror ever. tied: bool, a
    request id ties it to its upstream request. envoy: bool, its proxy marks what it passes on (x-envoy-upstream-service-
    time). suspects: int64, how many mirrors may be the one whose response it is. copied: int64, 1 + the number of a server
    that has a copy of its request, 0 without one.
    """

    by: I64
    exact: I64
    contested: Bool
    murky: Bool
    elsewhere: Bool
    tied: Bool
    envoy: Bool
    suspects: I64
    copied: I64


class Cases(NamedTuple):
    """The mirrors, and what is judged of them: (k,) int64 each, in the order of the mirror table.

    mirror, original, downstream: rows of exchanges, -1 where there is none. verdict, proof, reason, delivered: the judgement.
    rivals: downstream exchanges that it was judged for. suspect: the downstream exchange that looks like its response, -1.
    """

    mirror: I64
    original: I64
    downstream: I64
    verdict: I64
    proof: I64
    reason: I64
    delivered: I64
    rivals: I64
    suspect: I64


@kernel
def too_early(d: int, m: int, lines: Lines) -> bool:
    """Rule `time`: the downstream had its whole answer, or no longer could get one, before the mirror's response can have come.

    Times of two captures are not compared, for their clocks may differ; of one capture, packets must stand in the same order, for
    its clock may have been set.
    """
    return (
        lines.capture[d] == lines.capture[m]
        and lines.over[d] >= 0
        and lines.answered[m] >= 0
        and lines.over[d] < lines.answered[m]
        and lines.ended_in[d] < lines.begun_in[m]
    )


@kernel
def before_it_was_sent(d: int, m: int, lines: Lines) -> bool:
    """Rule `cause`: the downstream had its whole answer before the copy was even sent."""
    return (
        lines.capture[d] == lines.capture[m]
        and lines.over[d] >= 0
        and lines.over[d] < lines.asked[m]
        and lines.ended_in[d] < lines.sent_in[m]
    )


@kernel
def own_lines(d: int, a: int, b: int, lines: Lines) -> int:
    """How many header lines of response `d` are `a`'s and not `b`'s."""
    count = 0
    for k in range(lines.words_at[d], lines.words_at[d + 1]):
        word = lines.words[k]
        if has_line(a, word, lines) and not has_line(b, word, lines):
            count += 1
    return count


@kernel
def side(d: int, x: int, m: int, lines: Lines) -> int:
    """Rule `fields`: 1 where header lines of `d` are mirror `m`'s and not `x`'s, and none the other way round; 0 where they are
    `x`'s and not the mirror's; -1 where both have the same; 2 where they differ, but `d` does not show whose it has: the proxy
    wrote them anew."""
    if lines.fields[x] == lines.fields[m]:
        return -1
    of_m, of_x = own_lines(d, m, x, lines), own_lines(d, x, m, lines)
    if of_m > 0 and of_x == 0:
        return 1
    return 0 if of_x > 0 and of_m == 0 else 2


@kernel
def own_reply(d: int, o: int, m: int, lines: Lines, given: Given) -> bool:
    """Rule `own`: the proxy answered by itself. It failed, and does not name an upstream where it does so elsewhere, or its
    original is seen to have had no answer. What a proxy made of a mirror's failure is not its own."""
    if lines.status[d] < FAILED or lines.status[d] == lines.status[m]:
        return False
    if given.envoy[d] and lines.marks[d] & UPSTREAM_TIME == 0:
        return True
    return o >= 0 and lines.status[o] < 0 and lines.lossy[o] == 0


@kernel
def lost_of(a: int, b: int, lines: Lines) -> int:
    """Which loss hides a response: SNAPLEN where bytes of one of the two were cut, else GAP."""
    return SNAPLEN if (lines.facts[a] | lines.facts[b]) & CUT != 0 else GAP


@kernel
def explained(d: int, o: int, m: int, lines: Lines, given: Given) -> Judgement:
    """Rule `content`, or `count`: an upstream response that is no copy's is equal to what the downstream was given."""
    early = TIME if too_early(d, m, lines) else 0
    likely = carries(d, m, lines)
    if likely == 0:
        return Judgement(DISCARDED, CONTENT | early, 0, ORIGINAL)
    x = given.exact[d] if given.exact[d] >= 0 else given.by[d]
    whose = side(d, x, m, lines) if likely == 1 else -1
    if whose == 1:
        if before_it_was_sent(d, m, lines):
            return Judgement(DISCARDED, TIME, 0, ORIGINAL)
        if given.murky[d]:
            return Judgement(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
        return Judgement(SUSPECT, 0, 0, MIRROR)
    if whose == 0:
        return Judgement(DISCARDED, CONTENT | early, 0, ORIGINAL)
    if whose == 2:
        return Judgement(DISCARDED, TIME, 0, ORIGINAL) if early != 0 else Judgement(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
    if given.contested[d]:
        return Judgement(DISCARDED, TIME, 0, UNKNOWN) if early != 0 else Judgement(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
    return Judgement(DISCARDED, COUNT | early, 0, ORIGINAL)


@kernel
def unexplained(d: int, o: int, m: int, lines: Lines, given: Given) -> Judgement:
    """No upstream response but a copy's is seen to be what the downstream was given."""
    likely = carries(d, m, lines)
    if before_it_was_sent(d, m, lines):
        return Judgement(DISCARDED, TIME, 0, UNKNOWN)
    if likely == 1:
        if o < 0:
            return Judgement(UNPROVEN, 0, NO_ORIGINAL, UNKNOWN)
        if too_early(d, m, lines):  # the very bytes, but before they came: what was captured late may have come earlier
            return Judgement(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
        if given.murky[d] and lines.size[o] == UNKNOWN_SIZE:
            return Judgement(UNPROVEN, 0, lost_of(o, d, lines), UNKNOWN)
        if given.murky[d] or (given.contested[d] and not given.tied[d]):
            return Judgement(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
        return Judgement(SUSPECT, 0, 0, MIRROR)
    if too_early(d, m, lines):
        failed = o >= 0 and lines.status[o] < 0 and lines.lossy[o] == 0
        return Judgement(DISCARDED, TIME, 0, PROXY if failed or own_reply(d, o, m, lines, given) else UNKNOWN)
    if likely == -1:
        return Judgement(UNPROVEN, 0, NO_ORIGINAL if o < 0 else lost_of(d, m, lines), UNKNOWN)
    if own_reply(d, o, m, lines, given):
        return Judgement(DISCARDED, CONTENT, 0, PROXY)
    if given.elsewhere[d]:
        return Judgement(DISCARDED, CONTENT, 0, UNKNOWN)
    if o >= 0 and fits_in_part(d, o, m, lines):
        return Judgement(DISCARDED, CONTENT, 0, ORIGINAL)
    if given.murky[d]:
        return Judgement(UNPROVEN, 0, lost_of(o, d, lines) if o >= 0 else GAP, UNKNOWN)
    return Judgement(UNPROVEN, 0, AMBIGUOUS if o >= 0 else NO_ORIGINAL, UNKNOWN)


@kernel
def fits_in_part(d: int, o: int, m: int, lines: Lines) -> bool:
    """Rule `part`: status, header lines and length are the original's as far as its bytes were seen, and none is the mirror's."""
    return (
        lines.status[o] == lines.status[d]
        and same_body(d, o, lines) == -1
        and lines.fields[o] == lines.fields[d]
        and lines.total[o] != UNKNOWN_SIZE
        and lines.total[o] == lines.total[d]
    )


@kernel
def outcome(d: int, o: int, m: int, lines: Lines, given: Given) -> Judgement:
    """Judge mirror `m` of original `o` (or -1), if `d` is its downstream exchange."""
    if lines.status[d] < 0:
        if too_early(d, m, lines):
            return Judgement(DISCARDED, TIME, 0, UNKNOWN)
        if lines.silent[d]:
            return Judgement(DISCARDED, CONTENT, 0, UNKNOWN)
        return Judgement(UNPROVEN, 0, GAP if lines.lossy[d] & 1 != 0 else NO_LEG, UNKNOWN)
    if given.by[d] >= 0:
        return explained(d, o, m, lines, given)
    return unexplained(d, o, m, lines, given)


@kernel
def merge(a: Judgement, b: Judgement) -> Judgement:
    """Rule `every assignment`: what holds under both judgements. A suspect stays one: its response went down somewhere."""
    if a.verdict == SUSPECT or b.verdict == SUSPECT:
        return Judgement(SUSPECT, 0, 0, MIRROR)
    if a.verdict != b.verdict:
        return Judgement(UNPROVEN, 0, a.reason if a.verdict == UNPROVEN else b.reason, UNKNOWN)
    if a.verdict == UNPROVEN:
        return Judgement(UNPROVEN, 0, a.reason if a.reason == b.reason else AMBIGUOUS, UNKNOWN)
    proof = a.proof & b.proof
    if proof == 0:  # one is ruled out by its time, the others by what was answered
        proof = COUNT if (a.proof | b.proof) & COUNT != 0 else CONTENT
    return Judgement(a.verdict, proof, 0, a.delivered if a.delivered == b.delivered else UNKNOWN)


@kernel
def rival(other: int, d: int, anchor: int, m: int, lines: Lines, given: Given) -> bool:
    """Whether downstream exchange `other` could be mirror `m`'s as well as `d`: it was asked before the copy was sent and could
    still be answered then."""
    if given.tied[d] or given.tied[other] or other in (d, anchor, m):
        return False
    if lines.asked[other] > lines.asked[m] and lines.capture[other] == lines.capture[m]:
        return False
    over = lines.until[other] >= 0 and lines.until[other] < lines.asked[m]
    if over and (lines.until[other] < lines.asked[m] - LATE or given.copied[other] == lines.server[m] + 1):
        return False
    return lines.headers[d] != lines.headers[anchor] or lines.headers[other] == lines.headers[anchor]


@kernel
def admit(ds: Grouped, low: int, family: int, at: int, lines: Lines, crowd: I64, size: int) -> tuple[int, int, bool]:
    """Add the downstream requests of `family` sent up to time `at` to the crowd: (next place in ds, size, was it full?)."""
    full = False
    while low < len(ds.row) and (
        ds.group[low] < family or (ds.group[low] == family and lines.asked[ds.row[low]] <= at)
    ):
        if ds.group[low] == family:
            if size == CROWD:
                full = True
                size = 0
            crowd[size] = low
            size += 1
        low += 1
    return low, size, full


@kernel
def judge(js: Grouped, ds: Grouped, cases: Cases, lines: Lines, given: Given, crowd: I64) -> int:
    """Judge the mirrors `js` (rows of `cases`, sorted by (family, time)) over every downstream exchange that could be theirs.

    ds: downstream rows sorted by (family, time); groups are families, numbered alike. crowd: (CROWD,) scratch. Written: the
    judgement, rivals and suspect of the cases, and `given.suspects`.
    """
    low = 0
    size = 0
    over = False
    for i in range(len(js.row)):
        j = js.row[i]
        m = cases.mirror[j]
        o = cases.original[j]
        d = cases.downstream[j]
        anchor = o if o >= 0 else m
        low, size, full = admit(ds, low, js.group[i], lines.asked[m] + LATE, lines, crowd, size)
        over = over or full
        found = outcome(d, o, m, lines, given)
        suspect = d if found.verdict == SUSPECT else -1
        if suspect >= 0:
            given.suspects[d] += 1
        count = 1
        kept = 0
        for k in range(size):
            other = ds.row[crowd[k]]
            gone = lines.until[other] >= 0 and lines.until[other] < lines.asked[m] - 2 * LATE
            if ds.group[crowd[k]] != js.group[i] or gone:
                continue
            crowd[kept] = crowd[k]
            kept += 1
            if rival(other, d, anchor, m, lines, given):
                count += 1
                seen = outcome(other, o, m, lines, given)
                if seen.verdict == SUSPECT:
                    given.suspects[other] += 1
                    suspect = suspect if suspect >= 0 else other
                found = merge(found, seen)
        size = kept
        if lines.capture[m] != lines.capture[d] and not given.tied[d] and not at_once(m, o, lines):
            found, suspect, count = across(ds, js.group[i], low, m, o, lines, given)
        if over and count > 1:
            found = Judgement(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
            suspect = -1
        cases.verdict[j] = found.verdict
        cases.proof[j] = found.proof
        cases.reason[j] = found.reason
        cases.delivered[j] = found.delivered
        cases.rivals[j] = count
        cases.suspect[j] = suspect
    return 0


@kernel
def at_once(m: int, o: int, lines: Lines) -> bool:
    """Whether a copy and its original were sent together by their clocks, which then agree well enough for requests further
    apart."""
    return o >= 0 and abs(lines.asked[m] - lines.asked[o]) <= CLOSE


@kernel
def across(
    ds: Grouped, family: int, low: int, m: int, o: int, lines: Lines, given: Given
) -> tuple[Judgement, int, int]:
    """Judge mirror `m` over all downstream requests of its family: the judgement, a suspect (-1: none), how many there are.

    The mirror was captured with another clock than they, so that times do not show which was open. low: a place in `ds`.
    """
    at = low
    while at > 0 and ds.group[at - 1] >= family:
        at -= 1
    found = Judgement(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
    suspect = -1
    count = 0
    while at < len(ds.row) and ds.group[at] == family:
        d = ds.row[at]
        at += 1
        if d in (m, o):
            continue
        count += 1
        if count > CROWD:
            return Judgement(UNPROVEN, 0, AMBIGUOUS, UNKNOWN), -1, count
        seen = outcome(d, o, m, lines, given)
        if seen.verdict == SUSPECT:
            given.suspects[d] += 1
            suspect = suspect if suspect >= 0 else d
        found = seen if count == 1 else merge(found, seen)
    return found, suspect, count


def crowd() -> I64:
    """Scratch for `judge`."""
    return np.empty(CROWD, np.int64)
