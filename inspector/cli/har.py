"""`--format har`: the legs with heads and bodies, read from the captures once more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from inspector.cli import streams

if TYPE_CHECKING:
    from inspector.inspection import Inspection
    from inspector.redact import Redactor
    from inspector.reread.messages import Capture


def text(found: Inspection, captures: Sequence[Capture], redactor: Redactor) -> Iterator[str]:
    """The document, piece by piece. captures: what was inspected, to be read again."""
    import inspector
    from inspector.evidence.legs import MirrorLegs
    from inspector.render import har
    from inspector.render.private import Private

    with streams.telling() as progress:
        legs = MirrorLegs(found).each(captures, progress=progress)
        yield from har.document(Private(found, redactor), legs, ("mirror-inspector", inspector.__version__), redactor)
