"""From a path to readers: compression and archives are taken off, what is not a capture is named."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from inspector.capture.faults import warn
from inspector.capture.following import Following, Stop, Waiting
from inspector.capture.pcap import FILE_HEADER
from inspector.capture.reader import BLOCK_BYTES, CaptureReader, Progress
from inspector.capture.sniff import HINT, LOOK, describe, sniff
from inspector.capture.source import Damaged, Decompressed, FileSource, Peeked, RangeSource, Source, Zstandard
from inspector.capture.spelled import IN_BASE64, IN_HEX, STRAIGHT
from inspector.capture.tables import CaptureInfo
from inspector.capture.tar import Archive
from inspector.capture.terminal import (
    FRONT,
    MESSAGES,
    LineFeeds,
    begins,
    changed_header,
    changed_section,
    is_text,
    tell_changed,
    tell_messages,
)
from inspector.errors import CaptureError
from inspector.lang import _

MAX_LAYERS = 2  # compressions around each other


def open_captures(
    path: str | BinaryIO,
    first_number: int = 0,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
    follow: Stop | None = None,
) -> list[CaptureReader]:
    """The captures at `path`: a file, "-" for standard input, or an open binary file; one, or several in a tar.

    `first_number` is the number of the first of them. `progress` is called with the count of input bytes newly
    consumed, here (a tar that must be spooled) and while the readers run. `follow`: the input is still being written, and
    read until this is called. Raises CaptureError with a hint.
    """
    source, name = open_input(path)
    if follow is not None:
        return [_open_growing(source, name, first_number, block_bytes, follow)]
    return _open(source if isinstance(source, Peeked) else Peeked(source), name, first_number, block_bytes, progress)


def open_input(path: str | BinaryIO) -> tuple[Source, str]:
    """The source of a path, "-" or an open binary file, and what to call it. Raises CaptureError."""
    if not isinstance(path, str):
        return FileSource(path), str(getattr(path, "name", "<stream>"))
    if path == "-":
        if sys.stdin.isatty():
            raise CaptureError(
                "-", _("standard input is a terminal"), _("Pipe a capture in: tcpdump -U -w - | inspect -")
            )
        return FileSource(open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)), "-"
    try:
        return FileSource(open(path, "rb", buffering=0)), path
    except FileNotFoundError:
        raise CaptureError(
            path, _("no such file"), _("Check the path; a capture can also be piped in with -.")
        ) from None
    except IsADirectoryError:
        raise CaptureError(
            path, _("is a directory"), _("Name the captures in it: {path}").format(path=os.path.join(path, "*.pcap"))
        ) from None
    except PermissionError:
        raise CaptureError(
            path, _("permission denied"), _("tcpdump writes as root: chown or chmod the file.")
        ) from None
    except (OSError, ValueError) as error:
        raise CaptureError(path, str(getattr(error, "strerror", None) or error)) from None


def _open_growing(source: Source, name: str, number: int, block_bytes: int, stop: Stop) -> CaptureReader:
    """A reader of what is still being written: its first bytes are waited for."""
    growing = Peeked(Following(getattr(source, "file", None), stop))
    while True:
        try:
            kind = sniff(_head_of_growing(growing))
            if kind in ("pcap", "pcapng"):
                growing.peek(FILE_HEADER)
                reader = _reader(growing, CaptureInfo(name, number), block_bytes, None)
                reader.live = True
                return reader
            break
        except Waiting:
            continue
    head = growing.peek(4)
    growing.close()
    if not head and stop:
        raise CaptureError(name, _("nothing was written to it before the end was asked for"))
    if kind:
        raise CaptureError(
            name, _("{kind} cannot be followed").format(kind=kind), _("Let tcpdump write plain: tcpdump -U -w FILE")
        )
    raise CaptureError(name, _("not a capture") if head else _("is empty"), _(HINT))


def _head_of_growing(growing: Peeked) -> bytes:
    """The first bytes, of messages in front so many as come. Raises Waiting."""
    head = growing.peek(4)
    while not sniff(head) and is_text(head[: max(len(head) - FILE_HEADER, 4)]) and len(head) < MESSAGES:
        if at := begins(growing.head):
            growing.skip(at)
            return growing.peek(4)
        more = growing.peek(len(head) + 1)
        if len(more) == len(head):
            break
        head = more
    return head[:4]


def _reader(source: Peeked, info: CaptureInfo, block_bytes: int, progress: Progress | None) -> CaptureReader:
    """A reader of what `source` holds; what a terminal did to its beginning is undone and told."""
    changed = changed_section(source.peek(LOOK)) if sniff(source.peek(4)) == "" else False
    head = source.peek(FILE_HEADER)
    if not changed and sniff(head) == "pcap" and b"\r\n" in head:
        changed = changed_header(source.peek(FILE_HEADER + 8))

    def removed(count: int) -> None:
        info.bytes += count

    taken = Peeked(LineFeeds(source, removed)) if changed else source
    reader = CaptureReader(taken, info, block_bytes, progress)
    info.bytes += len(source.skipped)
    if source.skipped:
        tell_messages(info, source.skipped, 0)
    if changed:
        tell_changed(info)
    return reader


def _open(source: Peeked, name: str, number: int, block_bytes: int, progress: Progress | None) -> list[CaptureReader]:
    try:
        source, compression, kind = _unwrap(source, name)
        if kind == "tar":
            return _open_archive(source, name, number, block_bytes, progress)
        info = CaptureInfo(name, number, compression=compression)
        return [_reader(source, info, block_bytes, progress)]
    except Damaged as error:
        source.close()
        raise CaptureError(name, str(error), _("Copy or download it again.")) from None
    except OSError as error:
        source.close()
        raise CaptureError(name, _("cannot be read: {why}").format(why=error.strerror or error)) from None
    except CaptureError:
        source.close()
        raise


def _unwrap(source: Peeked, name: str) -> tuple[Peeked, str, str]:
    """Take compression off: the source, its compressions ("gz", or "gz+zst" from outside in), and the kind inside."""
    layers: list[str] = []
    while True:
        kind = sniff(_head(source)) or _behind_text(source)
        if kind in ("pcap", "pcapng", "tar"):
            return source, "+".join(layers), kind
        if not kind:
            _refuse(source, name, layers)
        if len(layers) == MAX_LAYERS:
            raise CaptureError(name, _("compressed more than twice"), _("Unpack it first."))
        layers.append(kind)
        source = Peeked(Zstandard(source) if kind == "zst" else Decompressed(source, kind))


def _head(source: Peeked) -> bytes:
    """Enough first bytes to tell a kind by: four of a capture, so that a pipe answers soon, else LOOK."""
    head = source.peek(4)
    return head if sniff(head) in ("pcap", "pcapng") else source.peek(LOOK)


def _behind_text(source: Peeked) -> str:
    """The kind of a capture that a terminal changed, or that stands behind messages, which are passed over; "" where none."""
    if changed_section(source.peek(LOOK)):
        return "pcapng"
    if not is_text(source.peek(4)):
        return ""
    head = source.peek(FRONT)
    at = begins(head)
    source.skip(at)
    return ("pcapng" if changed_section(head[at:]) else sniff(head[at:])) if at else ""


def _refuse(source: Peeked, name: str, layers: list[str]) -> None:
    head = source.peek(LOOK)
    if not head:
        if layers:
            raise CaptureError(
                name,
                _("the {kind} data is empty").format(kind=layers[-1]),
                _("Was it stopped before it wrote a packet?"),
            )
        raise CaptureError(name, _("is empty"), _("Was tcpdump stopped early? tcpdump -U writes each packet at once."))
    what, hint = describe(head)
    if what in (IN_BASE64, IN_HEX):
        hint = _(STRAIGHT).format(command=hint)
    said = (
        _("not a capture; it looks like {what} ({kinds} of it)") if layers else _("not a capture; it looks like {what}")
    )
    raise CaptureError(name, said.format(what=_(what), kinds="+".join(layers)), _(hint))


def _open_archive(
    source: Peeked, name: str, number: int, block_bytes: int, progress: Progress | None
) -> list[CaptureReader]:
    archive = Archive(source, progress)
    readers: list[CaptureReader] = []
    skipped: list[str] = []
    broken = ""
    archive.shared.users += 1  # ours, until the members are known
    try:
        for member, start, size in archive.members():
            piece = Peeked(RangeSource(archive.shared, start, size))
            try:
                kind = sniff(piece.peek(LOOK))
                if kind == "tar":
                    raise CaptureError(f"{name}:{member}", _("an archive in an archive is not opened"))
                piece = Peeked(RangeSource(archive.shared, start, size))
                readers += _open(piece, f"{name}:{member}", number + len(readers), block_bytes, progress)
            except (CaptureError, Damaged) as error:
                why = getattr(error, "message", str(error))
                skipped.append(_("{path} is skipped: {why}").format(path=f"{name}:{member}", why=why))
    except Damaged as error:
        broken = _("{path}: {why}; the members before it are read.").format(path=name, why=error)
    finally:
        archive.shared.done()
    if not readers:
        source.close()
        raise CaptureError(name, broken or (skipped[0] if skipped else _("an archive without captures")), _(HINT))
    for sentence in (*skipped, *([broken] if broken else [])):
        warn(readers[0].info, sentence)
    if broken:
        readers[0].info.dropped_tail = True
    return readers
