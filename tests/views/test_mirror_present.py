"""Views made in bulk against views made a row at a time, on real captures and on tables of chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from present_oracle import Dull

from inspector import lang
from inspector.inspection import inspect, stream
from inspector.mirror.lost_requests import effective_time
from inspector.mirror.tables import Delivered, Exchanges, Leg, Mirrors, Reason, Verdict
from inspector.ragged import Ragged, Spans
from inspector.table import dtypes
from inspector.views import present
from inspector.views.present import Presenter
from inspector.views.sentences import retold

ROOT = Path(__file__).parents[2]
CAPTURES = sorted((ROOT / "captures").glob("*.pcap*"))
WORDS = (b"", b"GET", b"/items", b"catalog", b"\xea\xb0\x80", b"\xff\x00", b"x" * 400)
ENDS = ("method_end", "target_end", "host_end", "request_id_end", "xff_end", "content_type_end")


def exchanges(n: int, rng: np.random.Generator) -> Exchanges:
    """n rows of anything that the columns' rules allow."""
    columns = {
        name: rng.integers(0, 2 if dtype.kind == "b" else 127, n).astype(dtype)
        for name, dtype in dtypes(Exchanges).items()
        if dtype is not None
    }
    words = [[WORDS[k] for k in row] for row in rng.integers(0, len(WORDS), (n, len(ENDS)))]
    for k, name in enumerate(ENDS):
        columns[name] = np.array([sum(map(len, row[: k + 1])) for row in words], np.int32)
    for name in ("request_facts", "response_facts"):
        columns[name] = rng.integers(0, 1 << 19, n).astype(np.uint32) | rng.integers(0, 2, n).astype(np.uint32)
    for name in ("request_gap", "response_gap", "request_refused", "response_refused"):
        columns[name] = np.where(rng.random(n) < 0.3, rng.integers(0, 2000, n), 0)
    asked, answered = rng.random(n) < 0.8, rng.random(n) < 0.8
    start = rng.integers(0, 2**62, n)
    columns["request_time"] = np.where(asked, start, -1)
    columns["response_time"] = np.where(answered, rng.integers(0, 2**62, n), -1)
    columns["response_end_time"] = np.where(answered, rng.integers(0, 2**62, n), -1)
    columns["status"] = np.where(answered, rng.integers(100, 600, n), -1).astype(np.int16)
    columns["version"] = rng.choice(np.array([0, 10, 11, 20], np.uint8), n)
    columns["response_hash"] = rng.integers(0, 2**64, n, np.uint64) * rng.integers(0, 2, n).astype(np.uint64)
    mapped = rng.random(n) < 0.5
    columns["client_hi"] = np.where(mapped, 0, columns["client_hi"]).astype(np.uint64)
    columns["client_lo"] = np.where(mapped, 0xFFFF0A000001, columns["client_lo"]).astype(np.uint64)
    packets = {
        f"{side}_packets": Spans.of(
            Ragged.of([rng.integers(1, 10**6, k).tolist() for k in rng.integers(0, 4, n)], np.int64)
        )
        for side in ("request", "response")
    }
    runs = {
        "text": Spans.of(Ragged.of([b"".join(row) for row in words])),
        "response_lines": Spans.of(Ragged.of([b"" for _ in range(n)])),
    }
    return Exchanges(**columns, **runs, **packets)


def mirrors(n: int, of: int, rng: np.random.Generator) -> Mirrors:
    columns = {name: rng.integers(0, 101, n).astype(dtype) for name, dtype in dtypes(Mirrors).items() if dtype}
    for name, low in (("mirror", 0), ("original", -1), ("downstream", -1)):
        columns[name] = rng.integers(low, of, n) if of > low else np.full(n, -1)
    for name, words in (("verdict", Verdict), ("reason", Reason), ("delivered", Delivered)):
        columns[name] = rng.integers(0, len(words), n).astype(np.uint8)
    columns["rivals"] = rng.integers(0, 4, n).astype(np.int32)
    columns["signs"] = rng.integers(0, 1024, n).astype(np.uint32)
    return Mirrors(**columns)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(0, 12))
