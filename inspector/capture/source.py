"""Where bytes come from: files, pipes, ranges of a tar; and the decompressors between them and a reader."""

from __future__ import annotations

import io
import os
import select
import stat
import zlib
from typing import Any, Protocol

from inspector.capture.zstdwalk import ZstdWalk
from inspector.lang import _

CHUNK = 1 << 17  # compressed bytes read at once
FIRST_PIECE = 1 << 8  # of them, handed to a decompressor at once: twice as many each time ...
LAST_PIECE = 1 << 14  # ... up to so many
# Bytes unpacked at once. In xz and lz4 so many at most are lost of what stands before damage, in gz one byte, in zst none.
STEPS = {"gz": 1 << 16, "zst": 1 << 17, "xz": 1 << 12, "lz4": 1 << 14}
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
        try:
            if hasattr(self.file, "readinto"):
                count = self.file.readinto(view) or 0
            else:
                chunk = self.file.read(len(view))
                count = len(chunk)
                view[:count] = chunk
        except (EOFError, zlib.error) as error:  # of an open gzip, bz2 or lzma file, as are their OSErrors
            raise Damaged(str(error)) from None
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
        self.skipped = b""  # what stood in front of what is read

    @property
    def position(self) -> int:
        return self.inner.position

    def skip(self, count: int) -> None:
        """Go over bytes that were looked at."""
        self.skipped += self.head[:count]
        self.head = self.head[count:]

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


class _Feed:
    """The compressed bytes, in pieces whose lengths depend on nothing but what has been taken so far.

    A pipe, or a compression around this one, gives bytes in portions of its own. A decompressor whose calls differ gives
    other bytes before damage, so it never sees those portions. What ends the input (`failed`)
    is reported when all before it is used.
    """

    def __init__(self, inner: Peeked) -> None:
        self.inner = inner
        self.chunk = b""
        self.at = 0  # of the first byte in the chunk that is not taken
        self.ended = False
        self.failed: Exception | None = None

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer only at the end."""
        while len(self.chunk) - self.at < count and self._refill():
            pass
        piece = self.chunk[self.at : self.at + count]
        self.at += len(piece)
        return piece

    def give_back(self, count: int) -> None:
        """The last `count` bytes taken are to be taken again."""
        self.at -= count

    def skip_zeros(self) -> None:
        """Zeros pad archives on tapes; there may be any number of them."""
        while True:
            rest = len(self.chunk) - self.at
            if rest and self.chunk[self.at]:
                return
            self.at += rest - len(self.chunk[self.at :].lstrip(b"\0"))
            if self.at < len(self.chunk) or not self._refill():
                return

    def _refill(self) -> bool:
        if self.ended:
            return False
        more = b""
        try:
            more = self.inner.read(CHUNK)
        except (Damaged, OSError) as error:
            self.failed = error
        self.ended = not more
        self.chunk = self.chunk[self.at :] + more
        self.at = 0
        return not self.ended


class _Unpacked:
    """A decompressor as a source. It works in steps of its own size whatever is asked for: the libraries drop what a
    call had unpacked when it meets damage, so the caller's sizes would decide what can be read."""

    kind = ""

    def __init__(self, inner: Peeked) -> None:
        self.inner = inner
        self.size = inner.size
        self.feed = _Feed(inner)
        self.room = memoryview(bytearray(STEPS[self.kind]))
        self.ready = self.room[:0]  # unpacked, but not yet asked for
        self.failed: Exception | None = None  # what ends the data, once it was met

    @property
    def position(self) -> int:
        return self.inner.position

    def readinto(self, view: memoryview) -> int:
        """As Source.readinto."""
        if not self.ready and self.failed is None:
            whole = len(view) >= len(self.room)
            try:
                count = self._step(view[: len(self.room)] if whole else self.room)
            except (Damaged, OSError) as error:
                self.failed = error
            else:
                if whole:
                    return count
                self.ready = self.room[:count]
        if not self.ready and self.failed is not None:
            raise self.failed
        count = min(len(view), len(self.ready))
        view[:count] = self.ready[:count]
        self.ready = self.ready[count:]
        return count

    def _step(self, room: memoryview) -> int:
        """Put the next bytes into `room`, which is as long as self.room: how many, 0 at the end. Raises what ends them early."""
        raise NotImplementedError

    def _ends_early(self) -> Exception:
        return self.feed.failed or Damaged(_("the {kind} data ends early").format(kind=self.kind))

    def _is_damaged(self, why: object) -> Exception:
        return Damaged(_("the {kind} data is damaged: {why}").format(kind=self.kind, why=why))

    def close(self) -> None:
        self.inner.close()


