"""One run of atheris over one target, in a process of its own: `child.py TARGET MODE libFuzzer-arguments`.

MODE plain: kernels are interpreted, and what they do guides the fuzzer. compiled: they run as machine code with every index
checked (the caller sets NUMBA_BOUNDSCHECK); then the modules with kernels are left as they are, since numba reads their code.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from itertools import islice
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import fuzzing

WARMING = 100  # seeds
LEFT_OUT = ("inspector.lessons", "inspector.cli", "inspector.batch", "inspector.referee", "inspector.__main__")


def modules() -> list[str]:
    """The package's modules that read outside bytes, or may."""
    found = pkgutil.walk_packages([str(fuzzing.ROOT / "inspector")], "inspector.")
    return [m.name for m in found if not m.name.startswith(LEFT_OUT)]


def with_kernels() -> list[str]:
    """Those that numba compiles something of."""
    out = []
    for path in (fuzzing.ROOT / "inspector").rglob("*.py"):
        text = path.read_text()
        if "@kernel" in text or "@cold" in text:
            out.append(".".join(path.relative_to(fuzzing.ROOT).with_suffix("").parts))
    return out


def main() -> None:
    name, mode = sys.argv[1:3]
    with atheris.instrument_imports(include=["inspector"], exclude=with_kernels() if mode == "compiled" else []):
        for module in modules():
            importlib.import_module(module)
    from inspector.kernels import kernel

    kernel.use(mode)
    from fuzzing.targets import TARGETS

    check = TARGETS[name].check
    if mode == "compiled":  # compiling counts as no input's time
        for seed in islice(TARGETS[name].seeds(), WARMING):
            check(seed)

    def one(data: bytes) -> None:
        check(data)

    atheris.Setup([sys.argv[0], *sys.argv[3:]], one)
    atheris.Fuzz()


main()
