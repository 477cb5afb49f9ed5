"""Scenarios: what a lab run does, read from small YAML files, and varied by a seed. Pure: nothing here touches the system."""

import dataclasses
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.traffic import random_requests

FOLDER = Path(__file__).parent / "scenarios"
TOPOLOGIES = ("sidecar", "gateway", "nginx", "leaky")
MAX_REQUESTS = 2000


class ScenarioError(ValueError):
    """The scenario file says something that the lab does not know."""


@dataclass(frozen=True)
class Scenario:
    """One run: who stands where, what the proxy's route does, what is sent. Field names are the keys of the YAML files."""

    name: str
    about: str = ""
    topology: str = "sidecar"
    v1: str = "sidecar"  # sidecar | plain
    v2: str = "sidecar"  # sidecar | plain | closed (nothing listens)
    third: bool = False  # a third service, for cascades and second mirrors
    mirrors: tuple[str, ...] = ("v2",)  # services that get a copy, one mirror policy each; empty: no mirroring
    percent: int = 100
    suffix: str = "-shadow"  # "" switches it off
    strip_id: bool = False  # take x-request-id off the wire
    timeout: float = 15.0
    retry: dict[str, Any] = field(default_factory=dict)  # Envoy's retry_policy
    hedge: bool = False
    fault: bool = False  # end-user: jason is aborted, end-user: slow is delayed
    weights: dict[str, int] = field(default_factory=dict)
    protocol: str = "http1"  # http1 | h2 | grpc
    tls: bool = False
    overlay: bool = False  # v2 on a second node behind VXLAN
    interface: str = "any"  # any | eth0
    snaplen: int = 0
    split: bool = False  # nginx: balance over v1 and v2 instead of mirroring
    nginx_http: str = "1.0"
    nginx_keep_host: bool = False
    leak_every: int = 3
    client_at: str = "node"  # where a gateway's client stands: node | pod
    workers: int = 2  # Envoy's threads; each has upstream connections of its own, so one thread uses them again sooner
    offload: bool = True  # let the kernel hand segments of up to 64 KB around
    loss: float = 0  # percent of the packets that are lost on the way in and out of each pod
    connections: int = 1
    keepalive: bool = False
    pause: float = 0.01
    requests: tuple[dict[str, Any], ...] = ()
    kinds: tuple[str, ...] = ("get",)  # what a seeded run may send
    count: tuple[int, int] = (5, 20)
    vary: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.topology not in TOPOLOGIES:
            raise ScenarioError(f"{self.name}: topology {self.topology!r} is none of {', '.join(TOPOLOGIES)}")
        if self.interface != "any" and self.topology == "sidecar":
            raise ScenarioError(f"{self.name}: a sidecar's downstream leg is on lo; eth0 alone would not show it")
        if len(self.requests) > MAX_REQUESTS:
            raise ScenarioError(f"{self.name}: more than {MAX_REQUESTS} requests")

    @property
    def proxy_has_ids(self) -> bool:
        """Whether the wire carries x-request-id."""
        return self.topology != "nginx" and not self.strip_id


def _request(given: str | dict[str, Any]) -> list[dict[str, Any]]:
    """``GET /items`` or a mapping; ``times: 3`` repeats it, ``bytes: 5000`` makes a body of that size."""
    if isinstance(given, str):
        method, _, path = given.partition(" ")
        return [{"method": method, "path": path}]
    request = dict(given)
    times = int(request.pop("times", 1))
    if "bytes" in request:
        line = "0123456789 mirror inspector lab\n"
        size = int(request.pop("bytes"))
        request["body"] = (line * (size // len(line) + 1))[:size]
    unknown = set(request) - {"method", "path", "body", "chunked", "headers"}
    if unknown or "method" not in request or "path" not in request:
        raise ScenarioError(
            f"request {given!r}: needs method and path; does not know {', '.join(sorted(unknown)) or 'more'}"
        )
    return [request] * times


def parse(name: str, text: str) -> Scenario:
    """A scenario from the text of its YAML file. Raises ScenarioError for keys and values that are not known."""
    given = yaml.safe_load(text) or {}
    known = {f.name for f in dataclasses.fields(Scenario)}
    if not isinstance(given, dict) or (unknown := set(given) - known):
        raise ScenarioError(
            f"{name}: unknown keys {', '.join(sorted(unknown))}" if isinstance(given, dict) else f"{name}: no mapping"
        )
    requests: list[dict[str, Any]] = []
    for request in given.pop("requests", []):
        requests += _request(request)
    for key in ("mirrors", "kinds", "count"):
        if key in given:
            given[key] = tuple(given[key])
    bad = set(given.get("vary", {})) - known
    if bad:
        raise ScenarioError(f"{name}: vary: unknown keys {', '.join(sorted(bad))}")
    return Scenario(name=name, requests=tuple(requests), **given)


def changes(given: list[str], suffix: str | None) -> dict[str, Any]:
    """What `--set KEY=VALUE` and `--suffix` say, values as in a file. Raises ScenarioError."""
    out: dict[str, Any] = {} if suffix is None else {"suffix": suffix}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise ScenarioError(f"--set {text}: needs KEY=VALUE")
        try:
            found = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ScenarioError(f"--set {text}: the value cannot be read") from None
        out[key] = tuple(found) if isinstance(found, list) else found
    return out


def changed(scenario: Scenario, to: dict[str, Any]) -> Scenario:
    """The scenario with some of its keys changed. Raises ScenarioError for keys and values that are not known."""
    for key, value in to.items():
        now = getattr(scenario, key, None)
        if now is None or key in ("name", "about", "requests"):
            raise ScenarioError(f"--set {key}: there is no such key")
        number = isinstance(now, float) and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not type(now) and not number:
            raise ScenarioError(f"--set {key}: {value!r} is no {type(now).__name__}")
    return dataclasses.replace(scenario, **to)


def names() -> list[str]:
    """All scenarios there are, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Scenario:
    """The scenario of that name. Raises ScenarioError when there is none."""
    path = FOLDER / f"{name}.yaml"
    if name not in names():
        raise ScenarioError(f"no scenario {name!r}; there are: {', '.join(names())}, random")
    return parse(name, path.read_text())


def choose(rng: random.Random, choices: Any) -> Any:
    """One of a list, or a number between ``{from: a, to: b}``."""
    if isinstance(choices, dict):
        low, high = choices["from"], choices["to"]
        return (
            rng.randint(low, high)
            if isinstance(low, int) and isinstance(high, int)
            else round(rng.uniform(low, high), 3)
        )
    return rng.choice(list(choices))


def randomised(scenario: Scenario, rng: random.Random) -> Scenario:
    """The same scenario with other requests, numbers and switches; what may vary is in its ``vary``."""
    changed = {key: choose(rng, choices) for key, choices in sorted(scenario.vary.items())}
    varied = dataclasses.replace(scenario, **changed)
    count = rng.randint(*varied.count)
    return dataclasses.replace(
        varied, requests=tuple(random_requests(rng, varied.kinds, count, short=varied.snaplen > 0))
    )


def pick(rng: random.Random) -> Scenario:
    """One of the scenarios, for ``run random``."""
    return load(rng.choice(names()))
