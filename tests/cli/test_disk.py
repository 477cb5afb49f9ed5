"""A disk that is full, read-only or without locks: a sentence names the path and what to do, and what is finished stays."""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import pickle
import tarfile
from pathlib import Path

import pytest
import small_disk
from batch_store import CAPTURES, kept, library

from inspector import disk, lang
from inspector.batch import fetch
from inspector.cli.program import run

LEAKY, ITEMS = CAPTURES / "leaky-gw.pcap", CAPTURES / "items-client.pcap"


def refused(done: tuple[int, str, str], path: Path | str, why: str, hint: str) -> None:
    """It is the disk's fault, and the reader knows what to do."""
    status, _out, err = done
    assert status == 2, err
    assert f"inspect: {path}: cannot be written: {why}" in err
    assert hint in err
    assert "bug in" not in err


def archive(path: Path) -> Path:
    """Captures in a compressed tar, which has to be unpacked to be read."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for name in (LEAKY, ITEMS):
            tar.add(name, name.name)
    path.write_bytes(gzip.compress(held.getvalue()))
    return path


def test_a_store_on_a_full_disk_keeps_what_is_finished(tmp_path: Path) -> None:
    store = tmp_path / "disk" / "store"
    script = """
run batch "$1" --store "$disk/store"
full 0
run batch "$1" "$2" --store "$disk/store"
run batch "$2" --store "$disk/other"
empty; full 24576
run batch "$1" "$2" --store "$disk/store" --force
empty
run batch "$1" "$2" --store "$disk/store"
"""
    first, *full, last = small_disk.on(tmp_path / "disk", script, str(ITEMS), str(LEAKY))
    assert first[0] == 0, first[2]
    for done, path in zip(full, (store, tmp_path / "disk" / "other", store), strict=True):
        refused(done, path, "No space left on device", "free some space there, or name another folder with --store")
    assert "1 read now, 1 unchanged" in last[1]
    assert last[0] == 0


def test_a_store_that_is_read_only(tmp_path: Path) -> None:
    script = """
run batch "$1" --store "$disk/store" --report "$disk/report"
protect
run batch "$1" --store "$disk/store"
run batch "$1" --store "$disk/new"
run batch "$1" --store "$2" --report "$disk/report" --since 2030-01-01
run batch "$1" --store "$2" --report "$disk/fresh"
run "$1" -o "$disk/out.json"
run "$1" --write-evidence "$disk/evidence.pcapng"
"""
    first, *rest = small_disk.on(tmp_path / "disk", script, str(ITEMS), str(tmp_path / "elsewhere"), size="8m")
    assert first[0] == 0
    wanted = {
        "store": "--store", "new": "--store", "report": "--report", "fresh": "--report", "out.json": "with -o",
        "evidence.pcapng": "--write-evidence",
    }  # fmt: skip
    for done, (name, hint) in zip(rest, wanted.items(), strict=True):
        refused(done, tmp_path / "disk" / name, "Read-only file system", hint)
    assert len(library(tmp_path / "elsewhere").units()) == 1  # what was read before the report failed


def test_outputs_on_a_full_disk(tmp_path: Path) -> None:
    script = """
full 8192
run "$1" --format html -o "$disk/report.html"
run "$1" --show-mirrors --json -o "$disk/report.json"
rm "$disk"/report.*
run "$1" --show-mirrors --write-evidence "$disk/evidence.pcapng"
run batch "$1" --store "$2" --report "$disk/report"
ls -A "$disk" >"$2/left"
"""
    (tmp_path / "store").mkdir()
    kept(tmp_path / "store", ITEMS)
    done = small_disk.on(tmp_path / "disk", script, str(LEAKY), str(tmp_path / "store"))
    names = ("report.html", "report.json", "evidence.pcapng", "report")
    hints = ("with -o", "with -o", "--write-evidence", "--report")
    for each, name, hint in zip(done, names, hints, strict=True):
        refused(
            each,
            tmp_path / "disk" / name,
            "No space left on device",
            f"free some space there, or {'name' if name == 'report' else 'give'}",
        )
        assert hint in each[2]
    left = (tmp_path / "store" / "left").read_text().split()
    assert sorted(left) == ["filler", "report"]  # no half of a file


def test_no_room_for_temporary_files(tmp_path: Path) -> None:
    script = """
export TMPDIR="$disk"
full 8192
run "$1" --show-mirrors
run "$2" --write-evidence "$3" --anonymise
run batch "$1" --store "$4"
run batch "$2" --store "$4"
"""
    packed, store = archive(tmp_path / "two.tar.gz"), tmp_path / "store"
    words = [str(packed), str(LEAKY), str(tmp_path / "evidence.pcapng"), str(store)]
    *full, last = small_disk.on(tmp_path / "disk", script, *words)
    for done in full:
        refused(done, tmp_path / "disk", "No space left on device", "set TMPDIR to another folder")
    assert last[0] == 0  # where nothing temporary is needed
    assert not (tmp_path / "evidence.pcapng").exists()
    assert library(store).units()["state"].tolist() == ["read"]  # the archive was not blamed
    assert kept(store, packed, version="1.0").new == 2


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without(file: object, how: int) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", without)
    assert run(["batch", str(ITEMS), "--store", str(tmp_path / "store")]) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path / 'store'}: cannot be locked" in err
    assert "that has locks, with --store" in err
    with fetch.private_folder() as folder:  # temporary folders do without
        assert folder.is_dir()
    fetch.sweep()


def test_a_full_disk_below_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """What no room of ours has opened, such as a library's cache, is no bug of ours either."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "cache"))

    monkeypatch.setattr("inspector.cli.work.do", full)
    assert run([str(ITEMS)]) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path / 'cache'}: cannot be written: No space left on device" in err
    assert "bug" not in err


def test_a_worker_s_error_is_told_in_the_user_s_language() -> None:
    error = disk.unwritable("/store", OSError(errno.ENOSPC, "x"), "store")
    sent = pickle.loads(pickle.dumps(error))
    assert (sent.message, sent.hint) == (error.message, error.hint)
    lang.use("ko")
    try:
        assert "쓸 수 없습니다" in sent.again().message
        assert "--store" in sent.again().hint
    finally:
        lang.use("en")


def test_a_temporary_file_reads_what_was_written() -> None:
    for buffered in (True, False):
        with disk.temporary_file(buffered) as file:
            file.write(b"abc" * 100_000)
            file.flush()
            file.seek(3)
            assert file.read(3) == b"abc"
