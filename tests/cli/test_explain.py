"""`--explain N` as a command: formats, files, encodings, exit status. Whole outputs are in tests/golden."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from inspector.cli import run

ROOT = Path(__file__).parents[2]
ITEMS = str(ROOT / "captures/items-client.pcap")
LEAKY = str(ROOT / "captures/leaky-gw.pcap")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--explain", "0"], "0"),
        (["--explain", "x"], "x"),
        (["--explain", "4"], "there are 3 mirrors"),
        (["--explain", "1", "--format", "csv"], "cannot hold"),
        (["--explain", "1", "--format", "ndjson"], "cannot hold"),
        (["--explain", "1", "--show-exchanges"], "contradicts"),
        (["--format", "svg"], "one mirror"),
        (["--show-mirrors", "--format", "svg"], "one mirror"),
        (["--format", "mermaid"], "draws mirrors"),
        (["--show-mirrors", "--show-exchanges", "--format", "mermaid"], "draws mirrors"),
    ],
)
def test_wrong_usage(args: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert run([ITEMS, *args, "-o", str(target)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert not target.exists()


def test_a_ladder_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "ladder.svg"
    assert run([LEAKY, "--explain", "3", "--format", "svg", "-o", str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert ElementTree.parse(target).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert capsys.readouterr() == ("", "")


def test_with_show_mirrors_it_is_that_mirror(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([LEAKY, "--explain", "3", "--show-mirrors", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [m["id"] for m in document["mirrors"]] == [3]
    assert document["explanation"]["steps"][-1]["key"] == "refute"


def test_the_exit_status_is_that_of_all_mirrors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([LEAKY, "--explain", "1", "--fail-on", "leaked"]) == 1
    assert "discarded" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "euc-kr"])
def test_a_terminal_without_unicode_gets_ascii(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inspector", ITEMS, "--explain", "1"],
        capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "80"}, timeout=60, check=True,
    )  # fmt: skip
    text = done.stdout.decode(encoding)
    assert "X<" in text
    assert "\\u" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_pipe_is_told_without_its_packets() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inspector", "-", "--explain", "1"],
        input=Path(ITEMS).read_bytes(), capture_output=True, cwd=ROOT, timeout=60, check=True,
    )  # fmt: skip
    assert b"cannot be read again" in done.stderr
    assert b"What would refute it" in done.stdout
    assert b"15001" not in done.stdout


def test_what_wireshark_would_show_is_what_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    if shutil.which("tshark") is None:
        pytest.skip("needs tshark")
    assert run([ITEMS, "--explain", "1"]) == 0
    expression = capsys.readouterr().out.split("These packets in Wireshark: ")[1].replace("\n", " ").strip()
    shown = subprocess.run(
        ["tshark", "-r", ITEMS, "-Y", expression, "-T", "fields", "-e", "frame.number"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.split()  # fmt: skip
    assert shown == ["1", "2", "4", "16", "18", "20", "22", "27", "28"]
