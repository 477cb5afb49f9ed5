"""The store's folder: opened, locked, kept true. One run at a time writes; any number read meanwhile.

A unit's folder appears by one rename when it is complete, and an older one of the same captures leaves by one just before:
whenever a run is killed, what stands under `data` is whole, and nothing is there twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from inspector import disk
from inspector.batch import migrate, seen
from inspector.batch.fetch import sweep
from inspector.batch.rows import system
from inspector.batch.schema import TABLES, VERSION
from inspector.batch.units import UnitOutcome
from inspector.errors import UsageError
from inspector.lang import _
from inspector.storable import path_of

MARK = "store.json"
SEEN = "seen.json"  # what is known of paths: a memory that saves hashing, never a truth
_FOLDER = re.compile(r"unit=([0-9a-f]{16})")


@dataclass(frozen=True)
class Place:
    """Where a unit stands: the values of its partition columns."""

    day: str
    source: str
    unit: str

    @property
    def relative(self) -> str:
        """Its folder below the store."""
        return f"data/day={self.day}/source={self.source}/unit={self.unit}"


class StoreFolder:
    """A store on disk."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Raises UsageError where there is none, or where its schema is not this version's."""
        self.root = Path(root)
        version = migrate.version(self.root)
        if version is None:
            raise UsageError(
                _("{path}: is not a store").format(path=self.root),
                _("inspect batch SOURCE... --store {path} makes one").format(path=self.root),
            )
        if version > VERSION:
            raise UsageError(
                _("{path}: was written by a newer mirror-inspector (schema {n})").format(path=self.root, n=version),
                _("use that one, or another store"),
            )
        if version < VERSION:
            raise UsageError(
                _("{path}: was written by an older mirror-inspector (schema {n})").format(path=self.root, n=version),
                _("inspect batch --store {path} with its sources brings it up to date").format(path=self.root),
            )

    def places(self) -> Iterator[Place]:
        """Every unit, in order of day, source and key."""
        for day in _named(self.root / "data", "day="):
            for source in _named(day, "source="):
                for unit in _named(source, "unit="):
                    if _FOLDER.fullmatch(unit.name):
                        yield Place(day.name[4:], source.name[7:], unit.name[5:])

    def file(self, place: Place, table: str) -> str:
        """A table's file of a unit, below the store."""
        return f"{place.relative}/{table}.parquet"


