"""Where our time goes, as a program: bench_stages.py FILE [SECONDS_FILE].

The arrays' entry points are wrapped from outside, so what is measured is the source as it stands. A stage's time is its
own: what it calls in another stage counts there. Where a stage runs in a thread beside others, the sum exceeds the wall time.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

STAGES = [  # stage, module, what is wrapped ("." for a method); every public method of a class that ends in ".*"
    ("capture", "inspector.inspection.reading", "merge"),
    ("tcp", "inspector.tcp", "Tracker.*"),
    ("http", "inspector.http.parser", "Parser.*"),
    ("exchanges", "inspector.inspection.assemble", "Assembler.*"),
    ("mirrors", "inspector.mirror.pool", "Settler.step"),
    ("tally", "inspector.inspection.counts", "Tally.*"),
]
START, SAVED = "start and imports", "side by side"  # what no stage counts, less what the threads save


class Clock:
    """Time by stage, exclusive of stages called from it, over all threads."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.lock = threading.Lock()
        self.local = threading.local()

    def enter(self) -> None:
        stack = self.local.__dict__.setdefault("inner", [])
        stack.append(0.0)

    def leave(self, stage: str, took: float) -> None:
        stack = self.local.inner
        inner = stack.pop()
        if stack:
            stack[-1] += took
        with self.lock:
            self.spent[stage] += took - inner

    def function(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.enter()
            began = time.perf_counter()
            try:
                result = function(*args, **kwargs)
            finally:
                self.leave(stage, time.perf_counter() - began)
            return self.iterator(stage, result) if hasattr(result, "__next__") else result

        return timed

    def iterator(self, stage: str, items: Iterator[Any]) -> Iterator[Any]:
        step = self.function(stage, lambda: next(items, self))
        while (item := step()) is not self:
            yield item


def wrap(clock: Clock, stage: str, module: str, what: str) -> bool:
    """Replace a function, or methods of a class, by timed ones. False where the source has no such thing."""
    try:
        holder: Any = importlib.import_module(module)
    except ImportError:
        return False
    name, _, method = what.partition(".")
    if not hasattr(holder, name):
        return False
    if not method:
        setattr(holder, name, clock.function(stage, getattr(holder, name)))
        return True
    holder = getattr(holder, name)
    names = [n for n in vars(holder) if not n.startswith("_")] if method == "*" else [method]
    found = [n for n in names if callable(vars(holder).get(n)) and not isinstance(vars(holder)[n], type)]
    for each in found:
        setattr(holder, each, clock.function(stage, vars(holder)[each]))
    return bool(found)


def main(path: str) -> dict[str, Any]:
    began = time.perf_counter()
    inspection = importlib.import_module("inspector.inspection")
    clock = Clock()
    missing = [f"{module}:{what}" for stage, module, what in STAGES if not wrap(clock, stage, module, what)]
    ready = time.perf_counter()
    found = inspection.stream(path)
    for _ in found:
        pass
    packets = sum(capture.packets for capture in found.captures)
    wall = time.perf_counter() - began
    stages = {START: ready - began, **{stage: clock.spent[stage] for stage, _, _ in STAGES}}
    stages[SAVED] = wall - sum(stages.values())
    return {"wall": wall, "packets": packets, "stages": stages, "missing": missing}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
