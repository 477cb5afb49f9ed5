"""Rounds, one after another, while captures arrive: each as soon as files that are new or have grown rest for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from inspector.batch.round import Plan, Round
from inspector.batch.units import Piece

REST = 2.0  # seconds without a change, after which a file is taken for complete
PAUSE = 1.0  # seconds between two looks at the folders


class Resting:
    """Knows since when a capture has not changed. A file that grows on after its rest is read again then."""

    def __init__(self, rest: float = REST) -> None:
        self.rest = rest
        self._seen: dict[str, tuple[str, float]] = {}
        self.waiting = False  # whether one was not ready at the last look

    def __call__(self, piece: Piece) -> bool:
        """Whether it may be read now."""
        now = time.monotonic()
        stamp, since = self._seen.get(piece.path, ("", now))
        if stamp != piece.stamp:
            known = not self._seen.get(piece.path)
            since = now - self._age(piece) if known else now
            self._seen[piece.path] = (piece.stamp, since)
        ready = now - since >= self.rest
        self.waiting |= not ready
        return ready

    def _age(self, piece: Piece) -> float:
        """How long ago the file was changed, by the clock of its times."""
        parts = piece.stamp.split("-")
        if len(parts) < 3 or not parts[1].isdigit():
            return 0.0
        return max(0.0, time.time() - int(parts[1]) / 1e9)


def watch(plan: Plan, once: Callable[[Plan], Round], ended: threading.Event, rest: float = REST) -> Round:
    """Rounds until `ended` is set; the last one. once: makes a round, and what follows from it."""
    resting = Resting(rest)
    plan = replace(plan, ready=resting)
    while True:
        last = once(plan)
        plan = replace(plan, force=False)
        if ended.wait(PAUSE):
            return last
