"""Pipes that are read twice: a private, bounded file without a name."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from talk import answer, mirrored, write

from inspector.errors import InspectorError
from inspector.inspection import inspect
from inspector.reread.messages import reread
from inspector.reread.spool import Inputs, Spool

ROOT = Path(__file__).parents[2]


def piped(data: bytes) -> int:
    """A pipe that gives `data`: its reading end."""
    out, into = os.pipe()

    def fill() -> None:
        with open(into, "wb") as file:
            file.write(data)

    threading.Thread(target=fill).start()
    return out


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    talks = [t for n in range(20) for t in mirrored(answer(b"x" * 5000), answer(b"y" * 5000), n)]
    return Path(write(tmp_path / "x.pcap", talks))


def test_a_pipe_is_read_again(capture: Path) -> None:
    spool = Spool(piped(capture.read_bytes()), "-")
    found = inspect(spool)
    views = list(found.exchange_views())
    assert found.captures[0].path == "-"
    assert len(views) == 60
    assert reread([spool.again], views) == reread([str(capture)], views)
    assert spool.dropped == 0
    spool.release()


def test_the_file_is_private_and_has_no_name(capture: Path) -> None:
    spool = Spool(piped(capture.read_bytes()), "-")
    inspect(spool)
    status = os.fstat(spool.kept.fileno())
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert (status.st_nlink, status.st_size) == (0, capture.stat().st_size)
    spool.release()
    assert spool.kept.closed


def test_no_place_for_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(InspectorError) as told:
        Spool(piped(b""), "-")
    assert told.value.hint


def test_its_size_is_bounded_and_the_rest_is_counted(capture: Path) -> None:
    data = capture.read_bytes()
    spool = Spool(piped(data), "-", limit=100_000)
    views = list(inspect(spool).exchange_views())
    assert spool.dropped == len(data) - 100_000
    found = reread([spool.again], views)
    whole = reread([str(capture)], views)
    read = [number for number, content in found.items() if content.why is None and content == whole[number]]
    assert 10 < len(read) < 60
    assert os.fstat(spool.kept.fileno()).st_size == 100_000
    spool.release()


def test_a_full_disk_is_no_error(capture: Path) -> None:
    data = capture.read_bytes()
    spool = Spool(piped(data), "-")
    spool.kept = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    assert len(list(inspect(spool).exchange_views())) == 60
    assert spool.dropped == len(data)
    spool.release()


def test_inputs(tmp_path: Path, capture: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    threading.Thread(target=lambda: fifo.write_bytes(capture.read_bytes())).start()
    with Inputs([str(fifo), str(capture), str(tmp_path / "absent")]) as inputs:
        assert inputs.first[1:] == inputs.again[1:] == [str(capture), str(tmp_path / "absent")]
        views = list(inspect(inputs.first[0]).exchange_views())
        assert reread(inputs.again[:1], views) == reread([str(capture)], views)
        assert inputs.dropped == 0
        (spool,) = inputs.spools
    assert spool.kept.closed


def test_a_redirected_file_needs_no_spool(capture: Path) -> None:
    code = (
        "from inspector.inspection import inspect; from inspector.reread.spool import Inputs\n"
        "from inspector.reread.messages import reread\n"
        "inputs = Inputs(['-'])\n"
        "views = list(inspect(*inputs.first).exchange_views())\n"
        "print(len(inputs.spools), len(views), sum(c.why is None for c in reread(inputs.again, views).values()))"
    )
    for command in (
        f"'{sys.executable}' -c \"$CODE\" < '{capture}'",
        f"cat '{capture}' | '{sys.executable}' -c \"$CODE\"",
    ):
        out = subprocess.run(
            command, shell=True, capture_output=True, text=True, check=True, cwd=ROOT,
            env={**os.environ, "CODE": code, "PYTHONPATH": str(ROOT)},
        ).stdout.split()  # fmt: skip
        assert out == [str(int("|" in command)), "60", "60"]
