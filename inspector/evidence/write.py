"""Evidence: the packets that prove a verdict, taken out of the captures as they are, and the check that they still prove it.

The captures are read again. What is written is read back and judged as any capture is; where a verdict comes out otherwise,
more is taken (`Reach`), so that packets out of their surroundings never say something else than they did in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspector.capture import Block, CaptureReader, merge, open_captures, writer
from inspector.capture.links import LINUX_SLL2
from inspector.capture.pcap import Pcap
from inspector.capture.tables import PacketKind
from inspector.capture.writer import WrittenInterface, WrittenPacket
from inspector.errors import UsageError
from inspector.evidence.comments import PacketPart, Views, general, message, part_of
from inspector.evidence.select import Endpoint, Reach, Selection, Told, Window, choose, spans_of
from inspector.inspection import Inspection, Stream
from inspector.inspection.pipeline import Pipeline
from inspector.lang import _, marked, several
from inspector.mirror.lost_requests import effective_time
from inspector.mirror.signs import blend
from inspector.mirror.tables import NONE, Exchanges, Mirrors
from inspector.reread.second_pass import Capture
from inspector.table import I64, U16, U64, Bool

BLOCK_BYTES = 4 << 20
ORIGIN = marked("packet {number} of {capture}")
MOST_COMMENTS = 24  # of a packet; a handshake may open the connection of a thousand mirrors


@dataclass
class Check:
    """How evidence was judged, against the inspection it was taken from. Mirrors by number."""

    asked: int = 0
    same: int = 0
    missing: list[int] = field(default_factory=list)  # asked for, not found again
    other: list[int] = field(default_factory=list)  # verdict, proof, reason or what was delivered differ
    loose: list[int] = field(default_factory=list)  # the same, but paired by other signs
    spans: list[tuple[int, int]] = field(default_factory=list)  # of mirrors that the captures do not have

    @property
    def holds(self) -> bool:
        """Whether every verdict is the same, and nothing else is called a mirror."""
        return not self.missing and not self.other and not self.spans


class EvidenceSet:
    """The evidence of some mirrors of an inspection (numbers from 1; None: all of them).

    `blocks` writes it, `judge` reads back what was written, `widen` says whether more should be taken and takes it.
    Raises UsageError for a number that is not a mirror's.
    """

    def __init__(self, inspection: Inspection, numbers: Sequence[int] | None = None) -> None:
        self._rules = inspection._pipeline.settler.rules
        self.told = Told(*inspection._kept.tables(), inspection._pipeline.connections())
        count = len(self.told.mirrors)
        bad = [n for n in numbers or () if not 1 <= n <= count]
        if bad:
            had = several("there is {count} mirror", "there are {count} mirrors", count).format(count=f"{count:,}")
            raise UsageError(_("there is no mirror {number}").format(number=bad[0]), had)
        self.asked: I64 = np.arange(count) if numbers is None else np.unique(np.array(numbers, np.int64)) - 1
        self.reach = Reach.LEGS
        self._company = np.empty(0, np.int64)
        self._spans = np.empty((0, 2), np.int64)
        self._views = Views(self.told)
        self.packets = 0  # written by the last `blocks`
        self.left_out = 0  # packets that could not be written

    # -- writing ------------------------------------------------------------------------------------------------------

    def blocks(
        self, captures: Iterable[Capture], application: str = "mirror-inspector", named: bool = True
    ) -> Iterator[bytes]:
        """The evidence as pcapng, block by block. captures: what was inspected, in the same order. named: captures
        are called by their files' names, else by their numbers.

        Raises CaptureError where one cannot be read again.
        """
        choice = choose(self.told, self.asked, self._company, self._spans, self.reach)
        readers: list[CaptureReader] = []
        for path in captures:
            readers += open_captures(path() if callable(path) else path, len(readers), BLOCK_BYTES)
        names = [name_of(reader, named) for reader in readers]
        yield writer.section(application, self._about(names))
        taker = _Taker(self.told, choice, self._views, readers, names)
        self.packets = self.left_out = 0
        numbers: dict[tuple[int, int], int] = {}
        for block in merge(readers):
            for key, packet in taker.take(block):
                if key not in numbers:
                    numbers[key] = len(numbers)
                    yield writer.interface(taker.described(key))
                try:
                    yield writer.packet(
                        WrittenPacket(numbers[key], packet.time, packet.data, packet.length, packet.comments)
                    )
                    self.packets += 1
                except ValueError:
                    self.left_out += 1

    def _about(self, names: Sequence[str]) -> str:
        numbers = (self.asked + 1).tolist()
        if len(numbers) == len(self.told.mirrors):
            count = several("{count} mirror", "all {count} mirrors", len(numbers)).format(count=f"{len(numbers):,}")
        else:
            shown = ", ".join(str(n) for n in numbers[:20]) + (", …" if len(numbers) > 20 else "")
            count = several("mirror {numbers}", "mirrors {numbers}", len(numbers)).format(numbers=shown)
        about = _("Evidence for {what} in {captures}: the packets of the proof only.")
        return about.format(what=count, captures=", ".join(names))

    # -- checking -----------------------------------------------------------------------------------------------------

    def judge(self, path: str, moved: bool = False) -> Check:
        """Inspect what was written and compare. moved: its addresses were mapped. Raises CaptureError."""
        check = Check(asked=len(self.asked))
        known = _Claims.of(self.told.exchanges, self.told.mirrors, np.arange(len(self.told.mirrors)))
        found = np.zeros(len(known.key), bool)
        pipeline = Pipeline((path,), self._rules, BLOCK_BYTES, None)
        for decided in Stream(pipeline):
            claims = _Claims.of(decided.presenter.e, decided.presenter.table, decided.rows)
            at = known.find(claims)
            there = at >= 0
            check.spans += claims.spans[~there].tolist()
            found[at[there]] = True
            differs = (claims.claim[there] != known.claim[at[there]]).any(axis=1)
            check.other += (at[there][differs] + 1).tolist()
            loose = ~differs & (claims.paired[there] != known.paired[at[there]]).any(axis=1)
            check.loose += (at[there][loose] + 1).tolist()
        check.missing = (self.asked[~found[self.asked]] + 1).tolist()
        wrong = np.zeros(len(known.key), bool)
        wrong[np.array(check.missing + check.other, np.int64) - 1] = True
        check.same = int((~wrong[self.asked]).sum())
        return check

    def widen(self, check: Check) -> bool:
        """Take more, so that what came out otherwise comes out the same; False where that is not needed or was all."""
        if check.holds and (not check.loose or self.reach > Reach.LEGS):
            return False
        if self.reach == Reach.EVERYTHING:
            return False
        wrong = np.array(sorted({*check.missing, *check.other, *check.loose}), np.int64) - 1
        strangers = wrong[~np.isin(wrong, self.asked) & ~np.isin(wrong, self._company)]
        if len(strangers) == len(wrong) and not check.spans and self.reach < Reach.EXCHANGES:
            # Others than those asked for, told by halves: their legs are taken as well.
            self._company = np.union1d(self._company, strangers)
            return True
        self._company = np.union1d(self._company, strangers)
        spans = np.array(check.spans, np.int64).reshape(-1, 2)
        self._spans = np.concatenate([self._spans, spans_of(self.told, wrong), spans])
        self.reach = Reach(self.reach + 1)
        return True


def name_of(reader: CaptureReader, named: bool) -> str:
    """What to call a capture: its file's name without folders, visible characters only; or its number."""
    if not named:
        return _("capture {number}").format(number=reader.info.number + 1)
    name = os.path.basename(reader.info.path) or reader.info.path
    return "".join(c if c.isprintable() else "?" for c in name)


