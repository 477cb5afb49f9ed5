"""Start lines (RFC 9112 sections 3 and 4), the lines around them, and what the first bytes of a stream tell."""

from __future__ import annotations

from inspector.http.xxh64 import M
from inspector.kernels.instructions import load64, lowest_bit
from inspector.kernels.kernel import kernel
from inspector.table import U8

# What a reader of a line found.
INVALID_LINE = 0
PARTIAL_LINE = 1  # valid so far; more bytes are needed
VALID_LINE = 2

METHOD_LIMIT = 64  # a longer "method" is not HTTP
LINE_LIMIT = 65536

# Eight equal bytes; those below 2**63 inverted, as in xxh64.
LINE_FEEDS_INVERTED = 0x0A0A0A0A0A0A0A0A ^ M
ONES_INVERTED = 0x0101010101010101 ^ M
HIGHS = 0x8080808080808080


@kernel
def token_byte(c: int) -> bool:
    """RFC 9110 section 5.6.2: tchar."""
    if c < 48:
        return c == 33 or (35 <= c <= 39) or c == 42 or c == 43 or c == 45 or c == 46
    if c < 65:
        return c <= 57
    return c <= 90 or (94 <= c <= 122) or c == 124 or c == 126


@kernel
def find_line_end(data: U8, at: int, end: int) -> int:
    """The index of the first LF in `data[at:end]`, or `end`."""
    i = at
    while i + 8 <= end:
        # A byte of `word` is zero where there is an LF (Hacker's Delight, section 6-1).
        word = load64(data, i) ^ LINE_FEEDS_INVERTED ^ M
        feeds = (word - (ONES_INVERTED ^ M)) & (word ^ M) & HIGHS
        if feeds:
            return i + (lowest_bit(feeds) >> 3)
        i += 8
    while i < end and data[i] != 10:
        i += 1
    return i


@kernel
def http_version(data: U8, at: int, end: int) -> int:
    """RFC 9112 section 2.3, "HTTP/1." DIGIT at `at`: 10, 11 (also for a later minor), PARTIAL_LINE or INVALID_LINE."""
    name = (72, 84, 84, 80, 47, 49, 46)  # HTTP/1.
    for k in range(7):
        if at + k >= end:
            return PARTIAL_LINE
        if data[at + k] != name[k]:
            return INVALID_LINE
    if at + 7 >= end:
        return PARTIAL_LINE
    digit = data[at + 7]
    if digit < 48 or digit > 57:
        return INVALID_LINE
    return 10 if digit == 48 else 11


@kernel
def request_line(data: U8, at: int, end: int) -> tuple[int, int, int, int, int]:
    """method SP request-target SP HTTP-version [CR] LF in `data[at:end]`.

    Gives what was found, the ends of method and target, the version and the index after the LF (bounds: 0 unless valid).
    """
    i = at
    while i < end and i - at <= METHOD_LIMIT and token_byte(data[i]):  # bounded: each packet may begin such a line
        i += 1
    if i - at > METHOD_LIMIT:
        return INVALID_LINE, 0, 0, 0, 0
    if i >= end:
        return PARTIAL_LINE, 0, 0, 0, 0
    if i == at or data[i] != 32:
        return INVALID_LINE, 0, 0, 0, 0
    method_end = i
    i += 1
    while i < end and i - at <= LINE_LIMIT and data[i] > 32 and data[i] != 127:
        i += 1
    if i >= end:
        return (PARTIAL_LINE if end - at < LINE_LIMIT else INVALID_LINE), 0, 0, 0, 0
    if i == method_end + 1 or data[i] != 32 or i - at > LINE_LIMIT:
        return INVALID_LINE, 0, 0, 0, 0
    target_end = i
    version = http_version(data, i + 1, end)
    if version <= PARTIAL_LINE:
        return version, 0, 0, 0, 0
    i += 9
    if i < end and data[i] == 13:
        i += 1
    if i >= end:
        return PARTIAL_LINE, 0, 0, 0, 0
    if data[i] != 10:
        return INVALID_LINE, 0, 0, 0, 0
    return VALID_LINE, method_end, target_end, version, i + 1


@kernel
def blank(c: int) -> bool:
    """SP or HTAB."""
    return c == 32 or c == 9


