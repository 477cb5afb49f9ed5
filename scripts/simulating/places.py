"""Where packets are captured, and what a capture there holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from simulating.actors import Scene
from simulating.network import CLIENT, Packet
from simulating.wire import Record


@dataclass
class Captures:
    """What was captured of a case: files of records, and how they are written."""

    files: list[list[Record]]
    link: int = 1
    right_sums: bool = True
    nano: bool = True
    snaplen: int = 262144
    complete: bool = True  # no packet of these places is missing
    clocks: bool = False  # several clocks that differ, or one that steps
    notes: list[str] = field(default_factory=list)


def seen(scene: Scene, here: set[str], want: Callable[[Packet], bool] = lambda _: True) -> list[Record]:
    """What a capture on these hosts holds of the packets that are wanted, each once, in order of time."""
    out = []
    for p in scene.packets:
        a, b = p.connection.ends[p.side], p.connection.ends[1 - p.side]
        if not want(p) or (a.host not in here and (b.host not in here or p.arrived is None)):
            continue
        leaves = a.host in here
        time = p.sent if leaves else p.arrived
        assert time is not None
        loop = a.host == b.host
        out.append(Record(time, p, (a.ip, a.port), (b.ip, b.port), 1 if loop else 2, 64 if leaves else 63, leaves))
    return sorted(out, key=lambda r: r.time)


def downstream(scene: Scene, p: Packet) -> bool:
    """Whether a packet is of a connection to a proxy."""
    to = p.connection.ends[1]
    return any((to.ip, to.port) == (x.ip, x.port) for x in scene.proxies)


def at_proxy(scene: Scene) -> Captures:
    return Captures([seen(scene, {p.host for p in scene.proxies})])


def on_node(scene: Scene) -> Captures:
    """Upstream legs only, as a node sees a sidecar's traffic."""
    return Captures([seen(scene, {p.host for p in scene.proxies}, lambda p: not downstream(scene, p))])


def everywhere(scene: Scene) -> Captures:
    """One node that holds all of them: next hops and sidecars are seen, too."""
    return Captures([seen(scene, {e.host for c in scene.connections for e in c.ends})])


def in_client_pod(scene: Scene) -> Captures:
    """The sidecar's pod: downstream legs are redirected to 15001, so that the halves have different addresses."""
    taken = at_proxy(scene)
    for r in taken.files[0]:
        if r.packet is not None and downstream(scene, r.packet):
            if r.packet.side == CLIENT:
                r.target = ("127.0.0.1", 15001)
            r.interface = 1
    return taken


def at_servers(scene: Scene) -> Captures:
    """Only the pods of servers, in one file."""
    hosts = {p.host for p in scene.proxies}
    servers = {e.receiver for e in scene.exchanges} - hosts
    return Captures([seen(scene, servers, lambda p: not downstream(scene, p))])


def two_files(scene: Scene) -> Captures:
    """All but the second server's traffic at the proxy, and that at the second server."""
    hosts = {p.host for p in scene.proxies}
    first = seen(scene, hosts, lambda p: p.connection.ends[1].host != "v2")
    return _clocks(scene, Captures([first, seen(scene, {"v2"})]))


def node_and_proxy(scene: Scene) -> Captures:
    """The proxy's own view, and the upstream legs once more from elsewhere: packets that both hold."""
    hosts = {p.host for p in scene.proxies}
    second = seen(scene, hosts, lambda p: not downstream(scene, p))
    later = scene.between(3_000, 30_000)
    for r in second:
        r.time += later if r.outgoing else -later
    return _clocks(scene, Captures([seen(scene, hosts), sorted(second, key=lambda r: r.time)]))


def _clocks(scene: Scene, taken: Captures) -> Captures:
    """The second file has another clock, in most cases."""
    rng = scene.rng
    if rng.random() < 0.8:
        offset = int(rng.choice((-1, 1)) * scene.between(50_000, 8_000_000_000))
        drift = rng.choice((0, 0, rng.uniform(-100e-6, 100e-6)))
        taken.clocks = True
        taken.notes.append(f"second clock {offset / 1e6:+.3f} ms {drift * 1e6:+.1f} ppm")
        for r in taken.files[1]:
            r.time += offset + int(r.time * drift)
    shift = -min((r.time for f in taken.files for r in f), default=0)
    for r in (r for f in taken.files for r in f):
        r.time += max(0, shift)
    return taken


PLACES: dict[str, Callable[[Scene], Captures]] = {
    "proxy": at_proxy,
    "node": on_node,
    "everywhere": everywhere,
    "client-pod": in_client_pod,
    "servers": at_servers,
    "two-files": two_files,
    "node-and-proxy": node_and_proxy,
}
