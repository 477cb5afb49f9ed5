"""Runs another program on a capture that nobody vouches for: private folder, bounded time, memory and output."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inspector import disk
from inspector.errors import InspectorError
from inspector.lang import _

MEMORY = 6 << 30  # bytes of address space that a referee may take
LINE = 1 << 20  # bytes of an output line that are kept; how long it was is known all the same
SAID = 4096  # bytes of its complaints that are kept
PIECE = 1 << 18


class RefereeError(InspectorError):
    """The referee could not do its work: missing, too old, too slow, or it broke off."""


class Stopped(RefereeError):
    """The referee ended with an error; `said` is its last complaint."""

    def __init__(self, name: str, status: int, said: str) -> None:
        super().__init__(_("{name} ended with an error ({status}): {said}").format(name=name, status=status, said=said))
        self.said = said


@dataclass(frozen=True)
class OutputLine:
    """A line of output: `text` is its beginning, at most LINE bytes; `length` counts all of them."""

    text: bytes
    length: int


@dataclass(frozen=True)
class RunLimits:
    """packets of the capture that are read; seconds that may pass."""

    packets: int
    seconds: float


@contextmanager
def private() -> Iterator[Path]:
    """An empty folder (mode 0700) for one comparison; it is removed with what is in it. Raises Unwritable."""
    with disk.writing(disk.temporary_folder(), "temporary"):
        folder = tempfile.TemporaryDirectory(prefix="inspect-verify-")
    with folder as name:
        yield Path(name)


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of a referee: no profile, plugin or cache of the user's is read, nothing is written outside `folder`."""
    own = str(folder)
    out = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    homes = ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "WIRESHARK_CONFIG_DIR")
    return {**out, **dict.fromkeys(homes, own), "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}


def python(module: str, *arguments: str) -> list[str]:
    """A command that runs `main` of a module of ours in an interpreter of its own, with this one's search path, and writes the
    lines that it gives."""
    path = [entry for entry in sys.path if entry] or [os.getcwd()]
    start = f"import sys; sys.path[:] = {path!r}; from inspector.referee.{module} import main"
    start += "\nfor text in main(sys.argv[1:]): sys.stdout.write(text + '\\n')"
    return [sys.executable, "-I", "-c", start, *arguments]


def lines(command: Sequence[str], folder: Path, limits: RunLimits, name: str) -> Iterator[OutputLine]:
    """The lines that `command` writes. Raises RefereeError when it takes too long or ends with an error.

    The process is in a group of its own, which is killed when this ends, however it ends.
    """
    end = time.monotonic() + limits.seconds
    with tempfile.TemporaryFile(dir=folder) as complaints:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=surroundings(folder),
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            why = error.strerror or error
            raise RefereeError(_("{name} cannot be started: {why}").format(name=name, why=why)) from None
        try:
            _bound(process.pid)
            assert process.stdout is not None
            yield from _cut(_pieces(process.stdout.fileno(), end, name, limits))
            status = process.wait(max(end - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            raise _slow(name, limits) from None
        finally:
            _kill(process)
        if status:
            raise Stopped(name, status, _said(complaints.fileno()))


def _bound(pid: int) -> None:
    try:
        import resource

        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
    except (ImportError, AttributeError, OSError, ValueError):  # no such limit on this system, or a lower one is set
        pass


def _slow(name: str, limits: RunLimits) -> RefereeError:
    return RefereeError(
        _("{name} took longer than {seconds} s").format(name=name, seconds=f"{limits.seconds:g}"),
        _("give it longer (--timeout), or compare fewer packets (--limit)"),
    )


def _pieces(fd: int, end: float, name: str, limits: RunLimits) -> Iterator[bytes]:
    with selectors.DefaultSelector() as waiting:
        waiting.register(fd, selectors.EVENT_READ)
        while True:
            left = end - time.monotonic()
            if left <= 0 or not waiting.select(left):
                raise _slow(name, limits)
            piece = os.read(fd, PIECE)
            if not piece:
                return
            yield piece


def _cut(pieces: Iterator[bytes]) -> Iterator[OutputLine]:
    kept, length = bytearray(), 0
    for piece in pieces:
        start = 0
        while (at := piece.find(b"\n", start)) >= 0:
            kept += piece[start : min(at, start + LINE - len(kept))]
            yield OutputLine(bytes(kept), length + at - start)
            kept, length, start = bytearray(), 0, at + 1
        kept += piece[start : start + LINE - len(kept)]
        length += len(piece) - start
    if length:
        yield OutputLine(bytes(kept), length)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _said(fd: int) -> str:
    """The last two lines of complaint, without what tshark tells every superuser."""
    size = os.fstat(fd).st_size
    text = os.pread(fd, SAID, max(size - SAID, 0)).decode("utf-8", "replace")
    told = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Running as user")]
    return " ".join(told[-2:])[:400] if told else _("it did not say why")
