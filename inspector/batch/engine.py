"""Units are read here or by workers of a Dask cluster: the same function, the same rows.

The cluster on this machine has one thread a process. A unit during which a worker died is read again by another one; what did so
twice is read once more at the end, alone, so that nobody else's end is its fault: if workers die again, it is set aside.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from inspector.batch.fetch import private_folder
from inspector.batch.reading import read
from inspector.batch.units import Task, UnitOutcome
from inspector.disk import Unwritable
from inspector.errors import InspectorError, UsageError
from inspector.lang import _
from inspector.storable import storable

SMALL = 24 << 20  # bytes of captures (packed ones count several times) that are read before workers would have started
PACKED = 6  # times its size a packed capture counts
DEATHS = 1  # of workers, that a unit may cause before it is a suspect
RETRIES = 3  # readings of a suspect, alone
SHARE = 0.8  # of the memory, for all workers of this machine together
WAIT = 0.5  # seconds between two looks at whether to stop
PATIENCE = "60s"  # for a scheduler to answer
CLOSING = 20  # seconds for a cluster to end
LOST = 120  # seconds without any worker

Handle = Callable[[Task, UnitOutcome], None]


class StopAsked(Protocol):
    """Says whether to end early."""

    def __call__(self) -> bool: ...


@dataclass(frozen=True)
class Where:
    """Where units are read. workers: processes of this machine, None for as many as pay; scheduler: its address."""

    workers: int | None = None
    scheduler: str | None = None


class Interrupted(Exception):
    """The end was asked for; what was done is kept."""


def weight(task: Task) -> int:
    """Bytes to read, about."""
    return sum(p.size * (PACKED if p.path.endswith((".gz", ".zst", ".xz", ".lz4")) else 1) for p in task.unit.pieces)


def run(tasks: Sequence[Task], where: Where, handle: Handle, stop: StopAsked, notice: Callable[[str], None]) -> None:
    """Read all units, the largest first; `handle` is called here with each outcome. Raises Interrupted, InspectorError."""
    tasks = sorted(tasks, key=lambda t: (-weight(t), t.unit.paths))
    if not tasks:
        return
    if where.scheduler is None and where.workers in (None, 1) and _few(tasks):
        return _here(tasks, handle, stop)
    with _client(where, len(tasks), notice, tasks[0].version) as client:
        _Cluster(client, handle, stop).run(tasks)


def _few(tasks: Sequence[Task]) -> bool:
    return sum(map(weight, tasks)) <= SMALL


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _here(tasks: Sequence[Task], handle: Handle, stop: StopAsked) -> None:
    for task in tasks:
        if stop():
            raise Interrupted
        handle(task, read(task))


@contextlib.contextmanager
def _client(where: Where, tasks: int, notice: Callable[[str], None], version: str = "") -> Iterator[Any]:
    """A client of the cluster: of the one at `scheduler`, or of one that is made here and ends with it."""
    try:
        import dask  # noqa: F401
        import distributed  # noqa: F401
    except ImportError:
        raise UsageError(
            _("this needs Dask, which is not installed"),
            _("install it from a clone of mirror-inspector: pip install '.[batch]'"),
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        client = (
            _joined(where.scheduler, version, stack)
            if where.scheduler is not None
            else _started(min(where.workers or cores(), max(tasks, 1)), stack)
        )
        _say_dashboard(client, notice)
        yield client


def _joined(address: str, version: str, stack: contextlib.ExitStack) -> Any:
    """A client of somebody's cluster. Raises InspectorError where it does not answer."""
    import distributed

    try:
        client = distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise InspectorError(
            _("{address}: no Dask scheduler answers: {why}").format(address=address, why=error),
            _("start one: dask scheduler, and workers: dask worker ADDRESS"),
        ) from None
    stack.callback(_ended, client)
    _check_workers(client, version)
    return client


