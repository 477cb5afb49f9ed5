"""What SOURCE... means: files, folders with all below them, patterns, archives and URLs become captures."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.batch import archives, remote
from inspector.batch.fetch import stamp_of
from inspector.batch.seen import Memory
from inspector.batch.store import MARK
from inspector.batch.units import Piece
from inspector.capture.sniff import LOOK, sniff
from inspector.disk import Unwritable
from inspector.errors import CaptureError, UsageError
from inspector.lang import _, several

NAME = re.compile(r"\.(pcapng|pcap|cap|dmp|ntar)\d*(\.(gz|zst|xz|lz4))?$", re.IGNORECASE)
PACKED = ("gz", "zst", "xz", "lz4")
MOST = 1_000_000  # captures of one run
MAGIC = re.compile(r"[*?\[]")
_MEMBER = re.compile(r"(.*?\.(?:tar(?:\.\w+)?|tgz|txz|tzst)):.", re.IGNORECASE | re.DOTALL)


@dataclass
class FoundCaptures:
    """Captures, each once, and sentences about what was left out.

    failed: of archives that could not be read, by path, why. bases: what decides whether a capture that is no longer there
    belonged to these sources.
    """

    pieces: dict[str, Piece] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    _bases: list[tuple[str, str]] = field(default_factory=list)

    def covers(self, path: str) -> bool:
        """Whether these sources would have found a capture of this name, were it there."""
        for kind, base in self._bases:
            if kind == "below" and path.startswith(base):
                return True
            if kind == "file" and (path == base or path.startswith(f"{base}:")):
                return True
            if kind == "match" and re.fullmatch(base, owner(path), re.DOTALL):
                return True
        return False


class SourceFinder:
    """Finds the captures of sources. skip: folders that are never entered (the store, the report)."""

    def __init__(self, memory: Memory, skip: Sequence[str] = ()) -> None:
        self.memory = memory
        self.skip = {os.path.realpath(path) for path in skip}
        self.found = FoundCaptures()
        self._entered: set[tuple[int, int]] = set()

    def find(self, sources: Sequence[str], maybe: Sequence[str] = ()) -> FoundCaptures:
        """All captures of all sources; `maybe`: folders that may not be there yet. Raises UsageError, InspectorError."""
        for source in sources:
            if remote.is_url(source):
                self._remote(source)
            elif os.path.lexists(source):
                self._path(os.path.abspath(source))
            elif MAGIC.search(source):
                self._pattern(os.path.abspath(source))
            else:
                raise UsageError(_("{path}: no such file or directory").format(path=source))
        for folder in maybe:
            self._folder(os.path.abspath(folder))
        if self.found.left_out:
            said = several(
                "{n} file does not look like a capture (name and first bytes): left out",
                "{n} files do not look like captures (names and first bytes): left out",
                self.found.left_out,
            )
            self.found.told.append(said.format(n=f"{self.found.left_out:,}"))
        return self.found

    def _path(self, path: str) -> None:
        if os.path.isdir(path):
            self._folder(path)
        else:
            self.found._bases.append(("file", path))
            self._file(path, True)

    def _pattern(self, pattern: str) -> None:
        self.found._bases.append(("match", as_regex(pattern)))
        names = sorted(glob.glob(pattern, recursive=True))
        if not names:
            raise UsageError(_("{pattern}: matches no file").format(pattern=pattern))
        for name in names:
            if os.path.isdir(name):
                self._folder(name)
            else:
                self._file(name, False)

    def _folder(self, top: str) -> None:
        self.found._bases.append(("below", os.path.join(top, "")))
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            if not self._enter(folder):
                continue
            try:
                with os.scandir(folder) as entries:
                    inside = sorted(entries, key=lambda e: e.name)
            except OSError as error:
                self._tell(folder, _("cannot be entered: {why}").format(why=error.strerror or error))
                continue
            for entry in inside:
                if entry.name.startswith("."):
                    continue
                if os.path.isdir(entry.path):
                    waiting.append(entry.path)
                else:
                    self._file(entry.path, False)

    def _enter(self, folder: str) -> bool:
        """Whether to look into a folder: each once, so that links cannot lead in circles."""
        if os.path.realpath(folder) in self.skip or os.path.exists(os.path.join(folder, MARK)):
            return False
        try:
            status = os.stat(folder)
        except OSError as error:
            self._tell(folder, _("cannot be entered: {why}").format(why=error.strerror or error))
            return False
        if (status.st_dev, status.st_ino) in self._entered:
            if os.path.islink(folder):
                self._tell(folder, _("leads to a folder that is read already: left out"))
            return False
        self._entered.add((status.st_dev, status.st_ino))
        return True

    def _file(self, path: str, named: bool) -> None:
        """A file that was found, or `named` by the user: that one is always read."""
        try:
            status = os.stat(path)
        except OSError as error:
            self._tell(path, _("cannot be read: {why}").format(why=error.strerror or error))
            return
        if not stat.S_ISREG(status.st_mode):
            self._tell(path, _("is not a regular file: left out"))
            return
        stamp = stamp_of(path)
        if archives.NAME.search(path) or (_head_kind(path) == "tar"):
            self._archive(path, stamp)
        elif named or NAME.search(os.path.basename(path)) or _head_kind(path) in ("pcap", "pcapng"):
            self._add(Piece(path, status.st_size, stamp))
        else:
            self.found.left_out += 1

    def _archive(self, path: str, stamp: str) -> None:
        """The captures in a tar; what it holds is remembered as long as it does not change."""
        known = self.memory.recall("members", path, stamp)
        if known is None:
            kept, broken = [], ""
            try:
                for piece, head in archives.members(path, stamp):
                    kind = sniff(head)
                    if NAME.search(piece.path) or kind in ("pcap", "pcapng"):
                        kept.append((piece.path, piece.size, piece.start))
                    else:
                        self.found.left_out += 1
            except Unwritable:
                raise
            except Exception as error:  # object stores have exceptions of their own
                broken = error.message if isinstance(error, CaptureError) else f"{path}: {error}"
            known = (kept, broken)
            self.memory.keep("members", path, stamp, known)
        kept, broken = known
        for name, size, start in kept:
            self._add(Piece(name, size, f"{stamp}-{start}", path, start))
        if broken:
            self.found.failed[path] = broken
            self.found.told.append(broken)
        elif not kept:
            self._tell(path, _("is an archive without captures"))

    def _remote(self, url: str) -> None:
        below = not MAGIC.search(url)
        self.found._bases.append(("file", url) if below else ("match", as_regex(url)))
        if below:
            self.found._bases.append(("below", url.rstrip("/") + "/"))
        for piece in remote.find(url):
            name = piece.path.partition("?")[0]
            if archives.NAME.search(name):
                self._archive(piece.path, piece.stamp)
            elif piece.path == url or NAME.search(name):
                self._add(piece)
            else:
                self.found.left_out += 1

    def _add(self, piece: Piece) -> None:
        if len(self.found.pieces) >= MOST:
            raise UsageError(
                _("there are more than {n} captures").format(n=f"{MOST:,}"),
                _("name fewer at a time: one store may take several runs"),
            )
        self.found.pieces.setdefault(piece.path, piece)

    def _tell(self, path: str, why: str) -> None:
        self.found.told.append(f"{path}: {why}")


def as_regex(pattern: str) -> str:
    """A pattern of paths as a regular expression; `*` stays within a folder, `**` does not."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^]]+\])", pattern)
    return "".join(
        words.get(part) or (part.replace("[!", "[^") if part.startswith("[") and i % 2 else re.escape(part))
        for i, part in enumerate(parts)
    )


def owner(path: str) -> str:
    """The file that a capture's name says it lies in: the archive of ARCHIVE:MEMBER."""
    found = _MEMBER.match(path)
    return found[1] if found else path


def _head_kind(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return sniff(file.read(LOOK))
    except OSError:
        return ""


def folder_of(piece: Piece) -> str:
    """The folder or the archive that a capture lies in."""
    if piece.archive:
        return piece.archive
    return piece.path.rpartition("/")[0]


def place_name(piece: Piece) -> str:
    """A name for where a capture comes from: the last part of its folder, or its archive without endings."""
    name = folder_of(piece).rstrip("/").rpartition("/")[2]
    return archives.NAME.sub("", name) if piece.archive else name
