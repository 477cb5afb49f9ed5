"""Evidence: packets as they were, verdicts as they were; and the same with everything replaced."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from capture_files import block, described, enhanced, option, read, section
from shared_captures import SHARED, needs_shared

import inspector
from inspector.capture import open_captures
from inspector.capture.writer import WrittenPacket, written
from inspector.cli import run
from inspector.errors import UsageError
from inspector.evidence.anonymise import Anonymiser
from inspector.evidence.select import Reach
from inspector.evidence.write import Check, EvidenceSet
from inspector.inspection import warm
from inspector.reread import spool

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(p.name for p in (ROOT / "captures").glob("*.pcap*"))
MIRRORED = [
    name for name in NAMES if not name.startswith(("mtls", "nginxsplit", "nomirror", "refused", "snap96"))
]  # fmt: skip


def captures(name: str) -> list[str]:
    return [str(ROOT / "captures" / part) for part in name.split("+")]


def evidence(
    paths: list[str], out: Path, numbers: list[int] | None = None, **options: Any
) -> tuple[EvidenceSet, Check]:
    """Write evidence as the command does: widened until it holds."""
    found = EvidenceSet(inspector.inspect(*paths, **options), numbers)
    while True:
        out.write_bytes(b"".join(found.blocks(paths)))
        check = found.judge(str(out))
        if not found.widen(check):
            return found, check


def told(*paths: str | Path) -> list[tuple[Any, ...]]:
    """What the mirrors of a capture are judged to be, and when."""
    return [
        (m.verdict, m.proof, m.reason, m.delivered, m.lag, m.paired_by, m.arrived, m.acknowledged, m.mirror.request_time,
         m.original and m.original.status, m.mirror.status, m.downstream and m.downstream.status)
        for m in inspector.inspect(*map(str, paths)).mirror_views()
    ]  # fmt: skip


def origin(packet: WrittenPacket) -> tuple[int, str]:
    """The last comment says where a packet comes from."""
    found = re.fullmatch(r"packet (\d+) of (.+)", packet.comments[-1])
    assert found
    return int(found[1]), found[2]


@pytest.mark.parametrize("name", [*MIRRORED, "items-client.pcap+items-node.pcap"])
def test_evidence_says_what_the_capture_says(name, tmp_path):
    out = tmp_path / "evidence.pcapng"
    found, check = evidence(captures(name), out)
    assert check.holds
    assert check.same == check.asked == len(told(*captures(name)))
    assert told(out) == told(*captures(name))
    assert found.reach == Reach.LEGS
    originals = {Path(path).name: read(path) for path in captures(name)}
    last = dict.fromkeys(originals, 0)
    for packet in written(io.BytesIO(out.read_bytes())):
        if not isinstance(packet, WrittenPacket):
            continue
        number, path = origin(packet)
        was = originals[path]
        assert packet.data == was.frames[number - 1]
        assert (packet.time, packet.length) == (was.packets.time[number - 1], was.packets.length[number - 1])
        assert number > last[path]  # in the order of the capture
        last[path] = number
    assert found.packets < sum(len(was.frames) for was in originals.values())


@pytest.mark.parametrize("name", MIRRORED)
def test_evidence_of_one_mirror_has_its_packets_only(name, tmp_path):
    views = list(inspector.inspect(*captures(name)).mirror_views())
    out = tmp_path / "evidence.pcapng"
    for view in views[:: max(1, len(views) // 4)]:
        found, check = evidence(captures(name), out, [view.id])
        assert check.holds
        assert (check.same, check.asked) == (1, 1)
        packets = [p for p in written(io.BytesIO(out.read_bytes())) if isinstance(p, WrittenPacket)]
        assert {step.packet for step in view.evidence} <= {origin(p)[0] for p in packets}
        if found.reach == Reach.LEGS:
            assert all(re.match(rf"mirror {view.id}: |context: ", p.comments[0]) for p in packets)
            assert len(told(out)) == 1


def test_comments_say_leg_and_role(tmp_path):
    out = tmp_path / "evidence.pcapng"
    evidence(captures("items-client.pcap"), out, [2])
    packets = [p for p in written(io.BytesIO(out.read_bytes())) if isinstance(p, WrittenPacket)]
    firsts = [p.comments[0] for p in packets]
    joins = "mirror 2: opens the downstream leg; its numbers join the two halves that NAT gave different addresses"
    assert firsts[:3] == [joins] * 3
    for sentence in (
        "mirror 2: request of the downstream leg, from the client to the proxy",
        "mirror 2: request of the original leg, from the proxy to the service that answers",
        "mirror 2: request of the mirror leg, the proxy's copy",
        "mirror 2: response of the original leg, arrives at the proxy",
        "mirror 2: response of the mirror leg, ends at the proxy",
        "mirror 2: response of the downstream leg, what the original was answered",
        "mirror 2: acknowledges what was sent on the downstream leg",
        "mirror 2: ends one direction of the connection of the downstream leg",
    ):
        assert sentence in firsts
    says = {
        step.packet: step.says
        for step in list(inspector.inspect(*captures("items-client.pcap")).mirror_views())[1].evidence
    }
    shown = {origin(p)[0]: p.comments[1] for p in packets if len(p.comments) == 3}
    assert shown == {number: f"mirror 2, evidence: {text}" for number, text in says.items()}


def test_a_leak_is_told_in_the_comments(tmp_path):
    out = tmp_path / "evidence.pcapng"
    leaked = next(v.id for v in inspector.inspect(*captures("leaky-gw.pcap")).mirror_views() if v.verdict == "leaked")
    evidence(captures("leaky-gw.pcap"), out, [leaked])
    comments = [c for p in written(io.BytesIO(out.read_bytes())) if isinstance(p, WrittenPacket) for c in p.comments]
    assert f"mirror {leaked}: response of the downstream leg, what the mirror was answered: a leak" in comments
    assert f"mirror {leaked}: response of the mirror leg, is passed on to the downstream" in comments


def test_a_retried_original_comes_with_its_attempts(tmp_path):
    out = tmp_path / "evidence.pcapng"
    views = list(inspector.inspect(*captures("retry-client.pcap")).mirror_views())
    number = next(v.id for v in views if v.original.status == 503)
    found, check = evidence(captures("retry-client.pcap"), out, [number])
    assert check.holds
    assert found.reach == Reach.LEGS
    comments = [c for p in written(io.BytesIO(out.read_bytes())) if isinstance(p, WrittenPacket) for c in p.comments]
    assert f"mirror {number}: request of the attempt leg" in comments


# -- what is taken when the legs alone would say something else ---------------------------------------------------------


def equals() -> bytes:
    """Two equal requests in flight together, answered differently: which copy is whose cannot be told."""
    client, gateway, first, second = warm.CLIENT, warm.GATEWAY, warm.FIRST, warm.SECOND
    head = b"GET /x HTTP/1.1\r\nHost: %s\r\n\r\n"
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc%d" % k for k in range(2)]
    down = [warm.exchange(client, 40000 + k, gateway, head % b"shop", answers[k]) for k in range(2)]
    up = [warm.exchange(gateway, 41000 + k, first, head % b"shop", answers[k]) for k in range(2)]
    copy = [warm.exchange(gateway, 42000 + k, second, head % b"shop-shadow", answers[1 - k]) for k in range(2)]
    legs = [down[0], down[1], up[0], up[1], copy[0], copy[1]]
    frames = [f for leg in legs for f in leg[:3]] + [f for leg in [*copy, *up, *down] for f in leg[3:]]
    times = [struct.pack("<II", 1_700_000_000, n * 1000) for n in range(len(frames))]
    return warm.PCAP + b"".join(t + struct.pack("<II", len(f), len(f)) + f for t, f in zip(times, frames, strict=True))


def test_rivals_are_taken_where_the_verdict_hangs_on_them(tmp_path):
    path, out = tmp_path / "equals.pcap", tmp_path / "evidence.pcapng"
    path.write_bytes(equals())
    (first, second) = told(path)
    assert "order" in first[5]
    alone = EvidenceSet(inspector.inspect(str(path)), [1])
    out.write_bytes(b"".join(alone.blocks([str(path)])))
    assert told(out)[0][:6] != first[:6]  # cut out alone, it would say more than it can
    found, check = evidence([str(path)], out, [1])
    assert check.holds
    assert found.reach > Reach.LEGS
    assert told(out) == [first, second]


@needs_shared
@pytest.mark.parametrize("name", ["nginxparallel/gw.pcap", "parallel/client.pcap", "snap200/client.pcap"])
def test_equal_requests_in_crowds(name, tmp_path):
    path, out = str(SHARED / name), tmp_path / "evidence.pcapng"
    _, check = evidence([path], out)
    assert check.holds
    _, check = evidence([path], out, [20])
    assert check.holds


@needs_shared
@pytest.mark.parametrize("folder", sorted(p.name for p in SHARED.iterdir()) if SHARED.is_dir() else [])
def test_every_shared_capture(folder, tmp_path):
    for path in sorted((SHARED / folder).glob("*.pcap")):
        out = tmp_path / "evidence.pcapng"
        found, check = evidence([str(path)], out)
        assert check.holds, path
        if len(found.asked) > 50:
            continue
        masked = tmp_path / "masked.pcapng"
        masked.write_bytes(b"".join(Anonymiser(str(out)).blocks()))
        assert found.judge(str(masked)).holds, path


def test_an_encrypted_downstream_stays_one(tmp_path):
    """The client's TLS connection is no exchange; without it the reason would be another one."""
    frames = []
    hello = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00\x00\x00"
    tls = warm.exchange(warm.CLIENT, 40000, warm.GATEWAY, hello, b"\x16\x03\x03\x00\x28" + bytes(40))
    head = b"GET /x HTTP/1.1\r\nHost: %s\r\nx-request-id: 1\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd"
    up = warm.exchange(warm.GATEWAY, 41000, warm.FIRST, head % b"shop", answer)
    copy = warm.exchange(warm.GATEWAY, 42000, warm.SECOND, head % b"shop-shadow", answer)
    frames = [*tls[:4], *up[:3], *copy[:3], *up[3:], *copy[3:], *tls[4:]]
    data = b"".join(struct.pack("<IIII", 1_700_000_000, n * 1000, len(f), len(f)) + f for n, f in enumerate(frames))
    path, out, masked = (tmp_path / name for name in ("tls.pcap", "evidence.pcapng", "masked.pcapng"))
    path.write_bytes(warm.PCAP + data)
    assert told(path)[0][2] == "encrypted"
    assert evidence([str(path)], out)[1].holds
    rewriter = Anonymiser(str(out))
    masked.write_bytes(b"".join(rewriter.blocks()))
    assert told(masked)[0][:4] == told(path)[0][:4]
    assert rewriter.blanked["TLS"] > 0


