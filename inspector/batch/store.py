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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from inspector.batch import migrate
from inspector.batch.schema import TABLES, VERSION
from inspector.batch.units import Outcome
from inspector.errors import InspectorError, UsageError
from inspector.lang import _

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


class Folder:
    """A store on disk."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Raises UsageError where there is none, or where its schema is not this version's."""
        self.root = Path(root)
        version = migrate.version(self.root)
        if version is None:
            raise UsageError(
                _("{path}: is no store").format(path=self.root),
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

    def file(self, place: Place, table: str) -> Path:
        """A table's file of a unit."""
        return self.root / place.relative / f"{table}.parquet"


def _named(folder: Path, prefix: str) -> list[Path]:
    """The folders in `folder` whose names begin so, sorted; none where it is gone."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                Path(e.path) for e in entries if e.name.startswith(prefix) and e.is_dir(follow_symlinks=False)
            )
    except (FileNotFoundError, NotADirectoryError):
        return []


class Keeper(Folder):
    """The store in the hands of the one run that may write. Use `keeping`."""

    def __init__(self, root: Path, run: str, token: str) -> None:
        super().__init__(root)
        self.run, self.token = run, token
        self.work = root / "work" / run
        seen = _read_seen(root / SEEN)
        self.stamps: dict[str, tuple[str, str]] = seen["stamps"]  # path: its stamp, the hash of its content
        self.lists: dict[str, Any] = seen["lists"]  # archive: its stamp and members
        self.units: dict[str, tuple[Place, tuple[str, ...], str]] = {}  # key: place, paths, state
        self._load(seen["units"])

    def _load(self, remembered: Mapping[str, Any]) -> None:
        for place in self.places():
            known = remembered.get(place.unit)
            paths, state = (tuple(known[0]), str(known[1])) if known else self._look(place)
            if place.unit in self.units:  # the same content was moved, and the run killed between: one of them goes
                self._away(place)
                continue
            self.units[place.unit] = (place, paths, state)

    def _look(self, place: Place) -> tuple[tuple[str, ...], str]:
        """Paths and state of a unit, from its own files; nothing where they cannot be read: then it is made again."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            paths = pq.read_table(self.file(place, "captures"), columns=["path"], partitioning=None)
            state = pq.read_table(self.file(place, "units"), columns=["state"], partitioning=None)
            for table in TABLES:
                pq.read_metadata(self.file(place, table))
            return tuple(paths.column(0).to_pylist()), str(state.column(0)[0].as_py())
        except (OSError, pa.ArrowException, IndexError):
            self._away(place)
            return (), "failed"

    def commit(self, outcome: Outcome, source: str, paths: tuple[str, ...]) -> None:
        """Let a unit that was written take its place; what the store held of the same captures goes first."""
        place = Place(outcome.day, source, outcome.key)
        staged = self.root / outcome.staged if outcome.staged else self._written(outcome)
        target = self.root / place.relative
        target.parent.mkdir(parents=True, exist_ok=True)
        self.retire(paths, None)
        if outcome.key in self.units:
            self.remove(outcome.key)
        if target.exists():
            self._away(place)
        os.rename(staged, target)
        self.units[outcome.key] = (place, paths, outcome.state)

    def _written(self, outcome: Outcome) -> Path:
        """A folder with the files that a worker has sent."""
        folder = self.work / secrets.token_hex(8)
        folder.mkdir()
        for table in TABLES:
            (folder / f"{table}.parquet").write_bytes(outcome.files[f"{table}.parquet"])
        return folder

    def retire(self, paths: Iterable[str], keep: str | None) -> int:
        """Remove the units that hold one of these paths, but for the unit `keep`: how many."""
        wanted = set(paths)
        old = [key for key, (_place, held, _state) in self.units.items() if key != keep and not wanted.isdisjoint(held)]
        for key in old:
            self.remove(key)
        return len(old)

    def remove(self, key: str) -> None:
        """Take a unit out of the store."""
        self._away(self.units.pop(key)[0])

    def _away(self, place: Place) -> None:
        """One rename, then the folder goes at leisure."""
        aside = self.work / f"old-{secrets.token_hex(8)}"
        folder = self.root / place.relative
        os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)
        for parent in (folder.parent, folder.parent.parent):
            with suppress(OSError):  # not empty
                parent.rmdir()

    def remember(self) -> None:
        """Write down what saves work next time."""
        units = {key: (paths, state) for key, (_place, paths, state) in self.units.items()}
        text = json.dumps({"schema": VERSION, "stamps": self.stamps, "lists": self.lists, "units": units})
        partial = self.work / SEEN
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, self.root / SEEN)


def _read_seen(path: Path) -> dict[str, Any]:
    empty: dict[str, Any] = {"stamps": {}, "lists": {}, "units": {}}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != VERSION:
            return empty
        stamps = {p: (str(s), str(c)) for p, (s, c) in found["stamps"].items()}
        return {"stamps": stamps, "lists": dict(found["lists"]), "units": dict(found["units"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return empty


@contextmanager
def keeping(root: str | os.PathLike[str]) -> Iterator[Keeper]:
    """The store, made where there is none, for one run. Raises UsageError where another run holds it, or it is no store."""
    path = Path(os.path.abspath(root))
    _make(path)
    with _locked(path):
        migrate.run(path)
        for left in (path / "work").iterdir():  # of runs that were killed: nobody else holds the lock
            shutil.rmtree(left, ignore_errors=True)
        run, token = secrets.token_hex(8), secrets.token_hex(16)
        work = path / "work" / run
        work.mkdir()
        (work / "token").write_text(token)
        keeper = Keeper(path, run, token)
        try:
            yield keeper
            keeper.remember()
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _make(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(_("{path}: is no folder").format(path=path), _("name a folder for the store"))
    if migrate.version(path) is None:
        if path.is_dir() and any(entry.name not in ("work", "lock") for entry in path.iterdir()):
            raise UsageError(
                _("{path}: holds other files, and is no store").format(path=path), _("name a new folder for the store")
            )
        try:
            (path / "work").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InspectorError(
                _("{path}: cannot be written: {why}").format(path=path, why=error.strerror or error)
            ) from None
        migrate.mark(path, VERSION)
    with suppress(OSError):
        (path / "work").mkdir(exist_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    try:
        file = open(path / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InspectorError(
            _("{path}: cannot be written: {why}").format(path=path, why=error.strerror or error)
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read(200).strip()
            raise UsageError(
                _("{path}: another run is at work in this store ({who})").format(path=path, who=who or "?"),
                _("wait for it, or end it"),
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {os.uname().nodename}\n")
        file.flush()
        yield file
