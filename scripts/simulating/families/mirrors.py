"""Plain mirrors: proxies of every kind, several clients, several mirrors, requests rewritten on one of the legs."""

from __future__ import annotations

from collections.abc import Callable

from simulating.build import Build
from simulating.families.family import family, mirrored
from simulating.proxy import Copy, Policy


@family
def plain_envoy(b: Build) -> None:
    mirrored(b, "envoy")
    b.drive()


@family
def envoy_without_suffix(b: Build) -> None:
    mirrored(b, "envoy", suffix=False)
    b.drive()


@family
def suffix_only(b: Build) -> None:
    """No request id, no forwarded-for: Envoy with its headers switched off."""
    mirrored(b, "envoy", request_id=False, forwarded=False, internal=False, attempts=False)
    b.drive()


@family
def request_id_only(b: Build) -> None:
    """One x-request-id on all legs, and nothing that tells the copy from its original."""
    mirrored(b, "envoy", suffix=False, forwarded=False, internal=False, attempts=False)
    b.drive()


@family
def plain_nginx(b: Build) -> None:
    p = mirrored(b, "nginx", forwarded=b.rng.random() < 0.5)
    p.copies[0].host = "mirror.local"
    b.drive()


@family
def plain_traefik(b: Build) -> None:
    mirrored(b, "traefik")
    b.drive()


@family
def plain_haproxy(b: Build) -> None:
    mirrored(b, "haproxy")
    b.drive()


@family
def no_marks(b: Build) -> None:
    mirrored(b, "generic")
    b.drive()


@family
def equal_in_parallel(b: Build) -> None:
    """Several clients send the same request at the same time; answers come from a small pool, or tell whose they are."""
    b.content.mode = b.rng.choice(("unique", "pool", "versions", "equal", "status"))
    mirrored(b, b.kind(), **b.some_marks())
    b.drive(clients=b.rng.randrange(2, 5), equal=True, together=True)


@family
def several_clients(b: Build) -> None:
    mirrored(b, b.kind(), **b.some_marks())
    b.drive(clients=b.rng.randrange(2, 5), together=True)


@family
def pipelined(b: Build) -> None:
    mirrored(b, b.kind(), **b.some_marks())
    b.drive(clients=b.rng.randrange(1, 3), pipelined=True, equal=b.rng.random() < 0.3)


@family
def percentage(b: Build) -> None:
    p = mirrored(b, b.kind(), **b.some_marks())
    p.copies[0].share = b.rng.choice((0.1, 0.5, 0.9))
    b.drive(clients=b.rng.randrange(1, 4))


@family
def two_mirrors(b: Build) -> None:
    p = mirrored(b, b.kind(), **b.some_marks())
    p.copies.append(Copy(b.server("v3"), share=b.rng.choice((1.0, 0.5))))
    b.drive()


@family
def one_server_twice(b: Build) -> None:
    p = mirrored(b, b.kind(), **b.some_marks())
    p.copies.append(Copy(p.copies[0].to))
    b.drive()


@family
def one_server_for_both(b: Build) -> None:
    """Original and copy go to the same address, maybe on one connection."""
    v1 = b.server("v1")
    b.proxy("envoy", Policy([v1], copies=[Copy(v1)]))
    b.content.mode = b.rng.choice(("unique", "pool", "equal"))
    b.drive()


@family
def path_rewritten(b: Build) -> None:
    p = mirrored(b, b.kind(), **b.some_marks())
    strip: Callable[[str], str] = lambda t: t.replace("/api", "", 1) or "/"  # noqa: E731
    if b.rng.random() < 0.5:
        p.target = strip
    else:
        p.copies[0].target = b.rng.choice((strip, lambda t: "/mirror" + t))
    b.drive()


@family
def host_rewritten(b: Build) -> None:
    p = mirrored(b, b.kind(), **b.some_marks())
    if b.rng.random() < 0.5:
        p.host = "v1.default.svc:8080"
    else:
        p.copies[0].host = "v2.default.svc:8080"
    b.drive()


@family
def body_left_out(b: Build) -> None:
    p = mirrored(b, b.rng.choice(("nginx", "generic", "envoy")), suffix=b.rng.random() < 0.3)
    p.copies[0].body = False
    b.drive(methods=("POST", "PUT", "GET"))
