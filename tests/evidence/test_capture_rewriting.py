"""Frames with other addresses: through every link type and tunnel, checksums of each kind, addresses of each kind."""

from __future__ import annotations

import ipaddress
import struct

import made_layers
import pytest
from capture_files import pcap, read
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import HAO, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

from inspector.evidence.masking import Mask
from inspector.evidence.rewriting import Refused, Rewriter, Rewritten

MASK = Mask(b"a key for tests only")
BODY = b"GET /secret HTTP/1.1\r\n\r\n"
FILLED = b"x" * len(BODY)
SEGMENT = TCP(
    sport=40320,
    dport=80,
    seq=0xFFFFFFF0,
    ack=7,
    flags="PA",
    options=[("Timestamp", (77, 5)), ("NOP", None), ("NOP", None)],
)
V4 = IP(src="10.244.0.10", dst="203.0.113.77", id=4711) / SEGMENT / BODY
V6 = IPv6(src="fd00:10:244::a", dst="2001:db8::1") / SEGMENT / BODY
MAC = Ether(src="02:00:00:00:00:01", dst="52:54:00:12:34:56")
OUTER = MAC / IP(src="192.168.7.11", dst="192.168.7.12")
LINKS = {
    "ethernet": (1, MAC / V4),
    "ethernet-v6": (1, MAC / V6),
    "vlan": (1, MAC / Dot1Q(vlan=7) / V4),
    "qinq": (1, MAC / Dot1AD(vlan=8) / Dot1Q(vlan=7) / V6),
    "raw": (101, V4),
    "raw-v6": (101, V6),
    "ipv4": (228, V4),
    "ipv6": (229, V6),
    "cooked": (113, CookedLinux(lladdrlen=6, src=b"\x52\x54\0\x12\x34\x56", proto=0x800) / V4),
    "cooked2": (276, CookedLinuxV2(proto=0x800, ifindex=3, lladdrlen=6, src=b"\x52\x54\0\x12\x34\x56\xaa\xbb") / V4),
    "vxlan": (1, OUTER / UDP(dport=4789, sport=50000) / VXLAN(vni=42, flags="Instance") / MAC / V4),
    "vxlan-linux": (1, OUTER / UDP(dport=8472, sport=50000) / VXLAN(vni=42, flags="Instance") / MAC / V6),
    "geneve": (1, OUTER / UDP(dport=6081) / GENEVE(vni=42, proto=0x6558) / MAC / V4),
    "gre": (1, OUTER / GRE(key_present=1, key=5) / V4),
    "gre-checksum": (1, OUTER / GRE(chksum_present=1) / V4),
    "ipip": (1, OUTER / V4),
    "6in4": (1, OUTER / V6),
    "hop-by-hop": (1, MAC / IPv6(src="fe80::52:1", dst="2001:db8::1") / IPv6ExtHdrHopByHop() / SEGMENT / BODY),
}


def rewritten(link: int, frame: bytes, length: int | None = None, filled: bytes = FILLED) -> bytes:
    return whole(link, frame, length, filled).data


def whole(link: int, frame: bytes, length: int | None = None, filled: bytes = FILLED) -> Rewritten:
    return Rewriter(MASK, lambda found: filled[: found.captured]).frame(link, frame, length or len(frame))


def recomputed(packet) -> bytes:
    """The bytes with all checksums computed by scapy."""
    layer = packet
    while layer:
        if "chksum" in layer.fields:
            del layer.chksum
        layer = layer.payload
    return bytes(packet)


@pytest.mark.parametrize("name", LINKS)
def test_addresses_and_payload_change_and_checksums_are_right(name):
    link, packet = LINKS[name]
    frame = bytes(packet)
    new = rewritten(link, frame)
    assert len(new) == len(frame)
    again = type(packet)(new)
    assert recomputed(again) == new
    assert again.getlayer(TCP).load == FILLED
    before, after = read(pcap([frame], link)), read(pcap([new], link))
    for column in ("sport", "dport", "seq", "ack", "flags", "ip_id", "tsval", "tunnel", "length", "captured"):
        assert getattr(before.segments, column)[0] == getattr(after.segments, column)[0], column
    for old in (b"secret", b"\x0a\xf4\x00\x0a", b"\xcb\x00\x71\x4d", b"\xc0\xa8\x07\x0b", b"\x52\x54\0\x12\x34\x56"):
        assert old not in new
    inner = packet.getlayer(IP if packet.haslayer(IP) else IPv6)
    assert bytes(ipaddress.ip_address(inner.src).packed) not in new


def pseudo(data: bytes, header: int, base: int) -> int:
    """What a system leaves in the checksum for its card: the sum over the pseudo header."""
    words = data[base:header] + struct.pack(">II", 6, len(data) - header)
    total = sum(int.from_bytes(words[i : i + 2], "big") for i in range(0, len(words), 2))
    return (total & 0xFFFF) + (total >> 16)


