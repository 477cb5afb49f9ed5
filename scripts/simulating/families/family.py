"""What a family is: a function that fills a Build. It has a name, and is found by it."""

from __future__ import annotations

from collections.abc import Callable

from simulating.build import Build
from simulating.proxy import Copy, Policy

FAMILIES: dict[str, Callable[[Build], None]] = {}


def family(make: Callable[[Build], None]) -> Callable[[Build], None]:
    FAMILIES[make.__name__.replace("_", "-")] = make
    return make


def mirrored(b: Build, kind: str, **marks: object) -> Policy:
    """A plain mirror: one original, one copy of each request."""
    policy = Policy([b.server("v1")], copies=[Copy(b.server("v2"), when="after" if kind == "traefik" else "with")])
    b.proxy(kind, policy, **marks)
    return policy
