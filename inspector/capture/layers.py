"""Kernels for what lies below IP: link headers, VLAN tags, LLC, PPP and PPPoE. Tunnels are in `tunnels`.

Each takes `at`, where its header starts, and `cap`, the end of the captured bytes, and returns `(next, at)`: what
follows (see `carried`) and where.
"""

from __future__ import annotations

from inspector.capture import faults
from inspector.capture.carried import (
    ANY_IP,
    ARP,
    FRAME,
    IN_ETHERNET,
    IN_LLC,
    IN_PPP,
    IPV4,
    IPV6,
    LEAST_TYPE,
    LLC,
    NOTHING,
    OF_LINK,
    OLD_QINQ,
    PPP,
    PPPOE,
    QINQ,
    VLAN,
)
from inspector.capture.octets import Octets, be16, be32, host16, host32
from inspector.capture.wireless import radiotap, wlan
from inspector.kernels.kernel import cold, kernel

SHORT = -faults.SHORT_HEADER
BAD_LINK = -faults.BAD_LINK

BIG_ENDIAN = 1 << 16  # added to a link type whose headers hold numbers in the byte order of a big-endian writer

VXLAN_PORT = 4789
LINUX_VXLAN_PORT = 8472
GENEVE_PORT = 6081

PPI = 192
PKTAP = 258
NO_LINK = 0xFFFF  # of interfaces never described


@kernel
def link_header(data: Octets, at: int, cap: int, link: int) -> tuple[int, int]:
    """The link-layer header: https://www.tcpdump.org/linktypes.html. `link` may have BIG_ENDIAN added."""
    kind = link & 0xFFFF
    if kind == 1:  # EN10MB
        return FRAME, at
    if kind == PKTAP or kind == PPI:
        kind, at = wrapped(data, at, cap, kind)
        if kind < 0 or kind == NO_LINK:
            return (kind if kind < 0 else NOTHING), at
        if kind == 1:
            return FRAME, at
    if kind == 276:  # LINUX_SLL2: protocol, reserved, interface index, ARPHRD, packet type, address length, address
        if cap - at < 20:
            return SHORT, at
        return cooked(be16(data, at), be16(data, at + 8)), at + 20
    if kind == 113:  # LINUX_SLL: packet type, ARPHRD, address length, address, protocol
        if cap - at < 16:
            return SHORT, at
        return cooked(be16(data, at + 14), be16(data, at + 2)), at + 16
    if kind == 101 or kind == 12 or kind == 14:  # RAW
        return ANY_IP, at
    if kind == 228:
        return IPV4, at
    if kind == 229:
        return IPV6, at
    if kind == 0 or kind == 108:  # NULL, LOOP: the address family, in either byte order; IP tells its version
        if cap - at < 4:
            return SHORT, at
        family = max(data[at] & 0xFF, data[at + 3] & 0xFF)
        if family == 2 or family == 10 or family == 24 or family == 28 or family == 30:
            return ANY_IP, at + 4
        return NOTHING, at
    if kind == 9:
        return PPP, at
    if kind == 50:  # PPP_SERIAL: PPP in HDLC framing, or Cisco HDLC with an EtherType
        if cap - at < 4:
            return SHORT, at
        if data[at] == 0x0F or data[at] == 0x8F:
            return typed(be16(data, at + 2)), at + 4
        return PPP, at
    if kind == 239:
        return nflog(data, at, cap, link >> 16)
    return seldom_link(data, at, cap, kind)


@cold
def seldom_link(data: Octets, at: int, cap: int, kind: int) -> tuple[int, int]:
    """The link types that few captures have."""
    if kind == 104:  # C_HDLC: address, control, EtherType
        return (SHORT if cap - at < 4 else typed(be16(data, at + 2))), at + 4
    if kind == 51:  # PPP_ETHER
        return PPPOE, at
    if kind == 105:
        return wlan(data, at, cap, 0)
    if kind == 127:
        return radiotap(data, at, cap)
    return (NOTHING if kind == NO_LINK else -(OF_LINK | kind)), at


@cold
def wrapped(data: Octets, at: int, cap: int, kind: int) -> tuple[int, int]:
    """The link type of the packet within PKTAP (macOS) or PPI, and where it starts; a fault, or NO_LINK where there is none.

    Both headers are little-endian: PKTAP has its length, the type of record and the link type in 32 bits each; PPI has
    version, flags, its length in 16 bits and the link type in 32.
    """
    if cap - at < 12:
        return SHORT, at
    size = host32(data, at, 0) if kind == PKTAP else host16(data, at + 2, 0)
    link = host32(data, at + 8, 0) if kind == PKTAP else host32(data, at + 4, 0)
    if kind == PKTAP and host32(data, at + 4, 0) != 1:  # a record without a packet
        return NO_LINK, at
    if size < 8 or link > NO_LINK:
        return BAD_LINK, at
    return (SHORT if size > cap - at else link), at + size


