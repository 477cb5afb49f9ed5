"""What is read as one, and its key: plain data that goes to workers and comes back."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from inspector.batch.schema import VERSION
from inspector.storable import storable

NAME = 64  # characters of a source's name
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class How:
    """The options that decide what is found; they are part of a unit's key."""

    suffix: str = "-shadow"
    window: float = 15.0
    match: tuple[str, ...] = ()
    no_redact: bool = False

    def text(self) -> str:
        """The same text for the same options."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Piece:
    """A capture where it lies.

    path: what it is called: a path, a URL, or ARCHIVE:MEMBER. size: bytes as stored. stamp: another one where the content
    may be another. archive: the tar that holds it, else ""; start: where its bytes begin in the archive without compression.
    """

    path: str
    size: int
    stamp: str
    archive: str = ""
    start: int = 0


@dataclass(frozen=True)
class Unit:
    """Captures that are read as one: one, or the pieces of a rotated one in order of time.

    source: a name for where they are from. notes: sentences about how they were put together. error: why they cannot be read,
    where that is known before.
    """

    pieces: tuple[Piece, ...]
    source: str
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def size(self) -> int:
        """Bytes as stored."""
        return sum(p.size for p in self.pieces)

    @property
    def paths(self) -> tuple[str, ...]:
        """What its pieces are called."""
        return tuple(p.path for p in self.pieces)


@dataclass(frozen=True)
class Task:
    """A unit with what a worker needs: the options, keys of its paths that the store holds, and where to write.

    store: the store's folder; run: the name of this run's folder in it; token: what stands in there, so that a worker knows
    whether it sees the same folder. version: of the tool.
    """

    unit: Unit
    how: How
    version: str
    store: str
    run: str
    token: str
    known: tuple[str, ...] = ()
    compiled: bool = False  # whether kernels should run compiled from the start


@dataclass
class UnitOutcome:
    """What a worker tells. what: new, same (the store holds it), vanished, hidden (the worker does not see the files).

    contents: the hash of each piece. staged: the folder that was written, relative to the store; files: their bytes, where the
    worker does not see the store.
    """

    what: str
    key: str = ""
    day: str = "unknown"
    state: str = "read"
    error: str | None = None
    contents: tuple[str | None, ...] = ()
    stamps: tuple[str, ...] = ()
    staged: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0
    host: str = ""


def key_of(contents: tuple[str | None, ...], how: How, version: str, otherwise: str = "") -> str:
    """16 hex digits: of the content, the tool's version and the options. otherwise: stands for content that could not be read."""
    text = json.dumps([VERSION, version, how.text(), contents, otherwise])
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=b"unit").hexdigest()
    return "abcdef"[int(digest[0], 16) % 6] + digest[1:]  # a letter first: no reader takes a folder's name for a number


def source_name(text: str) -> str:
    """A text as the name of a source: letters, digits, `.`, `_` and `-`; a short hash tells what became equal."""
    name = _ODD.sub("-", text).strip("-.")[:NAME]
    if name == text:
        return name
    mark = hashlib.blake2b(storable(text).encode(), digest_size=3).hexdigest()
    return f"{name}-{mark}" if name else f"source-{mark}"


def day_of(time: int | None) -> str:
    """The day (UTC) of a time in ns."""
    if time is None:
        return "unknown"
    try:
        return datetime.fromtimestamp(time // 1_000_000_000, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return "unknown"
