"""Segments for tests, made from short descriptions, and what a Tracker says about them in a form that compares."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import numpy as np

from inspector.capture.tables import Segments
from inspector.tcp import TcpOptions, Tracker
from inspector.tcp.tables import Connections, StreamBlock

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MS = 1_000_000
SECOND = 1000 * MS


@dataclass(frozen=True)
class Packet:
    src: str  # "10.0.0.1:40000"
    dst: str
    seq: int
    flags: int = ACK
    payload: bytes = b""
    ack: int = 0
    time: int = 0
    captured: int | None = None  # payload bytes captured
    ip_id: int | None = None  # None: its own
    tsval: int = 0
    interface: int = 0
    capture: int = 0
    number: int = 0

    def but(self, **changes: object) -> Packet:
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def endpoint(text: str) -> tuple[int, int, int]:
    host, port = text.rsplit(":", 1)
    address = ip_address(host.strip("[]"))
    number = int(address) if address.version == 6 else 0xFFFF00000000 | int(address)
    return number >> 64, number & (2**64 - 1), int(port)


def numbered(packets: Iterable[Packet]) -> list[Packet]:
    """Packet numbers from 1, and an IP identification of its own for each that has none."""
    out = []
    for n, p in enumerate(packets, 1):
        out.append(p.but(number=p.number or n, ip_id=(n % 65535) + 1 if p.ip_id is None else p.ip_id))
    return out


def segments(packets: Sequence[Packet]) -> tuple[Segments, np.ndarray]:
    """The table and the block of data that it points into (with a frame header's worth of dirt between payloads)."""
    data = bytearray(b"\xee" * 7)
    at, captured = [], []
    for p in packets:
        take = len(p.payload) if p.captured is None else min(p.captured, len(p.payload))
        at.append(len(data))
        captured.append(take)
        data += p.payload[:take] + b"\xee" * 5
    src, dst = [endpoint(p.src) for p in packets], [endpoint(p.dst) for p in packets]
    table = Segments.build(
        capture=[p.capture for p in packets],
        packet=[p.number for p in packets],
        time=[p.time for p in packets],
        interface=[p.interface for p in packets],
        src_hi=np.array([s[0] for s in src], np.uint64),
        src_lo=np.array([s[1] for s in src], np.uint64),
        dst_hi=np.array([d[0] for d in dst], np.uint64),
        dst_lo=np.array([d[1] for d in dst], np.uint64),
        sport=[s[2] for s in src],
        dport=[d[2] for d in dst],
        seq=[p.seq % 2**32 for p in packets],
        ack=[p.ack % 2**32 for p in packets],
        flags=[p.flags for p in packets],
        ip_id=[p.ip_id or 0 for p in packets],
        tsval=[p.tsval for p in packets],
        tunnel=[0] * len(packets),
        at=at,
        captured=captured,
        length=[len(p.payload) for p in packets],
    )
    return table, np.frombuffer(bytes(data), np.uint8).copy()


@dataclass
class Stream:
    """A stream as it was handed out: `pieces` are bytes, or (gap length, reason)."""

    pieces: list[bytes | tuple[int, int]] = field(default_factory=list)
    first: int | None = None
    next: int | None = None
    end: tuple[int, int] | None = None  # offset, how
    chunks: list[tuple[int, int, int, int]] = field(default_factory=list)  # offset, length, packet, peer

    @property
    def data(self) -> bytes:
        return b"".join(p for p in self.pieces if isinstance(p, bytes))

    def add(self, offset: int, data: bytes, gap: int, reason: int) -> None:
        if self.first is None or self.next is None:
            self.first = self.next = offset - gap
        assert self.end is None, "bytes after the end"
        assert offset == self.next + gap, "runs of a stream adjoin but for gaps"
        if gap:
            last = self.pieces[-1] if self.pieces else b""
            if isinstance(last, tuple) and last[1] == reason:
                self.pieces[-1] = (last[0] + gap, reason)
            else:
                self.pieces.append((gap, reason))
        if data:
            if self.pieces and isinstance(self.pieces[-1], bytes):
                self.pieces[-1] += data
            else:
                self.pieces.append(data)
        self.next = offset + len(data)


class Reading:
    """Feeds packets in the given portions, checks every block's contract, and collects streams by number."""

    def __init__(self, options: TcpOptions | None = None, forget: bool = True) -> None:
        self.tracker = Tracker(options)
        self.streams: dict[int, Stream] = defaultdict(Stream)
        self.slots: dict[int, int] = {}
        self.forget = forget

    def feed(self, packets: Sequence[Packet]) -> StreamBlock:
        table, data = segments(packets)
        block = self.tracker.feed(table, data)
        data[:] = 0xDD  # nothing may point into it any more
        self._collect(block)
        return block

    def finish(self) -> Reading:
        self._collect(self.tracker.finish())
        return self

    def _collect(self, block: StreamBlock) -> None:
        runs, chunks = block.runs, block.chunks
        covered = defaultdict(int)
        for c in range(len(chunks)):
            covered[int(chunks.stream[c])] += int(chunks.length[c])
        for i in range(len(runs)):
            at, length = int(runs.at[i]), int(runs.length[i])
            number = int(runs.stream[i])
            self.slots[number] = int(runs.slot[i])
            data = block.arena[at : at + length].tobytes()
            assert len(data) == length
            covered[number] -= length
            self.streams[number].add(int(runs.offset[i]), data, int(runs.gap[i]), int(runs.reason[i]))
        assert not any(covered.values()), "the chunks are not the runs"
        assert list(runs.slot) == sorted(runs.slot)
        for c in range(len(chunks)):
            self.streams[int(chunks.stream[c])].chunks.append(
                (int(chunks.offset[c]), int(chunks.length[c]), int(chunks.packet[c]), int(chunks.peer[c]))
            )
        for e in range(len(block.ends)):
            stream = self.streams[int(block.ends.stream[e])]
            assert stream.end is None
            assert stream.next is None or stream.next == int(block.ends.offset[e])
            stream.end = int(block.ends.offset[e]), int(block.ends.how[e])
            self.slots[int(block.ends.stream[e])] = int(block.ends.slot[e])
        if self.forget and len(runs):
            slots = np.unique(runs.slot)
            last = np.searchsorted(runs.slot, slots, side="right") - 1
            self.tracker.forget(slots, runs.offset[last] + runs.length[last])

    def client(self, connection: int = 0) -> Stream:
        return self.streams[2 * connection]

    def server(self, connection: int = 0) -> Stream:
        return self.streams[2 * connection + 1]


def read(
    packets: Iterable[Packet], portions: Sequence[int] | None = None, options: TcpOptions | None = None
) -> Reading:
    """All packets in portions of the given sizes, in turn; at once without any."""
    reading = Reading(options)
    packets = numbered(packets)
    at, turn = 0, 0
    while at < len(packets):
        size = portions[turn % len(portions)] if portions else len(packets)
        reading.feed(packets[at : at + size])
        at, turn = at + size, turn + 1
    return reading.finish()


def result(reading: Reading) -> object:
    """Everything that must not depend on how the packets were divided."""
    streams = {
        number: (s.first, s.pieces, s.end, merged(s.chunks))
        for number, s in reading.streams.items()
        if s.pieces or s.end
    }
    connections = [rows(reading.tracker.connections())]
    return streams, connections, reading.tracker.counts, reading.tracker.copies


def merged(chunks: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    return sorted(set(chunks))


def rows(connections: Connections) -> list[tuple[object, ...]]:
    columns = [getattr(connections, f.name).tolist() for f in dataclasses.fields(connections)]
    return list(zip(*columns, strict=True))


def handshake(
    client: str = "10.0.0.1:40000", server: str = "10.0.0.2:80", isn: int = 1000, other: int = 5000, time: int = 0
) -> list[Packet]:
    return [
        Packet(client, server, isn, SYN, time=time),
        Packet(server, client, other, SYN | ACK, ack=isn + 1, time=time + MS),
        Packet(client, server, isn + 1, ACK, ack=other + 1, time=time + 2 * MS),
    ]
