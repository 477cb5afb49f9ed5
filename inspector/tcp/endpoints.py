"""Where messages were: the connection and addresses of stream slots, seen from who asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspector.kernels.kernel import kernel
from inspector.table import I16, I64, U16, U64, Bool, Table
from inspector.tcp import layout as col

(
    P_CONNECTION,
    P_MATE,
    P_CAPTURE,
    P_SYNCED,
    P_CLIENT_HI,
    P_CLIENT_LO,
    P_CLIENT_PORT,
    P_SERVER_HI,
    P_SERVER_LO,
    P_SERVER_PORT,
    P_WIRE_HI,
    P_WIRE_LO,
    P_WIDTH,
) = range(13)


@dataclass(frozen=True, eq=False)
class Places(Table):
    """One row a stream slot that was asked for. The client is the side that sends requests."""

    connection: I64
    mate: I64  # number of the other direction's stream, -1 where the slot is not in use
    capture: I16  # where the connection's first packet was seen
    synced: Bool  # the start of this stream was captured
    client_hi: U64
    client_lo: U64
    client_port: U16
    server_hi: U64  # dialled
    server_lo: U64
    server_port: U16
    wire_hi: U64
    wire_lo: U64


@kernel
def list_places(slots: I64, asks: Bool, streams: I64, conns: I64, out: I64) -> None:
    """The place of each slot into out[P_*, q]. asks[q]: requests were sent on it.

    Without a SYN the side seen first passes for the client: who sends requests is. What it dialled is then the other's address.
    """
    for q in range(len(slots)):
        s = slots[q]
        c = s >> 1
        stream = streams[s, col.S_ID] - 1
        out[P_CONNECTION, q] = conns[c, col.C_ID]
        out[P_MATE, q] = stream ^ 1 if stream >= 0 else -1
        out[P_CAPTURE, q] = conns[c, col.C_CAPTURE]
        out[P_SYNCED, q] = streams[s, col.S_SYNCED]
        if asks[q] == (conns[c, col.C_CLIENT] == s):
            out[P_CLIENT_HI, q] = conns[c, col.C_CLIENT_HI]
            out[P_CLIENT_LO, q] = conns[c, col.C_CLIENT_LO]
            out[P_CLIENT_PORT, q] = conns[c, col.C_CLIENT_PORT]
            out[P_SERVER_HI, q] = conns[c, col.C_SERVER_HI]
            out[P_SERVER_LO, q] = conns[c, col.C_SERVER_LO]
            out[P_SERVER_PORT, q] = conns[c, col.C_SERVER_PORT]
            out[P_WIRE_HI, q] = conns[c, col.C_WIRE_HI]
            out[P_WIRE_LO, q] = conns[c, col.C_WIRE_LO]
        else:
            out[P_CLIENT_HI, q] = conns[c, col.C_SERVER_HI]
            out[P_CLIENT_LO, q] = conns[c, col.C_SERVER_LO]
            out[P_CLIENT_PORT, q] = conns[c, col.C_SERVER_PORT]
            out[P_SERVER_HI, q] = conns[c, col.C_CLIENT_HI]
            out[P_SERVER_LO, q] = conns[c, col.C_CLIENT_LO]
            out[P_SERVER_PORT, q] = conns[c, col.C_CLIENT_PORT]
            out[P_WIRE_HI, q] = conns[c, col.C_CLIENT_HI]
            out[P_WIRE_LO, q] = conns[c, col.C_CLIENT_LO]


def places(slots: I64, asks: Bool, streams: I64, conns: I64) -> Places:
    """The places of `slots`. asks: whether requests were sent on each."""
    out = np.empty((P_WIDTH, len(slots)), np.int64)
    list_places(slots, asks, streams, conns, out)
    unsigned = out.view(np.uint64)
    return Places(
        connection=out[P_CONNECTION],
        mate=out[P_MATE],
        capture=out[P_CAPTURE].astype(np.int16),
        synced=out[P_SYNCED] != 0,
        client_hi=unsigned[P_CLIENT_HI],
        client_lo=unsigned[P_CLIENT_LO],
        client_port=out[P_CLIENT_PORT].astype(np.uint16),
        server_hi=unsigned[P_SERVER_HI],
        server_lo=unsigned[P_SERVER_LO],
        server_port=out[P_SERVER_PORT].astype(np.uint16),
        wire_hi=unsigned[P_WIRE_HI],
        wire_lo=unsigned[P_WIRE_LO],
    )
