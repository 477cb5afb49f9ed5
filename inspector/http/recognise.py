"""Protocols that are recognised by their framing, and not read: HTTP/2 and TLS joined late, and PROXY protocol headers.

A reader that joins late sees no preface and no handshake, but headers that follow one another. Of random bytes, one in 10**7
looks like a header of an HTTP/2 frame (2**-23.3) or of a TLS record (2**-21.5); the rule asks for several in a row, each of
them where the one before it ends. What is found so is named, and HTTP/1 is looked for all the same.
"""

from __future__ import annotations

from inspector.http.startline import INVALID_LINE, PARTIAL_LINE, VALID_LINE, tls_record
from inspector.kernels.kernel import cold
from inspector.table import U8

FRAMES = 3  # in a row
FRAMES_AT_END = 2  # where the bytes end
FRAME_LIMIT = 1 << 14  # SETTINGS_MAX_FRAME_SIZE unless a peer allows more (RFC 9113 section 6.5.2)
V1_LIMIT = 107  # bytes of a PROXY protocol header of version 1


@cold
def octets(data: U8, at: int, count: int) -> int:
    """The big-endian number of `count` bytes at `at`, signed as an index is. Precondition: they lie in `data`."""
    value = 0
    for k in range(count):
        value = value << 8 | (data[at + k] & 0xFF)
    return value


@cold
def frame_size(data: U8, at: int, open_stream: int) -> int:
    """The payload of the HTTP/2 frame whose header stands at `at`, -1 where none can (RFC 9113 sections 4.1 and 6).

    open_stream: the stream whose field block goes on, 0 where none does, -1 where it is not known. Precondition: nine bytes.
    """
    size = octets(data, at, 3)
    kind, flags = data[at + 3] & 0xFF, data[at + 4] & 0xFF
    stream = octets(data, at + 5, 4)
    # Clients open odd streams. Even ones belong to pushes, which no browser takes any more.
    if size > FRAME_LIMIT or stream >= 1 << 31 or (stream != 0 and stream & 1 == 0):
        return -1
    if open_stream > 0 and (kind != 9 or stream != open_stream):
        return -1
    fits = False
    if kind == 0:  # DATA
        fits = flags & 0xF6 == 0 and stream != 0 and size >= flags >> 3
    elif kind == 1:  # HEADERS
        fits = flags & 0xD2 == 0 and stream != 0 and size > (5 if flags & 0x20 else 0) + (flags >> 3 & 1)
    elif kind == 2:  # PRIORITY
        fits = flags == 0 and stream != 0 and size == 5
    elif kind == 3:  # RST_STREAM
        fits = flags == 0 and stream != 0 and size == 4
    elif kind == 4:  # SETTINGS
        fits = stream == 0 and ((flags == 0 and size % 6 == 0) or (flags == 1 and size == 0))
    elif kind == 5:  # PUSH_PROMISE
        fits = flags & 0xF3 == 0 and stream != 0 and size > 4
    elif kind == 6:  # PING
        fits = flags <= 1 and stream == 0 and size == 8
    elif kind == 7:  # GOAWAY
        fits = flags == 0 and stream == 0 and size >= 8
    elif kind == 8:  # WINDOW_UPDATE
        fits = flags == 0 and size == 4
    elif kind == 9:  # CONTINUATION
        fits = flags & 0xFB == 0 and stream != 0 and open_stream != 0
    return size if fits else -1


@cold
def h2_frames(data: U8, at: int, end: int, last: bool) -> int:
    """Whether HTTP/2 frames stand in `data[at:end]` one after another; `last`: no more bytes follow."""
    open_stream = -1
    for k in range(FRAMES):
        if at + 9 > end:
            if k == 0 and at < end and data[at] != 0:
                return INVALID_LINE
            if not last:
                return PARTIAL_LINE
            return VALID_LINE if k >= FRAMES_AT_END else INVALID_LINE
        size = frame_size(data, at, open_stream)
        if size < 0:
            return INVALID_LINE
        opens = data[at + 3] == 1 or data[at + 3] == 5 or data[at + 3] == 9
        open_stream = 0
        if opens and data[at + 4] & 4 == 0:  # END_HEADERS
            open_stream = octets(data, at + 5, 4)
        at += 9 + size
    return VALID_LINE


@cold
def tls_records(data: U8, at: int, end: int, last: bool) -> int:
    """Whether TLS records stand in `data[at:end]`: two, or one that ends where no more bytes follow."""
    for k in range(2):
        found = tls_record(data, at, end)
        if k == 1 and at == end and last:
            return VALID_LINE
        if found == PARTIAL_LINE and last:
            return INVALID_LINE
        if found != VALID_LINE:
            return found
        at += 5 + octets(data, at + 3, 2)
    return VALID_LINE


@cold
def proxy_header(data: U8, at: int, end: int) -> tuple[int, int]:
    """The PROXY protocol header at `at` (haproxy.org, proxy-protocol.txt): what was found, and where it ends."""
    found, after = proxy_v2(data, at, end)
    return proxy_v1(data, at, end) if found == INVALID_LINE else (found, after)


@cold
def proxy_v2(data: U8, at: int, end: int) -> tuple[int, int]:
    """Version 2: a signature, version and command, family and transport, and the length of what follows."""
    signature = (13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10)
    for k in range(12):
        if at + k >= end:
            return PARTIAL_LINE, 0
        if data[at + k] != signature[k]:
            return INVALID_LINE, 0
    if at + 16 > end:
        return PARTIAL_LINE, 0
    family = data[at + 13] & 0xFF
    if data[at + 12] != 0x20 and data[at + 12] != 0x21:
        return INVALID_LINE, 0
    if family >> 4 > 3 or family & 15 > 2:
        return INVALID_LINE, 0
    after = at + 16 + octets(data, at + 14, 2)
    return (VALID_LINE if after <= end else PARTIAL_LINE), after


@cold
def proxy_v1(data: U8, at: int, end: int) -> tuple[int, int]:
    """Version 1: a line, `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`."""
    word = (80, 82, 79, 88, 89, 32)  # PROXY SP
    for k in range(6):
        if at + k >= end:
            return PARTIAL_LINE, 0
        if data[at + k] != word[k]:
            return INVALID_LINE, 0
    i = at + 6
    if i < end and data[i] != 84 and data[i] != 85:  # TCP4, TCP6, UNKNOWN; no request target begins so
        return INVALID_LINE, 0
    while i < end and i - at < V1_LIMIT and data[i] >= 32 and data[i] < 127:
        i += 1
    if i - at >= V1_LIMIT - 1:
        return INVALID_LINE, 0
    if i >= end:
        return PARTIAL_LINE, 0
    if data[i] != 13:
        return INVALID_LINE, 0
    if i + 1 >= end:
        return PARTIAL_LINE, 0
    return (VALID_LINE if data[i + 1] == 10 else INVALID_LINE), i + 2
