"""Events in order of time, and TCP connections between hosts: what is sent, when it leaves and when it arrives.

Times are int nanoseconds of one true clock. A connection writes down every packet; which of them a capture holds, and how, is
decided later (places.py, faults.py).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

US, MS, SECOND = 1_000, 1_000_000, 1_000_000_000
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER = 0, 1


@dataclass
class Tcp:
    """How the connections of a case behave."""

    mss: int = 1460
    delayed_ack: float = 0.2  # share of acknowledgements that wait up to 40 ms
    loss: float = 0.0  # share of data segments that the network loses: they are sent again
    needless: float = 0.0  # share of data segments that are sent twice though they arrived
    late: bool = False  # what is sent again is sent seconds later
    reset_ends: float = 0.1  # share of connections that end with RST
    lingers: float = 0.3  # share of connections that are still open at the end
    half_close: bool = False  # clients send FIN right after their last request
    isn: int | None = None  # every connection begins with this number
    few_ports: bool = False  # ports are used again and again


@dataclass(frozen=True)
class End:
    """One end of a connection."""

    host: str
    ip: str
    port: int


@dataclass(slots=True, eq=False)
class Packet:
    """A segment: `at` counts bytes of its stream (-1: the SYN); `arrived` is None where the network lost it."""

    sent: int
    arrived: int | None
    connection: Connection
    side: int
    at: int
    ack: int | None
    flags: int
    data: bytes
    again: bool = False
    number: int = 0

    @property
    def end(self) -> int:
        return self.at + len(self.data)


@dataclass(slots=True)
class Span:
    """Bytes of a stream that are a request or a response of an exchange."""

    start: int
    end: int
    exchange: Any


class World:
    """The true clock, chance, and all packets."""

    def __init__(self, rng: random.Random, tcp: Tcp) -> None:
        self.rng, self.tcp = rng, tcp
        self.now = 0
        self.packets: list[Packet] = []
        self.connections: list[Connection] = []
        self._events: list[tuple[int, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0

    def after(self, delay: int, do: Callable[..., Any], *args: Any) -> None:
        """Do something after a while."""
        self._count += 1
        heapq.heappush(self._events, (self.now + max(0, delay), self._count, do, args))

    def between(self, low: int, high: int) -> int:
        """A time by chance; small ones are as likely as large ones of the next order."""
        return int(low * (high / low) ** self.rng.random())

    def run(self, until: int = 120 * SECOND) -> None:
        """Let everything happen."""
        while self._events and self._events[0][0] <= until:
            self.now, _, do, args = heapq.heappop(self._events)
            do(*args)


@dataclass(slots=True)
class _Half:
    """What one side of a connection has sent and received."""

    written: int = 0
    sent: int = 0  # of what was written; the rest waits for the line
    received: int = 0  # in order
    acked: int = 0
    free_at: int = 0  # when the line is free for its next segment
    last_arrival: int = 0
    busy_until: int = 0  # what arrived earlier is passed on earlier
    early: dict[int, int] = field(default_factory=dict)  # segments that came before what stands in front of them
    waiting: list[tuple[int, Callable[[], Any]]] = field(default_factory=list)  # offsets, and what happens there
    finished: bool = False
    ended: bool = False
    on_end: Callable[[], Any] | None = None


class Connection:
    """A TCP connection. Sides: 0 the client's, 1 the server's."""

    def __init__(self, world: World, client: End, server: End, latency: int) -> None:
        self.world, self.ends, self.latency = world, (client, server), latency
        rng, isn = world.rng, world.tcp.isn
        self.isn = (isn, isn) if isn is not None else (rng.getrandbits(32), rng.getrandbits(32))
        self.spans: tuple[list[Span], list[Span]] = ([], [])
        self.half = (_Half(), _Half())
        self.number = len(world.connections)
        self.packets: list[Packet] = []
        self.dead = self.given_up = False
        self.pending = 0  # requests that were written and are not answered
        self.opened_at = world.now
        self.encrypted = False
        world.connections.append(self)

    @property
    def open(self) -> bool:
        """Whether the client may still write."""
        return not (self.dead or self.half[0].finished or self.half[1].finished)

    def connect(self, then: Callable[[], Any], refused: Callable[[], Any] | None = None) -> None:
        """Shake hands, or be refused."""
        self._put(CLIENT, -1, SYN, b"", None)
        if refused is not None:
            self.world.after(2 * self.latency, self._refuse, refused)
            return
        self.world.after(self.latency, self._put, SERVER, -1, SYN | ACK, b"", 0)
        self.world.after(2 * self.latency, self._put, CLIENT, 0, ACK, b"", 0)
        self.world.after(2 * self.latency + 5 * US, then)

    def _refuse(self, then: Callable[[], Any]) -> None:
        packet = self._put(SERVER, -1, RST | ACK, b"", 0)
        packet.sent, packet.arrived = self.world.now - self.latency, self.world.now
        self.dead = True
        then()

    def write(self, side: int, data: bytes, exchange: Any, then: Callable[[], Any] | None = None) -> None:
        """Send bytes of a message; `then` happens where they have arrived, all of them."""
        half, world = self.half[side], self.world
        if self.dead or half.finished:
            return
        spans = self.spans[side]
        if spans and spans[-1].exchange is exchange and spans[-1].end == half.written:
            spans[-1].end += len(data)
        else:
            spans.append(Span(half.written, half.written + len(data), exchange))
        start = half.written
        half.written += len(data)
        if then:
            self.half[1 - side].waiting.append((half.written, then))
        size, at = world.tcp.mss, max(world.now, half.free_at)
        for a in range(0, len(data), size):
            piece = data[a : a + size]
            push = PSH if a + size >= len(data) else 0
            world.after(at - world.now, self._send, side, start + a, piece, ACK | push)
            at += 2 * US + len(piece) // 2
        half.free_at = at

    def _send(self, side: int, at: int, data: bytes, flags: int, again: bool = False) -> None:
        if self.dead and not again:
            return
        world, half = self.world, self.half[side]
        packet = self._put(side, at, flags, data, half.received, again)
        half.acked, half.sent = half.received, max(half.sent, at + len(data))
        if data and not again:
            if world.rng.random() < world.tcp.loss:
                packet.arrived = None
                world.after(self._timeout(), self._send, side, at, data, flags, True)
                return
            if world.rng.random() < world.tcp.needless:
                world.after(self._timeout(), self._send, side, at, data, flags, True)
        world.after(packet.arrived - world.now, self._arrive, 1 - side, at, len(data), flags & FIN)  # type: ignore[operator]

    def _timeout(self) -> int:
        return self.world.between(*((3 * SECOND, 8 * SECOND) if self.world.tcp.late else (200 * MS, 400 * MS)))

    def _put(self, side: int, at: int, flags: int, data: bytes, ack: int | None, again: bool = False) -> Packet:
        half = self.half[side]
        arrives = max(self.world.now + self.latency, half.last_arrival + US)
        half.last_arrival = arrives
        packet = Packet(self.world.now, arrives, self, side, at, ack, flags, data, again, len(self.world.packets))
        if self.half[side].ended and ack is not None and at >= 0:
            packet.ack = ack + 1  # the other side's FIN counts
        self.world.packets.append(packet)
        self.packets.append(packet)
        return packet

    def _arrive(self, side: int, at: int, length: int, fin: int) -> None:
        """Segment of the other side is here: what is whole is passed on, and it is acknowledged."""
        half, world = self.half[side], self.world
        if self.dead:
            return
        if self.given_up and side == CLIENT and length:
            self.reset(CLIENT)
            return
        half.early[at] = max(half.early.get(at, 0), at + length)
        while half.received in half.early and half.early[half.received] > half.received:
            half.received = half.early[half.received]
        due = [w for w in half.waiting if w[0] <= half.received]
        half.waiting = [w for w in half.waiting if w[0] > half.received]
        for _, then in due:
            half.busy_until = max(half.busy_until + 1, world.now + world.between(2 * US, 30 * US))
            world.after(half.busy_until - world.now, then)
        if fin:
            half.ended = True
            if half.on_end:
                world.after(world.between(5 * US, 200 * US), half.on_end)
        slow = world.rng.random() < world.tcp.delayed_ack
        delay = world.between(2 * MS, 40 * MS) if slow else world.between(1 * US, 40 * US)
        world.after(0 if fin else delay, self._acknowledge, side, bool(fin))

    def _acknowledge(self, side: int, must: bool) -> None:
        half = self.half[side]
        if not self.dead and (must or half.acked < half.received):
            half.acked = half.received
            self._put(side, half.sent, ACK, b"", half.received)

    def finish(self, side: int) -> None:
        """Send FIN after everything that was written."""
        half = self.half[side]
        if self.dead or half.finished:
            return
        half.finished = True
        self.world.after(max(half.free_at - self.world.now, 0) + US, self._send, side, half.written, b"", FIN | ACK)

    def give_up(self) -> None:
        """The client closes its socket: what still comes is refused."""
        self.given_up = True
        self.finish(CLIENT)

    def reset(self, side: int) -> None:
        """Send RST."""
        if not self.dead:
            self._put(side, self.half[side].sent, RST | ACK, b"", self.half[side].received)
            self.dead = True

    def on_end(self, side: int, do: Callable[[], Any]) -> None:
        """What `side` does when the other one has sent FIN."""
        self.half[side].on_end = do
