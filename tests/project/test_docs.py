"""The documents are checked against the code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from inspector.cli.program import SIGNS, command
from inspector.render.formats import FORMATS
from inspector.render.source import VERDICTS

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "README.ko.md")  # the same in English and Korean
TEXTS = {name: (ROOT / name).read_text() for name in PAGES}
SHELL: list[str] = [block for text in TEXTS.values() for block in re.findall(r"```sh\n(.*?)```", text, re.S)]
COMMANDS = [
    part.strip()
    for block in SHELL
    for line in block.splitlines()
    for part in re.split(r"&&|\|(?!\|)", line.split(" # ")[0])
    if part.strip().startswith("inspect ")
]


@pytest.mark.parametrize("page", PAGES)
def test_every_option_is_in_the_readme(page: str) -> None:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            for name in parameter.opts:
                assert f"`{name}" in TEXTS[page], f"{page} does not name {name}"


@pytest.mark.parametrize("page", PAGES)
def test_the_readme_names_no_option_that_is_absent(page: str) -> None:
    known = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
    for line in re.findall(r"^\| `-.*$", TEXTS[page], re.M):
        for name in re.findall(r"`(--?[a-z-]+)", line.split("|")[1]):
            assert name in known, f"{page} names {name}"


def test_every_option_and_reason_of_verify_is_in_its_page() -> None:
    from inspector.cli.verify import verify
    from inspector.referee.telling import REASONS

    page = (ROOT / "docs/verify.md").read_text()
    options = [name for p in verify.params if isinstance(p, click.Option) for name in p.opts]
    for word in (*options, *REASONS):
        assert f"`{word}" in page, f"docs/verify.md does not name {word}"


@pytest.mark.parametrize("line", COMMANDS)
def test_readme_commands_parse(line: str) -> None:
    args = shlex.split(line.split(" > ")[0])[1:]
    context = command.make_context("inspect", args)
    assert context.params["captures"] or context.params["read"]


def test_there_are_readme_commands() -> None:
    assert len(COMMANDS) >= 6
    assert "inspect captures/items-client.pcap --show-mirrors" in COMMANDS


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("words", [FORMATS, VERDICTS, SIGNS], ids=["formats", "verdicts", "signs"])
def test_readme_names_every_word(words: tuple[str, ...], page: str) -> None:
    for word in words:
        assert f"`{word}`" in TEXTS[page]


def test_every_capture_is_described_and_small() -> None:
    text = (ROOT / "captures/README.md").read_text()
    files = [p for p in (ROOT / "captures").iterdir() if p.name != "README.md"]
    assert {p.name for p in files} == set(re.findall(r"^\| `([^`]+)`", text, re.M))
    assert sum(p.stat().st_size for p in files) < 1_000_000


def test_links_lead_somewhere() -> None:
    for page in (*PAGES, "ARCHITECTURE.md", "CHANGELOG.md", "captures/README.md", "docs/verify.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
            if "://" not in link:
                assert ((ROOT / page).parent / link).exists(), f"{page}: {link}"


@pytest.mark.parametrize("name", PAGES)
def test_the_readme_shows_real_output(name: str) -> None:
    """The block after `<!-- golden: NAME -->` is that golden run; UPDATE_GOLDEN=1 copies it (after the run itself)."""
    blocks = list(re.finditer(r"<!-- golden: ([\w-]+) -->\n```\n(.*?)```", TEXTS[name], re.S))
    assert blocks
    page = TEXTS[name]
    for block in blocks:
        golden = (ROOT / f"tests/golden/{block[1]}.txt").read_text()
        page = page.replace(block[0], f"<!-- golden: {block[1]} -->\n```\n{golden}```")
    if os.environ.get("UPDATE_GOLDEN"):
        (ROOT / name).write_text(page)
    else:
        assert page == TEXTS[name]


def test_the_signs_are_those_of_the_pipeline() -> None:
    from inspector.inspection import SIGN_WORDS

    assert set(SIGNS) == set(SIGN_WORDS)


LIBRARY = sorted(
    {
        name
        for page in (ROOT / "README.md", ROOT / "README.ko.md", *sorted((ROOT / "docs").glob("*.md")))
        for name in re.findall(r"\binspector((?:\.\w+)+)\(", page.read_text())
    }
)


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_is_where_the_pages_say(name: str) -> None:
    """With no import but `import inspector`."""
    code = f"import inspector; assert callable(inspector{name})"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_variables_of_the_environment_are_documented() -> None:
    sources = "".join(p.read_text() for p in (ROOT / "inspector").rglob("*.py"))
    told = "".join((ROOT / page).read_text() for page in ("README.md", "docs/options.md"))
    hidden = {"INSPECTOR_KERNELS"}  # for developers: which speed tests and benchmarks run at
    assert set(re.findall(r"\bINSPECTOR_[A-Z]+\b", sources)) - hidden <= set(re.findall(r"\bINSPECTOR_[A-Z]+\b", told))
