"""Nothing in a capture or in a file's name makes a unit or an output fail: bytes that are no UTF-8, halves of emojis, NULs."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_store import CAPTURES, kept, library
from capture_files import described, enhanced, option, section
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_traffic import CLIENT, PROXY, RAW, V1, V2, Made, told

from inspector.batch import round, watch
from inspector.batch.engine import Where
from inspector.batch.report import build
from inspector.batch.rows import array
from inspector.batch.schema import TABLES
from inspector.batch.store import keeping
from inspector.batch.units import How
from inspector.cli.program import run
from inspector.render.text import escape
from inspector.storable import everything, named, path_of, storable

LEAKY, ITEMS = CAPTURES / "leaky-gw.pcap", CAPTURES / "items-client.pcap"
LONE = re.compile("[\ud800-\udfff]")
TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)  # with surrogates, NULs and all the rest
PLACES = ("method", "path", "host", "id", "name", "value", "reason", "key", "text", "raw")
PIECES = ["\\", "x", "e9", "5c", "\udce9", "\udc80", "u", "d83d", "/", "é"]


@settings(deadline=None)
@given(TEXTS)
def test_any_text_can_be_stored(text: str) -> None:
    found = storable(text)
    found.encode()
    assert storable(found) == found
    if not LONE.search(text):
        assert found == text
    assert everything({text: [text, 1, None, (text,)]}) == {found: [found, 1, None, [found]]}
    for kind in (pa.string(), pa.dictionary(pa.int32(), pa.string())):
        assert array([text, None], kind).to_pylist() == [found, None]


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(max_size=12), st.lists(st.sampled_from(PIECES), max_size=9).map(lambda x: os.fsencode("".join(x)))
    )
)
def test_a_path_comes_back(raw: bytes) -> None:
    path = os.fsdecode(raw)
    named(path).encode()
    assert path_of(named(path)) == path


def captured(planted: dict[str, bytes]) -> bytes:
    """A pcapng with a leaky mirror whose bodies differ, and what is planted at each of PLACES, in comments and names too."""
    p = {name: planted.get(name, b"x") for name in PLACES}
    made = Made()
    lines = b"x-request-id: id-1%s\r\nx-%s: %s\r\n" % (p["id"], p["name"], p["value"])
    said = b"content-type: application/json\r\nx-said: %s\r\n" % p["value"]
    body = b'{"v": %d, "a%s": {"k": "%d %s"}, "raw": "%d%s"}'
    for at, client, server, suffix, took in (
        (0, CLIENT, PROXY, b"", 3),
        (0.2, PROXY, V1, b"", 1),
        (0.3, PROXY, V2, b"-shadow", 2),
    ):
        n = 1 if server == V1 else 2  # the client gets what the copy was answered
        request = b"GET%s /%s HTTP/1.1\r\nhost: h%s%s\r\n%s\r\n" % (p["method"], p["path"], p["host"], suffix, lines)
        answer = told(body % (n, p["key"], n, p["text"], n, p["raw"]), said, "200 @")
        made.exchange(at, client, server, request, answer.replace(b"@", p["reason"], 1), took)
    order = sorted(range(len(made.times)), key=lambda i: made.times[i])
    end = option(0, b"")
    interface = option(2, p["raw"][:50]) + option(1, p["raw"][:50]) + option(9, b"\x09") + end
    comment = option(1, p["raw"][:50]) + end
    packets = [enhanced(made.frames[i], made.times[i], options=comment) for i in order]
    return section() + described(RAW, options=interface) + b"".join(packets)


def quoted(text: str) -> bytes:
    """Text inside of a string of JSON; halves of emojis as escapes."""
    return json.dumps(text)[1:-1].encode()


def texts(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in texts(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in texts(part))


def whole(document: str) -> Any:
    """JSON in which every text can be written as UTF-8."""
    found = json.loads(document)
    for text in texts(found):
        text.encode()
    return found


BYTES = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"caf\xe9", b"\xed\xa0\xbd", b"\0", b"\xff\xfe", "é😀".encode()])
)
PLANTED = st.fixed_dictionaries(
    {name: st.one_of(TEXTS.map(quoted), BYTES) for name in ("key", "text")},
    optional={name: BYTES for name in PLACES if name not in ("key", "text")},
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(PLANTED)
def test_whatever_is_planted_the_unit_is_stored_and_reported(planted: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.pcapng"
        path.write_bytes(captured(planted))
        done = kept(Path(name) / "store", path)
        assert done.states["failed"] == 0, library(Path(name) / "store").units()["error"].tolist()
        assert done.new == 1
        for table in TABLES:
            for file in Path(name).rglob(f"{table}.parquet"):
                pq.read_table(file, partitioning=None).validate(full=True)
        built = build(Path(name) / "store", Path(name) / "report")
        for page in built.folder.rglob("*.*"):
            page.read_text("utf-8", "strict")
        whole((built.folder / "report.json").read_text())


def test_a_latin_1_byte_and_half_an_emoji_keep_their_leak(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(captured({"raw": b"caf\xe9", "text": b"\\ud83d \\u0000", "key": b"\\udc00", "reason": b"\xe9"}))
    assert kept(tmp_path / "store", path).states == {"read": 1}
    store = library(tmp_path / "store")
    assert store.mirrors()["verdict"].tolist() == ["leaked"]
    bodies = store.differences(columns=["part", "field", "original"]).query("part == 'body'")
    assert dict(zip(bodies["field"], bodies["original"], strict=True)) == {
        "$.v": "1", r'$["a\udc00"].k': r'"1 \ud83d \u0000"', "$.raw": r'"1caf\xe9"',
    }  # fmt: skip


def formats() -> Iterator[list[str]]:
    for form in ("table", "json", "ndjson", "csv", "markdown", "mermaid", "har", "html"):
        yield ["--format", form, *([] if form == "html" else ["--show-mirrors"])]
    for form in ("table", "json", "markdown", "mermaid", "svg"):
        yield ["--explain", "1", "--format", form]
    for which in ("1", "all"):
        for form in ("table", "json", "markdown"):
            yield ["--diff", which, "--format", form]
    yield ["--format", "json"]
    yield ["--show-exchanges", "--format", "csv"]


def odd(folder: Path, name: bytes) -> Path:
    """A path whose last part is no UTF-8."""
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    return path


@pytest.mark.parametrize("args", list(formats()), ids=" ".join)
def test_every_output_can_hold_it(args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To standard output and to a file, of a capture whose name and bodies are no UTF-8."""
    path, target = odd(tmp_path, b"caf\xe9.pcapng"), odd(tmp_path, b"out\xe9")
    path.write_bytes(
        captured({"raw": b"caf\xe9", "text": b"\\ud83d", "key": b"\\ud83d", "host": b"\xe9", "reason": b"\xe9"})
    )
    for more in ([], ["-o", str(target)]):
        assert run([str(path), *args, "--no-redact", *more]) == 0
        said = capsys.readouterr()
        assert "bug" not in said.err
        text = target.read_text("utf-8", "strict") if more else said.out
        assert not LONE.search(text)
        form = args[args.index("--format") + 1]
        if form in ("json", "har"):
            whole(text)
        elif form == "ndjson":
            assert [whole(line) for line in text.splitlines()]
        elif form == "csv":
            assert list(csv.reader(io.StringIO(text)))


