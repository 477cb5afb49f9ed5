"""Compiled kernels on disk: kept whole, found again without a compiler, never trusted when damaged, never required."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inspector
from inspector.cli import run
from inspector.inspection import reading, warm
from inspector.kernels import cache, kernel, native
from inspector.kernels.kernel import Instruction, Kernel

PROGRAM = """
import sys
import numpy as np
from inspector.kernels import kernel


@kernel.cold
def half(a, i):
    return a[i] >> SHIFT, a[i] > 4


@kernel.kernel
def sums(a, b, limit):
    total = 0
    for i in range(len(a)):
        one, large = half(a, i)
        if large:
            total += one + b[i, 1]
        b[i, 0] = total
    return total, total > limit


SHIFT = 1
kernel.use("compiled")
b = np.ones((4, 2), np.int64)
print(sums(np.array([2, 8, 10, 3]), b, 5), b[:, 0].tolist(), "numba" in sys.modules)
"""
CAPTURES = Path(__file__).parents[2] / "captures"
ANSWER = "(11, True) [0, 5, 11, 11]"


def start(folder: Path, program: str = PROGRAM, **env: str) -> subprocess.Popen[bytes]:
    file = folder / "program.py"
    file.write_text(program)
    return subprocess.Popen(
        [sys.executable, str(file)],
        env={**os.environ, "INSPECTOR_CACHE": str(folder / "cache"), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def said(process: subprocess.Popen[bytes]) -> str:
    out, err = process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().strip()


def objects(folder: Path) -> list[Path]:
    return sorted((folder / "cache").rglob("*.o"))


def test_the_second_process_needs_no_compiler(tmp_path):
    assert said(start(tmp_path)) == f"{ANSWER} True"
    (kept,) = objects(tmp_path)
    assert kept.stat().st_mode & 0o077 == 0
    assert kept.parent.stat().st_mode & 0o077 == 0
    assert said(start(tmp_path)) == f"{ANSWER} False"


def test_processes_may_compile_at_once(tmp_path):
    running = [start(tmp_path) for _ in range(3)]
    assert [said(process) for process in running] == [f"{ANSWER} True"] * 3
    assert len(objects(tmp_path)) == 1
    assert not list((tmp_path / "cache").rglob("*.part"))


@pytest.mark.parametrize("harm", ["cut", "emptied", "of another", "turned"])
def test_a_damaged_file_is_made_again(tmp_path, harm):
    said(start(tmp_path))
    (kept,) = objects(tmp_path)
    data = kept.read_bytes()
    head = data.index(b"\n")
    kept.write_bytes(
        {
            "cut": data[:-9],
            "emptied": b"",
            "turned": data[:-1] + bytes([data[-1] ^ 1]),
            "of another": data[:head].replace(b"i8", b"u1") + data[head:],
        }[harm]
    )
    assert said(start(tmp_path)) == f"{ANSWER} True"
    assert kept.read_bytes()[head:] == data[head:]


def test_a_kernel_is_known_by_all_that_it_is_made_of(tmp_path):
    said(start(tmp_path))
    other = PROGRAM.replace("SHIFT = 1", "SHIFT = 2")
    assert said(start(tmp_path, other)).startswith("(6, True)")
    called = PROGRAM.replace("a[i] > 4", "a[i] > 9")
    assert said(start(tmp_path, called)).startswith("(6, True)")
    assert len(objects(tmp_path)) == 3


def test_code_that_others_can_change_is_not_run(tmp_path):
    """Another user's object file ran as root once: nobody looked at owner and mode."""
    said(start(tmp_path))
    (kept,) = objects(tmp_path)
    folder = kept.parent
    for place, mode in ((folder, 0o777), (folder.parent, 0o770), (kept, 0o666)):
        before = place.stat().st_mode
        place.chmod(mode)
        assert said(start(tmp_path)) == f"{ANSWER} True", f"{place.name} with mode {mode:o}"
        if place == kept:  # it is made again, as ours
            assert kept.stat().st_mode & 0o777 == 0o600
        else:
            place.chmod(before)
    assert said(start(tmp_path)) == f"{ANSWER} False"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("which", ["the file", "the folder", "a folder above", "a link in a sticky folder"])
def test_code_of_another_user_is_not_run(tmp_path, which):
    said(start(tmp_path))
    (kept,) = objects(tmp_path)
    nobody, folder = 65534, tmp_path / "cache"
    place = {"the file": kept, "the folder": kept.parent, "a folder above": folder}.get(which)
    if place is None:
        folder.rename(tmp_path / "real")
        tmp_path.chmod(0o1777)
        folder.symlink_to(tmp_path / "real")
        assert said(start(tmp_path)) == f"{ANSWER} False"
        place = folder
    os.lchown(place, nobody, nobody)
    assert said(start(tmp_path)) == f"{ANSWER} True"


def made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.setenv("INSPECTOR_CACHE", str(folder))
    return cache.refused()


@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077])
def test_what_is_missing_of_the_folder_is_made_for_this_user_only(tmp_path, monkeypatch, umask):
    before = os.umask(umask)
    try:
        assert made(tmp_path / "a" / "b" / "c", monkeypatch) is None
    finally:
        os.umask(before)
    for place in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c", cache.folder()):
        assert place.stat().st_mode & 0o777 == 0o700


def test_a_sticky_folder_may_stand_above(tmp_path, monkeypatch):
    open_to_all, below = tmp_path / "tmp", tmp_path / "tmp" / "mine"
    open_to_all.mkdir()
    open_to_all.chmod(0o1777)
    assert made(below, monkeypatch) is None
    below.chmod(0o1777)  # nobody can replace the folder below, and all may write into this one
    assert made(below, monkeypatch) is None
    cache.folder().chmod(0o1777)
    assert made(below, monkeypatch) == f"{cache.folder()} can be written by other users"
    cache.folder().chmod(0o700)
    open_to_all.chmod(0o777)
    assert made(below, monkeypatch) == f"{open_to_all} can be written by other users"


