"""An explanation for people and machines: the ladder and its numbered steps, in the terminal, in Markdown and in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from inspector.lang import _, several
from inspector.render import json_v1, ladder_text, mermaid
from inspector.render.ladder_parts import Ladder, offset
from inspector.render.markdown import safe
from inspector.render.source import Summed
from inspector.render.table import READABLE, VERDICT_COLOURS, paint
from inspector.render.text import cut_middle, escape, microseconds, wrap
from inspector.render.wording import ExplanationStep, display_filter, numbers
from inspector.views.objects import CaptureView, MirrorView


@dataclass(frozen=True)
class Explained:
    """What is written of one mirror."""

    mirror: MirrorView
    ladder: Ladder
    steps: Sequence[ExplanationStep]
    captures: Sequence[CaptureView]


def text(
    e: Explained, columns: int, unicode: bool = True, colour: bool = False, encoding: str = "utf-8"
) -> Iterator[str]:
    """For a terminal: what it is, the ladder, the steps, and how to find the packets in Wireshark."""
    room = min(columns, READABLE)
    word = e.mirror.verdict

    def wrapped(sentence: str, first: str = "", rest: str = "", code: str = "") -> Iterator[str]:
        lines = wrap(ladder_text.plain(sentence, unicode, encoding), room, first, rest)
        return (paint(line, code, colour) + "\n" for line in lines)

    for line in wrapped(cut_middle(e.ladder.title, 2 * room)):
        before, found, after = line.rpartition(word)  # the last one: a path may hold the word, too
        yield f"{before}{paint(found, VERDICT_COLOURS.get(word), colour)}{after}" if found else line
    yield "\n"
    for line in ladder_text.lines(e.ladder, columns, unicode, colour, encoding):
        yield line + "\n"
    for number, step in enumerate(e.steps, 1):
        lead = f"{number}. "
        indent = " " * len(lead)
        yield "\n"
        yield from wrapped(step.title, lead, indent, "1")
        if where := _where(step, e.captures):
            yield from wrapped(where, indent, indent, "2")
        for sentence in step.says:
            yield from wrapped(sentence, indent, indent)
        if step.fact:
            yield from wrapped(_("On the wire: {fact}").format(fact=step.fact), indent, indent + "  ")
    yield "\n"
    for line in _filters(e):
        yield from wrapped(line, "", "  ")


def markdown(e: Explained) -> Iterator[str]:
    """GitHub-flavoured Markdown: heading, Mermaid block, numbered list."""
    yield f"## {safe(e.ladder.title)}\n\n"
    yield f"```mermaid\n{mermaid.diagram(e.ladder)}```\n"
    for number, step in enumerate(e.steps, 1):
        indent = " " * len(f"{number}. ")
        yield f"\n{number}. **{safe(step.title)}**"
        if where := _where(step, e.captures):
            yield f" ({safe(where)})"
        yield "\n"
        for sentence in step.says:
            yield f"\n{indent}{safe(sentence)}\n"
        if step.fact:
            yield f"\n{indent}*{safe(_('On the wire: {fact}').format(fact=step.fact))}*\n"
    yield "\n"
    for line in _filters(e):
        yield f"{safe(line)}\n"


def json(e: Explained, source: Summed) -> Iterator[str]:
    """The document of `json_v1` with this mirror, and `explanation` beside it."""
    told = {"mirror": e.mirror.id, "steps": [step_object(n, step) for n, step in enumerate(e.steps, 1)]}
    yield from json_v1.document(source, [e.mirror], more={"explanation": told})


def step_object(number: int, step: ExplanationStep) -> dict[str, Any]:
    """A step, as JSON has it."""
    return {
        "step": number,
        "key": step.key,
        "title": step.title,
        "says": list(step.says),
        "packets": [{"capture": capture, "packet": packet} for capture, packet in step.packets],
        "fact": step.fact or None,
        "time_us": None if step.time is None else json_number(step.time),
    }


def json_number(ns: int) -> int | float:
    """Microseconds, whole where they are."""
    return ns // 1000 if ns % 1000 == 0 else float(microseconds(ns))


def _where(step: ExplanationStep, captures: Sequence[CaptureView]) -> str:
    """`+0.000 ms, packets 1–2, 4`."""
    out = []
    if step.time is not None:
        out.append(offset(step.time))
    if step.packets:
        listed = numbers(step.packets, [c.path for c in captures])
        out.append(several("packet {packets}", "packets {packets}", len(step.packets)).format(packets=listed))
    return ", ".join(out)


def _filters(e: Explained) -> Iterator[str]:
    """A display filter for each capture that holds packets of the story."""
    packets = sorted({p for step in e.steps for p in step.packets})
    for capture in sorted({c for c, _packet in packets}):
        expression, more = display_filter(packet for c, packet in packets if c == capture)
        said = _("These packets in Wireshark: {filter}")
        if len(e.captures) > 1:
            said = _("These packets of {path} in Wireshark: {filter}")
        path = e.captures[capture].path if capture < len(e.captures) else ""
        yield said.format(path=f"[{capture + 1}] {escape(path)}", filter=expression)
        if more:
            yield several("{n} more packet is not in it", "{n} more packets are not in it", more).format(n=f"{more:,}")
