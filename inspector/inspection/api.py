"""The pipeline: captures and options in, an Inspection out. The public API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from inspector.capture.following import Stop
from inspector.errors import UsageError
from inspector.inspection.collect import Collected
from inspector.inspection.pipeline import Pipeline
from inspector.inspection.summary import summarise
from inspector.lang import _, several
from inspector.mirror.pool import Decisions, Rules
from inspector.mirror.tables import Sign
from inspector.table import I64
from inspector.views.objects import CaptureView, ExchangeView, MirrorView, SummaryView
from inspector.views.present import Presenter

if TYPE_CHECKING:
    import pandas as pd

    from inspector.inspection.story import MirrorStory

SHOWN = (
    "verdict", "proof", "method", "path", "original_server", "original_status", "mirror_server", "mirror_status",
    "lag_us", "confidence",
)  # fmt: skip
SIGN_WORDS = {s.word: s for s in Sign if s not in (Sign.TIME, Sign.ORDER)}


def signs_of(words: tuple[str, ...]) -> Sign | None:
    """The signs that may pair, from the words of --match; None for all. Raises UsageError for an unknown word."""
    if not words:
        return None
    out = Sign(0)
    for word in words:
        if word not in SIGN_WORDS:
            raise UsageError(
                _("--match: there is no sign {word}").format(word=repr(word)),
                _("signs: {signs}").format(signs=", ".join(SIGN_WORDS)),
            )
        out |= SIGN_WORDS[word]
    return out


class Inspection:
    """What was found in the captures. DataFrames are made when they are asked for.

    captures: one CaptureView a capture; summary: counts, finding, what could not be seen; damaged: whether an input was
    cut short or damaged (the rest was read).
    """

    def __init__(self, pipeline: Pipeline, kept: Collected, redact: bool = False) -> None:
        self._pipeline = pipeline
        self._kept = kept
        self._redact = redact
        self.captures: list[CaptureView] = pipeline.captures()
        self.summary: SummaryView = summarise(pipeline.tally, pipeline.seen())
        self.damaged: bool = pipeline.damaged()
        self.timings: dict[str, float] = dict(pipeline.timings)

    @cached_property
    def _presenter(self) -> Presenter:
        return Presenter(*self._kept.tables(), self._pipeline.reading.unread_requests.found, self._pipeline.end())

    def mirror_views(self) -> Iterator[MirrorView]:
        """Each mirror with its verdict and evidence, in order of time."""
        return self._presenter.mirrors()

    def exchange_views(self) -> Iterator[ExchangeView]:
        """Each exchange, in order of time."""
        return self._presenter.exchanges()

    def mirror_view(self, number: int) -> MirrorView:
        """Mirror `number`, as `mirror_views` numbers them. Raises UsageError for one that there is not."""
        self._must_be(number)
        return self._presenter.mirror(number - 1, number)

    def story(self, number: int, paths: Sequence[str] = ()) -> MirrorStory:
        """Mirror `number` (as `mirror_views` numbers them) with its other legs and the packets behind it.

        paths: the captures that were inspected, where they are files that may be read again.
        Raises UsageError for a mirror that there is not.
        """
        self._must_be(number)
        from inspector.inspection.story import story

        return story(self._presenter, number, paths)

    def stories(self, numbers: Sequence[int], paths: Sequence[str] = ()) -> list[MirrorStory]:
        """Several mirrors as `story` tells one; the captures are read again once, and only where `paths` names them.

        Raises UsageError for a mirror that there is not.
        """
        for number in numbers:
            self._must_be(number)
        from inspector.inspection.story import stories

        return stories(self._presenter, numbers, paths)

    def _must_be(self, number: int) -> None:
        total = self.summary.mirrors
        if not 1 <= number <= total:
            has = several("there is {n} mirror", "there are {n} mirrors", total).format(n=f"{total:,}")
            raise UsageError(
                _("there is no mirror {number}: {has}").format(number=number, has=has),
                _("--show-mirrors lists them with their numbers"),
            )

    @cached_property
    def mirrors(self) -> pd.DataFrame:
        """One row a mirror: see inspection.frames for the columns."""
        from inspector.inspection.frames import mirrors_frame

        return self._private(mirrors_frame(self.mirror_views()))

    @cached_property
    def exchanges(self) -> pd.DataFrame:
        """One row an exchange."""
        from inspector.inspection.frames import exchanges_frame

        return self._private(exchanges_frame(self.exchange_views()))

    def _private(self, frame: pd.DataFrame) -> pd.DataFrame:
        if not self._redact:
            return frame
        from inspector.inspection.frames import redacted
        from inspector.redact import current

        return redacted(frame, current())

    @cached_property
    def connections(self) -> pd.DataFrame:
        """One row a connection that carried payload."""
        from inspector.inspection.frames import connections_frame

        return connections_frame(self._pipeline.connections())

    def __repr__(self) -> str:
        paths = ", ".join(c.path for c in self.captures)
        return f"<Inspection of {paths}: {self.summary.mirrors} mirrors. {self.summary.finding}>"

    def _repr_html_(self) -> str:
        """For notebooks: the finding and the mirrors (text is escaped by pandas), always redacted: a notebook is saved."""
        from html import escape

        from inspector.inspection.frames import redacted
        from inspector.redact import current

        shown = redacted(self.mirrors[list(SHOWN)], current())
        unseen = "".join(f"<li>{escape(s)}</li>" for s in self.summary.unseen)
        return f"<p><b>{escape(self.summary.finding)}</b></p>{shown.to_html(max_rows=20, escape=True)}<ul>{unseen}</ul>"


@dataclass(frozen=True)
class Decided:
    """Mirrors decided in one step: rows `rows` of the presenter's mirror table, to be numbered from `first_number`."""

    presenter: Presenter
    rows: I64
    first_number: int

    def views(self) -> Iterator[MirrorView]:
        """The mirrors as objects."""
        return iter(self.presenter.mirrors(self.rows, self.first_number))


