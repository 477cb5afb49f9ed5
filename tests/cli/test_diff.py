"""--diff on made-up and recorded captures: what it says, in which formats, and what hostile captures cannot do."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from talk import V2, Talk, answer, ask, mirrored, write

import inspector
from inspector.cli import run
from inspector.compare.bodies import Bodies
from inspector.compare.pair import Setting, compare
from inspector.redact import Redactor
from inspector.render import diff_json
from inspector.render.text import width
from inspector.reread.messages import reread

ROOT = Path(__file__).parents[2]
MIX = str(ROOT / "captures/mix-client.pcap.zst")
ACTIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
JSON = "content-type: application/json\r\n"


def output(capsys: pytest.CaptureFixture[str], *args: str, status: int = 0) -> str:
    assert run([str(a) for a in args]) == status
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    return json.loads(output(capsys, *args, "--json"))


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    """Pairs that try everything: bombs, depth, numbers, broken text, terminal escapes, markup."""
    evil = "x-evil: \x1b[2J\xe2\x80\xae|`<b>=cmd()\r\nx-lone: \xff\xfe\r\n"
    coded = JSON + "content-encoding: {}\r\n"
    pairs = [
        (answer(gzip.compress(b"\0" * 20_000_000), extra=coded.format("gzip")),
         answer(zstandard.ZstdCompressor().compress(b"\0" * 20_000_000), extra=coded.format("zstd"))),
        (answer(b"[" * 100_000), answer(b"[" * 100_001)),
        (answer(b'{"n":' + b"9" * 6000 + b"}"), answer(b'{"n":' + b"8" * 6000 + b"}")),
        (answer(b'{"a":"\\ud800","b":"\xff"}'), answer(b'{"a":"\\ud801","b":"\xfe"}')),
        (answer(b"\x1b[2J\n\xe2\x80\xae|<script>\n", extra="content-type: text/plain\r\n" + evil),
         answer(b"\x1b]0;x\x07\n\x9b1m\n=cmd()", extra="content-type: text/plain\r\nx-evil: \x9b2J\r\n")),
        (answer(b'{"\\u001b[2J|<b>":1,"=1":"\x1b"}'), answer(b'{"\\u001b[2J|<b>":2,"=1":"\\u202e"}')),
        (answer(b"a", extra="content-encoding: \x1b[2J\r\n"), answer(b"b", extra="content-type: \x1b[2J\r\n")),
    ]  # fmt: skip
    talks = [t for n, (a, b) in enumerate(pairs) for t in mirrored(a, b, n, extra=evil)]
    return write(tmp_path / "hostile.pcap", talks)


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
def test_nothing_acts(form: str, hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    for which in (*"1234567", "all"):
        text = output(capsys, hostile, "--diff", which, "--format", form)
        assert not ACTIVE.search(text), (which, ACTIVE.search(text))
        if form == "json":
            assert text.isascii()
            json.loads(text)
        if form == "markdown":
            assert "<script>" not in text
            assert "<b>" not in text
            rows = [line for line in text.split("\n") if line.startswith("|")]
            assert all(re.fullmatch(r"\|( ([^|\\`<>]|\\.)* \|)+", row) for row in rows)


def test_csv_cells_are_no_formulas(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, hostile, "--diff", "all", "--format", "csv")
    rows = list(csv.reader(io.StringIO(text)))
    assert len({len(row) for row in rows}) == 1
    assert not ACTIVE.search(text)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)


@pytest.mark.parametrize("columns", [40, 80, 100, 120, 200])
def test_the_table_keeps_its_width(
    columns: int, hostile: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for args in (["--diff", "5"], ["--diff", "all"]):
        for path in (hostile, MIX):
            lines = output(capsys, path, *args).split("\n")
            room = max(columns, 80)  # five columns of twelve and their names need so much
            assert max(map(width, lines)) <= room, max(lines, key=width)


def test_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = b'{"items": [1, 2], "name": "x"}', b'{"items": [1, 2, 3], "name": "y"}'
    path = write(tmp_path / "x.pcap", mirrored(answer(one), answer(two), body=b"sent", method="POST"))
    d = document(capsys, path, "--diff", "1")["difference"]
    assert d["status"] == {"same": True, "original": 200, "mirror": 200}
    assert [f["name"] for f in d["request_headers"]["expected"]] == ["host", "x-envoy-internal"]
    assert d["request_headers"]["same"] is True
    assert d["request_body"]["same"] is True
    assert [(c["path"], c["change"]) for c in d["response_body"]["changes"]] == [
        ("$.items[2]", "added"), ("$.name", "changed"),
    ]  # fmt: skip
    text = output(capsys, path, "--diff", "1")
    assert "Status the same, response headers the same, response body different." in text
    assert re.search(r'\$\.name +changed +"x" +"y"', text)


def test_what_a_proxy_should_not_change_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        tmp_path / "x.pcap",
        mirrored(answer(b"a"), answer(b"b"), extra="accept: a\r\nx-tenant: 1\r\n", copy_extra="accept: a\r\n"),
    )
    text = re.sub(r"\n *", " ", output(capsys, path, "--diff", "1"))
    assert "The requests differ in what a proxy should not change: headers." in text
    assert re.search(r"x-tenant +1 +\(absent\)", text)


def test_a_lost_packet_takes_the_claim_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = b"0123456789" * 1000
    talks = mirrored(answer(body), b"")
    at = talks[2].at
    mirror = Talk("10.0.0.10:60001", V2, at).say(0, ask(host="catalog-shadow", extra="x-request-id: 9\r\n"))
    mirror.say(1, answer(body), lose=[3]).close()
    original = (
        Talk("10.0.0.10:50001", "10.0.0.21:3000", at).say(0, ask(extra="x-request-id: 9\r\n")).say(1, answer(body))
    )
    path = write(tmp_path / "x.pcap", [original.close(), mirror])
    d = document(capsys, path, "--diff", "1")["difference"]
    assert d["response_body"]["same"] is None
    assert d["notes"] == ["1,400 bytes of the mirror's response were not captured."]
    assert "No difference as far as they could be read" in output(capsys, path, "--diff", "1")
    total = document(capsys, path, "--diff", "all")["differences"]
    assert (total["body"]["unknown"], total["body"]["same"]) == (1, 0)


def test_no_original_and_no_response(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(ROOT / "captures/nginxmirror-gw.pcap.zst")
    total = document(capsys, path, "--diff", "all")["differences"]
    assert (total["pairs"], total["status"]["unknown"], total["body"]["unknown"]) == (14, 1, 1)
    found = [document(capsys, path, "--diff", str(n))["difference"] for n in range(1, 15)]
    (silent,) = [d for d in found if d["status"]["same"] is None]
    assert silent["response_body"]["kind"] == "unknown"
    assert silent["notes"] == ["No response of the mirror was captured."]
    text = output(capsys, str(ROOT / "captures/refused-client.pcap"), "--diff", "all")
    assert text.startswith("No mirrored request was found")


def test_all_counts_what_each_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The summary over the recorded mix is the sum of its single comparisons."""
    found = inspector.inspect(MIX)
    mirrors = list(found.mirror_views())
    read = reread([MIX], [x for m in mirrors for x in (m.original, m.mirror) if x])
    singles = []
    for m in mirrors:
        assert m.original is not None
        setting = Setting(Bodies(Redactor(keep=True)), proxy=m.proxy)
        singles.append(diff_json.difference(m, compare(read[m.original.id], read[m.mirror.id], setting)))
    total = document(capsys, MIX, "--diff", "all")["differences"]
    assert total["pairs"] == 21
    for key, part in (("status", "status"), ("headers", "response_headers"), ("body", "response_body")):
        for word, value in (("same", True), ("different", False), ("unknown", None)):
            want = [d["id"] for d in singles if d[part]["same"] is value]
            assert total[key][word] == len(want)
            if word == "different":
                assert total[key]["examples"] == want[:5]
    paths: dict[tuple[str, str], list[int]] = {}
    for d in singles:
        for key in {(re.sub(r"\[\d+\]", "[]", c["path"]), c["change"]) for c in d["response_body"]["changes"]}:
            paths.setdefault(key, []).append(d["id"])
    assert {(p["path"], p["change"]): (p["pairs"], p["examples"]) for p in total["body"]["paths"]} == {
        key: (len(ids), sorted(ids)[:5]) for key, ids in paths.items()
    }


