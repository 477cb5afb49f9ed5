"""The lessons, in the order in which they are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inspector.errors import UsageError
from inspector.lang import _
from inspector.lessons import chance, copies, discarded, leak, mirroring, mtls, redirect, retries, suffix
from inspector.lessons.model import About, Lesson
from inspector.lessons.seen import Library

MODULES = (mirroring, suffix, redirect, copies, discarded, retries, mtls, leak, chance)
ABOUTS: tuple[Callable[[], About], ...] = tuple(module.about for module in MODULES)
MAKERS: tuple[Callable[[Library], Lesson], ...] = tuple(module.lesson for module in MODULES)


def contents() -> list[About]:
    """What lessons there are; lesson n is at n - 1. No capture is read."""
    return [about() for about in ABOUTS]


def lesson(number: int, library: Library) -> Lesson:
    """Lesson `number`, made from its captures. Raises UsageError for one that there is not, InspectorError where a capture of
    it is missing."""
    if not 1 <= number <= len(MAKERS):
        raise UsageError(
            _("there is no lesson {number}: they are 1 to {last}").format(number=number, last=len(MAKERS)),
            _("inspect lesson lists them"),
        )
    return replace(MAKERS[number - 1](library), number=number)
