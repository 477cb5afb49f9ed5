"""What a lesson is made of. All text is translated and filled in; captured parts of it are visible text (`render.text.shown`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A run of `inspect`, shown with what it really prints. `lines`: so many lines of it, 0 for all. status: its exit status is
    shown."""

    args: tuple[str, ...]
    lines: int = 0
    status: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """The ladder of mirror `number` of a capture."""

    capture: str
    number: int


@dataclass(frozen=True, slots=True)
class LessonTable:
    """A small table; `about` says what it is of, `find` is the Wireshark filter that shows the same."""

    about: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    find: str = ""


Show = Command | Picture | LessonTable


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers offered. Whether it is `right` is read from the capture."""

    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class Question:
    """Asked before the reveal; exactly one of the choices is right."""

    ask: str
    choices: tuple[Choice, ...]

    @property
    def right(self) -> int:
        """The place of the right choice."""
        return next(i for i, choice in enumerate(self.choices) if choice.right)


@dataclass(frozen=True, slots=True)
class LessonStep:
    """`says` and `shows`, then the question, then what is revealed: `reveal` and `proof`."""

    title: str
    says: tuple[str, ...]
    shows: tuple[Show, ...] = ()
    question: Question | None = None
    reveal: tuple[str, ...] = ()
    proof: tuple[Show, ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """What a lesson is; made without reading a capture. key: its word, not translated. captures: names of its files."""

    key: str
    title: str
    goal: str
    captures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson; keep: what to remember of it. number: its place, from 1."""

    about: About
    steps: tuple[LessonStep, ...]
    keep: str
    number: int = 0


LETTERS = "abcdefgh"