def test_csv_has_the_same_counts(capsys: pytest.CaptureFixture[str]) -> None:
    total = document(capsys, MIX, "--diff", "all")["differences"]
    rows = list(csv.DictReader(io.StringIO(output(capsys, MIX, "--diff", "all", "--format", "csv"))))
    assert {r["name"]: int(r["pairs"]) for r in rows if r["subject"] == "json path"} == {
        p["path"]: p["pairs"] for p in total["body"]["paths"]
    }
    assert [int(r["pairs"]) for r in rows if r["subject"] == "body"] == [
        total["body"][word] for word in ("same", "different", "unknown", "equivalent")
    ]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--diff", "4"], "there are 3 mirrors"),
        (["--diff", "0"], "neither a mirror's number"),
        (["--diff", "x"], "neither a mirror's number"),
        (["--diff", "9" * 99], "neither a mirror's number"),
        (["--diff", "1", "--show-mirrors"], "--diff is shown by itself"),
        (["--diff", "1", "--explain", "1"], "--diff is shown by itself"),
        (["--diff", "1", "--format", "csv"], "cannot be written as csv"),
        (["--diff", "all", "--format", "ndjson"], "cannot be written as ndjson"),
    ],
)
def test_wrong_usage(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(ROOT / "captures/items-client.pcap"), *args]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert "hint: " in told.err
    assert not told.out


def test_fail_on_holds_with_diff() -> None:
    leaky = str(ROOT / "captures/leaky-gw.pcap")
    assert run([leaky, "--diff", "1", "--fail-on", "leaked", "-o", os.devnull]) == 1


def test_a_pipe_is_compared_too() -> None:
    command = [sys.executable, "-m", "inspector", "-", "--diff", "2", "--json"]
    capture = (ROOT / "captures/items-client.pcap").read_bytes()
    out = subprocess.run(
        command, input=capture, capture_output=True, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    piped = json.loads(out.stdout)["difference"]
    assert piped["response_body"]["changes"][0]["path"] == "$[0].imageUrl"
    assert out.stderr == b""
