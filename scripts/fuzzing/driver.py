"""Runs atheris target by target, each in a process of its own, and says what was tried and what was found."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fuzzing.minimise import minimise
from fuzzing.target import Target

CHILD = Path(__file__).parent / "child.py"
FUZZ = Path(__file__).resolve().parents[1] / "fuzz"
INPUTS = Path(__file__).resolve().parents[2] / "tests" / "fuzz_inputs"
LEAST = 3  # seconds that a target gets
GRACE = 300  # seconds beyond the limit until a run is ended: start, corpus, the compiler
COMPILED_PART = 4  # a quarter of the time goes to compiled kernels


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    targets: list[Target]
    seconds: int
    mode: str
    corpus: Path | None
    findings: Path
    jobs: int
    seed: int


@dataclass
class Ran:
    """What one run of one target came to."""

    target: Target
    mode: str
    inputs: int = 0
    seconds: float = 0.0
    corpus: int = 0
    coverage: int = 0
    found: list[Path] = field(default_factory=list)
    broken: str = ""  # why it did not run to its end, where no input is to blame


def run(plan: Plan) -> int:
    """Fuzz; 0 where nothing was found."""
    modes = ["plain", "compiled"] if plan.mode == "both" else [plan.mode]
    ran: list[Ran] = []
    with _folder(plan.corpus) as corpus:
        for mode in modes:
            share = plan.seconds / (COMPILED_PART if mode == "compiled" and len(modes) > 1 else 1)
            share = plan.seconds - plan.seconds / COMPILED_PART if mode == "plain" and len(modes) > 1 else share
            each = max(LEAST, int(share * plan.jobs / len(plan.targets)))
            with ThreadPoolExecutor(plan.jobs) as pool:
                for one in pool.map(lambda t, mode=mode, each=each: fuzz(t, mode, each, corpus, plan), plan.targets):
                    ran.append(one)
                    print(line(one), flush=True)
    return told(ran)


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def fuzz(target: Target, mode: str, seconds: int, corpus: Path, plan: Plan) -> Ran:
    """One run: the corpus is what earlier runs left, the seeds, and the inputs of the regression tests."""
    folder = corpus / target.name
    folder.mkdir(exist_ok=True)
    known = sorted((INPUTS / target.name).glob("*"))
    for seed in (*target.seeds(), *(path.read_bytes() for path in known)):
        (folder / hashlib.sha256(seed).hexdigest()[:20]).write_bytes(seed)
    one = Ran(target, mode)
    with tempfile.TemporaryDirectory() as artifacts:
        command = [
            sys.executable, str(CHILD), target.name, mode, f"-max_total_time={seconds}", f"-timeout={target.seconds}",
            f"-rss_limit_mb={target.megabytes}", f"-max_len={target.longest}", f"-artifact_prefix={artifacts}/",
            f"-seed={plan.seed}", "-print_final_stats=1", "-report_slow_units=3600", str(folder),
        ]  # fmt: skip
        env = {**os.environ, "NUMBA_BOUNDSCHECK": "1" if mode == "compiled" else "0"}
        begun = time.monotonic()
        try:
            done = subprocess.run(
                command, capture_output=True, env=env, timeout=seconds + GRACE + target.seconds, check=False
            )
            output, status = (done.stdout + done.stderr).decode(errors="replace"), done.returncode
        except subprocess.TimeoutExpired as error:
            output, status = (error.stderr or b"").decode(errors="replace"), -1
        one.seconds = time.monotonic() - begun
        _read(one, output)
        one.corpus = sum(1 for _ in folder.iterdir())
        left = sorted(Path(artifacts).iterdir())
        if status and not left:
            one.broken = output[-1500:] or f"status {status}"
        for path in left:
            if confirmed(target, mode, path):
                one.found.append(_keep(target, mode, path, plan.findings))
    return one


def confirmed(target: Target, mode: str, path: Path) -> bool:
    """Whether an input that took too long or too much memory does so alone too: on a busy machine the clock says little, and the
    fuzzer's own memory grows by some kilobytes with every input."""
    kind = path.name.partition("-")[0]
    if kind not in ("timeout", "oom"):
        return True
    command = [sys.executable, str(FUZZ), "--target", target.name, "--mode", mode, "--replay", str(path)]
    limit = target.seconds

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))

    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=bound)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode != 0 or usage.ru_maxrss >> 10 > target.megabytes


def _read(one: Ran, output: str) -> None:
    if match := re.search(r"stat::number_of_executed_units:\s+(\d+)", output):
        one.inputs = int(match[1])
    elif counts := re.findall(r"^#(\d+)\s", output, re.M):
        one.inputs = int(counts[-1])
    if covered := re.findall(r" cov: (\d+)", output):
        one.coverage = int(covered[-1])


def _keep(target: Target, mode: str, path: Path, findings: Path) -> Path:
    """Make the input smaller as long as it fails in the same way, and give it a name."""
    data = path.read_bytes()
    kind = path.name.split("-")[0]  # crash, timeout, oom, slow
    smaller, why = minimise(target.name, mode, data) if kind == "crash" else (data, kind)
    findings.mkdir(parents=True, exist_ok=True)
    kept = findings / f"{target.name}-{kind}-{hashlib.sha256(smaller).hexdigest()[:12]}"
    kept.write_bytes(smaller)
    print(f"FOUND {kept} ({len(data):,} -> {len(smaller):,} bytes): {why}")
    speed = " --mode compiled" if mode == "compiled" else ""
    prefix = "NUMBA_BOUNDSCHECK=1 " if mode == "compiled" else ""
    print(f"      again: {prefix}scripts/fuzz --target {target.name}{speed} --replay {kept}", flush=True)
    return kept


def line(one: Ran) -> str:
    """A run in a line."""
    what = f"{len(one.found)} found" if one.found else "DID NOT RUN" if one.broken else "nothing found"
    return (
        f"{one.target.name:10} {one.mode:8} {one.inputs:>9,} inputs {one.seconds:>7.0f} s  corpus {one.corpus:>6,}  "
        f"coverage {one.coverage:>6,}  {what}"
    )


def told(ran: list[Ran]) -> int:
    """The last lines, and the exit status."""
    for one in ran:
        if one.broken:
            print(f"\n{one.target.name} ({one.mode}) did not run to its end:\n{one.broken}")
    inputs, seconds = sum(r.inputs for r in ran), sum(r.seconds for r in ran)
    found = sum(len(r.found) for r in ran)
    print(f"fuzzed: {inputs:,} inputs in {seconds:,.0f} s, {found} {'finding' if found == 1 else 'findings'}")
    return 1 if found or any(r.broken for r in ran) else 0
