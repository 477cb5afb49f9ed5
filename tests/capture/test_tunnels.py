"""Link types and tunnels that few captures have, built with scapy where it knows them; tshark finds the same TCP in them."""

import shutil
import struct
import subprocess

import pytest
from capture_files import described, enhanced, pcap, read, same, section, speed
from made_layers import (
    BODY,
    LINKS,
    MAC,
    OUTER,
    TUNNELS,
    V4,
    udp,
)
from scapy.layers.dot11 import Dot11, Dot11QoS
from scapy.layers.inet import GRE, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import LLC, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from inspector.capture import PacketKind, format_address
from inspector.capture.carried import carriers, datagrams


def check(got, version, tunnel):
    s = got.segments
    assert len(s) == 1, (got.info.faults, got.info.unread)
    assert format_address(s.src_hi[0], s.src_lo[0]) == ("10.244.0.10" if version == 4 else "fd00::10")
    assert (s.sport[0], s.dport[0], s.seq[0], s.tunnel[0]) == (40320, 80, 77, tunnel)
    assert got.payloads == [BODY]
    assert s.length[0] == len(BODY)
    assert (got.info.faults, got.info.unread) == ({}, {})


@pytest.mark.parametrize("name", LINKS)
def test_link_type(name):
    link, frame, version = LINKS[name]
    check(read(pcap([frame], link)), version, 0)


@pytest.mark.parametrize("name", TUNNELS)
def test_tunnel(name):
    frame, version = TUNNELS[name]
    check(read(pcap([frame])), version, 1)


