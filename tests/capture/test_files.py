"""File formats, compressions, archives, and what is said about an input that is none of them."""

import gzip
import io
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import threading

import lz4.frame
import numpy as np
import pytest
import zstandard
from capture_files import (
    T0,
    block,
    described,
    enhanced,
    gather,
    modified_pcap,
    one,
    option,
    pcap,
    read,
    read_merged,
    same,
    section,
    speed,
)
from scapy.layers.inet import IP, TCP, fragment
from scapy.layers.l2 import Ether

from inspector.capture import link_type_name, open_captures
from inspector.capture.following import Stop
from inspector.errors import CaptureError


def frame(i, size=10):
    return bytes(
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP() / TCP(seq=i) / (bytes([i % 256]) * size)
    )


FRAMES = [frame(i, i * 7 % 90) for i in range(60)]
PLAIN = pcap(FRAMES)
GOT = read(PLAIN)


def test_pcap_variants_are_the_same_packets():
    assert GOT.packets.number.tolist() == list(range(1, 61))
    assert GOT.packets.time.tolist() == [T0 + i * 1_000_000 for i in range(60)]
    assert GOT.segments.seq.tolist() == list(range(60))
    assert GOT.frames == FRAMES
    assert (GOT.info.first, GOT.info.last, GOT.info.packets, GOT.info.bytes) == (T0, T0 + 59_000_000, 60, len(PLAIN))
    for big in (False, True):
        for nano in (False, True):
            same(GOT, read(pcap(FRAMES, big=big, nano=nano), 1024))
            with speed("compiled"):
                same(GOT, read(pcap(FRAMES, big=big, nano=nano)))


@pytest.mark.parametrize("big", [False, True])
def test_kuznetzovs_pcap(big, tmp_path):
    data = modified_pcap(FRAMES, big=big)
    got = read(data)
    got.info.bytes = GOT.info.bytes
    same(GOT, got)
    same(read(data), read(data, 1024))
    with speed("compiled"):
        same(read(data), read(data, 1500))
    lost = bytearray(data)
    lost[24 : 24 + 24] = b"\xff" * 24
    again = read(bytes(lost))
    assert again.segments.seq.tolist() == list(range(1, 60))
    assert again.info.faults == {"damaged-record": 1}


