"""From captures to decided mirrors: reading in one thread, judging in another."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from inspector import limits
from inspector.capture import faults
from inspector.capture.carried import carriers
from inspector.capture.following import Stop
from inspector.capture.quic import union
from inspector.capture.tables import CaptureInfo
from inspector.inspection.assemble import Assembler
from inspector.inspection.counts import Tally
from inspector.inspection.prefetch import Ahead
from inspector.inspection.reading import Reading, ReadStep
from inspector.inspection.unread import Connection, Parts, Unread, UnreadKind
from inspector.inspection.unseen import InputCounts
from inspector.mirror.pool import Decisions, Rules, Settler
from inspector.mirror.tables import Exchanges
from inspector.tcp.tables import Connections
from inspector.views.objects import CaptureView

LIVE_ACK_WAIT = 400_000_000  # ns that a response waits for its acknowledgement while an input is followed
REST = 3  # times as long as deciding took, nothing is decided again while an input is followed
ENCAPSULATED = tuple(faults.HEADER_FAULTS[code] for code in (faults.BAD_TUNNEL, faults.TUNNEL_DEPTH))
DEPTH = 2  # steps that are read before they are judged


class Pipeline:
    """One inspection: what is read is joined to exchanges, paired, judged and counted, step by step."""

    def __init__(
        self,
        captures: tuple[str | BinaryIO, ...],
        rules: Rules,
        block_bytes: int,
        progress: Callable[[int, int | None], None] | None,
        notice: Callable[[str], None] | None = None,
        follow: Stop | None = None,
    ) -> None:
        self.reading = Reading(captures, block_bytes, progress, notice, follow)
        self.settler = Settler(rules, crowd=limits.value("waiting-exchanges"))
        self.tally = Tally()
        self.parts = Parts()
        self.assembler = Assembler() if follow is None else Assembler(LIVE_ACK_WAIT)
        self._rest = 0.0  # until then nothing is decided while an input is followed

    def run(self) -> Iterator[Decisions]:
        """Read everything; a Batch each time something was decided, the last one when the input has ended."""
        steps = self.reading.steps()
        if self.reading.threads:
            steps = iter(Ahead(steps, DEPTH))
        for step in steps:
            self.assembler.add(step.news)
            if self.reading.follow is None or step.final or self._due():
                begun = time.monotonic()
                pending = self._join(step)
                if step.final or self.reading.follow is not None or self.settler.worthwhile:
                    yield self._settle(step, pending)
                self._rest = time.monotonic() + REST * (time.monotonic() - begun)

    def _due(self) -> bool:
        """Whether to look again at an input that is followed."""
        waiting = self.assembler.fresh or self.assembler.held or len(self.settler.pool)
        return bool(waiting) and time.monotonic() >= self._rest

    def _join(self, step: ReadStep) -> Exchanges:
        """Take in the exchanges that ended; those that are open."""
        with self._timed("exchanges"):
            ended, pending = self.assembler.take(step.final, step.clock, step.acks)
            self.settler.add(ended)
            return pending

    def _settle(self, step: ReadStep, pending: Exchanges) -> Decisions:
        with self._timed("mirrors"):
            batch = self.settler.step(Exchanges.empty(), pending, step.clock, step.final, step.hidden)
            self.tally.add(batch)
            self.parts.add(batch)
            if step.final:
                self.reading.tries.finish(step.clock)
            self.reading.tries.meet(batch)
        return batch

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.reading.timings[stage] += time.perf_counter() - start

    @property
    def timings(self) -> dict[str, float]:
        """Seconds by stage; reading and judging run side by side, so that the sum may be more than has passed."""
        return self.reading.timings

    def connections(self) -> Connections:
        """The connections that carried payload."""
        return self.reading.tracker.connections()

    def damaged(self) -> bool:
        """Whether an input was cut short or damaged."""
        codes = ("truncated-record", "damaged-record", "damaged-block", "decompression")
        return any(r.info.dropped_tail or any(code in r.info.faults for code in codes) for r in self.reading.readers)

    def end(self) -> tuple[int, bool] | None:
        """The time of the last packet, and whether an input is cut short or damaged."""
        last = max((r.info.last for r in self.reading.readers if r.info.last is not None), default=None)
        return None if last is None else (last, self.damaged())

    def seen(self) -> InputCounts:
        """Counts for the summary."""
        infos = [r.info for r in self.reading.readers]
        counts = self.reading.tracker.counts
        carried = dict(sum((Counter(i.unread) for i in infos), Counter[int]()))
        tunnels = sum(i.faults.get(code, 0) for i in infos for code in ENCAPSULATED)
        understood = self.reading.understood
        quic = union([i.quic for i in infos])
        closed = Unread.of(Connection(UnreadKind.QUIC, c.client, c.server) for c in quic)
        return InputCounts(
            packets=sum(i.packets for i in infos),
            segments=self.reading.segments,
            connections=counts.get("connections", 0),
            protocols=dict(self.reading.protocols),
            encrypted=self.reading.encrypted,
            cut_packets=sum(i.cut_packets for i in infos),
            snaplen=max((i.snaplen for i in infos), default=0),
            gap_bytes=counts.get("gap_bytes", 0),
            conflicts=counts.get("conflicts", 0),
            unconfirmed=self.reading.parser.unconfirmed,
            alone=self.reading.parser.alone,
            cut_short=counts.get("cut_short", 0),
            let_go=self.settler.let_go,
            overtaken=self.reading.parser.overtaken,
            gaps_forced=counts.get("forced_gaps", 0),
            kept_too_much=counts.get("kept_too_much", 0),
            tries_left_out=self.reading.tries.left_out,
            hurried=self.settler.hurried,
            unread=understood.unread.counts() | closed.counts(),
            near=understood.unread.near(self.parts) | closed.near(self.parts),
            refused=self.reading.tries.groups(),
            proxied=understood.proxied,
            quic=quic,
            lost=understood.lost,
            end=self.end(),
            damaged=self.damaged(),
            encapsulated=tunnels + sum(packets for _, packets in carriers(carried)),
            carried=carried,
            broken=sum(i.faults.get(code, 0) for i in infos for code in faults.HEADER_FAULTS if code),
        )

    def _payload(self, info: CaptureInfo) -> dict[str, tuple[int, int]]:
        """The payload of a capture by what it is."""
        out = {name: (size, n) for name, (size, n) in self.reading.understood.read.get(info.number, {}).items()}
        if found := info.quic.connections():
            out["quic"] = sum(c.bytes for c in found), len(found)
        return out

    def captures(self) -> list[CaptureView]:
        """What was read, a view a capture."""
        out = []
        for reader in self.reading.readers:
            i = reader.info
            found = dict(i.faults)
            for code in ("retransmissions", "conflicts", "gaps"):
                if len(self.reading.readers) == 1 and self.reading.tracker.counts.get(code):
                    found[code] = self.reading.tracker.counts[code]
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
                    copies=self.reading.tracker.copies.get(i.number, 0),
                    dropped_tail=i.dropped_tail,
                    faults=found,
                    warnings=list(i.warnings),
                    read=self._payload(i),
                )
            )
        return out