@kernel
def loose_request_line(data: U8, at: int, end: int) -> tuple[int, int, int, int, int, int]:
    """A line that is no `request_line` but that servers take for one (RFC 9112 section 3): a method, blanks, anything printable,
    blanks, HTTP-version, blanks. Blanks may stand in the target.

    Gives what was found, the end of the method, where the target begins and ends, the version and the index after the LF.
    """
    i = at
    while i < end and i - at <= METHOD_LIMIT and token_byte(data[i]):
        i += 1
    method_end = i
    if i == at or i - at > METHOD_LIMIT or (i < end and not blank(data[i])):
        return INVALID_LINE, 0, 0, 0, 0, 0
    while i < end and i - at <= LINE_LIMIT and (blank(data[i]) or (data[i] > 32 and data[i] != 127)):
        i += 1
    if i - at > LINE_LIMIT:
        return INVALID_LINE, 0, 0, 0, 0, 0
    after = i
    if after < end and data[after] == 13:
        after += 1
    if after >= end:
        return PARTIAL_LINE, 0, 0, 0, 0, 0
    if data[after] != 10:
        return INVALID_LINE, 0, 0, 0, 0, 0
    while blank(data[i - 1]):  # a method stands before
        i -= 1
    version = http_version(data, i - 8, i) if i - 8 > method_end else INVALID_LINE + 0
    if version <= PARTIAL_LINE or not blank(data[i - 9]):
        return INVALID_LINE, 0, 0, 0, 0, 0
    begin = method_end
    while begin < i and blank(data[begin]):
        begin += 1
    i -= 8
    while i > begin and blank(data[i - 1]):
        i -= 1
    if i <= begin:
        return INVALID_LINE, 0, 0, 0, 0, 0
    return VALID_LINE, method_end, begin, i, version, after + 1


@kernel
def status_line(data: U8, at: int, end: int) -> tuple[int, int, int, int]:
    """HTTP-version SP 3DIGIT [SP reason] [CR] LF in `data[at:end]`: what was found, status, version, the index after the LF."""
    version = http_version(data, at, end)
    if version <= PARTIAL_LINE:
        return version, 0, 0, 0
    i = at + 8
    if i >= end:
        return PARTIAL_LINE, 0, 0, 0
    if data[i] != 32:
        return INVALID_LINE, 0, 0, 0
    status = 0
    for k in range(1, 4):
        if i + k >= end:
            return PARTIAL_LINE, 0, 0, 0
        c = data[i + k]
        if c < 48 or c > 57:
            return INVALID_LINE, 0, 0, 0
        status = status * 10 + c - 48
    if status < 100:
        return INVALID_LINE, 0, 0, 0
    i += 4
    if i >= end:
        return PARTIAL_LINE, 0, 0, 0
    if data[i] != 32 and data[i] != 13 and data[i] != 10:
        return INVALID_LINE, 0, 0, 0
    while i < end and i - at <= LINE_LIMIT and data[i] != 10:
        # A reason phrase holds HTAB, SP, VCHAR and obs-text.
        if (data[i] < 32 and data[i] != 9 and data[i] != 13) or data[i] == 127:
            return INVALID_LINE, 0, 0, 0
        i += 1
    if i - at > LINE_LIMIT:
        return INVALID_LINE, 0, 0, 0
    if i >= end:
        return PARTIAL_LINE, 0, 0, 0
    return VALID_LINE, status, version, i + 1


@kernel
def h2_preface(data: U8, at: int, end: int) -> int:
    """RFC 9113 section 3.4: whether `data[at:end]` begins with "PRI * HTTP/2.0"; INVALID_LINE, PARTIAL_LINE or VALID_LINE."""
    preface = (80, 82, 73, 32, 42, 32, 72, 84, 84, 80, 47, 50, 46, 48)
    for k in range(14):
        if at + k >= end:
            return PARTIAL_LINE
        if data[at + k] != preface[k]:
            return INVALID_LINE
    return VALID_LINE


@kernel
def tls_record(data: U8, at: int, end: int) -> int:
    """RFC 8446 section 5.1: whether a TLS record header stands at `at`; INVALID_LINE, PARTIAL_LINE or VALID_LINE.

    Any content type counts, as a stream may be seen from its middle; its version is 0x03 and a minor up to 4, and its
    length is at most 2**14 + 2048 (RFC 5246 section 6.2.3).
    """
    if at >= end:
        return PARTIAL_LINE
    if data[at] < 20 or data[at] > 23:
        return INVALID_LINE
    if at + 1 >= end:
        return PARTIAL_LINE
    if data[at + 1] != 3:
        return INVALID_LINE
    if at + 4 >= end:
        return PARTIAL_LINE
    if data[at + 2] > 4 or (data[at + 3] << 8 | data[at + 4]) > 18432:
        return INVALID_LINE
    return VALID_LINE