# -- where packets come from -------------------------------------------------------------------------------------------


def test_interfaces_of_a_pcapng_are_kept(tmp_path):
    was = read(captures("items-client.pcap")[0])
    name = [option(2, b"lo") + option(9, b"\x09"), option(2, b"eth0") + option(9, b"\x09")]
    parts = [
        section(),
        described(276, options=name[0], snaplen=65535),
        described(276, options=name[1]),
        block(5, bytes(12)),
    ]
    for i, frame in enumerate(was.frames):
        parts.append(enhanced(frame, int(was.packets.time[i]) + 7, interface=int(was.packets.interface[i])))
    path, out = tmp_path / "two.pcapng", tmp_path / "evidence.pcapng"
    path.write_bytes(b"".join(parts))
    _, check = evidence([str(path)], out)
    assert check.holds
    kinds = [p for p in written(io.BytesIO(out.read_bytes())) if not isinstance(p, WrittenPacket)]
    assert {(k.name, k.link_type, k.snaplen) for k in kinds} == {("lo", 276, 65535), ("eth0", 276, 0)}
    assert {k.description for k in kinds} == {"two.pcapng"}
    packets = [p for p in written(io.BytesIO(out.read_bytes())) if isinstance(p, WrittenPacket)]
    for packet in packets:
        number, _ = origin(packet)
        assert packet.time == was.packets.time[number - 1] + 7
        assert kinds[packet.interface].name == ("lo", "eth0")[int(was.packets.interface[number - 1])]


