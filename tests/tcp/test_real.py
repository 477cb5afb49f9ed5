"""Real captures: streams as tshark follows them."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from inspector.capture import merge, open_captures
from inspector.tcp import Tracker

CAPTURES = sorted(Path(__file__).parents[2].joinpath("captures").rglob("*.pcap*"))


def streams(path: Path, block_bytes: int) -> tuple[Counter[bytes], Tracker]:
    """The streams with bytes, each as what was handed out of it, and how often."""
    tracker = Tracker()
    found: dict[int, list[bytes]] = defaultdict(list)
    blocks = [tracker.feed(b.segments, b.data) for b in ()]
    for block in merge(open_captures(str(path), 0, block_bytes)):
        blocks = [tracker.feed(block.segments, block.data)]
        collect(blocks, found)
    collect([tracker.finish()], found)
    return Counter(b"".join(parts) for parts in found.values() if any(parts)), tracker


def collect(blocks: list[object], found: dict[int, list[bytes]]) -> None:
    for block in blocks:
        runs = block.runs  # type: ignore[attr-defined]
        for i in range(len(runs)):
            at = int(runs.at[i])
            found[int(runs.stream[i])].append(block.arena[at : at + int(runs.length[i])].tobytes())  # type: ignore[attr-defined]


def followed(path: Path) -> Counter[bytes]:
    """The same by `tshark -z follow`; it takes a direction whose other half has other addresses for one of its own."""
    last = subprocess.run(
        ["tshark", "-r", str(path), "-Y", "tcp.len>0", "-T", "fields", "-e", "tcp.stream"],
        capture_output=True, check=True, text=True,
    ).stdout.split()  # fmt: skip
    options = [o for n in sorted({int(x.split(",")[0]) for x in last}) for o in ("-z", f"follow,tcp,raw,{n}")]
    out = subprocess.run(["tshark", "-q", "-r", str(path), *options], capture_output=True, check=True, text=True).stdout
    found: Counter[bytes] = Counter()
    for report in out.split("Follow: tcp,raw")[1:]:
        sides: tuple[list[str], list[str]] = ([], [])
        for line in report.splitlines():
            if line and not line.startswith(("=", "Filter", "Node")):
                sides[line.startswith("\t")].append(line.strip())
        found.update(bytes.fromhex("".join(side)) for side in sides if side)
    return found


@pytest.mark.parametrize("path", CAPTURES, ids=lambda p: p.name)
def test_block_size_changes_nothing(path: Path) -> None:
    whole, a = streams(path, 32 << 20)
    small, b = streams(path, 4096)
    assert whole == small
    assert a.counts == b.counts


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("path", CAPTURES, ids=lambda p: p.name)
def test_streams_as_tshark_follows_them(path: Path) -> None:
    ours, tracker = streams(path, 32 << 20)
    if tracker.counts["gaps"] or sum(tracker.copies.values()):
        pytest.skip("tshark writes a sentence into gaps, and takes copies with other addresses for streams")
    assert ours == followed(path)
    assert np.all(tracker.connections().conflicts == 0)
