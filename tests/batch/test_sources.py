"""What SOURCE... means, and which captures are pieces of one."""

import gzip
import io
import os
import re
import tarfile
from pathlib import Path

import batch_check
import batch_made
import batch_store
import pytest
from batch_store import CAPTURES, kept, library, names

from inspector.batch import remote, rotation
from inspector.batch.rotation import Name, name_of
from inspector.batch.seen import Memory
from inspector.batch.sources import SourceFinder, as_regex, owner
from inspector.batch.units import Piece, source_name
from inspector.errors import UsageError
from inspector.inspection import inspect

LEAKY, ITEMS = CAPTURES / "leaky-gw.pcap", CAPTURES / "items-client.pcap"


def found(*sources, skip=()):
    return SourceFinder(Memory({}), skip).find([str(s) for s in sources])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.pcap", Name("x.pcap", "count", 0)),
        ("x.pcap3", Name("x.pcap", "count", 3)),
        ("x.pcap007.gz", Name("x.pcap", "count", 7)),
        ("x-20261121T100000.pcap", Name("x-@.pcap", "time", 1795255200)),
        ("x_2026-11-21_10:00:00.pcap2", Name("x_@.pcap", "time", 1795255200)),
        ("x.1795255200.pcap.zst", Name("x.@.pcap", "time", 1795255200)),
        ("x_00002_20261121100000.pcapng", Name("x_#_@.pcapng", "time", 1795255200)),
        ("node-12.pcap", Name("node-#.pcap", "number", 12)),
        ("x-20261399T100000.pcap", Name("x-20261399T#.pcap", "number", 100000)),
        ("notes.txt", None),
    ],
)
def test_names_of_pieces(name: str, said: Name | None) -> None:
    assert name_of(name) == said


def rotated(folder: Path, names: list[str], source: Path = LEAKY) -> list[Path]:
    folder.mkdir(exist_ok=True)
    out = []
    for name, data in zip(names, batch_made.pieces(source.read_bytes(), len(names)), strict=True):
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        out.append(folder / name)
    return out


def units(folder: Path) -> list[list[str]]:
    pieces = found(folder).pieces.values()
    return sorted([os.path.basename(p) for p in unit.paths] for unit in rotation.units(pieces, Memory({})))


@pytest.mark.parametrize(
    "written",
    [
        ["x.pcap", "x.pcap1", "x.pcap2", "x.pcap3"],
        ["x1.pcap", "x1.pcap1", "x1.pcap2"],
        ["x.pcap2", "x.pcap3", "x.pcap0", "x.pcap1"],  # -W 4: a ring, oldest first
        ["x.pcap", "x.pcap1.gz", "x.pcap2.gz"],
        ["x-1.pcap", "x-2.pcap", "x-3.pcap"],
    ],
)
def test_a_connection_that_crosses_a_rotation_is_whole(tmp_path: Path, written: list[str]) -> None:
    rotated(tmp_path / "captures", written)
    assert units(tmp_path / "captures") == [written]
    if written[-1] == "x.pcap3":
        kept(tmp_path / "store", tmp_path / "captures")
        store, whole = library(tmp_path / "store"), inspect(str(LEAKY))
        assert store.units()["connections"].tolist() == [whole.summary.connections]
        assert store.mirrors().sort_values("id")["verdict"].tolist() == [m.verdict for m in whole.mirror_views()]
        assert set(store.exchanges()["capture"]) == {0, 1, 2, 3}


def test_times_in_names_are_those_of_the_packets(tmp_path: Path) -> None:
    first = next(batch_made.records(LEAKY.read_bytes()))[0]
    files = rotated(tmp_path, [f"x-{first + k}.pcap" for k in range(3)])
    assert units(tmp_path) == [[f.name for f in files]]
    os.rename(files[2], tmp_path / f"x-{first + 400}.pcap")  # a name of another time: it says nothing
    assert len(units(tmp_path)) == 2


def test_what_is_no_rotation_stays_apart(tmp_path: Path) -> None:
    """Two nodes at the same time; a missing piece; another link type; pieces of another day."""
    data = LEAKY.read_bytes()
    files = {"node-1.pcap": data, "node-2.pcap": data[:24] + data[24:][:30000]}
    one, _two, three = batch_made.pieces(data, 3)
    files |= {"y.pcap": one, "y.pcap2": three}
    files |= {"z.pcap": one, "z.pcap1": three[:20] + b"\x01\0\0\0" + three[24:]}
    files |= {"w.pcap": one, "w.pcap1": batch_made.shifted(three, 30)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert units(tmp_path) == sorted([name] for name in files)


def test_long_chains_are_cut_at_midnight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "LONGEST", 3)
    data = batch_made.pieces(LEAKY.read_bytes(), 1)[0]
    last = 23 - next(batch_made.records(data))[0] // 3600 % 24  # hours to the last one of the day (UTC)
    for k in range(5):  # an hour apart
        (tmp_path / f"x.pcap{k}").write_bytes(batch_made.shifted(data, last + k))
    found_units = rotation.units(found(tmp_path).pieces.values(), Memory({}))
    assert [len(u.pieces) for u in found_units] == [1, 3, 1]
    assert all("longer rotated capture" in u.notes[0] for u in found_units)


