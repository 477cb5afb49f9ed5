"""scapy, in a process of its own: what its layers say of each packet. `main` runs there, `packets` starts it.

scapy reads the file itself, so records are compared as well. Only the layers that are compared are loaded.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspector.lang import _
from inspector.referee.running import RefereeError, RunLimits, lines, python

OPEN = 256  # fragmented datagrams that are put together at once
LAYERS = 40  # of one packet
FIELDS = ("tunnel", "addresses", "ports", "seq", "ack", "flags", "timestamp", "payload")


@dataclass(frozen=True, slots=True)
class Layered:
    """A packet as scapy has it. segment: FIELDS of its TCP segment, None without one."""

    number: int
    time: int  # ns
    captured: int
    length: int
    kind: str  # TCP, UDP, ICMP, ARP, FRAGMENT, OTHER; UNKNOWN: no layer for its link type; ERROR: scapy raised one
    segment: tuple[Any, ...] | None
    unbound: Callable[[], str] = str  # of our own: a header around it that scapy does not follow


def version() -> str:
    """scapy's version. Raises RefereeError where it is not installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        found = importlib.util.find_spec("scapy") and version_of("scapy")
    except PackageNotFoundError:
        found = None
    if not found:
        raise RefereeError(_("scapy is not installed"), "pip install scapy")
    return found


def packets(capture: Path, folder: Path, limits: RunLimits) -> Iterator[Layered]:
    """The packets of a capture. Raises RefereeError."""
    asked = json.dumps([str(capture), limits.packets])
    for line in lines(python("layers", asked), folder, limits, "scapy"):
        try:
            number, time, captured, length, kind, found = json.loads(line.text)
            segment = None if found is None else tuple(map(_hashable, found))
            yield Layered(number, time, captured, length, kind, segment)
        except (ValueError, TypeError):
            raise RefereeError(_("{name} wrote what cannot be read").format(name="scapy")) from None


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def load() -> None:
    """Load the layers that are looked at, and Linux' own port of VXLAN."""
    import logging

    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    from importlib import import_module

    from scapy.config import conf
    from scapy.layers.inet import UDP
    from scapy.layers.vxlan import VXLAN
    from scapy.packet import bind_layers

    names = (
        "contrib.erspan",
        "contrib.geneve",
        "contrib.gtp",
        "layers.dot11",
        "layers.inet6",
        "layers.l2tp",
        "layers.ppp",
    )
    for name in names:
        import_module(f"scapy.{name}")
    conf.ipv6_enabled = True
    bind_layers(UDP, VXLAN, dport=8472)
    bind_layers(UDP, VXLAN, dport=4789)


def main(arguments: Sequence[str]) -> Iterator[str]:
    """Read a capture with scapy: a line of JSON a packet."""
    load()
    from scapy.utils import RawPcapReader

    path, most = json.loads(arguments[0])
    walker = Walker()
    with RawPcapReader(path) as records:
        for number, (data, meta) in enumerate(records, 1):
            if number > most:
                break
            yield json.dumps(walker.packet(number, data, meta, records))


def when(meta: Any, nano: bool) -> int:
    """The time of a record in ns."""
    if hasattr(meta, "tshigh"):
        ticks = (meta.tshigh << 32) | meta.tslow if meta.tshigh is not None else 0
        return ticks * 1_000_000_000 // int(meta.tsresol or 1_000_000)
    return int(meta.sec) * 1_000_000_000 + int(meta.usec) * (1 if nano else 1000)


