"""Makes an input smaller while it still breaks the same property at the same place."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 20
LIMIT = 300  # seconds until the process is ended


def minimise(name: str, mode: str, data: bytes) -> tuple[bytes, str]:
    """The smaller input and what goes wrong, in a process of its own (compiled kernels may need another environment)."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        before.write_bytes(data)
        env = {**os.environ, "NUMBA_BOUNDSCHECK": "1" if mode == "compiled" else "0"}
        command = [sys.executable, __file__, name, mode, str(before), str(after)]
        try:
            done = subprocess.run(command, capture_output=True, env=env, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return data, "fails, and is too slow to be made smaller"
        why = (done.stdout.decode(errors="replace").strip() or done.stderr.decode(errors="replace")[-400:]).strip()
        return (after.read_bytes() if after.exists() else data), why or "does not fail outside of the fuzzer"


def shrink(data: bytes, fails: object, until: float) -> bytes:
    """Pieces of all sizes taken out, then bytes made zero, as long as `fails(data)`."""
    assert callable(fails)
    size = max(len(data) // 2, 1)
    while True:
        at = 0
        while at < len(data) and time.monotonic() < until:
            smaller = data[:at] + data[at + size :]
            if fails(smaller):
                data = smaller
            else:
                at += size
        if size == 1 or time.monotonic() >= until:
            break
        size //= 2
    for at in range(len(data)):
        if data[at] and time.monotonic() < until:
            plain = data[:at] + b"\0" + data[at + 1 :]
            if fails(plain):
                data = plain
    return data


def main(name: str, mode: str, before: str, after: str) -> None:
    """In the process of its own."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import fuzzing  # noqa: F401
    from fuzzing.target import signature
    from fuzzing.targets import TARGETS
    from inspector.kernels import kernel

    kernel.use(mode)
    check = TARGETS[name].check

    def told(data: bytes) -> str:
        try:
            check(data)
        except Exception as error:
            return f"{signature(error)}: {str(error)[:200]}"
        return ""

    data = Path(before).read_bytes()
    why = told(data)
    if not why:
        return
    kind = why.partition(":")[0]
    smaller = shrink(data, lambda d: told(d).partition(":")[0] == kind, time.monotonic() + SECONDS)
    Path(after).write_bytes(smaller)
    print(told(smaller))


if __name__ == "__main__":
    main(*sys.argv[1:])