def _named(folder: Path, prefix: str) -> list[Path]:
    """The folders in `folder` whose names begin so, sorted; none where it is gone."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                Path(e.path) for e in entries if e.name.startswith(prefix) and e.is_dir(follow_symlinks=False)
            )
    except (FileNotFoundError, NotADirectoryError):
        return []


class Keeper(StoreFolder):
    """The store in the hands of the one run that may write. Use `keeping`."""

    def __init__(self, root: Path, run: str, token: str) -> None:
        super().__init__(root)
        self.run, self.token = run, token
        self.work = root / "work" / run
        paths, units = seen.read(root / SEEN)
        self.memory = seen.Memory(paths)
        self.units: dict[str, tuple[Place, tuple[str, ...], str]] = {}  # key: place, paths, state
        self.by_path: dict[str, set[str]] = {}  # keys of the units that hold a path
        self._load(units)

    def _load(self, remembered: Mapping[str, tuple[tuple[str, ...], str]]) -> None:
        for place in self.places():
            paths, state = remembered.get(place.unit) or self._look(place)
            if place.unit in self.units or not state:  # a folder that somebody copied, or that cannot be read
                self._away(place)
                continue
            self._enter(place, paths, state)

    def _enter(self, place: Place, paths: tuple[str, ...], state: str) -> None:
        self.memory.fresh = True
        self.units[place.unit] = (place, paths, state)
        for path in paths:
            self.by_path.setdefault(path, set()).add(place.unit)

    def _look(self, place: Place) -> tuple[tuple[str, ...], str]:
        """Paths and state of a unit, from its own files; nothing where they cannot be read: then it is made again."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        there = system(self.root)
        try:
            paths = pq.read_table(self.file(place, "captures"), columns=["path"], partitioning=None, filesystem=there)
            state = pq.read_table(self.file(place, "units"), columns=["state"], partitioning=None, filesystem=there)
            for table in TABLES:
                pq.read_metadata(self.file(place, table), filesystem=there)
            return tuple(map(path_of, paths.column(0).to_pylist())), str(state.column(0)[0].as_py())
        except (OSError, pa.ArrowException, IndexError):
            return (), ""

    def commit(self, outcome: UnitOutcome, source: str, paths: tuple[str, ...]) -> int:
        """Let a unit that was written take its place; what the store held of the same captures goes first: how many units.

        Raises Unwritable where the store cannot be written.
        """
        with self._writing():
            return self._commit(outcome, Place(outcome.day, source, outcome.key), paths)

    def _writing(self) -> AbstractContextManager[None]:
        return disk.writing(self.root, "store")

    def _commit(self, outcome: UnitOutcome, place: Place, paths: tuple[str, ...]) -> int:
        staged = self.root / outcome.staged if outcome.staged else self._written(outcome)
        target = self.root / place.relative
        old = self.retire(paths, outcome.key)
        if outcome.key in self.units:
            self.remove(outcome.key)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(staged, target)
        self._enter(place, paths, outcome.state)
        return old

    def discard(self, outcome: UnitOutcome) -> None:
        """What was written is not needed."""
        if outcome.staged:
            shutil.rmtree(self.root / outcome.staged, ignore_errors=True)

    def _written(self, outcome: UnitOutcome) -> Path:
        """A folder with the files that a worker has sent."""
        folder = self.work / secrets.token_hex(8)
        folder.mkdir()
        for table in TABLES:
            (folder / f"{table}.parquet").write_bytes(outcome.files[f"{table}.parquet"])
        return folder

    def retire(self, paths: Iterable[str], keep: str | None) -> int:
        """Remove the units that hold one of these paths, but for the unit `keep`: how many. Raises Unwritable."""
        old = {key for path in paths for key in self.by_path.get(path, ()) if key != keep}
        for key in old:
            self.remove(key)
        return len(old)

    def remove(self, key: str) -> None:
        """Take a unit out of the store. Raises Unwritable."""
        place, paths, _state = self.units.pop(key)
        self.memory.fresh = True
        for path in paths:
            self.by_path[path].discard(key)
        self._away(place)

    def _away(self, place: Place) -> None:
        """One rename, then the folder goes at leisure."""
        aside = self.work / f"old-{secrets.token_hex(8)}"
        folder = self.root / place.relative
        with self._writing():
            os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)
        for parent in (folder.parent, folder.parent.parent):
            with suppress(OSError):  # not empty
                parent.rmdir()

    def remember(self) -> None:
        """Write down what saves work next time, where there is something new. Raises Unwritable."""
        if not self.memory.fresh:
            return
        self.memory.fresh = False
        units = {key: (paths, state) for key, (_place, paths, state) in self.units.items()}
        held = {path for paths, _state in units.values() for path in paths}
        text = json.dumps({"schema": VERSION, "paths": self.memory.kept(held), "units": units})
        partial = self.work / SEEN
        with self._writing():
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, self.root / SEEN)


@contextmanager
def keeping(root: str | os.PathLike[str]) -> Iterator[Keeper]:
    """The store, made where there is none, for one run.

    Raises UsageError where another run holds it, or it is not a store, Unwritable where it cannot be written.
    """
    path = Path(os.path.abspath(root))
    with disk.writing(path, "store"):
        _make(path)
    with _locked(path):
        sweep()
        run, token = secrets.token_hex(8), secrets.token_hex(16)
        work = path / "work" / run
        try:
            with disk.writing(path, "store"):
                migrate.run(path)
                _set_up(work, token)
            keeper = Keeper(path, run, token)
            yield keeper
            keeper.remember()
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _set_up(work: Path, token: str) -> None:
    """The folder of a run; what killed runs left goes: nobody else holds the lock."""
    for left in work.parent.iterdir():
        shutil.rmtree(left, ignore_errors=True)
    work.mkdir()
    (work / "token").write_text(token)


def _make(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(_("{path}: is not a folder").format(path=path), _("name a folder for the store"))
    if migrate.version(path) is None:
        if path.is_dir() and any(entry.name not in ("work", "lock") for entry in path.iterdir()):
            raise UsageError(
                _("{path}: holds other files, and is not a store").format(path=path),
                _("name a new folder for the store"),
            )
        (path / "work").mkdir(parents=True, exist_ok=True)
        migrate.mark(path, VERSION)
    with suppress(OSError):
        (path / "work").mkdir(exist_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    with disk.writing(path, "store"):
        file = open(path / "lock", "a+b", buffering=0)  # noqa: SIM115 - closed below
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            who = file.read(200).decode("utf-8", "replace").strip()
            raise UsageError(
                _("{path}: another run is at work in this store ({who})").format(path=path, who=who or "?"),
                _("wait for it, or end it"),
            ) from None
        except OSError as error:
            said = _("{path}: cannot be locked, so two runs could write to it at once: {why}")
            raise UsageError(
                said.format(path=path, why=error.strerror or error),
                _("name a folder on a local disk, or on a file system that has locks, with --store"),
            ) from None
        with disk.writing(path, "store"):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {os.uname().nodename}\n".encode())
        yield file
