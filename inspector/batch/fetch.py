"""The bytes of a unit's pieces as local files: where they lie, or copied to a private folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from inspector import disk
from inspector.batch.units import Piece
from inspector.lang import _

CHUNK = 1 << 20
COARSE = 2.5  # seconds
ENDINGS = (".gz", ".zst", ".xz", ".lz4")  # kept on the names of copies: they say how much a file may hold
PREFIX = "mirror-inspector-"
YOUNG = 60  # seconds that a folder is left alone, since its lock may not be taken yet


class Vanished(Exception):
    """A capture is gone. hidden: it may be there, but not for this worker."""

    def __init__(self, path: str, hidden: bool = False) -> None:
        super().__init__(path)
        self.hidden = hidden


@dataclass
class Local:
    """Pieces as local files, beside the pieces. paths: None where one cannot be read (`errors` says why, by its name).

    contents: "blake2b:..." of the bytes as stored. stamps: as the files were when reading began.
    """

    pieces: Sequence[Piece]
    paths: list[str | None] = field(default_factory=list)
    hashes: list[str | None] = field(default_factory=list)
    stamps_read: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def contents(self) -> tuple[str | None, ...]:
        return tuple(self.hashes)

    @property
    def stamps(self) -> tuple[str, ...]:
        return tuple(self.stamps_read)

    def refuse(self, stamp: str) -> None:
        """The next piece cannot be read."""
        self.paths.append(None)
        self.hashes.append(None)
        self.stamps_read.append(stamp)

    def changed(self) -> bool:
        """Whether a file that is read where it lies is another one by now."""
        for piece, path, stamp in zip(self.pieces, self.paths, self.stamps_read, strict=True):
            if path == piece.path and stamp_of(piece.path) != stamp:
                return True
        return False


def stamp_of(path: str) -> str:
    """What changes when a file does: size, time of its last change and number; "" where it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only this user may enter; it goes when the context ends, or at the next `sweep` where that was killed.

    Raises Unwritable where there is no place for it.
    """
    with disk.writing(disk.temporary_folder(), "temporary"):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with _held(folder, wait=True):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _held(folder: Path, wait: bool) -> Iterator[bool]:
    """A lock on a folder, which goes with the process; False where another one has it.

    Where the file system has no locks, the maker of the folder (`wait`) goes on without, and `sweep` leaves it alone.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            ours = True
        except OSError:
            ours = wait
        yield ours
    finally:
        os.close(fd)


def settled(stamp: str) -> bool:
    """Whether a file's times are so old that any change by now has given it another stamp: some disks count in seconds."""
    parts = stamp.split("-")
    return len(parts) != 3 or not parts[1].isdigit() or time.time() - int(parts[1]) / 1e9 > COARSE


def sweep() -> None:
    """Remove the private folders of this user's processes that were killed."""
    for folder in Path(disk.temporary_folder()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            if (
                not stat.S_ISDIR(status.st_mode)
                or status.st_uid != os.getuid()
                or time.time() - status.st_mtime < YOUNG
            ):
                continue
            with _held(folder, wait=False) as ours:
                if ours:
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def local(pieces: Sequence[Piece], error: str = "") -> Iterator[Local]:
    """The pieces as files to read; copies go when the context ends. error: why none can be read, where that is known.

    Raises Vanished where one is gone.
    """
    found = Local(pieces)
    with ExitStack() as stack:
        folder: Path | None = None
        for number, piece in enumerate(pieces):
            if error:
                found.errors[piece.path] = error
                found.refuse(piece.stamp)
            elif piece.archive or "://" in piece.path:
                folder = folder or stack.enter_context(private_folder())
                _copied(found, piece, folder / f"{number}{_ending(piece.path)}")
            else:
                _in_place(found, piece)
        yield found


def _ending(name: str) -> str:
    return next((end for end in ENDINGS if name.lower().endswith(end)), "")


def _in_place(found: Local, piece: Piece) -> None:
    stamp = stamp_of(piece.path)
    if not stamp:
        raise Vanished(piece.path, hidden=not os.path.isdir(os.path.dirname(piece.path) or "."))
    path: str | None = piece.path
    content = None
    try:
        with open(piece.path, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(0, _("is not a regular file"))
            content = _hashed(file)
    except FileNotFoundError:
        raise Vanished(piece.path) from None
    except OSError as error:
        found.errors[piece.path] = _("cannot be read: {why}").format(why=error.strerror or error)
        path = None
    found.paths.append(path)
    found.hashes.append(content)
    found.stamps_read.append(stamp)


def _copied(found: Local, piece: Piece, to: Path) -> None:
    from inspector.batch import archives, remote

    path: str | None = str(to)
    content = None
    try:
        with open(to, "xb", opener=_private) as out:
            source: Any = archives.member(piece) if piece.archive else remote.opened(piece.path)
            with source as file:
                content = _hashed(file, out)
    except FileNotFoundError:
        raise Vanished(piece.path) from None
    except disk.Unwritable:
        raise
    except Exception as error:  # each object store has exceptions of its own
        if disk.refused(error):
            raise disk.unwritable(disk.temporary_folder(), error, "temporary") from None
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        found.errors[piece.path] = _("cannot be fetched: {why}").format(why=why)
        path, content = None, None
    found.paths.append(path)
    found.hashes.append(content)
    found.stamps_read.append(piece.stamp)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _hashed(file: BinaryIO | Any, out: BinaryIO | None = None) -> str:
    """The hash of a file's bytes, which are copied to `out`."""
    digest = blake2b(digest_size=16, person=b"content")
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        if out is not None:
            out.write(chunk)
    return f"blake2b:{digest.hexdigest()}"
