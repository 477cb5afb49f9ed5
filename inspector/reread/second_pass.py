"""A second reading of captures, for the heads and bodies of some exchanges: see `reread`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from inspector.capture import CaptureReader, Segments, merge, open_captures, parse_address
from inspector.http.content import CapturedMessage, Content, Extent, part, within
from inspector.http.parser import Parser, Read
from inspector.http.tables import Fact, Messages, field_of
from inspector.inspection.copies_across_captures import Twins, own_number
from inspector.mirror.signs import blend
from inspector.table import I64, Bool
from inspector.tcp import Tracker
from inspector.tcp.tables import StreamBlock
from inspector.views.objects import ExchangeView

BLOCK_BYTES = 4 << 20
NONE = -1  # no such message
HASHED, COMPLETE = int(Fact.COMPLETE | Fact.BODY_GAP), int(Fact.COMPLETE)

Capture = str | Callable[[], BinaryIO]  # a path, or what opens the capture again (a pipe's spool)
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class RereadLimits:
    """Bounds of re-reading, in bytes. What they drop is counted in Part.dropped."""

    body: int = 8 << 20  # of one message, its head and chunked framing included
    total: int = 256 << 20  # held at once: of messages that are open, and of all that `reread` gives


# An exchange's id, where its request begins as own_number(capture, packet), where its response; NONE.
Wish = tuple[int, int, int]


def key_of(capture: int, asked: object, answered: object) -> int:
    """A number for what is known of an exchange: its capture, its request and its response, None where there is none.

    It holds within this process only.
    """
    return hash((capture, asked, answered))


class Wanted:
    """The exchanges that are looked for, by what is known of them."""

    def __init__(self) -> None:
        self._wishes: dict[int, deque[Wish]] = defaultdict(deque)  # by key_of
        self._clients: set[str] = set()

    def __len__(self) -> int:
        return len(self._wishes)

    def add(self, x: ExchangeView) -> None:
        """Look for this exchange."""
        asked = answered = None
        begins, answers = NONE, NONE
        if x.request_time is not None:
            packet = x.request_packets[0] if x.request_packets else 0
            asked = (packet, x.path, x.request_id, x.request_body_bytes)
            begins = x.capture << 40 | packet
        if x.response_time is not None:
            answers = x.response_packets[0] if x.response_packets else 0
            answered = (answers, x.status, x.response_body_bytes, x.response_body_hash)
        self._wishes[key_of(x.capture, asked, answered)].append((x.id, begins, answers))
        self._clients.add(x.client)

    def reach(self, time: int) -> bool:
        """Reading has come to this time, ns: whether more is wanted now."""
        return False

    def take(self, capture: int, asked: object, answered: object) -> int | None:
        """The id of such an exchange, which is not wanted any more. Equal ones (pipelined in one packet) are taken in order."""
        key = key_of(capture, asked, answered)
        if key not in self._wishes:
            return None
        number = self._wishes[key].popleft()[0]
        if not self._wishes[key]:
            del self._wishes[key]
        return number

    def left(self) -> list[int]:
        """The ids of those not found."""
        return sorted(number for wishes in self._wishes.values() for number, _, _ in wishes)

    def firsts(self) -> tuple[I64, I64]:
        """The packets in which requests begin, as own_number(capture, packet), and the packets in which responses begin."""
        wishes = [wish[1:] for wishes in self._wishes.values() for wish in wishes]
        both = np.array(wishes, np.int64).reshape(-1, 2)
        requests, responses = np.unique(both[:, 0]), np.unique(both[:, 1])
        return requests[requests != NONE], responses[responses != NONE]

    def clients(self) -> I64:
        """The clients' addresses and ports, as `endpoints`, sorted."""
        parts = [client.rsplit(":", 1) for client in self._clients]
        hi_lo = np.array([parse_address(address) for address, _port in parts], np.uint64).reshape(-1, 2)
        return np.sort(
            endpoints(hi_lo[:, 0], hi_lo[:, 1], np.array([int(port) for _address, port in parts], np.uint16))
        )


def endpoints(hi: NDArray[np.uint64], lo: NDArray[np.uint64], port: NDArray[np.uint16]) -> I64:
    """Addresses with ports, a number each."""
    return blend(np.ascontiguousarray(hi), np.ascontiguousarray(lo), port)


