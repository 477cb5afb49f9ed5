"""What is advised fits what was seen: a larger buffer where bytes were lost, and nowhere else."""

from __future__ import annotations

import pytest
from render_samples import exchange, mirror

from inspector.render.explain import steps
from inspector.views.objects import ExchangeView, GapView

LOST = exchange(gaps=[GapView("response", 100, "lost")], complete=False)
CUT = exchange(gaps=[GapView("response", 100, "snaplen")], complete=False)
SILENT = exchange(status=None, response_packets=[], response_time=None, response_end_time=None, complete=False)
CASES = {
    "lost": (LOST, "A capture without loss: a larger buffer (tcpdump -B 65536) or a narrower filter."),
    "open": (exchange(complete=False), "A capture that goes on until all responses have ended."),
    "cut": (CUT, "A capture that goes on until all responses have ended."),
    "silent": (SILENT, "A capture that holds the client's answer: one that goes on longer, or loses no packets."),
}


@pytest.mark.parametrize("name", CASES)
def test_what_would_settle_a_gap(name: str) -> None:
    downstream, advice = CASES[name]
    told = steps(mirror(verdict="unproven", proof=[], reason="gap", downstream=downstream))
    assert told[-1].says == (advice,)
    assert ("were lost" in " ".join(told[-2].says)) == (name == "lost")


ADVICE = {
    "snaplen": "-s 0",
    "encrypted": "in clear",
    "no-downstream-leg": "client's leg",
    "mid-stream": "before the traffic",
}


@pytest.mark.parametrize(
    "reason", ["no-downstream-leg", "encrypted", "gap", "snaplen", "mid-stream", "original-not-captured"]
)
def test_no_reason_has_the_advice_of_another(reason: str) -> None:
    downstream: ExchangeView | None = None if reason in ("no-downstream-leg", "encrypted") else exchange()
    (said,) = steps(mirror(verdict="unproven", proof=[], reason=reason, downstream=downstream))[-1].says
    assert {word for word, part in ADVICE.items() if part in said} <= {reason, "no-downstream-leg"}
    assert ("-s 0" in said) == (reason == "snaplen")
    assert "buffer" not in said
