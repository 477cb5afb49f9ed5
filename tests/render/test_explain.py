"""Explanations: each claim against the capture, every verdict and reason, and every renderer."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hostile_views import TEXT, hostile
from hypothesis import given
from hypothesis import strategies as st
from render_samples import Sample, exchange, mirror, rich
from shared_captures import SHARED, needs_shared

from inspector.inspection import Inspection, inspect
from inspector.inspection.story import MirrorStory
from inspector.render import explain, story
from inspector.render.ladder import layout
from inspector.render.text import escape, width
from inspector.render.wording import ExplanationStep, display_filter, numbers, ranges
from inspector.views.objects import MirrorView
from inspector.views.wire import ExchangePackets

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


@cache
def inspected(*paths: Path) -> Inspection:
    return inspect(*map(str, paths))


def told(name: str, number: int) -> dict[str, ExplanationStep]:
    """The steps of a mirror by their key."""
    path = CAPTURES / name
    s = inspected(path).story(number, [str(path)])
    return {step.key: step for step in explain.steps(s.mirror, s.others, s.wires)}


def words(step: ExplanationStep) -> str:
    return " ".join((step.title, *step.says, step.fact))


def test_the_redirect_and_the_address_that_lies() -> None:
    steps = told("items-client.pcap", 1)
    assert list(steps) == ["asks", "original", "copy", "answered", "given", "arrives", "verdict", "refute"]
    assert "10.244.0.10:44844 sends GET /items to 10.96.200.1:80." in steps["asks"].says
    assert "packet 4 is addressed to 127.0.0.1:15001" in steps["asks"].fact
    assert "SYN in packet 1 has the sequence number 137372120, the SYN,ACK in packet 2 acknowledges 137372121" in (
        steps["asks"].fact
    )
    assert steps["asks"].packets == ((0, 4), (0, 1), (0, 2))
    assert steps["given"].fact == (
        "The reply's address is 10.96.200.1:80 because the REDIRECT to 127.0.0.1:15001 is undone on the way back."
    )
    assert [s.time for s in steps.values()][:6] == sorted(s.time or 0 for s in list(steps.values())[:6])


def test_content_and_time() -> None:
    steps = told("items-client.pcap", 1)
    verdict = words(steps["verdict"])
    assert (
        "404 bytes of body (xxh64:5367f6aee3b4f4b8), the mirror answered 608 bytes (xxh64:7dfc18a882e34005)" in verdict
    )
    assert (
        "at +3.923 ms (packet 22), 3.65 ms before the mirror's response began to arrive at +7.570 ms (packet 27)"
        in verdict
    )
    assert "It is what the original was answered" in verdict
    refuted = words(steps["refute"])
    assert "before packet 22" in refuted
    assert "Packet 18 being no copy of packet 16" in refuted


def test_count() -> None:
    steps = told("mix-client.pcap.zst", 3)
    assert "bytes do not distinguish them" in words(steps["verdict"])
    assert "A second response to this request" in words(steps["refute"])


def test_a_leak() -> None:
    steps = told("leaky-gw.pcap", 3)
    assert "xxh64:7dfc18a882e34005 is that of the mirror's response" in words(steps["verdict"])
    assert "The original was answered otherwise: status 200, 404 bytes of body" in words(steps["verdict"])
    assert "the same status and body" in words(steps["refute"])
    assert "no translation" in steps["asks"].fact


def test_no_answer() -> None:
    steps = told("nginxmirror-gw.pcap.zst", 14)
    assert steps["arrives"].title == "No response to the copy comes back"
    assert (
        steps["arrives"].fact
        == "10.244.0.22:3000 ends the connection with RST in packet 328, 755 µs after the request."
    )
    assert "after packet 325" in words(steps["refute"])
    assert "more requests went upstream than came from downstream" in words(steps["copy"])


def test_retries_are_told_apart_from_the_copy() -> None:
    steps = told("retry-client.pcap", 3)
    assert steps["attempts"].title == "The proxy tries again, 2 times"
    assert [p for _c, p in steps["attempts"].packets] == [58, 60, 68, 71]
    own = told("retry-client.pcap", 5)
    assert "the reply is the proxy's own" in words(own["verdict"])
    assert "FIN in packet 123" in own["answered"].fact


def test_copies_on_a_node() -> None:
    steps = told("vxlan-node.pcap.zst", 14)
    assert "captured 4 times" in steps["copy"].fact
    assert "387 (if6), 388 (if2), 389 (if4), 390 (if3)" in steps["copy"].fact
    assert steps["asks"].title == "The client's request is not in the capture"
    settled = told("items-node.pcap", 1)
    assert "in the client's pod on `lo`" in words(settled["settle"])
    assert "refute" not in settled


@needs_shared
def test_what_the_copy_causes() -> None:
    path = SHARED / "cascade/v2.pcap"
    s = inspected(path).story(1, [str(path)])
    steps = {step.key: step for step in explain.steps(s.mirror, s.others, s.wires)}
    assert "a side effect of the copy" in words(steps["cascades"])


@needs_shared
def test_rivals_are_said_and_no_proof_is_made_up() -> None:
    found = inspected(SHARED / "parallel/client.pcap")
    view = next(m for m in found.mirror_views() if m.rivals > 1)
    steps = explain.steps(view)
    assert f"{view.rivals} downstream requests could be this one's own" in words(steps[-2])
    assert "Equal requests were in flight together" in " ".join(words(s) for s in steps)


def every() -> list[Path]:
    return sorted(p for p in CAPTURES.iterdir() if ".pcap" in p.name)


@pytest.mark.parametrize("path", every(), ids=lambda p: p.name)
def test_every_mirror_of_every_capture(path: Path) -> None:
    found = inspected(path)
    last = found.captures[0].packets
    for number in range(1, min(found.summary.mirrors, 8) + 1):
        s = found.story(number, [str(path)])
        check(s, found, last)


def check(s: MirrorStory, found: Inspection, last: int) -> None:
    steps = explain.steps(s.mirror, s.others, s.wires)
    assert steps[-1].key == ("settle" if s.mirror.verdict == "unproven" else "refute")
    assert steps[-2].key == "verdict"
    assert all(step.says for step in steps)
    assert all(1 <= packet <= last for step in steps for _c, packet in step.packets)
    # Every message that was captured is in a step, with its packets.
    cited = {p for step in steps for p in step.packets}
    for x in (s.mirror.downstream, s.mirror.original, s.mirror.mirror):
        if x is not None:
            assert {(x.capture, p) for p in (*x.request_packets[:1], *x.response_packets)} <= cited
    text = "".join(story.text(explained(s, found, steps), 80))
    assert "{" not in text.split("Wireshark: ")[0]
    assert max(width(line) for line in text.splitlines()) <= 80


def explained(s: MirrorStory, found: Inspection | Sample, steps: list[ExplanationStep]) -> story.Explained:
    return story.Explained(s.mirror, layout(s.mirror, others=s.others), steps, found.captures)


def variants() -> list[MirrorView]:
    """Every verdict with every proof and reason, with legs that are there, lost, or without an answer."""
    silent: dict[str, Any] = {
        "status": None, "response_packets": [], "response_time": None, "response_end_time": None, "duration": None,
        "response_body_bytes": None, "response_body_hash": None, "complete": False,
    }  # fmt: skip
    lost: dict[str, Any] = {"method": None, "path": None, "request_time": None, "request_packets": []}
    out = list(rich().mirror_list)
    reasons = (
        "no-downstream-leg",
        "encrypted",
        "gap",
        "snaplen",
        "mid-stream",
        "original-not-captured",
        "ambiguous",
        None,
    )
    judged: list[dict[str, Any]] = [{"verdict": "unproven", "proof": [], "reason": r} for r in reasons]
    judged += [
        {"verdict": "discarded", "proof": p} for p in (["content"], ["time"], ["count"], ["content", "time"], [])
    ]
    judged += [{"verdict": "leaked", "proof": []}, {"verdict": "unanswered", "proof": []}]
    for values in judged:
        for delivered in ("original", "proxy", "unknown", "mirror"):
            view = mirror(delivered=delivered, **values)
            d, o, m = view.downstream, view.original, view.mirror
            assert d is not None
            assert o is not None
            out += [
                view,
                replace(view, rivals=3, lag=None),
                replace(view, downstream=None, proxy=None),
                replace(view, original=None, lag=None),
                replace(view, downstream=replace(d, **silent), acknowledged=False),
                replace(view, original=replace(o, **silent), mirror=replace(m, **silent), arrived="none"),
                replace(view, original=replace(o, **lost), mirror=replace(m, **lost), lag=None),
                replace(view, downstream=replace(d, **lost, server="127.0.0.1:15001", status=503)),
            ]
    return out


def test_every_verdict_and_reason_has_its_words() -> None:
    for view in variants():
        steps = explain.steps(
            view, [exchange(9, leg="attempt"), exchange(10, leg="mirror"), exchange(11, leg="cascade")]
        )
        assert steps[-1].key == ("settle" if view.verdict == "unproven" else "refute")
        for step in steps:
            assert step.title
            assert step.says
            for sentence in (*step.says, step.fact):
                assert "None" not in sentence
                assert "{" not in sentence.replace("{", "", sentence.count("\\u{"))
                assert escape(sentence) == sentence


def test_no_claim_beyond_the_views() -> None:
    """A sentence about bodies or times is there only where the exchanges shown bear it out."""
    same = mirror(proof=["content", "time"])  # equal bodies, and the client was answered later: other pairings carry it
    verdict = words(explain.steps(same)[-2])
    assert "in the other possible pairings the client was given other bytes" in verdict
    assert "in the other possible pairings the client was answered before" in verdict
    assert "xxh64" not in verdict


def test_captured_text_cannot_act_in_any_format() -> None:
    evil = "/`x`|<b>\x1b[2J\u202e\n# h{0}{path}%s"
    m = mirror(
        path=evil, original=exchange(2, path=evil, host=evil), mirror=exchange(3, leg="mirror", path=evil, host=evil)
    )
    found = Sample([m])
    steps = explain.steps(m, names={"10.244.0.21": evil})
    e = story.Explained(m, layout(m), steps, found.captures)
    for text in ("".join(story.text(e, 80)), "".join(story.markdown(e))):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\n#" not in text.replace("\n## Mirror", "").removeprefix("## ")
    markdown = "".join(story.markdown(e))
    outside = markdown.split("```")[2]
    assert "<b>" not in outside
    assert "`x`" not in outside.replace("\\`", "")


@given(hostile(), TEXT, st.sampled_from([40, 80, 120]), st.booleans())
def test_no_text_acts_in_an_explanation(view: MirrorView, name: str, columns: int, unicode: bool) -> None:
    found = Sample([view])
    steps = explain.steps(view, [exchange(9, leg="attempt", method=name)], names={"10.0.0.1": name})
    e = story.Explained(view, layout(view), steps, found.captures)
    for line in "".join(story.text(e, columns, unicode)).splitlines():
        assert escape(line) == line
        assert width(line) <= columns
    json.loads("".join(story.json(e, found)))
    assert "<script" not in "".join(story.markdown(e)).lower()


def test_json_keeps_the_contract_and_adds_the_steps() -> None:
    path = CAPTURES / "items-client.pcap"
    found = inspected(path)
    s = found.story(2, [str(path)])
    steps = explain.steps(s.mirror, s.others, s.wires)
    document = json.loads("".join(story.json(explained(s, found, steps), found)))
    assert document["schema"] == "mirror-inspector/1"
    from inspector.render import json_v1

    whole = json.loads("".join(json_v1.document(found, found.mirror_views())))
    assert document["mirrors"] == [whole["mirrors"][1]]
    assert document["explanation"]["mirror"] == 2
    assert [step["key"] for step in document["explanation"]["steps"]] == [step.key for step in steps]
    first = document["explanation"]["steps"][0]
    assert first["packets"][0] == {
        "capture": 0,
        "packet": s.mirror.downstream.request_packets[0] if s.mirror.downstream else 0,
    }


def test_without_the_packets_less_is_told() -> None:
    view = inspected(CAPTURES / "items-client.pcap").story(1).mirror
    steps = {step.key: step for step in explain.steps(view)}
    assert "Client and proxy share the address 10.244.0.10" in steps["asks"].fact
    assert "15001" not in " ".join(words(step) for step in steps.values())
    assert steps["asks"].packets == ((0, 4),)
    assert words(steps["asks"]) == words(
        explain.steps(view, wires={view.downstream.id: ExchangePackets()} if view.downstream else {})[0]
    )


def test_numbers() -> None:
    assert ranges([5, 3, 4, 9, 9]) == [(3, 5), (9, 9)]
    assert numbers([(0, 1), (0, 2), (0, 7)]) == "1–2, 7"
    assert numbers([(0, 1), (1, 2)], ["a", "b"]) == "[1] 1 [2] 2"
    many = numbers([(0, 2 * i) for i in range(1, 100)])
    assert many.endswith("and 87 more")
    assert display_filter([4, 5, 9]) == ("frame.number in {4..5, 9}", 0)
    assert display_filter(range(0, 1000, 2))[1] == 400