@dataclass(frozen=True)
class _Claims:
    """What was said of mirrors, row by row: key finds them again, claim must stay the same."""

    key: I64  # (n, 3): time, ports of the mirror's exchange
    claim: I64  # (n, 6): verdict, proof, reason, delivered, times of the original and the downstream
    paired: I64  # (n, 2): signs, confidence
    spans: I64  # (n, 2): times of the mirror's exchange

    @staticmethod
    def of(e: Exchanges, t: Mirrors, rows: I64) -> _Claims:
        """The claims of mirrors `rows`."""
        time, m = effective_time(e), t.mirror[rows]
        members = [np.where(x != NONE, time[np.maximum(x, 0)], NONE) for x in (t.original[rows], t.downstream[rows])]
        claim = [t.verdict[rows], t.proof[rows], t.reason[rows], t.delivered[rows], *members]
        end = np.maximum(e.response_end_time[m], time[m])
        return _Claims(
            np.stack([time[m], e.client_port[m], e.server_port[m]], axis=1).astype(np.int64),
            np.stack(claim, axis=1).astype(np.int64),
            np.stack([t.signs[rows], t.confidence[rows]], axis=1).astype(np.int64),
            np.stack([time[m], end], axis=1),
        )

    def find(self, others: _Claims) -> I64:
        """(m,): the row here of each of `others`, -1 where there is none."""
        mine, theirs = blend(*self.key.T), blend(*others.key.T)
        if not len(mine):
            return np.full(len(theirs), -1, np.int64)
        order = np.argsort(mine, kind="stable")
        at = order[np.minimum(np.searchsorted(mine[order], theirs), len(order) - 1)]
        return np.where(mine[at] == theirs, at, -1)


@dataclass(frozen=True, slots=True)
class _Taken:
    time: int
    data: bytes
    length: int
    comments: tuple[str, ...]


class _Passing(NamedTuple):
    """A segment that may be taken. low, high: its messages' rows in `_Taker.named`; time in ns, length in payload bytes."""

    low: int
    high: int
    capture: int
    packet: int
    time: int
    flags: int
    length: int
    source: Endpoint
    target: Endpoint


