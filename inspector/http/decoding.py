"""Content codings undone while bodies pass: the length and the hash of what a coded response says, its bytes never kept.

A proxy may encode, decode or recode what it passes on. Content has the same hash whatever its coding.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from inspector import limits
from inspector.http.codings import GZIP, PIECE, ZSTD_WINDOW
from inspector.http.layout import BROTLI_CODE, CODING_BASE, DEFLATE_CODE, GZIP_CODE, ZSTD_CODE
from inspector.http.xxh64 import P1, P2, TAIL, M, add_sum, end_sum, start_sum
from inspector.kernels.kernel import compiled
from inspector.table import U8, U64

STEP = 512  # coded bytes at a time: what a step may unpack is bounded before it is looked at
ZSTD_STEP = 64  # the same of zstd, whose library gives all at once: four bytes may be a block of 128 KiB
FREE = 1 << 16  # bytes that any body may unpack to,
RATIO = 1100  # and so many for each coded byte: more than deflate can
OPEN_BYTES = 64 << 20  # of decoders between two blocks; beyond, the oldest are given up
OPEN_COST = 1 << 16  # that a decoder counts beside the window it may have filled
WINDOW = 16 << 20  # the largest: RFC 7932 section 9.1
BUDGET = 256 << 20  # bytes that are unpacked of a capture whatever its size,
BUDGET_RATIO = 64  # and so many for each coded byte: beyond, no more

Outcome = tuple[int, int]  # hash and length of the content; the length is -1 where nobody can tell
UNKNOWN: Outcome = (0, -1)


class _Undone(Exception):
    """The content will not be known: damaged, or beyond a limit."""


class Stage(Protocol):
    """One coding, undone piece by piece."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What more coded bytes give, in pieces that are not large; _Undone where they are damaged."""
        ...

    @property
    def whole(self) -> bool:
        """Whether the coded bytes so far are complete."""
        ...


class Zlib:
    """gzip, of several members and with zeros between them (RFC 1952 section 2.2), zlib and deflate."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._z: Any = None  # between members
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See Stage. What follows zlib's end is passed over."""
        while True:
            if self._z is None:
                if self._begun:
                    data = data.lstrip(b"\0") if self._bits == GZIP else b""
                if not data:
                    return
                self._z, self._begun = zlib.decompressobj(self._bits), True
            try:
                more = self._z.decompress(data, PIECE)
            except zlib.error:
                raise _Undone from None
            yield more
            if self._z.eof:
                data, self._z = self._z.unused_data, None
            else:
                data = self._z.unconsumed_tail
                if not more and not data:
                    return

    @property
    def whole(self) -> bool:
        """See Stage."""
        return self._z is None


class Deflate:
    """The zlib format; some send deflate data without it (RFC 9110 section 8.4.1.2). Its two first bytes tell (RFC 1950)."""

    def __init__(self) -> None:
        self._head = b""
        self._stage: Zlib | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See Stage."""
        if self._stage is None:
            self._head += data
            if len(self._head) < 2:
                return
            data, first = self._head, self._head[0]
            with_head = first & 15 == 8 and first >> 4 <= 7 and int.from_bytes(data[:2], "big") % 31 == 0
            self._stage = Zlib(zlib.MAX_WBITS if with_head else -zlib.MAX_WBITS)
            self._head = b""
        yield from self._stage.feed(data)

    @property
    def whole(self) -> bool:
        """See Stage."""
        return self._stage.whole if self._stage is not None else not self._head


class Brotli:
    """RFC 7932."""

    def __init__(self) -> None:
        import brotli

        self._decoder = brotli.Decompressor()
        self._error = brotli.error

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See Stage. What follows the end is passed over."""
        if self.whole:
            return
        try:
            yield self._decoder.process(data, output_buffer_limit=PIECE)
            while not self.whole and not self._decoder.can_accept_more_data():
                yield self._decoder.process(b"", output_buffer_limit=PIECE)
        except self._error:
            raise _Undone from None

    @property
    def whole(self) -> bool:
        """See Stage."""
        return bool(self._decoder.is_finished())


