"""The report over a store: its figures against a dull second count, its files, what it bounds, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import batch_rows
import pytest
from batch_rows import SECOND, START, asked, made, mirror, oracle, real
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from inspector.batch.report import build, counts, model, moment, scan
from inspector.batch.report import names as naming
from inspector.batch.report.columns import UnitFigures
from inspector.batch.report.gather import gather
from inspector.batch.report.json_v1 import document as written
from inspector.batch.report.model import site as site_of
from inspector.batch.report.text import csv as rows_of
from inspector.batch.report.text import markdown
from inspector.batch.report.writing import ReportFolder
from inspector.errors import InspectorError, UsageError
from inspector.inspection import inspect

CAPTURES = Path(__file__).parents[2] / "captures"
NAMES = ["leaky-gw.pcap", "items-node.pcap", "percent50-client.pcap.zst", "mix-client.pcap.zst", "nginxmirror-gw.pcap.zst",
         "stripped-client.pcap.zst", "fault-client.pcap", "nomirror-client.pcap"]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    broken = folder / "broken.pcap"
    broken.write_bytes(b"this is no capture\n" * 9)
    return real(folder / "store", [*(CAPTURES / name for name in NAMES), broken])


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a few rows."""
    rows = [mirror(i, verdict="leaked" if i < 3 else "discarded", body_same=i > 5) for i in range(1, 9)]
    return made(
        tmp_path_factory.mktemp("few") / "store", [{"mirrors": rows, "exchanges": [asked(i) for i in range(1, 9)]}]
    )


