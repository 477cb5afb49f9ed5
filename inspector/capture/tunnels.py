"""Kernels for the tunnels that IP carries, as those in `layers`. A guess must not take plain UDP for a tunnel: the headers
inside are looked at before."""

from __future__ import annotations

from inspector.capture import faults
from inspector.capture.carried import (
    ANY_IP,
    ARP,
    FRAME,
    IN_GRE,
    IN_IP,
    IN_UDP,
    IPV4,
    IPV6,
    NOTHING,
    OLD_QINQ,
    PPP,
    PPPOE,
    QINQ,
    UNREAD,
    VLAN,
)
from inspector.capture.layers import GENEVE_PORT, LINUX_VXLAN_PORT, VXLAN_PORT, to_network
from inspector.capture.octets import Octets, be16, be32
from inspector.kernels.kernel import cold

SHORT = -faults.SHORT_HEADER

ERSPAN = 0x88BE  # of GRE: types I and II
ERSPAN_3 = 0x22EB

L2TP_PORT = 1701
GTP_PORT = 2152
TEREDO_PORT = 3544
GRE_PORT = 4754
NO_END = 1 << 62

# What the headers inside a UDP payload say of a guess.
WRONG = 0
RIGHT = 1
LONGER = 2  # right, but longer than what carries it: whoever mirrored it cut it
UNKNOWN = 3  # cut by the snap length, or of a kind that is not read


