"""`--follow`: mirrors are written as they are decided, while the capture is still being written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from inspector.cli import streams
from inspector.errors import UsageError
from inspector.lang import _

if TYPE_CHECKING:
    from inspector.inspection import Stream
    from inspector.views.objects import MirrorView

FORMS = ("table", "ndjson", "csv")


def following(
    paths: Sequence[str],
    how: tuple[str, float, tuple[str, ...]],
    form: str,
    shown: tuple[bool, bool],
    target: str | None,
    columns: int,
    colour: bool,
) -> Stream:
    """Read until the input ends, or until SIGINT or SIGTERM; then write the summary. how: suffix, window, match; shown: mirrors,
    exchanges. Raises UsageError for what cannot be written row by row."""
    mirrors, exchanges = shown
    if form not in FORMS:
        raise UsageError(
            _("--follow writes row by row, --format {form} is one document").format(form=form),
            _("--format table or ndjson or csv"),
        )
    if exchanges:
        raise UsageError(_("--follow shows mirrors, not exchanges"), "inspect - --show-mirrors --follow")
    from inspector.inspection import stream

    suffix, window, match = how
    found = stream(*paths, suffix=suffix, window=window, match=match, notice=streams.say, follow=True)
    with ended_by_signals(found.stop):
        written = streams.write(_batches(found, form if mirrors else "", columns, colour), target)
    found.stop()
    if written and form != "table":
        streams.say(found.summary.finding)
    return found


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C, or a SIGTERM, ends the reading in good order; a second one ends the program."""
    kept: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        for each, handler in kept.items():
            signal.signal(each, handler)
        stop()

    if threading.current_thread() is threading.main_thread():
        kept = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _batches(found: Stream, form: str, columns: int, colour: bool) -> Iterator[Iterable[str]]:
    """What to write, piece by piece: the first at once, so that a reader sees that it runs."""
    from inspector import redact
    from inspector.render import formats, live, private
    from inspector.render.csv_flat import mirrors as csv_mirrors
    from inspector.render.json_v1 import mirror_lines

    if form == "table":
        yield [live.heading(columns)]
    first = True
    for decided in found:
        views: Iterator[MirrorView] = decided.presenter.mirrors(decided.rows, decided.first_number)
        views = private.mirrors(views, redact.current())
        if form == "table":
            yield live.rows(views, columns, colour)
        elif form == "ndjson":
            yield mirror_lines(views)
        elif form == "csv":
            yield csv_mirrors(views, heading=first)
        first = False
    if form in ("table", ""):
        yield ["\n", *formats.summary(found, "table", columns, colour)]
