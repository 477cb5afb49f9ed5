"""The figures as tables: for the terminal, for BENCHMARKS.md, and the machine they were measured on."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench_measure import Run
from bench_tools import OURS

MARK = re.compile(r"<!-- bench: (?P<name>[a-z]+) -->\n.*?<!-- /bench -->", re.S)
TITLES = {
    "machine": "Machine",
    "compare": "Side by side",
    "goals": "Goals",
    "growth": "Growth",
    "special": "Loads that could be quadratic",
    "stages": "Time per stage",
}


def condense(runs: Sequence[Run], packets: int) -> dict[str, Any]:
    """Median, extremes and peak memory of several runs of one command. `failed` says why there are no figures."""
    bad = [run for run in runs if run.status != 0]
    if bad or not runs:
        why = "timed out" if any(run.timed_out for run in bad) else f"exit status {bad[0].status}" if bad else "not run"
        return {"packets": packets, "failed": why, "error": bad[0].error.strip()[-400:] if bad else ""}
    seconds = [run.seconds for run in runs]
    median = statistics.median(seconds)
    return {
        "packets": packets,
        "rounds": len(runs),
        "seconds": median,
        "fastest": min(seconds),
        "slowest": max(seconds),
        "cpu": statistics.median(run.cpu for run in runs),
        "packets_per_second": packets / median,
        "us_per_packet": median / packets * 1e6,
        "rss": max(run.rss for run in runs),
    }


def machine(versions: dict[str, str]) -> dict[str, Any]:
    """What a reader must know to compare; no names of hosts or users."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = sorted(set(re.findall(r"^model name\s*: (.*)$", text, re.M)))
    return {
        "processor": ", ".join(models) or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "load_before": os.getloadavg()[0],
        "versions": versions,
    }


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int]) -> str:
    """A Markdown table that reads well as plain text too."""
    cells = [list(heads), *[list(row) for row in rows]]
    width = [max(len(row[k]) for row in cells) for k in range(len(heads))]
    to_right = set(right)

    def line(row: Sequence[str]) -> str:
        shown = (c.rjust(w) if k in to_right else c.ljust(w) for k, (c, w) in enumerate(zip(row, width, strict=True)))
        return f"| {' | '.join(shown)} |"

    rule = "|".join("-" * (w + 1) + ":" if k in to_right else "-" * (w + 2) for k, w in enumerate(width))
    return "\n".join([line(cells[0]), f"|{rule}|", *map(line, cells[1:])])


def megabytes(value: float) -> str:
    return f"{value / 1e6:,.0f}"