@kernel
def typed(number: int) -> int:
    """What an EtherType says; below LEAST_TYPE it would be mistaken for one of our own numbers."""
    return number if number >= LEAST_TYPE else -(IN_ETHERNET | number)


@kernel
def cooked(protocol: int, hardware: int) -> int:
    """What follows a Linux cooked header: its protocol, or the version nibble for devices without link layer."""
    if hardware == 824:  # ARPHRD_NETLINK: the protocol is a netlink family
        return NOTHING
    if protocol >= LEAST_TYPE:
        return protocol
    if protocol == 4:  # LINUX_SLL_P_802_2
        return LLC
    # ARPHRD_TUNNEL, TUNNEL6, SIT, IPGRE, PPP, RAWIP, NONE with no protocol given.
    bare = hardware == 768 or hardware == 769 or hardware == 776 or hardware == 778
    if protocol == 0 and (bare or hardware == 512 or hardware == 519 or hardware == 65534):
        return ANY_IP
    return NOTHING


@cold
def nflog(data: Octets, at: int, cap: int, big: int) -> tuple[int, int]:
    """LINKTYPE_NFLOG: family, version, resource; then type-length-values, of which NFULA_PAYLOAD (9) is the packet."""
    if cap - at < 4:
        return SHORT, at
    family = data[at] & 0xFF
    if family != 2 and family != 10:
        return NOTHING, at
    at += 4
    while at + 4 <= cap:
        size = host16(data, at, big)
        if size < 4:
            return BAD_LINK, at
        if host16(data, at + 2, big) & 0x3FFF == 9:  # the two high bits are netlink flags
            return ANY_IP, at + 4
        at += (size + 3) & ~3
    return NOTHING, at


@cold
def ppp(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """RFC 1661, 1662: address and control (FF 03) may be absent, the protocol may be compressed to one byte."""
    if cap - at < 4:
        return SHORT, at
    if data[at] == 0xFF and data[at + 1] == 0x03:
        at += 2
    if data[at] & 1:
        protocol = data[at] & 0xFF
        at += 1
    else:
        protocol = be16(data, at)
        at += 2
    if protocol == 0x21:
        return IPV4, at
    if protocol == 0x57:
        return IPV6, at
    return -(IN_PPP | protocol), at


@cold
def pppoe(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """RFC 2516 section 4: version and type, code (0 in a session), session, length; then PPP."""
    if cap - at < 8:
        return SHORT, at
    if (data[at] & 0xFF) != 0x11 or (data[at + 1] & 0xFF) != 0:
        return -(IN_ETHERNET | PPPOE), at
    return PPP, at + 6


@cold
def llc(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """IEEE 802.2: two service access points and a control field; SNAP (RFC 1042) has organisation and EtherType behind it."""
    if cap - at < 3:
        return SHORT, at
    point = data[at] & 0xFF
    if point == 6 and (data[at + 1] & 0xFF) == 6 and data[at + 2] == 3:
        return ANY_IP, at + 3
    if point != 0xAA or (data[at + 1] & 0xFF) != 0xAA or data[at + 2] != 3:
        return -(IN_LLC | point), at
    if cap - at < 8:
        return SHORT, at
    organisation = be32(data, at + 2) & 0xFFFFFF
    if organisation != 0 and organisation != 0xF8:  # 0xF8: 802.1H
        return -(IN_LLC | point), at
    return typed(be16(data, at + 6)), at + 8


@kernel
def beneath(data: Octets, at: int, cap: int, following: int) -> tuple[int, int]:
    """Take off one header: Ethernet, a VLAN tag, LLC, PPPoE or PPP; of any IP, see which."""
    if following == FRAME or following in (VLAN, QINQ, OLD_QINQ):
        size = 14 if following == FRAME else 4
        if cap - at < size:
            return SHORT, at
        at += size
        following = be16(data, at - 2)
        return (LLC if following < LEAST_TYPE else following), at
    if following == ANY_IP:
        if cap - at < 1:
            return SHORT, at
        version = data[at] >> 4
        return (IPV4 if version == 4 else IPV6 if version == 6 else BAD_LINK), at
    if following == PPP:
        return ppp(data, at, cap)
    if following == LLC:
        return llc(data, at, cap)
    if following == PPPOE:
        return pppoe(data, at, cap)
    return -(IN_ETHERNET | following), at


@kernel
def to_network(data: Octets, at: int, cap: int, following: int) -> tuple[int, int]:
    """Take off what lies below IP until IP, ARP, NOTHING, a fault or what is not read comes."""
    while following > 0 and following not in (IPV4, IPV6, ARP):
        following, at = beneath(data, at, cap, following)
    return following, at


@kernel
def interface_index(data: Octets, at: int, cap: int) -> int:
    """The interface index of a LINUX_SLL2 header; 0, which the kernel never gives, where it is cut off."""
    return be32(data, at + 4) if cap - at >= 8 else 0
