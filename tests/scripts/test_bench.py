"""The benchmark's inputs are what it says they are, and its figures are of the command that it ran."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import lab_path
import numpy as np
import pytest

if str(lab_path.SCRIPTS) not in sys.path:
    sys.path.append(str(lab_path.SCRIPTS))

import bench
import bench_made as made
import bench_measure
import bench_report as report
import bench_stages
import bench_tools
from bench_inputs import ETHERNET, LIMIT, SLL2, Recorded, choose

from inspector.inspection import Inspection, inspect

ROOT = Path(__file__).parents[2]
ITEMS = ROOT / "captures" / "items-client.pcap"
PAGE = ROOT / "BENCHMARKS.md"


def judged(found: Inspection) -> list[tuple[object, ...]]:
    """What was found in each mirror, without times, addresses and ids."""
    frame = found.mirrors[["method", "path", "verdict", "original_status", "mirror_status"]]
    return [tuple(row) for row in frame.itertuples(index=False)]


@pytest.mark.parametrize("times", [2, 5])
def test_repetitions_are_connections_of_their_own(tmp_path: Path, times: int) -> None:
    once = inspect(str(ITEMS))
    Recorded(ITEMS).write(tmp_path / "x.pcap", times)
    found = inspect(str(tmp_path / "x.pcap"))
    assert judged(found) == judged(once) * times
    assert found.summary.connections == once.summary.connections * times
    assert found.summary.exchanges == once.summary.exchanges * times
    assert found.mirrors["request_id"].is_unique
    assert found.captures[0].copies == once.captures[0].copies * times
    assert (np.diff(Recorded(tmp_path / "x.pcap").time) >= 0).all()


def test_every_repetition_up_to_the_limit_has_other_addresses(tmp_path: Path) -> None:
    Recorded(ITEMS).write(tmp_path / "x.pcap", LIMIT)
    whole = Recorded(tmp_path / "x.pcap")
    addresses = whole.data[whole.address[:, None] + np.arange(4)].view(">u4")[:, 0].reshape(LIMIT, -1)
    seen: set[int] = set()
    for row in addresses:
        mine = set(row.tolist())
        assert not mine & seen
        seen |= mine
    with pytest.raises(ValueError, match="repetitions"):
        Recorded(ITEMS).write(tmp_path / "x.pcap", LIMIT + 1)


def test_addresses_in_text_follow_those_in_headers(tmp_path: Path) -> None:
    Recorded(ITEMS).write(tmp_path / "x.pcap", 3)
    said = re.findall(rb"x-forwarded-for: 10\.(\d+)\.0\.10", (tmp_path / "x.pcap").read_bytes())
    assert sorted(set(said)) == [b"242", b"243", b"244"]


def test_ethernet_holds_the_same_exchanges(tmp_path: Path) -> None:
    recorded = Recorded(ITEMS)
    recorded.write(tmp_path / "e.pcap", 2, ethernet=True)
    recorded.write(tmp_path / "s.pcap", 2)
    assert (recorded.link, Recorded(tmp_path / "e.pcap").link) == (SLL2, ETHERNET)
    one, other = inspect(str(tmp_path / "e.pcap")), inspect(str(tmp_path / "s.pcap"))
    assert one.exchanges.drop(columns="capture", errors="ignore").equals(
        other.exchanges.drop(columns="capture", errors="ignore")
    )
    assert len(one.exchanges) > 0


def test_a_part_is_the_first_packets(tmp_path: Path) -> None:
    Recorded(ITEMS, 20).write(tmp_path / "x.pcap")
    assert ITEMS.read_bytes().startswith((tmp_path / "x.pcap").read_bytes())
    assert len(Recorded(tmp_path / "x.pcap")) == 20


@pytest.mark.parametrize("connections", [1, 7])
@pytest.mark.parametrize(("identical", "request_id"), [(False, True), (True, True), (True, False)])
def test_made_mirrors_are_all_proven(tmp_path: Path, connections: int, identical: bool, request_id: bool) -> None:
    made.mirrored(tmp_path / "x.pcap", 40, connections, identical, request_id)
    found = inspect(str(tmp_path / "x.pcap"))
    assert found.summary.verdicts == {"discarded": 40}
    assert found.summary.connections == 3 * connections
    assert found.mirrors["path"].nunique() == (1 if identical else 40)
    assert not found.captures[0].faults


def test_turned_round_packets_keep_their_times_and_their_bytes(tmp_path: Path) -> None:
    made.mirrored(tmp_path / "x.pcap", 40, 1)
    before = Recorded(tmp_path / "x.pcap")
    before.write_reversed(tmp_path / "y.pcap", 48)
    after = Recorded(tmp_path / "y.pcap")
    assert (after.time == before.time).all()
    assert after.captured[:48].tolist() == before.captured[:48][::-1].tolist()
    assert inspect(str(tmp_path / "y.pcap")).summary.mirrors == 40


@pytest.mark.parametrize("payload", [False, True])
def test_a_scan_is_a_connection_a_packet(tmp_path: Path, payload: bool) -> None:
    made.scan(tmp_path / "x.pcap", 300, payload)
    found = inspect(str(tmp_path / "x.pcap"))
    assert (found.captures[0].packets, found.summary.connections) == (300, 300)
    assert found.summary.exchanges == (300 if payload else 0)


def test_memory_is_that_of_the_command_and_not_of_its_parent(tmp_path: Path) -> None:
    mine = np.ones(40 << 20, np.int64)  # 335 MB
    small = bench_measure.measure([sys.executable, "-c", "print(1)"], tmp_path / "out")
    large = bench_measure.measure([sys.executable, "-c", "len(b'x' * (100 << 20))"], tmp_path / "out")
    assert (small.status, large.status) == (0, 0)
    assert small.rss < 60 << 20 < 100 << 20 < large.rss < mine.nbytes


def test_a_run_that_fails_and_one_that_never_ends(tmp_path: Path) -> None:
    failed = bench_measure.measure([sys.executable, "-c", "raise SystemExit('why')"], tmp_path / "out")
    assert (failed.status, failed.error.strip(), failed.timed_out) == (1, "why", False)
    endless = bench_measure.measure([sys.executable, "-c", "while True: pass"], tmp_path / "out", timeout=0.3)
    assert endless.timed_out
    assert endless.seconds >= 0.3
    assert bench_measure.measure(["no-such-tool"], tmp_path / "out").status == 127
    assert report.condense([failed], 10)["failed"] == "exit status 1"
    assert report.condense([endless], 10)["failed"] == "timed out"


def test_every_stage_is_found_and_timed() -> None:
    code = f"import bench_stages, json; print(json.dumps(bench_stages.main({str(ITEMS)!r})))"
    env = bench_tools.environment()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([env["PYTHONPATH"], str(lab_path.SCRIPTS)])},
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout)
    assert measured["missing"] == []
    assert measured["packets"] == 58
    assert all(measured["stages"][stage] > 0 for stage, _, _ in bench_stages.STAGES)
    assert sum(measured["stages"].values()) == pytest.approx(measured["wall"])


def test_the_page_has_a_place_for_every_table() -> None:
    page = PAGE.read_text()
    assert {found["name"] for found in report.MARK.finditer(page)} == set(report.TITLES)


def test_a_run_fills_the_page_and_leaves_the_prose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], compiled_kernels: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(report.MARK.sub(lambda m: f"<!-- bench: {m['name']} -->\n<!-- /bench -->", PAGE.read_text()))
    options = f"--rounds 1 --cache {compiled_kernels} --tools inspect --only compare,growth,stages --growth 1,3 --json"
    result = bench.main(f"{ITEMS} {options} --write {page}".split())
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(result))
    assert [row["mirrors"] for row in result["growth"]] == [3, 9]
    assert [row["found"] for row in result["compare"] if row["input"] == "1x"] == ["3 mirrors"] * 3
    assert all(row["rounds"] == 1 and row["fastest"] <= row["seconds"] <= row["slowest"] for row in result["compare"])
    filled = page.read_text()
    assert "| 3x    |     174 |" in filled
    assert report.MARK.sub("", filled) == report.MARK.sub("", PAGE.read_text())
    report.write(page, result)
    assert page.read_text() == filled
    page.write_text("no marks")
    with pytest.raises(ValueError, match="has no place for compare"):
        report.write(page, result)


def test_there_is_always_an_input() -> None:
    path, times = choose(ROOT)
    assert path.exists()
    assert 1 <= times <= LIMIT // 16