def _started(count: int, stack: contextlib.ExitStack) -> Any:
    """A client of a cluster that is made on this machine. Raises InspectorError where it does not start."""
    import dask
    import distributed

    scratch = stack.enter_context(private_folder())
    stack.enter_context(_safe_path())
    stack.enter_context(dask.config.set(_settings()))
    try:
        cluster = distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            memory_limit=int(distributed.system.MEMORY_LIMIT * SHARE / count),
            local_directory=str(scratch),
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            **_private(distributed),
        )
        stack.callback(_ended, cluster)
        client = distributed.Client(cluster, timeout=PATIENCE)
    except (OSError, TimeoutError, RuntimeError) as error:
        why = str(error) or type(error).__name__
        raise InspectorError(
            _("the workers did not start: {why}").format(why=why), _("--workers 1 may do, or try again later")
        ) from None
    stack.callback(_ended, client)
    return client


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Workers do not import from the working folder, which holds captures of others: `python -c`, by which multiprocessing starts
    them, would look there first."""
    name = "PYTHONSAFEPATH"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _ended(what: Any) -> None:
    """Close a client or a cluster. Work is done: where it does not answer in time, its processes end with this one."""
    with contextlib.suppress(Exception):
        what.close(timeout=CLOSING)


def _private(distributed: Any) -> dict[str, Any]:
    """Who else is on this machine could send work to a cluster on loopback: TLS with keys of its own keeps them out."""
    try:
        return {"security": distributed.Security.temporary(), "protocol": "tls://"}
    except ImportError:  # cryptography is not installed
        return {}


def _check_workers(client: Any, version: str) -> None:
    """Raises UsageError where a worker of the cluster has another version of this tool, or none."""
    try:
        found = set(client.run(installed).values())
    except (ImportError, RuntimeError):  # it is not installed there; or the function could not be unpacked
        found = {None}
    if found - {installed()}:
        raise UsageError(
            _("the workers of the cluster have another version of mirror-inspector, or none"),
            _("install {version} there").format(version=f"mirror-inspector[batch]=={version}"),
        )


def installed() -> str:
    """The version of this tool, where it runs."""
    from importlib import import_module

    return str(import_module("inspector").__version__)


def _settings() -> dict[str, Any]:
    """A worker that needs more memory than its part is ended, not slowed down; results are small, nothing is spilled."""
    return {
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": 0.95,
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.comm.timeouts.connect": "30s",
        "distributed.worker.daemon": True,
        # Arrow's own allocator holds some 60 MB that it does not use.
        "distributed.nanny.pre-spawn-environ.ARROW_DEFAULT_MEMORY_POOL": "system",
        "distributed.worker.preload": ["inspector.batch.dask_worker"],
        "distributed.logging.distributed": "critical",
    }


def _say_dashboard(client: Any, notice: Callable[[str], None]) -> None:
    try:
        import bokeh  # noqa: F401 - without it the dashboard shows nothing

        link = client.dashboard_link
    except (ImportError, KeyError, AttributeError):
        return
    if link:
        notice(_("Dask's dashboard: {link}").format(link=link))


class _Cluster:
    """Hands tasks to the cluster, a few more than it has threads, and takes outcomes as they come."""

    def __init__(self, client: Any, handle: Handle, stop: StopAsked) -> None:
        self.client, self.handle, self.stop = client, handle, stop
        self.running: dict[Any, Task] = {}
        self.suspects: list[Task] = []
        self._threads, self._asked = 1, 0.0
        self._alone: float | None = None  # since when there is no worker

    def run(self, tasks: Sequence[Task]) -> None:
        """All of them. Raises Interrupted when the end is asked for, InspectorError when the cluster is gone."""
        waiting = list(reversed(tasks))
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self._room():
                    self._submit(waiting.pop())
                self._collect(self.suspects.append)
            for task in self.suspects:
                self._suspect(task)
        except (OSError, TimeoutError) as error:
            raise InspectorError(
                _("the cluster does not answer any more: {why}").format(why=error),
                _("what was read is kept: run the same command again"),
            ) from None
        finally:
            with contextlib.suppress(Exception):
                self.client.cancel(list(self.running), force=True)

    def _suspect(self, task: Task) -> None:
        """Read a unit that workers died with, with nothing beside it."""
        for _try in range(RETRIES):
            died: list[Task] = []
            self._submit(task)
            while self.running:
                self._collect(died.append)
            if not died:
                return
        self.handle(task, UnitOutcome("killer"))

    def _submit(self, task: Task) -> None:
        name = f"{storable(task.unit.paths[0])}-{time.monotonic_ns()}"
        future = self.client.submit(read, task, key=name, pure=False, retries=0)
        self.running[future] = task

    def _collect(self, died: Callable[[Task], None]) -> None:
        """Wait for a moment, and take what is done. died: told of tasks that workers died with."""
        from distributed import wait

        if self.stop():
            raise Interrupted
        try:
            done = wait(list(self.running), timeout=WAIT, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            self._watch()
            return
        self._alone = None
        for future in done:
            task = self.running.pop(future)
            outcome = self._outcome(future)
            future.release()
            if outcome is None:
                died(task)
            else:
                self.handle(task, outcome)

    def _outcome(self, future: Any) -> UnitOutcome | None:
        """What a worker told; None where workers died. Raises what went wrong outside of the captures."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            found = future.result()
            assert isinstance(found, UnitOutcome)
            return found
        except (KilledWorker, FutureCancelledError):
            return None
        except Unwritable as error:
            raise error.again() from None

    def _room(self) -> int:
        """How many units may be on their way: a few more than threads, so that none waits for us."""
        now = time.monotonic()
        if now - self._asked > 1:
            self._threads, self._asked = sum(self.client.nthreads().values()), now
        return self._threads + max(1, self._threads // 4)

    def _watch(self) -> None:
        """Give up where the cluster has had no worker for long."""
        self._room()
        now = time.monotonic()
        if self._threads or not self.running:
            self._alone = None
        elif self._alone is None:
            self._alone = now
        elif now - self._alone > LOST:
            raise InspectorError(
                _("the cluster has no workers"), _("start some: dask worker ADDRESS; what was read is kept")
            )
