"""A capture as a plain file that other programs read: what is compressed, archived or a pipe is unpacked to a private one."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from inspector.capture import CaptureReader, open_captures
from inspector.capture.source import Damaged
from inspector.errors import CaptureError
from inspector.lang import _
from inspector.referee.model import UNPACK_LIMIT

PIECE = 1 << 20
SPARE = 2  # at most this part (1 / SPARE) of the free room on the disk is taken


@dataclass(frozen=True)
class Plain:
    """name: what the user calls it; file: where it can be read; cut: the bytes that were unpacked, where that is not all."""

    name: str
    file: Path
    cut: int = 0
    broken: str = ""  # why unpacking stopped


def plain(path: str, folder: Path, limit: int = UNPACK_LIMIT) -> Generator[Plain]:
    """The captures at `path` ("-": standard input), each a plain file until the next is asked for. Raises CaptureError."""
    readers = open_captures(path)
    try:
        for number, reader in enumerate(readers):
            as_it_is = path != "-" and os.path.isfile(path) and len(readers) == 1 and not reader.info.compression
            if as_it_is and reader.info.path == path:
                yield Plain(path, Path(path).absolute())
                continue
            target = folder / f"capture-{number}"
            yield _unpacked(reader, target, limit)
            target.unlink()
    finally:
        for reader in readers:
            reader.close()


def _unpacked(reader: CaptureReader, target: Path, limit: int) -> Plain:
    free = os.statvfs(target.parent)
    room = min(limit, free.f_bavail * free.f_frsize // SPARE)
    name, piece, done, broken = reader.info.path, bytearray(PIECE), 0, ""
    try:
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while got := reader.source.readinto(memoryview(piece)):
                if done + got > room:
                    file.write(piece[: room - done])
                    return Plain(name, target, room)
                file.write(memoryview(piece)[:got])
                done += got
    except Damaged as error:
        broken = str(error)
    except OSError as error:
        raise CaptureError(name, _("cannot be unpacked: {why}").format(why=error.strerror or error)) from None
    return Plain(name, target, 0, broken)
