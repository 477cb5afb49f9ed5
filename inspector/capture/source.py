"""Where bytes come from: files, pipes, ranges of a tar; and the decompressors between them and a reader."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import zlib
from typing import Any, BinaryIO, Protocol

from inspector.errors import CaptureError
from inspector.lang import _

CHUNK = 1 << 17  # compressed bytes read at once
XZ_MEMORY = 1 << 28  # an xz file that needs more is refused
ZSTD_WINDOW = 1 << 27


class Damaged(Exception):
    """The compressed bytes end early or make no sense; what came before is good."""


class Source(Protocol):
    """Bytes in order. `position` and `size` count bytes of the input as stored (compressed); None: a pipe."""

    size: int | None

    @property
    def position(self) -> int: ...

    def readinto(self, view: memoryview) -> int:
        """Fill `view` or less; 0 at the end. Raises Damaged or OSError."""
        ...

    def close(self) -> None: ...


class FileSource:
    """A file, a pipe, or anything with `read`."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.position = 0
        self.size: int | None = None
        self.poll: select.poll | None = None  # tells whether a pipe has more to read at once
        if isinstance(file, io.FileIO):  # others may have a descriptor that counts other bytes (gzip.GzipFile)
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                self.size = status.st_size
            else:
                self.poll = select.poll()
                self.poll.register(file.fileno(), select.POLLIN)

    def readinto(self, view: memoryview) -> int:
        """As Source.readinto. What a pipe has ready is taken together, but never waited for."""
        done = self._once(view)
        while self.poll is not None and 0 < done < len(view) and self.poll.poll(0):
            more = self._once(view[done:])
            if more == 0:
                break
            done += more
        return done

    def _once(self, view: memoryview) -> int:
        if hasattr(self.file, "readinto"):
            count = self.file.readinto(view) or 0
        else:
            chunk = self.file.read(len(view))
            count = len(chunk)
            view[:count] = chunk
        self.position += count
        return count

    def close(self) -> None:
        self.file.close()


class Shared:
    """An open file that several read side by side: closed when the last of them is done."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.users = 0

    def done(self) -> None:
        """One user fewer."""
        self.users -= 1
        if self.users <= 0:
            self.file.close()


class RangeSource:
    """`size` bytes from `start` of a shared file."""

    def __init__(self, shared: Shared, start: int, size: int) -> None:
        self.shared = shared
        shared.users += 1
        self.open = True
        self.start = start
        self.size: int | None = size
        self.position = 0

    def readinto(self, view: memoryview) -> int:
        """As Source.readinto."""
        left = (self.size or 0) - self.position
        if left <= 0:
            return 0
        count = os.preadv(self.shared.file.fileno(), [view[:left]], self.start + self.position)
        if count == 0:
            raise Damaged(_("the archive ends inside this member"))
        self.position += count
        return count

    def close(self) -> None:
        """Leave the file to the others."""
        if self.open:
            self.open = False
            self.shared.done()


class Peeked:
    """A source whose first bytes can be looked at."""

    def __init__(self, inner: Source) -> None:
        self.inner = inner
        self.size = inner.size
        self.head = b""

    @property
    def position(self) -> int:
        return self.inner.position

    def peek(self, count: int) -> bytes:
        """The first `count` bytes, fewer where there are no more."""
        room = bytearray(count)
        while len(self.head) < count:
            got = self.inner.readinto(memoryview(room)[: count - len(self.head)])
            if got == 0:
                break
            self.head += bytes(room[:got])
        return self.head[:count]

    def readinto(self, view: memoryview) -> int:
        """As Source.readinto."""
        if self.head:
            count = min(len(view), len(self.head))
            view[:count] = self.head[:count]
            self.head = self.head[count:]
            return count
        return self.inner.readinto(view)

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, b"" at the end."""
        room = bytearray(count)
        return bytes(room[: self.readinto(memoryview(room))])

    def close(self) -> None:
        self.inner.close()


class _Gzip:
    """zlib's decompressor with the shape of lzma's."""

    def __init__(self) -> None:
        self.z = zlib.decompressobj(31)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self.z.decompress(self.z.unconsumed_tail + data, max_length)

    @property
    def needs_input(self) -> bool:
        return not self.z.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self.z.eof

    @property
    def unused_data(self) -> bytes:
        return self.z.unused_data


