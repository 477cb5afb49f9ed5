"""The report over a store: a static site that needs no server, and the same as Markdown, CSV and JSON.

`build(store, folder)` writes it; `counts(store)` gives the figures that a scheduled job fails on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspector.batch.report.counting import Counts, counts
    from inspector.batch.report.making import Built, build
    from inspector.batch.report.scan import moment

__all__ = ["Built", "Counts", "build", "counts", "moment"]


def __getattr__(name: str) -> object:
    """What `import` costs is paid when it is used."""
    from importlib import import_module

    places = {"Built": "making", "build": "making", "Counts": "counting", "counts": "counting", "moment": "scan"}
    if name not in places:
        raise AttributeError(name)
    return getattr(import_module(f"inspector.batch.report.{places[name]}"), name)
