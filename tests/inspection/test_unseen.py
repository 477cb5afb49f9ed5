"""Where no TCP could be read, the reason is told: never "check the interface" when something else is the reason."""

import io
import struct

import pytest
from capture_files import pcap
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

import inspector

MAC = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = MAC / IP(src="10.0.0.1", dst="10.0.0.2")
MPLS = Ether(type=0x8847) / Raw(b"\0\0\x11\xff" + bytes(V4 / TCP()))
NO_TCP = "No TCP segment was seen"


def said(frames, **kwargs):
    return inspector.inspect(io.BytesIO(pcap(frames, **kwargs))).summary.unseen


CASES = {
    "one": ([MPLS], "1 packet is in MPLS, which is not looked into."),
    "many": ([MPLS] * 23, "23 packets are in MPLS, which is not looked into."),
    "gre": (
        [V4 / GRE(proto=0x1234) / b"x"] * 2,
        "2 packets are in GRE with protocol 0x1234, which is not looked into.",
    ),
    "udp": (
        [V4 / UDP(sport=40000, dport=7777) / b"x"] * 3,
        "No packet is TCP: 3 packets are UDP, most of them of port 7777",
    ),
    "damaged": ([bytes(V4 / TCP())[:20]], "the headers of 1 packet are damaged. Take the capture again."),
}


@pytest.mark.parametrize("name", CASES)
def test_what_the_packets_are_is_told(name):
    frames, sentence = CASES[name]
    found = said(frames)
    assert any(sentence in s for s in found), found
    assert not any(NO_TCP in s for s in found)


def test_a_snap_length_is_blamed_where_it_cut():
    assert said([bytes(V4 / TCP())[:20]], lengths=[60])[0] == (
        "No TCP segment could be read: the headers of 1 packet are cut off. Capture with -s 0."
    )


def test_the_port_is_to_be_checked_only_where_all_was_read():
    hello = [
        V4 / TCP(sport=1, dport=2, seq=7, ack=7, flags="A") / b"220 mail.example ESMTP ready to take what is sent here"
    ]
    assert any("check the port" in s for s in said(hello))
    cut = [bytes(V4 / TCP(sport=3, dport=4, seq=7, ack=7, flags="A") / (b"GET / HTTP/1.1\r\nhost: " + b"a" * 60))]
    found = said([cut[0][:74]], lengths=[len(cut[0])])
    assert not any("check the port" in s for s in found), found
    assert any("-s 0" in s for s in found)


def test_beside_tcp_it_is_told_too():
    assert "1 packet is in MPLS, which is not looked into." in said([V4 / TCP(), MPLS])
    assert not any("UDP" in s for s in said([V4 / TCP(), V4 / UDP(sport=1, dport=2)]))


def test_many_kinds_are_counted_together():
    found = said([Ether(type=0x1234 + i) / b"x" for i in range(9)])
    assert found[0] == "1 packet is in Ethernet type 0x1234, which is not looked into."
    assert found[5] == "4 packets more are in something else that is not looked into."


def test_the_interface_is_to_be_checked_where_nothing_else_is_the_reason():
    assert said([MAC / ARP(), V4 / ICMP(), Ether(type=0x88CC) / b"x"])[0].startswith(NO_TCP)


def test_a_damaged_capture_is_the_reason():
    data = pcap([V4 / ICMP()]) + struct.pack("<IIII", 1, 1, 1 << 31, 1) + b"\xff" * 99
    (first, *_) = inspector.inspect(io.BytesIO(data)).summary.unseen
    assert first.startswith("No TCP segment could be read: the capture is damaged")
