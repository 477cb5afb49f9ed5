"""Link types, tunnels and headers: packets built with scapy, and by hand where scapy cannot."""

import struct

import numpy as np
import pytest
from capture_files import T0, described, enhanced, pcap, read, same, section, speed
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPerror, TCPerror
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from inspector.capture import PacketKind, format_address, parse_address

SEGMENT = TCP(
    sport=40320,
    dport=80,
    seq=0xFFFFFFF0,
    ack=7,
    flags="PA",
    options=[("NOP", None), ("NOP", None), ("Timestamp", (77, 5))],
)
BODY = b"GET / HTTP/1.1\r\n\r\n"
V4 = IP(src="10.244.0.10", dst="10.96.200.1", id=4711) / SEGMENT / BODY
V6 = IPv6(src="fd00::10", dst="2001:db8::1") / SEGMENT / BODY
MAC = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def check(everything, tunnel=0, version=4, at=0):
    """The one segment (number `at`) is V4's or V6's."""
    s = everything.segments
    assert len(s) > at
    source, destination = ("10.244.0.10", "10.96.200.1") if version == 4 else ("fd00::10", "2001:db8::1")
    assert format_address(s.src_hi[at], s.src_lo[at]) == source
    assert (int(s.dst_hi[at]), int(s.dst_lo[at])) == parse_address(destination)
    assert (s.sport[at], s.dport[at], s.seq[at], s.ack[at], s.flags[at]) == (40320, 80, 0xFFFFFFF0, 7, 0x18)
    assert (s.tsval[at], s.tunnel[at], s.ip_id[at]) == (77, tunnel, 4711 if version == 4 else 0)
    assert everything.payloads[at] == BODY
    assert s.length[at] == s.captured[at] == len(BODY)
    assert everything.packets.kind[int(s.packet[at]) - 1] == PacketKind.TCP


def nflog(packet, order="<", family=2):
    packet = bytes(packet)
    prefix = struct.pack(order + "HH", 5 + 4, 10) + b"pref\0" + b"\0" * 3
    return bytes([family, 0, 0, 5]) + prefix + struct.pack(order + "HH", 4 + len(packet), 9) + packet


LINKS = {
    "ethernet": (1, MAC / V4, 4),
    "ethernet-v6": (1, MAC / V6, 6),
    "padded": (1, bytes(MAC / V4) + b"\0" * 22, 4),
    "sll": (113, CookedLinux(proto=0x800) / V4, 4),
    "sll-v6": (113, CookedLinux(proto=0x86DD) / V6, 6),
    "sll2": (276, CookedLinuxV2(proto=0x800, ifindex=2) / V4, 4),
    "sll2-none": (276, CookedLinuxV2(proto=0x86DD, ifindex=2, lladdrtype=65534) / V6, 6),
    "sll2-tunnel-no-protocol": (276, CookedLinuxV2(proto=0, ifindex=2, lladdrtype=768) / V4, 4),
    "sll2-vlan": (276, bytes(CookedLinuxV2(proto=0x8100, ifindex=2)) + b"\0\x05\x08\0" + bytes(V4), 4),
    "raw": (101, V4, 4),
    "raw-v6": (101, V6, 6),
    "raw-bsd": (12, V4, 4),
    "raw-openbsd": (14, V6, 6),
    "ipv4": (228, V4, 4),
    "ipv6": (229, V6, 6),
    "null-little": (0, b"\x02\0\0\0" + bytes(V4), 4),
    "null-v6-bsd": (0, b"\x1e\0\0\0" + bytes(V6), 6),
    "loop": (108, b"\0\0\0\x02" + bytes(V4), 4),
    "ppp": (9, b"\xff\x03\0\x21" + bytes(V4), 4),
    "ppp-bare": (9, b"\0\x57" + bytes(V6), 6),
    "ppp-compressed": (9, b"\x21" + bytes(V4), 4),
    "ppp-hdlc": (50, b"\xff\x03\0\x21" + bytes(V4), 4),
    "cisco-hdlc": (50, b"\x0f\0\x08\0" + bytes(V4), 4),
    "nflog": (239, nflog(V4), 4),
    "nflog-v6": (239, nflog(V6, family=10), 6),
    "vlan": (1, MAC / Dot1Q(vlan=5) / V4, 4),
    "qinq": (1, MAC / Dot1AD(vlan=7) / Dot1Q(vlan=5) / V6, 6),
    "old-qinq": (1, bytes(MAC)[:12] + b"\x91\0\0\x07\x81\0\0\x05\x08\0" + bytes(V4), 4),
    "fcs": (1 | 0x24000000, bytes(MAC / V4) + b"\1\2\3\4", 4),
}


@pytest.mark.parametrize("name", LINKS)
def test_link_type(name):
    link, frame, version = LINKS[name]
    check(read(pcap([frame], link)), version=version)


def test_nflog_of_a_big_endian_host():
    check(read(pcap([nflog(V4, ">")], 239, big=True)))