class Walker:
    """Walks the layers of one packet after another; keeps fragments until they are a datagram."""

    def __init__(self) -> None:
        from scapy.layers import inet, inet6, l2
        from scapy.layers.vxlan import VXLAN

        self.ip, self.ip6, self.tcp, self.udp, self.icmp = inet.IP, inet6.IPv6, inet.TCP, inet.UDP, inet.ICMP
        self.frag6, self.arp = inet6.IPv6ExtHdrFragment, l2.ARP
        from scapy.contrib.geneve import GENEVE
        from scapy.contrib.gtp import GTP_U_Header
        from scapy.layers.l2tp import L2TP

        self.tunnels = (VXLAN, GENEVE, GTP_U_Header, L2TP, l2.GRE)
        self.parts: dict[tuple[Any, ...], dict[int, tuple[bytes, bool]]] = {}

    def packet(self, number: int, data: bytes, meta: Any, records: Any) -> list[Any]:
        """The fields of Layered."""
        from scapy.config import conf
        from scapy.packet import Raw

        link: int = getattr(meta, "linktype", getattr(records, "linktype", -1))
        wire = int(getattr(meta, "wirelen", None) or len(data))
        head = [number, when(meta, bool(getattr(records, "nano", False))), len(data), wire]
        layer = conf.l2types.num2layer.get(link, Raw)
        if layer is Raw:
            return [*head, "UNKNOWN", None]
        try:
            kind, segment = self.walk(layer(data), wire - len(data))
        except Exception:  # what scapy cannot take is one of the things to find out
            return [*head, "ERROR", None]
        return [*head, kind, segment]

    def walk(self, layer: Any, cut: int) -> tuple[str, list[Any] | None]:
        """Kind and segment of a packet. cut: bytes that the snap length took away."""
        kind, depth, ip = "OTHER", 0, None
        for _number in range(LAYERS):
            if isinstance(layer, self.tunnels):
                depth += 1
            elif isinstance(layer, self.ip | self.ip6):
                if ip is not None and layer.underlayer is ip:
                    depth += 1
                ip, kind = layer, "OTHER"
                if isinstance(layer, self.ip) and (layer.frag or layer.flags.MF):
                    return self.fragment(layer, layer.frag * 8, bool(layer.flags.MF), layer, depth)
            elif isinstance(layer, self.frag6) and (layer.offset or layer.m):
                return self.fragment(ip, layer.offset * 8, bool(layer.m), layer, depth)
            elif isinstance(layer, self.tcp):
                return "TCP", segment(ip, layer, depth, cut, self)
            elif isinstance(layer, self.icmp) or layer.__class__.__name__.startswith("ICMPv6"):
                return "ICMP", None
            elif isinstance(layer, self.arp):
                return "ARP", None
            elif isinstance(layer, self.udp):
                kind = "UDP"
            if not layer.payload:
                break
            layer = layer.payload
        return kind, None

    def fragment(self, ip: Any, offset: int, more: bool, head: Any, depth: int) -> tuple[str, list[Any] | None]:
        """A fragment; with the last one that was missing, the segment they are. head: the layer that says that it is one."""
        data, protocol = bytes(head.payload), head.proto if head is ip else head.nh
        if head is ip:
            data = data[: ip.len - ip.ihl * 4]
        key = (ip.src, ip.dst, head.id, protocol, depth)
        parts = self.parts.setdefault(key, {})
        parts[offset] = data, more
        whole, at = b"", 0
        while at in parts and parts[at][0]:
            piece, more = parts[at]
            whole += piece
            at += len(piece)
            if not more:
                del self.parts[key]
                if protocol != 6:
                    return {17: "UDP", 1: "ICMP", 58: "ICMP"}.get(protocol, "OTHER"), None
                tcp = self.tcp(whole)
                return "TCP", told(ip, tcp, depth, len(whole) - tcp.dataofs * 4)
        if len(self.parts) > OPEN:
            del self.parts[next(iter(self.parts))]
        return "FRAGMENT", None


def segment(ip: Any, tcp: Any, depth: int, cut: int, walker: Walker) -> list[Any]:
    """FIELDS of a TCP segment in an IP packet that is whole or was cut by the snap length."""
    if isinstance(ip, walker.ip):
        inside = ip.len - ip.ihl * 4 if ip.len else len(ip.payload.original) + cut
    else:
        inside, layer = ip.plen, ip.payload
        while layer is not tcp:
            inside -= len(layer.original) - len(layer.payload.original)
            layer = layer.payload
        if not ip.plen:
            inside = len(tcp.original) + cut
    return told(ip, tcp, depth, inside - tcp.dataofs * 4)


def told(ip: Any, tcp: Any, depth: int, length: int) -> list[Any]:
    """FIELDS as plain values."""
    options = dict(o for o in tcp.options if len(o) == 2)
    stamp = options.get("Timestamp") or (0, 0)
    both = [ip.src, ip.dst], [tcp.sport, tcp.dport]
    flags = int(tcp.flags) & 0xFF
    return [depth, *both, tcp.seq, tcp.ack, flags, stamp[0] if isinstance(stamp, tuple) else 0, length]
