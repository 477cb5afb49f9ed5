#!/usr/bin/env python3
"""Measures `inspect` beside other tools, its growth, loads that could be quadratic, and its stages.

    python scripts/bench.py                          everything, about a quarter of an hour
    python scripts/bench.py --quick                  a small run, to see that all of it works
    python scripts/bench.py CAPTURE --only compare   with a capture of yours (pcap, Ethernet or SLL2)
    python scripts/bench.py --write BENCHMARKS.md    and put the tables into the page

Tools run in turn, round by round, so that a change of the machine's mood falls on all of them; medians are shown.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_goals as goals
import bench_made as made
import bench_report as report
import bench_tools as tools
from bench_inputs import Recorded, choose, compress
from bench_measure import Run, measure
from bench_tools import ETHERNET, PACKED, PLAIN, ROOT, SLICE, Tool

PARTS = ("compare", "growth", "special", "stages")
GROWTH, QUICK_GROWTH = (1, 4, 8, 16), (1, 2, 4)
QUICK_PACKETS = 60_000
TIMEOUT = 900.0  # seconds a run may take
REVERSED = 48  # packets turned round together


class Bench:
    """One benchmark: its inputs in a folder, its figures in `result`."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.rounds: int = options.rounds
        path, self.times = choose(ROOT) if options.capture is None else (options.capture, 1)
        self.say(f"input {path.name}, {self.times} times")
        self.recorded = Recorded(path, QUICK_PACKETS if options.quick else None)
        self.packets = len(self.recorded) * self.times
        self.cache: Path = options.cache or folder / "kernels"
        self.env = tools.environment(self.cache, self.times > 1)
        self.result: dict[str, Any] = {
            "date": datetime.date.today().isoformat(),
            "revision": revision(),
            "machine": report.machine(tools.versions()),
            "input": {
                "name": path.name + (f" ({self.times} times)" if self.times > 1 else ""),
                "packets": self.packets,
            },
            "rounds": self.rounds,
        }
        self.base = self.make(1)
        self.result["input"]["bytes"] = self.base.stat().st_size

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def make(self, times: int, form: str = PLAIN) -> Path:
        """The input `times` times as long, in one of its forms. Made once."""
        path = self.folder / f"{form}-{times}.pcap{'.zst' if form == PACKED else ''}"
        if path.exists():
            return path
        if form == PACKED:
            compress(self.make(times), path)
        else:
            self.recorded.write(path, times * self.times, ethernet=form == ETHERNET)
        return path

    def cut(self, packets: int) -> tuple[Path, int]:
        """The first packets of the input, and how many there are."""
        path = self.folder / f"first-{packets}.pcap"
        part = Recorded(self.base, packets)
        part.write(path)
        return path, len(part)

    def run(self, command: list[str], env: dict[str, str] | None) -> tuple[Run, Path]:
        return measure(command, output := self.folder / "stdout", env, self.options.timeout), output

    def ready(self, source: Path) -> None:
        """What earlier runs wrote is on the disk and the input is in memory, so that each tool finds the same."""
        os.sync()
        with source.open("rb", buffering=0) as file:
            while file.read(1 << 20):
                pass

    def first_use(self) -> None:
        """The first run, which compiles the kernels unless the cache has them."""
        self.say("first use: kernels are compiled")
        before = sum(1 for _ in self.cache.rglob("*"))
        run, _ = self.run(tool_on(tools.inspector("--show-mirrors", "--format", "ndjson"), self.base), self.env)
        if run.status:
            raise SystemExit(f"inspect fails on the input: {run.error}")
        warm = before > 0 and before == sum(1 for _ in self.cache.rglob("*"))
        self.result["first_use"] = {"seconds": run.seconds, "rss": run.rss, "warm": warm}
        # What that run did not need.
        run, _ = self.run([sys.executable, "-m", "inspector", "doctor", "--warm"], self.env)
        if run.status:
            raise SystemExit(f"inspect doctor --warm fails: {run.error}")

    def compare(self) -> None:
        """At 1x every tool; at 4x those that come near."""
        listed = tools.ours(self.env) + tools.others()
        if self.options.tools:
            listed = [tool for tool in listed if tool.name.split()[0] in self.options.tools]
        rows = self._compare(1, listed)
        if not self.options.quick:
            near = [tool for tool in listed if tool.name in (tools.OURS, "tshark", "tcpflow")]
            rows += self._compare(4, near)
        self.result["compare"] = rows

    def _compare(self, times: int, listed: list[Tool]) -> list[dict[str, Any]]:
        sources = {}
        for tool in listed:
            cut = min(tool.slice, 2000) if self.options.quick else tool.slice
            where = self.cut(cut) if tool.form == SLICE else (self.make(times, tool.form), self.packets * times)
            sources[tool.name] = where
        runs: dict[str, list[Run]] = {tool.name: [] for tool in listed}
        found: dict[str, str] = {}
        for turn in range(self.rounds):
            for tool in listed:
                if any(run.timed_out for run in runs[tool.name]):
                    continue
                self.say(f"{times}x, round {turn + 1} of {self.rounds}: {tool.name}")
                out = self.folder / "out"
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                self.ready(sources[tool.name][0])
                run, output = self.run(tool.filled(sources[tool.name][0], out), tool.environment)
                runs[tool.name].append(run)
                if run.status == 0 and tool.name not in found:
                    found[tool.name] = tool.found(output, out)
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        return [
            {
                "input": f"{times}x",
                "tool": tool.name,
                "work": tool.work,
                "found": found.get(tool.name, ""),
                **report.condense(runs[tool.name], sources[tool.name][1]),
            }
            for tool in listed
        ]

    def counted(self, source: Path, packets: int, env: dict[str, str], rounds: int) -> dict[str, Any]:
        """Our figures on one input, with the numbers of the summary."""
        runs, numbers = [], {}
        for _ in range(rounds):
            self.ready(source)
            run, output = self.run(tool_on(tools.inspector("--json"), source), env)
            runs.append(run)
            if run.status:
                break
            numbers = tools.counts(output)
        return {**report.condense(runs, packets), **numbers}

    def growth(self) -> None:
        rows = []
        for times in self.options.growth or (QUICK_GROWTH if self.options.quick else GROWTH):
            self.say(f"growth: {times}x")
            source = self.make(times)
            rows.append({"times": times, **self.counted(source, self.packets * times, self.env, self.rounds)})
            if times > 1:
                source.unlink()
        self.result["growth"] = rows

    def special(self) -> None:
        """Each load at two sizes: what is linear takes as many times longer as it has more packets."""
        n = 5_000 if self.options.quick else 25_000
        spread = max(n // 100, 1)
        scans = 50_000 if self.options.quick else 2_500_000
        loads: list[tuple[str, int, int, Callable[[Path, int], None]]] = [
            ("different requests", 1, n, lambda p, k: made.mirrored(p, k, spread)),
            ("identical requests", 1, n, lambda p, k: made.mirrored(p, k, spread, identical=True)),
            (
                "identical, without ids",
                1,
                n,
                lambda p, k: made.mirrored(p, k, spread, identical=True, request_id=False),
            ),
            ("one connection", 1, n, lambda p, k: made.mirrored(p, k, 1)),
            ("one connection, out of order", 1, n, turned_round),
            ("scan: a SYN each", 0, scans, made.scan),
            ("scan: a request each", 0, scans // 5, lambda p, k: made.scan(p, k, payload=True)),
        ]
        env = {**self.env, "INSPECTOR_KERNELS": "compiled"}
        source = self.folder / "made.pcap"
        made.mirrored(source, 1, 1)
        self.counted(source, packets_in(source), env, 1)
        start = self.counted(source, packets_in(source), env, 1).get("seconds", 0.0)
        rows = []
        for name, mirrors, size, make in loads:
            row: dict[str, Any] = {"load": name, "mirrors": 4 * size * mirrors, "start": start}
            for which, count in (("warm", size // 5), ("small", size), ("large", 4 * size)):
                self.say(f"{name}: {count:,}" + (", to warm up" if which == "warm" else ""))
                make(source, count)
                packets = packets_in(source) if mirrors else count
                row[which] = self.counted(source, packets, env, 1)
                source.unlink()
            rows.append(row)
        self.result["special"] = rows

    def stages(self) -> None:
        rows = []
        for turn in range(self.rounds):
            self.say(f"stages, round {turn + 1} of {self.rounds}")
            program = str(tools.SCRIPTS / "bench_stages.py")
            run, output = self.run([sys.executable, program, str(self.base)], self.env)
            if run.status:
                raise SystemExit(f"bench_stages.py fails: {run.error}")
            rows.append(json.loads(output.read_text()))
        self.result["stages"] = rows


def tool_on(command: list[str], source: Path) -> list[str]:
    return [part.replace("{input}", str(source)) for part in command]


def turned_round(path: Path, transactions: int) -> None:
    made.mirrored(path, transactions, 1)
    Recorded(path).write_reversed(path, REVERSED)


def packets_in(path: Path) -> int:
    return len(Recorded(path))


def revision() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def numbers(value: str) -> list[int]:
    return [int(part) for part in value.split(",")]


def arguments(args: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "capture", nargs="?", type=Path, help="default: the load test's recording, else one in captures/"
    )
    parser.add_argument("--rounds", type=int, help="default: 3, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PACKETS:,} packets, small loads, one round")
    parser.add_argument("--only", type=lambda v: v.split(","), default=list(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--tools", type=lambda v: v.split(","), help="of those installed, inspect included")
    parser.add_argument("--growth", type=numbers, help=f"default: {','.join(map(str, GROWTH))}")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds a run may take (default: %(default)s)")
    parser.add_argument(
        "--cache", type=Path, help="folder of compiled kernels (default: a new one, which is then timed)"
    )
    parser.add_argument(
        "--temp", type=Path, help="where the inputs are made: ten times the capture's size must be free"
    )
    parser.add_argument("--json", action="store_true", help="all figures as JSON on standard output")
    parser.add_argument(
        "--write", type=Path, metavar="BENCHMARKS.md", help="put the tables between the marks of this page"
    )
    options = parser.parse_args(args)
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"--only: no part {', '.join(sorted(unknown))}")
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def main(args: list[str] | None = None) -> dict[str, Any]:
    options = arguments(args)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.temp) as folder:
        bench = Bench(options, Path(folder))
        bench.first_use()
        for part in PARTS:
            if part in options.only:
                getattr(bench, part)()
    bench.result["goals"] = goals.reached(bench.result)
    print(json.dumps(bench.result, indent=1) if options.json else report.text(bench.result))
    if options.write:
        report.write(options.write, bench.result)
    return bench.result


if __name__ == "__main__":
    main()
