"""What a perfect reader would say of a simulated case: views made from the truth, to be falsified one by one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from simulating.messages import Exchange
from simulating.truth import Truth


class Ideal:
    """Stands in for an inspection."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.summary = SimpleNamespace(share=None)
        self.views = [self._view(n, m) for n, m in enumerate((m for m in truth.mirrors if truth.held[m].request), 1)]

    def mirror_views(self) -> list[Any]:
        return self.views

    def leg(self, e: Exchange | None) -> Any:
        """An exchange as a view shows it."""
        if e is None or not (held := self.truth.held[e]).request:
            return None
        capture = held.request[0][0]
        return SimpleNamespace(
            id=e.number,
            capture=capture,
            method=e.request.method,
            path=e.request.target,
            request_packets=[n for f, n in held.request if f == capture],
            response_packets=[n for f, n in held.response if f == capture],
        )

    def _view(self, number: int, m: Exchange) -> Any:
        truth, t = self.truth, self.truth.group(m)
        leaked, held = bool(truth.leaked(m)), truth.held[m]
        here, gone = truth.arrival(m), truth.departure(t.downstream)
        late = here is not None and gone is not None and gone < here
        verdict = "leaked" if leaked else "discarded" if held.response else "unanswered"
        own = {"own": "proxy", "merged": "proxy", "nothing": "unknown", "gone": "unknown"}
        return SimpleNamespace(
            id=number,
            method=m.request.method,
            path=m.request.target,
            original=self.leg(truth.original(t)),
            mirror=self.leg(m),
            downstream=self.leg(t.downstream),
            paired_by=["content"],
            confidence=0.95,
            verdict=verdict,
            proof=[] if verdict != "discarded" else ["time"] if late else ["content"],
            reason=None,
            delivered=own.get(t.how)
            or ("mirror" if t.given is m else "original" if t.given in t.originals else "unknown"),
        )
