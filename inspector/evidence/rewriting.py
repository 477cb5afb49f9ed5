"""A frame with other addresses and another payload, of the same length: link layer, tunnels, IP, TCP.

Checksums keep their kind: what was right is right again, what was left to the network card (the sum of the pseudo header
alone) is left to it again, what was wrong is wrong by as much as before (RFC 1624). What is not understood is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from inspector.capture import links
from inspector.capture.layers import GENEVE_PORT, LINUX_VXLAN_PORT, VXLAN_PORT
from inspector.evidence.masking import Mask

MAX_TUNNELS = 8
FRAME, IP, PPP_FRAME = 0x6558, 1, 0x880B  # what follows, as capture.layers has it
IPV4, IPV6, VLANS = 0x0800, 0x86DD, (0x8100, 0x88A8, 0x9100)
TCP, UDP, GRE, AH, IN_4, IN_6 = 6, 17, 47, 51, 4, 41
# Of TCP, with the lengths they have: no-op, MSS, window scale, SACK permitted, SACK, timestamps. Any other may hold anything.
KNOWN_OPTIONS = {1: (1,), 2: (4,), 3: (3,), 4: (2,), 5: (10, 18, 26, 34), 8: (10,)}
BARE_HARDWARE = (512, 519, 768, 769, 776, 778, 65534)  # ARPHRD_* without a link header, see capture.layers.cooked


class Refused(Exception):
    """The packet cannot be rewritten; the text says why, as a code."""


@dataclass(frozen=True, slots=True)
class FoundSegment:
    """A TCP segment as captured: addresses of 4 or 16 bytes, payload bytes captured."""

    source: tuple[bytes, int]
    target: tuple[bytes, int]
    seq: int  # of the first payload byte
    captured: int


class Pseudo(NamedTuple):
    """What checksums above IP take in of its header: the protocol, both addresses as they were, and as they are now."""

    protocol: int
    old: bytes
    new: bytes

    def headers(self, length: int) -> tuple[bytes, bytes]:
        """The pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) of `length` bytes, as it was and as it is."""
        tail = self.protocol.to_bytes(4, "big") + length.to_bytes(4, "big")
        return self.old + tail, self.new + tail


Payload = Callable[[FoundSegment], bytes]


def total(data: bytes | memoryview) -> int:
    """The sum of the 16-bit words modulo 65535 (RFC 1071); an odd byte is padded with zero."""
    return int.from_bytes(bytes(data) + b"\0" * (len(data) % 2), "big") % 0xFFFF


class Rewriter:
    """Rewrites frames: addresses through `mask`, payload through `payload`, which gives as many bytes as it is asked for."""

    def __init__(self, mask: Mask, payload: Payload) -> None:
        self.mask = mask
        self.payload = payload

    def frame(self, link_type: int, data: bytes, length: int) -> bytes:
        """The frame with everything replaced. length: bytes on the wire. Raises Refused."""
        old, new = memoryview(data), bytearray(data)
        try:
            following, at = self._link(link_type, old, new)
            self._network(following, old, new, at, len(data), length, 0)
        except (IndexError, ValueError):
            raise Refused("cut-header") from None
        return bytes(new)

    # -- below IP -----------------------------------------------------------------------------------------------------

    def _link(self, link_type: int, old: memoryview, new: bytearray) -> tuple[int, int]:
        """Rewrite the link header: what follows and where."""
        if link_type == links.ETHERNET:
            return FRAME, 0
        if link_type == links.LINUX_SLL2:
            need(old, 0, 20)
            self._hardware(old, new, 12, 8, old[11])
            return self._cooked(be16(old, 0), be16(old, 8)), 20
        if link_type == links.LINUX_SLL:
            need(old, 0, 16)
            self._hardware(old, new, 6, 8, be16(old, 4))
            return self._cooked(be16(old, 14), be16(old, 2)), 16
        if link_type in (links.RAW, links.RAW_BSD, links.RAW_OPENBSD, links.IPV4, links.IPV6):
            return IP, 0
        if link_type in (links.NULL, links.LOOP):
            return IP, 4
        if link_type == links.PPP:
            return PPP_FRAME, 0
        if link_type == links.PPP_HDLC:
            need(old, 0, 4)
            return (be16(old, 2), 4) if old[0] in (0x0F, 0x8F) else (PPP_FRAME, 0)
        if link_type == links.NFLOG:
            return IP, self._nflog(old, new)
        raise Refused("link-type")

    def _hardware(self, old: memoryview, new: bytearray, at: int, room: int, size: int) -> None:
        size = min(size, room)
        new[at : at + room] = self.mask.mac(bytes(old[at : at + size])) + bytes(room - size)

    @staticmethod
    def _cooked(protocol: int, hardware: int) -> int:
        if protocol >= 0x600 and hardware != 824:
            return protocol
        if protocol == 0 and hardware in BARE_HARDWARE:
            return IP
        raise Refused("not-ip")

    @staticmethod
    def _nflog(old: memoryview, new: bytearray) -> int:
        at = 4
        while at + 4 <= len(old):
            size, kind = (int.from_bytes(old[i : i + 2], "little") for i in (at, at + 2))
            if size < 4:
                break
            if kind & 0x3FFF == 9:
                return at + 4
            stop = min((at + size + 3) & ~3, len(old))  # what fills up to the next one may hold anything
            new[at + 4 : stop] = bytes(stop - at - 4)
            at += (size + 3) & ~3
        raise Refused("not-ip")

    def _network(
        self, following: int, old: memoryview, new: bytearray, at: int, cap: int, wire: int, depth: int
    ) -> None:
        """Take off Ethernet, VLAN tags and PPP, then rewrite the IP packet."""
        while following not in (IPV4, IPV6):
            if following == FRAME:
                need(old, at, 14, cap)
                for i in (at, at + 6):
                    new[i : i + 6] = self.mask.mac(bytes(old[i : i + 6]))
                following, at = be16(old, at + 12), at + 14
            elif following in VLANS:
                need(old, at, 4, cap)
                following, at = be16(old, at + 2), at + 4
            elif following == PPP_FRAME:
                at += 2 if bytes(old[at : at + 2]) == b"\xff\x03" else 0
                size = 1 if old[at] & 1 else 2
                protocol = int.from_bytes(old[at : at + size], "big")
                following, at = {0x21: IPV4, 0x57: IPV6}.get(protocol, 0), at + size
            elif following == IP:
                following = {4: IPV4, 6: IPV6}.get(old[at] >> 4, 0)
            else:
                raise Refused("not-ip")
        (self._v4 if following == IPV4 else self._v6)(old, new, at, cap, wire, depth)

    # -- IP -----------------------------------------------------------------------------------------------------------

    def _v4(self, old: memoryview, new: bytearray, at: int, cap: int, wire: int, depth: int) -> None:
        need(old, at, 20, cap)
        header, size = (old[at] & 15) * 4, be16(old, at + 2)
        if header < 20 or (size and size < header):
            raise Refused("malformed")
        need(old, at, header, cap)
        if be16(old, at + 6) & 0x3FFF:
            raise Refused("fragment")
        if any(kind not in (0, 1) for kind in bytes(old[at + 20 : at + header])):
            raise Refused("ip-options")  # a route, say
        if size:
            wire = min(wire, at + size)
            new[min(cap, wire) : cap] = bytes(max(cap - wire, 0))  # what lies behind the datagram is padding
            cap = min(cap, wire)
        for i in (at + 12, at + 16):
            new[i : i + 4] = self.mask.v4(bytes(old[i : i + 4]))
        fix(old, new, at + 10, at, at + header, b"", b"")
        pseudo = Pseudo(old[at + 9], bytes(old[at + 12 : at + 20]), bytes(new[at + 12 : at + 20]))
        self._transport(pseudo, old, new, at + header, cap, wire, depth)

    def _v6(self, old: memoryview, new: bytearray, at: int, cap: int, wire: int, depth: int) -> None:
        need(old, at, 40, cap)
        size, following = be16(old, at + 4), old[at + 6]
        for i in (at + 8, at + 24):
            new[i : i + 16] = self.mask.v6(bytes(old[i : i + 16]))
        addresses = bytes(old[at + 8 : at + 40]), bytes(new[at + 8 : at + 40])
        at += 40
        if size:
            wire = min(wire, at + size)
            new[min(cap, wire) : cap] = bytes(max(cap - wire, 0))
            cap = min(cap, wire)
        while following in (0, 60):  # hop-by-hop and destination options; a routing header holds addresses
            need(old, at, 8, cap)
            following, size = old[at], (old[at + 1] + 1) * 8
            need(old, at, size, cap)
            for i, length in extension_options(old, at + 2, at + size):  # a home address, say (RFC 6275 section 6.3)
                new[i : i + length] = bytes(length)
            at += size
        if following in (43, 44):
            raise Refused("fragment" if following == 44 else "ip-options")
        self._transport(Pseudo(following, *addresses), old, new, at, cap, wire, depth)

    def _transport(
        self, pseudo: Pseudo, old: memoryview, new: bytearray, at: int, cap: int, wire: int, depth: int
    ) -> None:
        protocol = pseudo.protocol
        if protocol == TCP:
            self._tcp(pseudo, old, new, at, cap, wire)
            return
        if depth >= MAX_TUNNELS:
            raise Refused("tunnel")
        if protocol == UDP:
            following, inner = self._udp_tunnel(old, new, at, cap)
        elif protocol == GRE:
            following, inner = gre(old, at, cap)
        elif protocol in (IN_4, IN_6):
            following, inner = (IPV4 if protocol == IN_4 else IPV6), at
        else:
            raise Refused("no-tcp")
        self._network(following, old, new, inner, cap, wire, depth + 1)
        if protocol == UDP and be16(old, at + 6):
            fix(old, new, at + 6, at, cap, *pseudo.headers(wire - at))
            if be16(new, at + 6) == 0:
                new[at + 6 : at + 8] = b"\xff\xff"  # RFC 768: zero says that there is none
        elif protocol == GRE and old[at] & 0x80:
            fix(old, new, at + 4, at, cap, b"", b"")

    @staticmethod
    def _udp_tunnel(old: memoryview, new: bytearray, at: int, cap: int) -> tuple[int, int]:
        need(old, at, 16, cap)
        port = be16(old, at + 2)
        if port in (VXLAN_PORT, LINUX_VXLAN_PORT) and old[at + 8] & 8:
            return FRAME, at + 16
        if port == GENEVE_PORT and old[at + 8] >> 6 == 0:
            inner, i = at + 16 + 4 * (old[at + 8] & 0x3F), at + 16
            need(old, at, inner - at, cap)
            while i + 4 <= inner:  # options: what they mean is their writer's affair
                size = 4 * (old[i + 3] & 0x1F)
                new[i + 4 : min(i + 4 + size, inner)] = bytes(min(size, inner - i - 4))
                i += 4 + size
            return be16(old, at + 10), inner
        raise Refused("no-tcp")

    def _tcp(self, pseudo: Pseudo, old: memoryview, new: bytearray, at: int, cap: int, wire: int) -> None:
        need(old, at, 20, cap)
        header = (old[at + 12] >> 4) * 4
        if header < 20 or wire - at < header:
            raise Refused("malformed")
        body = min(at + header, cap)
        for i, size in unknown_options(old, at + 20, body):
            new[i : i + size] = bytes(size)
        if cap > body:
            width = len(pseudo.old) // 2
            seq = int.from_bytes(old[at + 4 : at + 8], "big") + (old[at + 13] >> 1 & 1)
            found = FoundSegment(
                (pseudo.old[:width], be16(old, at)),
                (pseudo.old[width:], be16(old, at + 2)),
                seq & 0xFFFFFFFF,
                cap - body,
            )
            new[body:cap] = self.payload(found)
        fix(old, new, at + 16, at, cap, *pseudo.headers(wire - at))


def gre(old: memoryview, at: int, cap: int) -> tuple[int, int]:
    """What a GRE header (RFC 2784, 2890, 2637) carries, and where."""
    need(old, at, 4, cap)
    flags, following = be16(old, at), be16(old, at + 2)
    if flags & 7 > 1 or flags & 0x4000:
        raise Refused("tunnel")
    size = 4 + 4 * bool(flags & 0x8000) + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
    return following, at + size + 4 * bool(flags & 7 == 1 and flags & 0x80)


def unknown_options(old: memoryview, at: int, end: int) -> list[tuple[int, int]]:
    """Where the values of TCP options lie that may hold anything, and what stands behind the last one: (at, length)."""
    out = []
    while at < end:
        if old[at] == 0:
            out.append((at, end - at))
            break
        size = 1 if old[at] == 1 else max(old[at + 1] if at + 1 < end else 2, 2)
        if size not in KNOWN_OPTIONS.get(old[at], ()) and size > 2:
            out.append((at + 2, min(size - 2, end - at - 2)))
        at += size
    return [(i, size) for i, size in out if size > 0]


def extension_options(old: memoryview, at: int, end: int) -> list[tuple[int, int]]:
    """Where the values of the options of an IPv6 extension header lie (RFC 8200 section 4.2): (at, length)."""
    out = []
    while at < end:
        size = 1 if old[at] == 0 else 2 + (old[at + 1] if at + 1 < end else 0)
        if old[at] != 5:  # a router alert is one of a few numbers
            out.append((at + 2, min(size, end - at) - 2))
        at += size
    return [(i, size) for i, size in out if size > 0]


def fix(old: memoryview, new: bytearray, at: int, start: int, end: int, before: bytes, after: bytes) -> None:
    """The checksum at `at` over start..end (what was captured of it) and the pseudo headers, kept what it was in kind.

    A checksum of zero stays, unless it was right. One that is the pseudo header's sum alone was left to the network card.
    """
    if at + 2 > end:
        return
    was = be16(old, at)
    rest = (total(old[start:end]) - was + total(before)) % 0xFFFF
    if before and was and was % 0xFFFF == total(before):
        value = total(after) or 0xFFFF
    elif was == 0 and rest != 0:
        return
    else:
        new[at : at + 2] = b"\0\0"
        now = (total(memoryview(new)[start:end]) + total(after)) % 0xFFFF
        value = (was + rest - now) % 0xFFFF
    new[at : at + 2] = value.to_bytes(2, "big")


def be16(data: memoryview | bytearray, at: int) -> int:
    """Two bytes, big-endian. Raises IndexError behind the end."""
    return data[at] << 8 | data[at + 1]


def need(data: memoryview, at: int, size: int, cap: int | None = None) -> None:
    """Raises Refused where fewer bytes were captured."""
    if at + size > (len(data) if cap is None else cap):
        raise Refused("cut-header")