@cold
def gre(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """RFC 2784, 2890; version 1 is RFC 2637 (PPTP). Source routes (RFC 1701) are not read."""
    if cap - at < 4:
        return SHORT, at
    flags = be16(data, at)
    following = be16(data, at + 2)
    version = flags & 7
    if version > 1 or flags & 0x4000 or (version == 1 and following != PPP):
        return -(IN_GRE | following), at
    at += 4
    if flags & 0x8000:  # checksum, reserved
        at += 4
    if flags & 0x2000:  # key
        at += 4
    if flags & 0x1000:  # sequence number
        at += 4
    if version == 1 and flags & 0x0080:  # acknowledgement number
        at += 4
    if following == ERSPAN_3 or following == ERSPAN:
        return erspan(data, at, cap, following, flags & 0x1000)
    if following in (FRAME, IPV4, IPV6, ARP, PPP, PPPOE, VLAN, QINQ, OLD_QINQ, NOTHING):  # nothing: a sign of life
        return following, at
    return -(IN_GRE | following), at


@cold
def erspan(data: Octets, at: int, cap: int, protocol: int, sequenced: int) -> tuple[int, int]:
    """draft-foschiano-erspan: type I, without a sequence number in GRE, has no header, II has 8 bytes, III 12 or 20."""
    if protocol == ERSPAN and sequenced == 0:
        return FRAME, at
    if cap - at < 8:
        return SHORT, at
    version = data[at] >> 4
    if version == 1:
        return FRAME, at + 8
    if version != 2:
        return -(IN_GRE | protocol), at
    if cap - at < 12:
        return SHORT, at
    inside = at + 20 if data[at + 11] & 1 else at + 12  # O: a sub-header of the platform
    kind = data[at + 10] >> 2 & 0x1F
    if kind != 0 and kind != 2:
        return -(IN_GRE | protocol), at
    return (FRAME if kind == 0 else ANY_IP), inside


@cold
def judge(data: Octets, at: int, cap: int, end: int, following: int) -> int:
    """Whether what is said to follow at `at` is there: WRONG, RIGHT, LONGER or UNKNOWN. `end`: of the UDP payload as sent."""
    following, at = to_network(data, at, cap, following)
    if following <= -UNREAD:
        return UNKNOWN
    least = 8 if following == ARP else 20 if following == IPV4 else 40
    if following == SHORT or (following > 0 and cap - at < least):
        return UNKNOWN if end > cap else WRONG
    if following == ARP:
        return RIGHT if be16(data, at) == 1 and be16(data, at + 2) == IPV4 else WRONG
    if following == IPV4:
        header = (data[at] & 0x0F) * 4
        total = be16(data, at + 2)
        if data[at] >> 4 != 4 or header < 20 or (total < header and (total != 0 or data[at + 9] != 6)):
            return WRONG
        return RIGHT if at + total <= end else LONGER
    if following == IPV6 and data[at] >> 4 == 6:
        return RIGHT if at + 40 + be16(data, at + 4) <= end else LONGER
    return WRONG


@cold
def vxlan(data: Octets, at: int, cap: int, end: int, known: int) -> tuple[int, int]:
    """RFC 7348 section 5, of which the I flag is asked of all, and what is reserved where the port does not tell (not `known`).
    With the G flag, group policies stand in some of that."""
    flags = data[at] & 0xFF
    if flags & 0x08 == 0:
        return NOTHING, at
    if not known and (flags & 0x77 or data[at + 7] != 0 or (flags == 0x08 and be32(data, at) & 0xFFFFFF)):
        return NOTHING, at
    found = judge(data, at + 8, cap, end, FRAME)
    return (FRAME if found == RIGHT or (known and found != WRONG) else NOTHING), at + 8


@cold
def geneve(data: Octets, at: int, cap: int, end: int, known: int) -> tuple[int, int]:
    """RFC 8926 section 3.4, as `vxlan`."""
    following = be16(data, at + 2)
    inside = at + 8 + 4 * (data[at] & 0x3F)
    if data[at] >> 6 != 0 or following not in (FRAME, IPV4, IPV6):
        return NOTHING, at
    if not known and (data[at + 1] & 0x3F or data[at + 7] != 0):
        return NOTHING, at
    found = judge(data, inside, cap, end, following)
    return (following if found == RIGHT or (known and found != WRONG) else NOTHING), inside


@cold
def l2tp(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """RFC 2661 section 3.1: a data message of version 2, its length, sequence numbers and offset as its flags say."""
    flags = be16(data, at)
    if flags & 0xB4F0 or flags & 0x0F != 2:  # a control message, or reserved bits
        return NOTHING, at
    at += 6
    if flags & 0x4000:  # length
        at += 2
    if flags & 0x0800:  # sequence numbers
        at += 4
    if flags & 0x0200:
        if cap - at < 2:
            return NOTHING, at
        at += 2 + be16(data, at)
    return PPP, at


@cold
def teredo(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """RFC 4380 section 5.1.1: authentication and origin may stand before the IPv6 packet."""
    if be16(data, at) == 1:
        at += 13 + (data[at + 2] & 0xFF) + (data[at + 3] & 0xFF)
    if cap - at >= 8 and be16(data, at) == 0:
        at += 8
    return IPV6, at


@cold
def gtp(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """3GPP TS 29.281 section 5: a G-PDU of version 1, and its extension headers."""
    flags = data[at] & 0xFF
    if flags & 0xF0 != 0x30 or (data[at + 1] & 0xFF) != 0xFF:
        return NOTHING, at
    if flags & 7 == 0:
        return ANY_IP, at + 8
    if cap - at < 12:
        return NOTHING, at
    following = data[at + 11] if flags & 4 else 0
    at += 12
    while following != 0:
        size = 4 * (data[at] & 0xFF) if cap - at >= 4 else 0
        if size == 0 or size > cap - at:
            return NOTHING, at
        following = data[at + size - 1]
        at += size
    return ANY_IP, at


@cold
def udp_tunnel(data: Octets, at: int, cap: int) -> tuple[int, int]:
    """What the UDP header at `at` carries: VXLAN and Geneve on any port, other tunnels on the ports that are theirs."""
    if cap - at < 8:
        return NOTHING, at
    source = be16(data, at)
    port = be16(data, at + 2)
    plain = -(IN_UDP | min(source, port))
    size = be16(data, at + 4)
    end = at + size if size >= 8 else NO_END
    body = at + 8
    if cap - body < 8:
        known = port in (VXLAN_PORT, LINUX_VXLAN_PORT, GENEVE_PORT) and end > cap
        return (SHORT if known else plain), at
    following, inside = vxlan(data, body, cap, end, 1 if port in (VXLAN_PORT, LINUX_VXLAN_PORT) else 0)
    if following == NOTHING:
        following, inside = geneve(data, body, cap, end, 1 if port == GENEVE_PORT else 0)
    if following != NOTHING:
        return following, inside
    if port == GRE_PORT:
        following, inside = gre(data, body, cap)
    elif L2TP_PORT in (source, port):
        following, inside = l2tp(data, body, cap)
    elif TEREDO_PORT in (source, port):
        following, inside = teredo(data, body, cap)
    elif GTP_PORT in (source, port):
        following, inside = gtp(data, body, cap)
    if following <= 0 or judge(data, inside, cap, end, following) == WRONG:
        return plain, at
    return following, inside


@cold
def tunnel(data: Octets, at: int, cap: int, protocol: int) -> tuple[int, int]:
    """What IP protocol `protocol`, whose header starts at `at`, carries."""
    if protocol == 17:
        return udp_tunnel(data, at, cap)
    if protocol == 4:
        return IPV4, at
    if protocol == 41:
        return IPV6, at
    if protocol == 47:
        return gre(data, at, cap)
    return -(IN_IP | protocol), at
