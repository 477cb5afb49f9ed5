"""Captures that are still being written: a pipe, or a file that grows. Waiting for bytes is never without an end."""

from __future__ import annotations

import array
import fcntl
import io
import os
import select
import stat
import termios
import threading
from typing import Any

from inspector.capture.source import FileSource
from inspector.errors import CaptureError
from inspector.lang import _

WAIT = 0.1  # seconds


class Waiting(Exception):
    """No bytes came for a while; more may come."""


class Stop:
    """Asks a reading that follows its input to end, from another thread or a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> None:
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, or return at once when the end was asked for."""
        self._event.wait(seconds)


class Following(FileSource):
    """A pipe or a file that another process still writes to. A file's end is not its end: it ends when `stop` was called."""

    def __init__(self, file: Any, stop: Stop) -> None:
        """Raises CaptureError for an input without a descriptor: nothing can be waited for there."""
        super().__init__(file)
        if not isinstance(file, io.FileIO):
            raise CaptureError(
                str(getattr(file, "name", "<stream>")), _("cannot be followed"), _("Follow a file, or - for a pipe.")
            )
        self.stop = stop
        self.size = None
        self._left: int | None = None  # bytes still to be read when the end was asked for
        self._grows = stat.S_ISREG(os.fstat(file.fileno()).st_mode)

    def readinto(self, view: memoryview) -> int:
        """As Source.readinto; 0 when the pipe was closed, or the end was asked for and what had been written until then is
        read. Raises Waiting after WAIT seconds without bytes."""
        if self.stop:
            if self._left is None:
                self._left = self._ready()
            count = self._once(view[: self._left]) if self._left > 0 else 0
            self._left -= count
            return count
        if self._grows:
            count = self._once(view)
            if count == 0:
                self.stop.wait(WAIT)
                raise Waiting
            return count
        ready, _, _ = select.select([self.file.fileno()], [], [], WAIT)
        if not ready:
            raise Waiting
        return super().readinto(view)

    def _ready(self) -> int:
        """Bytes that can be read now."""
        room = array.array("i", [0])
        try:
            fcntl.ioctl(self.file.fileno(), termios.FIONREAD, room)
        except OSError:
            return 0
        return max(room[0], 0)
