"""Rows of the state as tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.tcp import blocks as gather
from inspector.tcp import chunklog
from inspector.tcp import layout as col
from inspector.tcp.state import unsigned
from inspector.tcp.tables import Chunks, Connections, Ends, Runs, Streams

I64 = NDArray[np.int64]


def run_table(rows: I64) -> Runs:
    """Runs from rows of gathering.U_*."""
    return Runs.build(
        slot=rows[:, gather.U_SLOT],
        stream=rows[:, gather.U_STREAM].copy(),
        offset=rows[:, gather.U_OFFSET].copy(),
        at=rows[:, gather.U_AT].copy(),
        length=rows[:, gather.U_LENGTH].copy(),
        gap=rows[:, gather.U_GAP].copy(),
        reason=rows[:, gather.U_REASON],
    )


def chunk_table(log: I64, runs: I64, streams: I64) -> Chunks:
    """The chunks under the runs of a block, from the log of all that are held."""
    first = np.ones(len(runs), bool)
    first[1:] = runs[1:, gather.U_SLOT] != runs[:-1, gather.U_SLOT]
    slot, offset = runs[first, gather.U_SLOT], runs[first, gather.U_OFFSET]
    begin, count = streams[slot, col.S_LOG], streams[slot, col.S_LOG_COUNT]
    if int(count.sum()) == log.shape[1]:
        index: I64 | slice = slice(None)
        chosen = log
    else:
        index = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
        chosen = log[:, index]
    mask = chosen[chunklog.L_OFFSET] + chosen[chunklog.L_LENGTH] > np.repeat(offset, count)
    chosen = chosen.copy() if bool(mask.all()) else chosen[:, mask]
    return Chunks.build(
        slot=chosen[chunklog.L_SLOT],
        stream=chosen[chunklog.L_STREAM],
        offset=chosen[chunklog.L_OFFSET],
        length=chosen[chunklog.L_LENGTH],
        time=chosen[chunklog.L_TIME],
        capture=chosen[chunklog.L_CAPTURE],
        packet=chosen[chunklog.L_PACKET],
        peer=chosen[chunklog.L_PEER],
        turn=chosen[chunklog.L_TURN],
    )


def end_table(rows: I64) -> Ends:
    """Ends by slot."""
    return Ends.build(
        slot=rows[:, gather.E_SLOT],
        stream=rows[:, gather.E_STREAM].copy(),
        offset=rows[:, gather.E_OFFSET].copy(),
        how=rows[:, gather.E_HOW],
        time=rows[:, gather.E_TIME].copy(),
        alone=rows[:, gather.E_ALONE] != 0,
    )


def connection_table(rows: I64) -> Connections:
    """Connections from rows of `done`, by number."""
    rows = rows[np.argsort(rows[:, col.C_ID], kind="stable")]
    return Connections.build(
        connection=rows[:, col.C_ID].copy(),
        capture=rows[:, col.C_CAPTURE],
        interface=rows[:, col.C_INTERFACE],
        client_hi=unsigned(rows[:, col.C_CLIENT_HI]),
        client_lo=unsigned(rows[:, col.C_CLIENT_LO]),
        client_port=rows[:, col.C_CLIENT_PORT],
        server_hi=unsigned(rows[:, col.C_SERVER_HI]),
        server_lo=unsigned(rows[:, col.C_SERVER_LO]),
        server_port=rows[:, col.C_SERVER_PORT],
        wire_hi=unsigned(rows[:, col.C_WIRE_HI]),
        wire_lo=unsigned(rows[:, col.C_WIRE_LO]),
        wire_port=rows[:, col.C_WIRE_PORT],
        joined=rows[:, col.C_JOINED] != 0,
        handshake=rows[:, col.C_HANDSHAKE] != 0,
        first=rows[:, col.C_FIRST].copy(),
        last=rows[:, col.C_LAST].copy(),
        packets=rows[:, col.C_PACKETS].copy(),
        sent_bytes=rows[:, col.Z_SENT].copy(),
        received_bytes=rows[:, col.Z_RECEIVED].copy(),
        gap_bytes=rows[:, col.C_GAP_BYTES].copy(),
        retransmissions=rows[:, col.C_RETRANSMISSIONS],
        conflicts=rows[:, col.C_CONFLICTS],
        end=rows[:, col.Z_END],
        flags=rows[:, col.Z_FLAGS],
    )


def stream_table(slots: I64, streams: I64, conns: I64) -> Streams:
    """What is known of stream slots."""
    rows = conns[slots >> 1]
    stream = streams[slots, col.S_ID] - 1
    return Streams.build(
        slot=slots,
        stream=stream,
        connection=rows[:, col.C_ID].copy(),
        mate=np.where(stream >= 0, stream ^ 1, -1),
        from_client=rows[:, col.C_CLIENT] == slots,
        client_hi=unsigned(rows[:, col.C_CLIENT_HI]),
        client_lo=unsigned(rows[:, col.C_CLIENT_LO]),
        client_port=rows[:, col.C_CLIENT_PORT],
        server_hi=unsigned(rows[:, col.C_SERVER_HI]),
        server_lo=unsigned(rows[:, col.C_SERVER_LO]),
        server_port=rows[:, col.C_SERVER_PORT],
        wire_hi=unsigned(rows[:, col.C_WIRE_HI]),
        wire_lo=unsigned(rows[:, col.C_WIRE_LO]),
        wire_port=rows[:, col.C_WIRE_PORT],
        joined=rows[:, col.C_JOINED] != 0,
        handshake=rows[:, col.C_HANDSHAKE] != 0,
        synced=streams[slots, col.S_SYNCED] != 0,
        capture=rows[:, col.C_CAPTURE],
        interface=rows[:, col.C_INTERFACE],
    )
