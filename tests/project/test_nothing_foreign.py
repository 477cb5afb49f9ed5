"""A folder of captures that somebody else wrote holds more than captures: nothing in it is run or takes effect."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CAPTURES = Path(__file__).parents[2] / "captures"
NAMES = (
    *(
        "dask",
        "distributed",
        "inspector",
        "json",
        "matplotlib",
        "multiprocessing",
        "numpy",
        "pyarrow",
        "pyshark",
        "scapy",
    ),
    *("sitecustomize", "socket", "tokenize", "usercustomize"),
)


@pytest.fixture
def folder(tmp_path):
    """Captures, and modules that would be imported if Python or a library looked into the working folder."""
    place = tmp_path / "captures"
    place.mkdir()
    for number in range(2):
        shutil.copy(CAPTURES / "leaky-gw.pcap", place / f"{number}.pcap")
    with (place / "1.pcap").open("r+b") as file:
        file.truncate(20_000)
    for name in NAMES:
        (place / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    (place / "matplotlibrc").write_text("text.usetex: True\nfigure.facecolor: red\n")
    return place


def started(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """The command as its script starts it: Python's own search path begins with the script's folder."""
    script = folder.parent / "script" / "inspect"
    script.parent.mkdir(exist_ok=True)
    script.write_text("from inspector.cli import main\n\nif __name__ == '__main__':\n    main()\n")
    return subprocess.run(
        [sys.executable, str(script), *argv], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(
    "argv",
    [
        ("0.pcap", "--format", "html", "-o", "page.html"),
        ("batch", ".", "--store", "store", "--report", "report", "--workers", "2"),
        ("verify", "0.pcap"),
        ("verify", "--with", "scapy", "0.pcap"),
        ("packet", "3", "0.pcap"),
    ],
    ids=" ".join,
)
def test_nothing_in_the_working_folder_is_run(folder, argv):
    if argv[0] == "verify" and "scapy" not in argv and shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    done = started(folder, *argv)
    assert done.returncode in (0, 3), done.stderr
    assert not (folder.parent / "ran").exists()


def test_settings_of_matplotlib_there_change_nothing(folder):
    started(folder, "0.pcap", "--format", "html", "-o", str(folder.parent / "with.html"))
    (folder / "matplotlibrc").unlink()
    started(folder, "0.pcap", "--format", "html", "-o", str(folder.parent / "without.html"))
    assert (folder.parent / "with.html").read_bytes() == (folder.parent / "without.html").read_bytes()
