from __future__ import annotations

import csv
import io
import json
import re
import time
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from render_samples import T0, Sample, capture, exchange, mirror, rich

from inspector.errors import UsageError
from inspector.render import csv_flat, json_v1, markdown
from inspector.render.formats import FORMATS, render
from inspector.render.text import width

HOSTILE = [
    "\x1b]0;x\x07",
    "\x9b2J",
    "a\nb\rc",
    "\u202eevil\u2066",
    "\x7f\x00\x08",
    "|x|`y`",
    "<script>",
    "=1+1",
    "\t@x",
]
EXCHANGE_KEYS = {
    "leg", "capture", "client", "server", "connection", "protocol", "method", "path", "host", "status",
    "request_packets", "response_packets", "request_time", "response_time", "response_end_time", "duration_us",
    "request_body_bytes", "response_body_bytes", "response_body_hash", "complete", "gaps",
}  # fmt: skip
MIRROR_KEYS = {
    "id", "request_id", "request", "proxy", "original", "mirror", "downstream", "paired_by", "confidence", "lag_us",
    "verdict", "proof", "reason", "delivered", "arrived", "evidence",
}  # fmt: skip


def text(sample: Sample, form: str, mirrors: bool = True, exchanges: bool = False, columns: int = 120) -> str:
    return "".join(render(sample, form, mirrors, exchanges, columns, False))


def test_json_is_the_contract() -> None:
    got = json.loads(text(rich(), "json", exchanges=True))
    assert list(got) == ["schema", "captures", "summary", "mirrors", "exchanges"]
    assert got["schema"] == "mirror-inspector/1"
    assert set(got["captures"][0]) == {
        "path", "format", "link_types", "packets", "bytes", "first", "last", "copies", "dropped_tail", "faults",
        "read",
    }  # fmt: skip
    assert set(got["summary"]) == {"connections", "exchanges", "mirrors", "verdicts", "mirrored_share", "unseen"}
    assert set(got["summary"]["verdicts"]) == {"discarded", "leaked", "unanswered", "unproven"}
    assert set(got["summary"]["mirrored_share"]) == {"mirrored", "eligible", "percent", "low", "high"}
    for m in got["mirrors"]:
        assert set(m) == MIRROR_KEYS
        assert set(m["request"]) == {"method", "path", "host"}
        assert set(m["arrived"]) == {"response", "acknowledged"}
        for leg in ("original", "mirror", "downstream"):
            assert m[leg] is None or set(m[leg]) == EXCHANGE_KEYS
        for step in m["evidence"]:
            assert set(step) == {"capture", "packet", "says"}
    assert all(set(x) == EXCHANGE_KEYS for x in got["exchanges"])


def test_json_values() -> None:
    got = json.loads(text(rich(), "json"), parse_float=str)["mirrors"]
    first, leaked, unanswered, _, last = got
    assert first["original"]["request_time"] == "2026-11-21T03:09:26.429573000Z"
    assert first["original"]["duration_us"] == "3250.500"
    assert first["lag_us"] == 213
    assert first["confidence"] == "0.99"
    assert first["arrived"] == {"response": "complete", "acknowledged": True}
    assert first["evidence"][1] == {"capture": 0, "packet": 30, "says": "its response arrives at the proxy"}
    assert leaked["request"]["path"] == "/상품/목록?쪽=1"
    assert leaked["lag_us"] == "-0.250"
    assert unanswered["mirror"]["status"] is None
    assert unanswered["mirror"]["response_packets"] == []
    assert unanswered["mirror"]["duration_us"] is None
    assert last["original"] is None
    assert last["lag_us"] is None
    assert last["request"]["path"] is None
    assert last["mirror"]["gaps"] == [{"side": "response", "bytes": 120, "reason": "lost"}]


def test_json_lists_are_there_only_where_asked_for() -> None:
    assert "mirrors" not in json.loads(text(rich(), "json", mirrors=False))
    assert "exchanges" not in json.loads(text(rich(), "json"))
    assert json.loads(text(Sample(), "json", exchanges=True))["exchanges"] == []