def test_a_checksum_left_to_the_card_is_left_to_it():
    for ip, header, base in ((V4, 20, 12), (V6, 40, 8)):
        frame = bytearray(bytes(ip))
        struct.pack_into(">H", frame, header + 16, pseudo(frame, header, base))
        new = rewritten(101, bytes(frame))
        assert struct.unpack_from(">H", new, header + 16)[0] == pseudo(new, header, base)


@given(st.integers(1, 0xFFFE))
def test_a_wrong_checksum_stays_wrong_by_as_much(error):
    frame = bytearray(bytes(V4))
    right = struct.unpack_from(">H", frame, 36)[0]
    wrong = (right + error) % 0xFFFF
    assume(wrong != pseudo(frame, 20, 12))  # that one is no error: it is left to the card
    struct.pack_into(">H", frame, 36, wrong)
    new = rewritten(101, bytes(frame))
    want = struct.unpack_from(">H", recomputed(IP(new)), 36)[0]
    assert struct.unpack_from(">H", new, 36)[0] == (want + error) % 0xFFFF


def test_a_checksum_that_was_not_computed_stays_so():
    frame = bytearray(bytes(OUTER / UDP(dport=4789) / VXLAN(flags="Instance") / MAC / V4))
    frame[40:42] = b"\0\0"
    assert rewritten(1, bytes(frame))[40:42] == b"\0\0"
    frame = bytearray(bytes(V4))
    frame[10:12] = frame[36:38] = b"\0\0"
    new = rewritten(101, bytes(frame))
    assert (new[10:12], new[36:38]) == (b"\0\0", b"\0\0")


def test_a_packet_cut_by_the_snap_length_keeps_what_its_checksum_says():
    """Of bytes that were not captured the checksum still speaks: replaced bytes are taken out of it, and no others."""
    frame = bytes(MAC / V4)
    cut = frame[:-5]
    new = rewritten(1, cut, len(frame))
    whole = Ether(new + frame[-5:])
    assert recomputed(whole) == new + frame[-5:]


def test_padding_and_unknown_options_are_blanked():
    frame = bytes(MAC / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(options=[(254, b"secret!!")])) + b"left over"
    new = rewritten(1, frame)
    assert b"secret" not in new
    assert new.endswith(bytes(9))
    assert recomputed(Ether(new[:-9])) == new[:-9]


ROUTED = {
    "route": IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_RR(routers=["198.51.100.4"])]) / SEGMENT,
    "route-v6": IPv6(dst="2001:db8::2") / IPv6ExtHdrRouting(addresses=["2001:db8::9"]) / SEGMENT,
    "home-address": IPv6(dst="2001:db8::2") / IPv6ExtHdrDestOpt(options=[HAO(hoa="2001:db8::9")]) / SEGMENT,
    "authentic": IP(src="10.0.0.1", dst="10.0.0.2", proto=51) / (bytes([6, 3]) + b"\0\0whose are these!") / SEGMENT,
}


@pytest.mark.parametrize("name", ROUTED)
def test_options_and_extension_headers_say_nothing(name):
    frame = bytes(MAC / ROUTED[name])
    new = rewritten(1, frame)
    for old in (b"\xc6\x33\x64\x04", ipaddress.ip_address("2001:db8::9").packed, b"whose"):
        assert old not in new
    before, after = read(pcap([frame], 1)), read(pcap([new], 1))
    assert (before.segments.seq[0], before.segments.length[0]) == (after.segments.seq[0], after.segments.length[0])


HIDDEN = [
    ipaddress.ip_address(a).packed for a in ("10.244.0.10", "10.96.200.1", "192.168.0.1", "192.168.0.2", "fd00::10")
]
HIDDEN += [ipaddress.ip_address("2001:db8::1").packed, b"curl", b"idabc", b"\x7f\0\0\1", made_layers.BODY[:8]]
HIDDEN += [bytes([2, 0, 0, 0, 0, k]) for k in range(1, 5)]
EVERY = {name: (link, bytes(frame)) for name, (link, frame, _version) in made_layers.LINKS.items()}
EVERY |= {name: (1, bytes(frame)) for name, (frame, _version) in made_layers.TUNNELS.items()}


@pytest.mark.parametrize("name", EVERY)
def test_every_layer_that_is_read_is_rewritten_or_taken_off(name):
    """No address stays, also of frames that were cut off anywhere, and the segment is the same."""
    link, frame = EVERY[name]
    new = whole(link, frame, filled=b"x" * 40)
    assert not [old for old in HIDDEN if old in new.data]
    before, after = read(pcap([frame], link)), read(pcap([new.data], new.link_type, lengths=[new.length]))
    for column in ("sport", "dport", "seq", "ack", "flags", "ip_id", "tsval", "length", "captured"):
        assert getattr(before.segments, column)[0] == getattr(after.segments, column)[0], column
    assert (after.info.faults, after.info.unread) == ({}, {})
    for size in range(len(frame)):
        try:
            cut = whole(link, frame[:size], len(frame), filled=b"x" * 40)
        except Refused:
            continue
        assert not [old for old in HIDDEN if old in cut.data]
        assert cut.length <= len(frame)


