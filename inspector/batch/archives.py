"""Captures in tar archives, plain or compressed: found without unpacking, read from where they lie or from one private file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

from inspector import disk
from inspector.batch import remote
from inspector.batch.units import Piece
from inspector.capture.opening import MAX_LAYERS
from inspector.capture.sniff import LOOK, sniff
from inspector.capture.source import Damaged, Decompressed, FileSource, Peeked, Zstandard
from inspector.capture.tar import MAX_SPOOL, Archive
from inspector.errors import CaptureError
from inspector.lang import _

NAME = re.compile(r"\.(tar(\.(gz|zst|xz|lz4))?|tgz|txz|tzst)$", re.IGNORECASE)
CHUNK = 1 << 20
LONGEST = 1000  # characters of a member's name


class Range:
    """Some bytes of an open file, as a file."""

    def __init__(self, file: Any, start: int, size: int, close: bool) -> None:
        self.file, self.at, self.end, self.owned = file, start, start + size, close

    def read(self, count: int = -1) -> bytes:
        """Up to `count` bytes. Raises OSError where the file ends before they do."""
        left = self.end - self.at
        data = os.pread(self.file.fileno(), left if count < 0 else min(count, left), self.at)
        if not data and left and count:
            raise OSError(0, _("the archive ends inside this member"))
        self.at += len(data)
        return data

    def __enter__(self) -> Range:
        return self

    def __exit__(self, *what: object) -> None:
        if self.owned:
            self.file.close()


class _Looking(Archive):
    """An archive of which only the first bytes of each member are kept."""

    def __init__(self, source: Peeked) -> None:
        super().__init__(source)
        self.plain = self.spooled is None
        self.last: tuple[int, bytes] = (0, b"")

    def _pass(self, size: int) -> None:
        start = self.at
        if self.plain:
            head = os.pread(self.file.fileno(), min(size, LOOK), start)
            self._skip(size)
        else:
            head = self._take(min(size, LOOK))
            self._skip(size - len(head))
        self.last = (start, head)


def members(path: str, stamp: str) -> Iterator[tuple[Piece, bytes]]:
    """Each regular member with its first bytes. Raises CaptureError for what is no archive, and at the end of a damaged one."""
    with _unpacked(path) as source:
        archive = _Looking(source)
        names: dict[str, int] = {}
        try:
            for name, _start, size in archive.members():
                name = name[:LONGEST]
                times = names[name] = names.get(name, 0) + 1
                start, head = archive.last
                called = f"{path}:{name}" + (f"#{times}" if times > 1 else "")
                yield Piece(called, size, f"{stamp}-{start}", path, start), head
        except (Damaged, OSError) as error:
            raise CaptureError(path, _("{why}; the members before it are read").format(why=error)) from None
        finally:
            if not archive.plain:
                archive.file.close()


@contextmanager
def _unpacked(path: str) -> Iterator[Peeked]:
    """An archive's bytes without compression."""
    file: Any = remote.opened(path) if remote.is_url(path) else open(path, "rb", buffering=0)  # noqa: SIM115
    with closing(file):
        source = Peeked(FileSource(file))
        try:
            for _layer in range(MAX_LAYERS + 1):
                kind = sniff(source.peek(LOOK))
                if kind == "tar":
                    yield source
                    return
                if kind not in ("gz", "zst", "xz", "lz4"):
                    break
                source = Peeked(Zstandard(source) if kind == "zst" else Decompressed(source, kind))
        except Damaged as error:
            raise CaptureError(path, str(error), _("Copy or download it again.")) from None
    raise CaptureError(path, _("is not a tar archive"))


def member(piece: Piece) -> Range:
    """A member's bytes. Raises OSError, CaptureError."""
    if not remote.is_url(piece.archive):
        file = open(piece.archive, "rb", buffering=0)  # noqa: SIM115 - the range closes it
        if sniff(file.read(LOOK)) == "tar":
            return Range(file, piece.start, piece.size, True)
        file.close()
    stamp = piece.stamp.rpartition("-")[0]
    if _spool.of != (piece.archive, stamp):
        _spool.fill(piece.archive, stamp)
    return Range(_spool.file, piece.start, piece.size, False)


class _Spool:
    """The archive that this process has unpacked last, in a file without a name."""

    def __init__(self) -> None:
        self.of: tuple[str, str] = ("", "")
        self.file: BinaryIO | Any = None

    def fill(self, path: str, stamp: str) -> None:
        """Unpack another one. Raises CaptureError where it is too large, Unwritable where there is no room for it."""
        self.of = ("", "")
        if self.file is not None:
            self.file.close()
        self.file = disk.temporary_file(buffered=False)  # kept for the next member
        total = 0
        with _unpacked(path) as source:
            try:
                while chunk := source.read(CHUNK):
                    total += len(chunk)
                    if total > MAX_SPOOL:
                        raise CaptureError(
                            path, _("holds more than {n} GiB").format(n=MAX_SPOOL >> 30), _("Unpack it first.")
                        )
                    self.file.write(chunk)
            except Damaged:  # the members before are good; reading a later one reports that the archive ends
                pass
        self.of = (path, stamp)


_spool = _Spool()
