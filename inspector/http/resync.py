"""Packets seen from the streams: what they acknowledged, and where a message may begin after a boundary was lost.

Body bytes can look like a start line. So a message is taken up again only where a packet begins with a full start line and
the other side has spoken knowing exactly what came before: one of its packets acknowledged that very offset.
"""

from __future__ import annotations

from inspector.http import layout as col
from inspector.http.layout import Http
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
def book_of(http: Http, s: int) -> int:
    """The row of `books` that is stream `s`'s, 0 where it has none or another stream has taken it over."""
    book = http.state[s, col.BOOK]
    return book if book > 0 and http.books[book, col.BOOK_STREAM] == http.state[s, col.STREAM] else 0


@cold
def peer_at(http: Http, s: int, book: int, k: int) -> int:
    """The k-th of the peers that are carried for stream `s`, the oldest first."""
    return http.books[book, k] if book > 0 else http.state[s, col.PEERS + k]


@cold
def open_book(http: Http, s: int) -> int:
    """Give stream `s` a row of `books`, the one that was given away longest ago, with the peers it has."""
    book = http.counters[col.C_BOOK] + 1
    if book >= len(http.books):
        book = 1
    http.counters[col.C_BOOK] = book
    http.state[s, col.BOOK] = book
    http.books[book, col.BOOK_STREAM] = http.state[s, col.STREAM]
    for k in range(col.CARRIED):
        http.books[book, k] = UNKNOWN
    for k in range(col.FEW):
        http.books[book, col.CARRIED - col.FEW + k] = http.state[s, col.PEERS + k]
    return book


@cold
def shift_peers(http: Http, s: int, book: int, count: int) -> None:
    """Make room for `count` newer peers of stream `s`; the oldest are dropped."""
    for k in range(max(col.FEW - count, 0)):
        http.state[s, col.PEERS + k] = http.state[s, col.PEERS + k + count]
    if book > 0:
        for k in range(max(col.CARRIED - count, 0)):
            http.books[book, k] = http.books[book, k + count]


@cold
def confirmed(offset: int, time: int, http: Http, other: int, low: int, high: int) -> bool:
    """Whether stream `other` sent a packet, not later than `time`, that acknowledged exactly `offset` of this stream.

    chunks[low:high] are the other stream's in this block; the last peers of earlier blocks are carried (`carry_peers`).
    """
    if offset == UNKNOWN:
        return False
    if http.state[other, col.STREAM] != -1:
        book = book_of(http, other)
        for k in range(col.CARRIED if book > 0 else col.FEW):
            if peer_at(http, other, book, k) == offset:
                return True
    row = first_not_below(http.chunks, col.CHUNK_PEER, low, high, offset)
    return row < high and http.chunks[row, col.CHUNK_PEER] == offset and http.chunks[row, col.CHUNK_TIME] <= time


@cold
def next_turn(offset: int, http: Http, other: int, low: int, high: int) -> int:
    """The first offset above `offset` that stream `other` acknowledged with a packet of its own, UNKNOWN without one."""
    if http.state[other, col.STREAM] != -1:
        book = book_of(http, other)
        for k in range(col.CARRIED if book > 0 else col.FEW):
            peer = peer_at(http, other, book, k)
            if peer > offset:
                return peer
    row = first_not_below(http.chunks, col.CHUNK_PEER, low, high, offset + 1)
    return http.chunks[row, col.CHUNK_PEER] if row < high else UNKNOWN


@cold
def carry_peers(http: Http, s: int, low: int, high: int) -> None:
    """Keep the last distinct peers of a stream for the next blocks: the first ones going back from its last chunk."""
    last = http.state[s, col.PEERS + col.FEW - 1]
    found = 0
    row = high - 1
    newest = UNKNOWN + 0
    # Count first: as many old ones stay as there is room for.
    while row >= low and found < col.CARRIED:
        peer = http.chunks[row, col.CHUNK_PEER]
        if peer != UNKNOWN and peer != newest and peer != last:
            newest = peer
            found += 1
        row -= 1
    if found == 0:
        return
    book = book_of(http, s)
    if book == 0 and (found > col.FEW or http.state[s, col.PEERS + found - 1] != UNKNOWN):
        book = open_book(http, s)
    shift_peers(http, s, book, found)
    row = high - 1
    newest = UNKNOWN + 0
    nth = 0
    while row >= low and nth < found:
        peer = http.chunks[row, col.CHUNK_PEER]
        if peer != UNKNOWN and peer != newest and peer != last:
            newest = peer
            if nth < col.FEW:
                http.state[s, col.PEERS + col.FEW - 1 - nth] = peer
            if book > 0:
                http.books[book, col.CARRIED - 1 - nth] = peer
            nth += 1
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
