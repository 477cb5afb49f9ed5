"""`--format html`: the report."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from inspector.errors import UsageError
from inspector.lang import _

if TYPE_CHECKING:
    from inspector.inspection import Inspection


def check(output: str | None) -> None:
    """Raises UsageError where the page would go to a terminal."""
    if output in (None, "-") and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(_("a report is a page, not for a terminal"), _("write it to a file: -o report.html"))


def reported(found: Inspection, paths: Sequence[str]) -> Iterator[str]:
    """The report on an inspection. paths: the inputs, read again for what is told in full."""
    import inspector
    from inspector.render.report.gather import gather
    from inspector.render.report.page import document

    gathered = gather(found)
    return document(
        gathered, found.stories(gathered.chosen()), found.stories(gathered.told(), paths), version=inspector.__version__
    )
