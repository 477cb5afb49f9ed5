"""Judges each mirror from the packets alone: section 6 of the design, as inner loops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspector.http.tables import Fact, Mark
from inspector.kernels.kernel import kernel
from inspector.mirror.downstream import Lines, same_response
from inspector.mirror.layout import Grouped
from inspector.mirror.tables import Delivered, Proof, Reason, Verdict
from inspector.table import I64

UNPROVEN, DISCARDED, LEAKED, UNANSWERED = (int(v) for v in Verdict)
CONTENT, TIME, COUNT = int(Proof.CONTENT), int(Proof.TIME), int(Proof.COUNT)
UNKNOWN, ORIGINAL, MIRROR, PROXY = (int(d) for d in Delivered)
NO_LEG, GAP, SNAPLEN = int(Reason.NO_DOWNSTREAM_LEG), int(Reason.GAP), int(Reason.SNAPLEN)
NO_ORIGINAL, AMBIGUOUS = int(Reason.ORIGINAL_NOT_CAPTURED), int(Reason.AMBIGUOUS)
COMPLETE, CUT = int(Fact.COMPLETE), int(Fact.CUT)
UPSTREAM_TIME, ENCODED = int(Mark.UPSTREAM_TIME), int(Mark.CONTENT_ENCODING)
CROWD = 4096  # downstream requests in flight together that are judged; beyond: ambiguous
FAILED = 400  # status from which a reply of the proxy's own is reported by its missing x-envoy-upstream-service-time
HEADERS = 1  # column of Lines.keys


class Grounds(NamedTuple):
    """What a judgement rests on beside `Lines`: (n,) int64 each, by row.

    certain: 1 where a downstream exchange is known to be its upstream one's. again: row of the next attempt of the same
    request, -1 at the last. marks: Mark of the response. lossy: Lossy.
    """

    certain: I64
    again: I64
    marks: I64
    lossy: I64


class Cases(NamedTuple):
    """The mirrors, and what is judged of them: (k,) int64 each, in the order of the mirror table.

    mirror, original, downstream: rows of exchanges, -1 where there is none. judgement: as `pack` makes it. rivals: downstream
    exchanges that it was judged for.
    """

    mirror: I64
    original: I64
    downstream: I64
    judgement: I64
    rivals: I64


@kernel
def pack(verdict: int, proof: int, reason: int, delivered: int) -> int:
    """A judgement as one integer: verdict | proof << 4 | reason << 8 | delivered << 12."""
    return verdict | (proof << 4) | (reason << 8) | (delivered << 12)


@kernel
def unseen(a: int, b: int, c: int, lines: Lines) -> int:
    """Which loss takes the proof away: SNAPLEN where bytes of one of the three responses were cut, else GAP."""
    nums = lines.nums
    facts = nums[a, 1] | nums[b, 1]
    if c >= 0:
        facts |= nums[c, 1]
    return SNAPLEN if facts & CUT != 0 else GAP


@kernel
def given(d: int, o: int, again: I64, lines: Lines) -> int:
    """Whether the downstream was given the response of original `o` or of one of its later attempts.

    1 yes, 0 no, -1 not told by the capture, -2 there is not a response. again: as in `Grounds`.
    """
    best = -2
    row = o
    for _ in range(64):
        if row < 0:
            break
        if lines.nums[row, 0] >= 0:
            same = same_response(d, row, lines)
            if same == 1:
                return 1
            if best == -2 or same == -1:
                best = same
        row = again[row]
    return best


@kernel
def outcome(d: int, o: int, m: int, lines: Lines, grounds: Grounds) -> int:
    """Judge mirror `m` of original `o` (or -1), where `d` is its downstream exchange."""
    nums = lines.nums
    marks = grounds.marks
    lossy = grounds.lossy
    if nums[d, 0] < 0:
        return pack(UNPROVEN, 0, GAP if lossy[d] & 1 != 0 else NO_LEG, UNKNOWN)
    whole = nums[d, 1] & COMPLETE != 0
    early = TIME if whole and nums[d, 4] >= 0 and nums[d, 4] < nums[m, 3] else 0
    is_mirror = same_response(d, m, lines)
    is_original = given(d, o, grounds.again, lines) if o >= 0 else -1
    if o >= 0 and is_original == -2 and lossy[o] & 1 != 0:
        is_original = -1
    if o >= 0 and is_original == 1:
        if is_mirror == 0:
            return pack(DISCARDED, CONTENT | early, 0, ORIGINAL)
        return pack(DISCARDED, COUNT | early, 0, ORIGINAL)
    if early != 0:
        return pack(DISCARDED, early, 0, PROXY if o >= 0 and (is_original == 0 or is_original == -2) else UNKNOWN)
    if is_mirror == 1:
        if o < 0:
            return pack(UNPROVEN, 0, NO_ORIGINAL, UNKNOWN)
        # Equal bytes show a leak only where the original answered otherwise, or is seen not to have answered at all.
        if is_original == -1 or (is_original == -2 and lossy[o] & 2 != 0):
            return pack(UNPROVEN, 0, unseen(d, m, o, lines), UNKNOWN)
        return pack(LEAKED, 0, 0, MIRROR)
    if nums[d, 0] != nums[m, 0]:
        # Not the mirror's status: the original's, or a reply of the proxy's own.
        if o >= 0 and nums[o, 0] == nums[d, 0] and is_original == -1:
            return pack(DISCARDED, CONTENT, 0, ORIGINAL)
        return pack(DISCARDED, CONTENT, 0, UNKNOWN if is_original == -1 else PROXY)
    if is_mirror == -1 or is_original == -1:
        return pack(UNPROVEN, 0, NO_ORIGINAL if o < 0 else unseen(d, m, o, lines), UNKNOWN)
    # The mirror's status with a body that is neither's: the proxy's own reply, unless it recoded a body.
    own = nums[d, 0] >= FAILED and marks[d] & UPSTREAM_TIME == 0
    if own and (marks[d] ^ marks[m]) & ENCODED == 0:
        return pack(DISCARDED, CONTENT, 0, PROXY)
    return pack(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)


@kernel
def merge(a: int, b: int) -> int:
    """What is true under both judgements: equal verdicts keep their common proofs, others are ambiguous."""
    if a & 15 != b & 15:
        return pack(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
    if a & 15 == UNPROVEN:
        return a if a == b else pack(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
    delivered = (a >> 12) & 15
    if delivered != (b >> 12) & 15:
        delivered = UNKNOWN
    proof = (a >> 4) & (b >> 4) & 15
    if a & 15 == DISCARDED and proof == 0:
        proof = ((a >> 4) | (b >> 4)) & 15
    return pack(a & 15, proof, 0, delivered)


@kernel
def rival(other: int, d: int, o: int, m: int, lines: Lines, grounds: Grounds) -> bool:
    """Whether downstream exchange `other`, in flight when the anchor was sent, could be the mirror's as well as `d`."""
    anchor = o if o >= 0 else m
    if grounds.certain[d] != 0 or grounds.certain[other] != 0 or other in (d, anchor, m):
        return False
    keys = lines.keys
    if keys[d, HEADERS] == keys[anchor, HEADERS] and keys[other, HEADERS] != keys[anchor, HEADERS]:
        return False
    return o < 0 or grounds.again[o] >= 0 or not answered_before(other, o, lines)


