"""The fast writer of the JSON contract against dicts and json.dumps."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import json_oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from render_samples import exchange, mirror, rich

from inspector.inspection import inspect, stream
from inspector.render import json_v1
from inspector.render.text import rfc3339
from inspector.render.times import rfc3339_json
from inspector.views.cache import ENTRIES, LONGEST, Memo
from inspector.views.columns import ABSENT, ExchangeColumns, MirrorColumns
from inspector.views.objects import Evidence, ExchangeView, GapView, MirrorView

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap*"))
NASTY = st.sampled_from(
    ["", '"', "\\", "\x7f", "\x00\n\r\t", "%s%%(x)s", "</script>", "é", "é".encode().decode("latin-1")]
)
TEXT = st.one_of(NASTY, st.text(st.characters(max_codepoint=0xFF), max_size=300))
MAYBE = st.none() | TEXT
NUMBER = st.integers(0, 2**62)
MAYBE_NUMBER = st.none() | NUMBER
SPAN = st.none() | st.integers(-(2**62), 2**62) | st.integers(-2000, 2000)
PACKETS = st.lists(st.integers(0, 2**62) | st.integers(0, 100), max_size=5)

exchange_views = st.builds(
    ExchangeView,
    id=NUMBER, leg=TEXT, capture=NUMBER, client=TEXT, server=TEXT, connection=NUMBER, protocol=TEXT, method=MAYBE,
    path=MAYBE, host=MAYBE, status=MAYBE_NUMBER, request_id=MAYBE, request_packets=PACKETS, response_packets=PACKETS,
    request_time=MAYBE_NUMBER, response_time=MAYBE_NUMBER, response_end_time=MAYBE_NUMBER, duration=SPAN,
    request_body_bytes=MAYBE_NUMBER, response_body_bytes=MAYBE_NUMBER, response_body_hash=MAYBE, complete=st.booleans(),
    gaps=st.lists(st.builds(GapView, st.sampled_from(["request", "response"]), NUMBER, TEXT), max_size=2),
)  # fmt: skip
mirror_views = st.builds(
    MirrorView,
    id=NUMBER, request_id=MAYBE, method=MAYBE, path=MAYBE, host=MAYBE, proxy=MAYBE, original=st.none() | exchange_views,
    mirror=exchange_views, downstream=st.none() | exchange_views, paired_by=st.lists(TEXT, max_size=3),
    confidence=st.integers(0, 100).map(lambda n: n / 100), lag=SPAN, verdict=TEXT,
    proof=st.lists(TEXT, max_size=2), reason=MAYBE, delivered=TEXT,
    arrived=TEXT, acknowledged=st.booleans(),
    evidence=st.lists(st.builds(Evidence, NUMBER, NUMBER, TEXT), max_size=3),
)  # fmt: skip


def written(parts: Any) -> list[str]:
    return [item for items in parts for item in items]


@settings(max_examples=60, deadline=None)
@given(st.lists(exchange_views, max_size=4))
def test_exchanges_are_written_as_json_dumps_would(views: list[ExchangeView]) -> None:
    assert written(json_v1.exchanges(views)) == [json_oracle.line(json_oracle.exchange(v)) for v in views]
    assert list(ExchangeColumns.of(views).views()) == views


@settings(max_examples=60, deadline=None)
@given(st.lists(mirror_views, max_size=4))
def test_mirrors_are_written_as_json_dumps_would(views: list[MirrorView]) -> None:
    lines = written(json_v1.mirrors(views))
    assert lines == [json_oracle.line(json_oracle.mirror(v)) for v in views]
    assert all(line.isascii() and "\n" not in line for line in lines)
    pretty = written(json_v1.mirrors(views, 2))
    assert [json.loads(item, parse_float=str) for item in pretty] == [
        json.loads(line, parse_float=str) for line in lines
    ]
    assert list(MirrorColumns.of(views).views()) == views


@pytest.mark.parametrize("path", CAPTURES, ids=lambda p: p.name)
def test_real_captures_are_written_as_json_dumps_would(path: Path) -> None:
    found = inspect(str(path))
    mirrors, exchanges = list(found.mirror_views()), list(found.exchange_views())
    assert written(json_v1.mirrors(found.mirror_views())) == [json_oracle.line(json_oracle.mirror(m)) for m in mirrors]
    assert written(json_v1.exchanges(found.exchange_views())) == [
        json_oracle.line(json_oracle.exchange(x)) for x in exchanges
    ]
    assert written(json_v1.mirrors(mirrors)) == written(json_v1.mirrors(found.mirror_views()))
    streamed = [d.presenter.mirrors(d.rows, d.first_number) for d in stream(str(path))]
    assert [line for part in streamed for line in written(json_v1.mirrors(part))] == written(json_v1.mirrors(mirrors))


def test_many_views_are_put_into_columns_in_pieces() -> None:
    views = [mirror(i, mirror=exchange(i, path=f"/{i}")) for i in range(json_v1.CHUNK + 3)]
    parts = list(json_v1.mirrors(iter(views)))
    assert [len(items) for items in parts] == [json_v1.CHUNK, 3]
    assert json.loads(parts[1][2])["mirror"]["path"] == f"/{json_v1.CHUNK + 2}"
    assert written(json_v1.mirrors(rich().mirror_list)) == [
        json_oracle.line(json_oracle.mirror(m)) for m in rich().mirror_list
    ]


@settings(max_examples=100)
@given(st.lists(st.integers(-(2**62), 2**63 - 1) | st.integers(0, 10**10) | st.just(ABSENT), max_size=20))
def test_times_at_once_are_those_one_by_one(times: list[int]) -> None:
    want = ["null" if t == ABSENT else f'"{rfc3339(t)}"' for t in times]
    assert rfc3339_json(np.array(times, np.int64)) == want


def test_memory_is_bounded() -> None:
    calls: list[str] = []
    memo = Memo[str, int](lambda key: calls.append(key) or len(key))
    assert memo.all(["a", "bb", "a"]) == [1, 2, 1]
    assert calls == ["a", "bb"]
    long = "x" * (LONGEST + 1)
    assert memo[long] == memo[long] == LONGEST + 1
    assert long not in memo
    memo.all(str(i) for i in range(2 * ENTRIES))
    assert len(memo) <= ENTRIES


def test_the_contract_names_what_the_views_have() -> None:
    names = {f.name for f in fields(ExchangeView)} - {"id", "request_id"}
    assert {key.removesuffix("_us") for key in json_v1.EXCHANGE} == names
