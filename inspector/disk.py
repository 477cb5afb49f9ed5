"""Files that cannot be written, as a sentence: which path, why, and what to do.

A full disk is neither a fault of a capture nor one of this tool.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeGuard, cast

from inspector.errors import InspectorError
from inspector.lang import _, marked

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (*FULL, errno.EROFS)  # errors that reading never gives
HINTS = {  # by what is written: what to do on a full disk, and where writing is not allowed
    "store": (
        marked("free some space there, or name another folder with --store; what was read is kept"),
        marked("name a folder with --store that you may write to"),
    ),
    "report": (
        marked("free some space there, or name another folder with --report"),
        marked("name a folder with --report that you may write to"),
    ),
    "output": (
        marked("free some space there, or give another name with -o"),
        marked("give a name with -o in a folder that you may write to"),
    ),
    "stdout": (marked("free some space there, or write to a file: -o FILE"), marked("write to a file: -o FILE")),
    "evidence": (
        marked("free some space there, or give another name with --write-evidence"),
        marked("give a name with --write-evidence in a folder that you may write to"),
    ),
    "temporary": (
        marked("free some space there, or set TMPDIR to another folder"),
        marked("set TMPDIR to a folder that you may write to"),
    ),
}


class Unwritable(InspectorError):
    """`path` cannot be written. place: a key of HINTS."""

    def __init__(self, path: str | os.PathLike[str], why: str, full: bool, place: str) -> None:
        self.path, self.why, self.full, self.place = str(path), why, full, place
        hint = HINTS[place][0 if full else 1]
        super().__init__(_("{path}: cannot be written: {why}").format(path=self.path, why=why), _(hint))

    def __reduce__(self) -> tuple[Any, ...]:
        return Unwritable, (self.path, self.why, self.full, self.place)

    def again(self) -> Unwritable:
        """The same in the language spoken now: a worker speaks English."""
        return Unwritable(self.path, self.why, self.full, self.place)


def refused(error: BaseException) -> TypeGuard[OSError]:
    """Whether this error can only come from writing: the disk is full, or read-only."""
    return isinstance(error, OSError) and error.errno in REFUSED


def unwritable(path: str | os.PathLike[str], error: OSError, place: str) -> Unwritable:
    """The error, told of `path`."""
    why = os.strerror(error.errno) if error.errno else str(error.strerror or error)
    return Unwritable(path, why, error.errno in FULL, place)


@contextmanager
def writing(path: str | os.PathLike[str], place: str) -> Iterator[None]:
    """Every OSError in the context is one of writing `path`. Raises Unwritable."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error, place) from error


def temporary_folder() -> str:
    """Where temporary files are, also where there is no room for any."""
    import tempfile

    try:
        return tempfile.gettempdir()
    except OSError:
        return os.environ.get("TMPDIR") or "/tmp"


def temporary_file(buffered: bool = True) -> BinaryIO:
    """A private file without a name. It, and its writes, raise Unwritable where there is no room for temporary files."""
    import tempfile

    with writing(temporary_folder(), "temporary"), tempfile.TemporaryFile(buffering=0) as file:
        raw = _Temporary(os.dup(file.fileno()), "r+b")
    return cast(BinaryIO, io.BufferedRandom(raw) if buffered else raw)


class _Temporary(io.FileIO):
    """A temporary file that says where there is no room for it."""

    def write(self, data: Any) -> int:
        """Write all of it."""
        view = memoryview(data).cast("B")
        done = 0
        with writing(temporary_folder(), "temporary"):
            while done < len(view):
                done += super().write(view[done:]) or 0
        return done
