"""Captures that went through a terminal, captures behind messages, and captures as text."""

import gzip
import io
import os
import random
import shutil
import subprocess
import threading

import pytest
from capture_files import T0, described, enhanced, gather, modified_pcap, pcap, read, same, section, speed
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from inspector.capture import open_captures
from inspector.capture.following import Stop
from inspector.errors import CaptureError

MAC = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
HEAD = b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n"


def frame(i):
    dice = random.Random(i)
    ip = IP(src="10.244.3.17", dst="10.96.200.1", id=i * 257)
    return bytes(MAC / ip / TCP(sport=2570 + i, dport=80, seq=i) / (HEAD % i + dice.randbytes(i % 90)))


FRAMES = [frame(i) for i in range(60)]
FORMS = {
    "pcap": pcap(FRAMES),
    "big": pcap(FRAMES, big=True, nano=True),
    "kuznetzov": modified_pcap(FRAMES),
    "pcapng": section() + described() + b"".join(enhanced(f, T0 // 1000 + i) for i, f in enumerate(FRAMES)),
    "pcapng big": section(">") + described(1, ">") + b"".join(enhanced(f, T0 // 1000 + i, 0, ">") for i, f in enumerate(FRAMES)),
}  # fmt: skip
LISTENING = b"tcpdump: listening on any, link-type LINUX_SLL2 (Linux cooked v2), snapshot length 262144 bytes\n"
KUBECTL = 'Defaulted container "app" out of: app, sidecar\nUnable to use a TTY - 입력이 터미널이 아닙니다\n'.encode()
LAST = b"^C60 packets captured\n120 packets received by filter\n0 packets dropped by kernel\n"


def terminal(data):
    return data.replace(b"\n", b"\r\n")


def everywhere(data):
    """Read in blocks of several sizes, in both speeds, as a file would be and through a pipe; all must agree."""
    got = read(data)
    for block_bytes in (1024, 1500, 5000):
        same(got, read(data, block_bytes))
    with speed("compiled"):
        same(got, read(data, 1024))
    out, into = os.pipe()

    def write():
        with open(into, "wb", buffering=0) as file:
            for at in range(0, len(data), 333):
                file.write(data[at : at + 333])

    thread = threading.Thread(target=write)
    thread.start()
    (reader,) = open_captures(open(out, "rb", buffering=0), block_bytes=4096)  # noqa: SIM115
    piped = gather(reader.blocks(), reader.info)
    thread.join()
    piped.info.warnings = [w.replace(f"{piped.info.path}:", f"{got.info.path}:", 1) for w in piped.info.warnings]
    piped.info.path = got.info.path
    same(got, piped)
    return got


@pytest.mark.parametrize("form", FORMS)
def test_line_ends_are_undone(form):
    data = terminal(FORMS[form])
    assert len(data) > len(FORMS[form]) + 100
    got = everywhere(data)
    assert got.frames == FRAMES
    assert (got.info.faults, got.info.bytes, got.info.dropped_tail) == ({"line-ends": 1}, len(data), False)
    (warning,) = got.info.warnings
    assert "went through a terminal" in warning
    assert "kubectl exec -i (without -t)" in warning
    packed = read(gzip.compress(data))
    assert (packed.frames, packed.info.faults) == (FRAMES, {"line-ends": 1})


@pytest.mark.parametrize("form", FORMS)
def test_no_byte_is_lost_where_a_block_ends(form):
    data = terminal(FORMS[form])
    got = read(data)
    for block_bytes in range(1024, 1324, 3):
        same(got, read(data, block_bytes))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_packets_are_enough(count):
    got = everywhere(terminal(pcap(FRAMES[:count])))
    assert (got.frames, got.info.faults) == (FRAMES[:count], {"line-ends": 1})


@pytest.mark.parametrize("form", FORMS)
def test_a_sound_capture_is_left_as_it_is(form):
    got = everywhere(FORMS[form])
    assert (got.frames, got.info.faults, got.info.warnings) == (FRAMES, {}, [])


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_cr_lf_that_was_captured_is_no_damage(count):
    """Every LF has a CR in front, but the lengths are right."""
    frames = [bytes(MAC / IP(id=1) / TCP(seq=i << 16)) + HEAD % i for i in range(count)]
    data = pcap(frames, times=[T0 // 10**9 * 10**9 + 256 * 1000 for _ in frames])
    assert data.count(b"\n") == data.count(b"\r\n") == 3 * count
    got = everywhere(data)
    assert (got.frames, got.info.faults) == (frames, {})
    again = everywhere(terminal(data))
    assert (again.frames, again.info.faults) == (frames, {"line-ends": 1})


@given(
    st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x"]), min_size=1, max_size=40), min_size=3, max_size=9)
)
@settings(max_examples=60, deadline=None)
def test_any_bytes(parts):
    frames = [b"".join(p) for p in parts]
    for data in (pcap(frames, 101), terminal(pcap(frames, 101))):
        got = read(data)
        assert got.frames == frames
        same(got, read(data, 1024))


def test_a_snap_length_with_a_line_end_in_it():
    """It moves the link type in the file's own header."""
    got = everywhere(terminal(pcap(FRAMES, snaplen=2560)))
    assert (got.frames, got.info.interfaces[0].snaplen) == (FRAMES, 2560)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("front", [LISTENING, KUBECTL + LISTENING])
def test_messages_in_front(form, changed, front):
    data = front + FORMS[form]
    data = terminal(data) if changed else data
    got = everywhere(data)
    assert got.frames == FRAMES
    assert got.info.bytes == len(data)
    assert got.info.faults == ({"line-ends": 1} if changed else {})
    said = got.info.warnings[0]
    assert "are skipped" in said
    assert front[:20].decode() in said
    assert "\n" not in said


@pytest.mark.parametrize("changed", [False, True])
def test_messages_behind_the_header_and_at_the_end(changed):
    """tcpdump -U writes the file's header before it says that it listens."""
    plain = FORMS["pcap"]
    data = plain[:24] + LISTENING + plain[24:] + LAST
    got = everywhere(terminal(data) if changed else data)
    assert got.frames == FRAMES
    assert any("listening on any" in w for w in got.info.warnings)
    assert any("60 packets captured" in w for w in got.info.warnings)
    assert not any("damaged" in w for w in got.info.warnings)


@pytest.mark.parametrize("count", [1, 2])
def test_few_packets_and_last_words(count):
    got = everywhere(terminal(pcap(FRAMES[:count]) + LAST))
    assert got.frames == FRAMES[:count]
    assert got.info.faults["line-ends"] == 1


def test_what_a_message_says_cannot_reach_a_terminal():
    got = read(b"\x1b[31mred\x1b[0m\n" + FORMS["pcap"])
    assert got.frames == FRAMES
    assert "\x1b" not in got.info.warnings[0]


def test_messages_have_an_end():
    with pytest.raises(CaptureError):
        read(b"text\n" * 20_000 + FORMS["pcap"])


def test_a_growing_capture_behind_a_terminal(tmp_path):
    path = tmp_path / "growing.pcap"
    path.write_bytes(terminal(LISTENING + FORMS["pcap"]))
    stop = Stop()
    (reader,) = open_captures(str(path), follow=stop)
    stop()
    got = gather(reader.blocks(), reader.info)
    assert (got.frames, got.info.faults) == (FRAMES, {"line-ends": 1})


def test_a_growing_capture_does_not_wait_for_a_decision(tmp_path):
    """A record with CR LF that ends where the file ends is given at once."""
    one = pcap([bytes(MAC / IP(id=1) / TCP()) + HEAD % 1], times=[T0 // 10**9 * 10**9 + 256 * 1000])
    path = tmp_path / "growing.pcap"
    path.write_bytes(one)
    stop = Stop()
    (reader,) = open_captures(str(path), follow=stop)
    blocks = reader.blocks()
    first = next(b for b in blocks if len(b.packets))
    assert len(first.packets) == 1
    with path.open("ab") as file:
        file.write(FORMS["pcap"][24:])
    stop()
    assert sum(len(b.packets) for b in blocks) == 60


DECODERS = {
    "base64": ["base64", "IN"],
    "base64 -w0": ["base64", "-w0", "IN"],
    "xxd": ["xxd", "IN"],
    "xxd -g1": ["xxd", "-g1", "IN"],
    "xxd -p": ["xxd", "-p", "IN"],
    "hexdump -Cv": ["hexdump", "-Cv", "IN"],
    "hexdump -v": ["hexdump", "-v", "IN"],
    "od": ["od", "-v", "-t", "x1", "IN"],
    "od -A x": ["od", "-v", "-A", "x", "-t", "x1", "IN"],
}


@pytest.mark.parametrize("form", ["pcap", "big", "pcapng", "gz"])
@pytest.mark.parametrize("name", DECODERS)
def test_the_command_that_is_told_decodes_the_text(name, form, tmp_path):
    command = DECODERS[name]
    if shutil.which(command[0]) is None or shutil.which("xxd") is None:
        pytest.skip(f"needs {command[0]} and xxd")
    data = gzip.compress(FORMS["pcap"]) if form == "gz" else FORMS[form]
    (tmp_path / "IN").write_bytes(data)
    text = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    (tmp_path / "FILE").write_bytes(text)
    with pytest.raises(CaptureError) as refused:
        read(str(tmp_path / "FILE"))
    assert "base64" in str(refused.value) if command[0] == "base64" else "hex dump" in str(refused.value)
    hint = refused.value.hint
    assert "kubectl exec -i POD" in hint
    assert "without -t" in hint
    decode = hint.removeprefix("Decode it first: ").split(". Or take")[0]
    subprocess.run(["sh", "-c", decode], cwd=tmp_path, check=True, capture_output=True)
    assert read(str(tmp_path / "capture.pcap")).frames == FRAMES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"0000  0a 00 00 00 00 02 0a 00 00 00 00 01 08 00 45 00   ..............E.\n", "hex dump of packets"),
        (b"hello world, this is text\n", "looks like text"),
        (b"0123456789abcdef0123456789abcdef\n", "looks like text"),
        (b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\n", "looks like text"),
    ],
)
def test_other_text_is_no_capture(text, said):
    with pytest.raises(CaptureError, match=said):
        open_captures(io.BytesIO(text))
