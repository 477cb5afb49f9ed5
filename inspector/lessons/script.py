"""Lessons for a terminal, and the words that it shares with the page. Pure: the command hands in how `inspect` is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from inspector.lang import _, several
from inspector.lessons.model import LETTERS, About, Command, Lesson, LessonTable, Picture, Question, Show
from inspector.lessons.seen import Library
from inspector.render import ladder_text
from inspector.render.ladder import layout
from inspector.render.ladder_parts import Ladder
from inspector.render.table import READABLE, paint
from inspector.render.text import cut_middle, width, wrap

BOLD, FAINT, GOOD = "1", "2", "32"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed, and its exit status."""

    text: str
    status: int


Run = Callable[[Sequence[str], int], Ran]  # the words after `inspect`, and columns


@dataclass(frozen=True, slots=True)
class ScriptStyle:
    """How it is written: columns, colours, Unicode or ASCII, the encoding of the output."""

    columns: int
    colour: bool = False
    unicode: bool = True
    encoding: str = "utf-8"


def ladder(picture: Picture, library: Library) -> Ladder:
    """The layout of a picture."""
    seen = library(picture.capture)
    told = seen.inspection.story(picture.number)
    return layout(told.mirror, others=told.others, more=told.more)


def line(command: Command) -> str:
    """The command as it is typed."""
    return f"inspect {shlex.join(command.args)}"


def printed(command: Command, run: Run, columns: int) -> str:
    """What a command prints, cut to the lines that the lesson shows, its status behind it."""
    ran = run(command.args, columns)
    lines = ran.text.rstrip("\n").split("\n")
    more = len(lines) - command.lines if command.lines else 0
    if more > 0:
        said = several("... ({n} more line)", "... ({n} more lines)", more).format(n=more)
        lines = [*lines[: command.lines], said]
    if command.status:
        lines.append(_("(exit status {status})").format(status=ran.status))
    return "\n".join(lines)


def plain(text: str) -> str:
    """A paragraph without the marks of code."""
    return text.replace("`", "")


def letters(question: Question) -> str:
    """`a, b, c`."""
    return ", ".join(LETTERS[: len(question.choices)])


def kindly(question: Question, guess: int | None) -> str:
    """What is said to a guess."""
    right = question.right
    words = {"letter": LETTERS[right], "text": question.choices[right].text}
    if guess is None:
        return _("The answer is {letter}) {text}.").format(**words)
    if guess == right:
        return _("Yes: {letter}) {text}.").format(**words)
    return _("A good guess, but not this time: {letter}) {text}.").format(**words)


