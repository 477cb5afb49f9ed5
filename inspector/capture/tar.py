"""Tar archives of captures: members are found, never unpacked to their paths.

The standard library's tarfile reads names of any length into memory; here nothing but the members is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from inspector import disk, limits
from inspector.capture.source import CHUNK, Damaged, FileSource, Peeked, Shared
from inspector.lang import _

BLOCK = 512
MAX_MEMBERS = 10_000
MAX_NAME = 1 << 16
MAX_SPOOL = 1 << 36  # 64 GiB of members from a compressed archive or a pipe


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes are a tar header: POSIX.1-1988 ustar or older, by its checksum."""
    if len(head) < BLOCK or not head[0]:
        return False
    try:
        claimed = int(head[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return claimed == sum(head[:148]) + 8 * 32 + sum(head[156:BLOCK])


def number(field: bytes) -> int:
    """A number of a header: octal, or base 256 where the top bit is set (GNU). Raises Damaged."""
    if field[0] & 0x80:
        value = int.from_bytes(field[1:], "big")
    else:
        try:
            value = int(field.strip(b" \0") or b"0", 8)
        except ValueError:
            raise Damaged(_("a tar header holds no number where it must")) from None
    if not 0 <= value < 1 << 60:
        raise Damaged(_("a tar header holds a size that cannot be"))
    return value


class Archive:
    """The regular members of a tar. `members()` must be consumed in order; what one yields can be read at any time.

    A tar that is a plain file is read where it lies; any other is spooled to one private unlinked temporary file.
    """

    def __init__(self, source: Peeked, progress: Callable[[int], None] | None = None) -> None:
        self.source = source
        self.progress = progress
        self.told = 0
        inner = source.inner
        plain = isinstance(inner, FileSource) and inner.size is not None
        self.file: Any = inner.file if isinstance(inner, FileSource) and plain else disk.temporary_file()
        self.shared = Shared(self.file)
        self.spooled: int | None = None if plain else 0
        self.at = 0  # bytes of the archive consumed

    def members(self) -> Iterator[tuple[str, int, int]]:
        """(name, start, size) in `file`, of each regular member. Raises Damaged at the end of a broken archive."""
        name = ""
        count = 0
        while True:
            header = self._take(BLOCK)
            if not any(header):  # also where the archive just ends
                return
            if not is_tar(header):
                raise Damaged(_("a tar header is damaged"))
            size = number(header[124:136])
            kind = header[156:157]
            if kind in (b"L", b"x"):  # a long name (GNU, POSIX.1-2001) for the next member
                body = self._take(min(size, MAX_NAME))
                name = as_text(body.rstrip(b"\0")) if kind == b"L" else pax_path(body) or name
                self._skip(padded(size) - min(size, MAX_NAME))
                continue
            if kind in (b"0", b"\0", b"7"):
                count += 1
                if count > limits.value("tar-members"):
                    n = f"{limits.value('tar-members'):,}"
                    raise Damaged(_("the archive has more than {n} members").format(n=n))
                start = self.at if self.spooled is None else self.spooled
                self._pass(size)
                if self.spooled is not None:
                    self.file.flush()
                yield name or plain_name(header), start, size
                self._skip(padded(size) - size)
            else:
                self._skip(padded(size) if kind not in (b"1", b"2", b"3", b"4", b"5", b"6") else 0)
            name = ""

    def _take(self, count: int) -> bytes:
        out = b""
        while len(out) < count and (chunk := self.source.read(count - len(out))):
            out += chunk
        self.at += len(out)
        return out

    def _skip(self, count: int) -> None:
        if self.spooled is None:
            self.at += count
            self.source.head = b""
            self.file.seek(self.at)
            return
        while count > 0 and (chunk := self._take(min(count, CHUNK))):
            count -= len(chunk)

    def _pass(self, size: int) -> None:
        """Go over a member's bytes, keeping them where the archive cannot be read again."""
        if self.spooled is None:
            self._skip(size)
            return
        most = limits.value("tar-spool")
        if self.spooled + size > most:
            raise Damaged(_("the archive's members are larger than {n} bytes together").format(n=f"{most:,}"))
        while size > 0 and (chunk := self._take(min(size, CHUNK))):
            self.file.write(chunk)
            self.spooled += len(chunk)
            size -= len(chunk)
            if self.progress:
                self.progress(self.source.position - self.told)
                self.told = self.source.position


def padded(size: int) -> int:
    """`size` rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def plain_name(header: bytes) -> str:
    """The name in a header, with ustar's prefix."""
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0] if header[257:262] == b"ustar" and header[262:263] == b"\0" else b""
    return as_text(prefix + b"/" + name if prefix else name)


def as_text(name: bytes) -> str:
    """A name as Python has the names of files: bytes that are no UTF-8 are surrogates, and can be bytes again."""
    return name.decode("utf-8", "surrogateescape")


def pax_path(body: bytes) -> str:
    r"""The path of a pax extended header: records `length key=value\n`."""
    while body:
        digits, _, _ = body.partition(b" ")
        if not digits.isdigit() or len(digits) > 10 or not 0 < int(digits) <= len(body):
            return ""
        key, _, value = body[len(digits) + 1 : int(digits) - 1].partition(b"=")
        if key == b"path":
            return as_text(value)
        body = body[int(digits) :]
    return ""