class _Taker:
    """Picks a block's packets, with the interface that each was captured on and what it shows."""

    def __init__(
        self, told: Told, choice: Selection, views: Views, readers: Sequence[CaptureReader], names: Sequence[str]
    ) -> None:
        self.choice = choice
        self.views = views
        self.readers = readers
        self.names = names
        self._origin = _(ORIGIN)
        self.asked = told.exchanges.request_time
        self.named, self.owner, self.side = choice.packets(told)
        clients = np.array(list(choice.windows), np.uint64).reshape(-1, 3)
        self.clients: I64 = np.sort(blend(clients[:, 0], clients[:, 1], clients[:, 2].astype(np.uint16)))
        for windows in choice.windows.values():
            windows.sort(key=lambda w: w.starts[0])

    def described(self, key: tuple[int, int]) -> WrittenInterface:
        """The interface block of `key`: (capture, interface in it, or -1 for a pcap's only one)."""
        reader, name = self.readers[key[0]], self.names[key[0]]
        if isinstance(reader.format, Pcap):
            return WrittenInterface(reader.format.link, reader.format.snaplen, description=name)
        given = reader.info.interfaces[key[1]]
        return WrittenInterface(given.link_type, given.snaplen, given.name, name)

    def take(self, block: Block) -> Iterator[tuple[tuple[int, int], _Taken]]:
        """The packets of a block that are wanted, in its order."""
        p, s = block.packets, block.segments
        numbers = p.capture.astype(np.int64) << 40 | p.number
        order = np.argsort(numbers, kind="stable")
        comments: dict[int, list[str]] = {}
        rows = np.flatnonzero(self._perhaps(s.src_hi, s.src_lo, s.sport) | self._perhaps(s.dst_hi, s.dst_lo, s.dport))
        s = s.take(rows)
        keys = s.capture.astype(np.int64) << 40 | s.packet
        columns: tuple[NDArray[Any], ...] = (
            order[np.searchsorted(numbers[order], keys)],
            *(np.searchsorted(self.named, keys + k) for k in (0, 1)),
            *(s.capture, s.packet, s.time, s.flags, s.length),
        )
        sources = zip(s.src_hi.tolist(), s.src_lo.tolist(), s.sport.tolist(), strict=True)
        targets = zip(s.dst_hi.tolist(), s.dst_lo.tolist(), s.dport.tolist(), strict=True)
        for row, *rest in zip(*(column.tolist() for column in columns), sources, targets, strict=True):
            told = self._tell(_Passing(*rest))
            if told is not None:
                comments[row] = told
        for row in np.flatnonzero((p.kind == PacketKind.FRAGMENT) & self.choice.during(p.time)).tolist():
            comments[row] = [_("a fragment of an IP datagram")]
        for row in sorted(comments):
            capture, number, start = int(p.capture[row]), int(p.number[row]), int(p.at[row])
            data = block.data[start : start + int(p.captured[row])].tobytes()
            origin = self._origin.format(number=number, capture=self.names[capture])
            taken = _Taken(int(p.time[row]), data, int(p.length[row]), (*comments[row], origin))
            yield (capture, self._interface(capture, int(p.interface[row]))), taken

    def _interface(self, capture: int, index: int) -> int:
        """The interface block that a packet belongs to: LINUX_SLL2 has several interfaces under one."""
        reader = self.readers[capture]
        if isinstance(reader.format, Pcap):
            return -1
        given = reader.info.interfaces[index]
        return given.within if given.link_type == LINUX_SLL2 and given.within >= 0 else index

    def _perhaps(self, hi: U64, lo: U64, port: U16) -> Bool:
        if self.choice.everything:
            return np.ones(len(hi), bool)
        return np.isin(blend(hi, lo, port), self.clients)

    def _tell(self, s: _Passing) -> list[str] | None:
        """The comments of a segment, None where it is not taken."""
        found = self._window(s.source, s.target, s.time)
        from_client = found is not None
        found = found or self._window(s.target, s.source, s.time)
        if found is None and not self.choice.everything:
            return None
        out: list[str] = []
        for at in range(s.low, s.high):
            part = PacketPart.RESPONSE if self.side[at] else PacketPart.REQUEST
            for number, leg in self.choice.owners.get(int(self.owner[at]), ()):
                out += message(part, leg, self.views[number], s.capture, s.packet)
        if not out and found is not None:
            window, row = found
            part = part_of(s.flags, s.length, from_client, row != NONE and s.time < self.asked[row])
            for number, leg in self.choice.owners.get(row, ()):
                out.append(general(part, leg.name.lower(), window.joined).format(n=number))
        if len(out) > MOST_COMMENTS:
            out[MOST_COMMENTS:] = [_("and {count} more").format(count=len(out) - MOST_COMMENTS)]
        return out or [_("context: what was in flight beside the proof")]

    def _window(self, client: Endpoint, other: Endpoint, time: int) -> tuple[Window, int] | None:
        for window in reversed(self.choice.windows.get(client, ())):
            row = window.row_at(time, other)
            if row is not None:
                return window, row
        return None
