"""Ladders: the layout on real captures, and what no capture may do to a terminal, an SVG or a Mermaid diagram."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hostile_views import TEXT, hostile
from hypothesis import given
from hypothesis import strategies as st
from render_samples import exchange, mirror, rich

from inspector.inspection import Inspection, inspect
from inspector.render import ladder_svg, ladder_text, mermaid
from inspector.render.ladder import MAX_ARROWS, MAX_LIFELINES, ArrowKind, Ladder, layout
from inspector.render.ladder_parts import offset, tell
from inspector.render.ladder_svg import INKS, PAPER
from inspector.render.text import escape, width
from inspector.views.objects import MirrorView

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
SVG = "{http://www.w3.org/2000/svg}"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@cache
def inspected(*names: str) -> Inspection:
    return inspect(*(str(CAPTURES / name) for name in names))


def drawn(name: str, number: int, **more: Any) -> Ladder:
    story = inspected(name).story(number)
    return layout(story.mirror, others=story.others, more=story.more, **more)


def kinds(ladder: Ladder, leg: str) -> list[ArrowKind]:
    return [a.kind for a in ladder.arrows if a.leg == leg]


def real() -> Iterator[tuple[str, int]]:
    """One mirror of each verdict and of what is told apart in a drawing."""
    yield from (("items-client.pcap", 1), ("items-node.pcap", 2), ("leaky-gw.pcap", 3), ("leaky-gw.pcap", 1))
    yield from (("retry-client.pcap", 3), ("retry-client.pcap", 5), ("nginxmirror-gw.pcap.zst", 14))
    yield from (("vxlan-node.pcap.zst", 14), ("mix-client.pcap.zst", 7), ("mix-client.pcap.zst", 13))


EVERY = pytest.mark.parametrize(("name", "number"), list(real()))


@EVERY
def test_arrows_are_in_order_of_time_and_between_two_lifelines(name: str, number: int) -> None:
    ladder = drawn(name, number)
    times = [a.time for a in ladder.arrows if a.time is not None]
    assert times == sorted(times)
    assert times[0] == 0
    for a in ladder.arrows:
        assert a.source != a.target
        assert 0 <= a.source < len(ladder.lifelines) > a.target >= 0
        assert (a.kind is ArrowKind.UNSEEN) == (not a.packets) == (a.time is None)


def test_a_discarded_answer_ends_at_the_proxy() -> None:
    ladder = drawn("items-client.pcap", 1)
    assert [line.address for line in ladder.lifelines] == [
        "10.244.0.10:44844",
        "10.244.0.10",
        "10.244.0.21:3000",
        "10.244.0.22:3000",
    ]
    assert [a.packets for a in ladder.arrows] == [(4,), (16,), (18,), (20,), (22,), (27,)]
    assert [offset(a.time or 0) for a in ladder.arrows] == [
        "+0.000 ms", "+0.800 ms", "+0.836 ms", "+3.523 ms", "+3.923 ms", "+7.570 ms",
    ]  # fmt: skip
    last = ladder.arrows[-1]
    assert (last.kind, last.source, last.target, last.size) == (ArrowKind.DISCARDED, 3, 1, "608 B")
    assert kinds(ladder, "downstream") == [ArrowKind.REQUEST, ArrowKind.RESPONSE]
    assert any("sidecar" in note for note in ladder.notes)
    assert any("10.96.200.1:80" in note for note in ladder.notes)


def test_the_host_of_a_request_is_told_as_a_claim() -> None:
    ladder = drawn("items-client.pcap", 1)
    assert [line.asked for line in ladder.lifelines] == ["", "", "host catalog", "host catalog-shadow"]
    assert any("10.96.200.1:80; the host that its request names is catalog" in note for note in ladder.notes)
    long = layout(mirror(mirror=exchange(3, leg="mirror", host="a" * 5000 + "\x1b[2J")))
    lines = ladder_text.lines(long, 100)
    assert sum("host aa" in line for line in lines) == 1
    assert "\x1b" not in "".join(lines)
    assert not layout(mirror(mirror=exchange(3, leg="mirror", host=None))).lifelines[3].asked


def test_a_leak_goes_on_to_the_client() -> None:
    ladder = drawn("leaky-gw.pcap", 3)
    assert kinds(ladder, "mirror") == [ArrowKind.REQUEST, ArrowKind.RESPONSE]
    assert kinds(ladder, "downstream") == [ArrowKind.REQUEST, ArrowKind.LEAKED]
    leak = next(a for a in ladder.arrows if a.kind is ArrowKind.LEAKED)
    assert (leak.source, leak.target, leak.packets) == (1, 0, (92,))


def test_what_is_not_in_the_capture_is_not_drawn_as_seen() -> None:
    ladder = drawn("items-node.pcap", 1)
    assert not ladder.lifelines[0].seen
    assert kinds(ladder, "downstream") == [ArrowKind.UNSEEN, ArrowKind.UNSEEN]
    assert kinds(ladder, "mirror") == [ArrowKind.REQUEST, ArrowKind.UNPROVEN]
    silent = drawn("vxlan-node.pcap.zst", 14)
    assert kinds(silent, "mirror") == [ArrowKind.REQUEST, ArrowKind.UNSEEN]
    lone = layout(mirror(original=None, verdict="unproven", proof=[], reason="original-not-captured"))
    assert kinds(lone, "original") == [ArrowKind.UNSEEN]


def test_attempts_are_drawn_as_their_own_messages() -> None:
    ladder = drawn("retry-client.pcap", 3)
    assert kinds(ladder, "attempt") == [ArrowKind.REQUEST, ArrowKind.RESPONSE] * 2
    assert len(ladder.lifelines) == 4
    assert kinds(drawn("retry-client.pcap", 5), "attempt").count(ArrowKind.UNSEEN) == 2


def test_of_two_equal_answers_the_drawing_does_not_say_whose_it_is() -> None:
    answer = next(
        a for a in drawn("mix-client.pcap.zst", 3).arrows if a.leg == "downstream" and a.kind is ArrowKind.RESPONSE
    )
    assert answer.says == "equal to both"


def test_a_request_that_was_lost_is_said_to_be() -> None:
    lost = exchange(
        3, leg="mirror", server="10.244.0.22:3000", method=None, path=None, request_time=None, request_packets=[]
    )
    arrows = layout(mirror(mirror=lost, lag=None)).arrows
    assert [a.kind for a in arrows if a.leg == "mirror"] == [ArrowKind.UNSEEN, ArrowKind.DISCARDED]


def test_names_stand_beside_addresses() -> None:
    names = {"10.244.0.22": "catalog-v2", "10.244.0.21:3000": "catalog-v1", "10.244.0.10": "client-pod"}
    lines = drawn("items-client.pcap", 1, names=names).lifelines
    assert [line.name for line in lines] == ["client-pod", "client-pod", "catalog-v1", "catalog-v2"]


def test_the_packets_of_several_captures_name_theirs() -> None:
    names = ("items-client.pcap", "items-node.pcap")
    view = next(inspected(*names).mirror_views())
    ladder = layout(view, captures=names)
    assert ladder.captures == ()  # all packets are of one of them
    elsewhere = exchange(3, leg="mirror", server="10.244.0.22:3000", capture=1)
    both = layout(mirror(mirror=elsewhere), captures=names)
    assert both.captures == names
    assert any("[2] #14" in line for line in ladder_text.lines(both, 100))


def test_many_messages_are_bounded_and_the_rest_is_told() -> None:
    others = [exchange(10 + i, leg="attempt", server=f"10.0.0.{i}:80") for i in range(60)]
    ladder = layout(mirror(), others=others)
    assert len(ladder.lifelines) == MAX_LIFELINES
    assert len(ladder.arrows) <= MAX_ARROWS
    left = 2 * 60 + 6 - len(ladder.arrows)
    assert any(f"{left} more messages" in note for note in ladder.notes)


@EVERY
@pytest.mark.parametrize("columns", [40, 79, 80, 100, 120, 200])
@pytest.mark.parametrize("unicode", [True, False])
def test_lines_fit_the_terminal(name: str, number: int, columns: int, unicode: bool) -> None:
    ladder = drawn(name, number)
    lines = ladder_text.lines(ladder, columns, unicode)
    assert max(map(width, lines)) <= columns
    assert unicode or all(line.isascii() for line in lines)
    assert [ANSI.sub("", line) for line in ladder_text.lines(ladder, columns, unicode, colour=True)] == lines
    text = "\n".join(lines)
    for a in ladder.seen:
        assert f"#{a.packets[0]}" in text


def test_the_cross_stands_on_the_proxy() -> None:
    lines = ladder_text.lines(drawn("items-client.pcap", 1), 100)
    proxy = lines[1].index("10.244.0.10 ", 30) + len("10.244.0.10") // 2
    assert lines[-4][proxy] == "✗"
    assert lines[-4][proxy + 1] == "◄"
    assert "X<-" in "\n".join(ladder_text.lines(drawn("items-client.pcap", 1), 100, unicode=False))


def test_wide_characters_keep_the_lifelines_straight() -> None:
    korean = "/상품/목록".encode().decode("latin-1")
    view = mirror(path=korean, original=exchange(2, path=korean), mirror=exchange(3, leg="mirror", path=korean))
    lines = ladder_text.lines(layout(view, {"10.244.0.21": "카탈로그"}), 100)
    assert "GET /상품/목록" in "\n".join(lines)
    at = [places(line) for line in lines if set(line) & set("│├┤✗")]
    assert len(at[0]) == 4
    assert all(set(found) <= set(at[0]) for found in at)


def places(line: str) -> list[int]:
    """The columns in which lifelines stand."""
    return [width(line[:i]) for i, c in enumerate(line) if c in "│├┤✗┼"]


@given(hostile(), TEXT, st.sampled_from([40, 80, 133]), st.booleans())
def test_no_text_acts_on_a_terminal(view: MirrorView, name: str, columns: int, unicode: bool) -> None:
    ladder = layout(view, {"10.0.0.1": name})
    for line in ladder_text.lines(ladder, columns, unicode):
        assert escape(line) == line
        assert width(line) <= columns


ELEMENTS = {"svg", "title", "desc", "style", "rect", "path", "text", "g", "circle"}
ATTRIBUTES = {
    "id", "viewBox", "width", "height", "role", "lang", "aria-labelledby", "class", "d", "stroke-dasharray", "x", "y", "rx",
    "text-anchor", "cx", "cy", "r",
}  # fmt: skip


@given(hostile(), TEXT)
def test_an_svg_is_xml_with_our_elements_only(view: MirrorView, name: str) -> None:
    ladder = layout(view, {"10.0.0.1": name}, captures=[name, name])
    root = ElementTree.fromstring(ladder_svg.document(ladder))
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in ELEMENTS
        assert set(element.attrib) <= ATTRIBUTES
    assert root.get("role") == "img"
    ids = {e.get("id"): e for e in root.iter() if e.get("id")}
    named = [ids[part] for part in (root.get("aria-labelledby") or "").split()]
    assert [e.tag for e in named] == [SVG + "title", SVG + "desc"]
    assert all((e.text or "").strip() for e in named)


def test_svgs_stand_beside_each_other_in_a_page() -> None:
    ladder = drawn("items-client.pcap", 1)
    both = f"<page>{ladder_svg.svg(ladder, 'a-')}{ladder_svg.svg(ladder, 'b-')}</page>"
    ids = [e.get("id") for e in ElementTree.fromstring(both).iter() if e.get("id")]
    assert len(ids) == len(set(ids)) == 6
    rules = ElementTree.fromstring(ladder_svg.svg(ladder, "a-")).findtext(SVG + "style") or ""
    selectors = [s for rule in re.findall(r"([^{}]+)\{[^{}]*\}", rules) for s in rule.split(",") if "@" not in s]
    assert selectors
    assert all(s.startswith("#a-ladder-1 ") for s in selectors)
    bare = ladder_svg.svg(ladder, "a-", styled=False)
    assert "<style>" not in bare
    assert ladder_svg.style("#a-ladder-1") == rules
    for wrong in ("1", "a b", '"', "a>", "é"):
        with pytest.raises(ValueError, match="prefix"):
            ladder_svg.svg(ladder, wrong)


@EVERY
def test_an_svg_says_in_words_what_it_shows(name: str, number: int) -> None:
    ladder = drawn(name, number)
    root = ElementTree.fromstring(ladder_svg.svg(ladder))
    said = root.findtext(SVG + "desc") or ""
    assert all(sentence in said for sentence in tell(ladder))
    groups = [g.get("class") for g in root.findall(SVG + "g")]
    assert groups == [f"message {a.kind.value}" for a in ladder.arrows]
    right = max(float(t.get("x") or 0) for t in root.iter(SVG + "text"))
    assert right < float(root.get("width") or 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough(scheme: str) -> None:
    for ink in INKS[scheme].values():
        assert contrast(ink, PAPER[scheme]) >= 4.5


def contrast(a: str, b: str) -> float:
    """WCAG 2.2, "contrast ratio" and "relative luminance"."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(part * c for part, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_measured_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


