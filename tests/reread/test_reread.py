"""Heads and bodies read again from real captures: against what the inspection told, and against tshark."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_captures import SHARED, needs_shared
from talk import V1, Talk, answer, ask, mirrored, write

import inspector
from inspector.http.content import CapturedMessage, Content
from inspector.reread.messages import RereadLimits, each, reread
from inspector.reread.second_pass import Again, Wanted
from inspector.views.objects import ExchangeView

ROOT = Path(__file__).parents[2]
CAPTURES = sorted(ROOT.joinpath("captures").glob("*.pcap*"))
GROUPS = ["mix", "vxlan", "gateway", "snap96", "retry", "parallel"]


def check(x: ExchangeView, content: Content) -> None:
    """Everything that was told of an exchange holds for what was read again."""
    assert content.why is None
    sides = [("request", content.request, x.request_body_bytes), ("response", content.response, x.response_body_bytes)]
    for side, p, size in sides:
        if size is None:
            assert p is None
            continue
        assert p is not None
        assert len(p.body) + p.dropped == size
        lost = sum(g.bytes for g in x.gaps if g.side == side and g.reason != "reset")  # those were captured
        assert p.missing >= lost
        assert p.missing == lost or not p.complete
        assert sum(n for _, n in p.holes) <= p.missing
    if content.request and content.request.start:
        words = [b.decode("latin-1") for b in content.request.start.split(b" ")]
        assert words[:2] == [x.method, x.path]
        assert content.request.text(b"x-request-id") == (x.request_id or "")
    if content.response and content.response.start:
        assert content.response.start.split(b" ")[1] == str(x.status).encode()
    if x.response_body_hash:
        assert content.response is not None
        assert x.response_body_hash == f"xxh64:{xxhash.xxh64_hexdigest(content.response.body)}"


def exchanges(*paths: str) -> list[ExchangeView]:
    return list(inspector.inspect(*paths).exchange_views())


@pytest.mark.parametrize("path", CAPTURES, ids=lambda p: p.name)
def test_everything_is_read_again(path: Path) -> None:
    views = exchanges(str(path))
    found = reread([str(path)], views)
    assert sorted(found) == [x.id for x in views]
    for x in views:
        check(x, found[x.id])


@pytest.mark.parametrize("path", CAPTURES, ids=lambda p: p.name)
def test_one_is_read_as_all_are(path: Path) -> None:
    """The other connections do not matter."""
    views = exchanges(str(path))
    whole = reread([str(path)], views)
    for x in views[:: max(len(views) // 5, 1)]:
        assert reread([str(path)], [x]) == {x.id: whole[x.id]}


@needs_shared
@pytest.mark.parametrize("group", GROUPS)
def test_several_captures(group: str) -> None:
    paths = [str(p) for p in sorted(SHARED.joinpath(group).glob("*.pcap"))]
    views = exchanges(*paths)
    found = reread(paths, views)
    for x in views:
        check(x, found[x.id])


def test_both_ways_give_the_same() -> None:
    """Reading with all segments, which is what is left for the doubtful ones."""
    path = str(ROOT / "captures/mix-client.pcap.zst")
    views = exchanges(path)
    wanted = Wanted()
    for x in views:
        wanted.add(x)
    assert dict(Again(wanted, False, RereadLimits()).run([path])) == reread([path], views)
    assert wanted.left() == []


# -- a second opinion --------------------------------------------------------------------------------------------------


def values(pairs: list[tuple[str, Any]]) -> dict[str, list[Any]]:
    """A JSON object with all the values of a key that is there several times."""
    out: dict[str, list[Any]] = {}
    for key, value in pairs:
        out.setdefault(key, []).append(value)
    return out


def dissected(path: Path) -> dict[tuple[int, bytes], tuple[bytes, list[str]]]:
    """By last packet and start line: body and header lines of each HTTP message, as tshark tells them."""
    ports = [o for port in (80, 3000, 4000, 8080, 15001) for o in ("-d", f"tcp.port=={port},http")]
    out = subprocess.run(
        ["tshark", "-r", str(path), *ports, "-Y", "http", "-T", "json", "-x"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    found = {}
    for p in json.loads(out, object_pairs_hook=values):
        layers = p["_source"][0]["layers"][0]
        number = int(layers["frame"][0]["frame.number"][0])
        for http in layers["http"]:
            if "http.file_data_raw" in http or "http.request.line" in http or "http.response.line" in http:
                body = bytes.fromhex(http["http.file_data_raw"][0][0]) if "http.file_data_raw" in http else b""
                lines = [*http.get("http.request.line", []), *http.get("http.response.line", [])]
                start = next(key for key in http if " HTTP/1" in key or key.startswith("HTTP/1"))
                found[number, start.encode().removesuffix(b"\\r\\n")] = (body, [line.strip() for line in lines])
    return found


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize(
    "name", ["mix-client.pcap.zst", "leaky-gw.pcap", "nginxmirror-gw.pcap.zst", "items-client.pcap"]
)
def test_as_tshark_reads_them(name: str) -> None:
    path = ROOT / "captures" / name
    other = dissected(path)
    views = exchanges(str(path))
    found = reread([str(path)], views)
    compared = 0
    for x in views:
        content = found[x.id]
        for packets, p in ((x.request_packets, content.request), (x.response_packets, content.response)):
            if p is None or (packets[-1], p.start) not in other:
                continue
            body, lines = other[packets[-1], p.start]
            assert body == (gzip.decompress(p.body) if p.text(b"content-encoding") == "gzip" else p.body)
            assert lines == [f"{k.decode()}: {v.decode()}".strip() for k, v in p.headers]
            compared += 1
    assert compared > len(views)


# -- made-up conversations ---------------------------------------------------------------------------------------------


def only(path: str, **how: Any) -> list[Content]:
    """The contents of a capture's exchanges, in order."""
    views = exchanges(path)
    found = reread([path], views, **how)
    for x in views:
        if "limits" not in how:
            check(x, found[x.id])
    return [found[x.id] for x in views]


