"""`--follow`: mirrors come out while the capture is still being written; nothing that was told is taken back."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import inspector
from inspector.errors import UsageError

ITEMS = Path(__file__).parents[2] / "captures" / "items-client.pcap"
PATIENCE = 60  # seconds, for a machine that is busy


def halves(path: Path, share: float) -> tuple[bytes, bytes]:
    """A pcap cut between two records, after about `share` of its bytes."""
    data = path.read_bytes()
    at = 24
    while at < len(data) * share:
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    return data[:at], data[at:]


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are ended whatever happens."""
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for process in running:
        process.kill()
        process.wait()


def start(args: list[str], running: list[subprocess.Popen[bytes]], stdin: int | None = None) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "inspector", *args], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    running.append(process)
    threading.Timer(PATIENCE, process.kill).start()
    return process


def whole(*args: str) -> list[dict[str, object]]:
    out = subprocess.run(
        [sys.executable, "-m", "inspector", *args, "--show-mirrors", "--format", "ndjson"],
        capture_output=True,
        check=False,
    )
    return [json.loads(line) for line in out.stdout.splitlines()]


def test_a_pipe_is_told_while_it_is_open(started):
    first, rest = halves(ITEMS, 0.75)
    process = start(["-", "--show-mirrors", "--follow", "--format", "ndjson"], started, subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdin.write(first)
    process.stdin.flush()
    early = json.loads(process.stdout.readline())  # comes although the pipe is still open
    process.stdin.write(rest)
    process.stdin.close()
    told = [early, *map(json.loads, process.stdout.read().splitlines())]
    assert process.wait() == 0
    assert [(m["id"], m["verdict"], m["proof"], m["evidence"]) for m in told] == [
        (m["id"], m["verdict"], m["proof"], m["evidence"]) for m in whole(str(ITEMS))
    ]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_growing_file_is_read_until_it_is_interrupted(tmp_path, started, how):
    first, rest = halves(ITEMS, 0.5)
    path = tmp_path / "growing.pcap"
    path.write_bytes(first[:30])  # inside the first record
    process = start([str(path), "--show-mirrors", "--follow"], started)
    assert process.stdout
    heading = process.stdout.readline() + process.stdout.readline()
    assert b"verdict" in heading
    with path.open("ab") as file:
        file.write(first[30:])
        file.flush()
        row = process.stdout.readline()
        assert b"discarded" in row
        file.write(rest)
    os.kill(process.pid, how)
    text = process.stdout.read().decode()
    assert process.wait() == 0
    assert "mirrors      3: 3 discarded" in text
    assert "3 of 3 mirrored responses reached the proxy" in text
    assert (row.decode() + text).count("  discarded") == 3


def test_a_hole_is_given_up_by_the_clock_alone(tmp_path, started):
    """Packets of a response are missing and nothing follows: the mirror is told all the same."""
    data = ITEMS.read_bytes()
    records, at = [], 24
    while at < len(data):
        size = 16 + struct.unpack_from("<I", data, at + 8)[0]
        records.append(data[at : at + size])
        at += size
    told = whole(str(ITEMS))
    packets = told[0]["mirror"]["response_packets"]  # type: ignore[index]
    kept = b"".join(r for n, r in enumerate(records, 1) if n not in packets[:1])
    process = start(["-", "--show-mirrors", "--follow", "--format", "ndjson"], started, subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdin.write(data[:24] + kept)
    process.stdin.flush()
    mirrors = [json.loads(process.stdout.readline()) for _ in range(len(told))]
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(data[:24] + kept)
    in_order = sorted(mirrors, key=lambda m: m["mirror"]["request_time"])
    assert [m["verdict"] for m in in_order] == [m["verdict"] for m in whole(str(cut))]
    process.stdin.close()
    assert process.stdout.read() == b""
    assert process.wait() == 0


def test_what_cannot_be_followed_is_said(tmp_path):
    with pytest.raises(UsageError, match="one capture"):
        inspector.stream(str(ITEMS), str(ITEMS), follow=True)
    packed = tmp_path / "x.pcap.gz"
    import gzip

    packed.write_bytes(gzip.compress(ITEMS.read_bytes()))
    with pytest.raises(inspector.CaptureError, match="gz cannot be followed"):
        inspector.stream(str(packed), follow=True)
    run = subprocess.run(
        [sys.executable, "-m", "inspector", str(ITEMS), "--follow", "--show-mirrors", "--json"],
        capture_output=True,
        check=False,
    )
    assert run.returncode == 2
    assert b"--format table or ndjson or csv" in run.stderr


def test_csv_has_its_heading_once(tmp_path, started):
    process = start(["-", "--show-mirrors", "--follow", "--format", "csv"], started, subprocess.PIPE)
    out, _ = process.communicate(ITEMS.read_bytes())
    assert [line.split(b",")[0] for line in out.splitlines()] == [b"id", b"1", b"2", b"3"]
