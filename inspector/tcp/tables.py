"""What tcp gives: runs of stream bytes, the chunks (packets) they came from, and ends of streams.

A stream is one direction of a connection. Open connections live in slots: connection slot `c` has the stream slots
`2 * c` and `2 * c + 1`, so the other direction of stream slot `s` is `s ^ 1`. Slots are used again after a connection has
ended; `stream` (and `connection`) numbers never are.

Offsets: 0 is the first byte after the SYN, or the first byte seen where the SYN was not captured (then earlier bytes
that turn up within the reordering time have negative offsets).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from inspector.table import I16, I32, I64, U8, U16, U32, U64, Bool, Table


class Gap(IntEnum):
    """Why bytes are missing (column `Runs.reason`)."""

    NONE = 0
    LOST = 1  # no captured packet had them
    CUT = 2  # a packet had them, the snap length cut them off


class End(IntEnum):
    """How a stream ended (column `Ends.how`)."""

    FIN = 1
    RST = 2
    REUSED = 3  # a new SYN on the same addresses and ports
    EXPIRED = 4  # too many connections were open, and this was the idlest
    CAPTURE = 5  # the capture ended first


@dataclass(frozen=True, eq=False)
class Runs(Table):
    """Contiguous stream bytes, sorted by (slot, offset); several of one stream only where a gap lies between."""

    slot: I32
    stream: I64
    offset: I64  # stream offset of the first byte
    at: I64  # where the bytes stand in the arena
    length: I64  # may be 0 after a trailing gap
    gap: I64  # bytes missing immediately before `offset`
    reason: U8  # Gap


@dataclass(frozen=True, eq=False)
class Chunks(Table):
    """The packets that gave the bytes, sorted by (slot, offset), not overlapping. Covers every byte of the runs."""

    slot: I32
    stream: I64
    offset: I64
    length: I64
    time: (
        I64  # of the packet, or of an earlier acknowledgement of these bytes, whose first transmission was not captured
    )
    capture: I16
    packet: I64
    peer: I64  # offset in the other direction's stream that this packet acknowledged; UNKNOWN where it cannot be known
    # What the other side had acknowledged (any packet counts) when it sent the last bytes that this packet acknowledges:
    # it spoke when it had that much of this stream. UNKNOWN where no packet shows it, ALONE before it was seen at all.
    turn: I64


@dataclass(frozen=True, eq=False)
class Ends(Table):
    """Streams that ended in this block, each once, after all their bytes were passed on."""

    slot: I32
    stream: I64
    offset: I64  # where the stream ends
    how: U8  # End
    time: I64
    alone: Bool  # no packet of the other direction was seen


UNKNOWN = -(1 << 62)
ALONE = -(1 << 61)


@dataclass(frozen=True)
class StreamBlock:
    """One block's worth of stream bytes. `arena` is reused: it is valid until the tracker is fed again."""

    arena: NDArray[np.uint8]
    runs: Runs
    chunks: Chunks
    ends: Ends


@dataclass(frozen=True, eq=False)
class Connections(Table):
    """One row a connection that carried payload. `client` is who sent the SYN, or the side seen first without one."""

    connection: I64
    capture: I16  # where its first packet was seen
    interface: I32
    client_hi: U64
    client_lo: U64
    client_port: U16
    server_hi: U64  # the address that the client dialled
    server_lo: U64
    server_port: U16
    wire_hi: U64  # the address on the client's packets where NAT gives the directions different ones (127.0.0.1:15001)
    wire_lo: U64
    wire_port: U16
    joined: Bool  # the two halves have different addresses and were joined by their numbers
    handshake: Bool
    first: I64
    last: I64
    packets: I64
    sent_bytes: I64  # stream bytes client -> server, gaps included
    received_bytes: I64
    gap_bytes: I64
    retransmissions: I32
    conflicts: I32  # overlaps whose bytes differ
    end: U8  # End of the client's stream, 0 while open
    flags: U32  # 1: the start of the client's stream was captured, 2: of the server's


@dataclass(frozen=True, eq=False)
class Streams(Table):
    """What is known of open stream slots, one row a slot that was asked for."""

    slot: I32
    stream: I64  # -1 where the slot is not in use
    connection: I64
    mate: I64  # number of the other direction's stream
    from_client: Bool  # this is the client's stream (client -> server)
    client_hi: U64
    client_lo: U64
    client_port: U16
    server_hi: U64  # dialled
    server_lo: U64
    server_port: U16
    wire_hi: U64
    wire_lo: U64
    wire_port: U16
    joined: Bool
    handshake: Bool
    synced: Bool  # the start of this stream was captured
    capture: I16  # where the connection's first packet was seen
    interface: I32
