"""The world of a run: every address, port and name in it; the usual ones, or others by seed. Pure."""

import dataclasses
import ipaddress
import random
from dataclasses import dataclass

NAMES = ("catalog", "shop", "orders", "ratings", "payments", "inventory", "media-api")
SPACES = ("default", "istioinaction", "prod", "team-a")


@dataclass(frozen=True)
class World:
    """Addresses as text; `prefix` is the pod network's length. Everything lives inside the run's own namespaces."""

    node: str = "10.244.0.1"
    gateway: str = "10.244.0.5"
    client: str = "10.244.0.10"
    v1: str = "10.244.0.21"
    v2: str = "10.244.0.22"
    third: str = "10.244.0.30"
    prefix: int = 24
    second_node: str = "10.244.1.1"
    underlay: tuple[str, str] = ("172.18.0.2", "172.18.0.3")
    service: str = "10.96.200.1"
    service_port: int = 80
    app_port: int = 3000
    gateway_port: int = 8080
    vxlan_port: int = 8472
    host: str = "catalog"
    namespace: str = "istioinaction"

    @property
    def ipv6(self) -> bool:
        return ":" in self.node


def at(address: str, port: int) -> str:
    """``address:port``, IPv6 in brackets.

    >>> at("10.0.0.1", 80), at("fd00::1", 80)
    ('10.0.0.1:80', '[fd00::1]:80')
    """
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def usual(*, overlay: bool = False, gateway: bool = False) -> World:
    """The addresses that the documentation speaks of."""
    world = World()
    if overlay:
        world = dataclasses.replace(world, v2="10.244.1.22")
    return dataclasses.replace(world, host="customer.apps.example.com") if gateway else world


def _network(rng: random.Random) -> ipaddress.IPv4Network:
    """A private /16 whose first two /24 are the nodes' pod networks."""
    base = rng.choice(
        [f"10.{rng.randint(0, 255)}.0.0/16", f"172.{rng.randint(20, 31)}.0.0/16", "192.168.0.0/16", "100.64.0.0/16"]
    )
    return ipaddress.IPv4Network(base)


def randomised(rng: random.Random, *, overlay: bool = False, gateway: bool = False, ipv6: bool = False) -> World:
    """Another world: other networks, hosts in any order, other ports and names."""
    first = rng.randint(0, 120) * 2
    if ipv6:
        net = f"fd{rng.getrandbits(8):02x}:{rng.getrandbits(16):x}"
        numbers = rng.sample(range(2, 0xFFFE), 5)
        gate, client, v1, v2, third = (f"{net}::{n:x}" for n in numbers)
        node, second, service = f"{net}::1", f"{net}:1::1", f"fd99::{rng.randint(1, 0xFFFF):x}"
    else:
        bytes_ = _network(rng).network_address.packed
        net = f"{bytes_[0]}.{bytes_[1]}"
        numbers = rng.sample(range(2, 255), 5)
        gate, client, v1, v2, third = (f"{net}.{first}.{n}" for n in numbers)
        node, second = f"{net}.{first}.1", f"{net}.{first + 1}.1"
        if overlay:
            v2 = f"{net}.{first + 1}.{numbers[3]}"
        service = f"10.{96 if bytes_[:2] != bytes([10, 96]) else 97}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
    name = rng.choice(NAMES)
    space = rng.choice(SPACES)
    service_port = rng.choice([80, 80, 8080, 9080, 5000])
    host = rng.choice([name, f"{name}.{space}", f"{name}.{space}.svc.cluster.local"])
    if gateway:
        host = f"{name}.{rng.choice(['example.com', 'apps.example.org', 'example.net'])}"
    gateway_port = rng.choice([8080, 8080, 80, 10080])
    port = gateway_port if gateway else service_port
    if port != 80:
        host = f"{host}:{port}"
    return World(
        node=node, gateway=gate, client=client, v1=v1, v2=v2, third=third, prefix=64 if ipv6 else 24, second_node=second,
        underlay=(f"172.19.{rng.randint(0, 255)}.2", f"172.19.{rng.randint(0, 255)}.3"), service=service,
        service_port=service_port, app_port=rng.choice([3000, 8000, 8080, 9080, 5678]), gateway_port=gateway_port,
        vxlan_port=rng.choice([8472, 4789]), host=host, namespace=space,
    )  # fmt: skip
