"""A frame with other addresses and another payload, of the same length: link layer, tunnels, IP, TCP.

Where the headers lie the decoder says (`capture.trace`). What is below the innermost IP packet is rewritten where each header
holds nothing but what is known here; else that IP packet alone is left. Checksums keep their kind: what was right is right
again, what was left to the network card (the sum of the pseudo header alone) is left to it again, what was wrong is wrong by
as much as before (RFC 1624). What is not understood is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from inspector.capture import faults, links
from inspector.capture.carried import FRAME, IPV4, IPV6, LLC, OF_LINK, OLD_QINQ, PPP, PPPOE, QINQ, VLAN
from inspector.capture.network import extension, tcp_header
from inspector.capture.tables import PacketKind
from inspector.capture.trace import Layer, Traced, Tracer
from inspector.capture.tunnels import ERSPAN, ERSPAN_3
from inspector.evidence.masking import Mask

TCP, UDP = 6, 17
# Link types whose headers hold at most the address of a device; of others the innermost IP packet is left.
BARE = (
    links.ETHERNET, links.RAW, links.RAW_BSD, links.RAW_OPENBSD, links.IPV4, links.IPV6, links.NULL, links.LOOP, links.PPP,
    links.PPP_HDLC, links.CISCO_HDLC, links.PPP_ETHER,
)  # fmt: skip
PLAIN = (1, LLC, PPP, IPV4, IPV6)  # of what lies below IP, what holds nothing but what follows; 1: any IP
IP = ("ipv4", "ipv6")
VLANS = (VLAN, QINQ, OLD_QINQ)
# Of TCP, with the lengths they have: no-op, MSS, window scale, SACK permitted, SACK, timestamps. Any other may hold anything.
KNOWN_OPTIONS = {1: (1,), 2: (4,), 3: (3,), 4: (2,), 5: (10, 18, 26, 34), 8: (10,)}


class Refused(Exception):
    """The packet cannot be rewritten; the text says why, as a code."""


class Unsafe(Exception):
    """A header may hold what is not known here."""


class Rewritten(NamedTuple):
    """A frame with everything replaced: its link type, its bytes, and how many they were on the wire."""

    link_type: int
    data: bytes
    length: int


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
        self._tracer = Tracer()

    def frame(self, link_type: int, data: bytes, length: int) -> Rewritten:
        """The frame with everything replaced. length: bytes on the wire. Raises Refused."""
        old = memoryview(data)
        traced = self._tracer.trace(old, length, link_type)
        if traced.kind != PacketKind.TCP:
            raise Refused(_why(traced))
        header = tcp_header.plain(old, traced.at, traced.cap, traced.wire)
        if header < 0:
            raise Refused("cut-header" if -header == faults.SHORT_HEADER else "malformed")
        new = bytearray(data)
        for layer in traced.layers:  # what lies behind a datagram is padding
            new[layer.cap :] = bytes(len(new) - layer.cap)
        within = [k for k, layer in enumerate(traced.layers) if layer.kind in IP]
        self._ip(traced.layers[within[-1]], old, new)
        self._tcp(traced, self._pseudo(TCP, traced.layers[within[-1]], old, new), header, old, new)
        try:
            for layer in traced.layers:
                self._layer(layer, old, new)
        except Unsafe:
            return self._innermost(traced.layers[within[-1]], traced, old, new)
        for k in range(len(traced.layers) - 1, -1, -1):  # a checksum covers what is within
            self._sum(traced.layers, k, old, new)
        if self._tracer.trace(memoryview(new), length, link_type) != traced:
            return self._innermost(traced.layers[within[-1]], traced, old, new)
        return Rewritten(link_type, bytes(new), length)

    def _innermost(self, ip: Layer, traced: Traced, old: memoryview, new: bytearray) -> Rewritten:
        """The innermost IP packet alone."""
        self._sum([ip], 0, old, new)
        return Rewritten(links.RAW, bytes(new[ip.at : traced.cap]), traced.wire - ip.at)

    def _layer(self, layer: Layer, old: memoryview, new: bytearray) -> None:
        """Rewrite a header. Raises Unsafe."""
        at = layer.at
        if layer.kind == "link":
            self._link(layer.key, old, new)
        elif layer.kind == "below":
            self._below(layer.key, at, old, new)
        elif layer.kind in IP:
            self._ip(layer, old, new)
        elif layer.kind == "vxlan":
            new[at + 1 : at + 4] = bytes(3)
            new[at + 4 : at + 8] = self._number(b"vxlan", old[at + 4 : at + 7]) + b"\0"
        elif layer.kind == "geneve":
            new[at + 4 : at + 7] = self._number(b"geneve", old[at + 4 : at + 7])
            new[at + 8 : layer.end] = bytes(layer.end - at - 8)  # what options mean is their writer's affair: none now
        elif layer.kind == "gre":
            flags = be16(old, at)
            if flags & 7 or be16(old, at + 2) in (ERSPAN, ERSPAN_3):
                raise Unsafe
            if flags & 0x2000:
                key = at + (8 if flags & 0x8000 else 4)
                new[key : key + 4] = self._number(b"gre", old[key : key + 4])
        elif layer.kind not in ("udp", "ip"):
            raise Unsafe

    def _link(self, link_type: int, old: memoryview, new: bytearray) -> None:
        if link_type == links.LINUX_SLL2:
            self._hardware(old, new, 12, 8, old[11])
        elif link_type == links.LINUX_SLL:
            self._hardware(old, new, 6, 8, be16(old, 4))
        elif link_type not in BARE:
            raise Unsafe

    def _hardware(self, old: memoryview, new: bytearray, at: int, room: int, size: int) -> None:
        size = min(size, room)
        new[at : at + room] = self.mask.mac(bytes(old[at : at + size])) + bytes(room - size)

    def _below(self, kind: int, at: int, old: memoryview, new: bytearray) -> None:
        if kind == FRAME:
            for i in (at, at + 6):
                new[i : i + 6] = self.mask.mac(bytes(old[i : i + 6]))
        elif kind in VLANS:
            tag = be16(old, at)
            if 0 < tag & 0xFFF < 0xFFF:  # RFC 2674: none, and reserved
                other = 1 + int.from_bytes(self._number(b"vlan", (tag & 0xFFF).to_bytes(2, "big"))) % 0xFFE
                new[at : at + 2] = (tag & 0xF000 | other).to_bytes(2, "big")
        elif kind == PPPOE:
            new[at + 2 : at + 4] = self._number(b"pppoe", old[at + 2 : at + 4])
        elif kind not in PLAIN:
            raise Unsafe

    def _number(self, purpose: bytes, number: bytes | memoryview) -> bytes:
        """Another number in place of one that tells networks or customers apart."""
        return self.mask.stream(purpose, bytes(number), len(number))

    # -- IP and above -------------------------------------------------------------------------------------------------

    def _ip(self, ip: Layer, old: memoryview, new: bytearray) -> None:
        """Other addresses; options and extension headers keep their places and say nothing."""
        at, six = ip.at, ip.kind == "ipv6"
        place, width = (at + 8, 16) if six else (at + 12, 4)
        for i in (place, place + width):
            new[i : i + width] = (self.mask.v6 if six else self.mask.v4)(bytes(old[i : i + width]))
        if six:
            following, i = old[at + 6], at + 40
            while i < ip.end:
                size = extension.plain(old, i, following)
                following = old[i]
                new[i + 2 : i + size] = bytes(size - 2)
                i += size
            return
        header = at + (old[at] & 15) * 4
        new[at + 20 : header] = b"\x01" * (header - at - 20)  # no operation
        if ip.end > header:  # what authenticates it
            new[header + 2 : ip.end] = bytes(ip.end - header - 2)

    @staticmethod
    def _pseudo(protocol: int, ip: Layer, old: memoryview, new: bytearray) -> Pseudo:
        place, size = (ip.at + 8, 32) if ip.kind == "ipv6" else (ip.at + 12, 8)
        return Pseudo(protocol, bytes(old[place : place + size]), bytes(new[place : place + size]))

    def _tcp(self, traced: Traced, pseudo: Pseudo, header: int, old: memoryview, new: bytearray) -> None:
        at, cap = traced.at, traced.cap
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
        fix(old, new, at + 16, at, cap, *pseudo.headers(traced.wire - at))

    def _sum(self, layers: list[Layer], k: int, old: memoryview, new: bytearray) -> None:
        """The checksum of a header."""
        layer = layers[k]
        at = layer.at
        if layer.kind == "ipv4":
            fix(old, new, at + 10, at, at + (old[at] & 15) * 4, b"", b"")
        elif layer.kind == "gre" and old[at] & 0x80:
            fix(old, new, at + 4, at, layer.cap, b"", b"")
        elif layer.kind == "udp" and be16(old, at + 6):
            fix(old, new, at + 6, at, layer.cap, *self._pseudo(UDP, layers[k - 1], old, new).headers(layer.wire - at))
            if be16(new, at + 6) == 0:
                new[at + 6 : at + 8] = b"\xff\xff"  # RFC 768: zero says that there is none


def _why(traced: Traced) -> str:
    """Why a packet without a TCP segment is refused."""
    if traced.kind == PacketKind.FRAGMENT:
        return "fragment"
    if traced.kind == PacketKind.MALFORMED:
        cut = traced.fault in (faults.SHORT_HEADER, faults.CUT_HEADER)
        return "cut-header" if cut else "tunnel" if traced.fault == faults.TUNNEL_DEPTH else "malformed"
    if any(layer.kind in IP for layer in traced.layers):
        return "no-tcp"
    return "link-type" if traced.fault & ~0xFFFF == OF_LINK else "not-ip"


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
