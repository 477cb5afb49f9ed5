"""Packets in each link type and tunnel that is looked into, built with scapy where it knows them: name -> what, IP version."""

import struct

from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.layers.dot11 import Dot11, Dot11QoS, RadioTap
from scapy.layers.inet import GRE, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import LLC, SNAP, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

BODY = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
SEGMENT = TCP(sport=40320, dport=80, seq=77, ack=7, flags="PA") / BODY
V4 = IP(src="10.244.0.10", dst="10.96.200.1", id=4711) / SEGMENT
V6 = IPv6(src="fd00::10", dst="2001:db8::1") / SEGMENT
MAC = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
OUTER = MAC / IP(src="192.168.0.1", dst="192.168.0.2")
SNAPPED = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800)
WLAN = Dot11(
    type=2, subtype=0, FCfield=1, addr1="02:00:00:00:00:01", addr2="02:00:00:00:00:02", addr3="02:00:00:00:00:03"
)


def bare(layer, *rest):
    """Bytes of layers without what scapy would bind between them."""
    return bytes(layer) + b"".join(bytes(r) for r in rest)


def pktap(link, frame):
    head = struct.pack("<III24sIIIIi20s", 108, 1, link, b"en0", 1, 2, 14, 0, 99, b"curl")
    return head.ljust(108, b"\0") + bytes(frame)


def ppi(link, frame, fields=b""):
    return struct.pack("<BBHI", 0, 0, 8 + len(fields), link) + fields + bytes(frame)


def qos(order=False):
    frame = Dot11(type=2, subtype=8, FCfield=0x81 if order else 1, addr1="02:00:00:00:00:01") / Dot11QoS(TID=3)
    return bytes(frame) + (b"\0" * 4 if order else b"")


FOUR = bytes(Dot11(type=2, subtype=0, FCfield=3, addr4="02:00:00:00:00:04"))
PADDED = struct.pack("<BBHIB", 0, 0, 9, 1 << 1, 0x20) + qos() + b"\0\0" + bytes(SNAPPED) + bytes(V4)
TIMED = struct.pack("<BBHII4xQB", 0, 0, 25, 1 << 31 | 3, 0, 0, 0)  # two words of fields, time at 16, flags at 24
LINKS = {
    "pktap": (258, pktap(1, MAC / V4), 4),
    "pktap of lo0": (258, pktap(0, b"\x1e\0\0\0" + bytes(V6)), 6),
    "pktap of utun": (258, pktap(12, V4), 4),
    "cisco hdlc": (104, b"\x0f\0\x08\0" + bytes(V4), 4),
    "cisco hdlc multicast": (104, b"\x8f\0\x86\xdd" + bytes(V6), 6),
    "ppp over ethernet": (51, bytes(PPPoE() / PPP(proto=0x21) / V4), 4),
    "radiotap": (127, bare(RadioTap(), WLAN, SNAPPED, V4), 4),
    "radiotap with checksum": (127, bare(RadioTap(present="Flags", Flags="FCS"), WLAN, SNAPPED, V4, b"\1\2\3\4"), 4),
    "radiotap padded": (127, PADDED, 4),
    "radiotap timed": (127, TIMED + bytes(WLAN) + bytes(SNAPPED) + bytes(V4), 4),
    "802.11": (105, bare(WLAN, SNAPPED, V4), 4),
    "802.11 qos": (105, bare(Raw(qos()), SNAPPED, V4), 4),
    "802.11 ht": (105, bare(Raw(qos(order=True)), SNAPPED, V4), 4),
    "802.11 four addresses": (105, FOUR + bytes(SNAPPED) + bytes(V4), 4),
    "ppi": (192, ppi(105, bare(WLAN, SNAPPED, V4), struct.pack("<HH", 2, 20) + bytes(20)), 4),
    "ppi ethernet": (192, ppi(1, MAC / V4), 4),
    "snap": (1, Dot3(src=MAC.src, dst=MAC.dst) / SNAPPED / V4, 4),
    "snap of 802.1H": (1, Dot3() / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0xF8, code=0x0800) / V4, 4),
    "snap in a vlan": (1, MAC / Dot1Q(vlan=3, type=8 + len(V4)) / bare(SNAPPED, V4), 4),
    "cooked 802.2": (113, struct.pack(">HHH8sH", 0, 1, 6, b"", 4) + bytes(SNAPPED) + bytes(V4), 4),
    "pppoe": (1, MAC / PPPoE(sessionid=5) / PPP(proto=0x21) / V4, 4),
    "pppoe in a vlan": (1, MAC / Dot1Q(vlan=7) / PPPoE(sessionid=5) / PPP(proto=0x57) / V6, 6),
}


