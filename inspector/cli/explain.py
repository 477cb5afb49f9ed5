"""`--explain N`: one mirror, told with its ladder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from inspector.cli import streams
from inspector.lang import _

if TYPE_CHECKING:
    from inspector.inspection import Inspection


def explained(
    found: Inspection,
    number: int,
    form: str,
    paths: Sequence[str],
    columns: int,
    colour: bool,
    drawing: tuple[bool, str],
) -> Iterable[str]:
    """Mirror `number` in format `form`. paths: the inputs, which are read again for the packets behind it.

    drawing: whether to draw with Unicode, and the encoding of the output. Raises UsageError for a mirror that there is not.
    """
    from inspector import redact
    from inspector.render import explain, ladder_svg, mermaid, private, story
    from inspector.render.ladder import layout

    drawn = form in ("svg", "mermaid")
    told = private.told(found.story(number, () if drawn else paths), redact.current())
    if not told.wires and not drawn:
        streams.say(_("a pipe cannot be read again: what its packets say below HTTP is not shown"))
    ladder = layout(told.mirror, others=told.others, more=told.more, captures=[c.path for c in found.captures])
    if form == "svg":
        return [ladder_svg.document(ladder)]
    if form == "mermaid":
        return [mermaid.diagram(ladder)]
    steps = explain.steps(told.mirror, told.others, told.wires)
    e = story.Explained(told.mirror, ladder, steps, found.captures)
    if form == "json":
        return story.json(e, found)
    if form == "markdown":
        return story.markdown(e)
    unicode, encoding = drawing
    return story.text(e, columns, unicode, colour, encoding)