def test_an_archive_of_captures(tmp_path):
    path, out = tmp_path / "both.tar.gz", tmp_path / "evidence.pcapng"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("items-client.pcap", "items-node.pcap"):
            tar.add(ROOT / "captures" / name, name)
    _, check = evidence([str(path)], out)
    assert check.holds
    assert told(out) == told(*captures("items-client.pcap+items-node.pcap"))


def test_a_number_that_is_no_mirrors():
    found = inspector.inspect(*captures("items-client.pcap"))
    for number in (0, 4, -1):
        with pytest.raises(UsageError, match="no mirror"):
            EvidenceSet(found, [number])


def test_another_capture_is_not_taken_for_the_same(tmp_path):
    """The file changed between the two readings: nothing is claimed."""
    out = tmp_path / "evidence.pcapng"
    found = EvidenceSet(inspector.inspect(*captures("items-client.pcap")))
    out.write_bytes(b"".join(found.blocks(captures("leaky-gw.pcap"))))
    check = found.judge(str(out))
    assert check.missing == [1, 2, 3]
    assert not check.holds


# -- anonymised --------------------------------------------------------------------------------------------------------


def raw_words(paths: list[str]) -> set[bytes]:
    """What nobody should find: hosts, paths, ids, tokens, agents, bodies of a capture, and its addresses."""
    words = set()
    for view in inspector.inspect(*paths).exchange_views():
        words |= {w.encode("latin-1") for w in (view.request_id, view.host and view.host.split(":")[0]) if w}
        words |= {part.encode("latin-1") for part in re.split(r"[/?=&.]", view.path or "") if len(part) > 4}
    words |= {b"curl", b"10.244.0", b"inspector lab"}
    return {w.removesuffix(b"-shadow") for w in words if len(w) > 3 and not w.isdigit()} - {b"chunked"}