def test_what_tells_networks_apart_is_replaced():
    for name, old in (
        ("pppoe", b"\x88\x64\x11\0\0\5"),
        ("vxlan elsewhere plain", b"\0\0\7\0"),
        ("snap in a vlan", b"\x81\0\0\3"),
    ):
        link, frame = EVERY[name]
        new = whole(link, frame, filled=b"x" * 40)
        assert new.link_type == link
        assert old in frame
        assert old not in new.data


REFUSED = {
    "arp": (1, MAC / ARP(), "not-ip"),
    "icmp": (1, MAC / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(), "no-tcp"),
    "dns": (1, MAC / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(dport=53) / (b"x" * 20), "no-tcp"),
    "fragment": (1, MAC / IP(src="10.0.0.1", dst="10.0.0.2", flags="MF") / (b"x" * 16), "fragment"),
    "link": (147, MAC / V4, "link-type"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused(name):
    link, packet, why = REFUSED[name]
    with pytest.raises(Refused, match=why):
        rewritten(link, bytes(packet))


@pytest.mark.parametrize("name", LINKS)
def test_a_frame_cut_anywhere_is_refused_or_rewritten(name):
    link, packet = LINKS[name]
    frame = bytes(packet)
    for size in range(len(frame)):
        try:
            new = rewritten(link, frame[:size], len(frame))
        except Refused:
            continue
        assert len(new) == size
        assert b"secret" not in new


@given(st.sampled_from(sorted(LINKS)), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6))
def test_a_damaged_frame_does_no_harm(name, damage):
    link, packet = LINKS[name]
    frame = bytearray(bytes(packet))
    for at, value in damage:
        frame[at % len(frame)] = value
    try:
        new = rewritten(link, bytes(frame), filled=FILLED.ljust(300, b"x"))  # a forged header may leave more payload
    except Refused:
        return
    assert len(new) == len(frame)


# -- addresses ---------------------------------------------------------------------------------------------------------

V4S = st.one_of(
    st.integers(0, (1 << 32) - 1),
    st.sampled_from(
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "127.0.0.0/8"]
    ).flatmap(
        lambda net: st.integers(0, ipaddress.ip_network(net).num_addresses - 1).map(
            lambda n: int(ipaddress.ip_network(net)[n])
        )
    ),
).map(ipaddress.IPv4Address)


def private(address: ipaddress.IPv4Address) -> str:
    nets = (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "224.0.0.0/3",
    )
    return next((net for net in nets if address in ipaddress.ip_network(net)), "")


@given(V4S, V4S)
@example(ipaddress.IPv4Address("127.0.0.6"), ipaddress.IPv4Address("127.0.0.1"))
def test_ipv4(a, b):
    new_a, new_b = (ipaddress.IPv4Address(MASK.v4(x.packed)) for x in (a, b))
    assert len(str(new_a)) == len(str(a))
    assert private(new_a) == private(a)
    assert (new_a == new_b) == (a == b)
    for i in range(1, 5):
        assert (new_a.packed[:i] == new_b.packed[:i]) == (a.packed[:i] == b.packed[:i])
    if a.is_loopback or a.is_multicast:
        assert new_a == a


@given(
    st.lists(st.one_of(st.just(0), st.integers(0, 0xFFFF)), min_size=8, max_size=8),
    st.lists(st.one_of(st.just(0), st.integers(0, 0xFFFF)), min_size=8, max_size=8),
)
@example([0xFD00, 0x10, 0x244, 0, 0, 0, 0, 0xA], [0, 0, 0, 0, 0, 0, 0, 1])
@example([0, 0, 0, 0, 0, 0xFFFF, 0x0AF4, 0x000A], [0xFE80, 0, 0, 0, 1, 2, 3, 4])
def test_ipv6(a, b):
    a, b = (ipaddress.IPv6Address(b"".join(g.to_bytes(2, "big") for g in groups)) for groups in (a, b))
    new_a, new_b = (ipaddress.IPv6Address(MASK.v6(x.packed)) for x in (a, b))
    assert (new_a == new_b) == (a == b)
    if a.ipv4_mapped is None:
        assert len(str(new_a)) == len(str(a))
        for kind in ("is_loopback", "is_link_local", "is_multicast", "is_unspecified"):
            assert getattr(new_a, kind) == getattr(a, kind)


def test_another_key_gives_another_capture():
    assert Mask(b"one").v4(b"\x0a\xf4\x01\x0a") != Mask(b"two").v4(b"\x0a\xf4\x01\x0a") or Mask(b"one").word(
        b"catalog"
    ) != Mask(b"two").word(b"catalog")
