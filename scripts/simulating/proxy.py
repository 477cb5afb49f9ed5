"""A proxy: takes downstream requests, checks, routes, copies, tries again, and gives the client a response.

What it does is said by a Policy; what it writes into requests by its Marks (marks.py), how a mirror's response
goes astray by leaks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from simulating import marks as writes
from simulating.actors import Receiver, Scene, Sender, Transaction, answer
from simulating.leaks import leaked
from simulating.marks import Marks
from simulating.messages import Exchange, Request, Response
from simulating.network import MS, SERVER, US, Connection

SAME: Callable[[str], str] = lambda target: target  # noqa: E731


@dataclass
class Copy:
    """A mirror policy."""

    to: Receiver
    share: float = 1.0
    body: bool = True
    target: Callable[[str], str] = SAME
    host: str | None = None
    when: str = "with"  # with the original (before or after it), or after its response


@dataclass
class Policy:
    """What a proxy does with a request."""

    servers: list[Receiver] = field(default_factory=list)
    weights: list[float] | None = None
    routes: Callable[[Request], Receiver] | None = None
    copies: list[Copy] = field(default_factory=list)
    mirrored: Callable[[Request], bool] = lambda _: True
    target: Callable[[str], str] = SAME
    host: str | None = None
    own: Callable[[Request], Response | None] = lambda _: None
    checks: list[tuple[Receiver, str | None]] = field(default_factory=list)
    again: str = ""  # failure, timeout, hedge
    patience: int = 300 * MS
    role: str = "original"  # or inbound: a sidecar's call of its own application
    merges: list[tuple[Receiver, Callable[[str], str]]] = field(default_factory=list)
    leaks: Callable[[Transaction], str] = lambda _: ""
    gzips: bool = False
    gunzips: bool = False
    streams: bool = False  # requests and responses are passed on before they are whole
    rewrites: bool = False  # location and cookies
    swaps: Callable[[Transaction], bool] = lambda _: (
        False
    )  # the copy goes to the original's server, and the other way round


class Proxy:
    """Stands between clients and servers. `ip` is where clients find it, `sends_from` where its connections leave."""

    refuses = False

    def __init__(self, scene: Scene, host: str, ip: str, port: int, marks: Marks, policy: Policy) -> None:
        self.scene, self.host, self.ip, self.port, self.marks, self.policy = scene, host, ip, port, marks, policy
        self.upstream = Sender(scene, host, ip, marks.kind not in ("nginx", "haproxy"))
        self.agent = self.upstream  # who sends copies
        self.busy: dict[int, list[Exchange]] = {}
        self.recent: list[Transaction] = []
        scene.proxies.append(self)

    def left(self, c: Connection) -> None:
        """The client sends no more."""
        if c.pending and self.scene.tcp.half_close:
            return
        c.finish(SERVER)
        for t in self.recent:
            if t.downstream.connection is c and t.downstream.response is None and t.how == "nothing":
                t.how = "gone"
                for e in t.originals:
                    if isinstance(e.connection, Connection) and e.response is None:
                        e.connection.give_up()

    @property
    def early(self) -> Callable[[Exchange], None] | None:
        """What is done with the head of a request whose body is still on its way."""
        return self._early if self.policy.streams else None

    def _early(self, exchange: Exchange) -> None:
        exchange.notes["early"] = True
        self._take(exchange)

    def accept(self, exchange: Exchange) -> None:
        """A request is here, whole."""
        exchange.notes["whole"] = True
        for go_on in exchange.notes.pop("waiting", ()):  # type: ignore[attr-defined]
            self.scene.after(self.scene.between(5 * US, 60 * US), go_on)
        if not exchange.notes.get("early"):
            self._take(exchange)

    def _take(self, exchange: Exchange) -> None:
        """Begin with it; pipelined ones wait for those before them."""
        queue = self.busy.setdefault(id(exchange.connection), [])
        queue.append(exchange)
        if len(queue) == 1:
            self.scene.after(self.scene.between(10 * US, 150 * US), self.begin, exchange)

    def begin(self, exchange: Exchange) -> None:
        """Check it, or answer it, or send it on."""
        transaction = Transaction(self.host, exchange)
        exchange.group = exchange.group or transaction
        self.scene.transactions.append(transaction)
        self.recent.append(transaction)
        c = exchange.connection
        assert isinstance(c, Connection)
        prepared = writes.prepared(self.marks, self.scene.rng, exchange.request, c.ends[0].ip)
        exchange.notes["prepared"] = prepared
        self.check(transaction, 0)

    def check(self, t: Transaction, n: int) -> None:
        """Ask a service whether the request may pass; a refusal ends it."""
        if n == len(self.policy.checks):
            self.route(t)
            return
        to, target = self.policy.checks[n]
        asked = writes.to_check(self.marks, self.scene.rng, t.downstream.notes["prepared"], target)  # type: ignore[arg-type]
        sent = self.scene.exchange("check", self.host, to.host, asked)
        sent.group = t
        t.checks.append(sent)

        def decided(e: Exchange) -> None:
            said = e.response
            if said is not None and said.status >= 300:
                t.eligible = False
                self.give(
                    t,
                    replace(said, framing="length", version="1.1", to_head=t.downstream.request.method == "HEAD"),
                    e,
                    "own",
                )
                return
            self.check(t, n + 1)

        self.upstream.send(sent, to, decided, lambda _: self.own(t, 503))

    def route(self, t: Transaction) -> None:
        """Send the request where it belongs, and its copies."""
        p, asked = self.policy, t.downstream.request
        own, prepared = p.own(asked), t.downstream.notes["prepared"]
        assert isinstance(prepared, Request)
        t.eligible = bool(p.copies) and p.mirrored(asked)
        copies = [c for c in p.copies if t.eligible and self.scene.rng.random() < c.share]
        t.downstream.notes["copies"] = [c for c in copies if c.when == "after"]
        t.downstream.notes["expects"] = len(copies)
        if own is not None:
            self.give(t, replace(own, to_head=asked.method == "HEAD"), None, "own")
            for c in copies:
                self.scene.after(self.scene.between(5 * US, 400 * US), self.copy, t, c)
            return
        if p.merges:
            for to, target in p.merges:
                self.attempt(t, to, replace(prepared, target=target(prepared.target)))
            return
        to = p.routes(asked) if p.routes else self.scene.rng.choices(p.servers, p.weights)[0]
        first = [c for c in copies if c.when == "with"]
        t.downstream.notes["swapped"] = bool(first) and p.swaps(t)
        if t.downstream.notes["swapped"]:
            to = first[0].to
        request = replace(prepared, target=p.target(prepared.target), host=p.host or prepared.host)
        if self.scene.rng.random() < 0.5:
            self.attempt(t, to, request)
            for c in first:
                self.scene.after(self.scene.between(1 * US, 300 * US), self.copy, t, c)
        else:
            for c in first:
                self.copy(t, c)
            self.scene.after(self.scene.between(1 * US, 200 * US), self.attempt, t, to, request)

    def attempt(self, t: Transaction, to: Receiver, request: Request) -> None:
        """Send the request to the original, for the first time or again."""
        if t.how != "nothing":
            return
        number = len(t.originals) + 1 if not self.policy.merges else 1
        sent = self.scene.exchange(
            "attempt" if number > 1 else self.policy.role, self.host, to.host,
            writes.to_original(self.marks, self.scene.rng, request, number),
        )  # fmt: skip
        sent.group = t
        t.originals.append(sent)
        sent.notes["source"] = t.downstream
        self.upstream.send(
            sent, to, lambda e: self.answered(t, e), lambda e: self.failed(t, e), lambda e: self.begun(t, e)
        )
        self.scene.after(self.policy.patience * 6, self.no_answer, t, sent)
        again = self.policy.again
        if again in ("timeout", "hedge") and number == 1:
            self.scene.after(self.policy.patience, self.late, t, sent, request)

    def no_answer(self, t: Transaction, sent: Exchange) -> None:
        """The client waits no longer."""
        if sent.response is None and t.how == "nothing":
            sent.notes["given-up"] = True
            if isinstance(sent.connection, Connection):
                sent.connection.give_up()
            self.own(t, 504)

    def late(self, t: Transaction, sent: Exchange, request: Request) -> None:
        """The first attempt takes too long: give it up, or try beside it."""
        if sent.response is not None or t.how != "nothing":
            return
        if self.policy.again == "timeout":
            sent.notes["given-up"] = True
            if isinstance(sent.connection, Connection):
                sent.connection.give_up()
        self.attempt(t, self.other(sent), request)

    def other(self, sent: Exchange) -> Receiver:
        """Where a second attempt goes."""
        others = [s for s in self.policy.servers if s.host != sent.receiver]
        return self.scene.rng.choice(others or self.policy.servers)

    def answered(self, t: Transaction, e: Exchange) -> None:
        """A response of the original is here."""
        again = self.policy.again == "failure" and len(t.originals) == 1
        if again and e.response is not None and e.response.status >= 500:
            self.scene.after(self.scene.between(20 * US, 30 * MS), self.attempt, t, self.other(e), e.request)
            return
        for c in t.downstream.notes.pop("copies", ()):  # type: ignore[attr-defined]
            self.scene.after(self.scene.between(10 * US, 500 * US), self.copy, t, c)
        if self.policy.merges:
            if all(o.response is not None for o in t.originals) and t.how == "nothing":
                bodies = b",".join(o.response.body for o in t.originals if o.response)
                self.give(
                    t, Response(200, (("content-type", "application/json"),), b"[" + bodies + b"]"), None, "merged"
                )
            return
        early = t.downstream.notes.pop("head-sent", None)
        shape = self.policy.leaks(t) if t.how == "nothing" and early is None else ""
        if shape:
            self.leak(t, e, shape, 0)
        elif t.how == "nothing" and not e.notes.get("given-up"):
            assert e.response is not None
            self.give(
                t, early if isinstance(early, Response) else self.down(t, e.response), e, "whole", early is not None
            )

    def begun(self, t: Transaction, e: Exchange) -> None:
        """The head of the original's response is here: it may go down at once."""
        p, said = self.policy, e.response
        c = t.downstream.connection
        plain = p.streams and not (p.gzips or p.gunzips or p.merges or p.again) and t.how == "nothing"
        if (
            plain
            and said is not None
            and said.cut is None
            and said.version == "1.1"
            and isinstance(c, Connection)
            and not p.leaks(t)
        ):
            response = self.down(t, said)
            t.downstream.notes["head-sent"] = response
            c.write(SERVER, response.head(), t.downstream)

    def leak(self, t: Transaction, original: Exchange, shape: str, tries: int) -> None:
        """Give the client something of a mirror's, as soon as it is here; after a while, what is right."""
        found = leaked(self.recent, t, original, shape)
        if found is None and tries < 60:
            self.scene.after(20 * MS, self.leak, t, original, shape, tries + 1)
        elif t.how == "nothing":
            assert original.response is not None
            response, whose, how = found or (original.response, original, "whole")
            self.give(t, self.down(t, response), whose, how)

    def failed(self, t: Transaction, e: Exchange) -> None:
        """The original will not answer."""
        if e.notes.get("given-up") or t.how != "nothing":
            return
        if self.policy.again == "failure" and len(t.originals) == 1:
            self.scene.after(self.scene.between(20 * US, 30 * MS), self.attempt, t, self.other(e), e.request)
            return
        self.own(t, 502)

    def own(self, t: Transaction, status: int) -> None:
        """An error page."""
        self.give(t, Response(status, (("content-type", "text/plain"),), b"upstream error\n"), None, "own")

    def copy(self, t: Transaction, c: Copy) -> None:
        """Send a mirror."""
        if t.how == "gone":
            return
        if t.downstream.notes.get("early") and not t.downstream.notes.get("whole") and self.scene.rng.random() < 0.5:
            t.downstream.notes.setdefault("waiting", []).append(lambda: self.copy(t, c))  # type: ignore[attr-defined]
            return
        prepared = t.downstream.notes["prepared"]
        assert isinstance(prepared, Request)
        asked = replace(prepared, target=c.target(prepared.target), host=c.host or prepared.host)
        if not c.body:
            asked = replace(asked, body=b"", chunked=False, bodiless=True)
        to = self.policy.servers[0] if t.downstream.notes.get("swapped") else c.to
        first = t.originals[0].request if t.originals else None
        asked, signs = writes.to_mirror(
            self.marks, self.scene.rng, asked, first, self.upstream.ip, f"{to.ip}:{to.port}"
        )
        sent = self.scene.exchange("mirror", self.agent.host, to.host, asked)
        sent.marks, sent.group = signs, t
        sent.notes["source"] = t.downstream
        t.mirrors.append(sent)
        self.agent.send(sent, to, lambda _: None, lambda _: None)
        limit = self.policy.patience * 4
        self.scene.after(limit, self.stop_waiting, sent)

    def stop_waiting(self, sent: Exchange) -> None:
        """A mirror that does not answer in time is given up."""
        if sent.response is None and isinstance(sent.connection, Connection) and sent.connection.open:
            sent.notes["given-up"] = True
            (sent.connection.give_up if self.scene.rng.random() < 0.7 else lambda: sent.connection.reset(0))()  # type: ignore[attr-defined]

    def down(self, t: Transaction, response: Response) -> Response:
        """What the proxy changes in a response on its way to the client."""
        rng, p = self.scene.rng, self.policy
        response = replace(response, version="1.1")
        if response.framing == "close" and response.cut is None:
            response = replace(response, framing="chunked" if rng.random() < 0.5 else "length")
        if self.marks.kind == "envoy":
            response = response.plus(("server", "envoy"), ("x-envoy-upstream-service-time", str(rng.randrange(40))))
        elif self.marks.kind == "nginx":
            response = response.plus(("Server", "nginx/1.22.1"), ("Connection", "keep-alive"))
        if p.gzips and len(response.body) > 30 and not response.silent and not response.coding:
            response = replace(response, coding="gzip", framing="chunked").plus(("vary", "Accept-Encoding"))
        if p.gunzips and response.coding:
            response = replace(response, coding="")
        if p.rewrites:
            lines = tuple((k, v.replace("http://v1.internal:8080/", "http://shop.example/").replace(
                "http://v2.internal:8080/", "http://shop.example/").replace("v1.internal", "shop.example").replace(
                "v2.internal", "shop.example")) for k, v in response.lines)  # fmt: skip
            response = replace(response, lines=lines)
        return response

    def give(self, t: Transaction, response: Response, whose: Exchange | None, how: str, begun: bool = False) -> None:
        """Answer the client, and take its next request."""
        if t.how != "nothing":
            return
        t.how, t.given = how, whose
        scene, c = self.scene, t.downstream.connection
        pause = scene.between(20 * US, 2 * MS) if scene.rng.random() < 0.2 else 0
        scene.after(scene.between(10 * US, 300 * US), answer, scene, t.downstream, response, pause, begun)
        queue = self.busy.get(id(c), [])
        if t.downstream in queue:
            queue.remove(t.downstream)
        if queue:
            scene.after(pause + 400 * US, self.begin, queue[0])
