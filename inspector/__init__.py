"""Mirror inspector: finds mirrored HTTP requests in packet captures and proves where the copy's response went.

import inspector
found = inspector.inspect("capture.pcap")
found.mirrors          # pandas DataFrame
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "CaptureError",
    "Inspection",
    "InspectorError",
    "UsageError",
    "__version__",
    "batch",
    "inspect",
    "limits",
    "stream",
]

if TYPE_CHECKING:
    from inspector import batch, limits
    from inspector.errors import CaptureError, InspectorError, UsageError
    from inspector.inspection import Inspection, inspect, stream


def __getattr__(name: str) -> Any:
    """Load the pipeline only when it is used, so that `inspect --help` stays quick."""
    if name in ("Inspection", "inspect", "stream"):
        from inspector import inspection

        return getattr(inspection, name)
    if name in ("batch", "limits"):
        return import_module(f"inspector.{name}")
    if name in ("CaptureError", "InspectorError", "UsageError"):
        from inspector import errors

        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
