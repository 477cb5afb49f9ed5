"""Rules of docs/proof.md are needed: without one the simulator finds wrong claims that it does not find with it.

Not shown here, for no claim went wrong within 500 cases: `carries`, `count`, `only giver`, `refused`, `retries`, `roles`, loss.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import lab_path
import pytest

if str(lab_path.SCRIPTS) not in sys.path:
    sys.path.append(str(lab_path.SCRIPTS))

from simulating.running import numbers, run

from inspector.kernels import kernel as kernels
from inspector.mirror import explain, find, judging, likeness, verdict

SEED = "rules"
Off = Callable[[pytest.MonkeyPatch], None]


def as_kernel(module: Any, name: str, instead: Callable[..., Any]) -> Off:
    """Another function in the place of a kernel, in every kernel that calls it."""

    def off(monkeypatch: pytest.MonkeyPatch) -> None:
        for other in (verdict, explain, likeness):
            for value in vars(other).values():
                if isinstance(value, kernels.Kernel):
                    monkeypatch.setattr(value, "_plain", None)  # made again, with what it calls now
        monkeypatch.setattr(getattr(module, name), "_plain", instead)

    return off


def instead_of(owner: Any, name: str, value: Any) -> Off:
    """Another function, or bound, in the place of one that Python calls."""
    return lambda monkeypatch: monkeypatch.setattr(owner, name, value)


class Without(NamedTuple):
    """How a rule is switched off, in which families and faults it shows, and as which wrong claim."""

    rule: str
    off: Off
    families: set[str]
    faults: set[str]
    kind: str
    cases: int = 25


RULES = [
    Without("time", as_kernel(verdict, "too_early", lambda *_: True), {"leak-cut", "leak-coded"}, {"none"}, "false time"),
    Without(
        "cause", as_kernel(verdict, "before_it_was_sent", lambda *_: True), {"leak-whole", "leak-status"}, set(),
        "false time", 40,
    ),
    Without("fields", as_kernel(verdict, "side", lambda *_: -1), {"leak-location", "leak-cookie"}, set(), "false discarded"),
    Without("own", as_kernel(verdict, "own_reply", lambda *_: True), {"leak-coded", "leak-cut"}, set(), "false delivered"),
    Without(
        "part", as_kernel(verdict, "fits_in_part", lambda *_: True), {"leak-cut", "leak-coded"}, {"loss", "lost-response"},
        "false discarded",
    ),
    Without(
        "every assignment: merge", as_kernel(verdict, "merge", lambda a, _: a), {"leak-foreign"}, {"lost-response"},
        "false discarded", 40,
    ),
    Without("elsewhere", instead_of(judging.Court, "_strays", lambda *_: None), {"leak-foreign"}, set(), "false discarded"),
    Without("checks", instead_of(find, "_checks", lambda _: None), {"authorization", "rate-limit"}, set(), "false mirror"),
]  # fmt: skip


def wrong(without: Without) -> int:
    """How many wrong claims of its kind the simulator finds."""
    chosen = numbers(SEED, without.cases, without.families, without.faults)
    return run(SEED, chosen, None, 1, lambda _: None).kinds[without.kind]


@pytest.mark.parametrize("without", RULES, ids=[w.rule for w in RULES])
def test_without_the_rule_claims_are_wrong(without: Without, monkeypatch: pytest.MonkeyPatch) -> None:
    was = kernels.compiled()
    kernels.use("plain")
    try:
        held = wrong(without)
        without.off(monkeypatch)
        assert wrong(without) > held
    finally:
        kernels.use("compiled" if was else "plain")
