"""Time and peak memory of a command.

The command is started by a small process of its own (this file, run as a program): Linux counts the memory of the
process that starts a child as the child's own until it has called exec, so a large parent would be measured instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

TAIL = 2000  # bytes of a failed command's stderr that are kept


@dataclass(frozen=True)
class Run:
    """One run. seconds: wall time from start to end; rss: peak resident bytes of the largest process in it."""

    seconds: float
    cpu: float
    rss: int
    status: int  # exit status, negative: the signal that ended it
    timed_out: bool
    error: str


def measure(command: Sequence[str], output: Path, extra: Mapping[str, str] | None = None, timeout: float = 3600) -> Run:
    """Run a command with its standard output in the file `output`; `extra` goes into its environment.

    A command that takes longer than `timeout` seconds is killed.
    """
    job = {"command": list(command), "output": str(output), "timeout": timeout}
    done = subprocess.run(
        [sys.executable, "-I", "-S", __file__, json.dumps(job)],
        stdout=subprocess.PIPE,
        env={**os.environ, **(extra or {})},
        check=True,
    )
    return Run(**json.loads(done.stdout))


def _launch(job: dict[str, object]) -> dict[str, object]:
    """In the small process: start the command, wait, read the kernel's account of it."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    resource.setrlimit(resource.RLIMIT_AS, (most, most))  # a runaway command must not take the machine with it
    output, timeout = str(job["output"]), float(str(job["timeout"]))
    errors = output + ".err"
    late = False
    with open(output, "wb") as out, open(errors, "wb") as err:
        began = time.perf_counter()
        try:
            child = subprocess.Popen(
                job["command"],  # type: ignore[call-overload]
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            return {"seconds": 0.0, "cpu": 0.0, "rss": 0, "status": 127, "timed_out": False, "error": str(error)}

        def end(number: int, frame: FrameType | None) -> None:
            nonlocal late
            late = number == signal.SIGALRM
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

        for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        signal.setitimer(signal.ITIMER_REAL, timeout)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        signal.setitimer(signal.ITIMER_REAL, 0)
        child.returncode = os.waitstatus_to_exitcode(status)  # waited for: Popen must not do it again
    with open(errors, "rb") as said:
        said.seek(max(0, os.path.getsize(errors) - TAIL))
        error_text = said.read().decode("utf-8", "replace")
    os.unlink(errors)
    return {
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss * 1024,
        "status": child.returncode,
        "timed_out": late,
        "error": error_text if child.returncode else "",
    }


if __name__ == "__main__":
    print(json.dumps(_launch(json.loads(sys.argv[1]))))