def _decompressor(kind: str) -> Any:
    if kind == "gz":
        return _Gzip()
    if kind == "xz":
        import lzma

        return lzma.LZMADecompressor(memlimit=XZ_MEMORY)
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor()


class Decompressed:
    """gz, xz or lz4, several members one after another. What one call expands to is bounded by the view."""

    def __init__(self, inner: Peeked, kind: str) -> None:
        self.inner = inner
        self.kind = kind
        self.size = inner.size
        self.member: Any = _decompressor(kind)
        self.rest = b""  # read, but not yet handed to the member
        self.started = False  # the member has been given bytes

    @property
    def position(self) -> int:
        return self.inner.position

    def readinto(self, view: memoryview) -> int:
        """As Source.readinto."""
        while True:
            if self.member.eof:
                self.rest = (self.member.unused_data or b"").lstrip(b"\0")  # zeros pad archives on tapes
                self.member = _decompressor(self.kind)
                self.started = False
            chunk = b""
            if self.member.needs_input:
                chunk = self.rest or self.inner.read(CHUNK)
                self.rest = b""
                if not self.started:
                    chunk = chunk.lstrip(b"\0")
                if not chunk:
                    if self.started:
                        raise Damaged(_("the {kind} data ends early").format(kind=self.kind))
                    return 0
            self.started = True
            try:
                out = self.member.decompress(chunk, len(view))
            except Exception as error:  # zlib.error, LZMAError, RuntimeError (lz4): each library has its own
                raise Damaged(_("the {kind} data is damaged: {why}").format(kind=self.kind, why=error)) from None
            if out:
                view[: len(out)] = out
                return len(out)

    def close(self) -> None:
        self.inner.close()


class Zstandard:
    """zst, several frames one after another."""

    def __init__(self, inner: Peeked) -> None:
        import zstandard

        self.inner = inner
        self.size = inner.size
        self.walk = ZstdWalk()
        self.error = zstandard.ZstdError
        context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
        self.stream = context.stream_reader(self, read_size=CHUNK, read_across_frames=True)  # type: ignore[arg-type]

    @property
    def position(self) -> int:
        return self.inner.position

    def read(self, count: int = CHUNK) -> bytes:
        """Compressed bytes, for the stream reader."""
        chunk = self.inner.read(count)
        self.walk.feed(chunk)
        return chunk

    def readinto(self, view: memoryview) -> int:
        """As Source.readinto."""
        try:
            count = self.stream.readinto(view)
        except self.error as error:
            raise Damaged(_("the {kind} data is damaged: {why}").format(kind="zst", why=error)) from None
        if count == 0 and self.walk.inside:
            raise Damaged(_("the {kind} data ends early").format(kind="zst"))
        return count

    def close(self) -> None:
        self.inner.close()


class ZstdWalk:
    """Follows frames and blocks of RFC 8878, section 3.1, to know whether the bytes end inside a frame.

    The library does not say so: a frame that is cut off at a block looks to it like one that is complete.
    """

    def __init__(self) -> None:
        self.inside = False
        self.left = b""  # of a header that is not whole
        self.skip = 0
        self.checksum = 0
        self.at_block = False

    def feed(self, chunk: bytes) -> None:
        """The next compressed bytes."""
        at = 0
        chunk = self.left + chunk
        while True:
            step = min(self.skip, len(chunk) - at)
            at += step
            self.skip -= step
            if self.skip or not (need := self._header(chunk, at)):
                break
            at += need
        self.left = chunk[at:]
        self.inside = bool(self.at_block or self.skip or self.left)

    def _header(self, data: bytes, at: int) -> int:
        """Read the frame or block header at `at`: its length, 0 where it is not whole."""
        if self.at_block:
            if len(data) - at < 3:
                return 0
            value = int.from_bytes(data[at : at + 3], "little")
            self.skip = 1 if value >> 1 & 3 == 1 else value >> 3
            if value & 1:
                self.at_block = False
                self.skip += self.checksum
            return 3
        if len(data) - at < 8:
            return 0
        if data[at + 1 : at + 4] == b"\x2a\x4d\x18":  # a skippable frame
            self.skip = int.from_bytes(data[at + 4 : at + 8], "little")
            return 8
        descriptor = data[at + 4]
        single = descriptor >> 5 & 1
        self.checksum = 4 if descriptor & 4 else 0
        self.at_block = True
        self.skip = (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6] + (1 - single)
        return 5


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
