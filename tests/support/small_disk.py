"""A small disk for a test: a tmpfs in a mount namespace of its own, which goes with the script that runs on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest


@cache
def _possible() -> bool:
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


def on(disk: Path, script: str, *words: str, size: str = "512k") -> list[tuple[int, str, str]]:
    """Run a shell script beside a disk of this size: (exit status, stdout, stderr) of each `run WORDS...` in it.

    `$disk` is the disk, `full LEFT` fills it but for LEFT bytes, `empty` takes that back, `protect` makes it read-only.
    words: $1, $2, ...
    """
    if not _possible():
        pytest.skip("a disk cannot be mounted here: this needs root and unshare")
    disk.mkdir(exist_ok=True)
    said = disk.parent / "said"
    said.mkdir(exist_ok=True)
    head = f"""
set -u
disk='{disk}'; said='{said}'; n=0
mount -t tmpfs -o size={size} tmpfs "$disk" || exit 99
run() {{ n=$((n + 1)); '{sys.executable}' -m inspector "$@" >"$said/$n.out" 2>"$said/$n.err"; echo $? >"$said/$n.status"; }}
full() {{ cat /dev/zero >"$disk/filler" 2>/dev/null; truncate -s -"$1" "$disk/filler"; }}
empty() {{ rm "$disk/filler"; }}
protect() {{ mount -o remount,ro "$disk"; }}
"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", head + script, "sh", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    out = []
    for n in range(1, len(list(said.glob("*.status"))) + 1):
        status, *texts = ((said / f"{n}.{end}").read_text() for end in ("status", "out", "err"))
        out.append((int(status), *texts))
    shutil.rmtree(said)
    return out
