"""What a header carries: EtherTypes, numbers of our own, and codes of what is not looked into.

Kernels return `(next, at)`: what follows, and where. A negative `next` is, negated, a fault of `capture.faults`, or from
UNREAD on a code of what is not looked into: what names it in the upper bits, its number there in the lower 16.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector.capture.links import link_type_name
from inspector.lang import _, marked

# What follows: EtherTypes (IEEE 802), and some of our own below 0x600, where no EtherType is.
NOTHING = 0
ANY_IP = 1  # the version nibble decides
LLC = 2  # IEEE 802.2
IPV4 = 0x0800
ARP = 0x0806
FRAME = 0x6558  # Transparent Ethernet Bridging: an Ethernet frame
VLAN = 0x8100
IPV6 = 0x86DD
QINQ = 0x88A8
PPP = 0x880B
MPLS = 0x8847
PPPOE = 0x8864
OLD_QINQ = 0x9100
LEAST_TYPE = 0x600  # below it, the field is a length

UNREAD = 1 << 16
IN_ETHERNET = 1 << 16  # an EtherType
IN_IP = 2 << 16  # a protocol of IP
IN_GRE = 3 << 16
IN_PPP = 4 << 16
IN_LLC = 5 << 16  # a service access point
OF_LINK = 6 << 16  # a link type
IN_WLAN = 7 << 16  # WLAN_*
IN_UDP = 8 << 16  # the lower port: plain UDP, or a tunnel that is not known

WLAN_ENCRYPTED = 1
WLAN_FRAGMENT = 2
WLAN_AGGREGATE = 3

NAMES = {
    IN_ETHERNET | 0x8847: "MPLS", IN_ETHERNET | 0x8848: "MPLS", IN_GRE | 0x8847: "MPLS", IN_GRE | 0x8848: "MPLS",
    IN_PPP | 0x281: "MPLS", IN_PPP | 0x283: "MPLS", IN_IP | 137: "MPLS", IN_ETHERNET | 0x88E5: "MACsec",
    IN_ETHERNET | 0x88E7: "PBB (802.1ah)", IN_ETHERNET | 0x893F: "E-TAG (802.1BR)", IN_ETHERNET | 0x894F: "NSH",
    IN_ETHERNET | 0x8926: "VN-Tag", IN_ETHERNET | 0x22F3: "TRILL", IN_ETHERNET | 0x8903: "FabricPath",
    IN_GRE | 0x894F: "NSH", IN_GRE | 0x883E: "WCCP", IN_IP | 50: "IPsec (ESP)", IN_IP | 97: "EtherIP",
    IN_IP | 108: "IPComp", IN_IP | 115: "L2TPv3", IN_PPP | 0x3D: "PPP multilink",
    IN_PPP | 0x2D: marked("PPP with compressed TCP headers"), IN_PPP | 0x2F: marked("PPP with compressed TCP headers"),
    IN_PPP | 0xFD: marked("compressed PPP"), IN_PPP | 0x53: marked("encrypted PPP"),
    IN_WLAN | WLAN_ENCRYPTED: marked("encrypted 802.11"), IN_WLAN | WLAN_FRAGMENT: marked("fragments of 802.11"),
    IN_WLAN | WLAN_AGGREGATE: marked("aggregated 802.11 (A-MSDU)"),
}  # fmt: skip
KINDS = {
    IN_ETHERNET: marked("Ethernet type {number}"),
    IN_IP: marked("IP protocol {number}"),
    IN_GRE: marked("GRE with protocol {number}"),
    IN_PPP: marked("PPP with protocol {number}"),
    IN_LLC: marked("LLC with SAP {number}"),
    OF_LINK: marked("link type {number}"),
    IN_UDP: marked("UDP port {number}"),
}
# What carries no TCP: control protocols of links, switches and routers, and old networks.
QUIET = frozenset(
    [IN_ETHERNET | n for n in (
        0x0842, 0x2000, 0x6003, 0x8035, 0x809B, 0x80F3, 0x8137, 0x8808, 0x8809, 0x8863, 0x887B, 0x888E, 0x8892, 0x8899,
        0x88A4, 0x88B8, 0x88BA, 0x88C7, 0x88CC, 0x88E1, 0x88F5, 0x88F7, 0x8902, 0x8906, 0x8914, 0x890D, 0x9000,
    )]
    + [IN_IP | n for n in (0, 2, 33, 46, 59, 88, 89, 103, 112, 113, 132, 136, 255)]
    + [IN_LLC | n for n in (0x00, 0x42, 0xAA, 0xE0, 0xF0, 0xF4, 0xFE, 0xFF)]
)  # fmt: skip


def quiet(code: int) -> bool:
    """Whether no TCP can be in it, so that nobody need be told."""
    return code in QUIET or (code & ~0xFFFF == IN_PPP and code & 0xFFFF >= 0x8000)


def carrier(code: int) -> str:
    """What a code is called: `MPLS`, `GRE with protocol 0x1234`."""
    if code in NAMES:
        return _(NAMES[code])
    kind, number = code & ~0xFFFF, code & 0xFFFF
    shown = link_type_name(number) if kind == OF_LINK else f"{number}" if kind in (IN_IP, IN_UDP) else f"0x{number:04x}"
    return _(KINDS[kind]).format(number=shown)


def carriers(counts: Mapping[int, int]) -> list[tuple[str, int]]:
    """What TCP could be in but is not looked into, with its packets: the most frequent first; UDP is not among them."""
    out: dict[str, int] = {}
    for code, packets in sorted(counts.items()):
        if not quiet(code) and code & ~0xFFFF != IN_UDP:
            out[carrier(code)] = out.get(carrier(code), 0) + packets
    return sorted(out.items(), key=lambda found: -found[1])


def datagrams(counts: Mapping[int, int]) -> list[tuple[int, int]]:
    """The ports of UDP that is no tunnel known here, with their packets: the most frequent first."""
    found = [(code & 0xFFFF, packets) for code, packets in sorted(counts.items()) if code & ~0xFFFF == IN_UDP]
    return sorted(found, key=lambda pair: -pair[1])
