"""What leaves the terminal holds no secrets, in every format; what stays on it is as captured."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import stat
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from command_runs import runs
from talk import answer, mirrored, write

from inspector.cli import run
from inspector.cli.private import key_of

ROOT = Path(__file__).parents[2]
SECRETS = (
    "hunter2",
    "tok-in-query",
    "bearer-secret",
    "cookie-secret",
    "set-cookie-secret",
    "xfcc-secret",
    "s3cr3t-number",
)
WORD = re.compile("redacted:[0-9a-f]{8}")


@pytest.fixture
def capture(tmp_path: Path) -> str:
    body = b'{"password": "hunter2", "user": "bob", "n": %d}'
    fields = (
        "authorization: Bearer bearer-secret\r\ncookie: sid=cookie-secret\r\nx-forwarded-client-cert: xfcc-secret\r\n"
    )
    set_cookie = "content-type: application/json\r\nset-cookie: sid=set-cookie-secret; Path=/\r\n"
    talks = [
        talk
        for n in range(3)
        for talk in mirrored(
            answer(body % n, extra=set_cookie),
            answer(body % (n + 1), extra=set_cookie + "x-api-key: s3cr3t-number\r\n"),
            n,
            target=f"/login?token=tok-in-query&page={n}",
            extra=fields,
            copy_extra=fields.replace("bearer-secret", "other-bearer-secret"),
        )
    ]
    return write(tmp_path / "secrets.pcap", talks)


@pytest.mark.parametrize("args", runs(), ids=" ".join)
def test_no_secret_comes_out(args: list[str], capture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([capture, *args]) == 0
    piped = capsys.readouterr().out
    target = tmp_path / "out"
    assert run([capture, *args, "-o", str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    written = target.read_text()
    assert written == piped
    for secret in SECRETS:
        assert secret not in piped
    assert run([capture, *args, "--no-redact"]) == 0
    kept = capsys.readouterr().out
    assert not WORD.search(kept)
    if WORD.search(piped):
        assert any(secret in kept for secret in SECRETS)


def test_equal_stays_equal_within_and_across_files(
    capture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = set()
    for n, args in enumerate((["--show-mirrors", "--json"], ["--show-exchanges", "--format", "csv"], ["--diff", "1"])):
        assert run([capture, *args, "-o", str(tmp_path / str(n))]) == 0
        words.add(re.findall(r"token=(redacted:\w+)", (tmp_path / str(n)).read_text().replace("\n", ""))[0])
    assert len(words) == 1
    capsys.readouterr()


def test_the_key_is_the_captures(tmp_path: Path, capture: str) -> None:
    same = tmp_path / "copy.pcap"
    same.write_bytes(Path(capture).read_bytes())
    assert key_of([capture]) == key_of([str(same)]) is not None
    other = write(tmp_path / "other.pcap", mirrored(answer(b"1"), answer(b"2")))
    assert key_of([capture]) != key_of([other]) != key_of([capture, other])
    assert key_of(["-"]) is None
    assert key_of([str(tmp_path / "absent")]) is None


@pytest.mark.parametrize("form", ["table", "ndjson", "csv"])
def test_no_secret_comes_out_while_following(form: str, capture: str) -> None:
    command = [sys.executable, "-m", "inspector", "-", "--show-mirrors", "--follow", "--format", form]
    out = subprocess.run(
        command, input=Path(capture).read_bytes(), capture_output=True, check=True, cwd=ROOT, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    ).stdout.decode()  # fmt: skip
    assert "tok-in-query" not in out
    assert "redacted:" in out


def test_a_terminal_shows_what_was_captured(capture: str) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}

    def shown(*args: str) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "inspector", capture, *args],
            stdout=theirs, stderr=subprocess.DEVNULL, cwd=ROOT, env={**env, "PYTHONPATH": str(ROOT), "TERM": "dumb"},
        )  # fmt: skip
        os.close(theirs)
        out = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
        os.close(ours)
        assert process.wait() == 0
        return out.decode().replace("\r\n", "\n")

    assert "hunter2" not in shown("--diff", "1", "--json")
    assert WORD.search(shown("--show-mirrors", "--format", "ndjson"))
    assert "token=tok-in-query" in shown("--show-mirrors")
    text = shown("--diff", "1")
    assert "bearer-secret" in text
    assert not WORD.search(text)
