"""Clients are given something of a mirror's response."""

from __future__ import annotations

from simulating.build import Build
from simulating.families.family import FAMILIES, family, mirrored
from simulating.leaks import SHAPES
from simulating.proxy import Policy


def leaks(b: Build, shape: str, marks: bool, **how: object) -> Policy:
    """Some transactions leak; how many is by chance."""
    modes = {"location": "locations", "cookie": "cookies", "head": b.rng.choice(("etags", "unique"))}
    b.content.mode = modes.get(shape) or b.rng.choice(("unique", "versions", "status", "pool"))
    p = mirrored(b, "envoy" if marks else b.kind(), **(b.some_marks() if marks else {"suffix": False}))
    rate = b.rng.choice((0.2, 0.5, 1.0))
    p.leaks = lambda _: shape if b.rng.random() < rate else ""
    p.gzips = shape != "coded" and b.rng.random() < 0.1
    b.drive(methods=("HEAD",) if shape == "head" else None, **how)
    return p


def _leak_families() -> None:
    for shape in SHAPES:
        several = {"clients": 3, "together": True, "equal": True} if shape == "foreign" else {}

        def make(b: Build, shape: str = shape, several: dict[str, object] = several) -> None:
            parallel = {"clients": 3, "together": True, "equal": b.rng.random() < 0.5} if b.rng.random() < 0.3 else {}
            leaks(b, shape, b.rng.random() < 0.7, **(several or parallel))

        FAMILIES[f"leak-{shape}"] = make


_leak_families()


@family
def roles_exchanged(b: Build) -> None:
    """For some requests the original goes to the mirror's server and the marked copy to the original's."""
    p = mirrored(b, "envoy", suffix=True)
    rate = b.rng.choice((0.2, 0.5))
    p.swaps = lambda _: b.rng.random() < rate
    b.drive()