class Script:
    """A lesson as text."""

    def __init__(self, lesson: Lesson, library: Library, run: Run, look: ScriptStyle) -> None:
        self.lesson = lesson
        self.library = library
        self.run = run
        self.look = look

    def _wrapped(self, text: str, first: str = "", rest: str = "", code: str = "") -> Iterator[str]:
        ready = ladder_text.plain(text, self.look.unicode, self.look.encoding)
        for each in wrap(ready, min(self.look.columns, READABLE), first, rest):
            yield paint(each, code, self.look.colour) + "\n"

    def opening(self) -> Iterator[str]:
        """Title, goal, captures."""
        about = self.lesson.about
        title = _("Lesson {number}: {title}").format(number=self.lesson.number, title=about.title)
        yield from self._wrapped(title, code=BOLD)
        yield from self._wrapped(_("Goal: {goal}").format(goal=plain(about.goal)))
        yield from self._wrapped(_("Captures: {names}").format(names=", ".join(about.captures)), code=FAINT)

    def before(self, number: int) -> Iterator[str]:
        """Step `number` (from 0) up to its question."""
        step = self.lesson.steps[number]
        head = _("Step {number} of {total}: {title}").format(
            number=number + 1, total=len(self.lesson.steps), title=step.title
        )
        yield "\n"
        yield from self._wrapped(head, code=BOLD)
        yield from self._told(step.says, step.shows)
        if step.question is not None:
            yield "\n"
            yield from self._wrapped(plain(step.question.ask), code=BOLD)
            for letter, choice in zip(LETTERS, step.question.choices, strict=False):
                yield from self._wrapped(plain(choice.text), f"  {letter}) ", "     ")

    def after(self, number: int, guess: int | None = None) -> Iterator[str]:
        """What is revealed."""
        step = self.lesson.steps[number]
        if step.question is not None:
            yield "\n"
            code = GOOD if guess == step.question.right else BOLD
            yield from self._wrapped(plain(kindly(step.question, guess)), code=code)
        yield from self._told(step.reveal, step.proof)

    def closing(self) -> Iterator[str]:
        """What to remember."""
        yield "\n"
        yield from self._wrapped(_("Remember: {keep}").format(keep=plain(self.lesson.keep)), code=BOLD)

    def whole(self) -> Iterator[str]:
        """Everything, without a stop."""
        yield from self.opening()
        for number in range(len(self.lesson.steps)):
            yield from self.before(number)
            yield from self.after(number)
        yield from self.closing()

    def _told(self, says: Sequence[str], shows: Sequence[Show]) -> Iterator[str]:
        for paragraph in says:
            yield "\n"
            yield from self._wrapped(plain(paragraph))
        for show in shows:
            yield "\n"
            if isinstance(show, Command):
                yield paint(f"$ {line(show)}", BOLD, self.look.colour) + "\n"
                yield printed(show, self.run, self.look.columns) + "\n"
            elif isinstance(show, Picture):
                drawn = ladder(show, self.library)
                yield from self._wrapped(drawn.title, code=FAINT)
                look = self.look
                for each in ladder_text.lines(drawn, look.columns, look.unicode, look.colour, look.encoding):
                    yield each + "\n"
            else:
                yield from self._rows(show)

    def _rows(self, show: LessonTable) -> Iterator[str]:
        """A table; where it is too wide, a row is a block of lines."""
        yield from self._wrapped(show.about, code=FAINT)
        rows = [tuple(plain(cell) for cell in row) for row in (show.names, *show.rows)]
        rows = [tuple(ladder_text.plain(c, self.look.unicode, self.look.encoding) for c in row) for row in rows]
        widths = [max(width(row[i]) for row in rows) for i in range(len(show.names))]
        if sum(widths) + 2 * (len(widths) - 1) <= self.look.columns:
            for row in (rows[0], tuple("-" * w for w in widths), *rows[1:]):
                cells = (cell + " " * (w - width(cell)) for cell, w in zip(row, widths, strict=True))
                yield "  ".join(cells).rstrip() + "\n"
        else:
            room = max(width(name) for name in rows[0])
            for row in rows[1:]:
                for name, cell in zip(rows[0], row, strict=True):
                    text = f"{name}{' ' * (room - width(name))}  {cell}"
                    yield cut_middle(text, self.look.columns) + "\n"
                yield "\n"
        if show.find:
            yield from self._wrapped(_("In Wireshark: {filter}").format(filter=show.find), code=FAINT)


def contents(abouts: Sequence[About], look: ScriptStyle) -> Iterator[str]:
    """The list of lessons."""
    room = min(look.columns, READABLE)
    for number, about in enumerate(abouts, 1):
        lead = f"{number}. "
        for text, code in ((about.title, BOLD), (plain(about.goal), "")):
            first = lead if code else " " * len(lead)
            for each in wrap(ladder_text.plain(text, look.unicode, look.encoding), room, first, " " * len(lead)):
                yield paint(each, code, look.colour) + "\n"
    yield "\n"
    hint = _(
        "inspect lesson 1 begins. --all: without stops. --html -o lesson.html: as a page. --handout -o handout.html: "
        "to print."
    )
    yield from (each + "\n" for each in wrap(hint, room))


CODE = re.compile(r"`([^`]+)`")
