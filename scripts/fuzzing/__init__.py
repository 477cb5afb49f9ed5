"""Fuzzing: targets that read bytes and check properties, the runs of atheris over them, and mutated captures."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (
    ROOT,
    ROOT / "scripts",
    ROOT / "tests" / "support",
):  # the tests lend their oracles and their makers of traffic
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