def test_bulk_is_row_by_row(seed: int, n: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    e = exchanges(n, rng)
    leg = rng.integers(0, len(Leg), n).astype(np.uint8)
    t = mirrors(count, n, rng)
    end = (int(rng.integers(0, 10**10)), bool(seed % 2)) if seed % 3 else None
    dull, bulk = Dull(e, t, leg, end), Presenter(e, t, leg, end=end)
    rows = np.argsort(effective_time(e), kind="stable").tolist()
    assert list(bulk.exchanges()) == [dull.exchange(row) for row in rows]
    assert list(bulk.mirrors()) == [dull.mirror(j, 1 + j) for j in range(count)]
    some = rng.permutation(count)[: count // 2]
    assert list(bulk.mirrors(some, 7)) == [dull.mirror(int(j), 7 + k) for k, j in enumerate(some)]
    if count:
        assert bulk.mirror(count - 1, 3) == dull.mirror(count - 1, 3)
    assert bulk.exchange(0, Leg.CASCADE) == dull.exchange(0, Leg.CASCADE)
    assert Presenter(e, t).exchange(n - 1).leg == "other"


@pytest.mark.parametrize("chunk", [1, 3, 1024])
@pytest.mark.parametrize("path", CAPTURES, ids=lambda p: p.name)
def test_real_captures(path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present, "CHUNK", chunk)
    for decided in stream(str(path)):
        p = decided.presenter
        dull = Dull(p.e, p.table)
        want = [dull.mirror(j, decided.first_number + k) for k, j in enumerate(decided.rows.tolist())]
        assert list(p.mirrors(decided.rows, decided.first_number)) == want


def test_rows_far_apart_are_gathered() -> None:
    e = exchanges(3000, np.random.default_rng(1)).replace(text=Spans.of(Ragged.of([b"/path" + b"x" * 95] * 3000)))
    e = e.replace(**{name: np.full(3000, 5 * (k == 1) + 5 * (k > 1), np.int32) for k, name in enumerate(ENDS)})
    first, last = Presenter(e, Mirrors.empty()).exchange_columns(np.array([0, 2999]), ["other"] * 2).path
    assert first == last == "/path"


def test_nothing_is_shown_of_nothing() -> None:
    empty = Presenter(Exchanges.empty(), Mirrors.empty())
    assert list(empty.exchanges()) == []
    assert list(empty.mirrors()) == []
    assert len(empty.mirror_columns(np.empty(0, np.int64), 1)) == 0


def test_a_leak_says_what_shows_it() -> None:
    (decided,) = stream(str(ROOT / "captures/leaky-gw.pcap"))
    leaks = [m for m in decided.presenter.mirrors() if m.verdict == "leaked"]
    assert len(leaks) == 4
    for m in leaks:
        assert m.downstream is not None
        assert m.evidence[-1].packet == m.downstream.response_packets[0]
        assert m.evidence[-1].says == (
            "the downstream is given the copy's response, not the original's: status 200, 608 bytes of body; "
            f"its body is the copy's ({m.mirror.response_body_hash}); the original was answered with status 200, "
            "404 bytes of body"
        )


def test_views_share_no_lists() -> None:
    (decided,) = stream(str(ROOT / "captures/leaky-gw.pcap"))
    a, b = list(decided.presenter.mirrors())[:2]
    a.paired_by.clear()
    a.mirror.gaps.append(None)  # type: ignore[arg-type]
    assert b.paired_by
    assert b.mirror.gaps == []


@pytest.mark.parametrize("name", ["mix-client.pcap.zst", "leaky-gw.pcap", "refused-client.pcap"])
def test_evidence_is_retold_as_it_would_have_been_told(name: str) -> None:
    """A store keeps English; a report in another language tells it anew."""

    def told() -> list[str]:
        return [e.says for m in inspect(str(ROOT / "captures" / name)).mirror_views() for e in m.evidence]

    english = told()
    assert [retold(says) for says in english] == english
    try:
        lang.use("ko")
        korean = told()
        assert [retold(says) for says in english] == korean
        assert not set(korean) & set(english)
        assert retold("anything else: status") == "anything else: status"
    finally:
        lang.use("en")
