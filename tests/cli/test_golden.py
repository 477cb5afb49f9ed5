"""Whole runs over the captures in captures/: each file in golden/ begins with its command, the rest is what comes out.

UPDATE_GOLDEN=1 rewrites them. A new case is a file with a command only.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from inspector.cli import run

ROOT = Path(__file__).parents[2]
CASES = sorted((Path(__file__).parents[1] / "golden").glob("*.txt"))


def transcript(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Run `$ [NAME=VALUE...] inspect ARGS` and write down stdout, stderr and the exit status."""
    words = shlex.split(line.removeprefix("$ "))
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("COLUMNS", raising=False)
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    assert words[0] == "inspect"
    status = run(words[1:])
    out, err = capsys.readouterr()
    parts = [line, out.rstrip("\n")]
    if err:
        parts.append("[stderr]\n" + err.rstrip("\n"))
    if status:
        parts.append(f"[exit {status}]")
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_golden(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    want = path.read_text()
    got = transcript(want.split("\n", 1)[0], capsys, monkeypatch)
    assert "[exit 70]" not in got, "a bug is nothing to keep"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(got)
    else:
        assert got == want


def test_there_are_cases() -> None:
    assert len(CASES) >= 10
