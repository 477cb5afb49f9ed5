"""Truncated, damaged and hostile files: told, stepped over, never a crash, and the same for blocks of any size."""

import struct

import pytest
from capture_files import T0, block, described, enhanced, pcap, read, same, section, speed
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from work import steps

from inspector.errors import CaptureError

MAC = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FRAMES = [bytes(MAC / IP() / TCP(seq=i) / (b"payload %d " % i * (i % 9))) for i in range(40)]
PCAP = pcap(FRAMES)
STARTS = [24 + sum(16 + len(f) for f in FRAMES[:i]) for i in range(len(FRAMES) + 1)]  # of records
HEAD = section() + described()
BLOCKS = [enhanced(f, T0 // 1000 + i) for i, f in enumerate(FRAMES)]
PCAPNG = HEAD + b"".join(BLOCKS)
NG_STARTS = [len(HEAD) + sum(len(b) for b in BLOCKS[:i]) for i in range(len(BLOCKS) + 1)]


def sizes(data):
    """Read with small blocks and large, in both speeds; all must agree."""
    got = read(data)
    same(got, read(data, 1024))
    with speed("compiled"):
        same(got, read(data, 1500))
    return got


def seqs(got):
    return got.segments.seq.tolist()


@pytest.mark.parametrize("cut", [1, 5, 15, 16, 17, 40])
def test_truncated_pcap(cut):
    got = sizes(PCAP[: STARTS[-2] + cut])
    assert seqs(got) == list(range(39))
    assert got.info.dropped_tail
    assert got.info.faults == {"truncated-record": 1}
    assert f"{STARTS[-2]:,}" in got.info.warnings[0]


@pytest.mark.parametrize("cut", [1, 11, 12, 40])
def test_truncated_pcapng(cut):
    got = sizes(PCAPNG[: NG_STARTS[-2] + cut])
    assert seqs(got) == list(range(39))
    assert got.info.faults == {"truncated-record": 1}


def test_whole_files_have_no_fault():
    for data in (PCAP, PCAPNG):
        got = sizes(data)
        assert seqs(got) == list(range(40))
        assert (got.info.faults, got.info.warnings, got.info.dropped_tail) == ({}, [], False)


HEADERS = {
    "ones": b"\xff" * 16,
    "zeros": b"\0" * 16,
    "captured absurd": struct.pack("<IIII", T0 // 10**9, 0, 1 << 30, 100),
    "captured too long": struct.pack("<IIII", T0 // 10**9, 0, 3000, 100),
    "length absurd": struct.pack("<IIII", T0 // 10**9, 0, 100, 1 << 31),
    "text": b"GET / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("record", [0, 17, 38, 39])
def test_damaged_pcap_header(name, record):
    data = bytearray(PCAP)
    data[STARTS[record] : STARTS[record] + 16] = HEADERS[name]
    got = sizes(bytes(data))
    assert seqs(got) == [i for i in range(40) if i != record]
    assert got.info.faults == {"damaged-record": 1}
    (warning,) = got.info.warnings
    assert f"byte {STARTS[record]:,}" in warning
    assert f"{STARTS[record + 1] - STARTS[record]:,} bytes lost" in warning
    assert not got.info.dropped_tail


@pytest.mark.parametrize("record", [0, 17, 38, 39])
@pytest.mark.parametrize("at", [4, 8, -4])
def test_damaged_pcapng_block(record, at):
    """Its total length, the interface or packet length, or the second total length."""
    data = bytearray(PCAPNG)
    begin = NG_STARTS[record + 1] if at < 0 else NG_STARTS[record]
    offset = begin + (20 if at == 8 else at)
    data[offset : offset + 4] = b"\xff\xff\0\x7f"
    got = sizes(bytes(data))
    assert seqs(got) == [i for i in range(40) if i != record]
    assert got.info.faults == {"damaged-record": 1}


@pytest.mark.parametrize("junk", [b"\0" * 70_000, b"\xaa" * 5, bytes(range(256)) * 3, b"\0\1" * 40_000])
@pytest.mark.parametrize(("data", "starts"), [(PCAP, STARTS), (PCAPNG, NG_STARTS)], ids=["pcap", "pcapng"])
def test_junk_between_records(junk, data, starts):
    got = sizes(data[: starts[20]] + junk + data[starts[20] :])
    assert seqs(got) == list(range(40))
    assert got.info.faults == {"damaged-record": 1}
    assert f"{len(junk):,} bytes lost" in got.info.warnings[0]


def test_junk_to_the_end():
    got = sizes(PCAP + b"\xff" * 100_000)
    assert seqs(got) == list(range(40))
    assert got.info.faults == {"damaged-record": 1}
    assert "no record after it" in got.info.warnings[0]


def test_a_length_that_swallows_the_rest_of_the_file():
    data = bytearray(PCAP)
    data[STARTS[30] + 8 : STARTS[30] + 16] = struct.pack("<II", 200_000, 200_000)
    got = sizes(bytes(data))
    assert seqs(got) == [i for i in range(40) if i != 30]
    assert got.info.faults == {"damaged-record": 1}


def test_a_time_that_leaps_alone_is_not_believed():
    times = [T0 + i * 1_000_000 for i in range(40)]
    times[20] += 400 * 86_400 * 10**9
    got = sizes(pcap(FRAMES, times=times))
    assert got.packets.time[20] == times[19]
    assert got.info.faults == {"record-time": 1}
    assert got.info.last == times[-1]


def fractions(data, change):
    """The pcap with other fractions in its records: `change(number, microseconds)`."""
    out, at, n = bytearray(data), 24, 0
    while at < len(out):
        _seconds, fraction, captured, _length = struct.unpack_from("<IIII", out, at)
        struct.pack_into("<I", out, at + 4, change(n, fraction))
        at, n = at + 16 + captured, n + 1
    return bytes(out)


TIMES = [T0 + 2_000_000 + i * 40_000_000 for i in range(40)]


@pytest.mark.parametrize("cut", [0, 1, 16, 30])
def test_nanoseconds_in_a_file_of_microseconds(cut):
    data = fractions(pcap(FRAMES, times=TIMES), lambda _, fraction: fraction * 1000 + 7)
    got = sizes(data[: len(data) - cut])
    assert seqs(got) == list(range(39 if cut else 40))
    assert got.packets.time.tolist() == [t + 7 for t in TIMES[: len(got.packets)]]
    assert got.info.faults["record-time"] == len(got.packets)
    assert "damaged-record" not in got.info.faults


@pytest.mark.parametrize("first", [0, 1, 20, 38, 39])
def test_fractions_that_say_nothing(first):
    """From some record on; every record is read, in the second that it names."""
    data = fractions(pcap(FRAMES, times=TIMES), lambda i, fraction: fraction if i < first else 0xFFFFFFFF - i)
    got = sizes(data)
    assert seqs(got) == list(range(40))
    assert [t // 10**9 for t in got.packets.time.tolist()] == [t // 10**9 for t in TIMES]
    assert got.packets.time.tolist() == sorted(got.packets.time.tolist())
    assert got.info.faults == {"record-time": 40 - first}


def test_one_fraction_out_of_range_changes_no_other_time():
    got = sizes(fractions(pcap(FRAMES, times=TIMES), lambda i, fraction: 999_999_999 if i == 20 else fraction))
    assert [t for i, t in enumerate(got.packets.time.tolist()) if i != 20] == [
        t for i, t in enumerate(TIMES) if i != 20
    ]
    assert got.info.faults == {"record-time": 1}


def test_damage_among_fractions_out_of_range():
    data = bytearray(fractions(pcap(FRAMES, times=TIMES), lambda _, fraction: fraction * 1000 + 1_000_000))
    data[STARTS[20] : STARTS[20] + 16] = b"\xff" * 16
    got = sizes(bytes(data))
    assert seqs(got) == [i for i in range(40) if i != 20]
    assert got.info.faults == {"damaged-record": 1, "record-time": 39}


def test_leaps_of_time_that_are_meant():
    far = [T0 + i * 2 * 86_400 * 10**9 for i in range(40)]
    got = sizes(pcap(FRAMES, times=far))
    assert (got.packets.time.tolist(), got.info.faults) == (far, {})
    back = [T0, T0 + 10**9, 10**9, 2 * 10**9]
    assert sizes(pcap(FRAMES[:4], times=back)).packets.time.tolist() == back


def test_packets_captured_without_bytes():
    frames = [b"", *FRAMES[:5], b""]
    got = sizes(pcap(frames, lengths=[max(len(f), 60) for f in frames]))
    assert len(got.packets) == 7
    assert got.info.faults["cut-header"] == 2
    assert seqs(got) == [0, 1, 2, 3, 4]


def test_warnings_are_bounded():
    parts = [PCAP[:24]]
    for i in range(400):
        parts += [PCAP[24 : STARTS[6]], b"\xff" * (20 + i % 3)]
    got = read(b"".join(parts))
    assert got.info.faults == {"damaged-record": 400}
    assert len(got.info.warnings) == 21
    assert len(got.segments) == 2400


def test_the_search_is_linear():
    """Bytes that look like record headers at every offset but never chain, in plain mode."""
    rising = struct.pack("<IIII", 0x01010101, 0x00010101, 0x00010101, 0x01010101)

    def searched(n: int) -> int:
        return steps(lambda: read(PCAP + b"\xff" * 16 + rising * n + b"\x01" * 15 * n))

    assert searched(2000) < 2.5 * searched(1000)
    got = read(PCAP + b"\xff" * 16 + rising * 20_000 + b"\x01" * 300_000)
    assert seqs(got) == list(range(40))


def test_a_million_tiny_blocks_are_passed_over():
    data = HEAD + BLOCKS[0] + block(0x0BAD, b"") * 20_000 + BLOCKS[1]
    assert seqs(sizes(data)) == [0, 1]


def test_a_hundred_thousand_interfaces_are_bounded():
    got = read(section() + described() * 20_000 + BLOCKS[0])
    assert len(got.info.interfaces) == 4096
    assert seqs(got) == [0]


SEEDS = [bytes(MAC / Dot1Q(vlan=3) / IPv6() / TCP(options=[("Timestamp", (1, 2))]) / b"x")]
SEEDS += [
    bytes(f)
    for f in fragment(IP(id=5) / UDP(dport=4789, sport=1) / VXLAN(flags=8) / MAC / IP() / TCP() / (b"y" * 900), 400)
]
MIXED = pcap([*FRAMES[:8], SEEDS[0]])
RAW = pcap(SEEDS[1:] * 2 + [bytes(IPv6() / TCP())], 101)
MIXED_NG = HEAD + described(101) + b"".join(BLOCKS[:5]) + b"".join(enhanced(s, 7, 1) for s in SEEDS[1:])

edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat", "set32"]), st.integers(0, 1 << 16), st.integers(0, 1 << 32)
    ),
    min_size=1,
    max_size=6,
)


def mutate(data: bytes, steps) -> bytes:
    out = bytearray(data)
    for what, where, value in steps:
        at = where % max(len(out), 1)
        if what == "flip" and out:
            out[at] ^= 1 << value % 8
        elif what == "cut":
            del out[at : at + value % 50]
        elif what == "insert":
            out[at:at] = value.to_bytes(8, "little")
        elif what == "repeat":
            out[at:at] = out[at : at + value % 200]
        else:
            out[at : at + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little" if value % 2 else "big")
    return bytes(out)


@given(st.sampled_from([MIXED, RAW, MIXED_NG]), edits)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(MIXED, [("set32", 32, 1 << 30)])
def test_mutations_never_crash_and_blocks_do_not_matter(data, steps):
    changed = mutate(data, steps)
    try:
        got = read(changed)
    except CaptureError:
        return
    same(got, read(changed, 1024))
    with speed("compiled"):
        same(got, read(changed, 1024))


@given(st.sampled_from([PCAP[:24], RAW[:24], HEAD, b""]), st.binary(max_size=600))
@settings(max_examples=250, deadline=None)
def test_random_bytes_never_crash(head, data):
    try:
        got = read(head + data, 1024)
    except CaptureError:
        assert not head
        return
    same(got, read(head + data))


@given(
    st.binary(max_size=300),
    st.sampled_from([0, 1, 9, 50, 51, 101, 104, 105, 108, 113, 127, 192, 228, 229, 239, 258, 276]),
)
@settings(max_examples=300, deadline=None)
def test_random_packets_never_crash(data, link):
    sizes(pcap([data, data[::-1]], link, lengths=[len(data) + 5] * 2))