def bodies(contents: Iterable[Content]) -> list[bytes | None]:
    return [c.response and c.response.body for c in contents]


def test_pipelined_in_one_packet(tmp_path: Path) -> None:
    talk = Talk("10.0.0.1:4000", V1)
    talk.say(0, ask("/a", extra="n: 1\r\n") + ask("/a", extra="n: 2\r\n") + ask("/b"))
    talk.say(1, answer(b"one") + answer(b"two") + answer(b"three"))
    found = only(write(tmp_path / "x.pcap", [talk]))
    assert bodies(found) == [b"one", b"two", b"three"]
    assert [c.request.text(b"n") for c in found if c.request] == ["1", "2", ""]


def test_head_interim_and_no_content(tmp_path: Path) -> None:
    talk = Talk("10.0.0.1:4000", V1)
    talk.say(0, ask("/a", "HEAD")).say(1, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
    talk.say(0, ask("/b", "POST", extra="expect: 100-continue\r\n", body=b"x" * 3000))
    talk.say(1, b"HTTP/1.1 100 Continue\r\nn: 0\r\n\r\n").say(1, answer(b"done", extra="n: 1\r\n"))
    talk.say(0, ask("/c")).say(1, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n")
    talk.say(0, ask("/d")).say(1, b"HTTP/1.1 200 OK\r\n\r\nuntil the end").close()
    found = only(write(tmp_path / "x.pcap", [talk]))
    assert bodies(found) == [b"", b"done", b"", b"until the end"]
    assert [c.response.text(b"n") for c in found if c.response] == ["", "1", "", ""]
    assert found[1].request is not None
    assert found[1].request.body == b"x" * 3000


def test_an_upgrade_keeps_what_follows_out(tmp_path: Path) -> None:
    talk = Talk("10.0.0.1:4000", V1).say(0, ask("/ws", extra="upgrade: websocket\r\nconnection: upgrade\r\n"))
    talk.say(1, b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n\x81\x05hello").say(0, b"\x81\x05HELLO")
    (found,) = only(write(tmp_path / "x.pcap", [talk]))
    assert found.response is not None
    assert (found.response.body, found.response.complete) == (b"", True)


def test_lost_packets_leave_holes(tmp_path: Path) -> None:
    body = bytes(range(256)) * 40
    talk = Talk("10.0.0.1:4000", V1).say(0, ask("/a")).say(1, answer(body), lose=[2, 3])
    talk.say(0, ask("/b")).say(1, answer(b"next")).close()
    first, second = only(write(tmp_path / "x.pcap", [talk]))
    assert first.response is not None
    head = len(answer(body)) - len(body)
    assert first.response.holes == ((2 * 1400 - head, 2800),)
    assert first.response.missing == 2800
    assert first.response.body == body[: 2800 - head] + body[5600 - head :]
    assert bodies([second]) == [b"next"]


def test_a_chunked_body_with_a_hole(tmp_path: Path) -> None:
    chunks = b"".join(b"7d0\r\n" + bytes([65 + k]) * 2000 + b"\r\n" for k in range(4)) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    inside = Talk("10.0.0.1:4000", V1).say(0, ask("/a")).say(1, head + chunks, segment=500, lose=[1, 2]).close()
    (found,) = only(write(tmp_path / "x.pcap", [inside]))
    assert found.response is not None
    assert found.response.missing == 1000
    assert found.response.body.count(b"A") == 1000
    assert found.response.body.count(b"B") == 2000
    at_border = Talk("10.0.0.1:4000", V1).say(0, ask("/a")).say(1, head + chunks, lose=[1]).close()
    (found,) = only(write(tmp_path / "y.pcap", [at_border]))
    assert found.response is not None
    assert not found.response.complete
    assert set(found.response.body) == {65}


def test_limits_cut_and_tell(tmp_path: Path) -> None:
    talks = [Talk(f"10.0.0.1:{4000 + k}", V1, k).say(0, ask(f"/{k}")).say(1, answer(b"x" * 50_000)) for k in range(4)]
    path = write(tmp_path / "x.pcap", talks)
    for c in only(path, limits=RereadLimits(body=10_000)):
        assert c.response is not None
        assert 9_000 < len(c.response.body) < 10_000
        assert len(c.response.body) + c.response.dropped == 50_000
        assert c.response.complete
    sizes = [len(c.response.body) for c in only(path, limits=RereadLimits(total=120_000)) if c.response]
    assert sizes == [50_000, 50_000, 0, 0]


def test_limits_hold_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.reread.second_pass.BLOCK_BYTES", 4096)
    body = bytes(k % 251 for k in range(200_000))
    talk = Talk("10.0.0.1:4000", V1).say(0, ask("/a", "POST", body=body)).say(1, answer(body)).close()
    path = write(tmp_path / "x.pcap", [talk])
    (found,) = only(path)
    assert bodies([found]) == [body]
    (found,) = only(path, limits=RereadLimits(body=30_000))
    for p in (found.request, found.response):
        assert p is not None
        assert body.startswith(p.body)
        assert 29_000 < len(p.body) < 30_000
        assert len(p.body) + p.dropped == 200_000
    (found,) = only(path, limits=RereadLimits(total=30_000))
    assert found.response is not None
    assert found.response.dropped > 0
    assert body.startswith(found.response.body)


def test_compressed_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    views = exchanges(write(path, mirrored(answer(b"1"), answer(b"2"))))
    packed = tmp_path / "x.pcap.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert reread([str(packed)], views) == reread([str(path)], views)
    assert reread([lambda: io.BytesIO(path.read_bytes())], views) == reread([str(path)], views)


def test_a_capture_that_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    views = exchanges(write(path, mirrored(answer(b"1"), answer(b"2"))))
    write(path, mirrored(answer(b"1"), answer(b"3")))
    whys = [c.why is not None for c in reread([str(path)], views).values()]
    assert sorted(whys) == [False, False, True]
    path.unlink()
    with pytest.raises(inspector.CaptureError):
        reread([str(path)], views)


def test_an_exchange_that_is_asked_for_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.pcap", mirrored(answer(b"1"), answer(b"2")))
    views = exchanges(path)
    passes: list[bool] = []
    made = Again.__init__

    def counted(self: Again, wanted: Wanted, narrow: bool, limits: RereadLimits) -> None:
        passes.append(narrow)
        made(self, wanted, narrow, limits)

    monkeypatch.setattr(Again, "__init__", counted)
    assert [number for number, _ in each([path], [*views, *views])] == [x.id for x in views]
    assert passes == [True]


@settings(max_examples=60)
@given(data=st.data())
def test_what_is_read_again_is_what_was_sent(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Made-up conversations, cut anywhere, with packets lost: bytes stand in their places, and nothing is invented."""
    sent: dict[str, bytes] = {}
    talks = []
    for c in range(data.draw(st.integers(1, 3))):
        talk = Talk(f"10.0.0.1:{4000 + c}", V1, at=3.0 * c)
        for n in range(data.draw(st.integers(1, 4))):
            path, size = f"/{c}.{n}", data.draw(st.integers(0, 3000))
            sent[path] = bytes((c * 50 + n * 7 + k) % 251 for k in range(size))
            talk.say(0, ask(path), segment=data.draw(st.sampled_from([20, 1400])))
            if data.draw(st.booleans()):
                raw, pieces = b"", data.draw(st.integers(1, 900))
                for k in range(0, size, pieces):
                    part = sent[path][k : k + pieces]
                    raw += b"%x\r\n" % len(part) + part + b"\r\n"
                raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + raw + b"0\r\n\r\n"
            else:
                raw = answer(sent[path])
            lost = data.draw(st.sets(st.integers(0, 12), max_size=2)) if data.draw(st.booleans()) else ()
            talk.say(1, raw, segment=data.draw(st.sampled_from([100, 333, 1400])), lose=lost)
        talks.append(talk.close())
    path = write(tmp_path_factory.mktemp("talk") / "x.pcap", talks)
    views = exchanges(path)
    found = reread([path], views)
    for x in views:
        check(x, found[x.id])
        response = found[x.id].response
        if x.path is None or response is None:
            continue
        truth, at, taken = sent[x.path], 0, 0
        for place, size in [*response.holes, (len(response.body), 0)]:
            piece = response.body[taken:place]
            assert truth[at : at + len(piece)] == piece
            at, taken = at + len(piece) + size, place
        assert not response.whole or response.body == truth


def test_each_hands_on_what_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", [t for n in range(5) for t in mirrored(answer(b"1"), answer(b"2"), n)])
    views = exchanges(path)
    assert dict(each([path], views)) == reread([path], views)
    assert list(each([path], [])) == []


def test_other_protocols_say_so(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", mirrored(answer(b"1"), answer(b"2")))
    view = exchanges(path)[0]
    values = {name: getattr(view, name) for name in view.__slots__}
    (found,) = reread([path], [ExchangeView(**{**values, "protocol": "h2"})]).values()
    assert found.why == "only HTTP/1 messages can be read again"


def test_a_part_is_a_value() -> None:
    assert CapturedMessage(b"", (), b"") == CapturedMessage(b"", (), b"")
    assert hash(CapturedMessage(b"", (), b"")) == hash(CapturedMessage(b"", (), b""))
