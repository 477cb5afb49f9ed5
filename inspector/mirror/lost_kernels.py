"""The inner loops of `lost`: lost requests stand in where a pair lacks a mate."""

from __future__ import annotations

from typing import NamedTuple

from inspector.kernels.kernel import kernel
from inspector.mirror.layout import Grouped, Mates
from inspector.table import I64

NEAR = 1024  # exchanges, in order of time, among which equals in flight together are looked for
SHIFTS = 256  # pairs moved on for one lost request
STEPS = 512  # such moves in all for the downstream side, at one step of deciding
LATEST = 64  # requests without a mate that are looked at for one response
ORDER = 512  # tables.Sign.ORDER
COUNT = 128  # tables.Sign.COUNT
ASKED, ANSWERED, STATUS, BYTES = range(4)  # columns of `times`
SENDER, METHOD, TARGET, HASH = range(4)  # columns of `words`


class Outlines(NamedTuple):
    """What is left of exchanges where requests were lost, by row; see the columns above.

    times: (n, 4) int64, two times in ns (-1: never seen), the status and the bytes of the response. words: (n, 4) int64,
    numbers and hashes that are equal where what they stand for is. serves: (n, 3) int64, the addresses by which the proxy may
    have been asked, as numbers like SENDER.
    """

    times: I64
    words: I64
    serves: I64


class Queues(NamedTuple):
    """Requests without a mate: k of g proxies. All int64.

    row: (k,), by proxy and in order of time within one. begins: (g + 1,), where those of each proxy begin. heads: (g,), the
    first of each that may be unused; as `begins` at the start. before: (k + 1,), as in `earlier_unused`, all unused.
    """

    row: I64
    begins: I64
    heads: I64
    before: I64


class Shifts(NamedTuple):
    """Room for `shift`: alike, (n,) int64, as many rows as there are; moves, (2 * SHIFTS,) int64."""

    alike: I64
    moves: I64


@kernel
def earlier_unused(before: I64, at: int) -> int:
    """The last place up to `at` that is not used, -1 without one. before[i + 1]: i where i is unused, else a place before it."""
    found = at + 1
    while before[found] != found - 1:
        found = before[found] + 1
    top = at + 1
    while before[top] != found - 1:  # what was walked over is a step the next time
        step = before[top] + 1
        before[top] = found - 1
        top = step
    return found - 1


@kernel
def shift(outlines: Outlines, free: int, x: int, mates: Mates, room: Shifts) -> int:
    """Pairs made by order alone, moved on by one so that an original sent before copy `x` was answered becomes free.

    Equals that were sent one after another are paired in order; where a copy's request was lost, later copies have taken
    the originals of earlier ones. Returns that original, or -1 (then nothing was moved).
    """
    times = outlines.times
    words = outlines.words
    original = mates.original
    size = 0
    for i in range(max(x - NEAR, 0), min(max(free + NEAR, 0), len(original))):
        if (
            original[i] >= 0
            and words[i, SENDER] == words[free, SENDER]
            and words[i, METHOD] == words[free, METHOD]
            and words[i, TARGET] == words[free, TARGET]
            and mates.signs[i] & ORDER != 0
        ):
            room.alike[size] = i
            size += 1
    for count in range(SHIFTS):
        m = -1
        for k in range(size):
            i = room.alike[k]
            if times[i, ASKED] >= times[free, ASKED] and (
                m < 0 or times[original[i], ASKED] < times[original[m], ASKED]
            ):
                m = i
        if m < 0 or times[original[m], ASKED] >= times[free, ASKED]:
            return -1
        room.moves[2 * count] = m
        room.moves[2 * count + 1] = free
        free = original[m]
        if times[free, ASKED] <= times[x, ANSWERED]:
            for k in range(count + 1):
                original[room.moves[2 * k]] = room.moves[2 * k + 1]
            return free
    return -1


