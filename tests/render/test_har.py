"""HAR: what the specification asks, what the packets say, and what a browser reads."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from chromium import BINARY, Page
from har_schema import HAR

import inspector
from inspector.cli import run
from inspector.inspection import warm

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(p.name for p in (ROOT / "captures").glob("*.pcap*"))


def har(*args: str | Path) -> dict[str, Any]:
    """The log that the command writes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.har"
        assert run([*map(str, args), "--show-mirrors", "--format", "har", "-o", str(out)]) == 0
        text = out.read_text()
    assert re.fullmatch("[\n -~]*", text), "captured text must not reach a terminal as it is"
    document = json.loads(text)
    jsonschema.Draft202012Validator(HAR).validate(document)
    return document["log"]


def capture(tmp_path: Path, frames: list[bytes]) -> Path:
    """A capture of frames, a millisecond apart."""
    path = tmp_path / "made.pcap"
    records = (struct.pack("<IIII", 1_700_000_000, n * 1000, len(f), len(f)) + f for n, f in enumerate(frames))
    path.write_bytes(warm.PCAP + b"".join(records))
    return path


def mirrored(tmp_path: Path, request: bytes, response: bytes, copied: bytes | None = None) -> Path:
    """A request through a gateway, and its copy; `copied` is what the copy is answered, b"" for nothing."""
    down = warm.exchange(warm.CLIENT, 40000, warm.GATEWAY, request % b"shop", response)
    up = warm.exchange(warm.GATEWAY, 41000, warm.FIRST, request % b"shop", response)
    copy = warm.exchange(
        warm.GATEWAY, 42000, warm.SECOND, request % b"shop-shadow", response if copied is None else copied
    )
    answers = up[3:] + (copy[3:] if copied != b"" else []) + down[3:]
    return capture(tmp_path, down[:3] + up[:3] + copy[:3] + answers)


@pytest.mark.parametrize("name", NAMES)
def test_every_leg_is_an_entry(name):
    log = har(ROOT / "captures" / name)
    mirrors = list(inspector.inspect(str(ROOT / "captures" / name)).mirror_views())
    assert [page["id"] for page in log["pages"]] == [f"mirror_{m.id}" for m in mirrors]
    legs = {leg.id: (word, leg) for m in mirrors for word, leg in
            (("downstream", m.downstream), ("original", m.original), ("mirror", m.mirror)) if leg}  # fmt: skip
    assert sorted(entry["_id"] for entry in log["entries"]) == sorted(legs)
    for entry in log["entries"]:
        word, leg = legs[entry["_id"]]
        assert entry["_leg"] == word
        assert entry["response"]["status"] == (leg.status or 0)
        assert entry["request"]["method"] == leg.method
        assert entry["request"]["url"].endswith(leg.path)
        assert entry["_packets"] == {"capture": 0, "request": leg.request_packets, "response": leg.response_packets}
        assert f"{entry['serverIPAddress']}:{entry['connection']}" == entry["_server"] == leg.server
        assert entry["time"] == pytest.approx(sum(entry["timings"].values()))
        if leg.duration is not None:
            assert entry["time"] == pytest.approx(leg.duration / 1e6)
        assert entry["response"]["bodySize"] == (-1 if leg.response_body_bytes is None else leg.response_body_bytes)
    for m in mirrors:
        (entry,) = [e for e in log["entries"] if e["_id"] == m.mirror.id]
        assert (entry["_verdict"], entry["_proof"], entry["_reason"]) == (m.verdict, m.proof, m.reason)
        assert entry["_mirrorOf"] == (m.original.id if m.original else None)
        assert m.id in entry["_mirrors"]


def test_heads_and_bodies():
    log = har(ROOT / "captures/mix-client.pcap.zst")
    by_path = {e["request"]["url"].removeprefix("http://catalog"): e for e in log["entries"] if e["_leg"] == "original"}
    put = by_path["/echo/big"]
    assert len(put["request"]["postData"]["text"]) == put["request"]["bodySize"] == 5000
    packed = by_path["/items?gzip=1"]["response"]
    assert {h["name"]: h["value"] for h in packed["headers"]}["content-encoding"] == "gzip"
    assert json.loads(packed["content"]["text"])
    assert packed["content"]["compression"] == packed["content"]["size"] - packed["bodySize"]
    assert by_path["/items?v1.chunked=1&v2.chunked=1"]["request"]["queryString"] == [
        {"name": "v1.chunked", "value": "1"}, {"name": "v2.chunked", "value": "1"},
    ]  # fmt: skip
    large = by_path["/items?size=200000"]["response"]["content"]
    assert len(large["text"]) == large["size"] == 200_000


