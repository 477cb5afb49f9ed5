"""What the http tests share: a connection on the wire, a stand-in for the tcp room that loses packets, and a dull oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inspector.http.parser import Options, Parser, Read
from inspector.http.tables import FIELDS, Fact, Messages, Protocol, Protocols, field_of
from inspector.table import Table
from inspector.tcp.tables import ALONE, UNKNOWN, Chunks, End, Ends, Gap, Runs, StreamBlock


def rows(table: type[Table], found: Sequence[tuple[Any, ...]]) -> Any:
    """A table of numbers from tuples in the order of its columns."""
    names = list(table.__dataclass_fields__)
    if not found:
        return table.empty()
    return table.build(**dict(zip(names, np.array(found, np.int64).T, strict=True)))


@dataclass(frozen=True)
class Packet:
    """Payload of one direction (side 0 or 1); `peer` is what it acknowledged of the other."""

    time: int
    side: int
    offset: int
    data: bytes
    peer: int = UNKNOWN
    captured: int | None = None  # bytes that the snap length left


@dataclass
class Stream:
    """What the stand-in holds of one stream."""

    number: int
    slot: int
    next: int = 0
    kept: list[tuple[int, bytes, int, int, int]] = field(default_factory=list)  # offset, bytes, time, peer, turn
    said: list[tuple[int, int]] = field(default_factory=list)  # of each packet: its offset, what it acknowledged
    gaps: dict[int, tuple[int, Gap]] = field(default_factory=dict)  # offset of the first byte after it -> size, reason
    due: bool = False
    ended: tuple[int, End] | None = None


class Feeder:
    """Feeds one connection's packets to a parser, as the tcp room would: what is not consumed comes again with new bytes."""

    def __init__(self, parser: Parser | None = None, slot: int = 0, number: int = 0, synced: bool = True) -> None:
        self.parser = parser or Parser()
        self.streams = [Stream(number + side, slot + side) for side in (0, 1)]
        self.synced = synced
        if synced:  # both SYNs were seen, and each was acknowledged
            for stream in self.streams:
                stream.said.append((0, 0))
        self.messages: list[Messages] = []
        self.protocols: list[Protocols] = []
        self.unanswered: list[int] = []
        self.opens: dict[int, int] = {}
        self.kept_bytes = 0

    def add(self, packet: Packet) -> None:
        stream = self.streams[packet.side]
        data = packet.data if packet.captured is None else packet.data[: packet.captured]
        if not self.synced and not stream.due and stream.next == 0 and not stream.kept:
            stream.next = packet.offset
        self.say(packet)
        self.miss(packet.side, packet.offset, Gap.LOST)
        if data:
            stream.kept.append((packet.offset, data, packet.time, packet.peer, self.turn(packet)))
            stream.next += len(data)
        stream.due = True
        self.miss(packet.side, packet.offset + len(packet.data), Gap.CUT)

    def say(self, packet: Packet) -> None:
        """What a packet acknowledges; one without payload does nothing else."""
        self.streams[packet.side].said.append((packet.offset, packet.peer))

    def turn(self, packet: Packet) -> int:
        """See Chunks.turn."""
        said = self.streams[1 - packet.side].said
        return max((peer for at, peer in said if at < packet.peer), default=UNKNOWN) if said else ALONE

    def miss(self, side: int, offset: int, reason: Gap) -> None:
        stream = self.streams[side]
        if offset > stream.next:
            at = offset
            while stream.next in stream.gaps and not any(k[0] == stream.next for k in stream.kept):
                size, old = stream.gaps.pop(stream.next)  # one gap after another: they are one here
                stream.next -= size
                reason = max(reason, old)
            stream.gaps[at] = (at - stream.next, reason)
            stream.next = at
            stream.due = True

    def end(self, side: int, how: End, offset: int | None = None) -> None:
        stream = self.streams[side]
        if offset is not None:
            self.miss(side, offset, Gap.LOST)
        stream.ended = (stream.next, how)
        stream.due = True

    def block(self) -> StreamBlock:
        runs, chunks, ends, arena = [], [], [], bytearray(b"\xaa" * 3)
        for s in self.streams:
            if not s.due:
                continue
            # Runs: contiguous kept bytes, broken at gaps; gaps after the last byte are runs of no length.
            starts = sorted({k[0] for k in s.kept} | set(s.gaps))
            for offset in starts:
                gap, reason = s.gaps.get(offset, (0, Gap.NONE))
                piece = next((k for k in s.kept if k[0] == offset), None)
                data = piece[1] if piece else b""
                if runs and runs[-1][0] == s.slot and not gap and runs[-1][2] + runs[-1][4] == offset:
                    runs[-1][4] += len(data)
                else:
                    runs.append([s.slot, s.number, offset, len(arena), len(data), gap, int(reason)])
                arena += data
                if piece:
                    chunks.append((s.slot, s.number, offset, len(data), piece[2], 0, 1, piece[3], piece[4]))
            s.gaps.clear()
            if s.ended:
                ends.append((s.slot, s.number, s.ended[0], int(s.ended[1]), 0, not self.streams[1 - s.slot % 2].said))
        return StreamBlock(
            np.frombuffer(bytes(arena), np.uint8).copy(),
            rows(Runs, [tuple(r) for r in runs]),
            rows(Chunks, chunks),
            rows(Ends, ends),
        )

    def feed(self) -> Read:
        synced = np.full(max(s.slot for s in self.streams) + 1, self.synced)
        read = self.parser.feed(self.block(), lambda slots: synced[slots])
        self.messages.append(read.messages)
        self.protocols.append(read.protocols)
        self.unanswered += read.unanswered.tolist()
        consumed = dict(zip(read.consumed_slots.tolist(), read.consumed.tolist(), strict=True))
        self.opens.update(zip(read.open_slots.tolist(), read.open_starts.tolist(), strict=True))
        for s in self.streams:
            if s.due and s.ended:
                assert s.slot not in consumed
                s.kept = []
            elif s.slot in consumed:
                upto = consumed[s.slot]
                s.kept = [(max(o, upto), d[max(0, upto - o) :], *more) for o, d, *more in s.kept if o + len(d) > upto]
            s.due = False
            s.ended = None
        self.kept_bytes = max(self.kept_bytes, sum(len(k[1]) for s in self.streams for k in s.kept))
        return read

    def result(self) -> list[dict[str, Any]]:
        return sorted(dicts(Messages.concat(self.messages)), key=lambda m: (m["kind"], m["start"]))

    def kinds(self) -> list[tuple[int, Protocol, bytes]]:
        return [
            (int(p.slot[i]), Protocol(int(p.protocol[i])), p.sni.bytes(i))
            for p in self.protocols
            for i in range(len(p))
        ]


