"""What the command does once its options are known: which reading, which renderer, where it goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from inspector.cli import difference, evidence, har, report, streams

if TYPE_CHECKING:
    from inspector.inspection import Inspection, Stream
    from inspector.redact import Redactor
    from inspector.reread.messages import Capture
    from inspector.views.objects import CaptureView

How: TypeAlias = tuple[str, float, tuple[str, ...]]  # suffix, window in seconds, signs
Look: TypeAlias = tuple[int, bool]  # columns of the terminal, colour


@dataclass(frozen=True)
class RunOptions:
    """The options of one run.

    target: the file to write, None for stdout. evidence: the file to write or None.
    to_the_end: the captures are read to their end for the exit status, even when nobody reads the output any more.
    """

    paths: tuple[str, ...]
    form: str
    target: str | None
    how: How
    mirrors: bool
    exchanges: bool
    explain: int | None
    diff: int | str | None
    follow: bool
    evidence: str | None
    anonymise: bool
    to_the_end: bool
    color: str
    ascii_only: bool
    no_redact: bool

    @property
    def summary_alone(self) -> bool:
        """Whether counts are all that is written: no captured text that would have to be redacted, nothing that is read again."""
        listed = self.mirrors or self.exchanges or self.follow or self.evidence is not None
        return not listed and self.explain is None and self.diff is None and self.form != "html"


def do(asked: RunOptions) -> Inspection | Stream | None:
    """Read, write, and warn of what was wrong with the captures. None: the reader of the output left before the end."""
    look = streams.columns(asked.target), streams.colour(asked.color, asked.target)
    if asked.summary_alone:
        return _write_summary(asked, look)
    from inspector.cli import private

    first, again = evidence.inputs(asked.paths, asked.evidence is not None or asked.form == "har")
    hide = private.redactor(asked.paths, asked.form, asked.target, asked.no_redact)
    found = _read_and_write(asked, first, again, hide, look)
    if found is not None:
        evidence.write(found, again, asked.evidence, asked.anonymise, asked.how[0], asked.explain)
    return found


def _read_and_write(
    asked: RunOptions, first: Sequence[str | BinaryIO], again: Sequence[Capture], hide: Redactor, look: Look
) -> Inspection | Stream | None:
    read = partial(_inspect, how=asked.how)
    found: Inspection | Stream | None
    if asked.diff is not None:
        found = difference.run(asked.paths, asked.diff, read, asked.how[0], hide, asked.form, asked.target, look)
    elif asked.follow:
        from inspector.cli.follow import following

        found = following(asked.paths, asked.how, asked.form, (asked.mirrors, asked.exchanges), asked.target, *look)
    elif asked.form == "html" and asked.explain is None:
        found = report.run(asked.paths, read, asked.how[0], hide, asked.target)
    elif asked.mirrors and asked.form == "ndjson" and asked.evidence is None and asked.explain is None:
        found = _list_mirrors(asked)
    else:
        return _read_then_write(asked, first, again, hide, look)
    if found is not None:
        _warn(found.captures)
    return found


def _write_summary(asked: RunOptions, look: Look) -> Stream:
    from inspector.render import formats

    total = _summarise(asked.paths, asked.how)
    _warn(total.captures)
    streams.write([formats.summary(total, asked.form, *look)], asked.target)
    return total


def _read_then_write(
    asked: RunOptions, first: Sequence[str | BinaryIO], again: Sequence[Capture], hide: Redactor, look: Look
) -> Inspection:
    """What is shown when all has been read: warnings come before it."""
    from inspector.cli.explain import explained
    from inspector.render import formats
    from inspector.render.private import Private

    found = _inspect(first, asked.how)
    _warn(found.captures)
    if asked.explain is not None:
        drawing = streams.drawing(asked.target, asked.ascii_only)
        text = explained(found, asked.explain, asked.form, asked.paths, *look, drawing)
    elif asked.form == "har":
        text = har.text(found, again, hide)
    else:
        text = formats.render(Private(found, hide), asked.form, asked.mirrors, asked.exchanges, *look)
    streams.write([text], asked.target)
    return found


def _inspect(paths: Sequence[str | BinaryIO], how: How) -> Inspection:
    from inspector.inspection import inspect

    suffix, window, match = how
    with streams.telling() as progress:
        return inspect(*paths, suffix=suffix, window=window, match=match, progress=progress, notice=streams.say)


@contextmanager
def _stream(paths: Sequence[str], how: How) -> Iterator[tuple[Stream, streams.Progress | None]]:
    from inspector.inspection import stream

    suffix, window, match = how
    with streams.telling() as progress:
        options: dict[str, Any] = {"suffix": suffix, "window": window, "match": match}
        yield stream(*paths, **options, progress=progress, notice=streams.say), progress


def _summarise(paths: Sequence[str], how: How) -> Stream:
    """Read everything and keep the counts only: memory does not grow with the captures."""
    with _stream(paths, how) as (found, _progress):
        deque(found, maxlen=0)  # lets go of each batch before the next is made
        return found


def _list_mirrors(asked: RunOptions) -> Stream | None:
    """Write a line a mirror when it is decided, and keep none. Where the reader has closed the pipe, the captures are read
    to the end if that is asked, or None says that they were not."""
    with _stream(asked.paths, asked.how) as (found, progress):
        batches = _lines(found, progress)
        if streams.write(batches, asked.target):
            return found
        if not asked.to_the_end:
            return None
        deque(batches, maxlen=0)
        return found


def _lines(found: Stream, progress: streams.Progress | None) -> Iterator[Iterator[str]]:
    from inspector import redact
    from inspector.render.json_v1 import mirror_lines
    from inspector.render.private import mirrors

    for decided in found:
        if progress is not None:
            progress.clear()
        lines = mirror_lines(mirrors(decided.presenter.mirrors(decided.rows, decided.first_number), redact.current()))
        del decided  # the batch goes with its last line, before the next is made
        yield lines
        del lines


def _warn(captures: Sequence[CaptureView]) -> None:
    for capture in captures:
        for warning in capture.warnings:
            streams.say(warning if warning.startswith(capture.path) else f"{capture.path}: {warning}")
