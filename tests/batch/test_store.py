"""The store is kept true: what is new or changed is read, once; what was killed goes on; old schemas are brought up to date."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import batch_check
import batch_made
import batch_store
import pyarrow.parquet as pq
import pytest
from batch_store import CAPTURES, kept, library, names

from inspector.batch import fetch, migrate
from inspector.batch.library import Store
from inspector.batch.reading import read
from inspector.batch.schema import TABLES, schema
from inspector.batch.store import keeping
from inspector.batch.units import How, Piece, Task, Unit
from inspector.errors import UsageError
from inspector.inspection import inspect

LEAKY, ITEMS, REFUSED = (CAPTURES / f"{name}.pcap" for name in ("leaky-gw", "items-client", "refused-client"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with two captures."""
    folder = tmp_path / "captures"
    folder.mkdir()
    for path in (ITEMS, REFUSED):
        shutil.copy(path, folder)
    return folder


def test_rows_are_those_of_an_inspection(tmp_path: Path) -> None:
    kept(tmp_path / "store", LEAKY)
    store, found = library(tmp_path / "store"), inspect(str(LEAKY))
    mirrors, views = store.mirrors().sort_values("id"), list(found.mirror_views())
    assert mirrors["verdict"].tolist() == [m.verdict for m in views]
    assert mirrors["mirror_packet"].tolist() == [m.mirror.request_packets[0] for m in views]
    assert mirrors["original_id"].tolist() == [m.original.id for m in views]
    assert [t.value for t in mirrors["request_time"]] == [m.mirror.request_time for m in views]
    assert [[(e["packet"], e["says"]) for e in row] for row in mirrors["evidence"]] == [
        [(e.packet, e.says) for e in m.evidence] for m in views
    ]
    exchanges = store.exchanges().sort_values("id")
    assert exchanges["leg"].tolist() == [x.leg for x in found.exchange_views()]
    assert [list(p) for p in exchanges["response_packets"]] == [x.response_packets for x in found.exchange_views()]
    unit = store.units().iloc[0]
    assert (unit.leaked, unit.mirrors, unit.finding) == (4, 12, found.summary.finding)
    different = store.differences(verdict="leaked")
    assert set(different[different["part"] == "body"]["field"]) == {"$[].imageUrl"}
    assert mirrors["body_same"].tolist() == [False] * 12


def test_a_second_run_reads_nothing(tmp_path: Path, place: Path) -> None:
    assert kept(tmp_path / "store", place).new == 2
    again = kept(tmp_path / "store", place)
    assert (again.new, again.unchanged, again.changed) == (0, 2, False)
    (tmp_path / "store" / "seen.json").write_text("nonsense")  # a memory, no truth
    os.utime(place / ITEMS.name)
    again = kept(tmp_path / "store", place)
    assert (again.new, again.unchanged) == (0, 2)
    assert kept(tmp_path / "store", place, force=True).new == 2
    assert len(library(tmp_path / "store").units()) == 2


@pytest.mark.parametrize(
    "said",
    [
        "[" * 100_000,
        '{"schema": Infinity}',
        '{"schema": 1, "paths": 5, "units": 6}',
        '{"schema": 1, "paths": {"PATH": 5}, "units": {"UNIT": 7}}',
        '{"schema": 1, "paths": {"PATH": {"content": 5, "look": [1]}}, "units": {"UNIT": [5, 6]}}',
        '{"schema": 1, "paths": {"PATH": {"content": ["STAMP", 5]}}, "units": {"UNIT": [[5], "read"]}}',
        '{"schema": 1, "paths": {"PATH": {"content": ["STAMP", {"a": 1}]}}, "units": {"UNIT": [[], "read"]}}',
        '{"schema": 1, "paths": {"PATH": {"look": ["STAMP", [[], {}]], "last": ["STAMP", "x"]}}, "units": {}}',
    ],
)
def test_a_memory_that_somebody_else_wrote_is_not_believed(tmp_path: Path, place: Path, said: str) -> None:
    for capture in place.iterdir():
        os.utime(capture, (1_000_000_000, 1_000_000_000))  # a young file is not remembered: it may still grow
    assert kept(tmp_path / "store", place).new == 2
    memory = tmp_path / "store" / "seen.json"
    known = json.loads(memory.read_text())
    path, unit = next(iter(known["paths"])), next(iter(known["units"]))
    stamp = known["paths"][path]["content"][0]
    memory.write_text(said.replace("PATH", path).replace("UNIT", unit).replace("STAMP", stamp))
    again = kept(tmp_path / "store", place)
    assert (again.new, again.unchanged) == (0, 2)
    assert len(library(tmp_path / "store").units()) == 2


