"""`--format html`: the report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO

from inspector.cli import streams
from inspector.errors import CaptureError, UsageError
from inspector.lang import _

if TYPE_CHECKING:
    from inspector.compare.pair import PairDifference
    from inspector.inspection import Inspection
    from inspector.redact import Redactor


def check(form: str, output: str | None) -> None:
    """Raises UsageError where the page would go to a terminal."""
    if form == "html" and output in (None, "-") and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(_("a report is a page, not for a terminal"), _("write it to a file: -o report.html"))


def run(
    paths: Sequence[str],
    inspect: Callable[[Sequence[str | BinaryIO]], Inspection],
    suffix: str,
    redactor: Redactor,
    target: str | None,
) -> Inspection:
    """Inspect the captures, read all pairs again for what differs in them, and write the report."""
    import inspector
    from inspector.compare.all_pairs import differences
    from inspector.render import private
    from inspector.render.report.compared import Brief, brief
    from inspector.render.report.gather import gather
    from inspector.render.report.page import Material, document
    from inspector.reread.spool import Inputs

    with Inputs(paths) as inputs:
        found = inspect(inputs.first)
        gathered = gather(private.Private(found, redactor))
        chosen = gathered.chosen()
        wanted, briefs = set(chosen), dict[int, Brief]()

        def told(number: int, d: PairDifference) -> None:
            if number in wanted:
                briefs[number] = brief(d)

        try:
            with streams.telling() as progress:
                total = differences(found.mirror_views(), inputs.again, redactor, suffix, progress=progress, told=told)
        except CaptureError as error:
            streams.say(error.message, _("the report says what differs by status and body only"))
            total = None
        material = Material(
            stories=[private.told(s, redactor) for s in found.stories(chosen)],
            told=[private.told(s, redactor) for s in found.stories(gathered.told(), paths)],
            briefs=briefs,
            differences=total,
            dropped=inputs.dropped,
        )
        streams.write([document(gathered, material, version=inspector.__version__)], target)
    return found
