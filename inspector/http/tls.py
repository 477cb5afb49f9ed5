"""The server name in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3)."""

from __future__ import annotations

from inspector.http.startline import INVALID_LINE, PARTIAL_LINE, VALID_LINE
from inspector.kernels.kernel import cold, kernel
from inspector.table import U8


@kernel
def number(data: U8, at: int, size: int) -> int:
    """The big-endian number of `size` bytes at `at`. Precondition: it lies in `data`."""
    value = 0
    for k in range(size):
        value = value << 8 | int(data[at + k])
    return value


@cold
def gather_handshake(data: U8, at: int, end: int, into: U8) -> tuple[int, int]:
    """Copy the fragments of the handshake records in `data[at:end]` one after another into `into`.

    Gives how many bytes that made, and whether more can follow (1) or another record or bad bytes end the handshake (0).
    """
    size = 0
    while at + 5 <= end:
        if data[at] != 22 or data[at + 1] != 3:
            return size, 0
        length = number(data, at + 3, 2)
        at += 5
        for k in range(length):
            if at + k >= end:
                return size, 1
            if size >= len(into):
                return size, 0
            into[size] = data[at + k]
            size += 1
        at += length
    return size, 1


@cold
def server_name(data: U8, at: int, end: int, into: U8) -> tuple[int, int, int]:
    """The server name of the ClientHello in `data[at:end]`: what was found, its start and its length in `into`.

    VALID_LINE with length 0 where the hello has none; INVALID_LINE where no ClientHello stands there.
    """
    size, more = gather_handshake(data, at, end, into)
    waiting = PARTIAL_LINE if more else INVALID_LINE
    if size < 1:
        return waiting, 0, 0
    if into[0] != 1:
        return INVALID_LINE, 0, 0
    if size < 4:
        return waiting, 0, 0
    stop = 4 + number(into, 1, 3)
    if size < stop:
        return waiting, 0, 0
    i = 38  # after the handshake header, legacy_version and random
    for width in range(
        3
    ):  # legacy_session_id, cipher_suites, legacy_compression_methods: each with its length before it
        bytes_of_length = 2 if width == 1 else 1
        if i + bytes_of_length > stop:
            return INVALID_LINE, 0, 0
        i += bytes_of_length + number(into, i, bytes_of_length)
    i += 2
    while i + 4 <= stop:
        kind = number(into, i, 2)
        length = number(into, i + 2, 2)
        i += 4
        if i + length > stop:
            return INVALID_LINE, 0, 0
        if kind == 0:
            if length < 5 or into[i + 2] != 0:
                return INVALID_LINE, 0, 0
            name = number(into, i + 3, 2)
            if name > length - 5:
                return INVALID_LINE, 0, 0
            return VALID_LINE, i + 5, name
        i += length
    return VALID_LINE, 0, 0
