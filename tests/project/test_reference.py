"""docs/options.md and docs/limits.md say what the code says."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import click
import pytest

from inspector import limits
from inspector.cli import program

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    module = ModuleType("reference")
    module.__file__ = str(ROOT / "scripts/reference")
    SourceFileLoader("reference", module.__file__).exec_module(module)
    return module


@pytest.mark.parametrize("name", ["docs/options.md", "docs/limits.md"])
def test_the_page_is_what_the_code_says(name: str, reference: ModuleType) -> None:
    assert (ROOT / name).read_text() == reference.PAGES[name](), "run scripts/reference"


def test_every_command_and_limit_has_its_place(reference: ModuleType) -> None:
    """Not only what the generator knows."""
    options, bounds = (ROOT / "docs/options.md").read_text(), (ROOT / "docs/limits.md").read_text()
    for name in ("", *program.SUBCOMMANDS):
        assert f"## inspect {name}".rstrip() in options
        found = program.subcommand(name) if name else program.command
        for parameter in found.params:
            if isinstance(parameter, click.Option):
                assert all(f"`{o}`" in options for o in parameter.opts)
    for limit in limits.LIMITS:
        assert bounds.count(f"| `{limit.name}` |") == 1
