"""`inspect lesson` as a learner uses it: listed, walked through on a terminal, printed, as a page."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspector.cli import run

ROOT = Path(__file__).parents[2]


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lesson"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1. What mirroring is\n")
    assert "\n9. " in out
    assert "inspect lesson 1" in out


def test_no_terminal_prints_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lesson", "1"]) == 0
    out = capsys.readouterr().out
    assert "Step 3 of 3" in out
    assert "The answer is c) 9." in out
    assert "Remember: " in out
    assert run(["lesson", "1", "--all"]) == 0
    assert capsys.readouterr().out == out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["lesson", "99"], "there is no lesson 99"),
        (["lesson", "1", "--html", "--handout"], "contradicts"),
        (["lesson", "x"], "valid"),
    ],
)
def test_misuse(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    assert said in capsys.readouterr().err


def test_a_file_of_that_name_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lesson").write_bytes((ROOT / "captures/nomirror-client.pcap").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert run(["lesson"]) == 0
    assert "6 exchanges" in capsys.readouterr().out


def test_a_missing_capture_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inspector.lessons.seen.HOME", tmp_path)
    assert run(["lesson", "1"]) == 2
    assert "items-client.pcap is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--html", "--handout"])
def test_pages_are_written(option: str, tmp_path: Path) -> None:
    target = tmp_path / "lesson.html"
    assert run(["lesson", "3", option, "-o", str(target)]) == 0
    page = target.read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "127.0.0.1:15001" in page
    assert target.stat().st_mode & 0o777 == 0o600


class Terminal:
    """A lesson in a pseudo-terminal."""

    def __init__(self, *args: str) -> None:
        self.screen, theirs = pty.openpty()
        env = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "LANGUAGE": "en", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inspector", "lesson", *args], stdin=theirs, stdout=theirs, stderr=theirs, env=env
        )
        os.close(theirs)
        self.seen = ""

    def until(self, prompt: str) -> str:
        """What appears up to `prompt`."""
        end = time.monotonic() + 60
        while prompt not in self.seen and time.monotonic() < end:
            if select.select([self.screen], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.screen, 65536).decode("utf-8", "replace")
                except OSError:
                    break
        before, found, self.seen = self.seen.partition(prompt)
        assert found, before
        return before

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def ends(self) -> int:
        try:
            while os.read(self.screen, 65536):
                pass
        except OSError:
            pass
        os.close(self.screen)
        return self.process.wait(30)


def test_a_walk() -> None:
    """A wrong letter, a guess, on, back, and to the end."""
    terminal = Terminal("1")
    first = terminal.until("Your guess (a, b, c; Enter shows the answer): ")
    assert "Step 1 of 3" in first
    assert "--show-exchanges" not in first, "nothing is revealed before the guess"
    terminal.type("what?\n")
    terminal.until("Please answer with one of a, b, c")
    terminal.type("C\n")
    told = terminal.until("Enter or n: next, q: quit > ")
    assert "Yes: c) 9." in told
    assert "--show-exchanges" in told
    terminal.type("\n")
    assert "Step 2 of 3" in terminal.until("Your guess (a, b, c; Enter shows the answer): ")
    terminal.type("a\n")
    assert "not this time: b) the 404 bytes of version 1." in terminal.until("Enter or n: next, b: back, q: quit > ")
    terminal.type("b\n")
    assert "Step 1 of 3" in terminal.until("Your guess ")
    terminal.type("\n")
    assert "The answer is c) 9." in terminal.until(" > ")
    terminal.type("n\n")
    terminal.until("Your guess ")
    terminal.type("\n")
    terminal.until(" > ")
    terminal.type("n\n")
    assert "Remember: " in terminal.until("b: back, Enter or q: end > ")
    terminal.type("q\n")
    assert terminal.ends() == 0


def test_the_end_of_the_input_ends_the_lesson() -> None:
    terminal = Terminal("8")
    terminal.until("Your guess ")
    terminal.type("\x04")
    assert terminal.ends() == 0
