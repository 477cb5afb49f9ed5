"""Content codings undone (RFC 9110 section 8.4), within bounds: a body from a capture may be a decompression bomb."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from inspector import limits
from inspector.capture.zstdwalk import ZstdWalk
from inspector.http.content import CapturedMessage
from inspector.lang import _

DECODED_LIMIT = 16 << 20  # bytes
MAX_CODINGS = 4  # codings around each other
ZSTD_WINDOW = 8 << 20  # RFC 9659 section 3: what a receiver of HTTP content has to support
PIECE = 1 << 16
GZIP = zlib.MAX_WBITS + 16
IDENTITY = ("identity", "none", "")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Content without its codings.

    body: the bytes, or the first of them. codings: those named, in the order in which they were applied. whole: `body` is all
    of the content. opaque: a coding could not be undone at all, `body` is still coded. problem: what stood in the way.
    """

    body: bytes
    codings: tuple[str, ...] = ()
    whole: bool = True
    opaque: bool = False
    problem: str | None = None


class _Damaged(Exception):
    """The coded bytes make no sense; `args[0]` are those before."""


Undo = Callable[
    [bytes, int], tuple[bytes, bool]
]  # coded bytes, limit -> content (at most limit + 1 bytes), whether it is whole


def codings_of(p: CapturedMessage) -> tuple[str, ...]:
    """The content codings of a message, in the order in which they were applied."""
    words = [word.strip().lower() for word in p.text(b"content-encoding").split(",")]
    return tuple(word for word in words if word not in IDENTITY)


def decoded(p: CapturedMessage, limit: int | None = None) -> Decoded:
    """The content of a message without its codings, at most `limit` bytes of it.

    limit: None takes `decoded-body`, see limits. Behind a hole nothing coded can be read.
    """
    limit = limits.value("decoded-body") if limit is None else limit
    codings = codings_of(p)
    body = p.body
    if not codings or not body:
        over = len(body) > limit
        problem = _("longer than {limit:,} bytes: compared up to there").format(limit=limit) if over else None
        return Decoded(body[:limit], codings, p.whole and not over, problem=problem)
    whole = p.whole
    if p.holes:
        body = body[: p.holes[0][0]]
    if len(codings) > MAX_CODINGS:
        problem = _("{count} content codings around each other").format(count=len(codings))
        return Decoded(p.body, codings, False, True, problem)
    for coding in reversed(codings):
        undo = UNDO.get(coding)
        if undo is None:
            problem = _("content coding {coding} is not known").format(coding=coding[:40])
            return Decoded(p.body, codings, False, True, problem)
        try:
            body, ended = undo(body, limit)
        except _Damaged as error:
            problem = _("content coding {coding} is damaged").format(coding=coding)
            return Decoded(error.args[0], codings, False, not error.args[0], problem)
        if len(body) > limit:
            problem = _("longer than {limit:,} bytes without {coding}: read up to there").format(
                limit=limit, coding=coding
            )
            return Decoded(body[:limit], codings, False, False, problem)
        if not ended and whole:
            return Decoded(body, codings, False, not body, _("the {coding} data ends early").format(coding=coding))
    return Decoded(body, codings, whole)


def _zlib(data: bytes, limit: int, bits: int) -> tuple[bytes, bool]:
    """zlib data in the format that `bits` says; gzip may have several members (RFC 1952 section 2.2)."""
    out = bytearray()
    while data:
        z = zlib.decompressobj(bits)
        try:
            while not z.eof and len(out) <= limit:
                more = z.decompress(data, min(PIECE, limit + 1 - len(out)))
                out += more
                data = z.unconsumed_tail
                if not more and not data:
                    break
        except zlib.error:
            raise _Damaged(bytes(out)) from None
        if not z.eof:
            return bytes(out), False
        data = z.unused_data.lstrip(b"\0") if bits == GZIP else b""  # zeros pad a member, as gzip itself takes them
    return bytes(out), True


def _gzip(data: bytes, limit: int) -> tuple[bytes, bool]:
    return _zlib(data, limit, GZIP)


def _deflate(data: bytes, limit: int) -> tuple[bytes, bool]:
    """The zlib format; some send deflate data without it (RFC 9110 section 8.4.1.2)."""
    try:
        return _zlib(data, limit, zlib.MAX_WBITS)
    except _Damaged as error:
        if error.args[0]:
            raise
    return _zlib(data, limit, -zlib.MAX_WBITS)


def _brotli(data: bytes, limit: int) -> tuple[bytes, bool]:
    import brotli

    out = bytearray()
    decoder = brotli.Decompressor()
    try:
        while len(out) <= limit:
            more = decoder.process(data, output_buffer_limit=PIECE)
            out += more
            data = b""
            if decoder.is_finished() or (not more and decoder.can_accept_more_data()):
                break
    except brotli.error:
        raise _Damaged(bytes(out)) from None
    return bytes(out[: limit + 1]), decoder.is_finished()


def _zstd(data: bytes, limit: int) -> tuple[bytes, bool]:
    import zstandard

    out = bytearray()
    reader = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).stream_reader(data, read_across_frames=True)
    try:
        while len(out) <= limit and (more := reader.read(min(PIECE, limit + 1 - len(out)))):
            out += more
    except zstandard.ZstdError:
        raise _Damaged(bytes(out)) from None
    walk = ZstdWalk()  # the library does not tell data that ends early from data that ends
    walk.feed(data)
    return bytes(out), not walk.inside


UNDO: dict[str, Undo] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