def test_tshark_finds_the_same(tmp_path):
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark")
    skipped = ("elsewhere", "policies", "with options", "l2tp answer")  # tshark goes by the port
    found = {}
    every = [(name, *made[:2]) for name, made in LINKS.items()]
    every += [(name, 1, made[0]) for name, made in TUNNELS.items()]
    for n, (name, link, frame) in enumerate(every):
        if any(word in name for word in skipped):
            continue
        path = tmp_path / f"{n}.pcap"
        path.write_bytes(pcap([frame], link))
        command = [
            "tshark",
            "-r",
            str(path),
            "-T",
            "fields",
            "-e",
            "tcp.dstport",
            "-e",
            "tcp.payload",
            "-E",
            "occurrence=l",
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        found[name] = said == ["80", BODY.hex()] or said
    assert {name: said for name, said in found.items() if said is not True} == {}


def test_plain_and_compiled_are_equal():
    """Whole, and cut off after each of their bytes."""
    by_link: dict[int, list[bytes]] = {}
    for link, frame, *_ in [*LINKS.values(), *((1, frame) for frame, _ in TUNNELS.values())]:
        by_link.setdefault(link, []).append(bytes(frame))
    parts = [section(), *(described(link) for link in by_link)]
    for i, frames in enumerate(by_link.values()):
        for f in frames:
            parts += [enhanced(f[:cut], 7, i, length=len(f)) for cut in range(1, len(f) - len(BODY))]
            parts += [enhanced(f, 7, i)]
            parts += [enhanced(f[:at] + bytes([f[at] ^ 0x55]) + f[at + 1 :], 7, i) for at in range(12, min(len(f), 90))]
    data = b"".join(parts)
    plain = read(data)
    with speed("compiled"):
        same(plain, read(data))
    same(plain, read(data, 2048))


DNS = b"\x08\x00\x00\x00\x00\x01\x00\x00" + b"\x00" * 30


@pytest.mark.parametrize(
    ("port", "body"),
    [
        (53, DNS),
        (7777, b"\x08" + bytes(7) + bytes(MAC)[:12] + b"\x08\0" + b"\x55" * 40),  # what follows is no IP
        (7777, b"\x08" + bytes(7) + bytes(MAC / V4)[:-1]),  # longer than the datagram
        (7777, b"\x08\x01" + bytes(6) + bytes(MAC / V4)),  # reserved bits
        (7777, b"\0\0\x08\0" + bytes(4) + b"\x65" * 40),
        (4789, b"\x08" + bytes(7) + bytes(MAC)[:12] + b"\x08\0" + b"\x55" * 40),
        (6081, b"\0\0\x08\0" + bytes(4) + b"\x65" * 40),
        (4754, b"hello, this is no GRE but text"),
        (1701, b"\xc8\x02" + bytes(40)),  # a control message
        (1701, b"\0\x02\0\1\0\2" + b"\xff\x03\0\x21" + b"\x65" * 40),
        (3544, b"\x60" * 20),
        (3544, b"\0\1\xff\xff" + bytes(40)),
        (2152, b"\x32\x01\0\4" + bytes(8)),  # an echo request
        (2152, b"\x30\xff" + bytes(6) + b"\x33" * 40),
        (2152, b"\x34\xff" + bytes(9) + b"\x85\0" + bytes(40)),
        (9999, b""),
    ],
)
def test_plain_udp_is_no_tunnel(port, body):
    got = read(pcap([udp(port, body)]))
    assert (got.packets.kind.tolist(), got.info.faults) == ([PacketKind.UDP], {})
    assert datagrams(got.info.unread) == [(port, 1)]
    with speed("compiled"):
        same(got, read(pcap([udp(port, body)])))


def test_a_mirror_that_cuts_packets_is_read_as_far_as_it_goes():
    """AWS cuts what it mirrors: the packet inside claims more bytes than its VXLAN carries."""
    got = read(pcap([udp(4789, b"\x08" + bytes(7) + bytes(MAC / V4)[:-10])]))
    assert (got.segments.length.tolist(), got.segments.captured.tolist()) == ([len(BODY)], [len(BODY) - 10])


@pytest.mark.parametrize("version", [4, 6])
def test_segments_of_more_than_64_kib(version):
    """BIG TCP: a length of 0; in IPv6 with a jumbo option (RFC 2675) or without."""
    big = b"x" * 180_000
    tcp = bytes(TCP(sport=40320, dport=80, seq=77, flags="PA")) + big
    if version == 4:
        frames = [bytes(MAC / IP(src="10.244.0.10", dst="10.96.200.1", len=0, proto=6)) + tcp]
    else:
        ether = bytes(MAC)[:12] + b"\x86\xdd"
        jumbo = struct.pack(">BBBBI", 6, 0, 0xC2, 4, 8 + len(tcp))
        frames = [
            ether + bytes(IPv6(plen=0, nh=6)) + tcp,
            ether + bytes(IPv6(plen=0, nh=0)) + jumbo + tcp,
        ]
    got = read(pcap(frames))
    assert got.segments.length.tolist() == [len(big)] * len(frames)
    assert got.payloads == [big] * len(frames)
    same(got, read(pcap(frames), 1024))


def test_what_is_not_looked_into_is_named():
    mpls = Ether(type=0x8847) / Raw(b"\0\0\x11\xff" + bytes(V4))
    frames = [
        *[mpls] * 3,
        MAC / IP(proto=50) / b"sealed",
        OUTER / GRE(proto=0x1234) / b"x",
        OUTER / GRE(proto=0) / b"",
        MAC / PPPoE() / PPP(proto=0xFD) / b"packed",
        MAC / PPPoE() / PPP(proto=0xC021) / b"link control",
        MAC / IP(proto=77) / b"x",
        Ether(type=0x1234) / b"x",
        Ether(type=0x88CC) / b"lldp",
        Dot3() / LLC(dsap=0x42, ssap=0x42, ctrl=3) / b"spanning tree",
        MAC / IP() / UDP(sport=53, dport=5353) / b"x",
        OUTER / UDP(dport=4789) / VXLAN(flags=8) / mpls,
    ]
    got = read(pcap(frames))
    assert got.info.faults == {}
    assert carriers(got.info.unread) == [
        ("MPLS", 4),
        ("Ethernet type 0x1234", 1),
        ("IPsec (ESP)", 1),
        ("IP protocol 77", 1),
        ("GRE with protocol 0x1234", 1),
        ("compressed PPP", 1),
    ]
    assert datagrams(got.info.unread) == [(53, 1)]
    assert got.packets.kind[-1] == PacketKind.UDP
    same(got, read(pcap(frames), 1024))


def test_802_11_that_is_not_looked_into():
    frames = [
        bytes(Dot11(type=2, FCfield=0x41)) + b"\0" * 30,
        bytes(Dot11(type=2, FCfield=0x05)) + b"\0" * 30,
        bytes(Dot11(type=2, subtype=8) / Dot11QoS(A_MSDU_Present=1)) + b"\0" * 30,
        bytes(Dot11(type=0, subtype=8)) + b"\0" * 30,
        bytes(Dot11(type=2, subtype=4)),
        b"\xd4\0" + bytes(8),
    ]
    got = read(pcap(frames, 105))
    assert carriers(got.info.unread) == [
        ("encrypted 802.11", 1),
        ("fragments of 802.11", 1),
        ("aggregated 802.11 (A-MSDU)", 1),
    ]
    assert got.info.faults == {}


def test_packets_of_link_types_that_are_not_read_are_named():
    data = section() + described() + described(147) + enhanced(MAC / V4, 1) + enhanced(b"x" * 40, 2, 1)
    got = read(data)
    assert carriers(got.info.unread) == [("link type USER0", 1)]
