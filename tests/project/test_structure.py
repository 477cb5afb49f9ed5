"""The structure stays: import directions, absolute imports, sizes, no output outside the command."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "inspector"
LAYERS = [
    ["errors", "lang", "disk", "storable", "limits", "redact", "seq", "kernels", "ragged", "table"],
    ["capture"],
    ["tcp"],
    ["http"],
    ["mirror"],
    ["mesh"],
    ["views"],
    ["inspection"],
    ["reread"],
    ["compare"],
    ["evidence"],
    ["render"],
    ["lessons"],
    ["batch"],
    ["referee"],
    ["cli"],
    ["__init__", "__main__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS = 400, 60, 8


def package(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and package of every import from this package; of a relative import the package is a dot."""
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
    here = package(path)
    out = []
    for line, other in imports(ast.parse(source)):
        if (here, other) == ("cli", "__init__"):
            continue  # the version
        if other == ".":
            out.append(f"{line}: relative import")
        elif other not in RANK:
            out.append(f"{line}: imports {other}, which is not a package")
        elif other != here and RANK[other] >= RANK[here] and not RANK[other] == RANK[here] == 0:
            out.append(f"{line}: {here} imports {other}, which stands below it")
    return out


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_structure_of(path: Path) -> None:
    source = path.read_text()
    assert package(path) in RANK, "a package that is in no layer: add it to LAYERS and to ARCHITECTURE.md"
    assert faults(path, source) == []
    assert source.count("\n") <= MAX_FILE
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].lineno if package(path) == "cli" and node.decorator_list else node.lineno
            assert (node.end_lineno or 0) - first + 1 <= MAX_FUNCTION, (
                f"{node.name} is longer than {MAX_FUNCTION} lines"
            )
        if package(path) != "cli":
            named = isinstance(node, ast.Name) and node.id == "print"
            stream = isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr")
            assert not (stream and ast.unparse(node).startswith("sys.")), f"line {node.lineno}: output outside cli"
            assert not named, f"line {node.lineno}: print outside cli"


def test_packages_are_in_the_architecture() -> None:
    text = (PACKAGE.parent / "ARCHITECTURE.md").read_text()
    for name in {package(path) for path in FILES} - {"__init__", "__main__"}:
        assert f"`{name}`" in text, f"ARCHITECTURE.md does not name {name}"


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        ("tcp/x.py", "from inspector.http.tables import Messages", "1: tcp imports http, which stands below it"),
        ("http/x.py", "from inspector import inspection", "1: http imports inspection, which stands below it"),
        ("http/x.py", "def f():\n    import inspector.cli", "2: http imports cli, which stands below it"),
        ("http/x.py", "from .tables import Messages", "1: relative import"),
        ("render/x.py", "from inspector.nonsense import y", "1: imports nonsense, which is not a package"),
        ("capture/x.py", "import inspector", "1: capture imports __init__, which stands below it"),
    ],
)
def test_a_wrong_import_is_found(file: str, source: str, fault: str) -> None:
    assert faults(PACKAGE / file, source) == [fault]


def test_a_right_import_is_allowed() -> None:
    assert (
        faults(PACKAGE / "http/x.py", "from inspector.tcp.tables import Runs\nfrom inspector.http import tables") == []
    )
    assert faults(PACKAGE / "seq.py", "from inspector.kernels.kernel import kernel") == []


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}", node


def is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether click passes it options, one parameter each."""
    return any(ast.unparse(d).startswith("click.command") for d in node.decorator_list)


def test_functions_take_few_parameters() -> None:
    wide = {
        name: len(taken)
        for name, node in functions()
        if len(taken := [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]) > MAX_PARAMETERS
        and not is_command(node)
    }
    assert wide == {}


def test_kernels_say_what_they_take() -> None:
    for name, node in functions():
        if any(isinstance(d, ast.Name) and d.id in ("kernel", "cold") for d in node.decorator_list):
            assert "Any" not in [ast.unparse(a.annotation) for a in node.args.args if a.annotation], name


def test_public_classes_have_names_of_their_own() -> None:
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def module(path: Path) -> str:
    return ".".join(("inspector", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def imported(path: Path, known: set[str]) -> set[str]:
    """The modules of ours that a file imports, wherever in it, but for the type checker."""
    tree, out = ast.parse(path.read_text()), set()
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in typing:
            out |= {
                f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in known else node.module for a in node.names
            }
    return (out & known) - {module(path)}


def circle(links: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty where there is none."""
    left = dict(links)
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    if not left:
        return []
    way = [min(left)]
    while way[-1] not in way[:-1]:
        way.append(min(left[way[-1]] & left.keys()))
    return way[way.index(way[-1]) :]


def test_modules_import_in_no_circle() -> None:
    known = {module(path) for path in FILES}
    assert circle({module(path): imported(path, known) for path in FILES if path.name != "__init__.py"}) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
