"""Output while captures are still being read: batches, closed pipes, files, and what fails half-way."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from render_samples import Sample, mirror

import inspector.inspection
from inspector.cli import program as cli
from inspector.cli import streams
from inspector.errors import CaptureError, InspectorError
from inspector.inspection import inspect
from inspector.views.objects import MirrorView

ROOT = Path(__file__).parents[2]
LEAKY = str(ROOT / "captures/leaky-gw.pcap")


class Batches:
    """A stream of decided mirrors: a batch of one view each, an exception where there is one in the list."""

    def __init__(self, *items: MirrorView | BaseException, damaged: bool = False) -> None:
        self.items = items
        self.given = 0
        self.damaged = damaged
        self.sample = Sample([m for m in items if isinstance(m, MirrorView)])
        self.captures = self.sample.captures

    @property
    def summary(self) -> Any:
        return Sample([m for m in self.items[: self.given] if isinstance(m, MirrorView)]).summary

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            self.given += 1
            presenter = SimpleNamespace(mirrors=lambda rows, first_number: iter(rows))
            yield SimpleNamespace(presenter=presenter, rows=[item], first_number=self.given)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_up(*items: MirrorView | BaseException, damaged: bool = False) -> Batches:
        made = Batches(*items, damaged=damaged)
        monkeypatch.setattr(inspector.inspection, "stream", lambda *paths, **options: made)
        return made

    return set_up


ARGS = ["x", "--show-mirrors", "--format", "ndjson"]


def test_each_batch_is_out_before_the_next_is_read(batches: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    out: list[str] = []
    seen: list[int] = []
    made = batches(mirror(1), mirror(2), mirror(3))

    class File(io.StringIO):
        def flush(self) -> None:
            out.append(self.getvalue())
            seen.append(made.given)

    monkeypatch.setattr(sys, "stdout", File())
    assert cli.run(ARGS) == 0
    assert [text.count("\n") for text in out[:3]] == [1, 2, 3]
    assert seen[:3] == [1, 2, 3]


def test_no_mirrors_make_no_line(batches: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batches()
    assert cli.run(ARGS) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.run([*ARGS, "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text() == ""


@pytest.mark.parametrize(("options", "given", "status"), [([], 1, 0), (["--fail-on", "leaked"], 3, 1)])
def test_a_closed_pipe_ends_the_reading_unless_the_status_needs_it(
    options: list[str], given: int, status: int, batches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            raise OSError

    made = batches(mirror(1), mirror(2), mirror(3, verdict="leaked"))
    monkeypatch.setattr(sys, "stdout", Closed())
    assert cli.run([*ARGS, *options]) == status
    assert made.given == given


def test_the_status_comes_from_all_batches(batches: Any) -> None:
    batches(mirror(1), mirror(2, verdict="unproven"), damaged=True)
    assert cli.run(ARGS) == cli.DAMAGED
    assert cli.run([*ARGS, "--fail-on", "inconclusive"]) == cli.INCONCLUSIVE
    assert cli.run([*ARGS, "--fail-on", "leaked,unproven"]) == cli.FAILED


def test_an_error_before_the_first_batch_leaves_a_file_alone(batches: Any, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old")
    batches(CaptureError("x", "no capture"))
    assert cli.run([*ARGS, "-o", str(target)]) == cli.USAGE
    assert target.read_text() == "old"


def test_a_file_that_was_there_is_the_users_only(batches: Any, tmp_path: Path) -> None:
    target, link = tmp_path / "out", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o664)
    link.symlink_to(target)
    batches(mirror(1))
    assert cli.run([*ARGS, "-o", str(link)]) == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink()
    batches(mirror(1))
    before = os.stat(os.devnull).st_mode
    assert cli.run([*ARGS, "-o", os.devnull]) == 0
    assert os.stat(os.devnull).st_mode == before


@pytest.mark.parametrize(
    ("error", "status"), [(CaptureError("x", "gone"), 2), (KeyboardInterrupt(), 130), (OSError(5, "EIO"), 70)]
)
def test_an_error_half_way_keeps_what_was_written(
    error: BaseException, status: int, batches: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out"
    batches(mirror(1), error)
    assert cli.run([*ARGS, "-o", str(target)]) == status
    assert json.loads(target.read_text())["id"] == 1
    assert str(target) not in capsys.readouterr().err  # it is the input's error, not the output's


def test_a_full_disk_is_the_outputs_error(batches: Any, capsys: pytest.CaptureFixture[str]) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    batches(mirror(1), mirror(2))
    assert cli.run([*ARGS, "-o", "/dev/full"]) == cli.USAGE
    assert "/dev/full: cannot be written: No space left" in capsys.readouterr().err
    with pytest.raises(InspectorError, match="No space left"):
        streams.write([["x" * 200_000]], "/dev/full")


def test_progress_gives_way_to_lines(batches: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    cleared: list[int] = []
    made = batches(mirror(1), mirror(2))
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(streams.Progress, "clear", lambda self: cleared.append(made.given))
    assert cli.run(ARGS) == 0
    assert cleared == [1, 2, 2]


def test_gathered_loses_nothing() -> None:
    pieces = ["a" * n for n in (1, 0, 70_000, 5, 65_536, 65_537, 2)]
    assert "".join(streams.gathered(pieces)) == "".join(pieces)
    assert len(list(streams.gathered(["x"] * 1000))) == 1


def test_lines_of_a_real_capture_are_the_documents_mirrors() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inspector", LEAKY, *ARGS[1:], "--fail-on", "leaked"],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == cli.FAILED
    whole = subprocess.run(
        [sys.executable, "-m", "inspector", LEAKY, "--show-mirrors", "--json"],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert [json.loads(line) for line in done.stdout.splitlines()] == json.loads(whole.stdout)["mirrors"]
    assert inspect(LEAKY).summary.verdicts["leaked"] == 4


def test_the_summary_keeps_no_exchange(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("everything is kept")

    monkeypatch.setattr(inspector.inspection, "inspect", refuse)
    for form in ("table", "json", "ndjson", "csv", "markdown"):
        assert cli.run([LEAKY, "--format", form]) == 0
    assert cli.run([LEAKY, *ARGS[1:]]) == 0
    assert capsys.readouterr().err == ""
