"""Puts a case together: hosts and addresses, servers, proxies, clients and their requests."""

from __future__ import annotations

import random
from collections.abc import Callable

from simulating.actors import Client, Receiver, Scene, Sender, Server
from simulating.content import MODES, Content
from simulating.marks import Marks
from simulating.messages import Request
from simulating.network import MS, SECOND, US
from simulating.proxy import Policy, Proxy

KINDS = ("envoy", "envoy", "envoy", "nginx", "traefik", "haproxy", "generic")
WORDS = ("cart", "items", "price", "user", "stock", "a", "search")


class Build:
    """What a family needs; everything by chance comes from one generator."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.rng = scene, scene.rng
        self.content = Content(self.rng, self.rng.choice((*MODES, "unique", "unique", "versions", "versions")))
        self.at_home = False
        self.slow = False
        self.servers: dict[str, Server] = {}
        self.front: Proxy | None = None
        self.senders: list[Sender] = []
        self.neighbours: list[tuple[Client, Server]] = []
        self.checked: list[Receiver] = []
        self.sidecars: list[Proxy] = []
        self.host = "shop"
        self.net = f"10.{self.rng.randrange(1, 250)}.{self.rng.randrange(250)}"

    def kind(self) -> str:
        return self.rng.choice(KINDS)

    def some_marks(self) -> dict[str, bool]:
        """Suffix or not, and so on."""
        forwarded = self.rng.random() < 0.7
        return {
            "suffix": self.rng.random() < 0.5,
            "request_id": self.rng.random() < 0.8,
            "forwarded": forwarded,
            "internal": forwarded,
        }

    def server(self, name: str, mode: str = "") -> Server:
        """A server, made once."""
        if name not in self.servers:
            n = len(self.servers) + 1
            ip = "127.0.0.1" if self.at_home else f"{self.net}.{20 + n}"
            port = 5000 + n if self.at_home else self.rng.choice((80, 8080, 3000 + n))
            content = Content(self.rng, mode) if mode else self.content
            made = Server(self.scene, name, ip, port, content)
            if self.at_home:
                made.host = "gw"
            if self.rng.random() < 0.1 and not mode:
                content.old.add(name)
            self.servers[name] = made
        return self.servers[name]

    def proxy(self, kind: str, policy: Policy, name: str = "gw", **marks: object) -> Proxy:
        """A proxy; the last one made is what clients ask."""
        ways = Marks(kind, tracing=self.rng.choice(("", "", "b3", "traceparent")) if kind == "envoy" else "")
        for key, value in marks.items():
            setattr(ways, key, value)
        ip = f"{self.net}.{10 + len(self.scene.proxies)}"
        made = Proxy(self.scene, name, ip, self.rng.choice((80, 8000, 8080)), ways, policy)
        if self.at_home:
            made.upstream = made.agent = Sender(self.scene, name, "127.0.0.1", made.upstream.keeps)
        if kind == "haproxy" and self.rng.random() < 0.5:
            made.agent = Sender(self.scene, name, made.upstream.ip, True)
        self.front = made
        return made

    def sidecar(self, server: Server) -> Proxy:
        """In front of a server, in its pod: what takes its requests and passes them on from 127.0.0.6."""
        ways = Marks("generic", request_id=False)
        made = Proxy(self.scene, server.host, server.ip, server.port, ways, Policy([server], role="inbound"))
        made.upstream = made.agent = Sender(self.scene, server.host, "127.0.0.6", True)
        self.scene.proxies.remove(made)
        self.sidecars.append(made)
        server.port = 18080
        return made

    def outside(self, _: Policy, family: str) -> None:
        """Clients reach the proxy at another address than the one from which it asks servers."""
        assert self.front
        if family == "snat":
            self.front.upstream.ip = "192.0.2.99"
        else:
            self.front.ip = "fd00:10::1" if family == "v6" else "192.0.2.7"

    def calls(self, server: Receiver, backend: Receiver) -> None:
        """The server asks another one before it answers."""
        assert isinstance(server, Server)
        server.calls.append((backend, Sender(self.scene, server.host, server.ip, True)))

    def beside(self, server: Server) -> None:
        """A client that asks a server itself, while others ask the proxy."""
        client = Client(self.scene, "neighbour", f"{self.net}.90", self.rng.random() < 0.5)
        self.senders.append(client.sender)
        client.role = "other"
        self.neighbours.append((client, server))

    def health(self, servers: list[Receiver]) -> None:
        """The proxy asks these servers now and then."""
        assert self.front
        self.checked = servers

    def ask_health(self) -> None:
        """Once each."""
        front, keep = self.front, (("User-Agent", "health"),)
        assert front
        for s in self.checked:
            for _ in range(self.rng.randrange(1, 4)):
                asked = Request("GET", self.rng.choice(("/healthz", "/")), f"{s.ip}:{s.port}", keep)
                e = self.scene.exchange("other", front.host, s.host, asked)
                self.scene.after(self.scene.between(MS, SECOND), front.upstream.send, e, s, lambda _: None)

    def request(self, n: int, equal: bool, methods: tuple[str, ...] | None) -> Request:
        """One request of a client."""
        rng = self.rng
        method = rng.choice(methods or ("GET", "GET", "GET", "POST", "DELETE", "PUT"))
        word = WORDS[0] if equal else rng.choice(WORDS)
        unique = not equal and rng.random() < 0.6
        target = f"/api/{word}" + (f"?n={n}" if unique else "")
        body = b""
        if method in ("POST", "PUT"):
            size = rng.choice((0, 12, 300, 5000)) if not equal else 40
            body = (f"{{'n':{0 if equal else n}}}" + "x" * size).encode()
        lines: tuple[tuple[str, str], ...] = (("User-Agent", "curl/8.5.0"), ("Accept", "*/*"))
        return Request(method, target, self.host, lines, body, chunked=bool(body) and rng.random() < 0.2)

    def drive(
        self, clients: int = 1, equal: bool = False, together: bool = False, pipelined: bool = False,
        methods: tuple[str, ...] | None = None, hangs_up: bool = False, both: bool = False,
    ) -> None:  # fmt: skip
        """Let clients ask the proxy, and everything happen."""
        rng, scene, front = self.rng, self.scene, self.front
        assert front
        self.host = rng.choice(
            ("shop", "shop:8000", "shop.example", f"{front.ip}:{front.port}" if ":" not in front.ip else "shop")
        )
        if self.slow:
            for s in self.servers.values():
                s.speed = 80 * MS
        pause = scene.between(100 * US, SECOND)
        if methods and len(methods) == 1 and equal:
            methods = (*methods,)
        elif equal:
            methods = (rng.choice(("GET", "GET", "POST")),)
        total = 0
        for n in range(clients):
            ip = f"{self.net}.{100 + n}" if ":" not in front.ip else f"fd00:10::{100 + n:x}"
            client = Client(scene, f"client{n + 1}", ip, scene.tcp.half_close is False and rng.random() < 0.7)
            if hangs_up:
                client.hangs_up = lambda _: scene.between(MS, 200 * MS) if rng.random() < 0.5 else None
            mine = [self.request(total + k, equal, methods) for k in range(rng.randrange(1, 8 // clients + 2))]
            total += len(mine)
            to = scene.proxies[n % 2] if both else front
            start = 0 if together and n == 0 else scene.between(MS, 5 * MS if together else 2 * SECOND)
            if together and rng.random() < 0.5:
                start = n * rng.randrange(1, 400 * US)
            if pipelined:
                scene.after(start, client.at_once, mine, to)
            else:
                wait: Callable[[], int] = lambda: scene.between(max(1000, pause // 10), pause)  # noqa: E731
                scene.after(start, client.one_by_one, mine, to, wait)
            self.senders.append(client.sender)
            if n < len(self.neighbours):
                neighbour, server = self.neighbours[n]
                wait = lambda: scene.between(max(1000, pause // 10), pause)  # noqa: E731
                scene.after(start + rng.randrange(MS), neighbour.one_by_one, mine, server, wait)
        self.ask_health()
        scene.run()
        for sender in [*self.senders, *(x for p in [*scene.proxies, *self.sidecars] for x in (p.upstream, p.agent))]:  # type: ignore[attr-defined]
            sender.close_idle()
        scene.run(scene.now + 120 * SECOND)


def generator(seed: object, index: int) -> random.Random:
    return random.Random(f"{seed}:{index}")
