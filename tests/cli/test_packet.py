"""`inspect packet`: leg and role of one packet, and scapy's dissection."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from capture_files import pcap

from inspector.cli import run
from inspector.redact import Redactor
from inspector.referee import ours, wire
from inspector.referee.model import PACKET_LIMIT
from inspector.referee.packet import PacketStory

CAPTURES = Path(__file__).parents[2] / "captures"


def stories(name: str) -> dict[int, str]:
    """What is said of each packet of a capture."""
    seen, found = wire.read(CAPTURES / name, PACKET_LIMIT), ours.read(CAPTURES / name)
    keep = Redactor(keep=True)
    return {n: "\n".join(PacketStory(seen, found, n, keep).sentences()) for n in range(1, len(seen.kinds) + 1)}


def test_every_packet_of_a_client_has_a_role() -> None:
    told = stories("items-client.pcap")
    assert "SYN, seq" in told[1]
    assert "opens the connection of exchange 1, leg downstream" in told[1]
    assert "request of exchange 1, leg downstream: packet 1 of 1; GET /items 200" in told[4]
    assert "it is the downstream leg of mirror 1: discarded" in told[4]
    assert "response of exchange 1, leg downstream" in told[22]
    assert "acknowledges what the server sent; exchange 1" in told[23]
    assert not [n for n, text in told.items() if "no exchange was found" in text]


def test_copies_tunnels_and_what_is_skipped() -> None:
    told = stories("vxlan-node.pcap.zst")
    assert told[1] == "ARP: carries no HTTP"
    says = list(told.values())
    assert any("bytes of payload, inside 1 tunnel" in text for text in says)
    first = next(n for n, text in told.items() if "captured again as packet" in text)
    copy = int(re.search(r"captured again as packet (\d+)", told[first])[1])
    assert f"a copy of packet {first}: it counts once, as that" in told[copy]
    assert all(told.values())


def test_the_command_shows_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["packet", "4", str(CAPTURES / "items-client.pcap")]) == 0
    out = capsys.readouterr().out
    assert "request of exchange 1, leg downstream" in out
    assert "###[ TCP ]###" in out
    assert "76 bytes of payload ]###" in out  # hidden: this is no terminal
    assert "curl" not in out


def test_a_hostile_packet_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether

    text = b"GET /\x1b]0;x\x07\xe2\x80\xae HTTP/1.1\r\nHost: \x1b[31m\r\n\r\n"
    frame = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=80, flags="PA") / text
    path = tmp_path / "bad.pcap"
    path.write_bytes(pcap([bytes(frame), b"\0" * 3]))
    assert run(["packet", "1", str(path), "--no-redact"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "31m" in out
    assert run(["packet", "2", str(path)]) == 0
    assert run(["packet", "3", str(path)]) == 2
    assert "has no packet 3: it has 2" in capsys.readouterr().err