LITERAL = r"(?:[^\W_]|[ ./,()=?&_+'-]|#\d+;|<br/>)+"
MERMAID = {
    "participant": re.compile(rf"    participant p\d+ as {LITERAL}"),
    "title": re.compile(rf"    (?:title|accTitle:) {LITERAL}"),
    "message": re.compile(rf"    p\d+(?:->>|-->>|--x|--\))p\d+: {LITERAL}"),
    "note": re.compile(rf"    Note over p\d+,p\d+: {LITERAL}"),
}


def shapes(text: str) -> list[str]:
    """What each line of a diagram is; every line must be one of the shapes above."""
    first, *rest = text.removesuffix("\n").split("\n")
    assert first == "sequenceDiagram"
    out = []
    for line in rest:
        found = [name for name, shape in MERMAID.items() if shape.fullmatch(line)]
        assert found, line
        out += found
    return out


@given(hostile(), TEXT)
def test_nothing_captured_acts_in_mermaid(view: MirrorView, name: str) -> None:
    ladder = layout(view, {"10.0.0.1": name})
    text = mermaid.diagram(ladder)
    assert shapes(text).count("message") == len(ladder.seen)
    assert len(text) < 50_000


@EVERY
def test_mermaid_has_a_line_a_message(name: str, number: int) -> None:
    ladder = drawn(name, number)
    found = shapes(mermaid.diagram(ladder))
    assert found.count("message") == len(ladder.seen)
    assert found.count("participant") == len(ladder.lifelines)


def test_many_mirrors_are_drawn_as_far_as_mermaid_allows() -> None:
    sample = rich()
    sample.mirror_list = [mirror(i, path=f"/items/{i}?{'x;' * 40}") for i in range(1, 400)]
    text = "".join(mermaid.mirrors(sample))
    found = shapes(text)
    assert len(text) <= mermaid.MAX_CHARACTERS < 50_000
    assert found.count("message") <= 500
    drawn_mirrors = found.count("message") // 6
    assert f"{399 - drawn_mirrors} more mirrors are not drawn" in text
    sample.mirror_list = sample.mirror_list[:2]
    assert "not drawn" not in "".join(mermaid.mirrors(sample))


def test_no_mirror_is_an_empty_diagram() -> None:
    sample = rich()
    sample.mirror_list = []
    assert shapes("".join(mermaid.mirrors(sample))) == ["note"]
