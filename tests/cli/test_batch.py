"""`inspect batch` as it is used: what it prints, its exit statuses, --watch, Ctrl-C."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import batch_made
import batch_store
import pytest
from batch_store import CAPTURES, library

from inspector.cli.batch import _span
from inspector.cli.batch import batch as command
from inspector.cli.program import run

LEAKY, ITEMS = CAPTURES / "leaky-gw.pcap", CAPTURES / "items-client.pcap"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "captures"
    folder.mkdir()
    shutil.copy(LEAKY, folder)
    return folder


def batch(*words) -> int:
    return run(["batch", *map(str, words)])


def test_a_run_and_a_second_one(tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    assert batch(place, "--store", store) == 0
    assert capsys.readouterr().out == (
        "1 capture in 1 unit, 1 read now.\n12 mirrors in the store: 4 leaked, 8 discarded.\n"
    )
    (place / "cut.pcap").write_bytes(ITEMS.read_bytes()[:-9])
    (place / "none\x1b[31m.pcap").write_text("no capture")
    assert batch(place, "--store", store) == 3
    said = capsys.readouterr()
    assert "2 read now, 1 unchanged, 1 damaged: read in part, 1 could not be read." in said.out.replace(
        "3 captures in 3 units, ", ""
    )
    assert "not a capture; it looks like text" in said.err
    assert "\x1b" not in said.err
    assert batch(place, "--store", store, "--fail-on", "leaked") == 1
    assert batch(place, "--store", store, "--fail-on", "leaked", "--since", "2030-01-01") == 3
    assert batch(ITEMS, "--store", tmp_path / "other", "--fail-on", "leaked,inconclusive") == 0
    assert batch(CAPTURES / "items-node.pcap", "--store", tmp_path / "node", "--fail-on", "leaked,inconclusive") == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--store", "s"], "no source given"),
        (["x.pcap"], "--store"),
        (["x.pcap", "--store", "s", "--workers", "2", "--scheduler", "tcp://x"], "contradict"),
        (["x.pcap", "--store", "s3://bucket"], "folders, not URLs"),
        (["x.pcap", "--store", "s", "--report", "./s"], "a folder each"),
        (["x.pcap", "--store", "s"], "no such file"),
        (["x.pcap", "--store", "s", "--since", "soon"], "is not a time"),
        (["x.pcap", "--store", "s", "--watch", "d", "--scheduler", "nonsense"], "no such file"),
    ],
)
def test_misuse(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert batch(*words) == 2
    assert said in capsys.readouterr().err


def until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def test_watch_and_its_end(tmp_path: Path) -> None:
    """Pieces of a rotated capture arrive one by one; SIGTERM ends it in good order."""
    folder, store = tmp_path / "arriving", tmp_path / "store"
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    words = [
        sys.executable,
        "-m",
        "inspector",
        "batch",
        "--watch",
        str(folder),
        "--store",
        str(store),
        "--fail-on",
        "leaked",
    ]
    folder.mkdir()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    try:
        one, two = batch_made.pieces(LEAKY.read_bytes(), 2)
        (folder / "x.pcap").write_bytes(one)
        until(lambda: len(list(store.glob("data/*/*/*"))) == 1)
        first = library(store).units()["unit"][0]
        (folder / "x.pcap1").write_bytes(two)
        until(lambda: any(first not in str(p) for p in store.glob("data/*/*/*")))
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1, out
    assert library(store).units()["mirrors"].tolist() == [12]
    assert (
        "2 captures in 1 unit, 1 read now, 1 older one replaced.\n12 mirrors in the store: 4 leaked, 8 discarded."
        in out
    )


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    batch_made.make(tmp_path / "captures", 60)
    store = tmp_path / "store"
    words = [
        sys.executable,
        "-m",
        "inspector",
        "batch",
        str(tmp_path / "captures"),
        "--store",
        str(store),
        "--workers",
        "1",
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until(lambda: len(list(store.glob("data/*/*/*"))) >= 2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == "inspect: interrupted; what was read is kept, and the same command goes on from there\n"
    done = library(store).captures()["path"].tolist()
    assert 2 <= len(done) < 60
    assert batch_store.kept(store, *done, version="0.1.0").unchanged == len(done)


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "0 s"), (75, "1 min 15 s"), (7800, "2 h 10 min")])
def test_how_long_it_takes(seconds: float, said: str) -> None:
    assert _span(seconds) == said


def test_every_option_is_in_the_readme() -> None:
    text = (CAPTURES.parent / "README.md").read_text().split("## Many captures")[1].split("\n## ")[0]
    for parameter in command.params:
        if parameter.opts[0].startswith("--"):
            assert f"`{parameter.opts[0]}" in text, f"the README does not name {parameter.opts[0]}"
