"""Less is claimed of less, and nothing wrong: real captures with links of the proof taken away."""

from __future__ import annotations

import io
import random

import pytest
from honesty_table import TABLE
from removal import apply, judged, known, same_mirror, scene, thinned, verdict, wrong_claims

import inspector

SEEDS = 3  # of each capture; scripts/check-honesty takes many more


@pytest.mark.parametrize(
    ("where", "what", "expected", "why"), TABLE, ids=[f"{w[0].split('.')[0]}-{w[1]}: {what}" for w, what, _, _ in TABLE]
)
def test_a_link_is_taken_away(where: tuple[str, int], what: str, expected: str, why: str) -> None:
    whole = scene(where[0])
    views = judged(apply(whole, where[1], what))
    assert verdict(same_mirror(whole, where[1], views)) == expected, why
    assert wrong_claims(whole, views) == []


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize(
    "name",
    ["items-client.pcap", "leaky-gw.pcap", "retry-client.pcap", "percent50-client.pcap.zst", "nginxmirror-gw.pcap.zst"],
)
def test_loss_makes_no_wrong_claim(name: str, seed: int) -> None:
    whole = scene(name)
    assert wrong_claims(whole, judged(thinned(whole, random.Random(f"{name} {seed}")))) == []


@pytest.mark.parametrize(("name", "seed"), [("leaky-gw.pcap", 40), ("leaky-gw.pcap", 46)])
def test_an_answer_is_not_given_to_whom_it_fits(name: str, seed: int) -> None:
    """Once the tool gave a lost request's place to whatever response equalled the original's: a leak passed for none."""
    whole = scene(name)
    lost = random.Random(f"{name}{seed}")
    lost.choice(range(8))
    rate = lost.choice([0.01, 0.03, 0.1, 0.3])
    views = judged(whole.capture(f for f in whole.frames if lost.random() > rate))
    assert wrong_claims(whole, views) == []
    assert [v.verdict for v in views if known(whole, v) is whole.mirrors[2]] == ["unproven"]


def test_the_finding_says_no_more_than_the_packets() -> None:
    whole = scene("items-client.pcap")
    found = inspector.inspect(io.BytesIO(apply(whole, 1, "only requests"))).summary
    assert found.verdicts == {"unproven": 3} or found.verdicts.get("unproven") == 3
    assert (
        found.finding
        == "No response to the 3 mirrored requests is in the capture, though bytes of some were acknowledged."
    )


def test_the_properties_can_fail() -> None:
    """A leak called discarded, a proof that was none, and a mirror that is none are named."""
    from dataclasses import replace

    whole = scene("leaky-gw.pcap")
    leak, kept = whole.mirrors[2], whole.mirrors[3]
    assert wrong_claims(whole, [leak, kept]) == []
    assert len(wrong_claims(whole, [replace(leak, verdict="discarded", proof=["content"], delivered="original")])) == 1
    assert len(wrong_claims(whole, [replace(kept, proof=["content", "time"])])) == 1
    assert len(wrong_claims(whole, [replace(kept, mirror=kept.original)])) == 1
    assert wrong_claims(whole, [replace(kept, verdict="unproven", proof=[])]) == []


def test_a_stream_that_begins_with_a_hole() -> None:
    """A capture that begins inside the connections, without the first response: equal answers passed for a leak."""
    whole = scene("stripped-client.pcap.zst")
    assert verdict(whole.mirrors[2]) == "discarded: count"
    lost = {whole.frame(n).key for n in whole.leg(3, "original").response_packets}
    begin = whole.leg(3, "downstream").request_packets[0]
    views = judged(whole.capture(f for f in whole.frames if f.number >= begin and f.key not in lost))
    found = same_mirror(whole, 3, views)
    assert verdict(found) == "unproven: gap"
