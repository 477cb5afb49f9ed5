"""A capture, block by block: bytes in, packets and segments out; damage is stepped over and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from inspector.capture import faults
from inspector.capture.faults import count_faults, warn
from inspector.capture.following import Waiting
from inspector.capture.packets import Decoder
from inspector.capture.pcap import FILE_HEADER, Pcap
from inspector.capture.pcapng import Pcapng
from inspector.capture.records import BROKEN, DAMAGED, FULL, MORE, SPECIAL, TO_THE_END, UNKNOWN
from inspector.capture.sniff import sniff
from inspector.capture.source import Damaged, Peeked, Source
from inspector.capture.tables import Block, CaptureInfo, Packets, Segments
from inspector.capture.terminal import (
    MESSAGES,
    LineEnds,
    LineFeeds,
    is_text,
    messages,
    tell_changed,
    tell_messages,
    undone,
)
from inspector.errors import CaptureError
from inspector.lang import _
from inspector.table import U8

BUFFERS = 3  # a block that is worked on, one that waits, one that is being read
BLOCK_BYTES = 4 << 20  # stays in the processor's cache: measured twice as fast as 32 MiB
MAX_PACKETS = 1 << 17  # in one block
SMALLEST = 1 << 10
WINDOW = 1 << 16  # bytes searched at once after damage ...
FIRST_WINDOW = 1 << 8  # ... and at first, since the next sound record mostly is near; four times as many each time
END_TRIES = 64  # chains followed to the end of the input ...
END_RECORDS = 1 << 14  # ... of so many records

Progress = Callable[[int], None]


def idle(position: int) -> Block:
    """The block of a while in which nothing was captured."""
    return Block(np.empty(0, np.uint8), Packets.empty(), Segments.empty(), position)


class CaptureReader:
    """One capture. Make it with `open_captures`; `blocks()` reads it once, `info` fills meanwhile."""

    def __init__(
        self, source: Peeked, info: CaptureInfo, block_bytes: int = BLOCK_BYTES, progress: Progress | None = None
    ) -> None:
        """`source` stands at the first byte of a pcap or pcapng. Raises CaptureError."""
        self.source: Source = source
        self.info = info
        self.live = False  # what is there is taken at once (see `following`)
        self.size = source.size  # input bytes as stored; None for a pipe
        self.block_bytes = max(block_bytes, SMALLEST)
        self.progress = progress
        self._told = 0
        head = source.peek(FILE_HEADER)
        if sniff(head) == "pcap":
            if len(head) < FILE_HEADER:
                raise CaptureError(
                    info.path, _("a pcap file that ends inside its first header"), _("It holds no packets.")
                )
            self.format: Pcap | Pcapng = Pcap(info, head)
            self._line_ends: LineEnds | None = LineEnds()
        else:
            self.format = Pcapng(info)
            self._line_ends = None
        self._buffer: U8 = np.empty(0, np.uint8)
        self._spare: list[U8] = [self._buffer] * (BUFFERS - 1)
        self._at = 0  # of the first byte in the buffer that is not read yet
        self._filled = 0
        self._base = 0  # offset in the capture of the buffer's first byte
        self._final = False  # the input has ended
        self._early: tuple[str, str] | None = None  # fault code and reason, where the input ended before its end
        self._lost_from = -1  # offset where damage begins, while the next sound record is searched
        self._skipped = b""  # the first bytes of it

    def close(self) -> None:
        """Give the input back. `blocks()` does it at its end."""
        self.source.close()

    def blocks(self) -> Iterator[Block]:
        """The blocks in order. `Block.data` is used again for the next but one. Raises CaptureError."""
        try:
            yield from self._blocks()
        finally:
            self.close()

    def _blocks(self) -> Iterator[Block]:
        capacity = self.block_bytes
        if self.size is not None and not self.info.compression:
            capacity = min(capacity, max(self.size + 1, SMALLEST))
        self._buffer = np.empty(capacity, np.uint8)
        decoder = Decoder(self.info, min(MAX_PACKETS, max(64, capacity // 64)))
        batch = decoder.batch
        while not self._fill():
            yield idle(self.source.position)
        self._at = min(self.format.header, self._filled)
        while self._line_ends and not self._skip_messages():
            if not self._fill():
                yield idle(self.source.position)
        while True:
            if self._lost_from >= 0:
                self._search()
            count, status, end = 0, MORE, self._filled
            if self._lost_from < 0:
                end = self._limit()
                data = self._buffer[: self._filled]
                count, self._at, status = self.format.scan(
                    data, self._at, end, self._final and end == self._filled, batch.records, batch.room
                )
            if count:
                data, packets, segments = decoder.decode(data, count)
                yield Block(data, packets, segments, self.source.position)
            if status == DAMAGED:
                self._lost_from = self._base + self._at
                self._skipped = b""
                self._pass(self._at + 1)
            elif status == MORE and end < self._filled and self._decided():
                continue
            elif status == MORE and self._final:
                if self._lost_from < 0 and self._at < self._filled and self._ends_damaged():
                    continue
                break
            elif status == MORE:
                while not self._fill():
                    yield idle(self.source.position)
            else:
                assert status in (FULL, SPECIAL)
        self._finish(decoder)

    def _skip_messages(self) -> bool:
        """Go over messages between a pcap's header and its first record; False where more bytes are needed to tell."""
        given = self._buffer[self._at : min(self._at + MESSAGES, self._filled)].tobytes()
        size = messages(given, self._final)
        if size <= 0:
            return size == 0
        start = self._at + size
        header = np.frombuffer(undone(self._buffer[start : min(start + 40, self._filled)].tobytes()), np.uint8)
        if len(header) < 16 and not self._final:
            return False
        if len(self.format.candidates(header, 0, min(len(header), 16))):
            tell_messages(self.info, given[:size], self._base + self._at)
            self._at = start
        return True

    def _limit(self) -> int:
        """How far the buffer may be read: see `terminal.LineEnds`."""
        if self._line_ends is None:
            return self._filled
        end = self._line_ends.limit(self._buffer[: self._filled], self._base, self._at, self._final)
        if self._line_ends.known:
            self._line_ends = None
        return end

    def _decided(self) -> bool:
        """Whether it is known now if a terminal changed the line ends; it is undone then. Precondition: a record at `_at`."""
        data = self._buffer[self._at : self._filled]
        assert self._line_ends is not None
        assert isinstance(self.format, Pcap)
        if not self._line_ends.found:
            return False
        if self.live and self._line_ends.right_so_far(self.format, data):
            self._line_ends.looked = self._base + self._filled
            return True
        text = self._line_ends.decide(self.format, data, self._final)
        if not self._line_ends.known:
            return False
        self._line_ends = None
        if text is not None:
            tell_changed(self.info)
            held = b"\r" if text.endswith(b"\r") and not self._final else b""
            text = text[: len(text) - len(held)]
            self._buffer[self._at : self._at + len(text)] = np.frombuffer(text, np.uint8)
            self._filled = self._at + len(text)
            self.info.bytes -= len(held)  # it comes again
            self.source = LineFeeds(self.source, self._removed, held)
        return True

    def _removed(self, count: int) -> None:
        """Bytes of the input that are not passed on."""
        self.info.bytes += count

    def _fill(self) -> bool:
        """More bytes into the buffer: what is not read yet moves to its front; it grows where that is all of it.

        False: none came for a while, but the input has not ended (see `following`).
        """
        left = self._filled - self._at
        following = self._spare.pop(0)
        if len(following) < len(self._buffer) or left == len(self._buffer):
            following = np.empty(len(self._buffer) * (2 if left == len(self._buffer) else 1), np.uint8)
        following[:left] = self._buffer[self._at : self._filled]
        self._spare.append(self._buffer)
        self._buffer = following
        self._base += self._at
        self._at, self._filled = 0, left
        try:
            view = self._buffer.data
            # A short read is not the end; pipes and decompressors give a piece at a time, which would make small blocks, and
            # blocks whose size is another each time.
            while self._filled < len(view):
                got = self.source.readinto(view[self._filled :])
                self._filled += got
                self.info.bytes += got
                if got == 0:
                    self._final = True
                if got == 0 or self.live:
                    break
        except Waiting:
            return False
        except Damaged as error:
            self._stop_early(faults.DECOMPRESSION, str(error))
        except OSError as error:
            self._stop_early(faults.READ_ERROR, _("cannot be read on: {why}").format(why=error.strerror or error))
        if self.progress and self.source.position > self._told:
            self.progress(self.source.position - self._told)
            self._told = self.source.position
        return True

    def _stop_early(self, code: str, why: str) -> None:
        self._final = True
        self._early = (code, why)

    def _search(self) -> None:
        """Look for the next sound record from `_at` on; `_lost_from` becomes -1 when one is found.

        Where more bytes are needed to tell, `_at` stays at the first offset that is not ruled out.
        """
        data = self._buffer[: self._filled]
        window = FIRST_WINDOW
        while self._at < self._filled:
            stop = min(self._at + window, self._filled)
            window = min(4 * window, WINDOW)
            for place in self.format.candidates(data, self._at, stop):
                sound = self.format.chain(data, int(place), self._filled, self._final)
                if sound == UNKNOWN:
                    self._pass(int(place))
                    return
                if sound != BROKEN:
                    self._found(int(place))
                    return
            if stop == self._filled:
                break
            self._pass(stop - 15)  # a header may begin in this window and end in the next
        self._pass(max(self._at, self._filled - 15))
        if self._final:
            self._pass(self._filled)
            self._lost(
                self._base + self._filled,
                _("{path}: damaged {record} at byte {at}; no record after it can be read, {n} bytes lost."),
            )

    def _pass(self, to: int) -> None:
        """Go on to index `to`: what is between is lost."""
        more = MESSAGES + 1 - len(self._skipped)
        self._skipped += self._buffer[self._at : min(to, self._at + more)].tobytes()
        self._at = to

    def _found(self, at: int) -> None:
        self._pass(at)
        self._lost(
            self._base + at,
            _("{path}: damaged {record} at byte {at}; reading went on with the next sound one, {n} bytes lost."),
        )
        self._lost_from = -1

    def _lost(self, end: int, said: str) -> None:
        count_faults(self.info, faults.DAMAGED_RECORD, 1)
        lost = end - self._lost_from
        if lost == len(self._skipped) and is_text(self._skipped):
            tell_messages(self.info, self._skipped, self._lost_from)
            return
        at, n = f"{self._lost_from:,}", f"{lost:,}"
        warn(self.info, said.format(path=self.info.path, record=_(self.format.name), at=at, n=n))

    def _ends_damaged(self) -> bool:
        """The input ends inside a record: is its length wrong, and do sound ones follow up to the end?"""
        data = self._buffer[: self._filled]
        tries = END_TRIES
        for start in range(self._at + 1, self._filled, WINDOW):
            for place in self.format.candidates(data, start, min(start + WINDOW + 15, self._filled)):
                if self.format.chain(data, int(place), self._filled, True) == BROKEN:
                    continue
                if self.format.chain(data, int(place), self._filled, True, END_RECORDS) == TO_THE_END:
                    self._lost_from = self._base + self._at
                    self._skipped = b""
                    self._found(int(place))
                    return True
                tries -= 1
                if tries == 0:
                    return False
        return False

    def _finish(self, decoder: Decoder) -> None:
        decoder.reassembler.finish()
        if self._early:  # told after what was read before it, wherever blocks end
            code, why = self._early
            self.info.dropped_tail = True
            count_faults(self.info, code, 1)
            said = _("{path}: {why}, after {n} bytes; what was read until there is used.")
            warn(self.info, said.format(path=self.info.path, why=why, n=f"{self.info.bytes:,}"))
        if self._lost_from < 0 and self._at < self._filled:
            self.info.dropped_tail = True
            count_faults(self.info, faults.TRUNCATED_RECORD, 1)
            said = _("{path}: ends inside a {record} that begins at byte {at}; what was read until there is used.")
            at = f"{self._base + self._at:,}"
            warn(self.info, said.format(path=self.info.path, record=_(self.format.name), at=at))