def test_evidence_and_messages_of_a_file_with_such_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, target = odd(tmp_path, b"caf\xe9.pcap"), odd(tmp_path, b"evid\xe9nce.pcapng")
    path.write_bytes(LEAKY.read_bytes())
    for more in ([], ["--anonymise"]):
        assert run([str(path), "--write-evidence", str(target), *more]) == 0
        assert r"evid\xe9nce.pcapng" in capsys.readouterr().err
    assert run([str(target), "--show-mirrors"]) == 0
    assert run(["packet", "1", str(path)]) in (0, 2)
    capsys.readouterr()
    path.write_bytes(b"no capture")
    assert run([str(path)]) == 2
    assert r"caf\xe9.pcap: not a capture" in capsys.readouterr().err
    path.unlink()
    assert run([str(path)]) == 2
    assert r"caf\xe9.pcap" in capsys.readouterr().err


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a capture and an archive of one, whose names are no UTF-8."""
    folder = tmp_path / "captures"
    folder.mkdir()
    odd(folder, b"caf\xe9.pcap").write_bytes(LEAKY.read_bytes())
    with tarfile.open(odd(folder, b"arch\xe9.tar"), "w", encoding="utf-8", errors="surrogateescape") as tar:
        tar.add(ITEMS, os.fsdecode(b"it\xe9ms.pcap"))
    return folder


def test_a_store_finds_such_names_again(tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, report = tmp_path / "store", odd(tmp_path, b"r\xe9port")
    report.unlink()

    def batch(*words: object) -> str:
        assert run(["batch", str(place), "--store", str(store), "--report", str(report), *map(str, words)]) == 0
        return capsys.readouterr().out

    assert "2 read now." in batch()
    assert "2 unchanged." in batch()
    (store / "seen.json").unlink()  # the names in the tables do as well
    assert "2 unchanged." in batch("--prune")
    assert "2 read now." in batch("--force", "--workers", 2)
    assert sorted(library(store).captures()["path"]) == [
        rf"{place}/arch\xe9.tar:it\xe9ms.pcap", rf"{place}/caf\xe9.pcap"
    ]  # fmt: skip
    found = whole((report / "report.json").read_text())
    commands = [pair["command"] for pair in found["pairs"]]
    commands = [next(c for c in commands if c.startswith(word)) for word in ("tar", "inspect")]
    for command in commands:  # they work as they stand there
        words = command.replace("inspect", f"{sys.executable} -m inspector")
        done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    next(path for path in place.iterdir() if path.suffix == ".pcap").unlink()
    assert "1 unchanged, 1 removed." in batch("--prune")


def test_a_store_and_sources_below_such_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = odd(tmp_path, b"h\xe9me")
    home.unlink()
    (home / "captures").mkdir(parents=True)
    (home / "captures" / "x.pcap").write_bytes(LEAKY.read_bytes())
    (home / "captures" / "bad.pcap").write_bytes(b"no capture")
    words = ["batch", str(home / "captures"), "--store", str(home / "store"), "--report", str(home / "report")]
    assert [run(words), run(words)] == [3, 3]
    said = capsys.readouterr()
    assert "2 unchanged" in said.out
    assert r"h\xe9me/captures/bad.pcap: not a capture" in said.err
    assert len(library(home / "store").mirrors(verdict="leaked")) == 4


def test_watching_such_names(tmp_path: Path, place: Path) -> None:
    ended = threading.Event()
    rounds: list[round.Round] = []
    with keeping(tmp_path / "store") as keeper:

        def once(plan: round.Plan) -> round.Round:
            rounds.append(round.run(keeper, plan, ended.is_set, lambda _: None, round.Silent(), "1.0"))
            if len(rounds) == 2:
                ended.set()
            return rounds[-1]

        watch.watch(round.Plan((), How(), Where(1), maybe=(str(place),)), once, ended, rest=0)
    assert [(done.new, done.unchanged) for done in rounds] == [(2, 0), (0, 2)]


def test_what_is_shown_is_one_byte() -> None:
    assert escape("caf\udce9 \ud83d") == r"caf\xe9 \u{d83d}"
