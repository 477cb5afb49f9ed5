"""Exceptions: for a file that cannot be read at all, and for misuse.

Bad traffic is data (a code in a column, a gap in a stream, a reason in a verdict), never an exception.
"""

from __future__ import annotations


class InspectorError(Exception):
    """A clear sentence and, where there is one, a hint that says what to do. Never shown with a traceback."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CaptureError(InspectorError):
    """An input that cannot be read: `path` names it, `offset` (bytes, uncompressed) says where reading stopped."""

    def __init__(self, path: str, message: str, hint: str | None = None, offset: int | None = None) -> None:
        where = path if offset is None else f"{path}: at byte {offset:,}"
        super().__init__(f"{where}: {message}", hint)
        self.path = path
        self.offset = offset


class UsageError(InspectorError):
    """Options that contradict each other or make no sense."""
