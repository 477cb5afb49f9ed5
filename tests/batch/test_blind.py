"""A report over captures that nobody could read is never green, and says which they are."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from batch_store import kept
from made_traffic import ACK, PROXY, SYN, V1, Made, frame

from inspector.batch.report import build, counts
from inspector.cli import program as cli

ROOT = Path(__file__).parents[2]
HELLO = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00" + bytes(40)
H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def opened(payload: bytes) -> bytes:
    made = Made()
    made.put(0, frame(PROXY, 5000, V1, 443, 999, 0, SYN))
    made.put(0, frame(V1, 443, PROXY, 5000, 4999, 1000, SYN | ACK))
    made.put(0.1, frame(PROXY, 5000, V1, 443, 1000, 5000, ACK, payload))
    return made.pcap()


def mirrored() -> bytes:
    made = Made()
    made.mirrored(0, "/items")
    return made.pcap()


def captures(folder: Path, *names: str) -> Path:
    folder.mkdir()
    made = {"tls": lambda: opened(HELLO), "h2": lambda: opened(H2), "plain": mirrored}
    for name in names:
        if name in made:
            (folder / f"{name}.pcap").write_bytes(made[name]())
        else:
            shutil.copy(ROOT / "captures" / name, folder)
    return folder


@pytest.mark.parametrize(
    ("names", "blind"),
    [
        (("plain",), {}),
        (("tls", "h2"), {"tls": 1, "h2": 1, "no-http": 2}),
        (("plain", "snap96-client.pcap"), {"cut-heads": 26}),
        (("plain", "mtls-client.pcap", "h2"), {"tls": 2, "h2": 1, "no-http": 1}),
    ],
)
def test_never_green(tmp_path: Path, names: tuple[str, ...], blind: dict[str, int]) -> None:
    store, site = tmp_path / "store", tmp_path / "site"
    kept(store, captures(tmp_path / "in", *names))
    build(store, site)
    found = json.loads((site / "report.json").read_text())
    assert {b["kind"]: b["count"] for b in found["unread"]} == blind
    page, text = (site / "index.html").read_text(), (site / "report.md").read_text()
    rows = list(csv.DictReader((site / "report.csv").open()))
    unread = {Path(name).stem for name in names if name != "plain"}
    assert {Path(row["capture"]).stem for row in rows if row["capture"]} == unread
    if not blind:
        assert 'class="discarded"><a href="#unseen"' in page
        assert "All captures were read" in page
        return
    for green in ('class="discarded"><a', 'class="finding discarded"', "All captures were read", "Nothing alarming"):
        assert green not in page
    assert "Nothing is known to be missing" not in page + text
    assert "hold something that was not read" in text or "holds something that was not read" in text
    units = {u["unit"]: u for u in found["units"]}
    for b in found["unread"]:
        assert b["says"] in page
        assert b["says"] in text
        for key in b["units"]:
            assert f'href="{units[key]["page"]}"' in page
            assert units[key]["captures"][0] in text
    assert sum(u["unread"].get("tls", 0) for u in found["units"]) == blind.get("tls", 0)


def test_pages_say_what_the_payload_is(tmp_path: Path) -> None:
    store, site = tmp_path / "store", tmp_path / "site"
    kept(store, captures(tmp_path / "in", "mtls-client.pcap"))
    build(store, site)
    pages = [p.read_text() for p in (site / "captures").iterdir()]
    assert "% TLS (2 connections)" in pages[0]
    assert "% TLS (2 connections)" in (site / "captures.html").read_text()
    assert 'class="finding unproven"' in pages[0]


def test_share_without_a_mirror(tmp_path: Path) -> None:
    store, site = tmp_path / "store", tmp_path / "site"
    kept(store, captures(tmp_path / "in", "nomirror-client.pcap"))
    build(store, site)
    assert "0 of 3 requests mirrored (95 %: 0 to 70.8 %)" in (site / "index.html").read_text()
    kept(store, captures(tmp_path / "more", "mtls-client.pcap"))
    build(store, site)
    assert "What was not read may have been mirrored" in (site / "index.html").read_text()


def test_exit_status(tmp_path: Path) -> None:
    folder, store = captures(tmp_path / "in", "plain"), str(tmp_path / "store")
    run = ["batch", str(folder), "--store", store, "--workers", "1"]
    assert cli.run([*run, "--fail-on", "leaked,inconclusive"]) == 0
    assert cli.run([*run, "--expect-mirrors", "1"]) == 0
    assert cli.run([*run, "--expect-mirrors", "2"]) == 4
    (folder / "tls.pcap").write_bytes(opened(HELLO))
    assert cli.run([*run, "--fail-on", "leaked,inconclusive"]) == 4
    assert counts(store).blind == 1
    assert cli.run([*run, "--fail-on", "leaked"]) == 0
