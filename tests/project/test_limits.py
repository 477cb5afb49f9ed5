"""Every bound: the table agrees with the code, --limit reaches it, and what it drops is told."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest
from exchanges import exchange, table
from made_traffic import CLIENT, V1, Made, asked, told
from tcp_traffic import ACK, SECOND, Packet, numbered, segments
from work import steps

import inspector
from inspector import limits
from inspector.cli.program import run
from inspector.errors import UsageError
from inspector.inspection.counts import Tally
from inspector.inspection.summary import InputCounts, unseen
from inspector.mirror.pool import Rules, Settler
from inspector.mirror.tables import Exchanges
from inspector.tcp import TcpOptions, Tracker

MS = 1_000_000


@pytest.mark.parametrize("limit", limits.LIMITS, ids=lambda limit: limit.name)
def test_the_table_says_what_the_code_does(limit: limits.Limit) -> None:
    module, name = limit.home.split(":")
    found = import_module(module)
    first, _, rest = name.partition(".")
    if rest:
        assert is_dataclass(getattr(found, first))
        defaults = {f.name: f.default for f in fields(getattr(found, first))}
        assert defaults[rest] == limit.default
    else:
        assert getattr(found, first) == limit.default
    assert limit.least <= limit.default <= limit.most


def test_names_are_told_apart_and_values_are_read() -> None:
    assert {limit.unit for limit in limits.LIMITS} == {*limits.UNITS, "bytes"}
    assert len(limits.BY_NAME) == len(limits.LIMITS) == len({limit.home for limit in limits.LIMITS})
    assert limits.parse("decoded-body=64MiB") == ("decoded-body", 64 << 20)
    assert limits.parse("waiting-requests=65536") == ("waiting-requests", 65536)
    for bad in ("", "x=1", "tunnels=9", "decoded-body", "decoded-body=", "decoded-body=-1", "decoded-body=1e9",
                "decoded-body=9999999GiB", "decoded-body=١", "open-connections=1", "decoded-body=64 MB"):  # fmt: skip
        with pytest.raises(UsageError):
            limits.parse(bad)
    before = limits.value("decoded-body")
    with limits.use({"decoded-body": 2048, "open-connections": 20}):
        assert limits.value("decoded-body") == 2048
        assert limits.chosen("inspector.tcp.state:TcpOptions") == {"busy_connections": 20}
        with pytest.raises(UsageError), limits.use({"tunnels": 9}):
            pass
        assert limits.value("open-connections") == 20
    assert limits.value("decoded-body") == before
    assert limits.chosen("inspector.tcp.state:TcpOptions") == {}


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """300 requests that nobody answers, each on its connection, then one that is mirrored."""
    made = Made()
    for i in range(300):
        made.exchange(i, CLIENT, V1, asked("/wait", "catalog"), None)
    made.mirrored(400)
    path = tmp_path / "many.pcap"
    path.write_bytes(made.pcap())
    return path


def printed(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(args) in (0, 3)
    return " ".join(capsys.readouterr().out.split())


def test_open_connections_are_bounded_and_told(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed([str(capture), "--limit", "open-connections=100"], capsys)
    assert "203 connections with payload had to be forgotten, the idlest first" in out
    assert "1 discarded" in out
    assert "had to be forgotten" not in printed([str(capture)], capsys)


def test_waiting_exchanges_are_bounded_and_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from inspector.inspection import reading
    from inspector.mirror import pool as settle

    monkeypatch.setattr(reading, "EPOCH", 100)
    monkeypatch.setattr(settle, "ENOUGH", 100)
    made = Made()
    for i in range(300):
        made.exchange(i * 10, CLIENT, V1, asked(f"/{i}", "catalog"), told(b"x"))
    path = tmp_path / "waiting.pcap"
    path.write_bytes(made.pcap())
    assert "exchanges did not wait for a copy as long as --window says" in printed(
        [str(path), "--limit", "waiting-exchanges=64"], capsys
    )
    assert "did not wait" not in printed([str(path)], capsys)


def rows(specs: list[dict[str, object]], first: int = 0) -> Exchanges:
    """A table whose ids do not repeat those of another."""
    found = table(specs)  # type: ignore[arg-type]
    object.__setattr__(found, "id", found.id + first)
    return found


def test_a_crowd_is_decided_in_a_hurry_and_let_go() -> None:
    """A mirror waits while an equal request is open; in a crowd it does not, and that is counted."""
    pair = [
        exchange("10.0.0.9:1", "10.0.0.5:80", 0, 9, rid="a"),
        exchange("10.0.0.5:2", "10.0.0.21:80", 1, 4, rid="a"),
        exchange("10.0.0.5:3", "10.0.0.22:80", 1.2, 3, rid="a", host="catalog-shadow", body=b"v2"),
    ]
    idle = [exchange(f"10.0.1.{i}:9", "10.0.2.1:80", 20 + i, 21 + i, path=f"/{i}", host="x") for i in range(40)]
    still = [exchange("10.0.0.9:7", "10.0.0.5:80", 0.5, None, rid="b")]
    clock = int(table(pair).request_time[0]) + 5 * SECOND

    def told_of(crowd: int) -> tuple[int, int, int, int]:
        settler = Settler(Rules(), crowd=crowd)
        batch = settler.step(rows(pair + idle), rows(still, 1000), clock, False)
        return len(batch.decided), settler.hurried, settler.let_go, len(settler.pool)

    assert told_of(1 << 17) == (0, 0, 0, 43)
    decided, hurried, gone, pool = told_of(16)
    assert (decided, hurried) == (1, 1)
    assert gone >= 20
    assert pool <= 16


def test_sentences_of_bounds() -> None:
    seen = InputCounts(1, 1, 1, {}, [], 0, 0, 0, 0, cut_short=1, let_go=2, hurried=1)
    said = unseen(Tally(), seen)[-3:]
    assert said[0].startswith("1 connection with payload had to be forgotten")
    assert said[1].startswith("2 exchanges did not wait for a copy")
    assert said[2].startswith("1 mirror had to be decided while equal requests were still open")


def test_the_clock_closes_and_hands_out_without_a_packet() -> None:
    tracker = Tracker()
    packets = [
        Packet("10.0.0.9:1", "10.0.0.8:2", 9, 2), Packet("10.0.0.8:2", "10.0.0.9:1", 49, 18, ack=10),
        Packet("10.0.0.9:1", "10.0.0.8:2", 10, ACK, b"abc", ack=50, time=SECOND),
        Packet("10.0.0.9:1", "10.0.0.8:2", 15, ACK, b"xyz", ack=50, time=SECOND),
    ]  # fmt: skip
    first = tracker.feed(*segments(numbered(packets)))
    assert first.runs.length.tolist() == [3]
    assert len(tracker.tick(2 * SECOND).runs) == 0
    reset = Packet("10.0.0.8:2", "10.0.0.9:1", 50, 4, time=2 * SECOND)
    acked = [reset.but(flags=ACK, ack=18), reset]
    assert len(tracker.feed(*segments(numbered(acked))).runs) == 0
    later = tracker.tick(2 * SECOND + SECOND // 10)  # the acknowledged hole is waited for no longer
    assert (later.runs.gap.tolist(), later.runs.length.tolist()) == ([2], [3])
    assert len(later.ends) == 0
    assert len(tracker.tick(4 * SECOND).ends) == 2  # nobody contradicts the reset


def test_closed_connections_are_dropped_where_nobody_asks() -> None:
    tracker = Tracker(TcpOptions(reset_connections=0, closed_connections=0))
    packets = [Packet(f"10.0.0.9:{i}", "10.0.0.8:2", 10, ACK, b"x", time=i) for i in range(1, 50)]
    packets += [Packet(f"10.0.0.9:{i}", "10.0.0.8:2", 11, 4, time=100 + i) for i in range(1, 50)]
    packets.append(Packet("10.0.0.7:1", "10.0.0.8:2", 1, ACK, b"x", time=SECOND))
    tracker.feed(*segments(numbered(packets)))
    tracker.drop_connections()
    assert len(tracker.connections()) == 1
    assert tracker.counts["connections"] == 50


def test_many_mirrors_of_one_request_are_bounded_in_time() -> None:
    made = Made()
    made.mirrored(0, copies=500, rid="a")
    found = inspector.inspect(io.BytesIO(made.pcap()))
    assert found.summary.mirrors == 500
    assert found.summary.verdicts == {"discarded": 500}


def test_a_header_bomb_is_cut_and_the_rest_is_read(tmp_path: Path) -> None:
    made = Made()
    made.mirrored(0, extra=b"".join(b"x-%d: %s\r\n" % (i, b"a" * 50) for i in range(3_000)))
    made.mirrored(50, extra=b"x-long: " + b"a" * (1 << 17) + b"\r\n")
    made.mirrored(100, path="/" + "p" * 60_000)
    made.mirrored(150)
    found = inspector.inspect(io.BytesIO(made.pcap()))
    views = list(found.mirror_views())
    assert [v.verdict for v in views][-1] == "discarded"
    assert all(len(v.path or "") <= 32768 for v in views)
    with limits.use({"head-bytes": 1024, "target-bytes": 100}):
        short = list(inspector.inspect(io.BytesIO(made.pcap())).mirror_views())
    assert max(len(v.path or "") for v in short) <= 100


CODED = {
    "gzip": lambda data: gzip.compress(data, 9),
    "br": lambda data: __import__("brotli").compress(data, quality=5),
    "zstd": lambda data: __import__("zstandard").compress(data),
}


@pytest.mark.parametrize("coding", CODED)
def test_a_body_bomb_is_unpacked_to_its_limit(coding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bomb = CODED[coding](b"0" * (20 << 20))
    made = Made()
    made.mirrored(0, original=bomb, mirror=bomb + b"x", answer=f"content-encoding: {coding}\r\n".encode())
    path = tmp_path / "bomb.pcap"
    path.write_bytes(made.pcap())
    peaks = []
    for limit in ("1MiB", "4MiB"):
        tracemalloc.start()
        out = printed([str(path), "--diff", "1", "--limit", f"decoded-body={limit}"], capsys)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert f"longer than {int(limit[0]) << 20:,} bytes" in out
    assert peaks[0] < 70 << 20, "as much as a small run takes, and some MiB"
    assert peaks[1] < peaks[0] + (40 << 20)


JSON = [b"[" * 200_000, b'{"a":' * 100_000, b"[" + b"1," * 100_000 + b"1]", b'{"a":' + b"9" * 100_000 + b"}"]


@pytest.mark.parametrize("body", JSON, ids=["deep list", "deep object", "wide", "a long number"])
def test_json_bombs_are_compared_or_said_not_to_be(
    body: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made()
    made.mirrored(
        0, original=body, mirror=body.replace(b"1]", b"2]") + b" ", answer=b"content-type: application/json\r\n"
    )
    path = tmp_path / "bomb.pcap"
    path.write_bytes(made.pcap())
    assert "mirror 1" in printed([str(path), "--diff", "1"], capsys).lower()


def archive(names: list[str], data: bytes, links: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in links.items():
            for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, target
                tar.addfile(info)
    return out.getvalue()


def test_paths_and_links_in_an_archive_are_names_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Made()
    made.mirrored(0)
    names = ["../../escape.pcap", "/absolute.pcap", "a/../../b.pcap"]
    path = tmp_path / "in" / "archive.tar.gz"
    path.parent.mkdir()
    path.write_bytes(archive(names, made.pcap(), {"passwd.pcap": "/etc/passwd", "fifo": "../../x"}))
    before = sorted(tmp_path.rglob("*"))
    out = printed([str(path)], capsys)
    assert out.count("pcap, gz+tar") + out.count("packets,") >= 3
    assert "root:" not in out
    assert sorted(tmp_path.rglob("*")) == before


def test_members_and_bytes_of_an_archive_are_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Made()
    made.mirrored(0)
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(archive([f"{i}.pcap" for i in range(5)], made.pcap() + bytes(20_000), {}))
    for limit, words in (
        ("tar-members=2", "more than 2 members"),
        ("tar-spool=65536", "larger than 65,536 bytes together"),
    ):
        run([str(path), "--limit", limit])
        said = capsys.readouterr()
        assert words in said.err


def test_a_connection_storm_is_bounded() -> None:
    """Half a request from each of thousands: what is held does not grow with them, and those forgotten are counted."""
    tracker = Tracker(TcpOptions(busy_connections=300))
    n, step = 5000, 500
    for start in range(0, n, step):
        each = range(start, start + step)
        storm = [Packet(f"10.0.{i >> 8}.{i & 255}:9", "10.0.255.1:80", i, ACK, b"GET / HT", time=i) for i in each]
        tracker.feed(*segments(numbered(storm)))
    assert n - 301 <= tracker.counts["cut_short"] <= n - 300
    assert len(tracker.arrays.conns) < n // 2
    tracker.finish()
    assert tracker.counts["connections"] == n


def test_a_line_without_an_end_costs_no_more_than_its_bytes() -> None:
    """Once each packet of it was looked through to the stream's end for a request line: 1 MiB took ten seconds, 2 MiB forty."""

    def read(size: int) -> int:
        made = Made()
        made.exchange(0, CLIENT, V1, asked("/x", "h", b"x-long: " + b"a" * size + b"\r\n"), told(b"x"), size=1400)
        data = made.pcap()
        return steps(lambda: inspector.inspect(io.BytesIO(data)))

    read(1000)
    assert read(1 << 18) < 2.5 * read(1 << 17)
