"""Kernels for what lies below IP: link headers, VLAN tags, PPP, and the tunnels that IP carries.

Each takes `at`, where its header starts, and `cap`, the end of the captured bytes, and returns `(next, at)`: what
follows (an EtherType, see below) and where. A negative `next` is a fault of `capture.faults`, NOTHING what is not read.
"""

from __future__ import annotations

from inspector.capture import faults
from inspector.capture.octets import Octets, be16, be32, host16
from inspector.kernels.kernel import cold, kernel

# What follows: EtherTypes (IEEE 802), and two of our own below 0x600.
NOTHING = 0
ANY_IP = 1  # the version nibble decides
IPV4 = 0x0800
ARP = 0x0806
FRAME = 0x6558  # Transparent Ethernet Bridging: an Ethernet frame
VLAN = 0x8100
IPV6 = 0x86DD
QINQ = 0x88A8
PPP = 0x880B
OLD_QINQ = 0x9100

SHORT = -faults.SHORT_HEADER
BAD_LINK = -faults.BAD_LINK
BAD_TUNNEL = -faults.BAD_TUNNEL

BIG_ENDIAN = 1 << 16  # added to a link type whose headers hold numbers in the byte order of a big-endian writer

VXLAN_PORT = 4789
LINUX_VXLAN_PORT = 8472
GENEVE_PORT = 6081


@kernel
def link_header(data: Octets, at: int, cap: int, link: int) -> tuple[int, int]:
    """The link-layer header: https://www.tcpdump.org/linktypes.html. `link` may have BIG_ENDIAN added."""
    kind = link & 0xFFFF
    if kind == 1:  # EN10MB
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
            return be16(data, at + 2), at + 4
        return PPP, at
    if kind == 239:
        return nflog(data, at, cap, link >> 16)
    return NOTHING, at


@kernel
def cooked(protocol: int, hardware: int) -> int:
    """What follows a Linux cooked header: its protocol, or the version nibble for devices without link layer."""
    if hardware == 824:  # ARPHRD_NETLINK: the protocol is a netlink family
        return NOTHING
    if protocol >= 0x600:
        return protocol
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
    return NOTHING, at


@kernel
def to_network(data: Octets, at: int, cap: int, following: int) -> tuple[int, int]:
    """Take off Ethernet, VLAN tags and PPP until IP, ARP, NOTHING or a fault comes."""
    while following >= 0:
        if following == FRAME:
            if cap - at < 14:
                return SHORT, at
            following = be16(data, at + 12)
            at += 14
        elif following in (VLAN, QINQ, OLD_QINQ):
            if cap - at < 4:
                return SHORT, at
            following = be16(data, at + 2)
            at += 4
        elif following == PPP:
            following, at = ppp(data, at, cap)
        elif following == ANY_IP:
            if cap - at < 1:
                return SHORT, at
            version = data[at] >> 4
            return (IPV4 if version == 4 else IPV6 if version == 6 else BAD_LINK), at
        elif following in (IPV4, IPV6, ARP):
            return following, at
        else:
            return NOTHING, at
    return following, at


@cold
def gre(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """RFC 2784, 2890; version 1 is RFC 2637 (PPTP). Source routes (RFC 1701) are not read."""
    if cap - at < 4:
        return SHORT, at
    flags = be16(data, at)
    following = be16(data, at + 2)
    version = flags & 7
    if version > 1 or flags & 0x4000 or (version == 1 and following != PPP):
        return NOTHING, at
    at += 4
    if flags & 0x8000:  # checksum, reserved
        at += 4
    if flags & 0x2000:  # key
        at += 4
    if flags & 0x1000:  # sequence number
        at += 4
    if version == 1 and flags & 0x0080:  # acknowledgement number
        at += 4
    return following, at


@kernel
def udp_tunnel(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """VXLAN (RFC 7348, section 5) and Geneve (RFC 8926, section 3.4), by the UDP header's destination port."""
    if cap - at < 8:
        return NOTHING, at
    port = be16(data, at + 2)
    if port in (VXLAN_PORT, LINUX_VXLAN_PORT):
        if cap - at < 16:
            return SHORT, at
        if data[at + 8] & 0x08 == 0:  # the I flag: without it, it is something else on this port
            return NOTHING, at
        return FRAME, at + 16
    if port == GENEVE_PORT:
        if cap - at < 16:
            return SHORT, at
        if data[at + 8] >> 6 != 0:
            return NOTHING, at
        return be16(data, at + 10), at + 16 + 4 * (data[at + 8] & 0x3F)
    return NOTHING, at


@cold
def tunnel(data: Octets, at: int, cap: int, protocol: int) -> tuple[int, int]:
    """What IP protocol `protocol`, whose header starts at `at`, carries: NOTHING where it is no tunnel."""
    if protocol == 17:
        return udp_tunnel(data, at, cap)
    if protocol == 4:
        return IPV4, at
    if protocol == 41:
        return IPV6, at
    if protocol == 47:
        return gre(data, at, cap)
    return NOTHING, at


@kernel
def interface_index(data: Octets, at: int, cap: int) -> int:
    """The interface index of a LINUX_SLL2 header; 0, which the kernel never gives, where it is cut off."""
    return be32(data, at + 4) if cap - at >= 8 else 0
