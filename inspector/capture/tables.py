"""What capture passes on: packets, and the TCP segments inside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from inspector.capture.quic import Quic
from inspector.table import I16, I32, I64, U8, U16, U32, U64, Table


class PacketKind(IntEnum):
    """What a packet turned out to be (column `Packets.kind`)."""

    OTHER = 0
    TCP = 1
    UDP = 2
    ICMP = 3
    ARP = 4
    FRAGMENT = 5  # an IP fragment that is (still) only a part of its datagram
    MALFORMED = 6  # headers that contradict themselves or are cut short by the snap length


@dataclass(frozen=True, eq=False)
class Packets(Table):
    """One row a record, in file order (in time order where several captures are merged)."""

    capture: I16  # index among the captures of one inspection
    number: I64  # from 1, as Wireshark counts
    time: I64  # nanoseconds since the epoch
    interface: I32  # index into CaptureInfo.interfaces
    at: I64  # where the frame starts in the block's data
    captured: I32  # bytes captured
    length: I32  # bytes on the wire
    kind: U8


@dataclass(frozen=True, eq=False)
class Segments(Table):
    """One row a TCP segment, in file order (in time order where several captures are merged).

    Addresses are two 64-bit halves of the IPv6 form; IPv4 a.b.c.d is ::ffff:a.b.c.d.
    """

    capture: I16
    packet: I64  # number of the packet (of the last fragment where it was fragmented)
    time: I64
    interface: I32
    src_hi: U64
    src_lo: U64
    dst_hi: U64
    dst_lo: U64
    sport: U16
    dport: U16
    seq: U32
    ack: U32
    flags: U16  # FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128
    ip_id: U32  # IPv4 identification; 0 for IPv6
    tsval: U32  # TCP timestamp option's value, 0 where there is none
    tunnel: U8  # how many outer headers were taken off
    at: I64  # where the payload starts in the block's data
    captured: I32  # payload bytes captured (<= length)
    length: I32  # payload bytes on the wire (Ethernet padding is not payload)


@dataclass(frozen=True, eq=False)
class Block:
    """One block's worth of a capture. `data` is valid until the next but one is asked for: its memory is used again."""

    data: NDArray[np.uint8]
    packets: Packets
    segments: Segments
    position: int  # input bytes (compressed ones, where the capture is) consumed so far


@dataclass(frozen=True)
class Interface:
    """An interface of a capture: described in a pcapng, a SLL2 interface index (`if2`), or a pcap's only one."""

    name: str
    link_type: int
    snaplen: int = 0
    comment: str = ""
    description: str = ""
    within: int = -1  # of a SLL2 interface index: the interface of the pcapng whose packets name it


@dataclass
class CaptureInfo:
    """What is known of a capture; filled while it is read."""

    path: str
    number: int = 0  # index among the captures of one inspection
    format: str = ""  # "pcap" or "pcapng"
    compression: str = ""  # "", "gz", "zst", "xz", "lz4"
    interfaces: list[Interface] = field(default_factory=list)
    link_types: list[str] = field(default_factory=list)  # names as tcpdump writes them: LINUX_SLL2, EN10MB, ...
    comments: list[str] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)  # address and name, of a pcapng's name resolution
    packet_comments: list[tuple[int, str]] = field(default_factory=list)  # packet's number and comment
    packets: int = 0
    bytes: int = 0  # uncompressed bytes read
    snaplen: int = 0  # the snap length that cut packets, 0 where none was cut
    cut_packets: int = 0
    tls_secrets: bytearray = field(
        default_factory=bytearray
    )  # pcapng decryption secrets (TLS key log), one after another
    first: int | None = None  # time of the earliest packet, ns
    last: int | None = None
    dropped_tail: bool = False  # the file ends inside a record
    faults: dict[str, int] = field(default_factory=dict)  # code -> how often; see capture.faults
    unread: dict[int, int] = field(default_factory=dict)  # code -> packets in it; see capture.carried
    quic: Quic = field(default_factory=Quic)
    warnings: list[str] = field(default_factory=list)  # sentences for people: offset, what was lost, what to do
