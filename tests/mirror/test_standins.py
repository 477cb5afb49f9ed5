"""The inner loops for lost requests against a dull reference that looks at every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inspector.kernels import kernel
from inspector.mirror import lost_kernels as at
from inspector.mirror.layout import Grouped, Mates

WINDOW = 40


class World:
    """A few dozen exchanges of two proxies, in order of time; some lack their request."""

    def __init__(self, seed: int) -> None:
        r = np.random.default_rng(seed)
        n = self.n = int(r.integers(8, 40))
        asked = np.sort(r.integers(0, 120, n))
        answered = asked + r.integers(0, 30, n)
        asked[r.random(n) < 0.25] = -1
        order = np.argsort(np.where(asked >= 0, asked, answered), kind="stable")
        self.times = np.stack([asked, answered, r.integers(200, 202, n), r.integers(0, 2, n)], axis=1)[order].astype(
            np.int64
        )
        self.words = np.stack([r.integers(0, k, n) for k in (2, 1, 2, 2)], axis=1).astype(np.int64)
        self.serves = r.integers(0, 3, (n, 3)).astype(np.int64)
        self.original, self.downstream, self.claimed = (np.full(n, -1, np.int64) for _ in range(3))
        self.found = np.zeros(n, np.uint32)
        known = np.flatnonzero(self.times[:, at.ASKED] >= 0)
        mates = r.permutation(known)
        for m, o in zip(mates[::3].tolist(), mates[1::3].tolist(), strict=False):
            self.original[m], self.found[m] = o, at.ORDER
        for o, d in zip(mates[1::3].tolist(), mates[2::3].tolist(), strict=False):
            if r.random() < 0.6:
                self.downstream[o], self.claimed[d] = d, o
        self.orphans = np.flatnonzero(self.times[:, at.ASKED] < 0)
        self.orphans = self.orphans[np.argsort(self.times[self.orphans, at.ANSWERED], kind="stable")]
        taken = set(self.original.tolist())
        self.others = np.array([i for i in known.tolist() if self.original[i] < 0 and i not in taken], np.int64)

    @property
    def outlines(self) -> at.Outlines:
        return at.Outlines(self.times, self.words, self.serves)

    @property
    def mates(self) -> Mates:
        return Mates(self.original, self.found, self.downstream, self.claimed, np.zeros(self.n, np.int64))

    def links(self) -> list[list[int]]:
        return [a.tolist() for a in (self.original, self.found, self.downstream, self.claimed)]


def shifted(w: World, free: int, x: int) -> int:
    alike = w.words[:, : at.TARGET + 1]
    family = [
        i for i in range(max(x - at.NEAR, 0), min(free + at.NEAR, w.n))
        if w.original[i] >= 0 and (alike[i] == alike[free]).all() and w.found[i] & at.ORDER
    ]  # fmt: skip
    asked = w.times[:, at.ASKED].tolist()
    moves: list[tuple[int, int]] = []
    for _ in range(at.SHIFTS):
        fits = [i for i in family if asked[i] >= asked[free]]
        if not fits:
            return -1
        m = min(fits, key=lambda i: asked[int(w.original[i])])
        earlier = int(w.original[m])
        if asked[earlier] >= asked[free]:
            return -1
        moves.append((m, free))
        free = earlier
        if asked[free] <= w.times[x, at.ANSWERED]:
            for copy, to in moves:
                w.original[copy] = to
            return free
    return -1


def coupled(w: World, lost_copies: bool) -> None:
    unused = sorted(w.others.tolist(), key=lambda i: int(w.times[i, at.ASKED]))
    for x in w.orphans.tolist():
        mine = [i for i in unused if w.words[i, at.SENDER] == w.words[x, at.SENDER]]
        answer = int(w.times[x, at.ANSWERED])
        before = [i for i in mine if w.times[i, at.ASKED] <= answer][-at.LATEST :]
        near = [i for i in before if answer - w.times[i, at.ASKED] <= WINDOW]
        if near:
            pick = near[0]
            o, m = (pick, x) if lost_copies else (x, pick)
        elif lost_copies and mine:
            pick, m = mine[0], x
            o = shifted(w, pick, x)
        else:
            continue
        if o >= 0:
            unused.remove(pick)
            d = int(w.downstream[m])
            if d >= 0:
                w.downstream[o], w.claimed[d], w.downstream[m] = d, o, -1
            w.original[m], w.found[m] = o, at.COUNT | at.ORDER


def served_by(w: World, bare: list[int], served: list[int]) -> None:
    t, words, left, steps = w.times.tolist(), w.words.tolist(), list(served), at.STEPS

    def gives(o: int, d: int) -> bool:
        when = t[o][at.ANSWERED]
        asked = t[o][at.ASKED] if t[o][at.ASKED] >= 0 else when
        alike = t[o][at.ASKED] < 0 or t[d][at.ASKED] < 0 or words[o][at.TARGET] == words[d][at.TARGET]
        equal = t[o][2:] == t[d][2:] and words[o][at.HASH] == words[d][at.HASH]
        return words[o][at.SENDER] in w.serves[d].tolist() and alike and equal and t[d][at.ASKED] <= asked

    for o in bare:
        free, moves = o, []
        while steps and left:
            steps -= 1
            when = t[free][at.ANSWERED]
            d = next((d for d in left if when <= t[d][at.ANSWERED] <= when + WINDOW and gives(free, d)), -1)
            if d >= 0:
                left.remove(d)
                for x, to in [*moves, (free, d)]:
                    w.downstream[x], w.claimed[to] = to, x
                break
            lent = [
                d for d in range(free)
                if w.claimed[d] >= 0 and t[d][at.ASKED] >= 0 and t[d][at.ANSWERED] >= when
                and words[int(w.claimed[d])][at.SENDER] == words[free][at.SENDER]
                and words[d][at.METHOD : at.TARGET + 1] == words[free][at.METHOD : at.TARGET + 1]
            ]  # fmt: skip
            lent.sort(key=lambda d: t[int(w.claimed[d])][at.ANSWERED])
            if not lent or t[int(w.claimed[lent[0]])][at.ANSWERED] >= when:
                break
            moves.append((free, lent[0]))
            free = int(w.claimed[lent[0]])


@pytest.fixture(params=["plain", "compiled"])
def speed(request: pytest.FixtureRequest) -> Any:
    before = kernel.compiled()
    kernel.use(request.param)
    yield
    kernel.use("compiled" if before else "plain")


@pytest.mark.parametrize("lost_copies", [False, True])
def test_couple_is_the_dull_reference(speed: None, lost_copies: bool) -> None:
    moved = 0
    for seed in range(150):
        one, two = World(seed), World(seed)
        coupled(two, lost_copies)
        senders = sorted({int(one.words[i, at.SENDER]) for i in one.others})
        others = np.array(
            sorted(one.others.tolist(), key=lambda i: (one.words[i, at.SENDER], one.times[i, at.ASKED])), np.int64
        )
        sizes = [sum(int(one.words[i, at.SENDER]) == s for i in others) for s in senders]
        begins = np.cumsum([0, *sizes]).astype(np.int64)
        groups = np.array(
            [{s: g for g, s in enumerate(senders)}.get(int(one.words[x, 0]), -1) for x in one.orphans], np.int64
        )
        before = one.links()
        queues = at.Queues(others, begins, begins[:-1].copy(), np.arange(-1, len(others)))
        room = at.Shifts(np.empty(one.n, np.int64), np.empty(2 * at.SHIFTS, np.int64))
        at.couple(Grouped(one.orphans, groups), queues, one.outlines, one.mates, WINDOW, lost_copies, room)
        assert one.links() == two.links(), seed
        moved += one.links() != before
    assert moved > 50


def test_serve_is_the_dull_reference(speed: None) -> None:
    moved = 0
    for seed in range(200):
        one, two = World(seed), World(seed)
        answered = one.times[:, at.ANSWERED].tolist()
        bare = sorted({int(o) for o in one.original if o >= 0 and one.downstream[o] < 0}, key=answered.__getitem__)
        free = [i for i in range(one.n) if one.claimed[i] < 0 and one.downstream[i] < 0 and one.original[i] < 0]
        served = sorted(free, key=answered.__getitem__)
        served_by(two, bare, served)
        before = one.links()
        rows, gives = np.array(bare, np.int64), np.array(served, np.int64)
        used, moves = np.zeros(len(served), np.int64), np.empty(2 * at.STEPS, np.int64)
        at.serve(rows, gives, used, one.outlines, one.mates, WINDOW, moves)
        assert one.links() == two.links(), seed
        moved += one.links() != before
    assert moved > 30