class Zstd:
    """Frames of RFC 8878 one after another."""

    def __init__(self) -> None:
        import zstandard

        self._context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
        self._error = zstandard.ZstdError
        self._frame: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See Stage."""
        at = 0
        while at < len(data):
            if self._frame is None:
                self._frame = self._context.decompressobj()
            part = data[at : at + ZSTD_STEP]
            at += len(part)
            try:
                yield self._frame.decompress(part)
            except self._error:
                raise _Undone from None
            if self._frame.eof:
                at -= len(self._frame.unused_data)
                self._frame = None

    @property
    def whole(self) -> bool:
        """See Stage."""
        return self._frame is None


def stages_of(codings: int) -> list[Stage]:
    """What undoes the codings of a message (layout.R_CODINGS), the one that was applied last first."""
    stages: list[Stage] = []
    while codings:
        codings, code = divmod(codings, CODING_BASE)
        stages.append(MAKERS[code]())
    return stages


MAKERS: dict[int, Callable[[], Stage]] = {
    GZIP_CODE: lambda: Zlib(GZIP),
    DEFLATE_CODE: Deflate,
    BROTLI_CODE: Brotli,
    ZSTD_CODE: Zstd,
}


def add_plainly(lanes: U64, tail: U8, total: int, data: bytearray) -> None:
    """`xxh64.add_sum` for state 0, without a compiler: faster than the kernel interpreted."""
    data = bytearray(tail[: total % TAIL].tobytes()) + data
    end = len(data) - len(data) % TAIL
    words = np.frombuffer(data, "<u8", end // 8)
    a, b, c, d = lanes[0].tolist()
    rows = iter((words * np.uint64(P2)).tolist())
    for w, x, y, z in zip(rows, rows, rows, rows, strict=True):
        a, b, c, d = (a + w) & M, (b + x) & M, (c + y) & M, (d + z) & M
        a = (a << 31 & M | a >> 33) * P1 & M
        b = (b << 31 & M | b >> 33) * P1 & M
        c = (c << 31 & M | c >> 33) * P1 & M
        d = (d << 31 & M | d >> 33) * P1 & M
    lanes[0] = a, b, c, d
    tail[: len(data) - end] = np.frombuffer(data, np.uint8, -1, end)


class Decoding:
    """One body. What it gives does not depend on how its bytes are divided: bounds are looked at every STEP coded bytes."""

    def __init__(self, codings: int, limit: int) -> None:
        self._stages = stages_of(codings)
        self._limit = limit
        self._coded = 0
        self._given = [0] * len(self._stages)  # bytes that each stage gave
        self._lanes = np.zeros((1, 4), np.uint64)
        self._tail = np.zeros(TAIL, np.uint8)
        start_sum(self._lanes, 0)
        self._hashed = 0

    @property
    def given(self) -> int:
        """Bytes unpacked so far, by all stages."""
        return sum(self._given)

    @property
    def cost(self) -> int:
        """Bytes of memory it may take: a window is filled as bytes are unpacked."""
        return sum(OPEN_COST + min(given, WINDOW) for given in self._given)

    def feed(self, data: bytes, last: bool) -> None:
        """More coded bytes; `last`: none follow. Raises _Undone where the content will not be known."""
        at = 0
        out = bytearray()
        while at < len(data):
            size = min(STEP - self._coded % STEP, len(data) - at)
            self._coded += size
            at += size
            ends = last and at == len(data)
            most = self._most(self._coded if ends else -(-self._coded // STEP) * STEP)
            for piece in self._through(0, data[at - size : at], most):
                out += piece
                if len(out) >= PIECE:
                    self._hash(out)
                    out = bytearray()
        self._hash(out)

    def outcome(self) -> Outcome:
        """Hash and length of the content, when all was fed."""
        if not all(stage.whole for stage in self._stages):
            return UNKNOWN
        return end_sum(self._lanes, self._tail, 0, self._hashed, np.zeros(1, np.uint64)), self._hashed

    def _most(self, coded: int) -> int:
        return min(self._limit, FREE + RATIO * coded)

    def _through(self, k: int, data: bytes, most: int) -> Iterator[bytes]:
        """`data` through stage k and those behind it."""
        if k == len(self._stages):
            yield data
            return
        for piece in self._stages[k].feed(data):
            self._given[k] += len(piece)
            if self._given[k] > most:
                raise _Undone
            if piece:
                yield from self._through(k + 1, piece, most)

    def _hash(self, data: bytearray) -> None:
        if compiled():
            add_sum(self._lanes, self._tail, 0, self._hashed, np.frombuffer(data, np.uint8), 0, len(data))
        else:
            add_plainly(self._lanes, self._tail, self._hashed, data)
        self._hashed += len(data)


class Decoders:
    """The coded bodies of a capture that are open, by message id; None for one whose content will not be known."""

    def __init__(self) -> None:
        self._open: dict[int, Decoding | None] = {}
        self._limit = limits.value("decoded-body")
        self._left = BUDGET

    def feed(self, message: int, codings: int, data: bytes, last: bool) -> None:
        """More coded bytes of a message, `last`: all of them are there."""
        if message not in self._open:
            self._open[message] = Decoding(codings, self._limit)
        decoding = self._open[message]
        if decoding is None:
            return
        given = decoding.given
        try:
            if self._left < 0:
                raise _Undone
            decoding.feed(data, last)
        except _Undone:
            self._open[message] = None
        self._left += BUDGET_RATIO * len(data) - (decoding.given - given)

    def forget(self, message: int) -> None:
        """What the message says will not be known."""
        self._open[message] = None

    def end(self, message: int) -> Outcome:
        """The message has ended: what its content is."""
        decoding = self._open.pop(message, None)
        return UNKNOWN if decoding is None else decoding.outcome()

    def make_room(self) -> None:
        """Between two blocks: the oldest are given up where all together take too much."""
        if not self._open:
            return
        cost = sum(decoding.cost for decoding in self._open.values() if decoding is not None)
        for message in sorted(self._open):
            decoding = self._open[message]
            if cost <= OPEN_BYTES:
                return
            if decoding is not None:
                cost -= decoding.cost
                self._open[message] = None
