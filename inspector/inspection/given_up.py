"""What was given up because too much of it was open at once, in sentences."""

from __future__ import annotations

from inspector.inspection.input_counts import InputCounts, plural
from inspector.lang import _, several


def given_up(seen: InputCounts) -> list[str]:
    """Sentences about what a bound on memory dropped."""
    out = []
    if seen.cut_short:
        out.append(
            _(
                "{n} with payload had to be forgotten, the idlest first, since too many were "
                "open at once: their requests may look unanswered. Capture fewer addresses or ports at a time."
            ).format(n=plural(seen.cut_short, "connection"))
        )
    out += _waiting(seen)
    if seen.let_go:
        out.append(
            _(
                "{n} did not wait for a copy as long as --window says, since too many did: "
                "a copy sent much later than its original may be missed."
            ).format(n=plural(seen.let_go, "exchange"))
        )
    if seen.hurried:
        out.append(
            _(
                "{n} had to be decided while equal requests were still open, since too many waited: "
                "one of those may be the true original."
            ).format(n=plural(seen.hurried, "mirror"))
        )
    return out


def _waiting(seen: InputCounts) -> list[str]:
    """Sentences about what waited for more, and was given up."""
    out = []
    if n := seen.overtaken:
        said = several(
            "{n} request is called unanswered since too many requests waited for a response: the oldest were given up.",
            "{n} requests are called unanswered since too many requests waited for a response: the oldest were given up.",
            n,
        )
        out.append(said.format(n=f"{n:,}"))
    if n := seen.gaps_forced:
        said = several(
            "{n} hole in a TCP stream was called lost before its time, since too many bytes waited behind holes.",
            "{n} holes in TCP streams were called lost before their time, since too many bytes waited behind holes.",
            n,
        )
        out.append(said.format(n=f"{n:,}"))
    if n := seen.kept_too_much:
        said = several(
            "The beginning of {n} message was dropped while its rest was waited for, since too many bytes waited.",
            "The beginnings of {n} messages were dropped while their rest was waited for, since too many bytes waited.",
            n,
        )
        out.append(said.format(n=f"{n:,}"))
    if n := seen.tries_left_out:
        said = several(
            "{n} connection that was tried was not followed up, since too many waited for an answer: it may have been a "
            "mirror's that was refused.",
            "{n} connections that were tried were not followed up, since too many waited for an answer: some may have been "
            "mirrors' that were refused.",
            n,
        )
        out.append(said.format(n=f"{n:,}"))
    return out
