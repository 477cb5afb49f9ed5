"""Hypothesis: the same examples at every run of the gate, new ones at every other run."""

from __future__ import annotations

import os

import lab_path  # noqa: F401 - makes scripts/ importable
import pytest
from hypothesis import settings

settings.register_profile("gate", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("gate")


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as wide as for no terminal, whatever else set this in the process."""
    monkeypatch.delenv("COLUMNS", raising=False)


os.environ["LANGUAGE"] = "en"  # what tests expect, wherever they run; tests of Korean say so
