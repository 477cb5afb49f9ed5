"""Captures that went through a terminal: each LF became CR LF, and messages of programs stand in front or in between.

`kubectl exec -it`, `docker run -it` and `ssh -t` give the program a terminal. It is undone only where the lengths in the
file prove it: records as they are do not lead from one to the next, with LF in place of CR LF they do.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from inspector.capture import links
from inspector.capture.faults import LINE_ENDS, count_faults, warn
from inspector.capture.pcap import FILE_HEADER, MAGICS, MODIFIED, Pcap
from inspector.capture.pcapng import MAGIC
from inspector.capture.records import BROKEN, CHAIN, TO_THE_END, UNKNOWN
from inspector.capture.source import Source
from inspector.capture.tables import CaptureInfo
from inspector.lang import _
from inspector.table import U8

CR, LF = 13, 10
PIECE = 1 << 16  # bytes looked at once for the first LF
FRONT = 1 << 16  # bytes in front of a capture in which messages may stand
MESSAGES = 1 << 12  # bytes of messages between a pcap's header and its first record
QUOTED = 120  # characters of a message that are shown
TEXT = frozenset(b"\t\n\r\x1b" + bytes(range(32, 127)))
SECTION = MAGIC.replace(b"\n", b"\r\n")  # as a pcapng begins behind a terminal
ORDERS = (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a")
LAST_WORDS = re.compile(rb"(?:\^C)?\s*(\d+ packets? (?:captured|received by filter))")  # of tcpdump, at the end
_BEGIN = re.compile(b"|".join(re.escape(magic) for magic in (SECTION, MAGIC, *MAGICS, *MODIFIED)))


def undone(data: bytes) -> bytes:
    """The bytes with LF in place of each CR LF."""
    return data.replace(b"\r\n", b"\n")


class LineFeeds:
    """A source with LF in place of each CR LF."""

    def __init__(self, inner: Source, removed: Callable[[int], None], held: bytes = b"") -> None:
        """removed: called with the count of bytes left out. held: a CR that was read before, and may belong to an LF."""
        self.inner = inner
        self.removed = removed
        self.size = inner.size
        self.ready = b""
        self.held = held

    @property
    def position(self) -> int:
        return self.inner.position

    def readinto(self, view: memoryview) -> int:
        """As Source.readinto."""
        while not self.ready:
            room = bytearray(len(view))
            got = self.inner.readinto(memoryview(room))
            data = self.held + bytes(room[:got])
            self.held = data[-1:] if got and data.endswith(b"\r") else b""
            whole = data[: len(data) - len(self.held)]
            self.ready = undone(whole)
            self.removed(len(whole) - len(self.ready))
            if got == 0:
                break
        count = min(len(view), len(self.ready))
        view[:count] = self.ready[:count]
        self.ready = self.ready[count:]
        return count

    def close(self) -> None:
        self.inner.close()


class LineEnds:
    """Finds out whether the line ends of a pcap were changed. An LF without a CR in front says that they were not.

    Until it is known, nothing is read beyond the first CR LF. What is decided depends on the bytes alone, not on how many of
    them are there at once.
    """

    def __init__(self) -> None:
        self.looked = 0  # offset in the capture up to which there is no LF
        self.known = False
        self.found = False  # a CR LF, which is the first LF

    def limit(self, data: U8, base: int, at: int, final: bool) -> int:
        """How far `data`, which begins at offset `base` and is read up to `at`, may be read: to the first CR of a CR LF."""
        start = max(self.looked - base, at)
        while start < len(data):
            ends = np.flatnonzero(data[start : start + PIECE] == LF)
            if len(ends):
                first = start + int(ends[0])
                self.looked = base + first
                self.found = first > 0 and int(data[first - 1]) == CR
                self.known = not self.found
                return len(data) if self.known else max(first - 1, at)
            start = min(start + PIECE, len(data))
        self.looked = base + len(data)
        self.found = False
        waits = not final and len(data) > at and int(data[-1]) == CR  # the LF may come next
        return len(data) - 1 if waits else len(data)

    def decide(self, form: Pcap, data: U8, final: bool) -> bytes | None:
        """`data` begins with the record that has the first CR LF in it: what it is when undone, None where it is right.

        `known` stays False where more bytes are needed to tell.
        """
        raw = form.chain(data, 0, len(data), final)
        if raw != BROKEN:
            self.known = raw != UNKNOWN
            return None
        given = data.tobytes()
        if not final and given.endswith(b"\r"):
            given = given[:-1]
        text = undone(given)
        proof = BROKEN
        for end in ends(text) if final else (len(text),):
            made = np.frombuffer(text[:end], np.uint8)
            proof = max(proof, form.chain(made, 0, end, final))
        self.known = proof != UNKNOWN
        return undone(data.tobytes()) if self.known and proof != BROKEN else None

    def right_so_far(self, form: Pcap, data: U8) -> bool:
        """Whether a record ends just where `data` does, as where a writer has written whole packets until now."""
        return form.chain(data, 0, len(data), True, CHAIN) == TO_THE_END


def ends(text: bytes) -> list[int]:
    """Where the records in `text` may end: at its end, or where tcpdump says how many packets it captured."""
    found = LAST_WORDS.search(text, max(len(text) - 512, 0))
    return [len(text), *(range(found.start(), found.start(1) + 1) if found else ())]


def begins(head: bytes) -> int:
    """Where in `head` a capture begins behind text, 0 where none does. What is not text before it is not a message."""
    for found in _BEGIN.finditer(head):
        at = found.start()
        if not is_text(head[:at]):
            return 0
        if found[0] in MAGICS or found[0] in MODIFIED:
            version = (2).to_bytes(2, "big" if head[at] == 0xA1 else "little")
            sound = head[at + 4 : at + 6] == version
        else:
            sound = undone(head[at : at + 20])[8:12] in ORDERS or head[at + 8 : at + 12] in ORDERS
        if sound and at:
            return at
    return 0


def is_text(data: bytes) -> bool:
    """Whether it is text in UTF-8 without control characters."""
    try:
        return all(c >= " " or c in "\t\n\r\x1b" for c in data.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def changed_section(head: bytes) -> bool:
    """Whether `head` is a pcapng's whose line ends were changed."""
    return head.startswith(SECTION) and undone(head[:20])[8:12] in ORDERS