@kernel
def answered_before(d: int, o: int, lines: Lines) -> bool:
    """Whether `d` was given a response (not the proxy's own error) before original `o` was answered."""
    nums = lines.nums
    return nums[o, 3] >= 0 and nums[d, 3] >= 0 and nums[d, 3] < nums[o, 3] and nums[d, 0] < 500


@kernel
def admit(ds: Grouped, low: int, family: int, at: int, lines: Lines, crowd: I64, size: int) -> tuple[int, int, bool]:
    """Add the downstream requests of `family` sent up to time `at` to the crowd: (next place in ds, size, was it full?)."""
    full = False
    while low < len(ds.row) and (
        ds.group[low] < family or (ds.group[low] == family and lines.nums[ds.row[low], 5] <= at)
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
def judge(js: Grouped, ds: Grouped, cases: Cases, lines: Lines, grounds: Grounds, crowd: I64) -> int:
    """Judge the mirrors `js` (rows of `cases`, sorted by (family, time of the anchor)) over every downstream exchange that
    could be theirs.

    ds: downstream rows sorted by (family, time); groups are families, numbered alike. The anchor of a mirror is its original,
    or itself without one. A rival is in flight when the anchor is sent, is not certainly another's, and has the same
    end-to-end headers if the one chosen has. crowd: (CROWD,) scratch. Written: judgement and rivals of the cases.
    """
    nums = lines.nums
    low = 0
    size = 0
    over = False
    for i in range(len(js.row)):
        j = js.row[i]
        m = cases.mirror[j]
        o = cases.original[j]
        d = cases.downstream[j]
        anchor = o if o >= 0 else m
        at = nums[anchor, 5]
        low, size, full = admit(ds, low, js.group[i], at, lines, crowd, size)
        over = over or full
        result = outcome(d, o, m, lines, grounds)
        count = 1
        kept = 0
        for k in range(size):
            other = ds.row[crowd[k]]
            if ds.group[crowd[k]] != js.group[i] or (nums[other, 3] >= 0 and nums[other, 3] < at):
                continue
            crowd[kept] = crowd[k]
            kept += 1
            if rival(other, d, o, m, lines, grounds):
                count += 1
                result = merge(result, outcome(other, o, m, lines, grounds))
        size = kept
        if over and count > 1:
            result = pack(UNPROVEN, 0, AMBIGUOUS, UNKNOWN)
        cases.judgement[j] = result
        cases.rivals[j] = count
    return 0


def unpack(judgement: I64) -> tuple[I64, I64, I64, I64]:
    """Verdict, proof, reason and delivered of each judgement."""
    return judgement & 15, (judgement >> 4) & 15, (judgement >> 8) & 15, (judgement >> 12) & 15


def unanswered() -> int:
    """The judgement of a mirror without a response."""
    return int(UNANSWERED)


def alone(reason: Reason) -> int:
    """The judgement of a mirror without a downstream exchange."""
    return int(UNPROVEN) | (int(reason) << 8)


def discarded(proof: Proof, delivered: Delivered) -> int:
    """The judgement of a mirror that was handed to nobody."""
    return int(DISCARDED) | (int(proof) << 4) | (int(delivered) << 12)


def crowd() -> I64:
    """Scratch for `judge`."""
    return np.empty(CROWD, np.int64)
