"""One round of keeping a store true: find the captures, read what is new or changed, tell what is gone."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from inspector.batch import engine, rotation
from inspector.batch.engine import StopAsked, Where
from inspector.batch.fetch import settled
from inspector.batch.reading import read
from inspector.batch.sources import FoundCaptures, SourceFinder, folder_of
from inspector.batch.store import Keeper
from inspector.batch.units import How, Piece, Task, Unit, UnitOutcome, key_of, source_name
from inspector.lang import _, several

COMPILED = 1 << 20  # bytes of captures from which it pays to load compiled kernels
REMEMBER = 10.0  # seconds between two times that what is known is written down
TOLD = 20  # sentences of one kind
ASIDE = "set aside"  # kind of memory: under which conditions workers died of a capture

Notice = Callable[[str], None]


@dataclass
class Round:
    """What one round did. Counts are of units; `state` of every unit of the sources, new or not."""

    units: int = 0
    captures: int = 0
    new: int = 0
    unchanged: int = 0
    twice: int = 0  # with the content of another one
    superseded: int = 0
    removed: int = 0
    gone: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    damaged: bool = False

    @property
    def changed(self) -> bool:
        """Whether the store is another one than before."""
        return bool(self.new or self.superseded or self.removed)


@dataclass(frozen=True)
class Plan:
    """What is asked for. force: read everything again; prune: remove what is no longer in the sources.

    maybe: folders that may not be there yet; ready: says of a capture whether it may be read now.
    """

    sources: tuple[str, ...]
    how: How
    where: Where
    force: bool = False
    prune: bool = False
    skip: tuple[str, ...] = ()
    maybe: tuple[str, ...] = ()
    ready: Callable[[Piece], bool] | None = None


class RoundProgress(Protocol):
    """Told of what is to be read, and of what is done."""

    def begin(self, units: int, bytes_: int) -> None: ...

    def done(self, unit: Unit) -> None: ...

    def end(self) -> None: ...


class Silent:
    """Tells nobody."""

    def begin(self, units: int, bytes_: int) -> None:
        """So much is to be read."""

    def done(self, unit: Unit) -> None:
        """A unit was read."""

    def end(self) -> None:
        """All is done."""


def run(keeper: Keeper, plan: Plan, stop: StopAsked, notice: Notice, progress: RoundProgress, version: str) -> Round:
    """Read what is new or changed. Raises Interrupted (what was read is kept), UsageError, InspectorError."""
    found = SourceFinder(keeper.memory, (*plan.skip, str(keeper.root))).find(plan.sources, plan.maybe)
    _few(found.told, notice)
    pieces = [p for p in found.pieces.values() if plan.ready is None or plan.ready(p)]
    units = rotation.units(pieces, keeper.memory)
    for path, why in found.failed.items():
        piece = Piece(path, 0, why)
        units.append(Unit((piece,), source_name(folder_of(piece).rpartition("/")[2]), (), why))
    return _Run(keeper, plan, found, units, notice, progress, version).go(stop)


def _few(sentences: Sequence[str], notice: Notice) -> None:
    for sentence in sentences[:TOLD]:
        notice(sentence)
    more = len(sentences) - TOLD
    if more > 0:
        notice(several("and {n} more", "and {n} more", more).format(n=f"{more:,}"))


class _Run:
    """A round under way."""

    def __init__(
        self,
        keeper: Keeper,
        plan: Plan,
        found: FoundCaptures,
        units: list[Unit],
        notice: Notice,
        progress: RoundProgress,
        version: str,
    ) -> None:
        self.keeper, self.plan, self.found = keeper, plan, found
        self.units, self.notice, self.progress, self.version = units, notice, progress, version
        self.round = Round(units=len(units), captures=sum(len(u.pieces) for u in units))
        self.claimed: dict[str, Unit] = {}  # key: the unit of these sources that has it
        self._remembered = time.monotonic()

    def go(self, stop: StopAsked) -> Round:
        """Read, and tell what is gone."""
        self.units.sort(key=lambda u: u.paths)  # of equal captures the first one counts, whoever is faster
        tasks = [task for unit in self.units if (task := self._task(unit)) is not None]
        if tasks and sum(map(engine.weight, tasks)) >= COMPILED:
            tasks = [replace(task, compiled=True) for task in tasks]
        self.progress.begin(len(tasks), sum(t.unit.size for t in tasks))
        try:
            engine.run(tasks, self.plan.where, self._done, stop, self.notice)
        finally:
            self.progress.end()
            self.keeper.remember()
        self._gone()
        return self.round

    def _task(self, unit: Unit) -> Task | None:
        """What is to be read; None where the store holds it."""
        keeper, plan = self.keeper, self.plan
        contents = tuple(keeper.memory.recall("content", p.path, p.stamp) for p in unit.pieces)
        task = Task(unit, plan.how, self.version, str(keeper.root), keeper.run, keeper.token)
        if plan.force:
            return task
        if (aside := self._set_aside(unit)) is not None:
            self._claim(aside, unit)
            return None
        if all(contents):
            key = key_of(contents, plan.how, self.version)
            held = keeper.units.get(key)
            if held is not None and (set(held[1]) == set(unit.paths) or key in self.claimed):
                self._claim(key, unit)
                return None
        wanted = set(unit.paths)
        known = [key for key, (_p, paths, _s) in self._by_path(wanted) if set(paths) == wanted]
        return replace(task, known=tuple(known))

    def _set_aside(self, unit: Unit) -> str | None:
        """The key of the row that says that workers died of this unit, where nothing has changed since."""
        memory = self.keeper.memory
        if any(memory.recall(ASIDE, p.path, p.stamp) != self._conditions() for p in unit.pieces):
            return None
        return next((key for key, (_p, paths, _s) in self._by_path(set(unit.paths)) if paths == unit.paths), None)

    def _conditions(self) -> list[Any]:
        """What may decide whether a worker lives: fewer workers have more memory each."""
        where = self.plan.where
        return [self.version, self.plan.how.text(), where.workers, where.scheduler]

    def _by_path(self, paths: set[str]) -> list[tuple[str, tuple[object, tuple[str, ...], str]]]:
        index = self.keeper.by_path
        keys = {key for path in paths for key in index.get(path, ())}
        return [(key, self.keeper.units[key]) for key in sorted(keys)]

    def _claim(self, key: str, unit: Unit) -> None:
        """The store holds this unit as it is."""
        first = self.claimed.setdefault(key, unit)
        if first is not unit:
            self._twice(first, unit)
        else:
            self.round.unchanged += 1
        self._count(self.keeper.units[key][2])
        self.round.superseded += self.keeper.retire(unit.paths, key)

    def _count(self, state: str) -> None:
        self.round.states[state] += 1
        self.round.damaged |= state != "read"

    def _twice(self, first: Unit, second: Unit) -> None:
        self.round.twice += 1
        said = _("{path} has the same content as {first}: counted once")
        self.notice(said.format(path=second.paths[0], first=first.paths[0]))

    def _done(self, task: Task, outcome: UnitOutcome) -> None:
        """An outcome has come."""
        unit = task.unit
        self.progress.done(unit)
        if outcome.what in ("vanished", "hidden", "killer"):
            self._lost(task, outcome)
            return
        for piece, stamp, content in zip(unit.pieces, outcome.stamps, outcome.contents, strict=True):
            if content and settled(stamp):
                self.keeper.memory.keep("content", piece.path, stamp, content)
        if outcome.what == "same":
            self._claim(outcome.key, unit)
            return
        other = self.claimed.get(outcome.key)
        if other is not None and other.paths != unit.paths:
            self._twice(*sorted((other, unit), key=lambda u: u.paths))
            if other.paths < unit.paths:
                self.keeper.discard(outcome)
                self.round.superseded += self.keeper.retire(unit.paths, outcome.key)
                self._count(outcome.state)
                return
            self.round.new -= 1
        self._commit(unit, outcome)

    def _commit(self, unit: Unit, outcome: UnitOutcome) -> None:
        self.round.superseded += self.keeper.commit(outcome, unit.source, unit.paths)
        self.claimed[outcome.key] = unit
        self.round.new += 1
        self._count(outcome.state)
        if outcome.state == "failed":
            why = outcome.error or ""
            self.notice(why if why.startswith(unit.paths[0]) else f"{unit.paths[0]}: {why}")
        if time.monotonic() - self._remembered > REMEMBER:
            self.keeper.remember()
            self._remembered = time.monotonic()

    def _lost(self, task: Task, outcome: UnitOutcome) -> None:
        """A unit of which nothing came back."""
        path = task.unit.paths[0]
        lost = outcome.error or path
        if outcome.what == "vanished" and self.plan.where.scheduler is not None and os.path.exists(lost):
            outcome.what = "hidden"  # it is there for us
        if outcome.what == "vanished":
            self.notice(_("{path}: vanished before it was read").format(path=lost))
            self.round.damaged = True
            return
        if outcome.what == "hidden" and self._by_path(set(task.unit.paths)):
            self.notice(
                _("{path}: was not found by the worker on {host}; older results are kept").format(
                    path=path, host=outcome.host
                )
            )
            self.round.damaged = True
            return
        if outcome.what == "hidden":
            why = _("was not found by the worker on {host}: captures must lie in storage that all workers see")
            why = why.format(host=outcome.host)
        else:
            why = _(
                "workers died each time that it was read (of too little memory?): it was set aside; --force reads it again"
            )
        if outcome.what == "killer":
            for piece in task.unit.pieces:
                if settled(piece.stamp):
                    self.keeper.memory.keep(ASIDE, piece.path, piece.stamp, self._conditions())
        failed = read(replace(task, unit=replace(task.unit, error=why), known=()))
        self._commit(task.unit, failed)

    def _gone(self) -> None:
        """Units of captures that the sources had, and have no more."""
        here = self.found.pieces.keys() | self.found.failed.keys()
        held = list(self.keeper.units.items())
        for key, (_place, paths, _state) in held:
            missing = [path for path in paths if path not in here and self.found.covers(path)]
            if not paths or len(missing) < len(paths):
                continue
            if self.plan.prune:
                self.keeper.remove(key)
                self.round.removed += 1
            self.round.gone += missing
        if self.round.gone and not self.plan.prune:
            _few(
                [
                    _("{path}: is no longer in the sources; its results are kept (--prune removes them)").format(path=p)
                    for p in self.round.gone
                ],
                self.notice,
            )
        elif self.round.gone:
            _few(
                [
                    _("{path}: is no longer in the sources; its results are removed").format(path=p)
                    for p in self.round.gone
                ],
                self.notice,
            )