class _Gzip:
    """zlib's decompressor with the shape of lzma's. It gives every byte before damage, but the last."""

    def __init__(self) -> None:
        self.z = zlib.decompressobj(31)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        data = self.z.unconsumed_tail + data
        before = self.z.copy()
        while True:
            try:
                return self.z.decompress(data, max_length)
            except zlib.error:
                if max_length == 1:
                    raise
                self.z = before.copy()
                max_length //= 2

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

        return lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor()


class Decompressed(_Unpacked):
    """gz, xz or lz4, several members one after another."""

    def __init__(self, inner: Peeked, kind: str) -> None:
        self.kind = kind
        super().__init__(inner)
        self.member: Any = None
        self.piece = 0  # compressed bytes to pass on next: few at first, since a member may be tiny

    def _step(self, room: memoryview) -> int:
        while True:
            if self.member is None:
                self.feed.skip_zeros()
            piece = b""
            if self.member is None or self.member.needs_input:
                piece = self.feed.take(self.piece or FIRST_PIECE)
            if self.member is None:
                if not piece:
                    if self.feed.failed:
                        raise self.feed.failed
                    return 0
                self.member = _decompressor(self.kind)
            waits = not piece and self.member.needs_input  # the input has ended, the member has not
            self.piece = min(2 * (self.piece or FIRST_PIECE), LAST_PIECE)
            try:
                out: bytes = self.member.decompress(piece, len(room))
            except Exception as error:  # zlib.error, LZMAError, RuntimeError (lz4): each library has its own
                raise self._is_damaged(error) from None
            if self.member.eof:
                self.feed.give_back(len(self.member.unused_data or b""))
                self.member = None
                self.piece = 0
            elif waits and not out:
                raise self._ends_early()
            if out:
                room[: len(out)] = out
                return len(out)


class _Frames:
    """What zstandard's stream reader reads from. It is not the Zstandard itself: the library's object is not seen by the
    collector of circles, so one that held its owner would never be freed, and a window may be 128 MiB."""

    def __init__(self, feed: _Feed) -> None:
        self.feed = feed
        self.walk = ZstdWalk()

    def read(self, count: int) -> bytes:
        """Compressed bytes, of one block at most: the library has then given all of it when it meets damage in the next."""
        chunk = self.feed.take(count)
        end = self.walk.advance(chunk, 0)
        if self.walk.cut:  # too few bytes for a header: the last ones
            return chunk
        self.feed.give_back(len(chunk) - end)
        return chunk[:end]


class Zstandard(_Unpacked):
    """zst, several frames one after another."""

    kind = "zst"

    def __init__(self, inner: Peeked) -> None:
        import zstandard

        super().__init__(inner)
        self.frames = _Frames(self.feed)
        self.error = zstandard.ZstdError
        context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
        self.stream = context.stream_reader(self.frames, read_size=LAST_PIECE, read_across_frames=True)  # type: ignore[arg-type]

    def _step(self, room: memoryview) -> int:
        try:
            count = self.stream.readinto1(room)
        except self.error as error:
            raise self._is_damaged(error) from None
        if count == 0 and (self.feed.failed or self.frames.walk.inside):
            raise self._ends_early()
        return count