@kernel
def couple(
    orphans: Grouped, others: Queues, outlines: Outlines, mates: Mates, window: int, lost_copies: bool, room: Shifts
) -> None:
    """Pair orphans with requests of the same proxy that lack a mate: the latest sent before the orphan was answered.

    orphans: grouped by their proxies, -1 where that has none of `others`. window: ns.
    """
    times = outlines.times
    begins = others.begins
    heads = others.heads
    before = others.before
    downstream = mates.downstream
    for j in range(len(orphans.row)):
        x = orphans.row[j]
        g = orphans.group[j]
        if g < 0:
            continue
        low = begins[g]
        while heads[g] < begins[g + 1] and before[heads[g] + 1] != heads[g]:
            heads[g] += 1
        if heads[g] == begins[g + 1]:
            continue
        a, b = low, begins[g + 1]
        while a < b:  # the first that was sent after the orphan was answered
            mid = (a + b) >> 1
            if times[others.row[mid], ASKED] <= times[x, ANSWERED]:
                a = mid + 1
            else:
                b = mid
        at = earlier_unused(before, a - 1) if a > low else -1
        if at >= low and times[x, ANSWERED] - times[others.row[at], ASKED] <= window:
            for _ in range(LATEST - 1):
                further = earlier_unused(before, at - 1) if at > low else -1
                if further < low or times[x, ANSWERED] - times[others.row[further], ASKED] > window:
                    break
                at = further
            o = others.row[at] if lost_copies else x
            m = x if lost_copies else others.row[at]
            before[at + 1] = before[at]
        elif lost_copies:
            at = heads[g]
            o = shift(outlines, others.row[at], x, mates, room)
            m = x
            if o >= 0:
                before[at + 1] = before[at]
        else:
            continue
        if o >= 0:
            if downstream[m] >= 0:  # for want of its original the copy had passed for it
                downstream[o] = downstream[m]
                mates.claimed[downstream[m]] = o
                downstream[m] = -1
            mates.original[m] = o
            mates.signs[m] = COUNT | ORDER


@kernel
def given(outlines: Outlines, free: int, served: I64, used: I64, window: int) -> int:
    """The place in `served` of the first that was answered like `free` and not before it, -1 without one. served: in order of
    their answers."""
    times = outlines.times
    words = outlines.words
    serves = outlines.serves
    t = times[free, ANSWERED]
    a, b = 0, len(served)
    while a < b:
        mid = (a + b) >> 1
        if times[served[mid], ANSWERED] < t:
            a = mid + 1
        else:
            b = mid
    asked = times[free, ASKED] if times[free, ASKED] >= 0 else t
    looked = 0
    while a < len(served) and looked < LATEST and times[served[a], ANSWERED] <= t + window:
        d = served[a]
        if used[a] == 0:
            looked += 1
            mine = (
                words[free, SENDER] == serves[d, 0]
                or words[free, SENDER] == serves[d, 1]
                or words[free, SENDER] == serves[d, 2]
            )
            alike = times[free, ASKED] < 0 or times[d, ASKED] < 0 or words[free, TARGET] == words[d, TARGET]
            equal = (
                times[d, STATUS] == times[free, STATUS]
                and times[d, BYTES] == times[free, BYTES]
                and words[d, HASH] == words[free, HASH]
            )
            if mine and alike and equal and times[d, ASKED] <= asked:
                return a
        a += 1
    return -1


@kernel
def lent(outlines: Outlines, free: int, claimed: I64) -> int:
    """The downstream exchange with the same request as `free`, open while it was, whose own original was answered first; -1
    without one."""
    times = outlines.times
    words = outlines.words
    best = -1
    for d in range(max(0, free - NEAR), free):
        o = claimed[d]
        if (
            o >= 0
            and times[d, ASKED] >= 0
            and times[d, ANSWERED] >= times[free, ANSWERED]
            and words[o, SENDER] == words[free, SENDER]
            and words[d, METHOD] == words[free, METHOD]
            and words[d, TARGET] == words[free, TARGET]
            and (best < 0 or times[o, ANSWERED] < times[claimed[best], ANSWERED])
        ):
            best = d
    return best


@kernel
def serve(bare: I64, served: I64, used: I64, outlines: Outlines, mates: Mates, window: int, moves: I64) -> None:
    """Give originals without a downstream exchange the response that their proxy gave soon after theirs, if it is equal.

    A downstream exchange that was given to an earlier equal may be this one's: then that one is looked for. used: zeros,
    beside `served`. window: ns. moves: room for 2 * STEPS.
    """
    times = outlines.times
    downstream = mates.downstream
    claimed = mates.claimed
    steps = STEPS
    left = len(served)
    for j in range(len(bare)):
        free = bare[j]
        count = 0
        while steps > 0 and left > 0:
            steps -= 1
            at = given(outlines, free, served, used, window)
            if at >= 0:
                used[at] = 1
                left -= 1
                downstream[free] = served[at]
                claimed[served[at]] = free
                for k in range(count):
                    downstream[moves[2 * k]] = moves[2 * k + 1]
                    claimed[moves[2 * k + 1]] = moves[2 * k]
                break
            d = lent(outlines, free, claimed)
            if d < 0 or times[claimed[d], ANSWERED] >= times[free, ANSWERED]:
                break
            moves[2 * count] = free
            moves[2 * count + 1] = d
            count += 1
            free = claimed[d]
