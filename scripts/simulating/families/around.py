"""Who else is there: next hops, other clients, other proxies, addresses, routes without a mirror."""

from __future__ import annotations

from simulating.build import Build
from simulating.families.family import family, mirrored
from simulating.proxy import Copy, Policy


@family
def aggregator(b: Build) -> None:
    same = b.rng.random() < 0.5
    parts = [(b.server("v1"), lambda t: t), (b.server("v2"), (lambda t: t) if same else (lambda t: "/other" + t))]
    b.proxy(b.rng.choice(("generic", "envoy", "nginx")), Policy(merges=parts))
    b.drive()


@family
def balanced(b: Build) -> None:
    """Weighted or round robin, no mirror."""
    p = Policy([b.server("v1"), b.server("v2")], weights=b.rng.choice((None, [0.9, 0.1])))
    b.proxy(b.kind(), p, **b.some_marks())
    b.drive(clients=b.rng.randrange(1, 4), equal=b.rng.random() < 0.6, together=b.rng.random() < 0.7)


@family
def cascades(b: Build) -> None:
    """Servers ask another one before they answer, with the same request id and sometimes the same path."""
    backend = b.server("backend")
    p = mirrored(b, b.kind(), **b.some_marks())
    for to in [p.servers[0]] * (b.rng.random() < 0.7) + [p.copies[0].to] * (b.rng.random() < 0.7):
        b.calls(to, backend)
    b.drive()


@family
def localhost(b: Build) -> None:
    """Backends on the proxy's own host, on 127.0.0.1."""
    b.at_home = True
    mirrored(b, b.rng.choice(("nginx", "generic", "envoy", "traefik")), **b.some_marks())
    b.drive()


@family
def two_addresses(b: Build) -> None:
    """Inside and outside, IPv6 and IPv4, or SNAT."""
    p = mirrored(b, b.kind(), **b.some_marks())
    b.outside(p, b.rng.choice(("v4", "v6", "snat")))
    b.drive()


@family
def chained(b: Build) -> None:
    """A proxy behind a proxy; one of them mirrors, or both."""
    inner = Policy([b.server("v1")], copies=[Copy(b.server("v2"))] if b.rng.random() < 0.8 else [])
    second = b.proxy(b.kind(), inner, name="gw2", **b.some_marks())
    outer = Policy([second], copies=[] if inner.copies and b.rng.random() < 0.6 else [Copy(b.server("v3"))])
    b.proxy(b.kind(), outer, **b.some_marks())
    b.drive()


@family
def streamed(b: Build) -> None:
    """Heads are passed on before bodies are here: the original begins before its client's request is whole."""
    p = mirrored(b, b.kind(), **b.some_marks())
    p.streams = True
    b.content.sizes = (3000, 14000)
    b.drive(clients=b.rng.randrange(1, 3), methods=("POST", "PUT", "GET"))


@family
def serves_too(b: Build) -> None:
    """The mirror's server is the original of other requests, through the same proxy."""
    p = mirrored(b, b.kind(), **b.some_marks())
    v1, v2 = p.servers[0], p.copies[0].to
    p.routes = lambda r: v2 if r.target.split("?")[0].endswith(("/stock", "/a")) else v1
    p.mirrored = lambda r: p.routes(r) is v1  # type: ignore[misc]
    b.drive(clients=b.rng.randrange(1, 3))


@family
def asked_directly(b: Build) -> None:
    """Other clients ask the mirror's server themselves, the same requests at the same time."""
    mirrored(b, b.kind(), **b.some_marks())
    b.beside(b.servers["v2"])
    b.drive(clients=2, equal=b.rng.random() < 0.6, together=True)


@family
def health_checks(b: Build) -> None:
    """The proxy asks its servers whether they are well; no client asked for it."""
    p = mirrored(b, b.kind(), **b.some_marks())
    b.health([p.servers[0], p.copies[0].to])
    b.drive()


@family
def split_and_mirrored(b: Build) -> None:
    """Two originals by weight, and a mirror of both or of one."""
    p = mirrored(b, b.kind(), **b.some_marks())
    p.servers.append(b.server("v1b"))
    b.drive(clients=b.rng.randrange(1, 4))


@family
def two_proxies(b: Build) -> None:
    """Two gateways beside each other, with the same servers; one of them mirrors, or both."""
    copies = [Copy(b.server("v2"))]
    b.proxy(
        b.kind(), Policy([b.server("v1")], copies=copies if b.rng.random() < 0.5 else []), name="gw2", **b.some_marks()
    )
    b.proxy(b.kind(), Policy([b.server("v1")], copies=copies), **b.some_marks())
    b.drive(clients=3, equal=b.rng.random() < 0.6, together=True, both=True)


@family
def sidecars(b: Build) -> None:
    """Servers have sidecars: the same request once more, from 127.0.0.6 to the application."""
    v1, v2 = b.sidecar(b.server("v1")), b.sidecar(b.server("v2"))
    b.proxy(b.kind(), Policy([v1], copies=[Copy(v2)]), **b.some_marks())
    b.drive(clients=b.rng.randrange(1, 3))