def options4():
    packet = (
        IP(src="10.244.0.10", dst="10.96.200.1", id=4711, options=[b"\x94\x04\0\0", b"\x01\x01\x01\x01"])
        / SEGMENT
        / BODY
    )
    return MAC / packet


def extended6():
    head = IPv6(src="fd00::10", dst="2001:db8::1") / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt()
    return MAC / head / IPv6ExtHdrFragment(offset=0, m=0, id=9) / SEGMENT / BODY


def ah(ip):
    return MAC / ip / AH(nh=6, payloadlen=4, spi=1, seq=1, icv=b"\0" * 12) / SEGMENT / BODY


def total_length_zero():
    frame = bytearray(bytes(MAC / V4))
    frame[16:18] = b"\0\0"
    return bytes(frame)


def payload_length_zero():
    frame = bytearray(bytes(MAC / V6))
    frame[18:20] = b"\0\0"
    return bytes(frame)


OUTER = MAC / IP(src="192.168.0.1", dst="192.168.0.2")
TUNNELS = {
    "options": (options4(), 0, 4),
    "extension headers": (extended6(), 0, 6),
    "ah": (ah(IP(src="10.244.0.10", dst="10.96.200.1", id=4711, proto=51)), 0, 4),
    "ah6": (ah(IPv6(src="fd00::10", dst="2001:db8::1", nh=51)), 0, 6),
    "total length 0": (total_length_zero(), 0, 4),
    "payload length 0": (payload_length_zero(), 0, 6),
    "vxlan": (OUTER / UDP(sport=1, dport=4789) / VXLAN(vni=7, flags=8) / MAC / V4, 1, 4),
    "linux vxlan": (OUTER / UDP(sport=1, dport=8472) / VXLAN(vni=7, flags=8) / MAC / V6, 1, 6),
    "vxlan over 6": (MAC / IPv6() / UDP(sport=1, dport=4789) / VXLAN(vni=7, flags=8) / MAC / Dot1Q(vlan=3) / V4, 1, 4),
    "geneve": (OUTER / UDP(sport=1, dport=6081) / GENEVE(vni=7, options=[]) / MAC / V4, 1, 4),
    "geneve ip": (OUTER / UDP(sport=1, dport=6081) / bytes.fromhex("0200080000000700" + "ffff010100000000") / V4, 1, 4),
    "gre": (OUTER / GRE() / V4, 1, 4),
    "gre key": (OUTER / GRE(key_present=1, key=5) / V6, 1, 6),
    "gre all": (OUTER / GRE(chksum_present=1, key_present=1, seqnum_present=1, key=5, sequence_number=9) / V4, 1, 4),
    "gre ethernet": (OUTER / GRE(proto=0x6558) / MAC / V4, 1, 4),
    "pptp": (OUTER / Raw(b"\x30\x81\x88\x0b\0\x50\0\1" + b"\0" * 8 + b"\xff\x03\0\x21") / V4, 1, 4),
    "ipip": (OUTER / V4, 1, 4),
    "6in4": (OUTER / V6, 1, 6),
    "4in6": (MAC / IPv6() / V4, 1, 4),
    "deep": (OUTER / IP() / IP() / GRE() / IP() / UDP(sport=1, dport=4789) / VXLAN(flags=8) / MAC / V4, 4, 4),
}
TUNNELS["pptp"][0][IP].proto = 47


@pytest.mark.parametrize("name", TUNNELS)
def test_tunnel(name):
    frame, depth, version = TUNNELS[name]
    check(read(pcap([frame])), depth, version)


def test_nesting_is_bounded():
    packet = V4
    for _ in range(8):
        packet = IP() / packet
    assert len(read(pcap([packet], 101)).segments) == 1
    deeper = read(pcap([IP() / packet], 101))
    assert len(deeper.segments) == 0
    assert deeper.info.faults == {"tunnel-depth": 1}


def test_kinds_that_are_no_segments():
    quote = (
        MAC
        / IP()
        / ICMP(type=3, code=4)
        / IPerror(src="10.244.0.10", dst="10.96.200.1")
        / TCPerror(sport=1, dport=80)
        / BODY
    )
    frames = [
        MAC / ARP(),
        MAC / IP() / UDP(sport=5, dport=53) / b"x",
        quote,
        MAC / IPv6() / ICMPv6EchoRequest(),
        MAC / IP(proto=132) / b"sctp",
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x88CC) / b"lldp",
        MAC / IP() / UDP(sport=5, dport=4789) / (b"\0" * 30),
        MAC / IPv6(nh=59),
    ]
    got = read(pcap(frames))
    assert [PacketKind(k).name for k in got.packets.kind] == [
        "ARP",
        "UDP",
        "ICMP",
        "ICMP",
        "OTHER",
        "OTHER",
        "UDP",
        "OTHER",
    ]
    assert len(got.segments) == 0
    assert got.info.faults == {}


def broken(packet, at, value):
    frame = bytearray(bytes(packet))
    frame[at : at + len(value)] = value
    return bytes(frame)


