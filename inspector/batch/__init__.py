"""Many captures: a store that is kept true, and reports over it.

from inspector import batch
store = batch.open("store")
store.mirrors(since="2026-11-01", verdict="leaked")     # pandas DataFrame
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Store", "open", "report"]

if TYPE_CHECKING:
    from inspector.batch import report
    from inspector.batch.library import Store
    from inspector.batch.library import open_store as open


def __getattr__(name: str) -> Any:
    """Load what is asked for: the command's help imports nothing of it."""
    if name in ("Store", "open"):
        from inspector.batch import library

        return library.Store if name == "Store" else library.open_store
    if name == "report":
        return import_module("inspector.batch.report")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
