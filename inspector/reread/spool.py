"""A pipe can be read once only. Where the content of its exchanges will be shown, its bytes are kept in a private file.

The file has no name (mode 0600 until it is unlinked, which is at once), is bounded, and goes with the process.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import Any, BinaryIO, cast

from inspector import limits
from inspector.errors import InspectorError
from inspector.lang import _
from inspector.reread.second_pass import Capture

SPOOL_LIMIT = 8 << 30  # bytes kept of a pipe
SPARE = 2  # the spool takes at most this part (1 / SPARE) of the room on its disk


class Spool(io.FileIO):
    """A pipe that keeps what is read from it. dropped: bytes that came after its limit, or when the disk was full.

    Raises OSError where the pipe cannot be opened, InspectorError where there is no place for the file.
    """

    def __init__(self, file: int | str, name: str, limit: int | None = None) -> None:
        super().__init__(file, "rb", closefd=not isinstance(file, int))
        self.name = name
        try:
            self.kept = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - `release` closes it
        except OSError as error:
            why = _("{name}: cannot be kept to be read again: {error}").format(name=name, error=error.strerror or error)
            raise InspectorError(why, _("write the capture to a file first, or set TMPDIR")) from None
        free = os.statvfs(self.kept.fileno())
        self.room = min(limits.value("pipe-spool") if limit is None else limit, free.f_bavail * free.f_frsize // SPARE)
        self.dropped = 0

    def readinto(self, buffer: Any) -> int | None:
        """As io.FileIO.readinto."""
        count = super().readinto(buffer)
        if count:
            self._keep(memoryview(buffer)[:count])
        return count

    def _keep(self, data: memoryview) -> None:
        part = data[: 0 if self.dropped else self.room]
        done = 0
        try:
            while done < len(part):
                done += self.kept.write(part[done:]) or 0
        except OSError:  # the disk is full after all
            pass
        self.room -= done
        self.dropped += len(data) - done

    def again(self) -> BinaryIO:
        """What was kept, from its beginning. Each call gives a reader of its own."""
        return cast(BinaryIO, SpooledFile(self.kept.fileno(), self.name, 0))

    def release(self) -> None:
        """Let go of the file."""
        self.kept.close()


class SpooledFile:
    """Reads an open file from `start` on, without moving its position."""

    def __init__(self, fd: int, name: str, start: int) -> None:
        self.fd = fd
        self.name = name
        self.at = start

    def readinto(self, buffer: Any) -> int:
        """As io.RawIOBase.readinto."""
        count = os.preadv(self.fd, [buffer], self.at)
        self.at += count
        return count

    def close(self) -> None:
        """Nothing: the file is another's."""


class Inputs:
    """Captures that are read more than once: `first` to inspect, `again` to reread. Use it as a context.

    Paths stay paths; standard input and other pipes are spooled.
    """

    def __init__(self, paths: Sequence[str], limit: int | None = None) -> None:
        self.first: list[str | BinaryIO] = []
        self.again: list[Capture] = []
        self.spools: list[Spool] = []
        for path in paths:
            self._add(path, limit)

    def _add(self, path: str, limit: int | None) -> None:
        fd = sys.stdin.fileno() if path == "-" else None
        try:
            status = os.stat(path if fd is None else fd)
        except OSError:  # who opens it says what is wrong with it
            self.first.append(path)
            self.again.append(path)
            return
        if stat.S_ISREG(status.st_mode) and fd is not None:
            start = os.lseek(fd, 0, os.SEEK_CUR)
            self.first.append(path)
            self.again.append(lambda: cast(BinaryIO, SpooledFile(fd, path, start)))
        elif stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            try:
                spool = Spool(path if fd is None else fd, path, limit)
            except OSError:
                self.first.append(path)
                self.again.append(path)
                return
            self.spools.append(spool)
            self.first.append(cast(BinaryIO, spool))
            self.again.append(spool.again)
        else:
            self.first.append(path)
            self.again.append(path)

    @property
    def dropped(self) -> int:
        """Bytes of pipes that were not kept: exchanges in them cannot be read again."""
        return sum(spool.dropped for spool in self.spools)

    def __enter__(self) -> Inputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for spool in self.spools:
            spool.release()
