"""The command around the pipeline: options, files, exit codes, errors. Whole runs are in test_cli_golden.py."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from render_samples import Sample, capture, mirror, rich

from inspector.cli import program as cli
from inspector.cli import streams, work
from inspector.errors import CaptureError

ROOT = Path(__file__).parents[2]
ITEMS = str(ROOT / "captures/items-client.pcap")


class Answer:
    """What the pipeline is said to answer, and what it was asked."""

    def __init__(self) -> None:
        self.sample: Sample | BaseException = Sample([mirror()])
        self.asked: tuple[Any, ...] = ()

    def __call__(self, *asked: Any) -> Sample:
        self.asked = asked
        if isinstance(self.sample, BaseException):
            raise self.sample
        return self.sample


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    fake = Answer()
    monkeypatch.setattr(work, "_inspect", fake)
    monkeypatch.setattr(work, "_summarise", fake)
    return fake


def inspect(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "inspector", *args],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **env}, timeout=60, check=False,
    )  # fmt: skip


def test_options_reach_the_pipeline(answer: Answer) -> None:
    assert cli.run(["-r", "a", "b", "--suffix", "-copy", "--window", "2.5", "--match", "content, count"]) == 0
    assert answer.asked == (("a", "b"), ("-copy", 2.5, ("content", "count")))
    cli.run(["b"])
    assert answer.asked == (("b",), ("-shadow", 15.0, ()))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "no capture"),
        (["a", "--format", "xml"], "xml"),
        (["a", "--json", "--format", "csv"], "contradicts"),
        (["a", "--match", "smell"], "smell"),
        (["a", "--match", ","], "at least one"),
        (["a", "--fail-on", "bad"], "bad"),
        (["a", "--window", "nan"], "window"),
        (["a", "--window", "0"], "window"),
        (["a", "--window", "inf"], "window"),
        (["a", "--window", "1e300"], "window"),
        (["a", "--match", "order"], "order"),
        (["-", "-"], "once"),
        (["a", "--format", "csv", "--show-mirrors", "--show-exchanges"], "not both"),
        (["a", "--nonsense"], "nonsense"),
        (["a", "-o", "."], "directory"),
        (["a", "-o", "/no/such/folder/x"], "does not exist"),
        ([ITEMS, "-o", ITEMS], "overwritten"),
    ],
)
def test_wrong_usage_is_2_with_a_line(
    args: list[str], said: str, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(args) == cli.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("inspect: ")
    assert said in err
    assert "Traceback" not in err
    assert answer.asked == ()


def test_an_input_is_not_overwritten_through_a_link(answer: Answer, tmp_path: Path) -> None:
    source, link = tmp_path / "a.pcap", tmp_path / "b.json"
    source.write_bytes(b"x")
    link.symlink_to(source)
    assert cli.run([str(source), "-o", str(link)]) == cli.USAGE
    assert source.read_bytes() == b"x"


@pytest.mark.parametrize(
    ("fail_on", "verdicts", "damaged", "status"),
    [
        (None, ["leaked"], False, 0),
        (None, ["discarded"], True, 3),
        ("leaked", ["discarded"], False, 0),
        ("leaked", ["discarded", "leaked"], False, 1),
        ("leaked", ["leaked"], True, 1),
        ("leaked,unanswered", ["unanswered"], False, 1),
        ("unproven", ["unproven"], False, 1),
        ("inconclusive", ["unproven"], False, 4),
        ("inconclusive", ["discarded"], False, 0),
        ("inconclusive,leaked", ["unproven", "leaked"], False, 1),
        ("inconclusive", ["unproven"], True, 4),
        ("inconclusive", ["discarded"], True, 3),
    ],
)
def test_exit_status(fail_on: str | None, verdicts: list[str], damaged: bool, status: int, answer: Answer) -> None:
    answer.sample = Sample([mirror(i, verdict=v) for i, v in enumerate(verdicts, 1)], damaged=damaged)
    assert cli.run(["a", *(["--fail-on", fail_on] if fail_on else [])]) == status


def test_output_file(answer: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "report.json"
    answer.sample = rich()
    assert cli.run(["a", "--show-mirrors", "--json", "-o", str(target)]) == 0
    assert capsys.readouterr() == ("", "")
    assert len(json.loads(target.read_text())["mirrors"]) == 5
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert cli.run(["a", "--show-mirrors", "-o", str(target), "--format", "markdown"]) == 0
    assert target.read_text().startswith("| # |")
    assert cli.run(["a", "-o", "-"]) == 0
    assert "share" in capsys.readouterr().out


def test_output_that_cannot_be_written(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    assert cli.run(["a", "--json", "-o", "/dev/full"]) == cli.USAGE
    assert "cannot be written: No space left" in capsys.readouterr().err


def test_warnings_go_to_stderr_and_cannot_act(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    answer.sample = Sample(captures=[capture(path="\x1b[2Jx", warnings=["cut short\nat byte 12"])], damaged=True)
    assert cli.run(["a"]) == cli.DAMAGED
    out, err = capsys.readouterr()
    assert err == "inspect: \\x1b[2Jx: cut short\\x0aat byte 12\n"
    assert "\x1b" not in out


def test_errors_are_a_line_and_a_hint(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    answer.sample = CaptureError("x.txt", "not a capture, but text", "record one: tcpdump -w x.pcap", offset=1234)
    assert cli.run(["x.txt"]) == cli.USAGE
    assert capsys.readouterr().err == (
        "inspect: x.txt: at byte 1,234: not a capture, but text\n  hint: record one: tcpdump -w x.pcap\n"
    )


def test_an_unexpected_error_is_a_line(
    answer: Answer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer.sample = ZeroDivisionError("oh\x1b[0m")
    monkeypatch.delenv("INSPECTOR_DEBUG", raising=False)
    assert cli.run(["x"]) == cli.SOFTWARE
    err = capsys.readouterr().err
    assert "please report it" in err
    assert "INSPECTOR_DEBUG=1" in err
    assert "\x1b" not in err
    monkeypatch.setenv("INSPECTOR_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.run(["x"])


def test_interrupted(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    answer.sample = KeyboardInterrupt()
    assert cli.run(["x"]) == cli.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


def test_colour_follows_the_terminal_and_no_color(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not streams.colour("auto", None)
    assert streams.colour("always", None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert streams.colour("auto", None)
    assert not streams.colour("never", None)
    assert not streams.colour("auto", "file")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not streams.colour("auto", None)


def test_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert streams.columns("file") == streams.PIPED_COLUMNS
    monkeypatch.setenv("COLUMNS", "90")
    assert streams.columns("file") == 90
    monkeypatch.setenv("COLUMNS", "wide")
    assert streams.columns("file") == streams.PIPED_COLUMNS


def test_progress_waits_and_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = io.StringIO()
    progress = streams.Progress(stream)
    progress(1_000_000, 4_000_000)
    progress.clear()
    assert stream.getvalue() == ""
    now = 101.0
    progress(2_000_000, 4_000_000)
    now = 101.01
    progress(2_100_000, 4_000_000)
    assert stream.getvalue() == "\rinspect: read 2 of 4 MB (50 %), 1 s"
    now = 103.0
    progress(2_100_000, None)
    progress.clear()
    assert "read 2 MB, 3 s" in stream.getvalue()
    assert stream.getvalue().endswith("\r" + " " * progress.widest + "\r")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--completion", shell]) == 0
    assert "_INSPECT_COMPLETE" in capsys.readouterr().out


def test_completion_completes_lists() -> None:
    done = inspect(_INSPECT_COMPLETE="bash_complete", COMP_WORDS="inspect x --fail-on leaked,un", COMP_CWORD="3")
    assert done.stdout.split() == ["plain,leaked,unanswered", "plain,leaked,unproven"]


def test_help_and_version() -> None:
    done = inspect("--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert "Exit status:" in done.stdout
    assert inspect("-h").stdout == done.stdout
    assert inspect("--version").stdout.startswith("mirror-inspector 0.")


def test_help_is_fast_because_nothing_heavy_is_imported() -> None:
    heavy = ["numpy", "pandas", "numba", "scipy", "scapy", "pyshark", "tabulate", "zstandard", "lz4"]
    code = f"import sys, inspector.cli.program as c; c.run(['--help']); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_summary_of_a_small_capture_imports_only_what_it_needs() -> None:
    others = [
        "numba",
        "llvmlite",
        "wcwidth",
        "inspector.redact",
        "importlib.metadata",
        "pandas",
        "inspector.render.explain",
    ]
    code = (
        f"import sys, inspector.cli.program as c; c.run([{ITEMS!r}]); print([m for m in {others} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "inspector", ITEMS, "--show-mirrors", "--json"],
            stdout=closed, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60, check=False,
        )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize(("closed", "status"), [(">&-", 2), ("2>&-", 0)])
def test_a_closed_stream_is_no_crash(closed: str, status: int) -> None:
    line = f'"{sys.executable}" -m inspector "{ITEMS}" --json {closed}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == status
    assert "bug" not in done.stderr


def test_a_narrow_encoding_gets_escapes() -> None:
    done = inspect(ITEMS, "--show-mirrors", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "\\xb5s" in done.stdout or " ms" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
def test_tcpdump_writes_into_the_pipe() -> None:
    with subprocess.Popen(
        ["tcpdump", "-r", ITEMS, "-U", "-w", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as dump:
        done = subprocess.run(
            [sys.executable, "-m", "inspector", "-", "--show-mirrors", "--format", "ndjson"],
            stdin=dump.stdout, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3


def test_a_capture_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(Path(ITEMS).read_bytes()[:-7])
    done = inspect(str(cut), "--json")
    assert done.returncode == cli.DAMAGED
    assert done.stderr.startswith("inspect: ")
    assert json.loads(done.stdout)["captures"][0]["dropped_tail"] is True


def test_standard_input_and_files_agree() -> None:
    piped = subprocess.run(
        [sys.executable, "-m", "inspector", "-", "--show-mirrors", "--format", "ndjson"],
        input=Path(ITEMS).read_bytes(), capture_output=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert piped.returncode == 0
    assert piped.stdout.decode() == inspect(ITEMS, "--show-mirrors", "--format", "ndjson").stdout
    assert len(piped.stdout.splitlines()) == 3


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "markdown"])
def test_every_format_of_a_real_capture(form: str) -> None:
    done = inspect(ITEMS, "--show-mirrors", "--format", form)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.count("/items") >= 3


def test_the_library_answers_with_data_frames() -> None:
    import inspector

    inspection = inspector.inspect(ITEMS)
    assert len(inspection.mirrors) == 3
    assert "<table" in inspection.mirrors._repr_html_()


def test_what_a_notebook_shows_is_redacted(tmp_path: Path) -> None:
    import inspector

    secret = tmp_path / "secret.pcap"
    data = Path(ITEMS).read_bytes().replace(b"/items HTTP", b"/items?pwd=hunts HTTP").replace(b"curl/7.88.1", b"c")
    secret.write_bytes(data)
    as_captured = inspector.inspect(str(secret))
    assert set(as_captured.mirrors["path"]) == {"/items?pwd=hunts"}
    assert "hunts" not in as_captured._repr_html_()
    assert as_captured._repr_html_().count("/items?pwd=redacted:") == 3
    private = inspector.inspect(str(secret), redact=True)
    for frame in (private.mirrors, private.exchanges):
        (path,) = set(frame["path"])
        assert path.startswith("/items?pwd=redacted:")