def erspan(layer, frame, protocol=0x88BE, sequenced=True):
    head = GRE(proto=protocol, seqnum_present=int(sequenced), sequence_number=9 if sequenced else None)
    return OUTER / Raw(bytes(head) + bytes(layer) + bytes(frame))


def raw_erspan(*args, **kwargs):
    made = erspan(*args, **kwargs)
    made[IP].proto = 47
    return made


def udp(port, body, sport=51000):
    return OUTER / UDP(sport=sport, dport=port) / Raw(bytes(body))


def l2tp(flags, fields, frame=V4):
    return struct.pack(">H", flags | 2) + fields + b"\xff\x03\0\x21" + bytes(frame)


INNER = {"plain": MAC / V4, "vlan": MAC / Dot1Q(vlan=5) / V6}
TUNNELS = {}
for name, inside in INNER.items():
    version = 6 if name == "vlan" else 4
    TUNNELS |= {
        f"erspan 1 {name}": (raw_erspan(b"", inside, sequenced=False), version),
        f"erspan 2 {name}": (raw_erspan(ERSPAN_II(session_id=3, vlan=9), inside), version),
        f"erspan 3 {name}": (raw_erspan(ERSPAN_III(session_id=3), inside, 0x22EB), version),
        f"erspan 3 long {name}": (raw_erspan(ERSPAN_III(o=1) / ERSPAN_PlatformSpecific(), inside, 0x22EB), version),
        f"vxlan elsewhere {name}": (OUTER / UDP(sport=5, dport=7777) / VXLAN(vni=7, flags=8) / inside, version),
        f"geneve elsewhere {name}": (OUTER / UDP(sport=5, dport=7777) / GENEVE(vni=7) / inside, version),
        f"gre over udp {name}": (udp(4754, GRE(proto=0x6558, key_present=1, key=5) / inside), version),
    }
TUNNELS |= {
    "vxlan with policies": (udp(9999, b"\x88\0\0\x05\0\0\x07\0" + bytes(MAC / V4)), 4),
    "geneve with options": (udp(9999, bytes.fromhex("0200080000000700" + "ffff010100000000") + bytes(V4)), 4),
    "gre over udp": (udp(4754, GRE() / V4), 4),
    "l2tp": (udp(1701, l2tp(0, b"\0\x01\0\x02")), 4),
    "l2tp answer": (udp(40000, l2tp(0, b"\0\x01\0\x02"), sport=1701), 4),
    "l2tp long": (udp(1701, l2tp(0x4A00, struct.pack(">HHHHHH", 16 + 4 + len(V4), 1, 2, 3, 4, 2) + b"\0\0")), 4),
    "teredo": (udp(3544, V6), 6),
    "teredo answer": (udp(40000, b"\0\0\x1f\x90\x7f\0\0\1" + bytes(V6), sport=3544), 6),
    "teredo authenticated": (udp(3544, b"\0\1\2\3" + b"idabc" + bytes(9) + bytes(V6)), 6),
    "gtp": (OUTER / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=9, gtp_type=255) / V4, 4),
    "gtp sequence": (udp(2152, b"\x32\xff" + struct.pack(">HIHBB", len(V6) + 4, 9, 5, 0, 0) + bytes(V6)), 6),
    "gtp extended": (
        udp(2152, b"\x34\xff" + struct.pack(">HIHBB", len(V4) + 12, 9, 0, 0, 0x85) + b"\1\0\1\x85\1\0\1\0" + bytes(V4)),
        4,
    ),
}  # fmt: skip
