"""Runs cases through the product, as a user of its library would, and counts what comes out."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from simulating.cases import Case, make, plan
from simulating.check import Checked, Wrong, check
from simulating.truth import Truth


@dataclass
class Outcome:
    """Of one case; small enough to be sent from process to process."""

    index: int
    name: str
    family: str
    faults: list[str]
    checked: Checked
    seconds: float
    crash: str = ""


@dataclass
class Totals:
    """Of all cases."""

    cases: int = 0
    wrong_cases: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    families: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    faults: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    cells: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    ties: dict[int, list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0, 0])
    )  # pairs, right, sum of told
    cautious: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, o: Outcome) -> None:
        """Count a case."""
        c = o.checked
        self.cases += 1
        self.wrong_cases += bool(c.wrong)
        self.seconds += o.seconds
        self.kinds.update(w.kind for w in c.wrong)
        self.verdicts.update(c.verdicts)
        self.cautious.update(c.cautious)
        row = Counter(
            cases=1,
            wrong=len(c.wrong),
            wrong_cases=bool(c.wrong),
            mirrors=c.mirrors,
            missed=c.missed,
            missed_unmarked=c.missed_unmarked,
            unfounded=c.unfounded,
            candidates=c.candidates,
            right_candidates=c.right_candidates,
            definite=sum(v.split()[0] in ("discarded", "leaked") for v in c.verdicts),
            unproven=sum(v.startswith("unproven") for v in c.verdicts),
            listed=len(c.verdicts),
        )
        self.families[o.family].update(row)
        for f in o.faults:
            self.faults[f].update(row)
            self.cells[o.family, f].update(row)
        for told, right in c.ties:
            bin_ = self.ties[min(9, int(told * 10))]
            bin_[0] += 1
            bin_[1] += right
            bin_[2] += round(told * 100)


def judge(seed: str, index: int, keep: Path | None) -> Outcome:
    """Make a case, inspect it, and check what is said."""
    from inspector import CaptureError, inspect

    began = time.perf_counter()
    case = make(seed, index)
    truth = Truth(case)
    crash = ""
    try:
        checked = check(truth, inspect(*case.inputs()))
    except CaptureError:
        checked = Checked()  # nothing was left
    except Exception as error:
        checked, crash = Checked(wrong=[Wrong("crash", f"{type(error).__name__}: {error}")]), repr(error)
    if checked.wrong and keep is not None:
        write(case, truth, checked, keep)
    return Outcome(index, case.name, case.family, case.faults, checked, time.perf_counter() - began, crash)


def write(case: Case, truth: Truth, checked: Checked, keep: Path) -> None:
    """Captures and truth of a case, in a folder of its own."""
    folder = keep / f"{case.family}-{'-'.join(case.faults)}-{case.index}"
    folder.mkdir(parents=True, exist_ok=True)
    for n, data in enumerate(case.files(), 1):
        (folder / f"capture{n}.pcap").write_bytes(data)
    told = {**truth.as_data(), "wrong": [f"{w.kind}: {w.says}" for w in checked.wrong]}
    (folder / "truth.json").write_text(json.dumps(told, indent=1) + "\n")


def numbers(seed: str, cases: int, families: set[str], faults: set[str]) -> Iterator[int]:
    """The first numbers whose plan fits."""
    index = found = 0
    while found < cases and index < cases * 5000:
        family, chosen, _ = plan(seed, index)
        if (not families or family in families) and (not faults or faults & set(chosen)):
            found += 1
            yield index
        index += 1


def _job(what: tuple[str, int, Path | None]) -> Outcome:
    return judge(*what)


def run(seed: str, indices: Iterable[int], keep: Path | None, jobs: int, told: Callable[[Outcome], None]) -> Totals:
    """Judge them all; `told` hears of each."""
    totals = Totals()
    work = ((seed, i, keep) for i in indices)
    if jobs == 1:
        for w in work:
            totals.add(o := _job(w))
            told(o)
        return totals
    with get_context("spawn").Pool(jobs) as pool:
        for o in pool.imap(_job, work, chunksize=16):
            totals.add(o)
            told(o)
    return totals