def test_several_captures_and_a_pipe():
    both = har(*(ROOT / "captures" / f"items-{place}.pcap" for place in ("client", "node")))
    assert [e["_leg"] for e in both["entries"]].count("mirror") == 3
    data = (ROOT / "captures/items-client.pcap").read_bytes()
    args = [sys.executable, "-m", "inspector", "-", "--show-mirrors", "--format", "har"]
    done = subprocess.run(args, input=data, capture_output=True, cwd=ROOT, timeout=60, check=True)
    entries = json.loads(done.stdout)["log"]["entries"]
    assert len(entries) == 9
    assert all(e["response"]["content"]["text"] for e in entries)


SECRETS = b"""POST /login?token=tok-s3cr3t-value&page=2 HTTP/1.1\r
Host: %s\r
x-request-id: 1\r
Authorization: Bearer abcdef0123456789abcdef0123456789\r
Cookie: session=hunter2hunter2\r
Content-Type: application/json\r
Content-Length: 31\r
\r
{"user":"ann","password":"pw1"}"""
ANSWER = b"HTTP/1.1 302 Found\r\nSet-Cookie: sid=s1s2s3s4; Path=/; HttpOnly; Expires=Sat, 21 Nov 2026 03:09:26 GMT\r\n"
ANSWER += b"Location: http://shop/home\r\nContent-Length: 0\r\n\r\n"


def test_secrets_are_replaced_and_equal_ones_alike(tmp_path):
    path = mirrored(tmp_path, SECRETS, ANSWER)
    log = har(path)
    text = json.dumps(log)
    for secret in ("s3cr3t", "abcdef0123456789", "hunter2", "pw1", "s1s2s3s4"):
        assert secret not in text
    assert len({e["request"]["url"].partition("/login")[2] for e in log["entries"]}) == 1
    (down,) = [e for e in log["entries"] if e["_leg"] == "downstream"]
    assert down["request"]["cookies"][0]["name"] == "session"
    assert down["request"]["queryString"][1] == {"name": "page", "value": "2"}
    assert down["request"]["postData"]["mimeType"] == "application/json"
    assert json.loads(down["request"]["postData"]["text"])["user"] == "ann"
    (cookie,) = down["response"]["cookies"]
    assert (cookie["path"], cookie["httpOnly"], cookie["expires"]) == ("/", True, "2026-11-21T03:09:26+00:00")
    assert down["response"]["redirectURL"] == "http://shop/home"
    kept = json.dumps(har(path, "--no-redact"))
    for secret in ("s3cr3t", "abcdef0123456789", "hunter2", "pw1", "s1s2s3s4"):
        assert secret in kept


def body_of(tmp_path: Path, kind: bytes, data: bytes, extra: bytes = b"") -> dict[str, Any]:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\n" + extra + b"Content-Length: %d\r\n\r\n" % len(data)
    path = mirrored(tmp_path, b"GET /x HTTP/1.1\r\nHost: %s\r\nx-request-id: 1\r\n\r\n", head + data)
    return har(path)["entries"][0]["response"]["content"]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
        (b"text/plain", b"\xe4\xf6\xfc in latin-1"),
        (b"text/plain", b"\x1b[31mred"),
        (b"application/grpc", b"\0\0\0\0\5hello"),
        (b"application/octet-stream", bytes(range(200))),
    ],
)
def test_what_is_no_text_is_base64(tmp_path, kind, data):
    content = body_of(tmp_path, kind, data)
    assert content["encoding"] == "base64"
    assert base64.b64decode(content["text"]) == data
    assert content["size"] == len(data)


