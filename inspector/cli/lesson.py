"""`inspect lesson`: the lessons in the terminal, as a page and as a handout."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from inspector.cli import speech, streams
from inspector.errors import UsageError
from inspector.lang import _, language

if TYPE_CHECKING:
    from inspector.lessons.script import Run, Script


@click.command("lesson", cls=speech.Speaking, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("number", required=False, type=click.IntRange(min=1), metavar="[N]")
@click.option(
    "--all",
    "whole",
    is_flag=True,
    help="Print the whole lesson, without stops; so does output to anything but a terminal.",
)
@click.option("--html", is_flag=True, help="Lesson N, or all of them, as one page.")
@click.option("--handout", is_flag=True, help="A page to print: the questions, and the solutions at the end.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(allow_dash=True), help="Write to FILE.")
@click.option(
    "--color", type=click.Choice(("auto", "always", "never")), default="auto", help="Colours; auto: on a terminal."
)
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw diagrams with ASCII characters only.")
@speech.lang_option
def lesson(
    number: int | None, whole: bool, html: bool, handout: bool, output: str | None, color: str, ascii_only: bool
) -> int:
    """Learn traffic mirroring from real captures. Without N: the list of lessons."""
    from inspector.lessons import library, page, script
    from inspector.lessons.seen import Library

    target = None if output in (None, "-") else output
    if html and handout:
        raise UsageError(_("--html contradicts --handout"), _("give one of them"))
    captures = Library()
    if html or handout:
        numbers = [number] if number is not None else range(1, len(library.MAKERS) + 1)
        lessons = [library.lesson(n, captures) for n in numbers]
        write = page.handout if handout else page.page
        streams.write([write(lessons, captures, runner("never"))], target)
        return 0
    unicode, encoding = streams.drawing(target, ascii_only)
    look = script.ScriptStyle(streams.columns(target), streams.colour(color, target), unicode, encoding)
    if number is None:
        streams.write([script.contents(library.contents(), look)], target)
        return 0
    run = runner("always" if look.colour else "never")
    told = script.Script(library.lesson(number, captures), captures, run, look)
    if whole or target is not None or not _talks():
        streams.write([told.whole()], target)
    else:
        walk(told)
    return 0


def _talks() -> bool:
    """Whether a person sits at both ends."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def runner(color: str) -> Run:
    """How a lesson runs `inspect`: in this process, from the folder that holds the lessons' captures."""
    from inspector.cli import program
    from inspector.lessons.script import Ran
    from inspector.lessons.seen import HOME

    def run(args: Sequence[str], columns: int) -> Ran:
        out, before = io.StringIO(), os.environ.get("COLUMNS")
        os.environ["COLUMNS"] = str(columns)
        try:
            with contextlib.chdir(HOME), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                status = program.run([*args, "--color", color, "--lang", language()])
        finally:
            if before is None:
                del os.environ["COLUMNS"]
            else:
                os.environ["COLUMNS"] = before
        if status == program.SOFTWARE:
            raise RuntimeError(out.getvalue())
        return Ran(out.getvalue(), status)

    return run


def walk(told: Script) -> None:
    """Step by step: a guess, the reveal, then on, back, or out."""
    streams.write([told.opening()], None)
    number, steps = 0, told.lesson.steps
    while number < len(steps):
        streams.write([told.before(number)], None)
        guess = None
        if steps[number].question is not None:
            guess = _guess(told, number)
        streams.write([told.after(number, guess)], None)
        if number == len(steps) - 1:
            streams.write([told.closing()], None)
        way = _way(number > 0, number == len(steps) - 1)
        if way == "q":
            return
        number += -1 if way == "b" else 1


def _guess(told: Script, number: int) -> int | None:
    """The learner's guess; None for Enter. Raises Abort for q, as for the end of the input."""
    from inspector.lessons.model import LETTERS
    from inspector.lessons.script import letters

    question = told.lesson.steps[number].question
    assert question is not None
    known = LETTERS[: len(question.choices)]
    while True:
        said = _ask(_("Your guess ({letters}; Enter shows the answer): ").format(letters=letters(question)))
        if not said:
            return None
        if said in known:
            return known.index(said)
        if said in ("q", "quit"):
            raise click.exceptions.Exit(0)
        streams.write(
            [
                [
                    "  "
                    + _("Please answer with one of {letters}, with Enter, or with q to stop.").format(
                        letters=letters(question)
                    )
                    + "\n"
                ]
            ],
            None,
        )


def _way(back: bool, last: bool) -> str:
    """Where to go: n (also Enter), b, q."""
    if last:
        prompt = _("b: back, Enter or q: end > ") if back else _("Enter or q: end > ")
    else:
        prompt = _("Enter or n: next, b: back, q: quit > ") if back else _("Enter or n: next, q: quit > ")
    while True:
        said = _ask(prompt)
        if said in ("", "n", "next", "q", "quit") or (back and said in ("b", "back")):
            return said[:1]


def _ask(prompt: str) -> str:
    """A line of the learner, in small letters. The end of the input ends the lesson."""
    streams.write([["\n" + prompt]], None)
    answer = sys.stdin.readline()
    if not answer:
        streams.write([["\n"]], None)
        raise click.exceptions.Exit(0)
    return answer.strip().lower()
