"""Messages with other words in place of those captured: heads, bodies, TLS hellos. Everything keeps its length.

Nothing is kept that is not known to be harmless (`http.harmless`). Addresses and words in all else are replaced one by one
through a Mask, so that equal stays equal.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from itertools import count

from inspector.evidence.masking import Mask
from inspector.http.allowlist import METHODS, REASONS, VALUES, WORDS, family, known

SHORT_BODY = 16  # bytes up to which a body is turned byte by byte: of a longer one the filler depends on all of it
GZIP_FRAME = 24  # bytes of a gzip member around a stored block: header, name's end, block's head, checksum and length
GZIP_CONTENT = 16  # bytes of content that stand for any other
SHORTEST_GZIP = GZIP_FRAME + 8
FILLER = 1 << 14  # bytes of it made at once
LETTERS = bytes(b"abcdefghijklmnopqrstuvwxyz234567"[i & 31] for i in range(256))
PRINTABLE = bytes(range(0x20, 0x7F))
OTHERS = bytes(i for i in range(256) if i not in PRINTABLE)

_PIECE = re.compile(
    rb"(?P<v4>(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\w))"  # a sentence may end behind one
    rb"|(?P<v6>(?<![\w:])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{1,36}[0-9A-Fa-f:](?![\w:]|\.\w))"
    rb"|(?P<escape>(?:%[0-9A-Fa-f]{2})+)"
    rb"|(?P<word>[0-9A-Za-z]+)"
    rb"|(?P<high>[\x80-\xff]+)"
)
_HEX = re.compile(rb"(?=.*[0-9])[0-9a-f]{4,}|[0-9a-f]{8,}")
_WORD = re.compile(rb"[0-9A-Za-z]+")
_DIGEST = re.compile(rb"(?<=xxh64:)[0-9a-f]{16}(?![0-9a-f])")
_HOSTS = (b"host", b"x-forwarded-host", b":authority")
_TRACE = {  # where in a field of several parts flags stand
    b"traceparent": re.compile(rb"([0-9a-f]{2}-)([0-9a-f]{32}-[0-9a-f]{16})(-[0-9a-f]{2}.*)", re.S),
    b"b3": re.compile(rb"()([0-9a-f]{16,32}-[0-9a-f]{16})(-[01d](?:-|$))(.*)", re.S),
}


class Scrubber:
    """Replaces what messages say. suffix: what a proxy appends to a copy's host stays readable there."""

    def __init__(self, mask: Mask, suffix: str = "-shadow") -> None:
        self.mask = mask
        raw = suffix.encode("latin-1", "replace")
        self._ending = raw if raw[:1].isalnum() else b""
        self._kept = WORDS | frozenset(re.findall(rb"[0-9A-Za-z]+", raw))

    # -- text ---------------------------------------------------------------------------------------------------------

    def text(self, value: bytes) -> bytes:
        """Any text: addresses and words replaced, punctuation kept."""
        return _PIECE.sub(self._piece, value)

    def sentence(self, value: bytes) -> bytes:
        """Text of our own: addresses in it are somebody's, and so are hashes of bodies, which can be looked up."""
        value = _DIGEST.sub(lambda m: self.mask.word(m[0], True), value)
        return _PIECE.sub(lambda m: self._piece(m) if m.lastgroup in ("v4", "v6") else m[0], value)

    def _piece(self, match: re.Match[bytes]) -> bytes:
        piece, kind = match[0], match.lastgroup
        if kind in ("v4", "v6"):
            found = self.mask.address_text(piece)
            return found if found is not None else _WORD.sub(lambda m: self.word(m[0]), piece)
        if kind == "escape":
            digits = self.mask.word(piece.replace(b"%", b""), True)
            return b"".join(b"%" + digits[i : i + 2] for i in range(0, len(digits), 2))
        if kind == "high":
            turns = self.mask.stream(b"high", piece, len(piece))
            return bytes(128 + (c + turn) % 128 for c, turn in zip(piece, turns, strict=True))
        return self.word(piece)

    def word(self, word: bytes) -> bytes:
        """A run of letters and digits."""
        if word in self._kept:
            return word
        if self._ending and word.endswith(self._ending) and len(word) > len(self._ending):
            return self.word(word[: -len(self._ending)]) + self._ending
        return self.mask.word(word, _HEX.fullmatch(word) is not None)

    # -- heads --------------------------------------------------------------------------------------------------------

    def head(self, raw: bytes, request: bool) -> bytes:
        """A head, or what was captured of it: start line, field lines, empty line. Bare line feeds stay as they are."""
        lines = raw.split(b"\n")
        out, at = [], 0
        while at < len(lines) and not lines[at].strip():  # empty lines may come first, RFC 9112 section 2.2
            out.append(blank(lines[at]))
            at += 1
        if at < len(lines):
            out.append(self._start(lines[at], request))
        return b"\n".join(out + self._fields(lines[at + 1 :]))

    def fields(self, raw: bytes) -> bytes:
        """Field lines: a trailer section."""
        return b"\n".join(self._fields(raw.split(b"\n")))

    def _fields(self, lines: list[bytes]) -> list[bytes]:
        return [self._field(line) for line in lines]

    def _start(self, line: bytes, request: bool) -> bytes:
        body = line.removesuffix(b"\r")
        first, space, rest = body.partition(b" ")
        if request:
            target, blank_after, version = rest.rpartition(b" ")
            if not re.fullmatch(rb"HTTP/\d\.\d", version):
                target, blank_after, version = rest, b"", b""
            method = first if first in METHODS else self.text(first)
            return method + space + self.text(target) + blank_after + version + line[len(body) :]
        status, blank_after, reason = rest.partition(b" ")
        if not re.fullmatch(rb"HTTP/\d\.\d", first) or not re.fullmatch(rb"\d{3}", status):
            return self.text(line)
        reason = reason if reason in REASONS else self.text(reason)
        return first + space + status + blank_after + reason + line[len(body) :]

    def _field(self, line: bytes) -> bytes:
        name, colon, value = line.partition(b":")
        if not colon or line[:1] in (b" ", b"\t"):  # no field, or obs-fold
            return self.text(line)
        lower = name.strip().lower()
        return self.name(name) + colon + self.value(lower, value)

    def name(self, name: bytes) -> bytes:
        """A field's name: a common one stays, another becomes one that means nothing either."""
        lower = name.strip().lower()
        if known(lower):
            return name
        start = len(family(lower)) or (2 if lower[:2] == b"x-" else 0)
        new, salt = name[:start] + self.text(name[start:]), b""
        while known(new.strip().lower()):  # a short name may turn into one that means something
            salt += b"."
            turns = self.mask.stream(b"name" + salt, name, len(name))
            new = name[:start] + bytes(
                97 + turn % 26 if chr(c).isalpha() else c for c, turn in zip(name[start:], turns[start:], strict=True)
            )
        return new

    def value(self, lower: bytes, value: bytes) -> bytes:
        """A field's value; lower: the field's name in lower case."""
        bare = value.strip()
        if lower in VALUES and VALUES[lower].fullmatch(bare):
            return value
        if lower in _TRACE and (parts := _TRACE[lower].fullmatch(bare)):
            before, ids, flags, *rest = parts.groups()
            new = before + self.text(ids) + flags + b"".join(self.text(part) for part in rest)
            return value.replace(bare, new, 1)
        if lower in _HOSTS and (port := re.search(rb":\d{1,5}\s*$", value)):
            return self.text(value[: port.start()]) + port[0]
        return self.text(value)

    # -- bodies -------------------------------------------------------------------------------------------------------

    def short(self, content: bytes) -> bytes:
        """What stands for a body of fewer than SHORT_BODY bytes: byte by byte, so that different ones stay different."""
        return bytes(self._turned(content, i) for i in range(len(content)))

    def filler(self, digest: bytes) -> Iterator[bytes]:
        """What stands for a longer body, without end, in pieces: letters that depend on a hash of all of it, so that equal bodies
        stay equal and others different, and nothing else of them stays."""
        for block in count():
            yield self.mask.stream(b"body", digest + block.to_bytes(8, "big"), FILLER).translate(LETTERS)

    def zipped(self, digest: bytes, size: int, content: int, length: int) -> Iterator[bytes]:
        """What stands for a gzip body of `size` bytes (RFC 1952): one that can be unpacked as well, so that proofs that rest on
        the content stay. Its content depends on the content's hash alone; the file name takes the rest of the bytes.

        length: of the content.
        """
        letters = min(GZIP_CONTENT, size - GZIP_FRAME) if length else 0
        said = self.mask.stream(b"zipped", content.to_bytes(8, "big"), letters)
        said = said.translate(LETTERS)
        yield b"\x1f\x8b\x08\x08" + bytes(5) + b"\xff"
        left = size - GZIP_FRAME - len(said)
        for piece in self.filler(digest):
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                break
        count = len(said).to_bytes(2, "little")
        yield b"\0\x01" + count + bytes(255 - c for c in count) + said
        yield zlib.crc32(said).to_bytes(4, "little") + len(said).to_bytes(4, "little")

    def _turned(self, content: bytes, i: int) -> int:
        members = PRINTABLE if content[i] in PRINTABLE else OTHERS
        return members[(members.index(content[i]) + self.mask.turn(b"body", content[:i])) % len(members)]

    # -- TLS ----------------------------------------------------------------------------------------------------------

    def hello(self, raw: bytes) -> bytes:
        """A ClientHello (RFC 8446 section 4.1.2) with the lengths of its parts, and the server name replaced (RFC 6066)."""
        out = bytearray(len(raw))
        keep(out, raw, 0, 6)  # type, length, version
        at = 38
        for width in (1, 2, 1):  # session id, cipher suites, compression methods
            keep(out, raw, at, width)
            at += width + int.from_bytes(raw[at : at + width], "big")
        keep(out, raw, at, 2)
        at += 2
        while at + 4 <= len(raw):
            kind, size = int.from_bytes(raw[at : at + 2], "big"), int.from_bytes(raw[at + 2 : at + 4], "big")
            keep(out, raw, at, 4)
            if kind == 0 and size > 5:  # server_name: list length, type, name length
                keep(out, raw, at + 4, 5)
                name = raw[at + 9 : at + 4 + size]
                out[at + 9 : at + 9 + len(name)] = self.text(name)
            at += 4 + size
        return bytes(out[: len(raw)])


def keep(out: bytearray, raw: bytes, at: int, size: int) -> None:
    """Copy raw[at : at + size], as far as it is there."""
    part = raw[at : at + size]
    out[at : at + len(part)] = part


def blank(line: bytes) -> bytes:
    """White space of the same length: only carriage returns and blanks can be in it."""
    return bytes(c if c in b"\r\t " else 32 for c in line)