@pytest.fixture(autouse=True, scope="module")
def few_plots() -> Iterator[None]:
    """A plot takes a tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "PLOTTED", 1)
        yield


@pytest.fixture(scope="module")
def report(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "site"
    build(store, folder)
    return folder


def document(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text())


def agrees(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert found["mirrors"] == wanted["mirrors"]
    assert {k: n for k, n in found["verdicts"].items() if n} == wanted["verdicts"]
    assert {k: n for k, n in found["answers"].items() if n} == wanted["answers"]
    assert (found["share"]["mirrored"], found["share"]["eligible"]) == (wanted["mirrored"], wanted["eligible"])
    for name in ("lag", "original", "mirror"):
        assert found[f"{name}_us"] == wanted[name]


def data_of(store: Path, folder: Path, since: int | None = None) -> Path:
    """report.json and report.csv alone: the pages take most of the time."""
    found = scan.files(store)
    told = site_of(found, gather(found, since))
    folder.mkdir()
    (folder / "report.json").write_text("".join(written(told, "")))
    (folder / "report.csv").write_text("".join(rows_of(told)))
    return folder


def check(folder: Path, store: Path, since: int | None = None) -> Any:
    """Every figure of report.json and report.csv against the second count."""
    found, wanted = document(folder), oracle(store, since)
    agrees(found["total"], wanted["total"])
    assert {(r["host"], r["mirror"]) for r in found["routes"]} == set(wanted["routes"])
    for r in found["routes"]:
        agrees(r, wanted["routes"][r["host"], r["mirror"]])
        assert sum(s["pairs"] for s in r["statuses"]) == r["answers"]["status"]
    told = {(d["host"], d["mirror"], d["part"], d["field"], d["change"]): d["pairs"] for d in found["differences"]}
    assert told == wanted["differences"]
    assert sum(d["mirrors"] for d in found["days"]) == found["total"]["mirrors"]
    assert sum(u["mirrors"] for u in found["units"]) == found["total"]["mirrors"]
    assert sum(s["mirrors"] for s in found["over_time"]["slots"]) <= found["total"]["mirrors"]
    rows = list(csv.DictReader(io.StringIO((folder / "report.csv").read_text())))
    assert sum(int(row["mirrors"]) for row in rows) == found["total"]["mirrors"]
    assert sum(int(row["leaked"]) for row in rows) == found["total"]["verdicts"]["leaked"]
    return found


def test_figures_of_real_captures(store: Path, report: Path) -> None:
    found = check(report, store)
    singly: Counter[str] = Counter()
    for name in NAMES:
        singly.update(inspect(str(CAPTURES / name)).summary.verdicts)
    assert singly["leaked"]
    assert {word: n for word, n in found["total"]["verdicts"].items() if n} == singly
    assert found["captures"] == {"read": 8, "damaged": 0, "failed": 1}
    failed = next(u for u in found["units"] if u["state"] == "failed")
    assert failed["error"]
    assert failed["hint"]
    assert counts(store).verdicts == found["total"]["verdicts"]
    assert counts(store).states == found["captures"]


def test_the_share_is_that_of_single_runs(tmp_path: Path) -> None:
    """One capture a report: mirrored and eligible are what `inspect` says of it."""
    for name in ("percent50-client.pcap.zst", "fault-client.pcap", "retry-client.pcap", "nginxmirror-gw.pcap.zst"):
        store = real(tmp_path / name, [CAPTURES / name])
        share = inspect(str(CAPTURES / name)).summary.share
        found = document(data_of(store, tmp_path / f"{name}-data"))["total"]["share"]
        assert found == {k: getattr(share, k) for k in ("mirrored", "eligible", "percent", "low", "high")}


def test_since(store: Path, report: Path, tmp_path: Path) -> None:
    times = sorted(p["time"] for p in document(report)["pairs"])
    since = moment(times[len(times) // 2])
    found = check(data_of(store, tmp_path / "since", since), store, since)
    assert 0 < found["total"]["mirrors"] < document(report)["total"]["mirrors"]
    assert counts(store, times[len(times) // 2]).verdicts == found["total"]["verdicts"]
    never = document(data_of(store, tmp_path / "never", moment("2031-01-01")))
    assert never["total"]["mirrors"] == 0


def test_every_number_leads_to_packets(report: Path) -> None:
    """The pairs name packets that their capture has, and the command tells the same mirror."""
    from inspector.cli.program import run

    found = document(report)
    leaked = [p for p in found["pairs"] if p["verdict"] == "leaked"]
    views = inspect(str(CAPTURES / "leaky-gw.pcap")).mirror_views()
    numbers = [m.id for m in views if m.verdict == "leaked"]
    assert [p["mirror_number"] for p in leaked] == numbers
    assert leaked[0]["command"] == f"inspect {CAPTURES / 'leaky-gw.pcap'} --explain {numbers[0]}"
    assert {e["packet"] for e in leaked[0]["evidence"]} >= {leaked[0]["legs"]["mirror"]["packet"]}
    assert run([*leaked[0]["command"].split()[1:], "-o", str(report.parent / "told")]) == 0
    assert "leaked" in (report.parent / "told").read_text()
    for p in found["pairs"]:
        page = (report / p["page"]).read_text()
        assert f"--explain {p['mirror_number']}" in page
    assert found["left_out"] == dict.fromkeys(found["left_out"], 0)


QUANTILES = {"type": ["object", "null"], "required": ["n", "p50", "p90", "p99", "max"], "additionalProperties": False,
             "properties": {"n": {"type": "integer"},
                            **{k: {"type": "number"} for k in ("p50", "p90", "p99", "max")}}}  # fmt: skip
NUMBER = {"type": ["number", "null"]}
TEXT = {"type": ["string", "null"]}
TIME = {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$"}
COUNT = {"type": "integer", "minimum": 0}
COUNTS = {"type": "object", "additionalProperties": COUNT}


def thing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


SHARE = thing(mirrored=COUNT, eligible=COUNT, percent=NUMBER, low=NUMBER, high=NUMBER)
FIGURES: dict[str, Any] = {
    "mirrors": COUNT, "verdicts": COUNTS, "reasons": COUNTS, "answers": COUNTS, "share": SHARE,
    "lag_us": QUANTILES, "original_us": QUANTILES, "mirror_us": QUANTILES,
}  # fmt: skip
LEG = thing(server=TEXT, status={"type": ["integer", "null"]}, capture={"type": ["integer", "null"]},
            packet={"type": ["integer", "null"]})  # fmt: skip
SCHEMA = thing(
    schema={"const": "mirror-inspector-report/1"}, version={"type": "string"}, title={"type": "string"}, since=TIME, first=TIME,
    last=TIME, captures=thing(read=COUNT, damaged=COUNT, failed=COUNT), exchanges=COUNTS, total=thing(**FIGURES),
    over_time=thing(
        seconds=COUNT, slots={"type": "array", "items": thing(time=TIME, mirrors=COUNT, verdicts=COUNTS, share=SHARE)}
    ),
    days={"type": "array", "items": thing(day=TEXT, **FIGURES)},
    routes={"type": "array", "items": thing(
        host=TEXT, mirror=TEXT, page=TEXT, **FIGURES,
        statuses={"type": "array", "items": thing(original=COUNT, mirror=COUNT, pairs=COUNT)})},
    differences={"type": "array", "items": thing(
        host=TEXT, mirror=TEXT, part={"enum": ["header", "body", "request"]}, field={"type": "string"},
        change={"enum": ["added", "removed", "changed"]}, pairs=COUNT,
        examples={"type": "array", "items": thing(unit={"type": "string"}, mirror=COUNT)})},
    pairs={"type": "array", "items": thing(
        unit={"type": "string"}, captures={"type": "array", "items": {"type": "string"}}, mirror_number=COUNT,
        page={"type": "string"}, command={"type": "string"},
        verdict={"enum": ["leaked", "unproven", "unanswered", "discarded"]}, proof={"type": "array"}, reason=TEXT,
        answers={"enum": ["status", "body", "unknown", "same", "one-sided"]}, time=TIME, method=TEXT, path=TEXT, host=TEXT,
        mirror=TEXT, request_id=TEXT, lag_us=NUMBER, original_us=NUMBER, mirror_us=NUMBER,
        legs=thing(downstream=LEG, original=LEG, mirror=LEG),
        differences={"type": "array", "items": thing(
            part=TEXT, field=TEXT, change=TEXT, expected={"type": ["boolean", "null"]}, original=TEXT, copy=TEXT)},
        evidence={"type": "array", "items": thing(
            capture={"type": ["integer", "null"]}, packet={"type": ["integer", "null"]}, says=TEXT)})},
    units={"type": "array", "items": thing(
        unit={"type": "string"}, day={"type": "string"}, source={"type": "string"},
        state={"enum": ["read", "damaged", "failed"]}, error=TEXT, hint=TEXT, captures={"type": "array"}, page=TEXT, first=TIME,
        last=TIME, packets={"type": ["integer", "null"]}, mirrors=COUNT, verdicts=COUNTS, share=SHARE, differing=COUNT,
        unread=COUNTS, read={"type": "object", "additionalProperties": thing(bytes=COUNT, connections=COUNT)})},
    unread={"type": "array", "items": thing(
        kind={"type": "string"}, count=COUNT, says={"type": "string"}, units={"type": "array", "items": {"type": "string"}})},
    left_out=COUNTS,
)  # fmt: skip


def test_json_keeps_its_contract(report: Path) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(document(report))


def test_the_contract_is_documented() -> None:
    text = (CAPTURES.parent / "docs" / "report.md").read_text()

    def keys(schema: Any) -> set[str]:
        if not isinstance(schema, dict):
            return set()
        inner = [*schema.get("properties", {}).values(), schema.get("items")]
        return set(schema.get("properties", ())).union(*(keys(x) for x in inner))

    assert {key for key in keys(SCHEMA) if f'"{key}"' not in text} <= {
        "reasons", "original", "downstream", "part", "field", "change", "expected", "copy", "leaked", "max", "n",
    }  # fmt: skip


@st.composite
def units(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Units of a few rows, in which everything may be null that may be."""
    out = []
    for _unit in range(draw(st.integers(0, 3))):
        hosts = st.sampled_from([None, "a", "b"])
        rows = []
        for number in range(1, draw(st.integers(0, 8)) + 1):
            time = draw(st.one_of(st.none(), st.integers(START, START + 3 * 86_400 * SECOND)))
            same = draw(st.sampled_from([None, True, False]))
            rows.append(
                mirror(
                    number, verdict=draw(st.sampled_from(["leaked", "unproven", "unanswered", "discarded"])),
                    reason=draw(st.sampled_from([None, "gap"])), host=draw(hosts), request_time=time,
                    mirror_host=draw(st.sampled_from([None, "a", "c"])), proxy=draw(st.sampled_from(["10.0.0.5", "10.0.0.6"])),
                    original_id=draw(st.one_of(st.none(), st.integers(1, 4))), status_same=same,
                    original_packet=draw(st.sampled_from([None, 7])), body_same=draw(st.sampled_from([None, True, False])),
                    mirror_status=None if same is None else 200 if same else 500,
                    lag_ns=draw(st.one_of(st.none(), st.integers(-99, 99))),
                    mirror_duration_ns=draw(st.one_of(st.none(), st.integers(0, 10**10))),
                    downstream_client=draw(st.sampled_from([None, "10.0.0.5:9", "10.0.0.7:9"])),
                    downstream_server=draw(st.sampled_from([None, "10.0.0.9:1"])),
                )
            )  # fmt: skip
        exchanges = [
            asked(
                number, leg=draw(st.sampled_from(["original", "other", "mirror"])), host=draw(hosts),
                client=draw(st.sampled_from(["10.0.0.5:1", "10.0.0.6:2", "[::1]:3"])),
                server=draw(st.sampled_from(["10.0.0.21:3000", "10.0.0.9:1"])),
                request_time=draw(st.one_of(st.none(), st.integers(START, START + 3 * 86_400 * SECOND))),
            )
            for number in range(draw(st.integers(0, 8)))
        ]  # fmt: skip
        differences = [
            {
                "mirror": draw(st.integers(1, 9)), "part": draw(st.sampled_from(["body", "header"])),
                "field": draw(st.sampled_from(["x", None, "..."])), "change": "changed", "expected": draw(st.booleans()),
            }
            for _row in range(draw(st.integers(0, 6)))
        ]  # fmt: skip
        differences.sort(key=lambda d: int(d["mirror"] or 0))
        first = draw(st.sampled_from([None, START]))
        state = {"state": "read", "first": first, "last": first and first + 86_400 * SECOND}
        state |= {"written": START + 9 * 86_400 * SECOND, "version": "0.1"}
        out.append({"units": [state], "mirrors": rows, "exchanges": exchanges, "differences": differences})
    return out


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=units(), since=st.sampled_from([None, START + 86_400 * SECOND]))
def test_figures_of_any_rows(
    rows: list[dict[str, Any]], since: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("made")
    check(data_of(made(folder / "store", rows), folder / "data", since), folder / "store", since)


def test_files_are_private_whole_and_only_what_changed(few: Path, tmp_path: Path) -> None:
    first = build(few, tmp_path / "site")
    paths = [p for p in (tmp_path / "site").rglob("*") if p.is_file()]
    assert {stat.S_IMODE(p.stat().st_mode) for p in paths} == {0o600}
    assert len(paths) == first.pages + 1  # the manifest
    before = {p: p.stat().st_ino for p in paths}
    index = tmp_path / "site" / "index.html"
    index.write_text("changed by hand")
    assert build(few, tmp_path / "site").changed == 1
    assert "changed by hand" not in index.read_text()
    assert {p for p in paths if p.stat().st_ino != before[p]} <= {index}


def test_only_its_own_stale_files_go(few: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    build(few, site)
    mine = site / "pairs" / "notes.txt"
    mine.write_text("keep")
    outside = tmp_path / "outside.html"
    outside.write_text("keep")
    manifest = json.loads((site / "manifest.json").read_text())
    manifest["files"] += ["../outside.html", "pairs/notes.txt", "/etc/hostname", "pairs/../../outside.html"]
    (site / "manifest.json").write_text(json.dumps(manifest))
    half = site / "pairs" / ".x.html.0123abcd.half"
    half.write_text("a killed run's")
    done = build(few, site, since="2031-01-01")
    assert done.removed == 5 + 1 + 1 + 1
    assert [p.name for p in (site / "pairs").iterdir()] == ["notes.txt"]
    assert mine.read_text() == outside.read_text() == "keep"


def test_a_folder_of_somebody_else_is_refused(few: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("my home page")
    with pytest.raises(UsageError, match="no report made it"):
        build(few, tmp_path)
    assert (tmp_path / "index.html").read_text() == "my home page"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "pairs").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="is not a folder of a report"):
        build(few, tmp_path / "linked")
    assert list(elsewhere.iterdir()) == []
    with pytest.raises(UsageError):
        build(tmp_path / "no-store", tmp_path / "x")


def test_a_run_that_is_killed_leaves_what_the_next_one_can_use(few: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        half_written(tmp_path / "site")
    assert (tmp_path / "site" / "pairs" / "a.html").read_text() == "whole"
    done = build(few, tmp_path / "site")
    assert done.removed == 1
    assert not (tmp_path / "site" / "pairs" / "a.html").exists()


def half_written(site: Path) -> None:
    with ReportFolder(site) as folder:
        folder.announce(["index.html", "pairs/a.html", "pairs/b.html"])
        folder.write("pairs/a.html", ["whole"])
        folder.write("pairs/b.html", stop())


def stop() -> Any:
    yield "half"
    raise KeyboardInterrupt


def test_a_unit_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    store = made(tmp_path / "store", [{"mirrors": [mirror(1)]}])
    bad = next(store.rglob("mirrors.parquet"))
    bad.write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(InspectorError, match="mirrors"):
        build(store, tmp_path / "site")
    store = made(tmp_path / "other", [{"mirrors": [mirror(1, verdict="sideways")]}])
    with pytest.raises(InspectorError, match="sideways"):
        counts(store)


def test_what_is_left_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspector.batch.report import chosen, fields, rows

    monkeypatch.setattr(rows, "ROUTES", 3)
    monkeypatch.setattr(model, "ROUTE_PAGES", 2)
    monkeypatch.setattr(model, "UNIT_PAGES", 1)
    monkeypatch.setattr(chosen, "FAILING", 4)
    monkeypatch.setattr(chosen, "LEAKS", 2)
    monkeypatch.setattr(fields, "FIELDS", 1)
    failing = [
        mirror(i, host=f"h{i % 5}", verdict="leaked" if i % 2 else "discarded", body_same=False) for i in range(1, 11)
    ]
    differences = [
        {"mirror": i, "part": "body", "field": f"f{i}", "change": "changed", "expected": False} for i in (1, 2, 3)
    ]  # fmt: skip
    store = made(tmp_path / "store", [{"mirrors": failing, "differences": differences}, {}])
    build(store, tmp_path / "site")
    found = document(tmp_path / "site")
    assert len(found["routes"]) == 4
    assert (None, None) in {(r["host"], r["mirror"]) for r in found["routes"]}
    assert sum(r["mirrors"] for r in found["routes"]) == 10
    left = found["left_out"]
    assert (left["route_pages"], left["capture_pages"], left["failing_pairs"], left["differences"]) == (2, 1, 6, 2)
    assert len(list((tmp_path / "site" / "pairs").iterdir())) == 4
    pages = "".join(p.read_text() for p in (tmp_path / "site").rglob("*.html"))
    assert "6 more that leaked or differ have no page" in pages
    assert "2 more routes are left out" in pages
    assert "1 more captures are left out" in pages
    Draft202012Validator(SCHEMA).validate(found)


def test_a_route_whose_copies_stop_is_told(tmp_path: Path) -> None:
    hour = 3600 * SECOND
    spread = [START + i * hour for i in range(60)]
    unit = {
        "units": [{"state": "read", "first": START, "last": spread[-1], "written": START, "version": "1"}],
        "mirrors": [mirror(i + 1, request_time=spread[i], original_id=i + 1) for i in range(30)],
        "exchanges": [asked(i + 1, request_time=spread[i]) for i in range(60)],
    }
    store = made(tmp_path / "store", [unit])
    found = scan.files(store)
    text = "".join(markdown(site_of(found, gather(found))))
    assert "No request of items → items-shadow was mirrored after" in text
    assert "though 30 were sent" in text
    assert "30 of 60 requests" in text


def test_captures_without_any_copy_are_told(tmp_path: Path) -> None:
    """They lower the share: mirroring may have been off."""
    units = [
        {"mirrors": [mirror(1)], "exchanges": [asked(1)]},
        {"exchanges": [asked(i) for i in range(1, 4)]},
        {"exchanges": [asked(i, host="never-mirrored") for i in range(1, 4)]},
    ]
    found = scan.files(made(tmp_path / "store", units))
    told = site_of(found, gather(found))
    assert (told.total.share.mirrored, told.total.share.eligible) == (1, 4)
    said = "".join(markdown(told))
    assert "1 capture holds requests (3) that the same proxy mirrors in other captures, and no copy of any" in said


def test_moments() -> None:
    assert moment("2026-11-21") == moment("2026-11-21T00:00Z") == 1_795_219_200 * SECOND
    now = batch_rows.pd.Timestamp("2026-11-21T12:00Z").to_pydatetime()
    assert moment("36h", now) == moment("2026-11-20T00:00Z")
    assert moment("2w", now) == moment("2026-11-07T12:00Z")
    assert moment(None) is None
    for bad in ("yesterday", "7 moons", "", "99999999d"):
        with pytest.raises(UsageError):
            moment(bad)


@given(path=st.text(max_size=30))
@settings(max_examples=25, deadline=None)
def test_names_are_safe_whatever_a_path_holds(path: str) -> None:
    name = naming.page_name(path, "source")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 16 <= len(name) <= 57
    assert name != naming.page_name(path + "x", "source")


def unit(*paths: str, **options: Any) -> UnitFigures:
    return UnitFigures(0, "unknown", "node", "0", {"options": json.dumps(options) if options else None}, paths)


def test_a_command_has_the_options_of_its_unit() -> None:
    usual = {"match": [], "no_redact": False, "suffix": "-shadow", "window": 15.0}
    assert naming.command(unit("a.pcap", **usual), "--explain", "1") == "inspect a.pcap --explain 1"
    other = {"match": ["suffix", "xff"], "no_redact": True, "suffix": "-dark mode", "window": 3.5}
    said = "inspect a.pcap b.pcap --explain 1 --suffix '-dark mode' --window 3.5 --match suffix,xff --no-redact"
    assert naming.command(unit("a.pcap", "b.pcap", **other), "--explain", "1") == said
    assert naming.command(unit("a.tar.gz:x/b c.pcap"), "--explain", "1") == (
        "tar -xOf a.tar.gz 'x/b c.pcap' | inspect - --explain 1"
    )
    assert naming.before(unit("s3://bucket/a.pcap"))
    assert naming.before(unit("a.tar:x", "a.tar:y"))
    assert not naming.before(unit("a.pcap"))


def test_a_command_can_be_pasted(tmp_path: Path) -> None:
    import subprocess

    for name in (
        "a b.pcap",
        "it's.pcap",
        "-rf.pcap",
        "$(touch x).pcap",
        "new\nline.pcap",
        "\u202efcap.exe",
        "caf\u00e9\x1b[2J",
    ):
        text = naming.command(unit(name), "--explain", "1")
        assert text.isprintable()
        out = subprocess.run(
            ["bash", "-c", text.replace("inspect ", "printf '%s\\0' ", 1)],
            capture_output=True,
            check=True,
            cwd=tmp_path,
        )
        got = out.stdout.decode().split("\0")
        assert got[:3] == [f"./{name}" if name.startswith("-") else name, "--explain", "1"]
    assert list(tmp_path.iterdir()) == []
