"""The house keeps its shape: import directions, absolute imports, sizes, no output outside the command."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "inspector"
ROOMS = [
    [
        *("errors", "lang", "disk", "storable", "limits", "redact", "seq"),
        *("native", "cache", "kernel", "instructions", "gather", "ragged", "table"),
    ],
    ["capture"],
    ["tcp"],
    ["http"],
    ["mirror"],
    ["mesh"],
    ["inspection"],
    ["render"],
    ["lessons"],
    ["batch"],
    ["referee"],
    ["cli"],
    ["__init__", "__main__"],
]
RANK = {name: rank for rank, names in enumerate(ROOMS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE, MAX_FUNCTION = 400, 60


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and room of every import from this package; a relative import has the room "." """
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                yield node.lineno, "."
            elif module == "inspector":
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif module.startswith("inspector."):
                yield node.lineno, module.split(".")[1]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "inspector":
                    yield node.lineno, parts[1] if len(parts) > 1 else "__init__"


def faults(path: Path, source: str) -> list[str]:
    """What is wrong with the imports of a file, as `line: sentence`."""
    here = room(path)
    out = []
    for line, other in imports(ast.parse(source)):
        if (here, other) == ("cli", "__init__"):
            continue  # the version
        if other == ".":
            out.append(f"{line}: relative import")
        elif other not in RANK:
            out.append(f"{line}: imports {other}, which is no room")
        elif other != here and RANK[other] >= RANK[here] and not RANK[other] == RANK[here] == 0:
            out.append(f"{line}: {here} imports {other}, which stands below it")
    return out


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_house_of(path: Path) -> None:
    source = path.read_text()
    assert room(path) in RANK, "a room that the house does not know: add it to ROOMS and to ARCHITECTURE.md"
    assert faults(path, source) == []
    assert source.count("\n") <= MAX_FILE
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].lineno if room(path) == "cli" and node.decorator_list else node.lineno
            assert (node.end_lineno or 0) - first + 1 <= MAX_FUNCTION, (
                f"{node.name} is longer than {MAX_FUNCTION} lines"
            )
        if room(path) != "cli":
            named = isinstance(node, ast.Name) and node.id == "print"
            stream = isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr")
            assert not (stream and ast.unparse(node).startswith("sys.")), f"line {node.lineno}: output outside cli"
            assert not named, f"line {node.lineno}: print outside cli"


def test_rooms_are_in_the_architecture() -> None:
    text = (PACKAGE.parent / "ARCHITECTURE.md").read_text()
    for name in {room(path) for path in FILES} - {"__init__", "__main__"}:
        assert f"`{name}`" in text, f"ARCHITECTURE.md does not name {name}"


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        ("tcp/x.py", "from inspector.http.tables import Messages", "1: tcp imports http, which stands below it"),
        ("http/x.py", "from inspector import inspection", "1: http imports inspection, which stands below it"),
        ("http/x.py", "def f():\n    import inspector.cli", "2: http imports cli, which stands below it"),
        ("http/x.py", "from .tables import Messages", "1: relative import"),
        ("render/x.py", "from inspector.nonsense import y", "1: imports nonsense, which is no room"),
        ("capture/x.py", "import inspector", "1: capture imports __init__, which stands below it"),
    ],
)
def test_a_wrong_import_is_found(file: str, source: str, fault: str) -> None:
    assert faults(PACKAGE / file, source) == [fault]


def test_a_right_import_is_allowed() -> None:
    assert (
        faults(PACKAGE / "http/x.py", "from inspector.tcp.tables import Runs\nfrom inspector.http import tables") == []
    )
    assert faults(PACKAGE / "seq.py", "from inspector.kernel import kernel") == []