@pytest.mark.parametrize("name", MIRRORED)
def test_anonymised_evidence_proves_the_same_and_tells_nothing(name, tmp_path):
    plain, masked = tmp_path / "evidence.pcapng", tmp_path / "masked.pcapng"
    found, _ = evidence(captures(name), plain)
    rewriter = Anonymiser(str(plain))
    masked.write_bytes(b"".join(rewriter.blocks()))
    check = found.judge(str(masked))
    assert check.holds
    assert not check.loose
    assert told(masked) == told(plain)
    assert not rewriter.left_out
    before, after = read(str(plain)), read(str(masked))
    payload = b"".join(after.payloads)
    for word in raw_words(captures(name)):
        assert not re.search(rb"\b" + re.escape(word) + rb"\b", payload), word
    addresses = {p[at : at + 4] for p in after.frames for at in (32, 36)}
    for frame in before.frames:
        for at in (32, 36):  # behind a LINUX_SLL2 and an IPv4 header
            address = frame[at : at + 4]
            assert address[0] in (127, 192) or address not in addresses
    for column in ("sport", "dport", "seq", "ack", "flags", "length", "tsval", "time", "interface"):
        np.testing.assert_array_equal(getattr(before.segments, column), getattr(after.segments, column))
    for packet, old in zip(
        written(io.BytesIO(masked.read_bytes())), written(io.BytesIO(plain.read_bytes())), strict=True
    ):
        if isinstance(packet, WrittenPacket) and isinstance(old, WrittenPacket):
            assert len(packet.comments) == len(old.comments)
            assert not re.search(r"10\.244\.", " ".join(packet.comments[:-1]))


def test_equal_bodies_stay_equal_and_others_do_not(tmp_path):
    plain, masked = tmp_path / "evidence.pcapng", tmp_path / "masked.pcapng"
    evidence(captures("mix-client.pcap.zst"), plain)
    masked.write_bytes(b"".join(Anonymiser(str(plain)).blocks()))

    def groups(path: Path) -> list[list[int]]:
        hashes: dict[str, list[int]] = {}
        for i, view in enumerate(inspector.inspect(str(path)).exchange_views()):
            if view.response_body_hash and view.response_body_bytes:
                hashes.setdefault(view.response_body_hash, []).append(i)
        return sorted(hashes.values())

    assert groups(plain) == groups(masked)
    assert len(groups(plain)) > 10


