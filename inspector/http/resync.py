"""Packets seen from the streams: what they acknowledged, and where a message may begin after a boundary was lost.

Body bytes can look like a start line. So a message is taken up again only where a packet begins with a full start line and
the other side has spoken knowing exactly what came before: it had acknowledged that very offset, by any packet, when it
sent bytes that this packet acknowledges in turn. Less will do where what it had not yet acknowledged is shorter than any
head: a body's would have to be there. But of a request so few bytes may be lost that they were the beginning of its method:
these show nothing. (A response alone confirms nothing: that to a POST begins where the packets of the
body say, too.)

Where only one direction was captured nobody can confirm: what begins so is taken, and marked. It waits for the end of its
stream, or for so many more bytes that a packet of the other direction would have been seen.
"""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.layout import Http, Near
from inspector.http.startline import INVALID_LINE, VALID_LINE, loose_request_line, request_line, status_line
from inspector.kernels.kernel import cold, kernel
from inspector.table import I64, U8
from inspector.tcp.tables import ALONE, UNKNOWN

SMALLEST_REQUEST = 32  # len("P / HTTP/1.1\nContent-Length:10\n\n"): with a body that may hold a start line
SMALLEST_ALONE = 14  # len("P / HTTP/1.1\n\n"): less may be the beginning of the very method that seems to stand there
SMALLEST_RESPONSE = 14  # len("HTTP/1.1 200\n\n"), up to the end of the stream

# What shows that a message begins somewhere.
REFUTED = 0
CONFIRMED = 1
ASSUMED = 2  # only this direction was captured
OPEN = 3  # packets to come decide


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
def spoken(offset: int, peer: int, state: I64, other: int, chunks: I64, low: int, high: int) -> bool:
    """Whether stream `other` sent bytes before its offset `peer` in a packet that acknowledged exactly `offset` of this one.

    chunks[low:high] are the other stream's in this block; the last peers of earlier blocks are carried in its state.
    """
    if state[other, col.STREAM] != -1:
        for k in range(col.CARRIED):
            if state[other, col.PEERS + k] == offset and state[other, col.SPOKE + k] < peer:
                return True
    row = first_not_below(chunks, col.CHUNK_PEER, low, high, offset)
    return row < high and chunks[row, col.CHUNK_PEER] == offset and chunks[row, col.CHUNK_OFFSET] < peer


@cold
def standing(http: Http, s: int, row: int, kind: int, near: Near) -> int:
    """What shows that a message of `kind` begins where chunk `row` of stream `s` does: see above."""
    offset = http.chunks[row, col.CHUNK_OFFSET]
    peer = http.chunks[row, col.CHUNK_PEER]
    turn = http.chunks[row, col.CHUNK_TURN]
    between = SMALLEST_REQUEST if kind == col.REQUEST else SMALLEST_RESPONSE
    least = SMALLEST_ALONE if kind == col.REQUEST else 1
    if turn != ALONE:
        lost = offset - turn
        if lost == 0 or least <= lost < between:
            return CONFIRMED
        if peer != UNKNOWN and spoken(offset, peer, http.state, s ^ 1, http.chunks, near.other_low, near.other_high):
            return CONFIRMED
        return REFUTED
    while row < near.high:
        if http.chunks[row, col.CHUNK_TURN] != ALONE:
            return REFUTED
        if http.chunks[row, col.CHUNK_OFFSET] - offset >= http.limits[col.L_WAIT]:
            return ASSUMED
        row += 1
    if http.state[s, col.ENDED] == 0:
        return OPEN
    return ASSUMED if near.alone != 0 else REFUTED


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
        state[s, col.SPOKE + k] = state[s, col.SPOKE + k + found]
    last = state[s, col.PEERS + col.CARRIED - 1]
    row = high - 1
    newest = UNKNOWN
    k = col.CARRIED - 1
    while row >= low and found > 0:
        peer = chunks[row, col.CHUNK_PEER]
        if peer != UNKNOWN and peer != newest and peer != last:
            newest = peer
            state[s, col.PEERS + k] = peer
            state[s, col.SPOKE + k] = chunks[row, col.CHUNK_OFFSET]
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
