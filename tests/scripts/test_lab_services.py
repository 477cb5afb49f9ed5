"""The lab's services, each really served on the loopback interface."""

import gzip
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="the lab's tests need PyYAML: the extra [lab] is not installed")

import lab_path
from lab import app, client, leaky, truth

assert lab_path.SCRIPTS.is_dir()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[dict[str, int]]:
    """v1, v2 and the leaking proxy before them, by name: their ports."""
    running: list[app.App | leaky.LeakyServer] = [
        app.App(v, "127.0.0.1", 0, tmp_path / f"{v}.jsonl") for v in ("v1", "v2")
    ]
    v1, v2 = (f"127.0.0.1:{server.server_port}" for server in running)
    running.append(leaky.LeakyServer("127.0.0.1", 0, v1, v2, tmp_path / "leaky.jsonl", 3, "-shadow"))
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}) for server in running]
    for thread in threads:
        thread.start()
    yield {name: server.server_port for name, server in zip(("v1", "v2", "leaky"), running, strict=True)}
    for server, thread in zip(running, threads, strict=True):
        server.shutdown()
        server.server_close()
        thread.join()


def fetch(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, body)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, content


def test_versions_differ_by_the_image(services: dict[str, int]) -> None:
    first, second = (json.loads(fetch(services[v], "/items")[2]) for v in ("v1", "v2"))
    assert [{k: v for k, v in item.items() if k != "imageUrl"} for item in second] == first
    assert all("imageUrl" in item for item in second)
    assert fetch(services["v1"], "/same")[2] == fetch(services["v2"], "/same")[2]


def test_the_query_says_what_happens(services: dict[str, int], tmp_path: Path) -> None:
    port = services["v2"]
    assert fetch(port, "/items?v2.status=503")[0] == 503
    assert fetch(port, "/items?v1.status=503")[0] == 200
    assert len(fetch(port, "/a/b?size=66000")[2]) == 66000
    assert b"imageUrl" in gzip.decompress(fetch(port, "/items?gzip=1")[2])
    assert fetch(port, "/items?chunked=1")[1]["transfer-encoding"] == "chunked"
    assert "content-length" not in fetch(port, "/items?close=1")[1]
    assert fetch(port, "/x/echo", "PUT", b"hello")[2] == b"hello"
    assert fetch(port, "/items", "HEAD")[2] == b""
    with pytest.raises((ConnectionError, http.client.BadStatusLine)):
        fetch(port, "/items?v2.reset=1")
    lines = truth.read_lines((tmp_path / "v2.jsonl").read_text())
    assert [line["code"] for line in lines] == [503, 200, 200, 200, 200, 200, 200, 200, None]
    assert lines[2]["bytes"] == 66000


def test_every_third_client_is_given_the_mirror_s_answer(services: dict[str, int], tmp_path: Path) -> None:
    plan = {
        "address": "127.0.0.1", "port": services["leaky"], "host": "shop:80", "connections": 1, "keepalive": True, "pause": 0,
        "headers": {}, "requests": [{"method": "GET", "path": "/items"}] * 6,
    }  # fmt: skip
    with (tmp_path / "client.jsonl").open("w", buffering=1) as log:
        client.Client(plan, log).run()
    told = truth.read_lines((tmp_path / "client.jsonl").read_text())
    sizes = {v: len(app.catalog(v)) for v in ("v1", "v2")}
    assert [line["bytes"] for line in told] == [sizes["v1"], sizes["v1"], sizes["v2"]] * 2
    assert [line["leak"] for line in truth.read_lines((tmp_path / "leaky.jsonl").read_text())] == [
        False,
        False,
        True,
    ] * 2
    assert {line["authority"] for line in truth.read_lines((tmp_path / "v2.jsonl").read_text())} == {"shop-shadow:80"}


def test_a_chunked_request_arrives_whole(services: dict[str, int], tmp_path: Path) -> None:
    plan = {
        "address": "127.0.0.1", "port": services["v1"], "host": "shop", "connections": 2, "keepalive": True, "pause": 0,
        "headers": {}, "requests": [{"method": "POST", "path": "/echo", "body": "x" * 1801, "chunked": True}] * 5,
    }  # fmt: skip
    with (tmp_path / "client.jsonl").open("w", buffering=1) as log:
        client.Client(plan, log).run()
    told = truth.read_lines((tmp_path / "client.jsonl").read_text())
    assert sorted(line["n"] for line in told) == [0, 1, 2, 3, 4]
    assert {line["bytes"] for line in told} == {1801}


@pytest.mark.parametrize(
    ("host", "right"), [("httpbin:8000", "httpbin-shadow:8000"), ("[::1]:80", "[::1]-shadow:80"), ("a.b", "a.b-shadow")]
)
def test_the_suffix_stands_before_the_port(host: str, right: str) -> None:
    assert leaky.with_suffix(host, "-shadow") == right
