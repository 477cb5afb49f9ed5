"""Drives the rooms block by block: capture -> tcp -> http -> exchanges."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from inspector import kernel
from inspector.capture import Block, Reader, Segments, merge, open_captures
from inspector.http.parser import Parser
from inspector.http.tables import Messages, Protocol
from inspector.inspection.assemble import Assembler, Placed, protocol_counts
from inspector.inspection.summary import Encrypted, Seen
from inspector.inspection.tally import Tally
from inspector.inspection.twins import Twins
from inspector.mirror.present import format_endpoint
from inspector.mirror.settle import Batch, Rules, Settler
from inspector.mirror.signs import is_loopback
from inspector.mirror.views import CaptureView
from inspector.ragged import Ragged
from inspector.table import U8, Bool
from inspector.tcp import Tracker
from inspector.tcp.tables import Connections, Gap, StreamBlock

EPOCH = 1 << 15  # segments between two steps of deciding
COMPILE_FROM = 4 << 20  # bytes of input from which compiled kernels pay for loading numba
COMPILE_COLD = 48 << 20  # and for compiling them, which takes about a minute once
COMPILING = "compiling the inner loops, once for this version and processor; this takes about a minute"


class Pipeline:
    """One inspection's reading: open the captures, feed the rooms, keep what the judging needs."""

    def __init__(
        self,
        captures: tuple[str | BinaryIO, ...],
        rules: Rules,
        block_bytes: int,
        progress: Callable[[int, int | None], None] | None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self.notice = notice
        self.timings: dict[str, float] = defaultdict(float)
        self._compile_from = COMPILE_FROM if kernel.warmed() else COMPILE_COLD
        self._choose_speed(size_of(captures))
        self.readers: list[Reader] = []
        for capture in captures:
            self.readers += open_captures(capture, len(self.readers), block_bytes)
        self.progress = progress
        self.total = total_bytes(captures)
        self.tracker = Tracker()
        self.parser = Parser()
        self.assembler = Assembler()
        self.twins = Twins() if len(self.readers) > 1 else None
        self.settler = Settler(rules)
        self.tally = Tally()
        self.clock = 0
        self.protocols: Counter[str] = Counter()
        self.encrypted: list[Encrypted] = []
        self._encrypted_servers: set[tuple[int, int]] = set()
        self.segments = 0

    def _choose_speed(self, size: int) -> None:
        """Run kernels compiled from a certain size of the input on. They may change their speed between two blocks."""
        if size < self._compile_from or kernel.compiled():
            return
        if not kernel.warmed() and self.notice:
            self.notice(COMPILING)
        kernel.use("compiled")

    def run(self) -> Iterator[Batch]:
        """Read everything; a Batch each time something was decided, the last one when the input has ended.

        Steps are cut at every EPOCH segments, wherever blocks end, so that results do not depend on the block size.
        """
        blocks = merge(self.readers)
        while True:
            with self._timed("capture"):
                block = next(blocks, None)
            if block is None:
                break
            self._choose_speed(sum(r.info.bytes for r in self.readers))
            if self.twins:
                self.twins.add(block.segments)
            yield from self._segments(block)
            if self.progress:
                self.progress(block.position, self.total)
        self._step(self._feed(None, None))
        yield self._settle(True)
        if kernel.compiled():
            kernel.mark_warm()

    def _segments(self, block: Block) -> Iterator[Batch]:
        first, n = 0, len(block.segments)
        while first < n:
            last = min(n, first + EPOCH - self.segments % EPOCH)
            part = block.segments if last - first == n else block.segments.take(np.arange(first, last))
            self._step(self._feed(part, block.data))
            self.clock = max(self.clock, int(part.time.max()))
            self.segments += last - first
            first = last
            # A large pool is looked at less often, so that the work stays in proportion to what is new.
            if self.segments % EPOCH == 0 and 2 * self.assembler.messages >= len(self.settler.pool):
                yield self._settle(False)

    def _feed(self, segments: Segments | None, data: U8 | None) -> StreamBlock:
        with self._timed("tcp"):
            return self.tracker.finish() if segments is None or data is None else self.tracker.feed(segments, data)

    @contextlib.contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        """Count the time spent in a stage, in seconds."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] += time.perf_counter() - start

    def _settle(self, final: bool) -> Batch:
        with self._timed("exchanges"):
            ended, pending = self.assembler.take(final, self.clock, self.tracker)
        with self._timed("mirrors"):
            batch = self.settler.step(ended, pending, self.clock, final, self._encrypted_servers)
            self.tally.add(batch)
        return batch

    def _step(self, streams: StreamBlock) -> None:
        tracker = self.tracker
        with self._timed("http"):
            read = self.parser.feed(streams, tracker.synced)
        self._protocols(read.protocols.protocol, read.protocols.slot, read.protocols.sni)
        if len(read.messages):
            with self._timed("exchanges"):
                self.assembler.add(read.messages, self._place(read.messages))
        lost = (streams.runs.gap > 0) & (streams.runs.reason == Gap.LOST)
        self.assembler.lost(np.unique(streams.runs.stream[lost]))
        self.assembler.unanswered(read.unanswered)
        self.assembler.ended(streams.ends.stream, tracker.acknowledged(streams.ends.slot))
        tracker.forget(read.open_slots, read.open_starts)
        tracker.release(read.consumed_slots, read.consumed)

    def _place(self, messages: Messages) -> Placed:
        slot = messages.slot
        where = self.tracker.streams(slot)
        captures, packets, first, last = self.tracker.locate(slot, messages.start, messages.end)
        if self.twins is None:
            capture = np.zeros(len(packets), np.int16)
        else:
            capture, packets = self.twins.in_one_capture(captures, packets)
        # Without a SYN the side seen first passes for the client: who sends requests is.
        turned = (messages.kind == 1) != where.from_client
        client_hi, server_hi = swap(turned, where.client_hi, where.server_hi)
        client_lo, server_lo = swap(turned, where.client_lo, where.server_lo)
        client_port, server_port = swap(turned, where.client_port, where.server_port)
        return Placed.build(
            connection=where.connection,
            capture=capture,
            first_time=first,
            last_time=last,
            client_hi=client_hi,
            client_lo=client_lo,
            client_port=client_port,
            server_hi=server_hi,
            server_lo=server_lo,
            server_port=server_port,
            wire_hi=np.where(turned, server_hi, where.wire_hi),
            wire_lo=np.where(turned, server_lo, where.wire_lo),
            synced=where.synced,
            mate=where.mate,
            packets=packets,
        )

    def _protocols(self, protocol: np.ndarray, slot: np.ndarray, sni: Ragged) -> None:
        self.protocols.update(protocol_counts(protocol))
        tls = np.flatnonzero(protocol == Protocol.TLS)
        if not len(tls):
            return
        where = self.tracker.streams(slot[tls])
        for i, row in enumerate(tls.tolist()):
            name = sni.bytes(row).decode("latin-1")
            server = (int(where.server_hi[i]), int(where.server_lo[i]))
            self._encrypted_servers.add(server)
            hi, lo = where.wire_hi[i : i + 1], where.wire_lo[i : i + 1]
            if is_loopback(hi, lo)[0]:
                self._encrypted_servers.add((int(where.client_hi[i]), int(where.client_lo[i])))
            if len(self.encrypted) < 10_000 and where.from_client[i]:
                self.encrypted.append(
                    Encrypted(
                        format_endpoint(int(where.client_hi[i]), int(where.client_lo[i]), int(where.client_port[i])),
                        format_endpoint(*server, int(where.server_port[i])),
                        name,
                    )
                )

    def connections(self) -> Connections:
        """The connections that carried payload."""
        return self.tracker.connections()

    def damaged(self) -> bool:
        """Whether an input was cut short or damaged."""
        codes = ("truncated-record", "damaged-record", "damaged-block", "decompression")
        return any(r.info.dropped_tail or any(code in r.info.faults for code in codes) for r in self.readers)

    def seen(self) -> Seen:
        """Counts for the summary."""
        infos = [r.info for r in self.readers]
        counts = self.tracker.counts
        return Seen(
            packets=sum(i.packets for i in infos),
            segments=self.segments,
            connections=counts.get("connections", 0),
            protocols=dict(self.protocols),
            encrypted=self.encrypted,
            cut_packets=sum(i.cut_packets for i in infos),
            snaplen=max((i.snaplen for i in infos), default=0),
            gap_bytes=counts.get("gap_bytes", 0),
            conflicts=counts.get("conflicts", 0),
            unconfirmed=self.parser.unconfirmed,
        )

    def captures(self) -> list[CaptureView]:
        """What was read, a view a capture."""
        out = []
        for reader in self.readers:
            i = reader.info
            faults = dict(i.faults)
            for code in ("retransmissions", "conflicts", "gaps"):
                if len(self.readers) == 1 and self.tracker.counts.get(code):
                    faults[code] = self.tracker.counts[code]
            out.append(
                CaptureView(
                    path=i.path,
                    format=i.format,
                    compression=i.compression,
                    link_types=list(i.link_types),
                    interfaces=[f.name for f in i.interfaces],
                    packets=i.packets,
                    bytes=i.bytes,
                    first=i.first,
                    last=i.last,
                    copies=self.tracker.copies.get(i.number, 0),
                    dropped_tail=i.dropped_tail,
                    faults=faults,
                    warnings=list(i.warnings),
                )
            )
        return out


def swap(turned: Bool, a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(a, b), exchanged where `turned`."""
    return np.where(turned, b, a), np.where(turned, a, b)


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