class Stream:
    """An inspection that keeps nothing: iterate it once for the mirrors as they are decided, then read the rest.

    captures, summary and damaged are complete when the iteration has ended.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        pipeline.reading.keep_connections = False

    def stop(self) -> None:
        """End a reading that follows its input: what was read is decided, and the iteration ends. Safe in a signal handler."""
        if self._pipeline.reading.follow is not None:
            self._pipeline.reading.follow()

    def __iter__(self) -> Iterator[Decided]:
        number = 1
        for batch in self._pipeline.run():
            found, rows = batch.found, batch.decided
            del batch  # the next step is made while this frame waits: nothing of the last one should stay
            if len(rows):
                decided = Decided(Presenter(found.exchanges, found.mirrors, end=self._pipeline.end()), rows, number)
                number += len(rows)
                del found
                yield decided
                del decided

    def batches(self) -> Iterator[Decisions]:
        """Instead of iterating over it: what each step decided, with the exchanges that leave, for who keeps them elsewhere."""
        return self._pipeline.run()

    @property
    def end(self) -> tuple[int, bool] | None:
        """The time of the last packet (ns), and whether an input is cut short or damaged."""
        return self._pipeline.end()

    @property
    def captures(self) -> list[CaptureView]:
        """What was read, a view a capture."""
        return self._pipeline.captures()

    @property
    def summary(self) -> SummaryView:
        """Counts, finding, what could not be seen."""
        return summarise(self._pipeline.tally, self._pipeline.seen())

    @property
    def damaged(self) -> bool:
        """Whether an input was cut short or damaged."""
        return self._pipeline.damaged()

    @property
    def timings(self) -> dict[str, float]:
        """Seconds spent in each stage."""
        return dict(self._pipeline.timings)


def inspect(
    *captures: str | BinaryIO,
    suffix: str = "-shadow",
    window: float = 15.0,
    match: tuple[str, ...] = (),
    block_bytes: int = 4 << 20,
    progress: Callable[[int, int | None], None] | None = None,
    notice: Callable[[str], None] | None = None,
    redact: bool = False,
) -> Inspection:
    """Read captures as one view, find every mirrored request and judge it.

    captures: paths, "-" for stdin, or binary files. suffix: what the proxy appends to a copy's host ("" for none).
    window: seconds between a copy and its original. match: the signs that may pair (empty: all). block_bytes: how much is
    read at a time. progress: called with (bytes read, total or None). notice: called with a sentence before something slow.
    redact: replace secrets in the DataFrames' request targets (see inspector.redact); views and `reread` give what was captured.
    Raises CaptureError for an input that cannot be read, UsageError for options that make no sense.
    """
    pipeline = _pipeline(captures, suffix, window, match, block_bytes, progress, notice)
    kept = Collected()
    for batch in pipeline.run():
        kept.add(batch)
    return Inspection(pipeline, kept, redact)


def stream(
    *captures: str | BinaryIO,
    suffix: str = "-shadow",
    window: float = 15.0,
    match: tuple[str, ...] = (),
    block_bytes: int = 4 << 20,
    progress: Callable[[int, int | None], None] | None = None,
    notice: Callable[[str], None] | None = None,
    follow: bool = False,
) -> Stream:
    """Like `inspect`, but nothing is kept: mirrors are handed out when they are decided.

    follow: the one capture is a pipe, or a file that is still being written: mirrors are handed out within a second or so
    of their packets. A file is read until `Stream.stop` is called.
    """
    if follow and len(captures) != 1:
        raise UsageError(_("one capture can be followed at a time"))
    stop = Stop() if follow else None
    return Stream(_pipeline(captures, suffix, window, match, block_bytes, progress, notice, stop))


def _pipeline(
    captures: tuple[str | BinaryIO, ...],
    suffix: str,
    window: float,
    match: tuple[str, ...],
    block_bytes: int,
    progress: Callable[[int, int | None], None] | None,
    notice: Callable[[str], None] | None,
    follow: Stop | None = None,
) -> Pipeline:
    if not captures:
        raise UsageError(_("no capture given"), _("name a file, or - for a pipe"))
    if not window > 0:
        raise UsageError(_("the window must be longer than 0 seconds"))
    rules = Rules(suffix, int(window * 1e9), signs_of(tuple(match)))
    return Pipeline(captures, rules, block_bytes, progress, notice, follow)
