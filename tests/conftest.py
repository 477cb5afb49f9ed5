"""Hypothesis: the same examples at every run of the gate, new ones at every other run."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("gate", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("gate")

os.environ["LANGUAGE"] = "en"  # what tests expect, wherever they run; tests of Korean say so
