"""Columns of the tracker's state: rows of int64, one array an entity, so that a packet touches few cache lines.

Row 0 of keys, nodes, streams and rings is never used as an entity: it is the null of links and the sentinel of a list.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector.table import I64, U8

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

SECOND = 1_000_000_000
MS = SECOND // 1000
AHEAD = 1 << 24  # numbers further away than this from those of their stream are not of it

# seg[T_*, i]: the segments of a block
(
    T_CAPTURE,
    T_PACKET,
    T_TIME,
    T_INTERFACE,
    T_SRC_HI,
    T_SRC_LO,
    T_DST_HI,
    T_DST_LO,
    T_SPORT,
    T_DPORT,
    T_SEQ,
    T_ACK,
    T_FLAGS,
    T_IP_ID,
    T_AT,
    T_CAPTURED,
    T_LENGTH,
    T_SRC,  # hash of the source endpoint
    T_DST,
    T_KEY,  # hash of both endpoints, the same for both directions
    T_PRINT,  # fingerprint of the packet
    T_WIDTH,
) = range(22)

# state[G_*]: scalars
(
    G_CLOCK,  # runs with capture time, but silence and clock steps count for little: see `track.pass_time`
    G_TIME,  # of the last segment
    G_FEED,  # running number of the feed
    G_CONNECTION,  # next connection number
    G_FREE_CONNS,
    G_CONN_ROOM,
    G_DYING,  # connections retired in this feed: their slots are free from the next feed on
    G_FREE_KEYS,
    G_KEY_ROOM,
    G_KEYS,
    G_FREE_NODES,
    G_NODE_ROOM,
    G_HELD_NODES,
    G_HELD_BYTES,
    G_RANDOM,
    G_OUT,
    G_TOUCHED,
    G_DONE,
    G_IN_EMPTY,  # connections without payload
    G_IN_BUSY,
    G_IN_CLOSED,
    G_IN_RESET,
    # options
    G_HOLD_LIMIT,
    G_ALLOWANCE,
    G_START_BYTES,
    G_SETTLE,
    G_EMPTY_LIMIT,
    G_BUSY_LIMIT,
    G_CLOSED_LIMIT,
    G_RESET_LIMIT,
    # counts
    G_COPIES,
    G_RETRANSMISSIONS,
    G_CONFLICTS,
    G_OUT_OF_ORDER,
    G_GAPS,
    G_GAP_BYTES,
    G_CONNECTIONS,
    G_WITHOUT_PAYLOAD,
    G_IGNORED,
    G_EXPIRED_EARLY,
    G_CUT_SHORT,
    G_DROPPED_BYTES,
    G_EARLY,
    G_STRAY,
    G_FORCED_GAPS,
    G_JOINED,
    G_KEPT_BYTES,
    G_NOTED,  # packets whose fingerprint was noted
    G_SAMPLE,  # of the payload at hand: see `duplicates.sample`
    G_WIDTH,
) = range(50)

# table[at, 0] is a hash, table[at, 1] a row of keys (0: empty)
# keys[k, K_*]: an address pair (or an endpoint that waits to be joined) and the stream slot of its direction A -> B
K_A_HI, K_A_LO, K_B_HI, K_B_LO, K_PORTS, K_HASH, K_VALUE, K_NEXT, K_WIDTH = range(9)
KIND_SYN, KIND_SOURCE, KIND_TARGET = 1, 2, 3  # in K_PORTS >> 32; 0 is an address pair

# conns[c, C_*]; rows 0..3 are the heads of the four lists below. RESET: a RST was seen; whether it counted is open.
EMPTY, BUSY, CLOSED, RESET, FIRST_CONN = 0, 1, 2, 3, 4
(
    C_ID,
    C_LIST,
    C_PREV,
    C_FOLLOWING,
    C_SEEN,  # clock of its last packet
    C_KEYS,
    C_ALIASES,
    C_SIDES,  # 1: stream 2c has been seen, 2: stream 2c + 1
    C_CLIENT,  # the slot of the client's stream
    C_PAYLOAD,
    C_CAPTURE,
    C_INTERFACE,
    C_CLIENT_HI,
    C_CLIENT_LO,
    C_CLIENT_PORT,
    C_SERVER_HI,
    C_SERVER_LO,
    C_SERVER_PORT,
    C_WIRE_HI,
    C_WIRE_LO,
    C_WIRE_PORT,
    C_JOINED,
    C_RESET_TIME,
    C_NEW_FROM,  # the stream of a SYN that may open another connection here, 0 where none: see `openings`
    C_NEW_NUMBER,  # the number of its first byte
    C_NEW_ACK,  # what a SYN,ACK acknowledged, -1 of a SYN
    C_NEW_TIME,
    C_HANDSHAKE,
    C_FIRST,
    C_LAST,
    C_PACKETS,
    C_GAP_BYTES,
    C_RETRANSMISSIONS,
    C_CONFLICTS,
    C_WIDTH,
) = range(35)

# done[z, :]: the row of a closed connection and what its streams add
Z_SENT, Z_RECEIVED, Z_END, Z_FLAGS, Z_WIDTH = range(C_WIDTH, C_WIDTH + 5)

# streams[s, S_*]
(
    S_ID,  # stream number + 1, 0 where the slot is free
    S_BASE,  # sequence number of offset 0
    S_BASED,
    S_NEXT,  # offset of the next byte to hand out
    S_FIRST,
    S_TOP,  # highest offset seen
    S_MARK,  # what was seen or acknowledged when a RST came
    S_REFUSED,  # its receiver has reset the connection without the bytes from here on, FAR where it has not: see `refused_from`
    S_FAR,  # the last sequence number far from the others, -1 where none
    S_FAR_ACK,  # the same of an acknowledgement of this stream
    S_STARTED,
    S_HELD,  # head of its skip list of held pieces
    S_OUT,  # last row of `out` + 1
    S_OUT_COUNT,
    S_GAP,
    S_REASON,
    S_ACKED,
    S_LAST_ACK,  # last acknowledgement number that it sent, -1 where none
    S_RING,
    S_RING_FROM,
    S_LIMIT,  # bytes from here on are not of this stream (FIN, RST)
    S_ENDING,
    S_END_TIME,
    S_ENDED,
    S_END_TOLD,
    S_ARRIVED,  # bytes before this offset had arrived at S_ARRIVED_TIME: acknowledged before they were seen; NONE where none
    S_ARRIVED_TIME,
    S_ARRIVED_CAPTURE,  # whose clock says so
    S_WHOLE,  # no byte from here on is missing of what was handed out, but for what lies before S_FIRST
    S_RESET,  # a RST of it was accepted,
    S_RESET_AT,  # and said that this is its next offset
    S_SYN,  # a SYN of it was captured
    S_SYNCED,  # its first byte's sequence number is known
    S_ISN1,
    S_WAITING,
    S_WAITED,
    S_WAIT_BYTES,
    S_GOAL,  # holes before this offset have been acknowledged: the receiver has the bytes, the capture never will
    S_PREV,
    S_FOLLOWING,
    S_KEPT,
    S_KEPT_BYTES,
    S_FORGET,
    S_LOG,
    S_LOG_COUNT,
    S_POSITION,
    S_TOUCHED,
    S_TAKEN,  # consumed up to here, told by release()
    S_RELEASED,  # number of the feed that this was reported after
    S_SAID_AT,  # the other side's last TURNS turns, the latest first: its own offset at the time, and what it had acknowledged
) = range(50)
TURNS = 4
S_WIDTH = S_SAID_AT + 2 * TURNS

# nodes[n, N_*]: held pieces; rows before FIRST_NODE have special uses
LEVELS = 6
PATH, PIECE, KEPT, RING_LIST = 1, 2, 3, 4  # the slot of RING_LIST is the hand of `take_ring`
RINGS = 4096  # streams of which the last bytes handed out are held: node RING_LIST + r owns ring r, r from 1 on
RING = 4096  # so many bytes each, in the store at r * RING; retransmissions are compared with them
FIRST_NODE = RING_LIST + 1 + RINGS
NODE_COST = 512  # bytes that a held piece counts beside its payload, about what it takes
DATA, CUT, END = 0, 1, 2
(
    N_OFFSET,
    N_LENGTH,
    N_SRC,  # >= 0: in the block's data; < 0: -1 - N_SRC in the store
    N_KIND,
    N_SLOT,
    N_TIME,  # of a kept piece: the reason of that gap
    N_CAPTURE,
    N_PACKET,
    N_PEER,  # of a kept piece: the gap before it
    N_TURN,  # tables.Chunks.turn as it was known when the packet came
    N_OLDER,
    N_NEWER,
    N_CLOCK,
    N_FEED,
    N_NEXT,  # and the levels above it
) = range(15)
N_WIDTH = N_NEXT + LEVELS
N_TAIL = N_SRC  # of a head: the last node of each level, or the head

# out[o, O_*]: pieces and ends handed out in this feed, in the order of arrival; O_TOUCHED is a list of its own
(
    O_SLOT,
    O_OFFSET,
    O_LENGTH,
    O_SRC,
    O_TIME,
    O_CAPTURE,
    O_PACKET,
    O_PEER,
    O_GAP,
    O_REASON,
    O_PREV,
    O_STREAM,
    O_HOW,  # the stream ends here: End
    O_TURN,  # tables.Chunks.turn; of an end: tables.Ends.alone
    O_TOUCHED,
    O_WIDTH,
) = range(16)

D_TIME, D_WHERE, D_SRC, D_DST, D_SLOT, D_STREAM, D_CAPTURED, D_SAMPLE, D_WIDTH = range(9)

FAR = 1 << 62
NONE = -(1 << 62)  # tables.UNKNOWN
ALONE = -(1 << 61)  # tables.ALONE
LOST, SNAPPED = 1, 2  # tables.Gap
HOW_FIN, HOW_RST, HOW_REUSED, HOW_EXPIRED, HOW_CAPTURE = 1, 2, 3, 4, 5  # tables.End


class Tcp(NamedTuple):
    """What the inner loops work on: the state (see `layout`), the bytes at hand, and the segments of a block."""

    state: I64
    table: I64
    keys: I64
    conns: I64
    streams: I64
    nodes: I64
    out: I64
    done: I64
    prints: I64
    details: I64
    copies: I64
    data: U8
    store: U8
    seg: I64
