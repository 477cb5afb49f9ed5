"""Kernels for IP and TCP headers, each in the order: room, version, lengths, fields.

`cap` is the end of the captured bytes, `wire` the end of the packet as it was on the wire (wire >= cap). IP narrows
both: what lies behind its total length is Ethernet padding.
"""

from __future__ import annotations

from inspector.capture import faults
from inspector.capture.octets import Octets, be16, be32, be64
from inspector.kernels.kernel import kernel

SHORT = -faults.SHORT_HEADER
BAD_IPV4 = -faults.BAD_IPV4
BAD_IPV6 = -faults.BAD_IPV6
BAD_TCP = -faults.BAD_TCP

FRAGMENT = 300  # beside the IP protocol numbers: a fragment of a datagram
TCP = 6
MAPPED = 0xFFFF << 32


@kernel
def ipv4(data: Octets, at: int, cap: int, wire: int) -> tuple[int, int, int, int]:
    """RFC 791 section 3.1: `(protocol, at, cap, wire)` of the payload; FRAGMENT, or a negative fault.

    A total length of 0 comes from segmentation offload: the datagram goes to the end of the packet.
    """
    if cap - at < 20:
        return (BAD_IPV4 if wire - at < 20 else SHORT), at, cap, wire
    header = (data[at] & 0x0F) * 4
    total = be16(data, at + 2)
    if data[at] >> 4 != 4 or header < 20 or (total != 0 and total < header) or wire - at < header:
        return BAD_IPV4, at, cap, wire
    if total != 0:
        wire = at + total
        cap = min(cap, wire)
    if be16(data, at + 6) & 0x3FFF:  # more fragments, or an offset
        return FRAGMENT, at + header, cap, wire
    protocol = data[at + 9] & 0xFF
    at += header
    if protocol == 51:  # AH, RFC 4302
        if cap - at < 12:
            return SHORT, at, cap, wire
        protocol = data[at] & 0xFF
        at += ((data[at + 1] & 0xFF) + 2) * 4
    return protocol, at, cap, wire


@kernel
def extension(data: Octets, at: int, kind: int) -> int:
    """Length of the IPv6 extension header of a kind at `at`."""
    if kind == 44:  # an atomic fragment, RFC 6946
        return 8
    if kind == 51:
        return ((data[at + 1] & 0xFF) + 2) * 4
    return ((data[at + 1] & 0xFF) + 1) * 8


@kernel
def ipv6(data: Octets, at: int, cap: int, wire: int) -> tuple[int, int, int, int]:
    """RFC 8200 sections 3 and 4: as `ipv4`, extension headers taken off; FRAGMENT with `at` at the fragment header.

    A payload length of 0 is a jumbogram (RFC 2675) or comes from offload (BIG TCP): to the end of the packet.
    """
    if cap - at < 40:
        return (BAD_IPV6 if wire - at < 40 else SHORT), at, cap, wire
    if data[at] >> 4 != 6:
        return BAD_IPV6, at, cap, wire
    payload = be16(data, at + 4)
    following = data[at + 6] & 0xFF
    at += 40
    if payload != 0:
        wire = at + payload
        cap = min(cap, wire)
    while following in (0, 43, 60, 44, 51, 135):
        if cap - at < 8:
            return (BAD_IPV6 if wire - at < 8 else SHORT), at, cap, wire
        if following == 44 and be16(data, at + 2) & 0xFFF9:
            return FRAGMENT, at, cap, wire
        size = extension(data, at, following)
        following = data[at] & 0xFF
        at += size
    return following, at, cap, wire


@kernel
def source(data: Octets, ip_at: int, version: int) -> tuple[int, int]:
    """Source address of the IP header at `ip_at`, as halves for storing as uint64."""
    if version == 4:
        return 0, MAPPED | be32(data, ip_at + 12)
    return be64(data, ip_at + 8), be64(data, ip_at + 16)


@kernel
def destination(data: Octets, ip_at: int, version: int) -> tuple[int, int]:
    """Destination address, as `source`."""
    if version == 4:
        return 0, MAPPED | be32(data, ip_at + 16)
    return be64(data, ip_at + 24), be64(data, ip_at + 32)


@kernel
def tcp_header(data: Octets, at: int, cap: int, wire: int) -> int:
    """RFC 9293 section 3.1: length of the TCP header at `at`, or a negative fault. Its options may be cut off."""
    if wire - at < 20:
        return BAD_TCP
    if cap - at < 20:
        return SHORT
    header = (data[at + 12] >> 4) * 4
    if header < 20 or wire - at < header:
        return BAD_TCP
    return header


@kernel
def timestamp(data: Octets, at: int, end: int) -> int:
    """TSval of the timestamps option (RFC 7323 section 3.2) among the options in [at, end); 0 without one."""
    while at < end:
        kind = data[at] & 0xFF
        if kind == 0:
            return 0
        if kind == 1:
            at += 1
            continue
        if at + 2 > end:
            return 0
        size = data[at + 1] & 0xFF
        if kind == 8 and size == 10 and at + 10 <= end:
            return be32(data, at + 2)
        if size < 2:
            return 0
        at += size
    return 0
