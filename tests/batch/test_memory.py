"""What a worker holds does not grow with a unit: rows wait on disk in sorted runs, and pairs are looked for in their time."""

import errno
import os
from pathlib import Path

import batch_check
import numpy as np
import pandas as pd
import pytest
from batch_store import CAPTURES, kept, library
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.batch import gathered, spill
from inspector.batch.units import How
from inspector.compare import all_pairs as module
from inspector.compare.all_pairs import differences
from inspector.inspection import inspect, reading
from inspector.inspection.merge_sorted import Slab, merged
from inspector.mirror import pool
from inspector.redact import Redactor
from inspector.reread import pairs
from inspector.reread.messages import NO_ROOM
from inspector.views import present

MIX, RETRY = CAPTURES / "mix-client.pcap.zst", CAPTURES / "retry-client.pcap"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=12), max_size=6), st.integers(1, 5))
def test_runs_are_merged(runs: list[list[tuple[int, int]]], slab: int) -> None:
    runs = [sorted(run) for run in runs]
    cut = [[run[i : i + slab] for i in range(0, len(run), slab)] for run in runs]

    def load(run: int, number: int) -> Slab[list[tuple[int, int]]]:
        rows = cut[run][number]
        time, id_ = np.array(rows, np.int64).T
        return Slab(np.ascontiguousarray(time), np.ascontiguousarray(id_), rows)

    out = []
    for pieces, order, places in merged([[rows[0] for rows in run] for run in cut], load):
        rows = [row for held, start, stop in pieces for row in held[start:stop]]
        out += [rows[i] for i in order]
        assert out[-len(order) :] == list(zip(places.time.tolist(), places.id.tolist(), strict=True))
    assert out == sorted(row for run in runs for row in run)


@pytest.mark.parametrize("path", [MIX, RETRY], ids=["mix", "retry"])
def test_many_steps_give_the_rows_of_an_inspection(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchanges leave and mirrors are decided in many steps: ids, order and links are those of an inspection, which keeps all."""
    monkeypatch.setattr(reading, "EPOCH", 40)
    monkeypatch.setattr(pool, "ENOUGH", 1)
    for where in (present, gathered):
        monkeypatch.setattr(where, "CHUNK", 3)
    monkeypatch.setattr(pairs, "SLAB", 5)
    monkeypatch.setattr(pairs, "KEPT", 9)
    monkeypatch.setattr(spill, "FEW", 2000)
    found, steps = inspect(str(path), window=0.3), []
    add = gathered.UnitRows.add
    monkeypatch.setattr(
        gathered.UnitRows,
        "add",
        lambda self, batch, *rest: (steps.append(batch.gone.sum()), add(self, batch, *rest)),
    )
    kept(tmp_path, path, how=How(window=0.3))
    assert sum(count > 0 for count in steps) > 1
    store = library(tmp_path)
    rows, views = store.exchanges().to_dict("records"), list(found.exchange_views())
    assert [(r["id"], r["leg"], r["client"], list(r["request_packets"])) for r in rows] == [
        (x.id, x.leg, x.client, x.request_packets) for x in views
    ]
    mirrors, shown = store.mirrors(), list(found.mirror_views())
    assert [(r.id, r.mirror_id, r.verdict) for r in mirrors.itertuples()] == [
        (m.id, m.mirror.id, m.verdict) for m in shown
    ]
    for leg in ("original", "downstream"):
        ids = [None if np.isnan(n) else int(n) for n in mirrors[f"{leg}_id"].astype(float)]
        assert ids == [x and x.id for x in (getattr(m, leg) for m in shown)]
    same: dict[int, bool | None] = {}
    differences(iter(shown), [str(path)], Redactor(b"x"), told=lambda n, d: same.update({n: d.response_body.same}))
    assert [None if pd.isna(v) else bool(v) for v in mirrors["body_same"]] == [same[m.id] for m in shown]


@pytest.mark.parametrize("bound", ["OPEN", "HEADS"])
def test_what_there_is_no_room_for_is_told(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mirror is told once, whatever is put off; with a little more room all are as without bounds."""
    found = inspect(str(MIX))

    def told() -> dict[int, module.PairDifference]:
        out: dict[int, module.PairDifference] = {}

        def tell(number: int, d: module.PairDifference) -> None:
            assert number not in out
            out[number] = d

        differences(found.mirror_views(), [str(MIX)], Redactor(b"x"), told=tell)
        return out

    whole = told()
    assert sorted(whole) == list(range(1, found.summary.mirrors + 1))
    monkeypatch.setattr(module, bound, {"OPEN": 3, "HEADS": 2000}[bound])
    less = told()
    assert sorted(less) == sorted(whole)
    without = [n for n in less if less[n] != whole[n]]
    assert without
    assert all(NO_ROOM in " ".join(less[n].notes) for n in without)


def test_nothing_is_left_beside_the_tables(tmp_path: Path) -> None:
    kept(tmp_path / "store", MIX)
    (unit,) = (tmp_path / "store").glob("data/*/*/*")
    assert sorted(os.listdir(unit)) == sorted(f"{table}.parquet" for table in batch_check.TABLES)


def test_what_may_go_well_another_time_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    compare = gathered.compare_pairs
    monkeypatch.setattr(gathered, "compare_pairs", broken)
    assert dict(kept(tmp_path, RETRY).states) == {"failed": 1}
    monkeypatch.setattr(gathered, "compare_pairs", compare)
    again = kept(tmp_path, RETRY)
    assert (again.new, again.superseded, dict(again.states)) == (1, 1, {"read": 1})
    assert kept(tmp_path, RETRY).unchanged == 1
