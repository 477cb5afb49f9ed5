"""From records to segments: one kernel walks each record from its link layer to its TCP header."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspector.capture import faults, quic
from inspector.capture.carried import ARP, IN_UDP, NOTHING, UNREAD
from inspector.capture.layers import interface_index, link_header, to_network
from inspector.capture.network import FRAGMENT, TCP, destination, ipv4, ipv6, source, tcp_header, timestamp
from inspector.capture.octets import ByteRows, Octets, be16, be32
from inspector.capture.quic import long_header
from inspector.capture.tables import PacketKind
from inspector.capture.tunnels import tunnel
from inspector.kernels.instructions import prefetch
from inspector.kernels.kernel import cold, kernel
from inspector.table import I64, U64

# Rows of `records`, (9, n) int64. The scanners fill the first seven, `decode` the others.
TIME = 0  # ns
AT = 1  # where the frame starts in the data
CAPTURED = 2
LENGTH = 3
LINK = 4  # link type, BIG_ENDIAN added where the file is
INTERFACE = 5  # index into CaptureInfo.interfaces; `decode` makes it -1 - slot for LINUX_SLL2, see `named`
DEPTH = 6  # outer headers taken off before (reassembled datagrams)
KIND = 7
FAULT = 8  # of `faults`, or a code of `carried`: what the packet is in that is not looked into
RECORD_ROWS = 9

# Rows of `segments`, (12, n) int64, and of `addresses`, (4, n) uint64.
RECORD = 0
SPORT = 1
DPORT = 2
SEQ = 3
ACK = 4
FLAGS = 5
IP_ID = 6
TSVAL = 7
TUNNEL = 8
PAYLOAD_AT = 9
PAYLOAD_CAPTURED = 10
PAYLOAD_LENGTH = 11
SEGMENT_ROWS = 12
SRC_HI, SRC_LO, DST_HI, DST_LO = 0, 1, 2, 3
ADDRESS_ROWS = 4

# Rows of `fragments`, (7, n) int64: where the reassembler finds one.
FRAGMENT_RECORD = 0
FRAGMENT_IP_AT = 1
FRAGMENT_AT = 2  # payload (IPv4) or fragment header (IPv6)
FRAGMENT_CAP = 3
FRAGMENT_WIRE = 4
FRAGMENT_VERSION = 5
FRAGMENT_DEPTH = 6
FRAGMENT_ROWS = 7

MAX_TUNNELS = 8
SLL2 = 276
SLL2_SPACE = 1 << 32  # `named` holds interface * SLL2_SPACE + index

OTHER = int(PacketKind.OTHER)
KIND_TCP = int(PacketKind.TCP)
KIND_UDP = int(PacketKind.UDP)
KIND_ICMP = int(PacketKind.ICMP)
KIND_ARP = int(PacketKind.ARP)
KIND_FRAGMENT = int(PacketKind.FRAGMENT)
KIND_MALFORMED = int(PacketKind.MALFORMED)
DEEP = faults.TUNNEL_DEPTH
CUT = faults.CUT_HEADER
SHORT = faults.SHORT_HEADER
NO_FAULT = faults.NONE


class Scratch(NamedTuple):
    """A batch of n records and what is decoded of them, used again for each batch; the rows of each are named above.

    records: (9, n) int64, filled by a scanner. segments, fragments: (12, n) and (7, n) int64, as many as were found.
    addresses: (4, n) uint64, beside the segments. datagrams: (4, n), UDP datagrams outside tunnels; `ends`: their addresses.
    """

    records: I64
    segments: I64
    addresses: U64
    fragments: I64
    datagrams: I64
    ends: U64

    @staticmethod
    def of(room: int) -> Scratch:
        """Memory for `room` records."""
        records, segments, fragments, datagrams = (
            np.zeros((rows, room), np.int64) for rows in (RECORD_ROWS, SEGMENT_ROWS, FRAGMENT_ROWS, quic.DATAGRAM_ROWS)
        )
        addresses, ends = (np.zeros((ADDRESS_ROWS, room), np.uint64) for _ in range(2))
        return Scratch(records, segments, addresses, fragments, datagrams, ends)

    @property
    def room(self) -> int:
        """How many records it holds."""
        return self.records.shape[1]


@kernel
def walk(
    data: Octets, at: int, cap: int, wire: int, link: int, depth: int
) -> tuple[int, int, int, int, int, int, int, int]:
    """From the link layer to the innermost transport header, through every tunnel.

    Returns (kind, fault, at, cap, wire, ip_at, version, depth): `at` is the TCP header for KIND_TCP, what `network`
    says for KIND_FRAGMENT. An ICMP error is not looked into: its quote is not a segment.
    """
    following, at = link_header(data, at, cap, link)
    ip_at = at
    version = 0
    kind = OTHER
    while True:
        following, at = to_network(data, at, cap, following)
        if following < 0:
            return (KIND_MALFORMED if following > -UNREAD else kind), -following, at, cap, wire, ip_at, version, depth
        if following == ARP:
            return KIND_ARP, NO_FAULT, at, cap, wire, ip_at, version, depth
        if following == NOTHING:
            return kind, NO_FAULT, at, cap, wire, ip_at, version, depth
        ip_at = at
        if following == 0x0800:
            version = 4
            protocol, at, cap, wire = ipv4(data, at, cap, wire)
        else:
            version = 6
            protocol, at, cap, wire = ipv6(data, at, cap, wire)
        if protocol < 0:
            return KIND_MALFORMED, -protocol, at, cap, wire, ip_at, version, depth
        if protocol == TCP:
            return KIND_TCP, NO_FAULT, at, cap, wire, ip_at, version, depth
        if protocol == FRAGMENT:
            return KIND_FRAGMENT, NO_FAULT, at, cap, wire, ip_at, version, depth
        if protocol == 1 or protocol == 58:
            return KIND_ICMP, NO_FAULT, at, cap, wire, ip_at, version, depth
        kind = KIND_UDP if protocol == 17 else OTHER
        following, at = tunnel(data, at, cap, protocol)
        if following < 0:
            return (KIND_MALFORMED if following > -UNREAD else kind), -following, at, cap, wire, ip_at, version, depth
        if following == NOTHING:
            return kind, NO_FAULT, at, cap, wire, ip_at, version, depth
        depth += 1
        if depth > MAX_TUNNELS:
            return KIND_MALFORMED, DEEP, at, cap, wire, ip_at, version, depth


@kernel
def put_segment(
    data: Octets, at: int, cap: int, wire: int, ip_at: int, version: int, scratch: Scratch, row: int
) -> int:
    """Row `row` of the segments, from the IP header at `ip_at` and the TCP header at `at`: 0, or a fault of the TCP header."""
    header = tcp_header(data, at, cap, wire)
    if header < 0:
        return -header
    hi, lo = source(data, ip_at, version)
    scratch.addresses[SRC_HI, row] = hi
    scratch.addresses[SRC_LO, row] = lo
    hi, lo = destination(data, ip_at, version)
    scratch.addresses[DST_HI, row] = hi
    scratch.addresses[DST_LO, row] = lo
    scratch.segments[SPORT, row] = be16(data, at)
    scratch.segments[DPORT, row] = be16(data, at + 2)
    scratch.segments[SEQ, row] = be32(data, at + 4)
    scratch.segments[ACK, row] = be32(data, at + 8)
    scratch.segments[FLAGS, row] = be16(data, at + 12) & 0x1FF
    scratch.segments[IP_ID, row] = be16(data, ip_at + 4) if version == 4 else 0
    payload = min(at + header, cap)
    scratch.segments[TSVAL, row] = timestamp(data, at + 20, payload)
    scratch.segments[PAYLOAD_AT, row] = payload
    scratch.segments[PAYLOAD_CAPTURED, row] = cap - payload
    scratch.segments[PAYLOAD_LENGTH, row] = wire - at - header
    return NO_FAULT


@cold
def put_datagram(data: Octets, at: int, cap: int, ip_at: int, version: int, scratch: Scratch, row: int) -> None:
    """Row `row` of the datagrams, from the IP header at `ip_at` and the UDP header at `at`, of which eight bytes are there."""
    hi, lo = source(data, ip_at, version)
    scratch.ends[SRC_HI, row] = hi
    scratch.ends[SRC_LO, row] = lo
    hi, lo = destination(data, ip_at, version)
    scratch.ends[DST_HI, row] = hi
    scratch.ends[DST_LO, row] = lo
    scratch.datagrams[quic.SPORT, row] = be16(data, at)
    scratch.datagrams[quic.DPORT, row] = be16(data, at + 2)
    scratch.datagrams[quic.SIZE, row] = max(be16(data, at + 4) - quic.UDP_HEADER, 0)
    scratch.datagrams[quic.LONG, row] = long_header(data, at, cap)


@kernel
def name_interface(named: ByteRows, count: int, room: int, key: int, last: int) -> tuple[int, int]:
    """The slot of `key` in `named`, (1, room) int64, of which `count` are taken: `(slot, count)`. `last` is tried.

    When there is no room the last slot serves for all others.
    """
    if last < count and named[0, last] == key:
        return last, count
    for slot in range(count):
        if named[0, slot] == key:
            return slot, count
    if count == room:
        return room - 1, count
    named[0, count] = key
    return count, count + 1


SOON = 8  # records before which headers are fetched into the processor's cache
HEADERS = 64  # bytes: two cache lines hold most headers


@kernel
def decode(
    data: Octets, scratch: Scratch, end: int, named: ByteRows, names: int, room: int
) -> tuple[int, int, int, int]:
    """Decode the first `end` records: how many segments, fragments, datagrams and names of interfaces there are then.

    named, names, room: as in `name_interface`. Precondition: frames lie in `data`.
    """
    records = scratch.records
    fragments = scratch.fragments
    segment = 0
    fragment = 0
    datagram = 0
    slot = 0
    for r in range(end):
        if r + SOON < end and records[CAPTURED, r + SOON] > HEADERS:
            prefetch(data, records[AT, r + SOON])
            prefetch(data, records[AT, r + SOON] + HEADERS)
        start = records[AT, r]
        captured = records[CAPTURED, r]
        link = records[LINK, r]
        if link & 0xFFFF == SLL2:
            index = interface_index(data, start, start + captured)
            slot, names = name_interface(named, names, room, records[INTERFACE, r] * SLL2_SPACE + index, slot)
            records[INTERFACE, r] = -1 - slot
        kind, fault, at, cap, wire, ip_at, version, depth = walk(
            data, start, start + captured, start + records[LENGTH, r], link, records[DEPTH, r]
        )
        if kind == KIND_TCP:
            fault = put_segment(data, at, cap, wire, ip_at, version, scratch, segment)
            if fault != NO_FAULT:
                kind = KIND_MALFORMED
            else:
                scratch.segments[RECORD, segment] = r
                scratch.segments[TUNNEL, segment] = depth
                segment += 1
        elif kind == KIND_FRAGMENT:
            fragments[FRAGMENT_RECORD, fragment] = r
            fragments[FRAGMENT_IP_AT, fragment] = ip_at
            fragments[FRAGMENT_AT, fragment] = at
            fragments[FRAGMENT_CAP, fragment] = cap
            fragments[FRAGMENT_WIRE, fragment] = wire
            fragments[FRAGMENT_VERSION, fragment] = version
            fragments[FRAGMENT_DEPTH, fragment] = depth
            fragment += 1
        elif kind == KIND_UDP and fault & ~0xFFFF == IN_UDP and cap - at >= quic.UDP_HEADER:
            put_datagram(data, at, cap, ip_at, version, scratch, datagram)
            datagram += 1
        if fault == SHORT and captured < records[LENGTH, r]:
            fault = CUT
        records[KIND, r] = kind
        records[FAULT, r] = fault
    return segment, fragment, datagram, names