@pytest.mark.parametrize("said", ["[" * 100_000, '{"schema": Infinity}', '{"schema": []}'])
def test_a_store_that_somebody_else_wrote_is_refused_in_a_sentence(tmp_path: Path, place: Path, said: str) -> None:
    kept(tmp_path / "store", place)
    (tmp_path / "store" / "store.json").write_text(said)
    with pytest.raises(UsageError):
        library(tmp_path / "store")


def test_what_changes_is_replaced_and_never_counted_twice(tmp_path: Path, place: Path) -> None:
    kept(tmp_path / "store", place)
    shutil.copy(LEAKY, place / ITEMS.name)
    done = kept(tmp_path / "store", place)
    assert (done.new, done.unchanged, done.superseded) == (1, 1, 1)
    assert library(tmp_path / "store").units()["mirrors"].sum() == 12 + inspect(str(REFUSED)).summary.mirrors
    done = kept(tmp_path / "store", place, how=How(suffix="-other"))  # other options: the same captures
    assert (done.new, done.superseded) == (2, 2)
    done = kept(tmp_path / "store", place, how=How(suffix="-other"), version="2.0")
    assert (done.new, done.superseded, len(library(tmp_path / "store").units())) == (2, 2, 2)


def test_the_same_content_counts_once_and_may_move(tmp_path: Path, place: Path) -> None:
    shutil.copy(ITEMS, place / "a-copy.pcap")
    told: list[str] = []
    done = kept(tmp_path / "store", place, told=told)
    assert (done.new, done.twice, done.unchanged) == (2, 1, 0)
    assert any("same content" in text for text in told)
    assert names(library(tmp_path / "store").captures()) == ["a-copy.pcap", REFUSED.name]
    assert (done := kept(tmp_path / "store", place)).new == 0
    assert done.twice == 1
    (place / "deeper").mkdir()
    (place / "a-copy.pcap").unlink()
    os.rename(place / ITEMS.name, place / "deeper" / ITEMS.name)
    kept(tmp_path / "store", place)
    captures = library(tmp_path / "store").captures()
    assert names(captures) == [ITEMS.name, REFUSED.name]
    assert set(captures["source"]) == {"captures", "deeper"}


def test_a_capture_that_left_is_told_and_pruned(tmp_path: Path, place: Path) -> None:
    kept(tmp_path / "store", place)
    (place / ITEMS.name).unlink()
    told: list[str] = []
    assert kept(tmp_path / "store", place, told=told).gone == [str(place / ITEMS.name)]
    assert "no longer in the sources" in told[-1]
    kept(tmp_path / "store", LEAKY, prune=True)  # other sources say nothing about these
    assert len(library(tmp_path / "store").units()) == 3
    done = kept(tmp_path / "store", place, prune=True)
    assert (done.removed, len(library(tmp_path / "store").units())) == (1, 2)


def test_what_cannot_be_read_is_a_row(tmp_path: Path, place: Path) -> None:
    data = LEAKY.read_bytes()
    for kind in range(4):
        (place / f"bad-{kind}.pcap").write_bytes(batch_made.damaged(data, kind))
    done = kept(tmp_path / "store", place)
    assert dict(done.states) == {"read": 2, "damaged": 2, "failed": 2}
    assert done.damaged
    store = library(tmp_path / "store")
    units = store.units()
    failed = units[units["state"] == "failed"]
    assert set(failed["day"]) == {"unknown"}
    assert sorted(failed["error"]) == ["is empty", "not a capture; it looks like text"]
    assert set(store.faults()["code"]) >= {"unreadable", "truncated-record"}
    assert (kept(tmp_path / "store", place).new, kept(tmp_path / "store", place).damaged) == (0, True)


def test_a_file_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    why = "cannot be read: Permission denied"
    piece = Piece(str(ITEMS), 10, fetch.stamp_of(str(ITEMS)))
    with keeping(tmp_path / "store") as keeper:
        task = Task(Unit((piece,), "captures", (), why), How(), "1.0", str(keeper.root), keeper.run, keeper.token)
        one = read(task)
        keeper.commit(one, "captures", task.unit.paths)
        assert (one.state, one.error) == ("failed", why)
    assert (done := kept(tmp_path / "store", ITEMS)).new == done.superseded == 1
    assert library(tmp_path / "store").units()["state"].tolist() == ["read"]