@settings(max_examples=60)
@given(st.text(st.characters(max_codepoint=0xFF), max_size=40), st.text(st.characters(codec=None), max_size=40))
def test_json_of_any_text_is_ascii_and_reads_back(header: str, name: str) -> None:
    sample = Sample([mirror(path=header)], captures=[capture(path=name)])
    out = text(sample, "json")
    assert out.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", out)
    got = json.loads(out)
    try:
        assert got["mirrors"][0]["request"]["path"] == header.encode("latin-1").decode()
    except UnicodeDecodeError:
        assert got["mirrors"][0]["request"]["path"] == header
    assert got["captures"][0]["path"] == json.loads(json.dumps(name))


def test_ndjson_is_one_object_a_line_and_the_same_as_json() -> None:
    sample = rich()
    lines = text(sample, "ndjson").splitlines()
    assert [json.loads(line) for line in lines] == json.loads(text(sample, "json"))["mirrors"]
    lines = text(sample, "ndjson", mirrors=False, exchanges=True).splitlines()
    assert [json.loads(line) for line in lines] == json.loads(text(sample, "json", exchanges=True))["exchanges"]
    (line,) = text(sample, "ndjson", mirrors=False).splitlines()
    assert json.loads(line) == json.loads(text(sample, "json", mirrors=False))
    assert text(Sample(), "ndjson") == ""


def test_ndjson_keeps_up_with_the_general_encoder() -> None:
    """A ratio, taken in turn on the same machine; the general encoder is given finished objects."""
    views = [mirror(i) for i in range(2000)]
    lines = "".join(json_v1.mirror_lines(views)).splitlines()
    objects = [json.loads(line) for line in lines]
    ours = theirs = 9.0
    for _ in range(5):
        began = time.process_time()
        assert sum(map(len, json_v1.mirror_lines(views))) > 2000 * 1000
        ours = min(ours, time.process_time() - began)
        began = time.process_time()
        assert len([json.dumps(each) for each in objects]) == 2000
        theirs = min(theirs, time.process_time() - began)
    assert ours < 2 * theirs


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_captured_text_never_acts(form: str, hostile: str) -> None:
    copy = exchange(method=hostile, path=hostile, host=hostile, request_id=hostile)
    sample = Sample(
        [mirror(method=hostile, path=hostile, host=hostile, request_id=hostile, mirror=copy, reason=hostile, proof=[])],
        [copy],
        captures=[capture(path=hostile, interfaces=[hostile], faults={hostile: 1})],
        finding=hostile,
        unseen=[hostile],
    )
    for mirrors, exchanges in ((True, False), (False, True), (False, False)):
        if form in ("svg", "har", "html") or (form == "mermaid" and not mirrors):
            continue  # they hold mirrors only: tests/render/test_ladder.py, test_render_har.py, test_report_page.py
        out = text(sample, form, mirrors, exchanges)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)


def test_csv_rows() -> None:
    sample = rich()
    rows = list(csv.DictReader(io.StringIO(text(sample, "csv"))))
    assert len(rows) == 5
    assert all(None not in row and None not in row.values() for row in rows)
    assert rows[0]["original_request_packets"] == "10"
    assert rows[0]["original_response_packets"] == "14 15"
    assert rows[0]["evidence_packets"] == "0:12 0:30"
    assert rows[1]["path"] == "/상품/목록?쪽=1"
    assert rows[1]["lag_us"] == "-0.250"
    assert rows[3]["downstream_server"] == ""
    assert rows[4]["method"] == "'=cmd()"
    assert rows[4]["mirror_gap_bytes"] == "120"
    exchanges = list(csv.DictReader(io.StringIO(text(sample, "csv", False, True))))
    assert [row["leg"] for row in exchanges] == ["downstream", "original", "original", "mirror"]
    assert dict(csv.reader(io.StringIO(text(sample, "csv", False))))["leaked"] == "1"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d"])
def test_csv_cells_are_no_formulas(start: str) -> None:
    assert csv_flat.guard(start + "1").startswith("'")


