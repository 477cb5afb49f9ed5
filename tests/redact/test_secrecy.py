"""What was captured stays where it was asked for: no network, no log, no file left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_traffic import Made

ROOT = Path(__file__).resolve().parents[2]
MIX = ROOT / "captures/mix-client.pcap.zst"
SECRET = "hunter2-Zm9vYmFy-0123456789abcdef"


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirrored request that is full of one secret."""
    made = Made()
    header = f"authorization: Bearer {SECRET}\r\ncookie: sid={SECRET}\r\n".encode()
    body = f'{{"password": "{SECRET}", "n": 1}}'.encode()
    kind = b"content-type: application/json\r\n"
    made.mirrored(0, path=f"/login?password={SECRET}", extra=header, original=body, mirror=body + b" ", answer=kind)
    path = tmp_path_factory.mktemp("secret") / "secret.pcap"
    path.write_bytes(made.pcap())
    return path


RUNS = [
    ["--show-mirrors"],
    ["--show-exchanges", "--format", "csv"],
    ["--show-mirrors", "--format", "har"],
    ["--diff", "1", "--json"],
    ["--explain", "1", "--json"],
    ["--format", "html", "-o", "report.html"],
    ["--show-mirrors", "--write-evidence", "evidence.pcapng", "--anonymise"],
]
FONTS = {"fc-list", "system_profiler"}  # matplotlib asks once which fonts there are


@pytest.mark.parametrize("pipe", [False, True])
def test_no_network_no_log_no_trace(pipe: bool, secret: Path, tmp_path: Path) -> None:
    work, temporary, home = (tmp_path / name for name in ("work", "tmp", "home"))
    for folder in (work, temporary, home):
        folder.mkdir()
    places = {"TMPDIR": temporary, "HOME": home, "XDG_CACHE_HOME": home / "cache", "MPLCONFIGDIR": home / "plots"}
    environment = os.environ | {name: str(path) for name, path in places.items()} | {"PYTHONPATH": str(ROOT)}
    runs = [["-", *RUNS[3]]] if pipe else [[str(secret), *args] for args in RUNS]
    command = [sys.executable, str(ROOT / "tests/support/audited.py"), str(tmp_path / "said"), *map(json.dumps, runs)]
    stdin = {"input": secret.read_bytes()} if pipe else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, **stdin)
    assert done.returncode == 0, done.stderr.decode()
    said = json.loads((tmp_path / "said").read_text())
    assert said["statuses"] == [0] * len(runs)
    assert said["seen"] == []
    assert set(said["programs"]) <= FONTS
    assert not [line for line in said["logged"] if SECRET in line or "/login" in line]
    assert SECRET.encode() not in done.stdout + done.stderr  # redacted: it goes to a pipe
    assert list(temporary.iterdir()) == []
    kept = [path for folder in (home, work) for path in folder.rglob("*") if path.is_file()]
    assert [p.name for p in kept if SECRET.encode() in p.read_bytes()] == []
    assert [p.name for p in work.iterdir() if p.stat().st_mode & 0o077] == []


def test_the_watch_can_fail(tmp_path: Path) -> None:
    code = (
        "import audited, sys, socket; sys.addaudithook(audited.watch); socket.socket().connect_ex(('127.0.0.1', 9)); "
    )
    code += "print(audited.seen)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests/support", capture_output=True, text=True)
    assert "socket.connect" in done.stdout


def test_it_runs_without_a_network() -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    command = ["unshare", "-rn", sys.executable, "-m", "inspector", str(MIX), "--show-mirrors", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["mirrors"]) == 21


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_private_files_go_with_the_process(number: signal.Signals, tmp_path: Path) -> None:
    target = tmp_path / "evidence.pcapng"
    args = [str(MIX), "--show-mirrors", "--write-evidence", str(target), "--anonymise"]
    command = [sys.executable, "-m", "inspector", *args]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    for _ in range(20):  # until the signal comes before the end
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        ) as running:
            for _ in range(30_000):
                if found := list(tmp_path.iterdir()):
                    break
                time.sleep(0.0005)
            assert found
            assert found[0].stat().st_mode & 0o077 == 0
            running.send_signal(number)
            status = running.wait(30)
        if status:
            break
        assert list(tmp_path.iterdir()) == [target]
        target.unlink()
    assert status == (130 if number == signal.SIGINT else 128 + number)
    assert list(tmp_path.iterdir()) == []
