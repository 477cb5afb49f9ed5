"""A case: a family, one or two faults and a place, all of it determined by a seed and a number."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from functools import lru_cache

from simulating.actors import Scene
from simulating.build import Build, generator
from simulating.families import FAMILIES
from simulating.faults import FAULTS, LINKS
from simulating.network import Tcp
from simulating.places import PLACES, Captures
from simulating.wire import pcap


@dataclass
class Case:
    """What happened, and what was captured of it."""

    seed: str
    index: int
    family: str
    faults: list[str]
    place: str
    scene: Scene
    taken: Captures

    @property
    def name(self) -> str:
        return f"{self.family} {'+'.join(self.faults)} {self.place} (--seed {self.seed} --only {self.index})"

    def files(self) -> list[bytes]:
        """The captures as pcap files."""
        t = self.taken
        return [pcap(f, t.link, t.right_sums, t.nano, t.snaplen) for f in t.files]

    def inputs(self) -> list[io.BytesIO]:
        return [io.BytesIO(data) for data in self.files()]


@lru_cache(maxsize=8)
def _orders(seed: str) -> tuple[list[str], list[str]]:
    """Families and faults in the order of this seed."""
    families, faults = sorted(FAMILIES), sorted(FAULTS)
    order = random.Random(f"order:{seed}")
    order.shuffle(families)
    order.shuffle(faults)
    return families, faults


def plan(seed: str, index: int) -> tuple[str, list[str], str]:
    """Family, faults and place of a case. Every family meets every fault in turn; half of the places are the proxy."""
    rng = random.Random(f"plan:{seed}:{index}")
    families, faults = _orders(seed)
    family = families[index % len(families)]
    chosen = [faults[(index // len(families) + index) % len(faults)]]
    if rng.random() < 0.3:
        chosen.append(rng.choice(faults))
    if rng.random() < 0.15:
        chosen = ["none"]
    chosen = sorted({f for f in chosen if f != "none"}) or ["none"]
    place = "proxy" if rng.random() < 0.5 else rng.choice(sorted(PLACES))
    return family, chosen, place


def make(seed: str, index: int) -> Case:
    """The case with this number."""
    family, faults, place = plan(seed, index)
    rng = generator(seed, index)
    tcp = Tcp(delayed_ack=rng.choice((0.0, 0.2, 0.6)), reset_ends=rng.choice((0.0, 0.2)), lingers=rng.random())
    for name in faults:
        before = FAULTS[name].before
        if before:
            before(tcp, rng)
    scene = Scene(rng, tcp)
    FAMILIES[family](Build(scene))
    taken = PLACES[place](scene)
    taken.link, taken.right_sums, taken.nano = rng.choice(LINKS), rng.random() < 0.5, rng.random() < 0.6
    last = {"disorder": 1, "clock-steps": 2}  # nothing is sorted by time after these
    for name in sorted(faults, key=lambda n: last.get(n, 0)):
        after = FAULTS[name].after
        if after:
            after(scene, taken, rng)
            taken.complete &= not FAULTS[name].loses
    return Case(seed, index, family, faults, place, scene, taken)
