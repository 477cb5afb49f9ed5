"""The library over a store: filters are pushed down, nanoseconds stay, and other tools read the same files."""

import re
from datetime import UTC, datetime
from pathlib import Path

import batch_made
import duckdb
import pandas as pd
import pytest
from batch_store import CAPTURES, kept, library

from inspector.batch.library import Store
from inspector.batch.schema import PARTITIONS, TABLES
from inspector.errors import UsageError
from inspector.inspection import inspect

_START = next(batch_made.records((CAPTURES / "leaky-gw.pcap").read_bytes()))[0]
FIRST, BETWEEN, SECOND = (datetime.fromtimestamp(_START + k * 86400, UTC).date().isoformat() for k in range(3))
DOCS = Path(__file__).parents[2] / "docs" / "store.md"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leak today, the same captures two days later in another folder, and a file that is none."""
    folder = tmp_path_factory.mktemp("library")
    for name, hours in (("node-a", 0), ("node-b", 48)):
        (folder / name).mkdir()
        for capture in ("leaky-gw", "items-client"):
            data = batch_made.shifted((CAPTURES / f"{capture}.pcap").read_bytes(), hours)
            (folder / name / f"{capture}.pcap").write_bytes(data)
    (folder / "node-b" / "none.pcap").write_text("no capture")
    kept(folder / "store", folder / "node-a", folder / "node-b")
    return folder / "store"


@pytest.fixture
def store(root: Path) -> Store:
    return library(root)


def test_filters(store: Store) -> None:
    assert len(store.mirrors()) == 30
    assert len(store.mirrors(verdict="leaked")) == 8
    assert len(store.mirrors(verdict=["leaked", "discarded"], source="node-a")) == 15
    assert set(store.mirrors(since=BETWEEN)["source"]) == {"node-b"}
    assert set(store.mirrors(until=pd.Timestamp(BETWEEN), columns=["day", "id"])["day"]) == {FIRST}
    assert len(store.mirrors(day=SECOND)) == len(store.mirrors(day=[SECOND, "2020-01-01"])) == 15
    assert set(store.exchanges(leg="mirror")["leg"].astype(str)) == {"mirror"}
    times = store.mirrors()["request_time"].sort_values()
    at = times.iloc[3].value
    assert len(store.mirrors(since=at)) == 27
    assert len(store.mirrors(until=at)) == 3
    assert len(store.differences(verdict="leaked")) < len(store.differences(since=BETWEEN)) < len(store.differences())
    assert set(store.differences(verdict="leaked", columns=["part", "source"])) == {"part", "source"}


def test_what_has_no_time_is_always_told(store: Store) -> None:
    assert store.units(since="2030-01-01")["state"].tolist() == ["failed"]
    assert len(store.captures(since=BETWEEN)) == 3
    assert len(store.captures(until=BETWEEN)) == 3
    assert store.faults(since="2030-01-01")["code"].astype(str).tolist() == ["unreadable"]
    assert len(store.faults(columns=["code"])) == len(store.faults())


def test_frames_lose_nothing(store: Store) -> None:
    mirrors = store.mirrors()
    assert str(mirrors["request_time"].dtype) == "datetime64[ns, UTC]"
    assert mirrors["lag_ns"].dtype == pd.Int64Dtype()
    assert mirrors["body_same"].dtype == pd.BooleanDtype()
    assert list(mirrors.columns) == store.names("mirrors")
    assert list(store.mirrors(columns=["path", "unit"]).columns) == ["path", "unit"]
    files = store.dataset("mirrors", day=FIRST, source="node-a").files
    assert len(files) == 2  # no other file is opened


def test_wrong_questions(store: Store) -> None:
    for ask in (
        lambda: store.dataset("nonsense"),
        lambda: store.mirrors(columns=["nonsense"]),
        lambda: store.mirrors(since="tomorrow or so"),
        lambda: store.mirrors(since=""),
    ):
        with pytest.raises(UsageError):
            ask()
    assert store.mirrors(day="2001-01-01").empty


def test_a_store_that_is_written_meanwhile(root: Path, store: Store) -> None:
    """A unit that is replaced between listing and reading: it is listed again."""
    seen = []

    class Moving(Store):
        def dataset(self, *args, **options):
            found = super().dataset(*args, **options)
            if not seen:
                seen.append(kept(root, root.parent / "node-a", version="2.0"))
            return found

    assert len(Moving(root).mirrors()) == 30
    assert seen[0].new == 2


def test_duckdb_as_the_docs_have_it(root: Path) -> None:
    queries = re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)
    found = [duckdb.sql(query.replace("store/data", str(root / "data"))).fetchall() for query in queries]
    assert sum(row[3] for row in found[0]) == 8
    leaks = [m for m in inspect(str(CAPTURES / "leaky-gw.pcap")).mirror_views() if m.verdict == "leaked"]
    here = [(packet, says[:12]) for path, packet, says in found[1] if "node-a" in path]
    assert sorted(here) == sorted((e.packet, e.says[:12]) for m in leaks for e in m.evidence)


def test_every_column_is_in_the_docs() -> None:
    text = DOCS.read_text()
    for table, columns in TABLES.items():
        section = text.split(f"### {table}\n")[1].split("\n## ")[0].split("\n### ")[0]
        for name in columns:
            assert f"`{name}`" in section, f"docs/store.md does not tell what {table}.{name} is"
    assert all(f"**{name}**" in text for name in PARTITIONS)
