"""`inspect verify` and the room behind it: a second opinion on real and on damaged captures."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from capture_files import pcap
from hypothesis import given, settings
from hypothesis import strategies as st
from made_layers import LINKS, TUNNELS

import inspector
from inspector.cli import run
from inspector.errors import CaptureError
from inspector.redact import Redactor
from inspector.referee import compare, inputs, ours, running, telling, tshark, wire
from inspector.referee.model import PACKET_LIMIT, REQUEST, TIME_LIMIT, Agreement, Difference, Heard, Mine
from inspector.referee.reasons import Reasons

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "captures"
ITEMS = str(CAPTURES / "items-client.pcap")
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def verified(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    status = run(["verify", "--json", *words])
    out, err = capsys.readouterr()
    assert not err
    report: dict[str, Any] = json.loads(out)
    assert status == (1 if report["total"]["reasons"].get("unknown") else 0)
    return report


@needs_tshark
def test_tshark_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    found = verified(capsys, ITEMS, str(CAPTURES / "vxlan-node.pcap.zst"), str(CAPTURES / "snap96-client.pcap"))
    items, vxlan, cut = found["captures"]
    assert (items["compared"], items["agreed"], items["reasons"]) == (9, 6, {"nat-leg": 3})
    assert items["fields"]["body"] == {"compared": 18, "agreed": 18}
    assert vxlan["reasons"] == {"icmp-quote": 3}
    assert vxlan["only_there"] == 2
    assert set(cut["reasons"]) == {"snaplen", "nat-leg"}
    assert found["total"]["unexplained"] == 0


@needs_tshark
def test_pyshark_says_what_tshark_says(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyshark")
    first, second = (verified(capsys, "--with", name, ITEMS)["captures"] for name in ("pyshark", "tshark"))
    assert {**first[0], "seconds": 0} == {**second[0], "seconds": 0}


def records(path: str) -> tuple[bytes, list[bytes]]:
    data, at, out = Path(path).read_bytes(), 24, []
    while at < len(data):
        size = 16 + struct.unpack_from("<I", data, at + 8)[0]
        out.append(data[at : at + size])
        at += size
    return data[:24], out


@needs_tshark
@pytest.mark.parametrize("damage", ["drop", "late", "swap", "twice", "end", "length"])
def test_what_damage_does_has_a_reason(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, all_of_them = records(str(CAPTURES / "retry-client.pcap"))
    luck = random.Random(7)
    if damage == "drop":
        kept = [r for r in all_of_them if luck.random() > 0.04]
    elif damage == "late":
        kept = all_of_them[len(all_of_them) // 3 :]
    elif damage == "end":
        kept = [*all_of_them[:100], all_of_them[100][:-5]]
    elif damage == "length":
        kept = [*all_of_them[:120], all_of_them[120][:8] + b"\xff" * 8 + all_of_them[120][16:], *all_of_them[121:]]
    elif damage == "twice":
        kept = [r for record in all_of_them for r in [record] * luck.choice([1, 1, 2])]
    else:
        kept = list(all_of_them)
        for i in range(0, len(kept) - 3, 7):
            kept[i], kept[i + 2] = kept[i + 2], kept[i]
    path = tmp_path / "damaged.pcap"
    path.write_bytes(head + b"".join(kept))
    found = verified(capsys, str(path))
    assert found["total"]["compared"] > 10
    assert found["total"]["unexplained"] == 0
    assert "unknown" not in found["total"]["reasons"]


def both() -> tuple[list[Mine], list[Heard], Reasons]:
    """Our messages, the same as a referee that agrees in all of them has them, and the reasons of the capture."""
    found, path = ours.read(Path(ITEMS)), Path(ITEMS)
    mine = found.messages(PACKET_LIMIT)
    heard = [Heard(m.frame, m.kind, m.method, m.path, m.host, m.status, m.body, m.asked_in) for m in mine]
    return mine, heard, Reasons(found, mine, wire.read(path, PACKET_LIMIT))


def compared(mine: list[Mine], heard: list[Heard], reasons: Reasons) -> Agreement:
    out = Agreement(ITEMS, "exchange")
    compare.Comparison(mine, heard, reasons, out, []).run()
    return out


def test_a_wrong_reading_is_found() -> None:
    mine, heard, reasons = both()
    assert (compared(mine, heard, reasons).agreed, len(mine)) == (9, 18)
    at = next(i for i, h in enumerate(heard) if h.kind == REQUEST)
    wrong = Heard(heard[at].frame, REQUEST, "PUT", heard[at].path, heard[at].host, None, heard[at].body)
    altered = compared(mine, [*heard[:at], wrong, *heard[at + 1 :]], reasons)
    assert [(d.what, d.ours, d.theirs, d.reason) for d in altered.differences] == [("method", "GET", "PUT", "")]
    assert altered.unexplained == 1
    left_out = compared(mine, heard[:at] + heard[at + 1 :], reasons)
    assert [(d.what, d.reason) for d in left_out.differences] == [("missing", "")]
    more = compared(mine, [*heard, Heard(5, REQUEST, "GET", "/more", "")], reasons)
    assert [(d.what, d.theirs, d.reason) for d in more.differences] == [("extra", "GET /more", "")]
    assert more.extra[""] == 1


def test_copies_are_those_of_the_tracker() -> None:
    for name in ("items-node.pcap", "vxlan-node.pcap.zst"):
        import inspector

        seen = wire.read(CAPTURES / name, PACKET_LIMIT)
        copies = int((seen.copy_of != range(len(seen.copy_of))).sum())
        assert copies == inspector.inspect(str(CAPTURES / name)).captures[0].copies > 0


def kinds() -> list[bytes]:
    """Frames of many kinds: tunnels, VLANs, extension headers, fragments out of order, padding."""
    from scapy.contrib.geneve import GENEVE
    from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, fragment
    from scapy.layers.inet6 import (
        IPv6,
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        fragment6,
    )
    from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
    from scapy.layers.vxlan import VXLAN
    from scapy.packet import Padding, Raw

    e, a = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02"), IP(src="10.0.0.1", dst="10.0.0.2")
    six = IPv6(src="2001:db8::1", dst="fe80::2")
    t = TCP(sport=1234, dport=80, seq=77, ack=88, flags="PA", options=[("Timestamp", (5, 6))]) / Raw(b"hello")
    outer = UDP(sport=1, dport=4789, chksum=0)
    whole = [
        e / a / t, e / Dot1AD(vlan=6) / Dot1Q(vlan=5) / a / t, e / six / t,
        e / six / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / t,
        e / a / a / t, e / six / a / t, e / a / GRE(key_present=1, key=4) / a / t, e / a / outer / VXLAN(vni=4) / e / six / t,
        e / a / UDP(sport=1, dport=6081, chksum=0) / GENEVE(vni=4, proto=0x6558) / e / a / t, e / ARP(), e / a / ICMP() / b"x",
        e / a / ICMP(type=3, code=1) / a / t, e / a / UDP(sport=53, dport=99) / b"x", e / a / t / Padding(b"\0" * 9),
    ]  # fmt: skip
    long = Raw(b"A" * 3000)
    parts = fragment(a / TCP(sport=5, dport=6, seq=9, flags="PA") / long, 1000)
    parts6 = fragment6(six / IPv6ExtHdrFragment(id=7) / TCP(sport=5, dport=6, seq=9, flags="PA") / long, 1280)
    return [bytes(p) for p in (*whole, *(e / p for p in reversed(parts)), *(e / p for p in parts6))]


def test_scapy_agrees_on_all_kinds_of_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = kinds()
    cut = [frame[: 30 + 13 * i] for i, frame in enumerate(frames)]
    (tmp_path / "kinds.pcap").write_bytes(pcap(frames))
    (tmp_path / "cut.pcap").write_bytes(pcap(cut, lengths=[len(f) for f in frames]))
    found = verified(capsys, "--with", "scapy", *(str(tmp_path / name) for name in ("kinds.pcap", "cut.pcap")))
    whole, shortened = found["captures"]
    assert whole["agreed"] == whole["packets"] == len(frames)
    assert whole["fields"]["payload"]["compared"] == 12
    assert set(shortened["reasons"]) == {"cut"}


def test_link_types_and_tunnels_are_agreed_on_or_have_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made: dict[int, list[bytes]] = {1: [bytes(frame) for frame, _version in TUNNELS.values()]}
    for link, frame, _version in LINKS.values():
        made.setdefault(link, []).append(bytes(frame))
    for link, frames in made.items():
        (tmp_path / f"{link}.pcap").write_bytes(pcap(frames, link))
    found = verified(capsys, "--with", "scapy", *(str(tmp_path / f"{link}.pcap") for link in made))
    reasons: dict[str, int] = {}
    for capture in found["captures"]:
        for reason, n in capture["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + n
    assert set(reasons) == {"link-type", "no-layer"}
    unbound = (
        "elsewhere",
        "teredo",
        "policies",
        "with options",
        "gtp extended",
        "radiotap padded",
        "802.11 ht",
        "cooked",
    )
    assert reasons["no-layer"] == sum(any(word in name for word in unbound) for name in (*TUNNELS, *LINKS))


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program called tshark, the only one in PATH."""
    tool = tmp_path / "bin" / "tshark"
    tool.parent.mkdir()
    tool.write_text(f"#!{sys.executable}\nimport os, sys, time\n" + script)
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tool.parent))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "tshark is not installed"),
        ("print('TShark (Wireshark) 3.6.2')", "tshark 3.6.2 is too old: 4.0"),
        ("print('hello')", "does not say which version"),
        ("'-v' in sys.argv and sys.exit(print('TShark 4.2.0'))\ntime.sleep(60)", "tshark took longer than 1 s"),
        ("'-v' in sys.argv and sys.exit(print('TShark 4.2.0'))\nsys.exit('broken \\x1b[31m')", r"(1): broken \x1b[31m"),
    ],
)
def test_a_tshark_that_cannot_be_used(
    script: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if script is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        fake(tmp_path, monkeypatch, script)
    assert run(["verify", "--timeout", "1", ITEMS]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert not out


def test_a_referee_sees_nothing_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    show = f"print(os.environ, os.getcwd(), flush=True); print('A' * {3 * running.LINE})"
    command = [sys.executable, "-c", f"import os; {show}"]
    first, second = running.lines(command, tmp_path, running.RunLimits(1, 30), "it")
    said = first.text.decode()
    assert "s3cret" not in said
    assert f"'HOME': '{os.path.expanduser('~')}'" not in said
    assert said.count(str(tmp_path)) >= 5
    assert (len(second.text), second.length) == (running.LINE, 3 * running.LINE)


@given(st.lists(st.binary(max_size=9)))
@settings(max_examples=50, deadline=None)
def test_lines_are_cut_at_newlines_only(pieces: list[bytes]) -> None:
    whole = b"".join(pieces).split(b"\n")
    want = whole if whole[-1] else whole[:-1]
    assert [line.text for line in running._cut(iter(pieces))] == want


def test_several_messages_of_a_packet() -> None:
    text = b"7\tGET\x1fPUT\t/a\x1f/b,c\th\t\t\t3\t\tabc"
    first, second = tshark.read(running.OutputLine(text, len(text)), False)
    assert (first.method, first.path, first.host, first.body) == ("GET", "/a", None, None)
    assert (second.method, second.path, second.frame) == ("PUT", "/b,c", 7)
    assert tshark.read(running.OutputLine(b"nonsense", 8), False) == []


def test_what_is_captured_does_nothing_in_the_output() -> None:
    bad = "\x1b[31m<script>|\u202e`"
    one = Agreement(bad, "exchange", "tshark 9", 1, 0, 0, 1, notes=[bad])
    one.add(Difference("path", 3, 1, bad, f"/a?token=abc{bad}", ""))
    for text in ("".join(telling.table([one, one], 80)), "".join(telling.markdown([one]))):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script>" not in "".join(telling.markdown([one]))
    hidden = telling.private(one, Redactor(b"k"))
    assert "abc" not in "".join(telling.as_json([hidden]))


def test_inputs_become_plain_files(tmp_path: Path) -> None:
    zst = CAPTURES / "vxlan-node.pcap.zst"
    plain = next(inputs.plain(str(zst), tmp_path))
    assert plain.file.parent == tmp_path
    assert stat.S_IMODE(plain.file.stat().st_mode) == 0o600
    plain.file.unlink()
    cut = next(inputs.plain(str(zst), tmp_path, 1000))
    assert (cut.cut, cut.file.stat().st_size) == (1000, 1000)
    assert next(inputs.plain(ITEMS, tmp_path)).file == Path(ITEMS)
    with pytest.raises(CaptureError):
        next(inputs.plain(str(tmp_path / "none"), tmp_path))


@needs_tshark
def test_what_cannot_be_read_stops_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(CAPTURES / "none.pcap"), ITEMS]) == 2
    out, err = capsys.readouterr()
    assert "none.pcap: no such file" in err
    assert "agrees but for 3 differences" in out


@needs_tshark
def test_a_limit_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--limit", "30", ITEMS]) == 0
    packets = inspector.inspect(ITEMS).captures[0].packets
    assert f"30 of {packets} packets were compared" in capsys.readouterr().out


def test_the_options_default_to_the_rooms_limits() -> None:
    from inspector.cli import verify

    assert (verify.PACKETS, verify.SECONDS) == (PACKET_LIMIT, TIME_LIMIT)