def test_csv_of_many_rows_is_streamed() -> None:
    pieces = list(csv_flat.mirrors(mirror(i) for i in range(500)))
    assert len(pieces) > 2
    assert len(list(csv.reader(io.StringIO("".join(pieces))))) == 501


@pytest.mark.parametrize(
    ("raw", "out"),
    [
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("`x` *y* _z_", r"\`x\` \*y\* \_z\_"),
        ("[x](javascript:1)", r"\[x\](javascript:1)"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("&lt;", "&amp;lt;"),
        ("http://evil", r"http\://evil"),
        ("www.evil", r"www\.evil"),
        ("GET /items?v1.delay=0.3", "GET /items?v1.delay=0.3"),
    ],
)
def test_markdown_is_literal(raw: str, out: str) -> None:
    assert markdown.safe(raw) == out


def test_markdown_table_has_the_same_number_of_cells_in_every_row() -> None:
    out = text(rich(), "markdown")
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert len(rows) == 7
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} == {8}


@pytest.mark.parametrize("columns", [80, 90, 100, 110, 120, 150, 200])
@pytest.mark.parametrize(("mirrors", "exchanges"), [(True, False), (False, True), (False, False)])
def test_table_fits_the_terminal(columns: int, mirrors: bool, exchanges: bool) -> None:
    out = text(rich(), "table", mirrors, exchanges, columns)
    widest = max(width(line) for line in out.splitlines())
    assert widest <= columns


def test_table_columns_are_aligned_with_wide_characters() -> None:
    lines = text(rich(), "table", columns=200).splitlines()
    at = lines[0].index("original")
    for line in lines[2:6]:
        before, _, _ = line.partition("10.244.0.21:3000")
        assert width(before) == at


def test_table_says_everything_of_a_mirror() -> None:
    lines = text(Sample([mirror()]), "table").splitlines()
    for part in (
        "1",
        "03:09:26.429",
        "GET /items",
        "10.244.0.21:3000 200",
        "10.244.0.22:3000 200",
        "+213 µs",
        "discarded",
    ):
        assert part in lines[2]
    assert "(content)" in lines[2]
    assert lines[4].startswith("1 of 1 mirrored responses reached the proxy")


def test_table_keeps_numbers_as_they_are() -> None:
    out = text(Sample([mirror(method="42924e28", path="0x10")]), "table")
    assert "42924e28 0x10" in out


def test_colour_is_never_alone() -> None:
    plain = text(rich(), "table")
    painted = "".join(render(rich(), "table", True, False, 120, True))
    assert "\x1b[32mdiscarded\x1b[0m" in painted
    assert "\x1b[1;31mleaked\x1b[0m" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == plain
    assert "\x1b" not in plain


def test_without_mirrors_there_is_only_the_finding() -> None:
    out = text(Sample(finding="No mirrored request was found."), "table")
    assert out == "No mirrored request was found.\n"


def test_summary_says_what_is_in_the_capture() -> None:
    sample = rich()
    sample.captures = [capture(compression="zst", copies=3, faults={"bad-length": 2}, dropped_tail=True)]
    out = text(sample, "table", False)
    for part in ("client.pcap", "pcap, zst", "LINUX_SLL2", "if1, if2", "68 packets", "12,856 bytes", "0.685 s"):
        assert part in out
    for part in (
        "3 packets captured again",
        "bad-length 2",
        "ends inside a record",
        "6 http/1",
        "1 leaked",
        "2.5 to 100 %",
    ):
        assert part in out
    assert "encrypted: capture on lo" in " ".join(out.split())


def test_unanswered_and_missing_parts_are_marked() -> None:
    out = text(rich(), "table", columns=200)
    assert "[fd00:10:244::22]:3000 -" in out
    assert "not captured" in out
    assert "unproven (no-downstream-leg)" in out


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_formats_of_one_table_refuse_two(form: str) -> None:
    with pytest.raises(UsageError):
        text(rich(), form, True, True)


def test_times_are_rfc_3339() -> None:
    got = json.loads(text(Sample([mirror()]), "json"))["captures"][0]["first"]
    assert datetime.fromisoformat(got).timestamp() == pytest.approx(T0 / 1e9, abs=1e-5)
