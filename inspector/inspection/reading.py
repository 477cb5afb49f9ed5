"""Reads captures to messages: capture -> tcp -> http, block by block, cut into steps for the judging."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from inspector import limits
from inspector.capture import Block, CaptureReader, merge, open_captures
from inspector.capture.following import Stop
from inspector.capture.quic import union
from inspector.capture.unreachable import Unreachables
from inspector.http.parser import Options, Parser, Read
from inspector.http.tables import Messages, Protocol, Protocols
from inspector.inspection.assemble import Acks, News, protocol_counts
from inspector.inspection.copies_across_captures import Twins
from inspector.inspection.located import Placed
from inspector.inspection.prefetch import Ahead
from inspector.inspection.refused import Tries
from inspector.inspection.understood import Understood
from inspector.inspection.unread import ADDRESSES
from inspector.inspection.unread_requests import UnreadRequests
from inspector.inspection.unseen_routes import Encrypted
from inspector.kernels import cache, kernel
from inspector.lang import _, marked
from inspector.mirror.signs import is_loopback
from inspector.mirror.tables import NOTHING_HIDDEN, Hidden, Reason
from inspector.table import I64, U8, Bool, dtypes
from inspector.tcp import TcpOptions, Tracker
from inspector.tcp import layout as col
from inspector.tcp.endpoints import Places
from inspector.tcp.tables import End, Ends, Gap, StreamBlock
from inspector.views.present import format_endpoint

EPOCH = 1 << 15  # segments between two steps of deciding
COMPILE_FROM = 4 << 20  # bytes of input from which compiled kernels pay for loading
COMPILE_COLD = 48 << 20  # and for compiling them, which takes about a minute once
COMPILING = marked("compiling the inner loops, once for this version and processor; this takes one to three minutes")
AHEAD = 1  # blocks that are read while one is worked on: see capture.reader.BUFFERS
LIVE = 0.1  # seconds between two steps while an input is followed
NOTHING: I64 = np.empty(0, np.int64)
ENCRYPTED = 10_000  # encrypted connections that are named


@dataclass(frozen=True)
class ReadStep:
    """What was read since the last step."""

    news: News
    acks: Acks
    clock: int  # capture time, ns
    final: bool
    hidden: Hidden  # who takes part in connections that are not read


class Reading:
    """Reads the captures through capture, tcp and http. What it has counted is complete when `steps` has ended."""

    def __init__(
        self,
        captures: tuple[str | BinaryIO, ...],
        block_bytes: int,
        progress: Callable[[int, int | None], None] | None,
        notice: Callable[[str], None] | None = None,
        follow: Stop | None = None,
    ) -> None:
        self.notice = notice
        self.follow = follow
        self._arrived = self._stepped = time.monotonic()
        self.timings: dict[str, float] = defaultdict(float)
        self._choose_speed(size_of(captures))
        self.readers: list[CaptureReader] = []
        for capture in captures:
            self.readers += open_captures(capture, len(self.readers), block_bytes, follow=follow)
        self.progress = progress
        self.total = total_bytes(captures)
        self.tracker = Tracker(TcpOptions(**limits.chosen("inspector.tcp.state:TcpOptions")))
        self.parser = Parser(Options(**limits.chosen("inspector.http.parser:Options")))
        self.understood = Understood()
        self.tries = Tries()
        self._unreachables = Unreachables()
        self.unread_requests = UnreadRequests()
        self._news = News()
        self._heard: Bool = np.zeros(0, bool)  # by slot: messages were found in its stream
        self.twins = Twins() if len(self.readers) > 1 else None
        self.clock = 0
        self.protocols: Counter[str] = Counter()
        self.encrypted: list[Encrypted] = []
        self._hidden = NOTHING_HIDDEN
        self.segments = 0
        # For a small file a thread is not worth its start; of a pipe nobody knows.
        self.keep_connections = True
        self.threads = size_of(captures) >= COMPILE_FROM or "-" in captures or follow is not None

    def _choose_speed(self, size: int) -> None:
        """Run kernels compiled from a certain size of the input on. They may change their speed between two blocks."""
        if size < COMPILE_FROM or kernel.compiled():
            return
        warm = cache.warmed()
        if not warm and size < COMPILE_COLD:
            return
        if not warm and self.notice:
            refused = cache.refused()
            self.notice(f"{refused}: {_(cache.NOT_KEPT)}" if refused else _(COMPILING))
        kernel.use("compiled")

    def steps(self) -> Iterator[ReadStep]:
        """Read everything. Steps are cut at every EPOCH segments, wherever blocks end, so that results do not depend on the
        block size; the last one, when the input has ended, is final."""
        blocks = self._prepared()
        if self.threads:
            blocks = iter(Ahead(blocks, AHEAD))
        while True:
            with self.timed("capture"):
                next_one = next(blocks, None)
            if next_one is None:
                break
            block, seg = next_one
            self._choose_speed(sum(r.info.bytes for r in self.readers))
            if self.twins:
                self.twins.add(block.segments)
            yield from self._segments(seg, block.data)
            self.tries.unreachable(self._unreachables.of(block, [r.info for r in self.readers]))
            if self.follow is not None:
                yield from self._live(block)
            if self.progress:
                self.progress(block.position, self.total)
        with self.timed("tcp"):
            streams = self.tracker.finish()
        yield from self._step(streams)
        self.unread_requests.finish()
        yield self._take(True)
        if kernel.compiled():
            cache.mark_warm()

    def _prepared(self) -> Iterator[tuple[Block, I64]]:
        for block in merge(self.readers):
            yield block, self.tracker.prepare(block.segments)

    def _segments(self, seg: I64, data: U8) -> Iterator[ReadStep]:
        first, n = 0, seg.shape[1]
        while first < n:
            last = min(n, first + EPOCH - self.segments % EPOCH)
            with self.timed("tcp"):
                streams = self.tracker.feed_rows(seg, first, last, data)
            self.tries.add(seg[:, first:last])
            yield from self._step(streams)
            self.clock = max(self.clock, int(seg[col.T_TIME, first:last].max()))
            self.segments += last - first
            first = last
            if self.segments % EPOCH == 0:
                yield self._take(False)

    def _live(self, block: Block) -> Iterator[ReadStep]:
        """A step every LIVE seconds while an input is followed, also when nothing is captured: time goes on."""
        now = time.monotonic()
        if len(block.packets):
            self._arrived = now
        elif self.clock:
            yield from self._step(self.tracker.tick(self.clock + self._idle(now)))
        if now - self._stepped >= LIVE:
            self._stepped = now
            yield self._take(False)

    def _idle(self, now: float) -> int:
        """ns that have passed since the last packet came."""
        return int((now - self._arrived) * 1e9)

    def _take(self, final: bool) -> ReadStep:
        if not self.keep_connections:
            self.tracker.drop_connections()
        news, self._news = self._news, News()
        slots = np.flatnonzero(self._heard)
        numbers = self.tracker.stream_numbers(slots)
        self._heard[slots[numbers < 0]] = False
        slots, numbers = slots[numbers >= 0], numbers[numbers >= 0]
        acks = Acks(slots, numbers, self.tracker.acknowledged(slots), *self.tracker.refused(slots))
        if final:
            self._quic()
        clock = self.clock if self.follow is None else self.clock + self._idle(time.monotonic())
        return ReadStep(news, acks, clock, final, self._hidden)

    def _quic(self) -> None:
        """Who speaks QUIC takes part in connections that are not read, too. Asked at the end, since blocks are read ahead."""
        found = union([r.info.quic for r in self.readers])
        serving, opening = {c.server: Reason.UNREAD for c in found}, {c.client: Reason.UNREAD for c in found}
        self._hidden = Hidden(serving | dict(self._hidden.servers), opening | dict(self._hidden.clients))

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time spent in a stage, in seconds."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] += time.perf_counter() - start

    def _step(self, streams: StreamBlock) -> Iterator[ReadStep]:
        """Read what the tracker gave. A block of very many messages is passed on in several steps: each takes memory."""
        tracker, parts = self.tracker, self.parser.portions(streams, self.tracker.synced)
        self._lossy(streams)
        ended = self._ended(streams.ends)
        no_runs, no_ends = streams.runs.empty(), streams.ends.empty()
        while True:
            with self.timed("http"):
                read = next(parts)
            self._read(streams, read)
            self._news.ended.append(ended)  # of every part: it is kept for messages that are there
            if read.last:
                break
            self.understood.add(no_runs, no_ends, NOTHING, read, tracker.streams)
            yield self._take(False)
        self.understood.add(streams.runs, streams.ends, ended[1], read, tracker.streams)
        tracker.forget(read.open_slots, read.open_starts)
        tracker.release(read.consumed_slots, read.consumed)

    def _read(self, streams: StreamBlock, read: Read) -> None:
        """Take in a part of what http gave."""
        self._protocols(read.protocols)
        self._news.unanswered.append(np.stack([read.unanswered, read.overtaken]))
        placed = None
        if len(read.messages):
            with self.timed("exchanges"):
                self._news.messages.append(read.messages)
                placed = self._place(read.messages)
                self._news.placed.append(placed)
                last = int(read.messages.slot.max())
                if last >= len(self._heard):
                    self._heard = np.append(self._heard, np.zeros(last + 1, bool))
                self._heard[read.messages.slot] = True
        self.unread_requests.add(streams, read, placed, self.tracker.acknowledging)

    def _ended(self, ends: Ends) -> I64:
        """Note the streams that ended; of each, how far it was acknowledged, and from where on it was refused: News.ended."""
        acked = self.tracker.acknowledged(ends.slot)
        # The other side had bytes that no packet here brought (a FIN counts one): what they said was lost, not unsaid.
        unseen = ends.stream[acked > ends.offset + 1]
        self._news.cut.append(unseen)
        self._news.lost.append(unseen)
        self._news.unended.append(ends.stream[ends.how == End.CAPTURE])
        refused, over = self.tracker.refused(ends.slot)[0], self.tracker.overs(ends)
        return np.stack([ends.stream, acked, refused, *over, ends.offset])

    def _lossy(self, streams: StreamBlock) -> None:
        """Note the streams that lack bytes. What the snap length cut off may have been a whole response."""
        r = streams.runs
        start = self.tracker.starts(r.slot)
        late = (start > 0) & (r.offset == start)
        self._news.cut.append(r.stream[(r.gap > 0) | late])
        self._news.lost.append(r.stream[((r.gap > 0) & (r.reason == Gap.LOST)) | late])

    def _place(self, messages: Messages) -> Placed:
        slot = messages.slot
        where = self.tracker.places(slot, messages.kind == 1)
        captures, packets, first, last = self.tracker.locate(slot, messages.start, messages.end)
        if self.twins is None:
            capture = np.zeros(len(packets), np.int16)
        else:
            capture, packets = self.twins.in_one_capture(captures, packets, where.capture)
        columns = {name: getattr(where, name) for name in dtypes(Places)} | {"capture": capture}
        return Placed(**columns, first_time=first, last_time=last, packets=packets)

    def _protocols(self, found: Protocols) -> None:
        protocol, slot, sni = found.protocol, found.slot, found.sni
        self.protocols.update(protocol_counts(protocol))
        self.protocols.subtract(protocol_counts(found.before[found.before != Protocol.TUNNEL]))
        closed = np.flatnonzero((protocol == Protocol.TLS) | (protocol == Protocol.H2))
        if not len(closed):
            return
        where = self.tracker.streams(slot[closed])
        # Steps that were given away keep what they have.
        serving, opening = dict(self._hidden.servers), dict(self._hidden.clients)
        for i, row in enumerate(closed.tolist()):
            server = (int(where.server_hi[i]), int(where.server_lo[i]))
            client = (int(where.client_hi[i]), int(where.client_lo[i]))
            hi, lo = where.wire_hi[i : i + 1], where.wire_lo[i : i + 1]
            servers = {server, client} if is_loopback(hi, lo)[0] else {server}
            encrypted = protocol[row] == Protocol.TLS
            why = Reason.ENCRYPTED if encrypted else Reason.UNREAD
            for side, addresses in ((serving, servers), (opening, {client})):
                known = (a for a in addresses if a in side or len(side) < ADDRESSES)
                side.update((a, why) for a in known if side.get(a) != Reason.ENCRYPTED)
            if encrypted and len(self.encrypted) < ENCRYPTED and where.from_client[i]:
                name = sni.bytes(row).decode("latin-1")
                self.encrypted.append(
                    Encrypted(
                        format_endpoint(*client, int(where.client_port[i])),
                        format_endpoint(*server, int(where.server_port[i])),
                        name,
                    )
                )
        self._hidden = Hidden(serving, opening)


def total_bytes(captures: tuple[str | BinaryIO, ...]) -> int | None:
    """Size of the input where all of it are files."""
    total = 0
    for capture in captures:
        if not isinstance(capture, str) or capture == "-" or not os.path.isfile(capture):
            return None
        total += os.path.getsize(capture)
    return total


def size_of(captures: tuple[str | BinaryIO, ...]) -> int:
    """Bytes of input, about: compressed files hold several times their size; pipes are not known yet."""
    size = 0
    for capture in captures:
        if isinstance(capture, str) and os.path.isfile(capture):
            packed = capture.endswith((".gz", ".zst", ".xz", ".lz4"))
            size += os.path.getsize(capture) * (6 if packed else 1)
    return size
