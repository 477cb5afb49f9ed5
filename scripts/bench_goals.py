"""What was promised, for a capture of 400,000 packets on two cores, beside what was measured on this input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench_tools import OURS

MIRRORS, PACKED = f"{OURS} --show-mirrors", f"{OURS} (zst)"
Place = tuple[str, str, str]  # input, tool, figure
SECONDS, TIMES, MEGABYTES = "s", "times", "MB"
GOALS: list[tuple[str, Place, Place | None, str, Callable[[float], bool]]] = [
    ("`inspect`: at most 2 s", ("1x", OURS, "seconds"), None, SECONDS, lambda v: v <= 2),
    (
        "tshark: at least 10 times its time",
        ("1x", "tshark", "seconds"),
        ("1x", OURS, "seconds"),
        TIMES,
        lambda v: v >= 10,
    ),
    ("at 4x: at least 30 times", ("4x", "tshark", "seconds"), ("4x", OURS, "seconds"), TIMES, lambda v: v >= 30),
    ("at 4x: no slower than tcpflow", ("4x", OURS, "seconds"), ("4x", "tcpflow", "seconds"), TIMES, lambda v: v <= 1),
    ("every mirror as ndjson: at most 4 s", ("1x", MIRRORS, "seconds"), None, SECONDS, lambda v: v <= 4),
    ("zst: at most 1.5 times plain", ("1x", PACKED, "seconds"), ("1x", OURS, "seconds"), TIMES, lambda v: v <= 1.5),
    ("peak memory: at most 300 MB", ("1x", OURS, "rss"), None, MEGABYTES, lambda v: v <= 300e6),
]
PACKETS = 400_000
MORE = 100e6  # bytes that a capture eight times as long may take more


def reached(result: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a goal: met is None where the run did not measure it. None at all for an input of another size."""
    if result["input"]["packets"] < PACKETS:
        return []
    at = {(row["input"], row["tool"]): row for row in result.get("compare", []) if "failed" not in row}

    def value(place: Place) -> float | None:
        row = at.get(place[:2])
        return None if row is None else float(row[place[2]])

    out: list[dict[str, Any]] = []
    for text, left, right, unit, met in GOALS:
        figure, base = value(left), value(right) if right else 1.0
        if figure is None or base is None:
            out.append({"goal": text, "measured": "", "met": None})
            continue
        ratio = figure / base
        shown = f"{ratio / 1e6:,.0f} MB" if unit == MEGABYTES else f"{ratio:.2f} {unit}"
        out.append({"goal": text, "measured": shown, "met": met(ratio)})
    return [*out, longer(result.get("growth", []))]


def longer(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Memory on a capture eight times as long."""
    rss = {row["times"]: row["rss"] for row in rows if "failed" not in row}
    goal = "peak memory at 8x: at most 100 MB more"
    if not {1, 8} <= set(rss):
        return {"goal": goal, "measured": "", "met": None}
    return {"goal": goal, "measured": f"{(rss[8] - rss[1]) / 1e6:+,.0f} MB", "met": rss[8] - rss[1] <= MORE}
