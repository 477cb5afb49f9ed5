"""`inspect doctor`, and the made capture that it compiles with."""

from __future__ import annotations

import io
from pathlib import Path

import inspector
from inspector.cli import run
from inspector.inspection.warm import capture
from inspector.kernels import cache


def test_the_made_capture_has_something_of_everything():
    found = inspector.inspect(io.BytesIO(capture()))
    signs = {sign for view in found.mirror_views() for sign in view.paired_by}
    assert {"request-id", "suffix", "count"} <= signs
    assert found.summary.mirrors == 12
    assert found.summary.verdicts["discarded"] >= 10


def test_doctor_names_versions_and_the_cache(capsys):
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert inspector.__version__ in out
    assert str(cache.folder()) in out


def test_doctor_knows_no_other_option(capsys):
    assert run(["doctor", "--nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_timings_are_told_on_stderr(capsys):
    assert run([str(Path(__file__).parents[2] / "captures" / "items-client.pcap"), "--timings"]) == 0
    err = capsys.readouterr().err
    assert all(stage in err for stage in ("capture", "tcp", "http", "mirrors"))
