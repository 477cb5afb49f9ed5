"""Packets seen from the streams: what they acknowledged, and where a message may begin after a boundary was lost.

Body bytes can look like a start line. So a message is taken up again only where a packet begins with a full start line and
the other side has spoken knowing exactly what came before: one of its packets acknowledged that very offset.
"""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.startline import INVALID_LINE, VALID_LINE, loose_request_line, request_line, status_line
from inspector.kernels.kernel import cold, kernel
from inspector.table import I64, U8
from inspector.tcp.tables import UNKNOWN


@kernel
def first_not_below(chunks: I64, column: int, low: int, high: int, value: int) -> int:
    """The first row in [low, high) whose `column` is at least `value`, or `high`. Precondition: the column does not decrease."""
    while low < high:
        middle = (low + high) >> 1
        if chunks[middle, column] < value:
            low = middle + 1
        else:
            high = middle
    return low


@cold
def chunk_of(chunks: I64, low: int, high: int, offset: int) -> int:
    """The row of the chunk that holds the byte at `offset`, or -1."""
    row = first_not_below(chunks, col.CHUNK_OFFSET, low, high, offset + 1) - 1
    return row if row >= low else -1


@cold
def confirmed(offset: int, time: int, state: I64, other: int, chunks: I64, low: int, high: int) -> bool:
    """Whether stream `other` sent a packet, not later than `time`, that acknowledged exactly `offset` of this stream.

    chunks[low:high] are the other stream's in this block; the last peers of earlier blocks are carried in its state.
    """
    if offset == UNKNOWN:
        return False
    if state[other, col.STREAM] != -1:
        for k in range(col.CARRIED):
            if state[other, col.PEERS + k] == offset:
                return True
    row = first_not_below(chunks, col.CHUNK_PEER, low, high, offset)
    return row < high and chunks[row, col.CHUNK_PEER] == offset and chunks[row, col.CHUNK_TIME] <= time


@cold
def next_turn(offset: int, state: I64, other: int, chunks: I64, low: int, high: int) -> int:
    """The first offset above `offset` that stream `other` acknowledged with a packet of its own, UNKNOWN without one."""
    if state[other, col.STREAM] != -1:
        for k in range(col.CARRIED):
            if state[other, col.PEERS + k] > offset:
                return state[other, col.PEERS + k]
    row = first_not_below(chunks, col.CHUNK_PEER, low, high, offset + 1)
    return chunks[row, col.CHUNK_PEER] if row < high else UNKNOWN


@cold
def carry_peers(state: I64, s: int, chunks: I64, low: int, high: int) -> None:
    """Keep the last distinct peers of a stream for the next blocks: the first CARRIED going back from its last chunk."""
    found = 0
    row = high - 1
    newest = UNKNOWN
    # Count first: as many old ones stay as there is room for.
    while row >= low and found < col.CARRIED:
        peer = chunks[row, col.CHUNK_PEER]
        if peer != UNKNOWN and peer != newest and peer != state[s, col.PEERS + col.CARRIED - 1]:
            newest = peer
            found += 1
        row -= 1
    if found == 0:
        return
    for k in range(col.CARRIED - found):
        state[s, col.PEERS + k] = state[s, col.PEERS + k + found]
    last = state[s, col.PEERS + col.CARRIED - 1]
    row = high - 1
    newest = UNKNOWN
    k = col.CARRIED - 1
    while row >= low and found > 0:
        peer = chunks[row, col.CHUNK_PEER]
        if peer != UNKNOWN and peer != newest and peer != last:
            newest = peer
            state[s, col.PEERS + k] = peer
            k -= 1
            found -= 1
        row -= 1


@cold
def start_line_at(data: U8, at: int, end: int, kind: int, other_kind: int) -> tuple[int, int]:
    """What stands at `at`, and which kind of message it begins; `kind` 0 leaves the choice to the bytes and the other side."""
    found = 0
    if kind != col.RESPONSE and other_kind != col.REQUEST:
        found = request_line(data, at, end)[0]
        if found == INVALID_LINE:
            found = loose_request_line(data, at, end)[0]
        if found == VALID_LINE:
            return found, col.REQUEST
    if kind != col.REQUEST and other_kind != col.RESPONSE:
        status = status_line(data, at, end)[0]
        if status >= found:
            return status, col.RESPONSE
    return found, col.REQUEST