def test_a_file_that_grows_or_vanishes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "growing.pcap"
    shutil.copy(LEAKY, path)
    ended = threading.Event()

    def grow() -> None:
        while not ended.is_set():
            with path.open("ab") as file:
                file.write(b"\0")
            time.sleep(0.002)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        kept(tmp_path / "store", path)
    finally:
        ended.set()
        thread.join()
    assert "changed while it was read" in library(tmp_path / "store").units()["error"][0]
    shutil.copy(LEAKY, path)
    assert (done := kept(tmp_path / "store", path)).new == done.superseded == 1
    gone = Unit((Piece(str(tmp_path / "gone.pcap"), 1, "1-1-1"),), "x")
    with keeping(tmp_path / "store") as keeper:
        assert read(Task(gone, How(), "1.0", str(keeper.root), keeper.run, keeper.token)).what == "vanished"


def test_a_worker_that_does_not_see_the_store_sends_the_rows(tmp_path: Path) -> None:
    kept(tmp_path / "one", LEAKY)
    with keeping(tmp_path / "two") as keeper:
        unit = Unit((Piece(str(LEAKY), LEAKY.stat().st_size, fetch.stamp_of(str(LEAKY))),), "captures")
        sent = read(Task(unit, How(), batch_store.VERSION, "/nowhere", keeper.run, keeper.token))
        assert sorted(sent.files) == sorted(f"{table}.parquet" for table in TABLES)
        keeper.commit(sent, "captures", unit.paths)
    assert batch_check.differ(tmp_path / "one", tmp_path / "two") == []


def test_one_run_at_a_time_and_leftovers_go(tmp_path: Path) -> None:
    with keeping(tmp_path / "store"), pytest.raises(UsageError, match="another run"), keeping(tmp_path / "store"):
        pass
    left = tmp_path / "store" / "work" / "0123" / "half-a-unit"
    left.mkdir(parents=True)
    (left / "mirrors.parquet").write_bytes(b"PAR1")
    kept(tmp_path / "store", ITEMS)
    assert list((tmp_path / "store" / "work").iterdir()) == []
    private = fetch.Path(fetch.tempfile.mkdtemp(prefix=fetch.PREFIX))
    os.utime(private, (1, 1))
    with fetch.private_folder() as ours:
        os.utime(ours, (1, 1))
        fetch.sweep()
        assert ours.exists()
        assert not private.exists()


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """The large version of this is scripts/batch_check.py kill."""
    batch_made.make(tmp_path / "captures", 8, 2)
    kept(tmp_path / "calm", tmp_path / "captures", version="0.1.0")
    words = [sys.executable, "-m", "inspector", "batch", str(tmp_path / "captures"), "--store", str(tmp_path / "store")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(list((tmp_path / "store").glob("data/*/*/*"))) < 3 and time.monotonic() < until:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert len(library(tmp_path / "store").units()) >= 3
    assert kept(tmp_path / "store", tmp_path / "captures", version="0.1.0").new < 8
    assert batch_check.differ(tmp_path / "calm", tmp_path / "store") == []
    assert batch_check.leftovers(tmp_path / "store") == []


def test_what_is_no_store_is_left_alone(tmp_path: Path, place: Path) -> None:
    with pytest.raises(UsageError, match="holds other files"):
        kept(place, ITEMS)
    with pytest.raises(UsageError, match="is not a store"):
        Store(tmp_path)
    kept(tmp_path / "store", ITEMS)
    (tmp_path / "store" / "store.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(UsageError, match="newer"):
        Store(tmp_path / "store")
    with pytest.raises(UsageError, match="newer"):
        kept(tmp_path / "store", ITEMS)


def test_an_older_store_is_brought_up_to_date(tmp_path: Path, place: Path) -> None:
    """Version 0 had no differences and fewer columns; a kill in between leaves what goes on."""
    root = tmp_path / "store"
    kept(root, place)
    units = sorted(root.glob("data/*/*/*"))
    before = library(root).mirrors(columns=["unit", "id", "verdict", "path"])
    for folder in units:
        (folder / "differences.parquet").unlink()
        held = pq.read_table(folder / "mirrors.parquet", partitioning=None)
        pq.write_table(held.drop_columns(["mirror_host", "status_same", "evidence"]), folder / "mirrors.parquet")
    migrate.mark(root, 0)
    with pytest.raises(UsageError, match="older"):
        Store(root)
    migrate.complete(units[0])  # one was done before the kill
    assert kept(root, place).new == 0
    assert migrate.version(root) == 1
    after = library(root)
    assert after.mirrors(columns=["unit", "id", "verdict", "path"]).equals(before)
    assert after.mirrors()["mirror_host"].isna().all()
    assert after.differences().empty
    for table in TABLES:
        assert pq.read_schema(units[0] / f"{table}.parquet").equals(schema(table))
