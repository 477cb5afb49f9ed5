"""The tools that are measured, and how each is asked to do the work."""

from __future__ import annotations

import compileall
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent
PLAIN, PACKED, ETHERNET, SLICE = "plain", "zst", "ethernet", "slice"  # the form of the input that a tool gets
FIELDS = ("frame.number", "http.request.method", "http.host", "http.request.uri", "http.response.code")
SMALL = {"scapy": 20_000, "pyshark": 4_000, "dpkt": 100_000}  # packets of the slice that a slow library gets
OURS = "inspect"


@dataclass(frozen=True)
class Tool:
    """command: {input} and {out} (an empty folder) stand for paths. found: what there is in its standard output's file, and
    in {out}. slice: packets of the input, 0 for all."""

    name: str
    work: str
    form: str
    command: list[str]
    found: Callable[[Path, Path], str]
    environment: dict[str, str] | None = None
    slice: int = 0

    def filled(self, source: Path, out: Path) -> list[str]:
        return [part.replace("{input}", str(source)).replace("{out}", str(out)) for part in self.command]


def inspector(*options: str) -> list[str]:
    return [sys.executable, "-m", "inspector", "{input}", *options]


def environment(cache: Path | None = None, compiled: bool = False) -> dict[str, str]:
    """For our runs: this source, this cache of kernels; `compiled` also for an input that would run interpreted."""
    compileall.compile_dir(ROOT / "inspector", quiet=1)  # as an installation does
    out = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    if cache:
        out["INSPECTOR_CACHE"] = str(cache)
    if compiled:
        out["INSPECTOR_KERNELS"] = "compiled"
    return out


def newlines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(10) for block in iter(lambda: file.read(1 << 20), b""))


def lines(what: str) -> Callable[[Path, Path], str]:
    return lambda output, out: f"{newlines(output):,} {what}"


def log(what: str) -> Callable[[Path, Path], str]:
    return lambda output, out: f"{newlines(out / 'log') - 2:,} {what}"  # two lines of heading


def files(what: str) -> Callable[[Path, Path], str]:
    return lambda output, out: f"{len(list(out.iterdir())) - 1:,} {what}"  # and its report


def last_line(what: str) -> Callable[[Path, Path], str]:
    return lambda output, out: f"{int(output.read_text().split()[-1]):,} {what}"


def summarised(output: Path, out: Path) -> str:
    """The number of mirrors in the summary that a person reads."""
    found = re.search(r"^mirrors +([\d,]+)", output.read_text(), re.M)
    return f"{found[1]} mirrors" if found else "no mirrors"


def counts(output: Path) -> dict[str, int]:
    """Packets and the summary's numbers of a run with --json."""
    report = json.loads(output.read_text())
    numbers = {key: value for key, value in report["summary"].items() if isinstance(value, int)}
    return {**numbers, "packets": sum(capture["packets"] for capture in report["captures"])}


def ours(env: dict[str, str]) -> list[Tool]:
    mirrors = inspector("--show-mirrors", "--format", "ndjson")
    return [
        Tool(OURS, "everything up to the verdicts, summary", PLAIN, inspector(), summarised, env),
        Tool(f"{OURS} --show-mirrors", "the same, a JSON line a mirror", PLAIN, mirrors, lines("mirrors"), env),
        Tool(f"{OURS} (zst)", "the same as the first, input compressed", PACKED, inspector(), summarised, env),
    ]


def others(python_tools: bool = True) -> list[Tool]:
    """Those of the other tools that are installed."""
    fields = [part for field in FIELDS for part in ("-e", field)]
    tshark = ["tshark", "-n", "-r", "{input}", "-Y", "http", "-T", "fields", *fields]
    tcpflow = ["tcpflow", "-q", "-r", "{input}", "-o", "{out}"]
    httpry = [which("httpry") or "httpry", "-q", "-r", "{input}", "-o", "{out}/log", "tcp"]  # on every port
    packet_wise = "messages that begin a packet"
    found = [
        Tool("tshark", "HTTP messages, five fields each", PLAIN, tshark, lines("messages")),
        Tool("tcpflow", "streams into files, no HTTP", ETHERNET, tcpflow, files("streams")),
        Tool("httpry", f"first lines of {packet_wise}", ETHERNET, httpry, log("messages")),
    ]
    if python_tools:
        for name, work in (("dpkt", packet_wise), ("scapy", packet_wise), ("pyshark", "HTTP messages as objects")):
            command = [sys.executable, str(SCRIPTS / "bench_readers.py"), name, "{input}"]
            found.append(Tool(name, work, SLICE, command, last_line("messages"), slice=SMALL[name]))
    return [tool for tool in found if installed(tool.name)]


def installed(name: str) -> bool:
    if name in SMALL:
        return importlib.util.find_spec(name) is not None and (name != "pyshark" or shutil.which("tshark") is not None)
    return which(name) is not None


def which(name: str) -> str | None:
    """Like shutil.which; Debian puts httpry into /usr/sbin."""
    return shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")


def versions() -> dict[str, str]:
    """Of everything that takes part."""
    from importlib.metadata import PackageNotFoundError, version

    out = {"python": sys.version.split()[0]}
    for name in ("numpy", "numba", "pandas", "zstandard", *SMALL):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    for name, argument in (("tshark", "-v"), ("tcpflow", "--version"), ("httpry", "-h")):
        path = which(name)
        if path:
            done = subprocess.run([path, argument], capture_output=True, text=True, check=False)
            number = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
            out[name] = number[0] if number else "?"
    return out
