"""IP reassembly: whole datagrams, overlaps, cuts, bounds; against a dull bitmap for the interval code."""

import random

import numpy as np
import pytest
from capture_files import T0, pcap, read, same, speed
from fragment_parts import BODY, PARTS, PARTS6, WHOLE
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from inspector.capture import PacketKind
from inspector.capture.fragments import LIFETIME, MAX_DATAGRAMS, Datagram, Fragment


def the_segment(got, number):
    assert len(got.segments) == 1
    assert got.payloads[0] == BODY
    assert got.segments.packet.tolist() == [number]
    assert (got.segments.sport[0], got.segments.seq[0], got.segments.length[0]) == (5, 1000, len(BODY))
    assert got.packets.kind[number - 1] == PacketKind.TCP
    assert (np.delete(got.packets.kind, number - 1) == PacketKind.FRAGMENT).all()


@pytest.mark.parametrize("parts", [PARTS, PARTS6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("seed", range(5))
def test_any_order(parts, seed):
    parts = list(parts)
    random.Random(seed).shuffle(parts)
    got = read(pcap(parts, 101))
    the_segment(got, len(parts))
    assert got.info.faults == {}
    same(got, read(pcap(parts, 101), 1024))
    with speed("compiled"):
        same(got, read(pcap(parts, 101), 1024))


def test_segments_stay_in_file_order_and_numbers_are_right():
    other = bytes(IP(src="9.9.9.9") / TCP(sport=6) / b"other")
    frames = [other, *PARTS[:-1], other, PARTS[-1], other, other]
    got = read(pcap(frames, 101), 1024)
    last = len(PARTS) + 2
    assert got.segments.packet.tolist() == [1, last - 1, last, last + 1, last + 2]
    assert got.payloads[2] == BODY
    assert got.segments.time[2] == got.packets.time[last - 1]


def test_fragments_of_an_outer_vxlan_packet():
    inner = Ether() / WHOLE
    outer = IP(src="192.168.0.1", dst="192.168.0.2", id=3) / UDP(sport=1, dport=4789) / VXLAN(vni=1, flags=8) / inner
    parts = fragment(outer, 1400)
    got = read(pcap(parts, 101))
    the_segment(got, len(parts))
    assert got.segments.tunnel[0] == 1


def test_fragments_inside_fragments():
    frames = []
    for i, part in enumerate(PARTS):
        frames += fragment(IP(src="192.168.0.1", dst="192.168.0.2", id=i, proto=4) / part, 400)
    got = read(pcap(frames, 101), 1024)
    assert got.payloads == [BODY]
    assert got.segments.tunnel[0] == 1
    same(got, read(pcap(frames, 101), 1 << 20))


def test_the_same_on_two_interfaces_stays_apart():
    def sll2(packet, index):
        return b"\x08\0\0\0" + index.to_bytes(4, "big") + b"\0\1\0\6" + b"\0" * 8 + packet

    got = read(pcap([sll2(p, i) for p in PARTS for i in (2, 3)], 276))
    assert got.payloads == [BODY, BODY]
    assert [got.info.interfaces[i].name for i in got.segments.interface] == ["if2", "if3"]


def test_first_bytes_win_in_ipv4():
    forged = bytearray(PARTS[1])
    forged[20:] = b"\xee" * (len(forged) - 20)
    the_segment(read(pcap([PARTS[0], PARTS[1], bytes(forged), *PARTS[2:]], 101)), len(PARTS) + 1)


def test_overlap_drops_the_datagram_in_ipv6_but_twice_the_same_is_fine():
    forged = bytearray(PARTS6[1])
    forged[-1] ^= 1
    got = read(pcap([PARTS6[0], PARTS6[1], bytes(forged), *PARTS6[2:]], 101))
    assert len(got.segments) == 0
    assert got.info.faults == {"fragment-overlap": 1, "fragment-incomplete": 1}
    the_segment(read(pcap([PARTS6[0], PARTS6[0], *PARTS6[1:]], 101)), len(PARTS6) + 1)


def test_cut_fragments_give_the_bytes_before_the_cut():
    frames = [p[:700] for p in PARTS]
    got = read(pcap(frames, 101, lengths=[len(p) for p in PARTS]))
    assert got.segments.length.tolist() == [len(BODY)]
    assert got.payloads == [BODY[: 700 - 40]]


def test_missing_and_late_fragments():
    got = read(pcap(PARTS[:-1], 101))
    assert len(got.segments) == 0
    assert got.info.faults == {"fragment-incomplete": 1}
    times = [T0 + i for i in range(len(PARTS) - 1)] + [T0 + LIFETIME + 1_000_000]
    got = read(pcap(PARTS, 101, times=times))
    assert len(got.segments) == 0
    assert got.info.faults == {"fragment-incomplete": 2}


def test_numbers_that_cannot_be():
    ping_of_death = bytearray(PARTS[0])
    ping_of_death[6:8] = b"\x1f\xff"
    uneven = bytes(IP(flags="MF", len=20 + 9) / (b"x" * 9))
    got = read(pcap([bytes(ping_of_death), uneven], 101))
    assert got.info.faults == {"malformed-fragment": 2}


def test_what_is_open_is_bounded():
    first = bytearray(PARTS[0])
    frames = []
    for i in range(MAX_DATAGRAMS + 500):
        first[4:6] = i.to_bytes(2, "big")
        frames.append(bytes(first))
    got = read(pcap(frames, 101, times=[T0] * len(frames)))
    assert got.info.faults == {"fragment-limit": 500, "fragment-incomplete": MAX_DATAGRAMS}


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12), st.integers(0, 12)), max_size=30))
@settings(max_examples=300, deadline=None)
def test_intervals_against_a_bitmap(pieces):
    datagram = Datagram(0)
    bitmap: dict[int, int] = {}
    lost = 1 << 30
    for i, (start, length, captured) in enumerate(pieces):
        captured = min(captured, length)
        for k in range(start, start + length):
            if k not in bitmap:
                bitmap[k] = i
                if k - start >= captured:
                    lost = min(lost, k)
        datagram.add(Fragment((), 0, 4, b"", 6, start, False, bytes([i]) * captured, length))
    had = {k for a, b in zip(datagram.starts, datagram.ends, strict=True) for k in range(a, b)}
    assert had == set(bitmap)
    assert all(b < a for b, a in zip(datagram.ends, datagram.starts[1:], strict=False))
    for k, i in bitmap.items():
        if k < min(lost, datagram.cut):
            assert datagram.data[k] == i
    assert min(datagram.cut, 1 << 16) <= lost
