"""On workers of a Dask cluster: the same rows, and a capture that kills them is set aside. The large version is
scripts/batch_check.py cluster."""

import os
import sys
from pathlib import Path

import batch_check
import batch_made
import cloudpickle
import pytest
from batch_store import VERSION, kept, library

from inspector.batch import engine
from inspector.batch.engine import Interrupted, Where
from inspector.batch.reading import read
from inspector.batch.round import Plan, Silent, run
from inspector.batch.store import keeping
from inspector.batch.units import How, Task, UnitOutcome
from inspector.errors import InspectorError


def deadly(task: Task) -> UnitOutcome:
    """Reads, but for one capture that ends the process as a crash or too much memory would."""
    if task.unit.paths[0].endswith("00003-of.pcap"):
        os._exit(9)
    return read(task)


def test_workers_give_the_same_rows_and_a_killer_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "RETRIES", 0)
    monkeypatch.setattr(engine, "DEATHS", 0)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(engine, "read", deadly)
    files = batch_made.make(tmp_path / "captures", 5, 1)
    for path in files:
        os.utime(path, (1e9, 1e9))  # what was written a moment ago may change without another time
    told: list[str] = []
    done = kept(tmp_path / "cluster", tmp_path / "captures", where=Where(2), told=told)
    assert dict(done.states) == {"read": 3, "damaged": 1, "failed": 1}
    assert any("set aside" in text for text in told)
    units = library(tmp_path / "cluster").units()
    assert "workers died" in units[units["state"] == "failed"]["error"].iloc[0]
    again = kept(tmp_path / "cluster", tmp_path / "captures", where=Where(2))  # it would only die again
    assert (again.new, again.unchanged, again.damaged) == (0, 5, True)
    monkeypatch.setattr(engine, "read", read)
    again = kept(tmp_path / "cluster", tmp_path / "captures")  # one worker has more memory: it is tried
    assert (again.new, again.superseded) == (1, 1)
    kept(tmp_path / "here", *files)
    assert batch_check.differ(tmp_path / "cluster", tmp_path / "here") == []
    assert batch_check.leftovers(tmp_path / "cluster") == []


def test_an_interruption_keeps_what_is_done(tmp_path: Path) -> None:
    batch_made.make(tmp_path / "captures", 4)
    plan = Plan((str(tmp_path / "captures"),), How(), Where(1))
    with keeping(tmp_path / "store") as keeper:
        with pytest.raises(Interrupted):
            run(keeper, plan, lambda: len(keeper.units) >= 2, lambda text: None, Silent(), VERSION)
        keeper.remember()
    assert len(library(tmp_path / "store").units()) == 2
    assert kept(tmp_path / "store", tmp_path / "captures").unchanged == 2


def test_a_scheduler_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_made.make(tmp_path / "captures", 1)
    monkeypatch.setattr(engine, "PATIENCE", "1s")
    with pytest.raises(InspectorError, match="no Dask scheduler answers"):
        kept(tmp_path / "store", tmp_path / "captures", where=Where(None, f"tcp://127.0.0.1:{batch_check.free_port()}"))
