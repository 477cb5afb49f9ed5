"""Hypothesis: the same examples at every run of the gate, new ones at every other run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import lab_path  # noqa: F401 - makes scripts/ importable
import pytest
from hypothesis import settings
from shared_captures import SHARED

settings.register_profile("gate", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("gate")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Kernels are compiled once a session, by whichever process needs them first; nothing goes into the user's own cache."""
    if "INSPECTOR_CACHE" not in os.environ:
        folder = os.environ["INSPECTOR_CACHE"] = tempfile.mkdtemp(prefix="inspector-kernels-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared") and not SHARED.is_dir():
        pytest.skip("needs the recordings in ../shared/captures")


@pytest.fixture(scope="session")
def compiled_kernels() -> Path:
    """The session's cache folder, with all kernels in it."""
    folder = Path(os.environ["INSPECTOR_CACHE"])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        if not (folder / "all").exists():
            program = "from inspector.inspection import warm; warm.warm()"
            subprocess.run([sys.executable, "-c", program], check=True)
            (folder / "all").touch()
    return folder


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as wide as for no terminal, whatever else set this in the process."""
    monkeypatch.delenv("COLUMNS", raising=False)


os.environ["LANGUAGE"] = "en"  # what tests expect, wherever they run; tests of Korean say so