def test_text_and_codings(tmp_path):
    assert body_of(tmp_path, b"text/html; charset=utf-8", "<p>안녕</p>".encode())["text"] == "<p>안녕</p>"
    packed = body_of(tmp_path, b"text/plain", gzip.compress(b"hello " * 50), b"Content-Encoding: gzip\r\n")
    assert packed["text"] == "hello " * 50
    odd = body_of(tmp_path, b"text/plain", b"hello", b"Content-Encoding: rot13\r\n")
    assert (odd["encoding"], base64.b64decode(odd["text"])) == ("base64", b"hello")
    assert "rot13" in odd["comment"]


def test_a_bomb_is_bounded(tmp_path):
    content = body_of(
        tmp_path, b"text/plain", gzip.compress(bytes(64 << 20), 9)[:60_000], b"Content-Encoding: gzip\r\n"
    )
    assert len(content["text"]) < 40 << 20
    assert content["comment"]


def test_no_response_and_odd_targets(tmp_path):
    request = b"GET http://%s/a?b=%%41+c&d HTTP/1.1\r\nHost: shop\r\nx-request-id: 1\r\n\r\n"
    log = har(mirrored(tmp_path, request, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""))
    for entry in log["entries"]:
        assert entry["request"]["url"].startswith(("http://shop/a?", "http://shop-shadow/a?"))
        assert entry["request"]["queryString"] == [{"name": "b", "value": "A c"}, {"name": "d", "value": ""}]
    silent = [e for e in log["entries"] if e["_server"] == "10.0.0.22:8080"]
    assert all(e["response"]["status"] == 0 and "no response was seen" in e["comment"] for e in silent)


HOSTILE = ("\x1b]0;x\x07", "\x9b2J", "\u202eevil\u2066", "<script>alert(1)</script>", '"}]', "\x7f", "\ufeff", "\u2028")


@pytest.mark.parametrize("text", HOSTILE)
def test_captured_text_stays_text(tmp_path, text):
    raw = text.encode()
    path = b"" if min(raw) < 33 or 127 in raw else raw  # neither a target nor a reason phrase holds control characters
    request = b"GET /" + path + b" HTTP/1.1\r\nHost: %s\r\nx-request-id: 1\r\nx-note: " + raw + b"\r\n\r\n"
    head = b"Content-Type: text/plain\r\nSet-Cookie: " + raw + b"\r\nContent-Length: %d\r\n\r\n"
    answer = b"HTTP/1.1 200 " + path + b"\r\n" + head
    log = har(mirrored(tmp_path, request, answer % len(raw) + raw))
    assert len(log["entries"]) >= 2
    content = log["entries"][0]["response"]["content"]
    shown = base64.b64decode(content["text"]).decode() if "encoding" in content else content["text"]
    assert shown == text


def test_wrong_combinations(capsys):
    items = str(ROOT / "captures/items-client.pcap")
    for args in ([], ["--show-exchanges"], ["--show-mirrors", "--show-exchanges"], ["--explain", "1"]):
        assert run([items, "--format", "har", *args]) == 2
        assert "--show-mirrors" in capsys.readouterr().err


def test_a_file_is_private(tmp_path):
    out = tmp_path / "x.har"
    assert run([str(ROOT / "captures/items-client.pcap"), "--show-mirrors", "--format", "har", "-o", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(BINARY is None, reason="chromium is not installed")
def test_browser_tools_import_it():
    """The importer of Chromium's own DevTools takes every entry."""
    log = har(ROOT / "captures/mix-client.pcap.zst")
    script = """(async () => {
      const har = await import('devtools://devtools/bundled/models/har/har.js');
      const log = new har.HARFormat.HARRoot(JSON.parse(%s)).log;
      const requests = har.Importer.Importer.requestsFromHARLog(log);
      const told = r => [r.requestMethod, r.url(), r.statusCode, r.remoteAddress(), r.responseHeaders.length];
      return Promise.all(requests.map(async r => [...told(r), (await r.requestContentData()).text]));
    })()"""
    with Page("devtools://devtools/bundled/devtools_app.html") as page:
        found = page.run(script % json.dumps(json.dumps({"log": log})))
    entries = sorted(log["entries"], key=lambda e: e["startedDateTime"])
    want = [
        [e["request"]["method"], e["request"]["url"], e["response"]["status"], e["_server"], len(e["response"]["headers"]),
         e["response"]["content"].get("text", "")]
        for e in entries
    ]  # fmt: skip
    assert sorted(map(str, found)) == sorted(map(str, want))