def changed_header(head: bytes) -> bool:
    """Whether the line ends in a pcap's own header were changed: its link type makes sense only with LF for CR LF."""
    big = head[:1] == b"\xa1"
    link, other = (
        int.from_bytes(raw[FILE_HEADER - 4 : FILE_HEADER], "big" if big else "little") & 0xFFFF
        for raw in (head, undone(head))
    )
    return b"\r\n" in head[:FILE_HEADER] and link not in links.READ and other in links.READ


def messages(data: bytes, final: bool) -> int:
    """Bytes of messages at the start of `data`, where a record's header must be; -1 where more bytes are needed to tell."""
    end = next((i for i, byte in enumerate(data[:MESSAGES]) if byte not in TEXT), len(data))
    if end < 16:
        return 0 if end < len(data) or final else -1
    if end == len(data) and not final and end < MESSAGES:
        return -1
    return data.rfind(b"\n", 0, end) + 1


def quoted(text: bytes) -> str:
    """A message as it is shown: its first line, without what a terminal would obey."""
    words = " ".join(text.decode("utf-8", "replace").split())
    shown = "".join(c if c.isprintable() else "?" for c in words)
    return shown[:QUOTED] + ("..." if len(shown) > QUOTED else "")


def tell_changed(info: CaptureInfo) -> None:
    """The line ends were changed, which is undone."""
    count_faults(info, LINE_ENDS, 1)
    said = _(
        "{path}: went through a terminal, which wrote CR LF for each LF; that is undone. Take it without a terminal: "
        "kubectl exec -i (without -t), docker run -i, ssh without -t."
    )
    warn(info, said.format(path=info.path))


def tell_messages(info: CaptureInfo, text: bytes, at: int) -> None:
    """Messages stand at offset `at`, which are skipped."""
    said = _(
        '{path}: {n} bytes of text at byte {at} are skipped ("{text}"). Keep messages out of the capture: '
        "kubectl exec -i (without -t), and tcpdump 2>/dev/null."
    )
    warn(info, said.format(path=info.path, n=f"{len(text):,}", at=f"{at:,}", text=quoted(text)))
