"""pcapng written here: read back by our own reader, by itself, and by Wireshark's tools."""

from __future__ import annotations

import io
import shutil
import subprocess

import pytest
from capture_files import read
from hypothesis import given
from hypothesis import strategies as st

from inspector.capture import links, writer
from inspector.capture.writer import WrittenInterface, WrittenPacket

TIME = 1_795_230_566_429_573_001
PACKETS = st.lists(
    st.builds(
        WrittenPacket,
        interface=st.integers(0, 1),
        time=st.integers(0, (1 << 62) - 1),
        data=st.binary(max_size=300),
        length=st.integers(300, 70_000),
        comments=st.lists(st.text(min_size=1, max_size=50), max_size=3).map(tuple),
    ),
    max_size=8,
)
TWO = (
    WrittenInterface(links.ETHERNET, 262144, "eth0", "client.pcap"),
    WrittenInterface(links.LINUX_SLL2, 96, "", "진단.pcap"),
)


def file_of(packets, interfaces=TWO, comment="what it is") -> bytes:
    parts = [writer.section("mirror-inspector 0", comment), *map(writer.interface, interfaces)]
    return b"".join([*parts, *map(writer.packet, packets)])


@given(PACKETS)
def test_what_was_written_is_read_back(packets):
    data = file_of(packets)
    packets = [WrittenPacket(p.interface, p.time, p.data, p.length, tuple(map(clean, p.comments))) for p in packets]
    assert list(writer.written(io.BytesIO(data))) == [*TWO, *packets]
    found = read(data)
    assert found.frames == [p.data for p in packets]
    assert found.packets.time.tolist() == [p.time for p in packets]
    assert found.packets.length.tolist() == [p.length for p in packets]
    assert [i.name for i in found.info.interfaces[:2]] == ["eth0", ""]
    assert [i.snaplen for i in found.info.interfaces[:2]] == [262144, 96]


def clean(text: str) -> str:
    """As UTF-8 has it: surrogates cannot be written."""
    return text.encode("utf-8", "replace").decode()


def test_comments_are_told():
    found = read(file_of([WrittenPacket(0, TIME, b"abcd", 4, ("one", "둘"))]))
    assert found.info.comments == ["what it is", "one", "둘"]


def test_a_long_comment_is_cut_between_characters():
    long = "가" * 40_000
    (packet,) = [
        p for p in writer.written(io.BytesIO(file_of([WrittenPacket(0, TIME, b"", 0, (long,))]))) if p not in TWO
    ]
    assert packet.comments[0] == "가" * (0xFFFF // 3)


@pytest.mark.parametrize("bad", [(-1, b"", 0), (1 << 63, b"", 0), (0, b"abc", 2), (0, b"", 1 << 32)])
def test_what_no_reader_takes_is_not_written(bad):
    time, data, length = bad
    with pytest.raises(ValueError, match="out of range"):
        writer.packet(WrittenPacket(0, time, data, length))


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d[:-4] + b"\1\0\0\0", lambda d: d + b"\5\0\0\0\x0c\0\0\0\x0c\0\0\0"]
)
def test_another_file_is_refused(damage):
    with pytest.raises(ValueError, match="block"):
        list(writer.written(io.BytesIO(damage(file_of([WrittenPacket(0, TIME, b"abcd", 4)])))))


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_wireshark_shows_times_interfaces_and_comments(tmp_path):
    path = tmp_path / "x.pcapng"
    path.write_bytes(
        file_of([WrittenPacket(0, TIME, bytes(60), 60, ("first", "second")), WrittenPacket(1, TIME + 1, b"x", 9)])
    )
    fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "frame.interface_name", "frame.comment"]
    command = ["tshark", "-r", str(path), "-T", "fields", *(part for f in fields for part in ("-e", f))]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0].split("\t") == ["1795230566.429573001", "60", "60", "eth0", "first,second"]
    assert lines[1].split("\t")[:3] == ["1795230566.429573002", "9", "1"]
    if not shutil.which("capinfos"):
        return
    told = subprocess.run(["capinfos", str(path)], capture_output=True, text=True, check=True).stdout
    assert "nanoseconds (9)" in told
    assert "what it is" in told