def test_interim_responses_and_pipelined_requests_survive(tmp_path):
    head = b"POST /x HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nx-request-id: 1\r\nContent-Length: 6\r\n\r\nsecret"
    interim = b"HTTP/1.1 100 Continue\r\nx-note: secret\r\n\r\n"
    chunks = b"6;x=secret\r\nsecret\r\n0\r\nx-trailer: secret\r\n\r\n"
    answer = interim + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    down = warm.exchange(warm.CLIENT, 40000, warm.GATEWAY, head % b"shop", answer)
    up = warm.exchange(warm.GATEWAY, 41000, warm.FIRST, head % b"shop", answer)
    copy = warm.exchange(warm.GATEWAY, 42000, warm.SECOND, head % b"shop-shadow", answer.replace(b"200 OK", b"500 no"))
    frames = [*down[:3], *up[:3], *copy[:3], *up[3:], *copy[3:], *down[3:]]
    data = b"".join(struct.pack("<IIII", 1_700_000_000, n * 1000, len(f), len(f)) + f for n, f in enumerate(frames))
    path, out, masked = (tmp_path / name for name in ("x.pcap", "evidence.pcapng", "masked.pcapng"))
    path.write_bytes(warm.PCAP + data)
    found, _ = evidence([str(path)], out)
    rewriter = Anonymiser(str(out))
    masked.write_bytes(b"".join(rewriter.blocks()))
    assert found.judge(str(masked)).holds
    assert told(masked) == told(path)
    assert not rewriter.blanked
    assert b"secret" not in masked.read_bytes()
    payload = b"".join(read(str(masked)).payloads)
    assert payload.count(b"HTTP/1.1 100 Continue\r\n") == 3


@pytest.mark.parametrize("damage", range(20))
def test_a_damaged_capture_is_anonymised_without_leftovers(damage, tmp_path):
    """Packets lost at random: whatever is found in the rest, no word of it is left in the anonymised evidence."""
    rng = np.random.default_rng(damage)
    was = read(captures("mix-client.pcap.zst")[0])
    keep = rng.random(len(was.frames)) > 0.05
    parts = [section(), described(276, options=option(9, b"\x09"))]
    parts += [enhanced(f, int(t)) for f, t, k in zip(was.frames, was.packets.time, keep, strict=True) if k]
    path, out, masked = (tmp_path / name for name in ("x.pcapng", "evidence.pcapng", "masked.pcapng"))
    path.write_bytes(b"".join(parts))
    found, check = evidence([str(path)], out)
    assert check.holds
    masked.write_bytes(b"".join(Anonymiser(str(out)).blocks()))
    assert found.judge(str(masked)).holds
    payload = b"".join(read(str(masked)).payloads)
    for word in (b"catalog", b"curl", b"items", b"inspector lab"):
        assert not re.search(rb"\b" + re.escape(word) + rb"\b", payload), word


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command(tmp_path, capsys):
    out = tmp_path / "evidence.pcapng"
    assert run([*captures("items-client.pcap"), "--show-mirrors", "--write-evidence", str(out)]) == 0
    said = capsys.readouterr()
    assert "3 of 3 mirrored responses reached" in said.out
    assert f"evidence: 54 packets in {out}; read back, the verdicts of 3 of 3 mirrors are the same" in said.err
    assert out.stat().st_mode & 0o777 == 0o600
    assert told(out) == told(*captures("items-client.pcap"))
    assert os.listdir(tmp_path) == ["evidence.pcapng"]


