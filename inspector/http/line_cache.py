"""Header lines met before: most lines of a connection are the same in every message, and are read once only.

A table of KNOWN lines, each in the place that a hash of its bytes gives; a line in the same place takes it. What is found is
compared byte by byte, so a hash that collides costs time and nothing else.
"""

from __future__ import annotations

import numpy as np

from inspector.http.fields import value_bounds
from inspector.http.layout import Http
from inspector.http.names import B3, UNNAMED, X_B3_SAMPLED
from inspector.http.startline import HIGHS, LINE_FEEDS_INVERTED, ONES_INVERTED
from inspector.http.xxh64 import P1, P2, M
from inspector.kernels.instructions import load64, lowest_bit
from inspector.kernels.kernel import cold, kernel
from inspector.table import I64, U8, U64

KNOWN = 1024  # lines, a power of two
KNOWN_WORDS = 16
PLACE_SHIFT = 54  # of a 64-bit number: its upper bits name one of KNOWN places
ONE_INVERTED = 1 ^ M  # a 64-bit 1, as in xxh64
LONGEST = 8 * KNOWN_WORDS  # bytes of a line, its LF left out
# Columns of `known`; known_words has the line's bytes, the last word filled up with zeros, and in its
# last column what the line adds to the hash of the headers.
SIZE = 0  # bytes, 0 where the place is free
NAME = 1
VALUE = 2  # where the value begins and ends in the line
VALUE_END = 3
KNOWN_WIDTH = 4


@kernel
def line_key(data: U8, at: int, end: int) -> tuple[int, int]:
    """The index of the LF that ends the line at `at`, and its place in the table; place -1 where it is too near the end of the
    bytes or too long to be known (then the index says only that no LF stands before it)."""
    key = (P2 & M) ^ (P1 & M)
    i = at
    stop = min(end - 8, at + LONGEST)
    while i <= stop:
        word = load64(data, i)
        feeds = word ^ LINE_FEEDS_INVERTED ^ M
        # The lowest bit set stands in the byte of the first LF (Hacker's Delight, section 6-1).
        feeds = (feeds - (ONES_INVERTED ^ M)) & (feeds ^ M) & HIGHS
        if feeds:
            word &= (feeds ^ (feeds - (ONE_INVERTED ^ M))) >> 8
            key = ((key ^ word) * P1) & M
            return i + (lowest_bit(feeds) >> 3), np.int64(key >> PLACE_SHIFT)  # type: ignore[return-value]  # a number below KNOWN, signed
        key = ((key ^ word) * P1) & M
        key ^= key >> 29
        i += 8
    return i, -1


@kernel
def recall(data: U8, at: int, i: int, place: int, known: I64, known_words: U64) -> bool:
    """Whether the line `data[at:i]` is the one at `place` of the table. Precondition: `line_key` gave the place."""
    size = i - at
    if known[place, SIZE] != size:
        return False
    k = 0
    while size >= 8:
        if known_words[place, k] != load64(data, at):
            return False
        at += 8
        size -= 8
        k += 1
    if size == 0:
        return True
    return known_words[place, k] == load64(data, at) & (M >> (64 - 8 * size))


@cold
def learn(http: Http, data: U8, at: int, i: int, place: int, name: int, added: int) -> None:
    """The line `data[at:i]` takes `place`, unless its value is changed when it is read (see `trace`): then the other line stays.

    name: of the field, or UNNAMED. added: what the line adds to the hash of the headers. Precondition: the line ends in CR and
    is not folded.
    """
    size = i - at
    if size <= 0 or size > LONGEST or (B3 - 1 <= name <= X_B3_SAMPLED):
        return
    begin, end = (at, i) if name == UNNAMED else value_bounds(data, at, i - 1)
    http.known[place, SIZE] = size
    http.known[place, NAME] = name
    http.known[place, VALUE] = begin - at
    http.known[place, VALUE_END] = end - at
    http.known_words[place, KNOWN_WORDS] = added
    k = 0
    while size >= 8:
        http.known_words[place, k] = load64(data, at)
        at += 8
        size -= 8
        k += 1
    if size > 0:
        http.known_words[place, k] = load64(data, at) & (M >> (64 - 8 * size))