def among(values: NDArray[np.integer], known: I64) -> Bool:
    """Which values are in `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return known[at] == values


@dataclass(frozen=True)
class _Half:
    """A message that may be wanted: its capture, what Wanted knows of it, and what it holds."""

    capture: int
    told: object
    part: CapturedMessage


@dataclass(frozen=True)
class _Saved:
    """Bytes of a message that is still open. Those from stream offset `dropped_from` on were let go."""

    stream: int
    pieces: list[tuple[int, bytes]]
    dropped_from: int | None
    size: int


class _Bytes:
    """The bytes of one block of streams, and before them those saved from earlier blocks."""

    def __init__(self, streams: StreamBlock, saved: dict[int, _Saved]) -> None:
        r = streams.runs
        self.arena = streams.arena
        self.saved = saved
        self.slots: list[int] = r.slot.tolist()
        self.rows = list(zip(r.stream.tolist(), r.offset.tolist(), r.at.tolist(), r.length.tolist(), strict=True))

    def open(self, slot: int, stream: int) -> _Saved | None:
        """What was saved of the stream's open message."""
        saved = self.saved.get(slot)
        return saved if saved and saved.stream == stream else None

    def pieces(self, slot: int, stream: int, start: int, stop: int) -> list[tuple[int, bytes]]:
        """What there is of a stream from offset `start` to `stop`."""
        saved = self.open(slot, stream)
        out = within(saved.pieces, start, stop) if saved else []
        low = bisect_left(self.slots, slot)
        for owner, offset, at, length in self.rows[low : bisect_right(self.slots, slot, low)]:
            first, last = max(start, offset), min(stop, offset + length)
            if owner == stream and first < last:
                out.append((first, self.arena[at + first - offset : at + last - offset].tobytes()))
        return out


