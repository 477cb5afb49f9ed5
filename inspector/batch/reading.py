"""One unit from its captures to a folder of Parquet files: what a worker does."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector import disk, lang, limits
from inspector.batch import fetch, rows
from inspector.batch.schema import TABLES
from inspector.batch.units import Task, UnitOutcome, day_of, key_of
from inspector.errors import CaptureError, InspectorError
from inspector.kernels import cache, kernel
from inspector.lang import _
from inspector.redact import Redactor
from inspector.storable import named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inspector.views.objects import CaptureView, SummaryView

TRIES = 3  # readings of a unit whose captures change under them
SENT = 256 << 20  # bytes that a worker sends where it does not see the store
KEY_BYTES = 1 << 16  # of each capture that the key of redacted words is made from


def read(task: Task) -> UnitOutcome:
    """Read a unit and write its folder beside the store's; what cannot be read becomes a row with its error.

    Raises Unwritable where there is no room for what is written.
    """
    begun = time.monotonic()
    if task.compiled and cache.warmed():
        kernel.use("compiled")
    try:
        with _english(), _sparing():
            outcome = _read(task)
    except fetch.Vanished as error:
        outcome = UnitOutcome("hidden" if error.hidden else "vanished", error=str(error))
    except disk.Unwritable as error:
        raise error.again() from None
    outcome.seconds, outcome.host = time.monotonic() - begun, socket.gethostname()
    return outcome


@contextmanager
def _english() -> Iterator[None]:
    """What the store holds is English, as every format that programs read."""
    before = lang.language()
    lang.use("en")
    try:
        yield
    finally:
        lang.use(before)


@contextmanager
def _sparing() -> Iterator[None]:
    """Rows make no circles: looking for them takes a tenth of the time. A cluster's worker is not ours alone: it is put back."""
    before = gc.get_threshold()
    gc.set_threshold(*limits.SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _read(task: Task) -> UnitOutcome:
    for attempt in range(TRIES):
        outcome = _once(task, attempt == TRIES - 1)
        if outcome is not None:
            return outcome
    raise AssertionError("the last try gives an outcome")


def _once(task: Task, last: bool) -> UnitOutcome | None:
    """One reading; None where a capture has changed meanwhile and it is not the last try."""
    begun = time.monotonic()
    with ExitStack() as stack:
        stage = _Stage(task, stack)
        stack.callback(stage.leave)
        with fetch.local(task.unit.pieces, task.unit.error) as local:
            if all(local.contents):
                key = key_of(local.contents, task.how, task.version)
                if key in task.known:
                    return UnitOutcome("same", key, contents=local.contents, stamps=local.stamps)
            else:
                key = key_of(
                    local.contents, task.how, task.version, "\n".join([*task.unit.paths, *local.errors.values()])
                )
            told = _Told(task, local, key, begun)
            _write(told, stage)
            if local.changed():
                stage.empty()
                if not last:
                    return None
                with stage.writing():
                    told.moving(stage.folder)
            return stage.hand_over(told)


class _Stage:
    """Where a unit's files are written first: in the store where the worker sees it, else in a private folder."""

    def __init__(self, task: Task, stack: ExitStack) -> None:
        home = Path(task.store) / "work" / task.run
        self.shared = _same(home / "token", task.token)
        # What a message names where there is no room: the disk.
        self.blamed = (task.store, "store") if self.shared else (disk.temporary_folder(), "temporary")
        if self.shared:
            self.name = f"{os.getpid()}-{time.monotonic_ns()}"
            self.folder = home / self.name
            with self.writing():
                self.folder.mkdir(mode=0o755)
        else:
            self.folder = stack.enter_context(fetch.private_folder())
        self.relative = f"work/{task.run}/{self.folder.name}"
        self.handed = False

    def empty(self) -> None:
        """Begin again."""
        with self.writing():
            for path in self.folder.iterdir():
                path.unlink()

    def writing(self) -> AbstractContextManager[None]:
        """A context that does nothing but write here. Raises Unwritable."""
        return disk.writing(*self.blamed)

    def hand_over(self, told: _Told) -> UnitOutcome:
        """The outcome, with the folder's place or its bytes."""
        outcome = told.outcome
        if self.shared:
            self.handed = True
            return replace(outcome, staged=self.relative)
        return replace(outcome, files={path.name: path.read_bytes() for path in self._files()})

    def _files(self) -> list[Path]:
        return [self.folder / f"{table}.parquet" for table in TABLES]

    def check(self) -> None:
        """Raises InspectorError where the files are too large to be sent."""
        total = 0 if self.shared else sum(path.stat().st_size for path in self._files())
        if total > SENT:
            raise InspectorError(
                _("the rows of a unit are too large to be sent ({n} MB)").format(n=total >> 20),
                _("let the workers see the store's folder under the same path"),
            )

    def leave(self) -> None:
        """What was not passed on goes."""
        if not self.handed:
            shutil.rmtree(self.folder, ignore_errors=True)


def _write(told: _Told, stage: _Stage) -> None:
    """Write a unit's tables. Whatever goes wrong in a capture is its row, not the end of the run."""
    try:
        told.write(stage.folder)
        stage.check()
    except disk.Unwritable:
        raise
    except OSError as error:
        if disk.refused(error):  # the disk is to blame, not the capture
            raise disk.unwritable(stage.blamed[0], error, stage.blamed[1]) from None
        _fail(told, stage, error)
        told.for_now()
    except Exception as error:
        _fail(told, stage, error)


def _fail(told: _Told, stage: _Stage, error: Exception) -> None:
    stage.empty()
    if isinstance(error, InspectorError):
        why: tuple[str, str | None] = (error.message, error.hint)
    elif isinstance(error, MemoryError):
        why = (_("out of memory"), _("split the capture: editcap -c 1000000 in.pcap out.pcap"))
    else:
        why = (_("unexpected error ({what})").format(what=f"{type(error).__name__}: {error}"), None)
    with stage.writing(), rows.Writer(stage.folder) as writer:
        told.fail(writer, dict.fromkeys(told.task.unit.paths, why))


def _same(path: Path, token: str) -> bool:
    try:
        return path.read_text() == token
    except (OSError, UnicodeDecodeError):
        return False


@dataclass(frozen=True)
class _Seen:
    """What an inspection tells of the captures as a whole."""

    captures: list[CaptureView]
    summary: SummaryView
    damaged: bool


class _Told:
    """What is known of a unit, and the outcome that a worker sends."""

    def __init__(self, task: Task, local: fetch.Local, key: str, begun: float) -> None:
        self.task, self.local, self.begun = task, local, begun
        self.outcome = UnitOutcome("new", key, contents=local.contents, stamps=local.stamps)

    def write(self, folder: Path) -> None:
        """Inspect the captures and write all tables."""
        errors: dict[str, tuple[str, str | None]] = {path: (why, None) for path, why in self.local.errors.items()}
        left = [i for i, path in enumerate(self.local.paths) if path is not None]
        with rows.Writer(folder) as writer:
            while left:
                bad = self._inspect(writer, folder, left, errors)
                if bad is None:
                    return
                left.remove(bad)
            self.fail(writer, errors)

    def for_now(self) -> None:
        """What went wrong may go well another time: the key is not that of a content, so the next run reads the unit again."""
        task = self.task
        self.outcome.key = key_of((), task.how, task.version, "\n".join((*task.unit.paths, *self.local.stamps)))

    def moving(self, folder: Path) -> None:
        """Write that the captures kept changing."""
        task = self.task
        self.for_now()
        error = _("changed while it was read: is it still being written?")
        hint = _("run again when it is complete, or use --watch")
        with rows.Writer(folder) as writer:
            self.fail(writer, dict.fromkeys(task.unit.paths, (error, hint)))

    def _inspect(
        self, writer: rows.Writer, folder: Path, read: Sequence[int], errors: dict[str, tuple[str, str | None]]
    ) -> int | None:
        """Inspect the pieces `read` and write what was found; or the number of one that cannot be read: then nothing was."""
        from inspector.batch.gathered import UnitRows
        from inspector.inspection import stream

        how, local = self.task.how, self.local
        paths = [str(local.paths[i]) for i in read]
        redactor = Redactor(_key(local), keep=how.no_redact)
        with UnitRows(folder, redactor) as gathered:
            try:
                found = stream(*paths, suffix=how.suffix, window=how.window, match=how.match)
                for batch in found.batches():
                    gathered.add(batch, found.end)
                    del batch  # the next step is made while this frame waits: nothing of the last one should stay
            except CaptureError as error:
                bad = next((i for i in read if local.paths[i] == error.path), read[0])
                errors[self.task.unit.paths[bad]] = (self._said(error.message), error.hint)
                return bad
            seen = _Seen(found.captures, found.summary, found.damaged)
            del found  # with all that reading needed
            gathered.write(writer, paths, how.suffix)
        self._found(writer, seen, read, errors)
        return None

    def _said(self, text: str) -> str:
        """A sentence about a local copy, with the name of what it is a copy of; the name itself stands in another column."""
        for path, name in zip(self.local.paths, self.task.unit.paths, strict=True):
            if path is not None:
                text = text.removeprefix(f"{path}: ").replace(path, name)
        return text

    def _found(
        self, writer: rows.Writer, found: _Seen, read: Sequence[int], errors: dict[str, tuple[str, str | None]]
    ) -> None:
        views, contents = self._captures(found, read)
        rows.captures(writer, views, contents)
        self._missing(writer, len(views), errors)
        self.outcome.state = "damaged" if found.damaged or errors else "read"
        self._unit(writer, found, errors)

    def _captures(self, found: _Seen, read: Sequence[int]) -> tuple[list[Any], list[str | None]]:
        """Views of the captures by the names of their pieces; an archive that was read as one has several."""
        names, contents = self.task.unit.paths, self.local.contents
        by_path = {str(self.local.paths[i]): i for i in read}
        views, hashes = [], []
        for view in found.captures:
            path = next((p for p in by_path if view.path == p or view.path.startswith(f"{p}:")), None)
            at = read[0] if path is None else by_path[path]
            name = names[at] + view.path[len(path or view.path) :]
            views.append(replace(view, path=name, warnings=[self._said(w) for w in view.warnings]))
            hashes.append(contents[at])
        return views, hashes

    def _missing(self, writer: rows.Writer, first: int, errors: dict[str, tuple[str, str | None]]) -> None:
        """Rows of captures that could not be read."""
        names = self.task.unit.paths
        for number, (path, (why, _hint)) in enumerate(errors.items(), first):
            i = names.index(path)
            writer.row(
                "captures",
                {"capture": number, "path": named(path), "bytes": self.task.unit.pieces[i].size,
                 "content": self.local.contents[i],
                 "packets": 0, "copies": 0, "link_types": [], "dropped_tail": False, "warnings": [why]},
            )  # fmt: skip
            writer.row("faults", {"capture": number, "code": "unreadable", "packets": 0})

    def fail(self, writer: rows.Writer, errors: dict[str, tuple[str, str | None]]) -> None:
        """Write rows that say why nothing was read."""
        self.outcome.state = "failed"
        self._missing(writer, 0, errors)
        self._unit(writer, None, errors)

    def _unit(self, writer: rows.Writer, found: _Seen | None, errors: dict[str, tuple[str, str | None]]) -> None:
        task, outcome = self.task, self.outcome
        why = next(iter(errors.values()), (None, None))
        outcome.error = why[0] if len(errors) < 2 else f"{next(iter(errors))}: {why[0]}"
        row: dict[str, Any] = {
            "state": outcome.state, "error": outcome.error, "hint": why[1], "files": len(task.unit.pieces),
            "bytes": task.unit.size, "content": _together(outcome.contents), "version": task.version,
            "options": task.how.text(), "unseen": list(task.unit.notes), "seconds": time.monotonic() - self.begun,
            "written": time.time_ns(),
        }  # fmt: skip
        counts = ("packets", "copies", "connections", "exchanges", "mirrors", "mirrored", "eligible")
        row |= dict.fromkeys((*counts, "discarded", "leaked", "unanswered", "unproven"), 0)
        if found is not None:
            row |= _figures(found)
            row["unseen"] = [*task.unit.notes, *(self._said(s) for s in found.summary.unseen)]
        outcome.day = day_of(row.get("first"))
        writer.row("units", row)


def _figures(found: _Seen) -> dict[str, Any]:
    s, views = found.summary, found.captures
    firsts = [v.first for v in views if v.first is not None]
    lasts = [v.last for v in views if v.last is not None]
    verdicts = {word: s.verdicts.get(word, 0) for word in ("discarded", "leaked", "unanswered", "unproven")}
    return verdicts | {
        "packets": sum(v.packets for v in views), "copies": sum(v.copies for v in views),
        "connections": s.connections, "exchanges": s.exchanges, "mirrors": s.mirrors, "mirrored": s.share.mirrored,
        "eligible": s.share.eligible, "finding": s.finding, "first": min(firsts, default=None), "last": max(lasts, default=None),
        "unread": list(s.unread), "unread_connections": list(s.unread.values()), "near": sum(s.near.values()),
        "encapsulated": s.encapsulated, "blind": s.blind,
    }  # fmt: skip


def _together(contents: tuple[str | None, ...]) -> str | None:
    """One hash of all pieces."""
    if len(contents) == 1:
        return contents[0]
    return "blake2b:" + blake2b("\n".join(map(str, contents)).encode(), digest_size=16).hexdigest()


def _key(local: fetch.Local) -> bytes:
    """The key of redacted words: of the captures' first bytes, as the command has it; it is not the stored hash of them."""
    key = blake2b(digest_size=32, person=b"redaction")
    for path in local.paths:
        if path is not None:
            with open(path, "rb") as file:
                key.update(file.read(KEY_BYTES))
    return key.digest()