def test_folders_are_walked_and_nothing_is_left_out_in_silence(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one.pcap").write_bytes(ITEMS.read_bytes())
    (tmp_path / "a" / "without-a-name").write_bytes(ITEMS.read_bytes())
    (tmp_path / "a" / "notes.txt").write_text("no capture")
    os.symlink(tmp_path / "a", tmp_path / "a" / "b" / "round")
    os.symlink(tmp_path / "nowhere", tmp_path / "a" / "broken.pcap")
    os.mkfifo(tmp_path / "a" / "pipe.pcap")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text("{}")
    (tmp_path / "store" / "inside.pcap").write_bytes(b"")
    seen = found(tmp_path)
    assert sorted(Path(p).name for p in seen.pieces) == ["one.pcap", "without-a-name"]
    told = "\n".join(seen.told)
    for part in (
        "round: leads to a folder",
        "broken.pcap: cannot be read",
        "pipe.pcap: is not a regular",
        "1 file does not look like a capture",
    ):
        assert part in told
    assert sorted(found(tmp_path / "a" / "*" / "*.pcap", tmp_path / "a/b/one.pcap").pieces) == [
        str(tmp_path / "a/b/one.pcap")
    ]
    with pytest.raises(UsageError, match="no such file"):
        found(tmp_path / "absent")
    with pytest.raises(UsageError, match="matches no file"):
        found(tmp_path / "*.absent")


def archive(path: Path, members: dict[str, bytes], mode: str) -> None:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(("name", "mode"), [("old.tar", "w"), ("old.tar.gz", "w:gz")])
def test_archives_hold_captures(tmp_path: Path, name: str, mode: str) -> None:
    pieces = batch_made.pieces(LEAKY.read_bytes(), 2)
    members = {
        "../../escape.pcap": ITEMS.read_bytes(),
        "readme": b"x" * 1000,
        "x.pcap": pieces[0],
        "x.pcap1": pieces[1],
    }
    archive(tmp_path / name, members, mode)
    done = kept(tmp_path / "store", tmp_path / name)
    assert (done.captures, done.units, done.damaged) == (3, 2, False)
    store = library(tmp_path / "store")
    assert names(store.captures()) == ["escape.pcap", f"{name}:x.pcap", f"{name}:x.pcap1"]
    assert store.units()["mirrors"].sum() == 15
    assert set(store.units()["source"]) == {"old"}
    assert not list(tmp_path.parent.rglob("escape.pcap"))
    assert kept(tmp_path / "store", tmp_path / name).new == 0


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    archive(tmp_path / "cut.tar", {"a.pcap": ITEMS.read_bytes(), "b.pcap": LEAKY.read_bytes()}, "w")
    data = (tmp_path / "cut.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(data[:14000] + b"\xff" * 600 + data[14600:])
    told: list[str] = []
    done = kept(tmp_path / "store", tmp_path / "cut.tar", told=told)
    assert dict(done.states) == {"read": 1, "failed": 1}
    assert "the members before it are read" in told[0]


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real S3 server on loopback; and what is said where a library is missing."""
    folder = tmp_path / "captures"
    folder.mkdir()
    rotated(folder, ["x.pcap", "x.pcap1"])
    (folder / "items.pcap").write_bytes(ITEMS.read_bytes())
    archive(folder / "old.tar.gz", {"refused.pcap": (CAPTURES / "refused-client.pcap").read_bytes()}, "w:gz")
    remote._system.cache_clear()
    with batch_check.s3_server() as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        batch_check.upload(env, folder, "bucket")
        done = kept(tmp_path / "s3", "s3://bucket")
        assert (done.units, done.captures, done.new) == (3, 4, 3)
        again = kept(tmp_path / "s3", "s3://bucket/i*.pcap", "s3://bucket/*.pcap?", "s3://bucket/x.pcap", prune=True)
        assert (again.new, again.unchanged, again.gone) == (0, 2, [])
        with pytest.raises(UsageError, match="nothing was found"):
            found("s3://bucket/absent/")
    kept(tmp_path / "files", folder)
    assert batch_check.differ(tmp_path / "files", tmp_path / "s3", placed=True) == []
    assert library(tmp_path / "s3").captures()["path"].min() == "s3://bucket/items.pcap"
    with pytest.raises(UsageError, match="gs:// needs") as error:
        found("gs://bucket/x.pcap")
    assert ".[batch,gs]" in (error.value.hint or "")
    with pytest.raises(UsageError, match="not known"):
        found("nonsense://x")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/a/*.pcap", "/a/x.pcap", True),
        ("/a/*.pcap", "/a/b/x.pcap", False),
        ("/a/*.pcap", "/a/old.tar:x.pcap", False),
        ("/a/*.tar", "/a/old.tar:x.pcap", True),
        ("/a/**/*.pcap", "/a/x.pcap", True),
        ("/a/**/*.pcap", "/a/b/c/x.pcap", True),
        ("/a/[!x]?.pcap", "/a/yz.pcap", True),
        ("/a/[!x]?.pcap", "/a/xz.pcap", False),
        ("/a(b/*.pcap", "/a(b/x.pcap", True),
    ],
)
def test_a_pattern_covers_what_it_would_match(pattern: str, path: str, fits: bool) -> None:
    assert (re.fullmatch(as_regex(pattern), owner(path)) is not None) == fits


def test_names_of_sources() -> None:
    assert source_name("node-a") == "node-a"
    assert source_name("a/b=c") != source_name("a/b c")
    assert set(source_name("../../\x1b[31m")) <= set("abcdefghijklmnopqrstuvwxyz0123456789-m.")
    assert rotation._unit([Piece("s3://bucket/node-b/x.pcap", 1, "")]).source == "node-b"
    assert batch_store.VERSION