MALFORMED = {
    "version": (broken(MAC / V4, 14, b"\x65"), "malformed-ipv4"),
    "header length": (broken(MAC / V4, 14, b"\x44"), "malformed-ipv4"),
    "total shorter than header": (broken(MAC / V4, 16, b"\0\x13"), "malformed-ipv4"),
    "ip cut": (bytes(MAC / V4)[:30], "malformed-ipv4"),
    "version 6": (broken(MAC / V6, 14, b"\x40"), "malformed-ipv6"),
    "tcp data offset": (broken(MAC / V4, 14 + 20 + 12, b"\x40"), "malformed-tcp"),
    "tcp longer than ip": (broken(MAC / V4, 16, b"\0\x30"), "malformed-tcp"),
    "tcp missing": (broken(MAC / V4, 16, b"\0\x14"), "malformed-tcp"),
    "ethernet": (b"\0" * 10, "short-header"),
    "vlan": (bytes(MAC)[:12] + b"\x81\0\0", "short-header"),
    "extension": (MAC / IPv6(nh=0) / b"\x06\xff\0\0\0\0\0\0", "malformed-tcp"),
    "gre": (OUTER / IP(proto=47) / b"\0\0", "short-header"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_is_counted(name):
    frame, code = MALFORMED[name]
    got = read(pcap([frame, MAC / V4]))
    assert got.info.faults == {code: 1}
    assert got.packets.kind[0] == PacketKind.MALFORMED
    check_second = got.segments.packet.tolist()
    assert check_second == [2]


def test_cut_by_the_snap_length():
    frame = bytes(MAC / V4)
    cuts = [len(frame) - 5, 14 + 20 + 26, 14 + 20 + 20, 14 + 20 + 19, 20, 10]
    got = read(pcap([frame[:n] for n in cuts], lengths=[len(frame)] * len(cuts)))
    assert got.segments.packet.tolist() == [1, 2, 3]
    assert got.segments.length.tolist() == [len(BODY)] * 3
    assert got.segments.captured.tolist() == [len(BODY) - 5, 0, 0]
    assert got.segments.tsval.tolist() == [77, 0, 0]
    assert got.payloads[0] == BODY[:-5]
    assert got.info.faults == {"cut-header": 3}
    assert (got.info.cut_packets, got.info.snaplen) == (6, max(cuts))


def test_ip_length_beyond_the_frame_is_a_cut_payload():
    got = read(pcap([broken(MAC / V4, 16, struct.pack(">H", 20 + 32 + 500))]))
    assert (got.segments.length[0], got.segments.captured[0]) == (500, len(BODY))


def test_interface_indexes_become_interfaces():
    frames = [CookedLinuxV2(proto=0x800, ifindex=i) / V4 for i in (2, 7, 2, 1, 7)]
    got = read(pcap(frames, 276))
    names = [got.info.interfaces[i].name for i in got.segments.interface]
    assert names == ["if2", "if7", "if2", "if1", "if7"]
    np.testing.assert_array_equal(got.packets.interface, got.segments.interface)
    assert [i.name for i in got.info.interfaces] == ["if2", "if7", "if1"]
    assert got.info.link_types == ["LINUX_SLL2"]


def test_ten_thousand_interface_indexes_are_bounded():
    body = bytes(CookedLinuxV2(proto=0x800) / V4)
    frames = [body[:4] + struct.pack(">I", i) + body[8:] for i in range(3000)]
    got = read(pcap(frames, 276))
    assert len(got.segments) == 3000
    assert len(got.info.interfaces) == 1024
    assert got.info.interfaces[-1].name == "others"


def test_addresses():
    for text in ("10.0.0.1", "255.255.255.255", "::1", "fe80::1", "2001:db8::ff", "::"):
        assert format_address(*parse_address(text)) == text
    assert parse_address("[::1]") == (0, 1)
    assert format_address(*parse_address("::ffff:1.2.3.4")) == "1.2.3.4"
    with pytest.raises(ValueError, match="address"):
        parse_address("catalog")


def test_plain_and_compiled_are_equal():
    by_link: dict[int, list[bytes]] = {}
    for link, frame, _ in LINKS.values():
        by_link.setdefault(link & 0xFFFF, []).append(bytes(frame))
    by_link[1] += [bytes(f) for f, *_ in (*TUNNELS.values(), *MALFORMED.values())]
    high = bytes(MAC / IPv6(src="ffff:ffff::1", dst="8000::ffff:ffff:ffff:ffff") / SEGMENT)
    by_link[1].append(high)
    parts = [section()]
    parts += [described(link) for link in by_link]
    for i, frames in enumerate(by_link.values()):
        parts += [
            enhanced(f[: len(f) - cut], T0 // 1000, i, length=len(f))
            for f in frames
            for cut in (0, 15, 40)
            if cut < len(f)
        ]
    data = b"".join(parts)
    plain = read(data)
    assert len(plain.segments) > 60
    with speed("compiled"):
        same(plain, read(data))
        same(plain, read(data, 1024))