NUMBERS = (
    "id", "slot", "kind", "version", "start", "head_end", "end", "status", "attempt", "body_bytes", "gap_bytes", "marks",
)  # fmt: skip


def dicts(messages: Messages) -> list[dict[str, Any]]:
    """Messages as dictionaries with the request named by its offset; text fields as bytes."""
    fields = {name: field_of(messages, name) for name in FIELDS}
    starts = {int(i): int(s) for i, s in zip(messages.id, messages.start, strict=True)}
    out = []
    for i in range(len(messages)):
        row = {name: int(getattr(messages, name)[i]) for name in NUMBERS}
        for name in ("body_hash", "trace", "span", "parent", "headers", "target", "request_id"):
            row[name + "_hash" if name != "body_hash" else name] = int(getattr(messages, name)[i])
        row["facts"] = Fact(int(messages.facts[i]))
        row["request"] = starts.get(int(messages.request[i]), int(messages.request[i]))
        row |= {name: fields[name].bytes(i) for name in FIELDS}
        row["lines"] = messages.text.bytes(i)[int(messages.content_type_end[i]) :]
        out.append(row)
    return out


def whole(
    requests: bytes, responses: bytes = b"", how: End = End.FIN, options: Options | None = None, peers: bool = False
) -> Feeder:
    """Both streams in one block, one packet each."""
    feeder = Feeder(Parser(options))
    if requests:
        feeder.add(Packet(0, 0, 0, requests))
    if responses:
        feeder.add(Packet(1, 1, 0, responses, len(requests) if peers else UNKNOWN))
    feeder.end(0, how)
    feeder.end(1, how)
    feeder.feed()
    return feeder


@dataclass(frozen=True)
class Exchange:
    """Bytes of a request and of all that answers it; `method` matters to how they are read."""

    request: bytes
    response: bytes


def play(exchanges: Sequence[Exchange], cut: Any, burst: int = 1) -> list[Packet]:
    """The packets of a client that sends `burst` requests at a time and waits for their responses before it goes on.

    cut(data) gives the pieces in which data travel.
    """
    packets: list[Packet] = []
    sent = [0, 0]

    def send(side: int, data: bytes, known: int) -> None:
        for piece in cut(data):
            packets.append(Packet(len(packets), side, sent[side], piece, known))
            sent[side] += len(piece)

    for i in range(0, len(exchanges), burst):
        group = exchanges[i : i + burst]
        for e in group:
            send(0, e.request, sent[1])
        for e in group:
            send(1, e.response, sent[0])
    return packets


def run(
    packets: Sequence[Packet], blocks: Sequence[int] = (), lost: frozenset[int] = frozenset(),
    how: End = End.FIN, options: Options | None = None, synced: bool = True,
) -> Feeder:  # fmt: skip
    """Feed the packets that are not lost; a block ends after each packet named in `blocks`."""
    feeder = Feeder(Parser(options), synced=synced)
    total = [0, 0]
    for i, packet in enumerate(packets):
        total[packet.side] = max(total[packet.side], packet.offset + len(packet.data))
        if i not in lost:
            feeder.add(packet)
        if i in blocks:
            feeder.feed()
    for side in (0, 1):
        feeder.end(side, how, total[side])
    feeder.feed()
    return feeder
