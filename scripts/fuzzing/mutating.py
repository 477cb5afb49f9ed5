"""Runs of `scripts/mutate`: a worker inspects one damaged capture after another, and is started again where one kills it."""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
import random
import resource
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzzing import contradiction, mutations
from fuzzing.target import signature
from inspector.kernels import kernel

SECONDS = 20  # of the processor that one capture may take
PATIENCE = 6  # times as long by the clock: the machine may be busy
MEMORY = 2 << 30  # bytes of address space that inspecting may add
GROWTH = 400 << 20  # bytes by which the process may have grown when all is done
MUTATE = Path(__file__).resolve().parents[1] / "mutate"


def made(seed: int, number: int) -> tuple[contradiction.Truth, mutations.Mutant]:
    """Damaged capture `number` of a seed."""
    dice = random.Random(f"{seed}:{number}")
    t = contradiction.truth(dice.choice(contradiction.names()))
    return t, mutations.mutant(t.original, dice)


def judged(seed: int, number: int) -> tuple[dict[str, Any], mutations.Mutant]:
    """What one came to, as what is told to the parent."""
    t, mutant = made(seed, number)
    out: dict[str, Any] = {"number": number, "capture": t.original.name, "what": mutant.what}
    begun = time.process_time()  # the machine may be busy
    try:
        out |= dataclasses.asdict(contradiction.judge(t, mutant))
    except Exception as error:  # whatever it is: it is what is looked for
        out["found"] = [f"{signature(error)}: {str(error)[:200]}"]
    out["seconds"] = time.process_time() - begun
    return out, mutant


def work(seed: int, first: int, mode: str, keep: Path | None) -> None:
    """The worker: a line before each capture, and one after it."""
    kernel.use(mode)
    contradiction.names()
    size = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        if os.path.exists("/proc/self/statm")
        else 0
    )
    if size and mode == "plain":  # the compiler may want more
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    number = first
    while True:
        print(json.dumps({"begins": number}), flush=True)
        faulthandler.dump_traceback_later(PATIENCE * SECONDS, exit=True)
        out, mutant = judged(seed, number)
        faulthandler.cancel_dump_traceback_later()
        out["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        if out["found"] and keep is not None:
            kept(seed, number, keep, mutant.data)
        print(json.dumps(out), flush=True)
        number += 1


def kept(seed: int, number: int, folder: Path, data: bytes) -> None:
    """Write a damaged capture, and the one it was made of."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"mutant-{seed}-{number}.pcap").write_bytes(data)
    (folder / f"mutant-{seed}-{number}-undamaged.pcap").write_bytes(made(seed, number)[0].original.data)


def again(seed: int, number: int, mode: str, keep: Path | None) -> int:
    """One of them once more, here."""
    kernel.use(mode)
    if keep is not None:
        kept(seed, number, keep, made(seed, number)[1].data)
    out, _ = judged(seed, number)
    print(json.dumps(out, indent=2))
    return 1 if out["found"] else 0


def lines(seed: int, first: int, mode: str, keep: Path | None, until: float) -> Iterator[dict[str, Any]]:
    """What a worker says from capture `first` on, until its end; {} where it said nothing for too long."""
    command = [sys.executable, str(MUTATE), "--worker", str(first), "--seed", str(seed), "--mode", mode]
    if keep is not None:
        command += ["--keep", str(keep)]
    env = {**os.environ, "NUMBA_BOUNDSCHECK": "1" if mode == "compiled" else "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        try:
            while time.monotonic() < until:
                if not select.select([worker.stdout], [], [], 2 * PATIENCE * SECONDS)[0]:
                    yield {}
                    return
                line = worker.stdout.readline()
                if not line:
                    yield {"died": worker.stderr.read().decode(errors="replace")[-1500:]}
                    return
                yield json.loads(line)
        finally:
            worker.kill()


def killed(seed: int, number: int, mode: str, why: str) -> list[str]:
    """What is to be said of a capture that ended a worker: nothing where, alone, it needs no more than its time."""
    command = [sys.executable, str(MUTATE), "--only", str(number), "--seed", str(seed), "--mode", mode]

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))

    done = subprocess.run(command, capture_output=True, preexec_fn=bound, check=False)
    return [f"the process ended: {why}"] if done.returncode else []


def run(seed: int, count: int, seconds: int, mode: str, keep: Path | None) -> int:
    """As many as asked for; 0 where nothing was found."""
    begun = time.monotonic()
    totals: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    slowest = peak = start = 0.0
    number, findings = 0, 0
    while number < count and time.monotonic() < begun + seconds:
        for told in lines(seed, number, mode, keep, begun + seconds):
            if "begins" in told:
                number = told["begins"]
                if number >= count:
                    break
                continue
            if not told or "died" in told:
                told = {
                    "number": number,
                    "what": "?",
                    "found": killed(seed, number, mode, str(told.get("died", "it hung"))),
                }
            found = told["found"]
            for sentence in found:
                findings += 1
                print(f"FOUND {told['number']} ({told.get('capture', '?')}, {told['what']}): {sentence}")
                print(f"      again: scripts/mutate --seed {seed} --only {told['number']} --keep findings", flush=True)
            totals.update(
                {k: int(told.get(k, 0)) for k in ("mirrors", "same", "weaker", "gained", "skipped", "refused")}
            )
            kinds[told["what"].partition("+")[0]] += 1
            slowest = max(slowest, told.get("seconds", 0))
            start = start or told.get("peak", 0)
            peak = max(peak, told.get("peak", 0))
            number += 1
    if peak > start + GROWTH:
        findings += 1
        print(f"FOUND the process grew from {start / 2**20:.0f} to {peak / 2**20:.0f} MiB")
    print(
        f"damaged captures: {sum(kinds.values()):,} in {time.monotonic() - begun:,.0f} s ({mode} kernels, seed {seed})"
    )
    print("  by kind: " + ", ".join(f"{name} {n:,}" for name, n in sorted(kinds.items())))
    print(
        f"  mirrors in them {totals['mirrors']:,}: {totals['same']:,} with the verdict of the undamaged capture, "
        f"{totals['weaker']:,} unproven or unanswered, {totals['gained']:,} definite where it was unproven, "
        f"{totals['skipped']:,} that forged packets have to do with; refused as no capture: {totals['refused']:,} files"
    )
    print(f"  slowest {slowest:.1f} s, largest process {peak / 2**20:.0f} MiB; findings: {findings}")
    return 1 if findings else 0