def seconds(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def compare_table(rows: list[dict[str, Any]]) -> str:
    """Ratios are of the time per packet, to `inspect` on the same input."""
    base = {row["input"]: row for row in rows if row["tool"] == OURS and "failed" not in row}
    out = []
    for row in rows:
        if "failed" in row:
            figures = [row["failed"], "", "", ""]
        else:
            mine = base.get(row["input"])
            ratio = f"{row['us_per_packet'] / mine['us_per_packet']:.2f}" if mine else ""
            figures = [seconds(row["seconds"]), f"{row['packets_per_second']:,.0f}", megabytes(row["rss"]), ratio]
        out.append([row["input"], row["tool"], row["work"], f"{row['packets']:,}", *figures, row.get("found", "")])
    heads = ["input", "tool", "what it does", "packets", "seconds", "packets/s", "peak MB", "time ratio", "found"]
    return table(heads, out, range(3, 8))


def growth_table(rows: list[dict[str, Any]]) -> str:
    out = []
    first = next((row for row in rows if "failed" not in row), None)
    for row in rows:
        if "failed" in row or first is None:
            out.append([f"{row['times']}x", f"{row['packets']:,}", "", "", row["failed"], "", "", ""])
            continue
        counts = [f"{row[key]:,}" for key in ("packets", "connections", "mirrors")]
        relative = row["us_per_packet"] / first["us_per_packet"]
        figures = [seconds(row["seconds"]), f"{row['us_per_packet']:.2f}", f"{relative:.2f}", megabytes(row["rss"])]
        out.append([f"{row['times']}x", *counts, *figures])
    heads = ["input", "packets", "connections", "mirrors", "seconds", "µs/packet", "to the first", "peak MB"]
    return table(heads, out, range(1, 8))


def special_table(rows: list[dict[str, Any]]) -> str:
    out = []
    start = rows[0]["start"]
    for row in rows:
        small, large = row["small"], row["large"]
        times = large["packets"] / small["packets"]
        cells = [row["load"], f"{small['packets']:,}", small.get("failed") or seconds(small["seconds"])]
        cells += [f"{large['packets']:,}", large.get("failed") or seconds(large["seconds"])]
        if "failed" in small or "failed" in large:
            cells += ["", "", "", ""]
        else:
            ratio = (large["seconds"] - start) / max(small["seconds"] - start, 1e-3)
            cells += [f"{ratio:.1f} for {times:.1f}"]
            cells += [megabytes(small["rss"]), megabytes(large["rss"]), f"{large['mirrors']:,} of {row['mirrors']:,}"]
        out.append(cells)
    heads = ["load", "packets", "seconds", "packets", "seconds", "times as long", "peak MB", "peak MB", "mirrors found"]
    return table(heads, out, range(1, 9)) + f"\n\nTimes as long: without the {seconds(start)} s that a start takes."


def stages_table(rows: list[dict[str, Any]]) -> str:
    """Medians of the rounds, each stage on its own."""
    out = []
    packets = rows[0]["packets"]
    wall = statistics.median(row["wall"] for row in rows)
    for stage in rows[0]["stages"]:
        took = statistics.median(row["stages"][stage] for row in rows)
        out.append([stage, f"{took:.3f}", f"{took / wall:.0%}", f"{took / packets * 1e9:,.0f}"])
    out.append(["together", f"{wall:.3f}", "100%", f"{wall / packets * 1e9:,.0f}"])
    missing = "".join(f"\n\nNot found in the source, so not counted: {m}." for m in rows[0]["missing"])
    return table(["stage", "seconds", "share", "ns/packet"], out, (1, 2, 3)) + missing


def goals_table(rows: list[dict[str, Any]]) -> str:
    out = [[r["goal"], r["measured"], {True: "yes", False: "no", None: "not measured"}[r["met"]]] for r in rows]
    return table(["goal", "measured", "met"], out, ())


def machine_text(result: dict[str, Any]) -> str:
    m = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in m["versions"].items())
    return (
        f"{m['processor']}, {m['cores']} cores, {m['memory'] / 2**30:.0f} GiB, {m['system']}; load average before the "
        f"run {m['load_before']:.1f}.\n{versions}.\n\n"
        f"Measured {result['date']} at revision {result['revision']}; input {result['input']['name']}: "
        f"{result['input']['packets']:,} packets, {result['input']['bytes'] / 1e6:,.0f} MB, "
        f"tools in turn, rounds: {result['rounds']}.\n"
        f"First use (kernels compiled and cached): {result['first_use']['seconds']:.1f} s, "
        f"{megabytes(result['first_use']['rss'])} MB"
        + (" (the cache was warm already).\n" if result["first_use"]["warm"] else ".\n")
    )


def sections(result: dict[str, Any]) -> dict[str, str]:
    """The parts that were measured, by name, as Markdown."""
    makers = {
        "compare": compare_table,
        "goals": goals_table,
        "growth": growth_table,
        "special": special_table,
        "stages": stages_table,
    }
    out = {"machine": machine_text(result)}
    out.update({name: make(result[name]) for name, make in makers.items() if result.get(name)})
    return out


def text(result: dict[str, Any]) -> str:
    return "\n\n".join(f"## {TITLES[name]}\n\n{body.rstrip()}" for name, body in sections(result).items())


def write(path: Path, result: dict[str, Any]) -> list[str]:
    """Put each section between its marks in the file; the prose around stays. Returns the names written.

    Raises ValueError where a section has no place in the file.
    """
    page = path.read_text()
    parts = sections(result)
    places = {found["name"] for found in MARK.finditer(page)}
    if absent := sorted(set(parts) - places):
        raise ValueError(f"{path.name} has no place for {', '.join(absent)}: <!-- bench: NAME --> ... <!-- /bench -->")

    def fill(found: re.Match[str]) -> str:
        name = found["name"]
        return f"<!-- bench: {name} -->\n{parts[name].rstrip()}\n<!-- /bench -->" if name in parts else found[0]

    path.write_text(MARK.sub(fill, page))
    return sorted(parts)
