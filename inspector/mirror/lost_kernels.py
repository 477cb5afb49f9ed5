"""The inner loops of `lost`: lost requests stand in where a pair lacks a mate."""

from __future__ import annotations

from inspector.kernels.kernel import kernel
from inspector.table import I64, U32

NEAR = 1024  # exchanges, in order of time, among which equals in flight together are looked for
SHIFTS = 256  # pairs moved on for one lost request
STEPS = 512  # such moves in all for the downstream side, at one step of deciding
LATEST = 64  # requests without a mate that are looked at for one response
ORDER = 512  # tables.Sign.ORDER
COUNT = 128  # tables.Sign.COUNT
# columns of `times` and `words`: (n, 4), (n, 4)
ASKED, ANSWERED, STATUS, BYTES = range(4)
SENDER, METHOD, TARGET, HASH = range(4)


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
def shift(times: I64, words: I64, free: int, x: int, original: I64, found: U32, family: I64, moves: I64) -> int:
    """Pairs made by order alone, moved on by one so that an original sent before copy `x` was answered becomes free.

    Equals that were sent one after another are paired in order; where a copy's request was lost, later copies have taken
    the originals of earlier ones. Returns that original, or -1 (then nothing was moved). family, moves: room for as many
    rows as there are, and for 2 * SHIFTS.
    """
    size = 0
    for i in range(max(x - NEAR, 0), min(max(free + NEAR, 0), len(original))):
        if (
            original[i] >= 0
            and words[i, SENDER] == words[free, SENDER]
            and words[i, METHOD] == words[free, METHOD]
            and words[i, TARGET] == words[free, TARGET]
            and found[i] & ORDER != 0
        ):
            family[size] = i
            size += 1
    for count in range(SHIFTS):
        m = -1
        for k in range(size):
            i = family[k]
            if times[i, ASKED] >= times[free, ASKED] and (
                m < 0 or times[original[i], ASKED] < times[original[m], ASKED]
            ):
                m = i
        if m < 0 or times[original[m], ASKED] >= times[free, ASKED]:
            return -1
        moves[2 * count] = m
        moves[2 * count + 1] = free
        free = original[m]
        if times[free, ASKED] <= times[x, ANSWERED]:
            for k in range(count + 1):
                original[moves[2 * k]] = moves[2 * k + 1]
            return free
    return -1


@kernel
def couple(
    orphans: I64, groups: I64, others: I64, begins: I64, heads: I64, before: I64, times: I64, words: I64, original: I64,
    found: U32, downstream: I64, claimed: I64, window: int, lost_copies: bool, family: I64, moves: I64,
) -> None:  # fmt: skip
    """Pair orphans with requests of the same proxy that lack a mate: the latest sent before the orphan was answered.

    groups: of each orphan the number of its proxy, -1 where that has none of `others`. others: by proxy and in order of
    time within one; those of proxy g begin at begins[g], and so do heads. before: as in `earlier_unused`, all unused.
    """
    for j in range(len(orphans)):
        x = orphans[j]
        g = groups[j]
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
            if times[others[mid], ASKED] <= times[x, ANSWERED]:
                a = mid + 1
            else:
                b = mid
        at = earlier_unused(before, a - 1) if a > low else -1
        if at >= low and times[x, ANSWERED] - times[others[at], ASKED] <= window:
            for _ in range(LATEST - 1):
                further = earlier_unused(before, at - 1) if at > low else -1
                if further < low or times[x, ANSWERED] - times[others[further], ASKED] > window:
                    break
                at = further
            o = others[at] if lost_copies else x
            m = x if lost_copies else others[at]
            before[at + 1] = before[at]
        elif lost_copies:
            at = heads[g]
            o = shift(times, words, others[at], x, original, found, family, moves)
            m = x
            if o >= 0:
                before[at + 1] = before[at]
        else:
            continue
        if o >= 0:
            if downstream[m] >= 0:  # for want of its original the copy had passed for it
                downstream[o] = downstream[m]
                claimed[downstream[m]] = o
                downstream[m] = -1
            original[m] = o
            found[m] = COUNT | ORDER


@kernel
def given(times: I64, words: I64, serves: I64, free: int, served: I64, used: I64, window: int) -> int:
    """The place in `served` of the first that was answered like `free` and not before it, -1 without one. served: in order of
    their answers. serves: (n, 3), the addresses by which the proxy may have been asked."""
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
def lent(times: I64, words: I64, free: int, claimed: I64) -> int:
    """The downstream exchange with the same request as `free`, open while it was, whose own original was answered first; -1
    without one."""
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
def serve(
    bare: I64, served: I64, used: I64, times: I64, words: I64, serves: I64, downstream: I64, claimed: I64, window: int,
    moves: I64,
) -> None:  # fmt: skip
    """Give originals without a downstream exchange the response that their proxy gave soon after theirs, if it is equal.

    A downstream exchange that was given to an earlier equal may be this one's: then that one is looked for. used: zeros,
    beside `served`. moves: room for 2 * STEPS.
    """
    steps = STEPS
    left = len(served)
    for j in range(len(bare)):
        free = bare[j]
        count = 0
        while steps > 0 and left > 0:
            steps -= 1
            at = given(times, words, serves, free, served, used, window)
            if at >= 0:
                used[at] = 1
                left -= 1
                downstream[free] = served[at]
                claimed[served[at]] = free
                for k in range(count):
                    downstream[moves[2 * k]] = moves[2 * k + 1]
                    claimed[moves[2 * k + 1]] = moves[2 * k]
                break
            d = lent(times, words, free, claimed)
            if d < 0 or times[claimed[d], ANSWERED] >= times[free, ANSWERED]:
                break
            moves[2 * count] = free
            moves[2 * count + 1] = d
            count += 1
            free = claimed[d]