class Again:
    """One reading of the captures; narrow: of the wanted exchanges' connections only."""

    def __init__(self, wanted: Wanted, narrow: bool, limits: RereadLimits) -> None:
        self.wanted = wanted
        self.limits = limits
        self.clients = wanted.clients() if narrow else None
        self.requests, self.responses = wanted.firsts()
        self.tracker = Tracker()
        self.parser = Parser()
        self.twins: Twins | None = None
        self.saved: dict[int, _Saved] = {}  # by stream slot
        self.asked: dict[int, _Half] = {}  # requests that wait for their response, by message id
        self.answered: dict[int, _Half] = {}  # responses by the id of a request that has not ended
        self.held = 0  # bytes in these three

    def run(self, captures: Sequence[Capture], progress: Progress | None = None) -> Iterator[tuple[int, Content]]:
        """The exchanges as they are found, by id. Raises CaptureError."""
        readers: list[CaptureReader] = []
        try:
            for capture in captures:
                readers += open_captures(capture if isinstance(capture, str) else capture(), len(readers), BLOCK_BYTES)
            self.twins = Twins() if len(readers) > 1 else None
            for block in merge(readers):
                if len(block.segments) and self.wanted.reach(int(block.segments.time.max())):
                    self.requests, self.responses = self.wanted.firsts()
                segments = self._of_interest(block.segments)
                if self.twins is not None:
                    self.twins.add(segments)
                if len(segments):
                    yield from self._step(self.tracker.feed(segments, block.data))
                if progress:
                    progress(block.position, None)
                if not self.wanted:
                    return
            yield from self._step(self.tracker.finish())
            yield from self._matched([(half, None) for half in self.asked.values()])
        finally:
            for reader in readers:
                reader.close()

    def _of_interest(self, s: Segments) -> Segments:
        """The segments that a wanted exchange's client sent or got: NAT may change the server's address, not the client's."""
        if self.clients is None:
            return s
        mask = among(endpoints(s.src_hi, s.src_lo, s.sport), self.clients)
        mask |= among(endpoints(s.dst_hi, s.dst_lo, s.dport), self.clients)
        return s if mask.all() else s.take(mask)

    def _step(self, streams: StreamBlock) -> list[tuple[int, Content]]:
        read = self.parser.feed(streams, self.tracker.synced)
        raw = _Bytes(streams, self.saved)
        pairs = self._pairs(read.messages, raw) if len(read.messages) else []
        self._save(read, streams, raw)
        self.tracker.forget(read.open_slots, read.open_starts)
        self.tracker.release(read.consumed_slots, read.consumed)
        pairs += [(self._let_go(self.asked, n), None) for n in read.unanswered.tolist() if n in self.asked]
        return self._matched(pairs)

    def _matched(self, pairs: list[tuple[_Half | None, _Half | None]]) -> list[tuple[int, Content]]:
        """Those of the exchanges that are wanted."""
        out = []
        for asked, answered in pairs:
            first = asked or answered
            assert first is not None
            number = self.wanted.take(first.capture, asked and asked.told, answered and answered.told)
            if number is not None:
                request, response = (half.part if half else None for half in (asked, answered))
                out.append((number, Content(request, response)))
        return out

    def _pairs(self, m: Messages, raw: _Bytes) -> list[tuple[_Half | None, _Half | None]]:
        """Exchanges that have ended and may be wanted."""
        captures, packets, first, _last = self.tracker.locate(m.slot, m.start, m.end)
        capture = np.zeros(len(m), np.int16)
        if self.twins is not None:
            home = self.tracker.streams(m.slot).capture
            capture, packets = self.twins.in_one_capture(captures, packets, home)
        packet = np.zeros(len(m), np.int64)
        has = packets.lengths > 0
        packet[has] = packets.values[packets.offsets[:-1][has]]
        asks = m.kind == 1
        hit = np.where(asks, among(own_number(capture, packet), self.requests), among(packet, self.responses))
        hit &= first >= 0
        rows = np.flatnonzero(hit)
        pairs: list[tuple[_Half | None, _Half | None]] = []
        halves = self._halves(m.take(rows), capture[rows].tolist(), packet[rows].tolist(), raw)
        ids = np.where(asks, m.id, m.request)
        for half, is_request, request in zip(halves, asks[rows].tolist(), ids[rows].tolist(), strict=True):
            mine, mates = (self.asked, self.answered) if is_request else (self.answered, self.asked)
            if request in mates:
                mate = self._let_go(mates, request)
                pairs.append((half, mate) if is_request else (mate, half))
            elif request < 0:
                pairs.append((None, half))
            else:
                mine[request] = self._kept(half)
        for request in m.request[~asks & ~hit].tolist():  # answered by what nobody wants
            if request in self.asked:
                self._let_go(self.asked, request)
        return pairs

    def _halves(self, m: Messages, capture: list[int], packet: list[int], raw: _Bytes) -> Iterator[_Half]:
        paths, ids = field_of(m, "target"), field_of(m, "request_id")
        names = (
            "kind",
            "slot",
            "stream",
            "status",
            "body_hash",
            "start",
            "head_end",
            "end",
            "facts",
            "body_bytes",
            "gap_bytes",
        )
        columns = [getattr(m, name).tolist() for name in names]
        for k, (kind, slot, stream, status, digest, *places) in enumerate(zip(*columns, strict=True)):
            extent = Extent(*places)
            if kind == 1:
                path, request_id = (runs.bytes(k).decode("latin-1") or None for runs in (paths, ids))
                told: object = (packet[k], path, request_id, extent.body_bytes)
            else:
                known = extent.facts & HASHED == COMPLETE
                told = (packet[k], status, extent.body_bytes, f"xxh64:{digest:016x}" if known else None)
            yield _Half(capture[k], told, self._part(extent, slot, stream, raw))

    def _part(self, extent: Extent, slot: int, stream: int, raw: _Bytes) -> CapturedMessage:
        saved = raw.open(slot, stream)
        most = extent.start + self.limits.body
        stop = min(most, saved.dropped_from) if saved and saved.dropped_from is not None else most
        pieces = raw.pieces(slot, stream, extent.start, min(stop, extent.end))
        return part(extent, pieces, stop if stop < extent.end else None)

    def _save(self, read: Read, streams: StreamBlock, raw: _Bytes) -> None:
        """Keep what this block had of messages that are still open, as far as the limits go."""
        for slot in streams.ends.slot.tolist():
            self._forget(slot)
        rows = zip(read.open_slots.tolist(), read.open_starts.tolist(), read.consumed.tolist(), strict=True)
        owners = self.tracker.stream_numbers(read.open_slots.astype(np.int64)).tolist()
        for (slot, start, stop), stream in zip(rows, owners, strict=True):
            if start >= stop:
                self._forget(slot)
                continue
            old = raw.open(slot, stream)
            limit = start + self.limits.body
            dropped = old.dropped_from if old and old.dropped_from is not None and old.dropped_from > start else None
            dropped = dropped if dropped is not None else limit if stop > limit else None
            pieces = raw.pieces(slot, stream, start, stop if dropped is None else dropped)
            self._forget(slot)
            size = sum(len(piece) for _, piece in pieces)
            if self.held + size > self.limits.total:
                pieces, size, dropped = [], 0, start
            self.saved[slot] = _Saved(stream, pieces, dropped, size)
            self.held += size

    def _forget(self, slot: int) -> None:
        saved = self.saved.pop(slot, None)
        self.held -= saved.size if saved else 0

    def _kept(self, half: _Half) -> _Half:
        """The half as it may be held."""
        if self.held + len(half.part.body) > self.limits.total:
            half = replace(half, part=emptied(half.part))
        self.held += len(half.part.body)
        return half

    def _let_go(self, halves: dict[int, _Half], request: int) -> _Half:
        half = halves.pop(request)
        self.held -= len(half.part.body)
        return half


def emptied(p: CapturedMessage) -> CapturedMessage:
    """The part without its body, for which there is no room."""
    return replace(p, body=b"", holes=(), dropped=p.dropped + len(p.body))


def without_bodies(content: Content) -> Content:
    """The same without bodies, for which there is no room."""
    request, response = (p and emptied(p) for p in (content.request, content.response))
    return Content(request, response, content.why)
