"""Who sends and answers requests: clients, servers, and what they have in common. Proxies stand in proxy.py."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from simulating.content import Content
from simulating.messages import Exchange, Request, Response
from simulating.network import CLIENT, MS, SERVER, US, Connection, End, Tcp, World

Then = Callable[[Exchange], None]


class Receiver(Protocol):
    """Who takes requests."""

    host: str
    ip: str
    port: int
    refuses: bool

    def accept(self, exchange: Exchange) -> None: ...

    def left(self, c: Connection) -> None: ...


@dataclass(eq=False)
class Transaction:
    """All that a proxy did for one downstream request."""

    proxy: str
    downstream: Exchange
    originals: list[Exchange] = field(default_factory=list)  # attempts too, in order
    mirrors: list[Exchange] = field(default_factory=list)
    checks: list[Exchange] = field(default_factory=list)
    given: Exchange | None = None  # whose response the client got; None: the proxy's own, or none at all
    how: str = "nothing"  # whole, rewritten, own, merged, nothing; of a leak: its shape
    eligible: bool = True  # whether a policy mirrors such requests


class Scene(World):
    """A world with exchanges and transactions."""

    def __init__(self, rng: random.Random, tcp: Tcp) -> None:
        super().__init__(rng, tcp)
        self.exchanges: list[Exchange] = []
        self.transactions: list[Transaction] = []
        self.proxies: list[Receiver] = []
        self.ports = rng.randrange(32768, 50000)
        self.latency: dict[tuple[str, str], int] = {}

    def exchange(self, role: str, sender: str, receiver: str, request: Request) -> Exchange:
        made = Exchange(len(self.exchanges), role, sender, receiver, request)
        self.exchanges.append(made)
        return made

    def port(self, ip: str, to: Receiver) -> int:
        """Where the next connection leaves."""
        if self.tcp.few_ports:
            ends = [c.ends for c in self.connections if not (c.dead or (c.half[0].ended and c.half[1].ended))]
            used = {a.port for a, b in ends if (a.ip, b.ip, b.port) == (ip, to.ip, to.port)}
            return next(p for p in range(40000, 41000) if p not in used)
        self.ports += self.rng.randrange(1, 9)
        return self.ports

    def delay(self, a: str, b: str) -> int:
        """One way between two hosts."""
        if a == b:
            return 6 * US
        key = (min(a, b), max(a, b))
        if key not in self.latency:
            self.latency[key] = self.between(20 * US, 800 * US)
        return self.latency[key]


class Sender:
    """The client side of HTTP: opens connections, keeps them, sends requests and waits for responses."""

    def __init__(self, scene: Scene, host: str, ip: str, keeps: bool = True) -> None:
        self.scene, self.host, self.ip, self.keeps = scene, host, ip, keeps
        self.idle: dict[tuple[str, int], list[Connection]] = {}

    def connection(self, to: Receiver, ready: Callable[[Connection], None], failed: Callable[[], None] | None) -> None:
        """An idle connection, or a new one."""
        waiting = self.idle.get((to.ip, to.port), [])
        while waiting:
            old = waiting.pop()
            if old.open and not old.half[SERVER].ended:
                ready(old)
                return
        ends = End(self.host, self.ip, self.scene.port(self.ip, to)), End(to.host, to.ip, to.port)
        made = Connection(self.scene, *ends, self.scene.delay(self.host, to.host))
        made.on_end(SERVER, lambda: to.left(made))
        made.on_end(CLIENT, lambda: made.finish(CLIENT))
        made.connect(lambda: ready(made), failed or (lambda: None) if to.refuses else None)

    def send(
        self, exchange: Exchange, to: Receiver, then: Then, failed: Then | None = None, begun: Then | None = None
    ) -> None:
        """Send a request. `then`: its response is here, `begun`: its first bytes are, `failed`: there will be none."""
        exchange.notes.update(then=then, failed=failed, begun=begun, by=self)
        gone = (lambda: failed(exchange)) if failed else None
        self.connection(to, lambda c: self._write(c, exchange, to), gone)

    def _write(self, c: Connection, exchange: Exchange, to: Receiver) -> None:
        if exchange.notes.get("cancelled"):
            self.release(c)
            return
        exchange.connection = c
        c.pending += 1
        head, tail = exchange.request.head(), exchange.request.tail()
        whole = lambda: to.accept(exchange)  # noqa: E731
        source = exchange.notes.get("source")
        if tail and isinstance(source, Exchange) and not source.notes.get("whole"):
            c.write(CLIENT, head, exchange)  # the body follows when the proxy has it
            source.notes.setdefault("waiting", []).append(lambda: c.write(CLIENT, tail, exchange, whole))  # type: ignore[attr-defined]
            return
        early = getattr(to, "early", None)
        if tail and early is not None:
            c.write(CLIENT, head, exchange, lambda: early(exchange))
            self.scene.after(self.scene.between(20 * US, 20 * MS), c.write, CLIENT, tail, exchange, whole)
        elif tail and self.scene.rng.random() < 0.4:
            c.write(CLIENT, head, exchange)
            self.scene.after(self.scene.between(20 * US, 3 * MS), c.write, CLIENT, tail, exchange, whole)
        else:
            c.write(CLIENT, head + tail, exchange, whole)
        if self.scene.tcp.half_close and not self.keeps:
            self.scene.after(50 * US if not tail else 4 * MS, c.finish, CLIENT)

    def release(self, c: Connection) -> None:
        """A connection is free for the next request, or closed."""
        if self.keeps and c.open:
            peer = c.ends[1]
            self.idle.setdefault((peer.ip, peer.port), []).append(c)
        elif c.open:
            rng = self.scene.rng
            do = c.reset if rng.random() < self.scene.tcp.reset_ends else c.finish
            self.scene.after(self.scene.between(5 * US, 2 * MS), do, CLIENT)

    def close_idle(self) -> None:
        """At the end some connections are closed, others stay open."""
        for c in [c for waiting in self.idle.values() for c in waiting]:
            if c.open and self.scene.rng.random() >= self.scene.tcp.lingers:
                (c.reset if self.scene.rng.random() < self.scene.tcp.reset_ends else c.finish)(CLIENT)


def answer(scene: Scene, exchange: Exchange, response: Response, pause: int = 0, begun_: bool = False) -> None:
    """Write a response; who asked hears of it when all of it has arrived. `begun_`: its head went down before."""
    c = exchange.connection
    assert isinstance(c, Connection)
    if c.dead or c.half[SERVER].finished:
        return
    exchange.response = response
    c.pending -= 1
    last = (
        response.framing == "close" or response.version == "1.0" or response.cut is not None
        or exchange.request.line("connection") == "close" or (c.half[SERVER].ended and not c.pending)
    )  # fmt: skip
    head, tail = response.head(), response.tail()
    begun, then, by = (exchange.notes.get(k) for k in ("begun", "then", "by"))

    def arrived() -> None:
        exchange.notes["answered"] = True
        if isinstance(by, Sender) and not last:
            by.release(c)
        if callable(then):
            then(exchange)

    first = (lambda: begun(exchange)) if callable(begun) else None
    if begun_:
        c.write(SERVER, tail, exchange, arrived)
        end = 10 * US
    elif pause and tail:
        c.write(SERVER, head, exchange, first)
        scene.after(pause, c.write, SERVER, tail, exchange, arrived)
        end = pause + 10 * US
    else:
        c.write(SERVER, head + tail, exchange, arrived)
        end = 10 * US
    if last:
        scene.after(end, c.reset if response.cut is not None and scene.rng.random() < 0.5 else c.finish, SERVER)


class Server:
    """Answers requests."""

    refuses = False

    def __init__(self, scene: Scene, name: str, ip: str, port: int, content: Content) -> None:
        self.scene, self.name, self.host, self.ip, self.port, self.content = scene, name, name, ip, port, content
        self.speed = scene.between(300 * US, 20 * MS)  # about how long it takes
        self.spread = 4.0
        self.fails: Callable[[Exchange], str] = lambda _: ""  # "", never, reset, refuse, partial, slow, late
        self.calls: list[tuple[Receiver, Sender]] = []  # what it asks before it answers
        self.host = name

    def left(self, c: Connection) -> None:
        """The other side sends no more."""
        if not c.pending:
            c.finish(SERVER)

    def accept(self, exchange: Exchange) -> None:
        """A request is here, whole."""
        if self.calls and exchange.role != "cascade":
            to, sender = self.calls[0]
            asked = exchange.request
            keep = tuple(x for x in asked.lines if x[0].lower() in ("x-request-id", "traceparent", "x-b3-traceid"))
            target = asked.target if self.scene.rng.random() < 0.5 else "/stock"
            call = self.scene.exchange(
                "cascade", self.host, to.host, Request("GET", target, f"{to.host}:{to.port}", keep)
            )
            sender.send(call, to, lambda _: self.reply(exchange), lambda _: self.reply(exchange))
            return
        self.reply(exchange)

    def reply(self, exchange: Exchange) -> None:
        """Answer, or fail."""
        scene, c = self.scene, exchange.connection
        assert isinstance(c, Connection)
        fate = self.fails(exchange)
        delay = scene.between(max(1, int(self.speed / self.spread)), int(self.speed * self.spread))
        if fate == "never":
            return
        if fate == "reset":
            scene.after(delay, c.reset, SERVER)
            scene.after(delay + 2 * self.scene.delay(*(e.host for e in c.ends)), self._failed, exchange)
            return
        if fate == "slow":
            delay += scene.between(400 * MS, 1500 * MS)
        response = self.content.response(self, exchange.request)
        if fate == "error":
            response = Response(503, (("content-type", "text/plain"),), b"overloaded\n")
        if fate == "partial" and len(response.tail()) > 1:
            cut = scene.rng.randrange(len(response.tail()))
            response = Response(**{**response.__dict__, "cut": cut})
        pause = scene.between(50 * US, 30 * MS) if scene.rng.random() < 0.25 else 0
        scene.after(delay, answer, scene, exchange, response, pause)

    def _failed(self, exchange: Exchange) -> None:
        failed = exchange.notes.get("failed")
        if callable(failed):
            failed(exchange)


class Client:
    """Sends requests to a proxy, one after the other or several at once on one connection."""

    def __init__(self, scene: Scene, name: str, ip: str, keeps: bool) -> None:
        self.scene, self.name, self.role = scene, name, "downstream"
        self.sender = Sender(scene, name, ip, keeps)
        self.hangs_up: Callable[[Request], int | None] = lambda _: None  # after how long

    def one_by_one(self, requests: list[Request], to: Receiver, pause: Callable[[], int]) -> None:
        """The next request when the last one is answered."""
        if not requests:
            return
        made = self.scene.exchange(self.role, self.name, to.host, requests[0])
        went_on = []

        def go_on(_: Exchange) -> None:
            if not went_on:
                went_on.append(1)
                self.scene.after(pause(), self.one_by_one, requests[1:], to, pause)

        self.sender.send(made, to, go_on, go_on)
        patience = self.hangs_up(requests[0])
        if patience is not None:
            self.scene.after(patience, self._leave, made, go_on)

    def _leave(self, exchange: Exchange, go_on: Then) -> None:
        c = exchange.connection
        if isinstance(c, Connection) and not exchange.notes.get("answered") and exchange.response is None:
            exchange.notes["left"] = True
            if self.scene.rng.random() < 0.4:
                c.reset(CLIENT)
            else:
                c.give_up()
            go_on(exchange)

    def at_once(self, requests: list[Request], to: Receiver) -> None:
        """Pipelined: all on one connection, without waiting."""
        made = [self.scene.exchange("downstream", self.name, to.host, r) for r in requests]

        def write(c: Connection) -> None:
            c.pending += len(made)
            for e in made:
                e.connection = c
                e.notes.update(then=lambda _: None, by=None)
                c.write(CLIENT, e.request.head() + e.request.tail(), e, lambda e=e: to.accept(e))

        self.sender.connection(to, write, None)
