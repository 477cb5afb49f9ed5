"""What was not read, which of it may hide a mirror, and how much of the payload was understood."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from made_traffic import ACK, CLIENT, PROXY, SYN, V1, V2, Made, asked, frame, told

import inspector
from inspector.cli import program as cli
from inspector.views.objects import SummaryView

ROOT = Path(__file__).parents[2]
HELLO = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00" + bytes(40)
H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
OTHERS = "10.9.0.1", "10.9.0.2"


def mirrored() -> Made:
    made = Made()
    for k in range(3):
        made.mirrored(20.0 * k, f"/items/{k}")
    return made


def opened(made: Made, ms: float, client: str, server: str, payload: bytes, port: int = 443) -> None:
    """A connection with bytes from the client."""
    made.ports += 1
    there, back = (client, made.ports, server, port), (server, port, client, made.ports)
    made.put(ms, frame(*there, 999, 0, SYN))
    made.put(ms, frame(*back, 4999, 1000, SYN | ACK))
    made.put(ms + 0.1, frame(*there, 1000, 5000, ACK, payload))


def lossy(made: Made, ms: float, client: str, server: str) -> None:
    """Two exchanges on a connection; the second request is in no packet."""
    made.ports += 1
    there, back = (client, made.ports, server, 80), (server, 80, client, made.ports)
    ask, say = asked("/x", "h"), told(b"ok")
    made.put(ms, frame(*there, 999, 0, SYN))
    made.put(ms, frame(*back, 4999, 1000, SYN | ACK))
    made.put(ms + 0.1, frame(*there, 1000, 5000, ACK, ask))
    made.put(ms + 0.2, frame(*back, 5000, 1000 + len(ask), ACK, say))
    made.put(ms + 0.3, frame(*there, 1000 + 2 * len(ask), 5000 + len(say), ACK))
    made.put(ms + 0.4, frame(*back, 5000 + len(say), 1000 + 2 * len(ask), ACK, say))
    made.put(ms + 0.5, frame(*there, 1000 + 2 * len(ask), 5000 + 2 * len(say), ACK))


def summary(made: Made) -> SummaryView:
    return inspector.inspect(io.BytesIO(made.pcap())).summary


def test_all_was_read() -> None:
    found = summary(mirrored())
    assert (found.unread, found.near, found.blind, found.mirrors) == ({}, {}, False, 3)


@pytest.mark.parametrize(
    ("client", "server", "near"),
    [
        (PROXY, "10.9.0.2", True),
        (OTHERS[0], PROXY, True),
        (OTHERS[0], V1, True),
        (V2, OTHERS[1], True),
        (*OTHERS, False),
        (CLIENT, OTHERS[1], False),
    ],
)
@pytest.mark.parametrize(("payload", "kind"), [(HELLO, "tls"), (H2, "h2"), (None, "gaps")])
def test_whose_connection_is_not_read(payload: bytes | None, kind: str, client: str, server: str, near: bool) -> None:
    made = mirrored()
    if payload is None:
        lossy(made, 100, client, server)
    else:
        opened(made, 100, client, server, payload)
    found = summary(made)
    assert found.unread == {kind: 1}
    assert found.near == ({kind: 1} if near else {})
    assert found.blind == near
    assert any("was not read, or only in part" in said for said in found.unseen)


def test_a_relay_whose_other_side_is_encrypted() -> None:
    """Who answers requests and opens an encrypted connection may send them on."""
    made = Made()
    made.exchange(0, CLIENT, PROXY, asked("/items", "catalog"), told(b"v1"))
    opened(made, 1, PROXY, V1, HELLO)
    assert summary(made).near == {"tls": 1}


def test_bytes_of_another_protocol_are_no_gap() -> None:
    made = mirrored()
    opened(made, 100, PROXY, V1, b"\x00\x01binary" * 9, 5432)
    found = summary(made)
    assert (found.unread, found.blind) == ({}, False)


@pytest.mark.parametrize(
    ("name", "unread", "near"),
    [
        ("items-client.pcap", {}, {}),
        ("mtls-client.pcap", {"tls": 2}, {"tls": 2}),
        ("snap96-client.pcap", {"cut-heads": 26}, {"cut-heads": 26}),
        ("nginxsplit-gw.pcap.zst", {}, {}),
    ],
)
def test_real_captures(name: str, unread: dict[str, int], near: dict[str, int]) -> None:
    found = inspector.inspect(str(ROOT / "captures" / name)).summary
    assert (found.unread, found.near) == (unread, near)


def read_of(made: Made) -> dict[str, tuple[int, int]]:
    return inspector.inspect(io.BytesIO(made.pcap())).captures[0].read


def test_every_byte_of_payload_is_something() -> None:
    made = Made()
    ask, say = asked("/items", "catalog"), told(b"v1")
    made.exchange(0, CLIENT, PROXY, ask, say)
    opened(made, 1, CLIENT, V1, HELLO)
    opened(made, 1, CLIENT, V1, H2)
    opened(made, 1, CLIENT, V1, b"\x00" * 11, 5432)
    assert read_of(made) == {
        "http/1": (len(ask) + len(say), 1), "tls": (len(HELLO), 1), "h2": (len(H2), 1), "other": (11, 1),
    }  # fmt: skip


def test_what_a_gap_took_is_missing() -> None:
    made = Made()
    lossy(made, 0, CLIENT, V1)
    ask, say = asked("/x", "h"), told(b"ok")
    found = read_of(made)
    assert sum(size for size, _n in found.values()) >= len(ask) + 2 * len(say)
    assert found["http/1"][0] >= len(ask) + len(say)


def test_interim_responses_are_read() -> None:
    made = Made()
    made.exchange(0, CLIENT, V1, asked("/items", "h"), b"HTTP/1.1 100 Continue\r\n\r\n" + told(b"v1"))
    assert list(read_of(made)) == ["http/1"]


@pytest.mark.parametrize("block", [1 << 9, 1 << 20])
def test_it_does_not_depend_on_blocks(block: int) -> None:
    found = inspector.inspect(str(ROOT / "captures/snap96-client.pcap"), block_bytes=block)
    whole = inspector.inspect(str(ROOT / "captures/snap96-client.pcap"))
    assert found.captures[0].read == whole.captures[0].read
    assert found.summary.unread == whole.summary.unread


def status(tmp_path: Path, made: Made, *options: str) -> int:
    path = tmp_path / "a.pcap"
    path.write_bytes(made.pcap())
    return cli.run([str(path), *options])


@pytest.mark.parametrize("shown", [(), ("--show-mirrors",), ("--json",)])
def test_exit_status(tmp_path: Path, shown: tuple[str, ...]) -> None:
    made = mirrored()
    assert status(tmp_path, made, "--fail-on", "leaked,inconclusive", *shown) == 0
    opened(made, 100, *OTHERS, HELLO)
    assert status(tmp_path, made, "--fail-on", "leaked,inconclusive", *shown) == 0
    opened(made, 101, PROXY, "10.9.0.7", HELLO)
    assert status(tmp_path, made, "--fail-on", "leaked,inconclusive", *shown) == 4
    assert status(tmp_path, made, "--fail-on", "leaked", *shown) == 0


def test_nothing_was_read(tmp_path: Path) -> None:
    made = Made()
    opened(made, 0, *OTHERS, b"\x00" * 9)
    assert status(tmp_path, made, "--fail-on", "inconclusive") == 4
    assert status(tmp_path, made, "--fail-on", "leaked") == 0


def test_mirrors_are_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(tmp_path, mirrored(), "--expect-mirrors", "3") == 0
    assert capsys.readouterr().err == ""
    assert status(tmp_path, mirrored(), "--expect-mirrors", "4", "--show-mirrors") == 4
    assert "3 mirrors were found, 4 expected" in capsys.readouterr().err
    assert status(tmp_path, mirrored(), "--expect-mirrors", "4", "--fail-on", "discarded") == 1


SHARES: list[tuple[str, Any]] = [
    ("nomirror-client.pcap", "0 of 3 requests mirrored (95 %: 0 to 70.8 %)"),
    ("nginxsplit-gw.pcap.zst", "0 of 300 requests mirrored (95 %: 0 to 1.22 %)"),
    ("refused-client.pcap", "0 of 3 requests mirrored (95 %: 0 to 70.8 %)"),
    ("mtls-client.pcap", "cannot tell: 2 connections are encrypted"),
    ("snap96-client.pcap", "cannot tell: 26 connections were cut by the snap length"),
    ("items-client.pcap", "3 of 3 requests mirrored: 100 % (95 % interval 29.2 to 100 %)"),
]


@pytest.mark.parametrize(("name", "said"), SHARES)
def test_share(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([str(ROOT / "captures" / name), "--lang", "en"]) == 0
    assert said in " ".join(capsys.readouterr().out.split())


def test_share_without_originals(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = Made()
    made.exchange(0, PROXY, V2, asked("/items", "catalog-shadow"), told(b"v2"))
    status(tmp_path, made)
    out = capsys.readouterr().out
    assert "cannot tell: the original of the 1 mirror was not read" in out


def test_read_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = mirrored()
    opened(made, 100, *OTHERS, HELLO)
    status(tmp_path, made)
    assert "% HTTP/1, " in capsys.readouterr().out
    status(tmp_path, made, "--format", "markdown")
    assert "% TLS (1 connection)" in capsys.readouterr().out
