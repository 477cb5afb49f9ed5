"""`--diff`: one mirror against its original, or a summary of all pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from inspector.cli import streams
from inspector.errors import UsageError
from inspector.lang import _

if TYPE_CHECKING:
    from inspector.compare.counts import Differences
    from inspector.compare.pair import PairDifference
    from inspector.inspection import Inspection
    from inspector.redact import Redactor
    from inspector.render.source import Shown
    from inspector.views.objects import MirrorView

ONE, ALL = ("table", "markdown", "json"), ("table", "markdown", "json", "csv")


def check(which: int | str, form: str, other: bool) -> None:
    """Raises UsageError where --diff contradicts other options (`other`: one of those that show something else is given)."""
    if other:
        hint = _("leave out --show-mirrors, --show-exchanges, --explain and --follow")
        raise UsageError(_("--diff is shown by itself"), hint)
    formats = ALL if which == "all" else ONE
    if form not in formats:
        text = _("--diff {which} cannot be written as {format}").format(which=which, format=form)
        raise UsageError(text, _("formats: {formats}").format(formats=", ".join(formats)))


def run(
    paths: Sequence[str],
    which: int | str,
    inspect: Callable[[Sequence[str | BinaryIO]], Inspection],
    suffix: str,
    redactor: Redactor,
    form: str,
    target: str | None,
    look: tuple[int, bool],
) -> Inspection:
    """Inspect the captures, read the pair (or all of them) again, and write what differs."""
    from inspector.compare import all_pairs as pairs
    from inspector.render.private import Private, mirror
    from inspector.reread.spool import Inputs

    with Inputs(paths) as inputs:
        found = inspect(inputs.first)
        source = Private(found, redactor)
        with streams.telling() as progress:
            if which == "all":
                total = pairs.differences(found.mirror_views(), inputs.again, redactor, suffix, progress=progress)
                text = all_pairs(source, total, form, look)
            else:
                m = found.mirror_view(int(which))
                d = pairs.difference(m, inputs.again, redactor, suffix, progress)
                text = one_pair(source, mirror(m, redactor), d, form, look)
        streams.write([text], target)
        if inputs.dropped:
            streams.say(
                _("{count:,} bytes of the pipe were not kept: exchanges in them could not be compared").format(
                    count=inputs.dropped
                ),
                _("write the capture to a file first"),
            )
    return found


def one_pair(source: Shown, m: MirrorView, d: PairDifference, form: str, look: tuple[int, bool]) -> Iterator[str]:
    """One comparison as text."""
    from inspector.render import diff_json, diff_markdown, diff_table, diff_words

    if form == "json":
        return diff_json.document(source, "difference", diff_json.difference(m, d))
    heading = diff_words.heading(m, source.summary.mirrors)
    lead, sections = [*diff_words.legs(m), diff_words.finding(d)], diff_words.sections(d)
    if form == "markdown":
        return diff_markdown.document(heading, lead, sections)
    return diff_table.document(heading, lead, sections, *look)


def all_pairs(source: Shown, total: Differences, form: str, look: tuple[int, bool]) -> Iterator[str]:
    """The summary as text."""
    from inspector.render import diff_json, diff_markdown, diff_summary, diff_table

    if form == "json":
        return diff_json.document(source, "differences", diff_json.differences(total))
    if form == "csv":
        return diff_summary.csv_rows(total)
    heading, sections = diff_summary.heading(total), diff_summary.sections(total)
    if not total.pairs:
        heading, sections = source.summary.finding, []
    if form == "markdown":
        return diff_markdown.document(heading, [], sections)
    return diff_table.document(heading, [], sections, *look)