def test_links_are_followed_and_looked_at(tmp_path, monkeypatch):
    (tmp_path / "open").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("open/../open")
    assert made(tmp_path / "link", monkeypatch) is None
    (tmp_path / "open").chmod(0o777)
    assert made(tmp_path / "link", monkeypatch) == f"{tmp_path / 'open'} can be written by other users"
    (tmp_path / "round").symlink_to("round")
    assert made(tmp_path / "round", monkeypatch) == f"{tmp_path / 'round'}: too many symbolic links"


def test_the_command_says_why_nothing_is_kept(tmp_path, monkeypatch, capsys):
    tmp_path.chmod(0o777)
    assert made(tmp_path, monkeypatch)
    assert run(["doctor", "--warm"]) == 1
    assert f"{tmp_path} can be written by other users: compiled kernels are not kept" in capsys.readouterr().out
    notices: list[str] = []
    monkeypatch.setattr(reading, "COMPILE_FROM", 0)
    monkeypatch.setattr(reading, "COMPILE_COLD", 0)
    monkeypatch.setattr(kernel, "use", lambda mode: None)
    inspector.inspect(str(CAPTURES / "items-client.pcap"), notice=notices.append)
    assert notices
    assert all(f"{tmp_path} can be written by other users" in said for said in notices)


def test_without_a_folder_kernels_are_compiled_each_time(tmp_path):
    (tmp_path / "cache").write_text("a file stands where the folder should be")
    assert said(start(tmp_path)) == f"{ANSWER} True"


def test_arrays_with_holes_are_refused():
    with pytest.raises(TypeError, match="without holes"):
        native.lay_out((np.zeros((4, 4), np.int64)[:, 1],))


def test_the_folder_names_the_compiler_and_the_checks(monkeypatch):
    plain = cache.folder()
    cache._toolchain.cache_clear()
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    try:
        assert cache.folder() != plain
    finally:
        cache._toolchain.cache_clear()


def test_what_nobody_loads_is_pruned(tmp_path):
    own, other, foreign = (
        tmp_path / n
        for n in (
            "kernels-cpython-311-00112233aabbccdd",
            "kernels-cpython-310-checked-aabbccdd00112233",
            "kernels-mine",
        )
    )
    now = 2_000_000_000
    young, old = now - native.UNUSED + 60, now - native.UNUSED - 60
    for folder in (own, other, foreign):
        folder.mkdir()
        for name, time in (
            ("a.kernel-i8.o", old), ("b.kernel-i8.o", young), ("warm-0123456789abcdef", old), ("x.part", old),
            ("y.part", now - 60), ("notes.txt", old),
        ):  # fmt: skip
            (folder / name).write_bytes(b"x")
            os.utime(folder / name, (time, time))
    (tmp_path / "kernels-cpython-309-00112233aabbccdd").symlink_to(foreign)
    assert native.prune(own, now) == 6
    for folder in (own, other):
        assert sorted(p.name for p in folder.iterdir()) == ["b.kernel-i8.o", "notes.txt", "y.part"]
    assert len(list(foreign.iterdir())) == 6
    (other / "notes.txt").unlink()
    os.utime(other / "b.kernel-i8.o", (now, now))
    later = now + native.UNUSED + 60
    assert native.prune(own, later) == 4
    assert own.exists()
    assert not other.exists()
    assert native.prune(tmp_path / "gone" / "kernels-cpython-311-00112233aabbccdd", later) == 0


def test_a_kernel_that_is_loaded_is_not_old(tmp_path):
    said(start(tmp_path))
    (kept,) = objects(tmp_path)
    os.utime(kept, (1, 1))
    assert said(start(tmp_path)) == f"{ANSWER} False"
    assert kept.stat().st_mtime > 1_000_000_000


def test_a_compile_prunes(tmp_path):
    said(start(tmp_path))
    (kept,) = objects(tmp_path)
    os.utime(kept, (1, 1))
    said(start(tmp_path, PROGRAM.replace("SHIFT = 1", "SHIFT = 2")))
    assert len(objects(tmp_path)) == 1
    assert not kept.exists()


def called_kernels() -> Iterator[tuple[str, Kernel[..., Any]]]:
    """The kernels that Python code calls, by their labels: each of them is compiled for itself."""
    for found in pkgutil.walk_packages(inspector.__path__, "inspector."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for node in plain_calls(ast.parse(Path(str(module.__file__)).read_text())):
            called: Any = None
            if isinstance(node.func, ast.Name):
                called = getattr(module, node.func.id, None)
            elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                called = getattr(getattr(module, node.func.value.id, None), node.func.attr, None)
            if isinstance(called, Kernel) and not isinstance(called, Instruction):
                yield f"{called.__module__}.{called.__name__}", called


def test_a_warm_cache_is_one_of_these_sources() -> None:
    """Else a new version would compile without a word: the mark would be that of other kernels."""
    files = {Path(sys.modules[kernel.__module__].__file__ or "") for _, kernel in called_kernels()}
    assert len(files) > 10
    assert files <= set(cache.kernel_sources())


def plain_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls outside of kernels."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(d, ast.Name) and d.id in ("kernel", "cold") for d in node.decorator_list
        ):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from plain_calls(node)


def test_warming_compiles_all_that_python_calls(compiled_kernels: Path) -> None:
    """Else the first long, damaged or followed capture waits for a compiler although `doctor --warm` was run."""
    warm.warm()
    named = dict(called_kernels())
    assert len(named) > 35
    assert [label for label, kernel in named.items() if not kernel._entries] == []