def test_evidence_of_the_one_that_is_explained(tmp_path, capsys):
    out = tmp_path / "evidence.pcapng"
    args = [*captures("items-client.pcap"), "--explain", "2"]
    assert run(args) == 0
    want = capsys.readouterr().out
    assert run([*args, "--write-evidence", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == want
    assert "evidence: 14 packets" in said.err
    assert "the verdict of 1 of 1 mirror is the same" in said.err
    assert [m[:6] for m in told(out)] == [told(*captures("items-client.pcap"))[1][:6]]
    assert run([*captures("items-client.pcap"), "--explain", "9", "--write-evidence", str(tmp_path / "no.pcapng")]) == 2
    assert os.listdir(tmp_path) == ["evidence.pcapng"]


@pytest.mark.parametrize("options", [["--diff", "1"], ["--follow"]])
def test_what_evidence_does_not_go_with(options, tmp_path, capsys):
    assert run([*captures("items-client.pcap"), *options, "--write-evidence", str(tmp_path / "x.pcapng")]) == 2
    assert "--write-evidence goes with" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--show-mirrors", "--format", "ndjson"], ["--show-exchanges", "--json"]])
def test_beside_any_other_output(options, tmp_path, capsys):
    out = tmp_path / "evidence.pcapng"
    args = [*captures("items-client.pcap"), *options]
    assert run(args) == 0
    want = capsys.readouterr().out
    assert run([*args, "--write-evidence", str(out)]) == 0
    assert capsys.readouterr().out == want
    assert len(told(out)) == 3


def test_a_pipe(tmp_path):
    out = tmp_path / "evidence.pcapng"
    data = Path(captures("items-client.pcap")[0]).read_bytes()
    command = [
        sys.executable,
        "-m",
        "inspector",
        "-",
        "--json",
        "--show-mirrors",
        "--anonymise",
        "--write-evidence",
        str(out),
    ]
    done = subprocess.run(command, input=data, capture_output=True, cwd=ROOT, timeout=60, check=True)
    assert len(json.loads(done.stdout)["mirrors"]) == 3
    assert b"3 of 3 mirrors" in done.stderr
    assert [v[:6] for v in told(out)] == [v[:6] for v in told(*captures("items-client.pcap"))]
    assert not {b"catalog", b"items"} & set(re.findall(rb"[a-z]+", out.read_bytes()))


def test_what_was_not_kept_of_a_pipe_is_told(tmp_path, capsys, monkeypatch):
    pipe, out = tmp_path / "pipe", tmp_path / "evidence.pcapng"
    os.mkfifo(pipe)
    monkeypatch.setattr(spool.Inputs, "__init__", functools.partialmethod(spool.Inputs.__init__, limit=5000))
    writer = threading.Thread(target=pipe.write_bytes, args=(Path(captures("items-client.pcap")[0]).read_bytes(),))
    writer.start()
    assert run([str(pipe), "--write-evidence", str(out)]) == 0
    writer.join()
    said = capsys.readouterr().err
    assert "bytes of the pipe were not kept" in said
    assert re.search(r"not found in the evidence alone: .*3", said)


def test_no_mirror_no_file(tmp_path, capsys):
    out = tmp_path / "evidence.pcapng"
    assert run([*captures("nomirror-client.pcap"), "--write-evidence", str(out)]) == 0
    assert "no mirror was found: no evidence is written" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_wrong_targets(tmp_path, capsys):
    copy = tmp_path / "x.pcap"
    copy.write_bytes(Path(captures("items-client.pcap")[0]).read_bytes())
    for target, said in (
        ("-", "name of a file"),
        (str(tmp_path), "not a file that can be replaced"),
        (str(tmp_path / "no/such/x.pcapng"), "does not exist"),
        (str(copy), "would be overwritten"),
        (str(tmp_path / "out.json"), "would be overwritten"),
    ):
        args = [str(copy), "--json", "-o", str(tmp_path / "out.json"), "--write-evidence", target]
        assert run(args) == 2
        assert said in capsys.readouterr().err
    assert run([str(copy), "--anonymise"]) == 2
    assert "--write-evidence" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["x.pcap"]


def test_a_disk_that_is_full(tmp_path, capsys, monkeypatch):
    """A failure leaves no half-written file behind."""
    out = tmp_path / "evidence.pcapng"

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert run([*captures("items-client.pcap"), "--write-evidence", str(out)]) == 2
    assert "No space left" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_wireshark_shows_the_comments(tmp_path):
    out = tmp_path / "evidence.pcapng"
    evidence(captures("items-client.pcap"), out)
    command = [
        "tshark",
        "-r",
        str(out),
        "-Y",
        'frame.comment contains "ends at the proxy"',
        "-T",
        "fields",
        "-e",
        "frame.comment",
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["mirror 1", "mirror 2", "mirror 3"]


def test_opened_readers_are_those_of_the_inspection():
    """Numbers of captures are the same at both readings."""
    assert [r.info.number for r in open_captures(captures("items-client.pcap")[0], 3)] == [3]