def test_nanoseconds_are_kept():
    times = [T0 + 123_456_789, T0 + 999_999_999]
    assert read(pcap(FRAMES[:2], nano=True, times=times)).packets.time.tolist() == times


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("block_bytes", [1024, 1 << 20])
def test_pcapng(order, block_bytes):
    o = order
    other = "<" if o == ">" else ">"
    comment = option(1, "Überblick".encode(), o) + option(0, b"", o)
    data = b"".join(
        (
            section(o, option(1, b"taken on node-1", o)),
            described(1, o, option(2, b"eth0", o) + option(9, b"\x09", o), 96),
            described(
                113,
                o,
                option(2, b"any", o) + option(9, bytes([0x80 | 20]), o) + option(14, struct.pack(o + "q", 100), o),
            ),
            block(0xBAD, b"custom", o),
            enhanced(FRAMES[0], T0, 0, o, comment),
            enhanced(b"\0" * 14 + b"\x08\0" + FRAMES[1][14:], 5 << 20 | 1 << 19, 1, o, length=900),
            block(4, b"\0" * 8, o),  # names
            block(5, struct.pack(o + "III", 0, 0, 0), o),  # statistics
            block(3, struct.pack(o + "I", 300) + FRAMES[2], o),  # simple: no time
            block(
                2,
                struct.pack(o + "HHIIII", 0, 1, (T0 + 9) >> 32, (T0 + 9) & 0xFFFFFFFF, len(FRAMES[3]), 70) + FRAMES[3],
                o,
            ),
            block(0x0A, struct.pack(o + "II", 0x544C534B, 11) + b"CLIENT_RAND", o),
            section(other),
            described(1, other),
            enhanced(FRAMES[4], T0 // 1000 + 5, 0, other),
        )
    )
    got = read(data, block_bytes)
    assert got.info.format == "pcapng"
    assert [i.name for i in got.info.interfaces] == ["eth0", "any", ""]
    assert got.info.interfaces[0].snaplen == 96
    assert got.info.link_types == ["EN10MB", "LINUX_SLL"]
    assert got.info.comments == ["taken on node-1", "Überblick"]
    assert got.info.tls_secrets == b"CLIENT_RAND"
    odd = 105_500_000_000  # 5.5 s in units of 2**-20, and the offset
    assert got.packets.time.tolist() == [T0, odd, odd, T0 + 9, T0 // 1000 * 1000 + 5000]
    assert got.packets.interface.tolist() == [0, 1, 0, 0, 2]
    assert got.packets.length.tolist()[1:3] == [900, 300]
    assert got.segments.seq.tolist() == [0, 1, 2, 3, 4]
    assert got.info.faults == {}
    with speed("compiled"):
        same(got, read(data, block_bytes))


@pytest.mark.parametrize(
    ("value", "units", "ns"),
    [
        (0, 5, 5_000_000_000),
        (3, 5_001, 5_001_000_000),
        (12, 5_000_000_007_000, 5_000_000_007),
        (0x80, 5, 5_000_000_000),
        (0x80 | 32, 5 << 32 | 1 << 31, 5_500_000_000),
        (0x80 | 60, 5 << 60 | 1 << 59, 5_500_000_000),
        (30, 5, 0),
        (0xFF, 5, 0),
    ],
)
def test_time_resolution(value, units, ns):
    data = section() + described(options=option(9, bytes([value]))) + enhanced(FRAMES[0], units)
    got = read(data)
    assert got.packets.time.tolist() == [ns]
    with speed("compiled"):
        same(got, read(data))


def test_times_out_of_range_are_told():
    parts = [section(), described(options=option(9, b"\0")), enhanced(FRAMES[0], 7), enhanced(FRAMES[1], (1 << 64) - 1)]
    data = b"".join([*parts, enhanced(FRAMES[2], 1 << 62)])
    got = read(data)
    assert got.packets.time.tolist() == [7 * 10**9] * 3
    assert got.info.faults == {"record-time": 2}
    with speed("compiled"):
        same(got, read(data))


def test_packets_of_an_interface_never_described():
    got = read(section() + described() + enhanced(FRAMES[0], 1, 5) + enhanced(FRAMES[1], 2))
    assert got.info.faults == {"unknown-interface": 1}
    assert [got.info.interfaces[i].name for i in got.packets.interface] == ["not described", ""]
    assert got.segments.packet.tolist() == [2]


def test_unknown_link_type_is_named():
    with pytest.raises(CaptureError, match=r"link type 147 \(USER0\)"):
        read(pcap(FRAMES, 147))
    with pytest.raises(CaptureError, match=r"link type 9999 \(LINKTYPE_9999\)"):
        read(section() + described(9999) + enhanced(FRAMES[0], 1))
    mixed = read(section() + described(147) + described(1) + enhanced(FRAMES[0], 1) + enhanced(FRAMES[1], 2, 1))
    assert mixed.segments.packet.tolist() == [2]
    assert mixed.info.faults == {"unknown-link-type": 1}
    assert link_type_name(276) == "LINUX_SLL2"


COMPRESS = {
    "gz": lambda b: gzip.compress(b, mtime=0),
    "zst": lambda b: zstandard.ZstdCompressor().compress(b),
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
}


@pytest.mark.parametrize("kind", COMPRESS)
def test_compressed(kind, tmp_path):
    pack = COMPRESS[kind]
    half = len(PLAIN) // 2
    path = tmp_path / "x.bin"
    path.write_bytes(pack(PLAIN[:half]) + pack(PLAIN[half:]))  # two members
    got = read(str(path), 1024)
    assert got.info.compression == kind
    assert got.info.bytes == len(PLAIN)
    got.info.path, got.info.compression = GOT.info.path, ""
    same(GOT, got)
    reader = one(str(path))
    assert [b.position for b in reader.blocks()][-1] == path.stat().st_size == reader.size


@pytest.mark.parametrize("kind", COMPRESS)
def test_compressed_and_cut(kind):
    rng = np.random.default_rng(1)
    noisy = pcap([FRAMES[0] + rng.bytes(1000) for _ in range(400)])
    packed = COMPRESS[kind](noisy)
    got = read(packed[: len(packed) * 2 // 3])
    assert got.info.dropped_tail
    assert got.info.faults["decompression"] == 1
    assert 100 < got.info.packets < 400
    assert got.info.warnings


@pytest.mark.parametrize("kind", ["gz", "xz", "lz4"])
def test_compressed_and_damaged(kind):
    packed = bytearray(COMPRESS[kind](pcap([np.random.default_rng(2).bytes(1000) for _ in range(400)])))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = b"\xff" * 64
    got = read(bytes(packed))
    assert got.info.faults["decompression"] == 1
    assert got.info.dropped_tail


def test_zst_cut_at_a_block_is_noticed():
    packed = COMPRESS["zst"](PLAIN)
    with pytest.raises(CaptureError, match="ends early"):
        read(packed[:-6])


def test_nested_twice_but_not_thrice():
    twice = gzip.compress(lzma.compress(PLAIN))
    assert read(twice).info.compression == "gz+xz"
    with pytest.raises(CaptureError, match="more than twice"):
        read(gzip.compress(twice))


def test_a_bomb_stays_small():
    head = PLAIN + struct.pack("<IIII", T0 // 10**9, 0, 200_000, 200_000)
    bomb = gzip.compress(head + b"\0" * (64 << 20), 9)
    reader = one(bomb, 1 << 16)
    assert sum(len(b.packets) for b in reader.blocks()) == 61
    assert len(reader._buffer) <= 1 << 20
    assert reader.info.faults == {"damaged-record": 1}


def archive(members, mode="w", form=tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.pcap")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("as_path", [True, False])
def test_tar(tmp_path, mode, form, as_path):
    long = "d/" * 60 + "v1.pcap.gz"
    data = archive({"a/client.pcap": PLAIN, "notes.txt": b"read me", long: gzip.compress(PLAIN)}, mode, form)
    path = tmp_path / "all.tar"
    path.write_bytes(data)
    readers = open_captures(str(path) if as_path else io.BytesIO(data), 3, 1024)
    name = str(path) if as_path else "<stream>"
    assert [r.info.path for r in readers] == [f"{name}:a/client.pcap", f"{name}:{long}"]
    assert [r.info.number for r in readers] == [3, 4]
    assert "notes.txt is skipped: " in readers[0].info.warnings[0]
    sides = [r.blocks() for r in readers]
    first = [next(s) for s in sides]  # side by side
    for reader, side, start in zip(readers, sides, first, strict=True):
        got = gather(iter([start]), reader.info)
        rest = gather(side, reader.info)
        assert got.frames + rest.frames == FRAMES


def test_tar_cut_and_empty():
    data = archive({"a.pcap": PLAIN, "b.pcap": PLAIN})
    readers = open_captures(io.BytesIO(data[: len(PLAIN) + 512 + 2000]))
    assert [sum(len(b.packets) for b in r.blocks()) > 5 for r in readers] == [True, True]
    assert readers[1].info.dropped_tail
    with pytest.raises(CaptureError, match=r"notes\.txt is skipped"):
        open_captures(io.BytesIO(archive({"notes.txt": b"x" * 600})))


def test_tar_with_a_size_that_cannot_be():
    data = bytearray(archive({"a.pcap": PLAIN}))
    data[124:136] = b"\x80" + b"\xff" * 11
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 256 + sum(data[156:512]))
    with pytest.raises(CaptureError):
        open_captures(io.BytesIO(bytes(data)))


LOOKS = [
    (b"hello world\n" * 9, "text"),
    (gzip.compress(b"hello world\n" * 9), r"text \(gz of it\)"),
    (b"\x7fELF\x02\x01\x01" + b"\0" * 60, "ELF"),
    (b"\x89PNG\r\n\x1a\n" + b"\0" * 60, "PNG"),
    (b'{"a": [1, 2]}', "JSON"),
    (b"<!DOCTYPE html><html>", "HTML"),
    (b"<?xml version='1.0'?>", "XML"),
    (b"snoop\0\0\0\0\0\0\2" + b"\0" * 30, "snoop"),
    (b"TR\0d" + b"\0" * 30, "nettl"),
    (bytes(8) + b"\x02\x00\x00\x50\0\0\0\x40", "unknown kind"),
    (b"\0\0\0\0" + struct.pack("<I", T0 // 10**9) + b"\x02\x00\x00\x50\0\0\0\x40" + b"\xff" * 64, "ERF"),
    (b"\0" * 100, "zero bytes"),
    (os.urandom(3) + b"\0\xff\xfe\x80" * 20, "unknown kind"),
    (b"12:00:00.1 IP 10.0.0.1.80 > 10.0.0.2.5: Flags [S], seq 1\n", "tcpdump's text"),
    ("한국어 메모\n".encode() * 40, "text"),
]


@pytest.mark.parametrize(("data", "what"), LOOKS, ids=[w for _, w in LOOKS])
def test_what_is_not_a_capture_is_named(data, what):
    with pytest.raises(CaptureError, match=what) as error:
        read(data)
    assert error.value.hint


def test_paths_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(CaptureError, match="no such file") as error:
        open_captures(str(tmp_path / "none.pcap"))
    assert error.value.hint
    with pytest.raises(CaptureError, match="directory"):
        open_captures(str(tmp_path))
    empty = tmp_path / "empty.pcap"
    empty.touch()
    with pytest.raises(CaptureError, match="empty"):
        open_captures(str(empty))
    with pytest.raises(CaptureError, match="data is empty"):
        open_captures(io.BytesIO(gzip.compress(b"")))
    with pytest.raises(CaptureError, match="ends inside its first header"):
        read(PLAIN[:20])
    with pytest.raises(CaptureError):
        open_captures("a\0b")
    monkeypatch.setattr("builtins.open", lambda *a, **k: (_ for _ in ()).throw(PermissionError(13, "denied")))
    with pytest.raises(CaptureError, match="permission denied"):
        open_captures(str(empty))


def test_a_capture_without_packets():
    for data in (PLAIN[:24], section(), section() + described()):
        got = read(data)
        assert (len(got.packets), len(got.segments), got.info.first, got.info.faults) == (0, 0, None, {})


def test_a_pipe_that_is_followed_is_read_as_it_comes():
    inside, outside = os.pipe()
    reader_file = open(inside, "rb", buffering=0)  # noqa: SIM115
    cut = PLAIN.index(FRAMES[30]) + 5
    os.write(outside, PLAIN[:cut])
    (reader,) = open_captures(reader_file, follow=Stop())
    blocks = reader.blocks()
    assert len(next(blocks).packets) == 30  # what is there is handed on before the rest has been written

    def write():
        for i in range(cut, len(PLAIN), 7):
            os.write(outside, PLAIN[i : i + 7])
        os.close(outside)

    writer = threading.Thread(target=write)
    writer.start()
    assert sum(len(b.packets) for b in blocks) == 30
    writer.join()


def test_a_pipe_gives_the_same_blocks_as_a_file(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(PLAIN)
    inside, outside = os.pipe()

    def write():
        for i in range(0, len(PLAIN), 100):
            os.write(outside, PLAIN[i : i + 100])
        os.close(outside)

    writer = threading.Thread(target=write)
    writer.start()
    (pipe,) = open_captures(open(inside, "rb", buffering=0), block_bytes=2048)  # noqa: SIM115
    (file,) = open_captures(str(path), block_bytes=2048)
    assert [len(b.packets) for b in pipe.blocks()] == [len(b.packets) for b in file.blocks()]
    writer.join()


def test_standard_input():
    script = (
        "from inspector.capture import open_captures as o; r, = o('-'); print(sum(len(b.packets) for b in r.blocks()))"
    )
    run = subprocess.run([sys.executable, "-c", script], input=PLAIN, capture_output=True, check=True)
    assert run.stdout == b"60\n"


def test_progress_counts_the_input(tmp_path):
    path = tmp_path / "x.pcap.gz"
    path.write_bytes(gzip.compress(PLAIN))
    told = []
    (reader,) = open_captures(str(path), block_bytes=1024, progress=told.append)
    for _ in reader.blocks():
        pass
    assert sum(told) == path.stat().st_size


def test_merge_is_in_time_order_and_knows_no_blocks():
    rng = np.random.default_rng(7)
    sources, rows = [], []
    for number in range(3):
        times = T0 + np.cumsum(rng.integers(0, 3, 150)) * 1000
        if number == 1:
            times[40:60] = times[60]  # many equal ones
        frames = [frame(number * 1000 + i, int(rng.integers(0, 200))) for i in range(150)]
        sources.append(pcap(frames, times=times.tolist()))
        rows += [(int(t), number, i + 1) for i, t in enumerate(times)]
    expected = sorted(rows)
    for block_bytes in (1024, 2000, 5000, 1 << 20):
        got = read_merged(sources, block_bytes)
        mine = list(
            zip(got.packets.time.tolist(), got.packets.capture.tolist(), got.packets.number.tolist(), strict=True)
        )
        assert mine == expected
        mine = list(
            zip(got.segments.time.tolist(), got.segments.capture.tolist(), got.segments.packet.tolist(), strict=True)
        )
        assert mine == expected
        assert got.segments.seq.tolist() == [c * 1000 + n - 1 for _, c, n in expected]
        assert all(set(p) <= {s % 256} for p, s in zip(got.payloads, got.segments.seq.tolist(), strict=True))


def test_merge_keeps_a_captures_own_order_where_its_times_go_back():
    times = [T0 + t for t in (5000, 9000, 7000, 12000)]
    other = [T0 + t for t in (6000, 8000, 10000)]
    for block_bytes in (1024, 1 << 20):
        got = read_merged([pcap(FRAMES[:4], times=times), pcap(FRAMES[4:7], times=other)], block_bytes)
        order = list(zip(got.packets.capture.tolist(), got.packets.number.tolist(), strict=True))
        assert order == [(0, 1), (1, 1), (1, 2), (0, 2), (0, 3), (1, 3), (0, 4)]


def test_merge_with_fragments_and_an_empty_capture():
    body = bytes(range(256)) * 16
    parts = [bytes(f) for f in fragment(IP(src="1.2.3.4", dst="5.6.7.8", id=99) / TCP(seq=1000) / body, 1000)]
    sources = [pcap([*parts, *parts], 101), PLAIN, PLAIN[:24]]
    for block_bytes in (1024, 1 << 20):
        got = read_merged(sources, block_bytes)
        assert len(got.packets) == 60 + 2 * len(parts)
        whole = [p for p, c in zip(got.payloads, got.segments.capture.tolist(), strict=True) if c == 0]
        assert whole == [body, body]
