"""Which headers a packet has, and where each lies: what the decoder itself found, for who has to rewrite them.

The kernels that decode are run once more, interpreted, and tell what they return: there is one description of each header.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from inspector.capture.decode import walk
from inspector.kernels.kernel import Kernel

# Kernels that take a header off, by name, with what they say of it: see `Layer`.
IP = ("ipv4", "ipv6")
UDP, GRE = 17, 47
IN_UDP = ("vxlan", "geneve", "gre", "l2tp", "teredo", "gtp")
ENTERED = ("to_network", "tunnel", "udp_tunnel")


Told = Callable[[tuple[Any, ...], Any], None]


class Layer(NamedTuple):
    """A header. kind: `link`, `below` (Ethernet and what else lies below IP), `ipv4`, `ipv6`, `udp` or `ip` (nothing: IP in
    IP), and tunnels by their names. key: of `link` the link type, of `below` what it is (see `capture.carried`).

    It lies in [at, end). cap, wire: where what was captured of it and its payload ends, and where it ended as it was sent.
    """

    kind: str
    key: int
    at: int
    end: int
    cap: int
    wire: int


class Traced(NamedTuple):
    """What `decode.walk` says of a packet, with its headers from the outermost on. at: the header behind the last one."""

    kind: int
    fault: int
    at: int
    cap: int
    wire: int
    layers: list[Layer]


class Tracer:
    """Traces packets, one at a time."""

    def __init__(self) -> None:
        self._layers: list[Layer] = []
        self._tunnel: tuple[str, tuple[int, int]] = "", (0, 0)
        self._wire = 0
        self._walk = walk.twin(self._watched)

    def trace(self, data: Any, length: int, link: int) -> Traced:
        """The headers of a frame. data: its bytes as captured; length: on the wire."""
        self._layers, self._wire = [], length
        kind, fault, at, cap, wire, _ip, _version, _depth = self._walk(data, 0, len(data), length, link, 0)
        return Traced(kind, fault, at, cap, wire, self._layers)

    def _watched(self, kernel: Kernel[..., Any]) -> Callable[..., Any]:
        name = kernel.__name__
        plain = kernel.twin(self._watched) if name in ENTERED else kernel.plain
        told: Told | None = {"link_header": self._link, "beneath": self._below, "tunnel": self._inside}.get(name)
        if name in IP:
            told = self._ip(name)
        elif name in IN_UDP:
            told = self._guess(name)
        if told is None:
            return plain

        def call(*args: int) -> Any:
            result = plain(*args)
            told(args, result)
            return result

        return call

    def _add(self, kind: str, key: int, at: int, end: int, cap: int) -> None:
        self._layers.append(Layer(kind, key, at, end, cap, self._wire))

    def _link(self, args: tuple[int, ...], result: tuple[int, ...]) -> None:
        self._add("link", args[3] & 0xFFFF, args[1], result[1], args[2])

    def _below(self, args: tuple[int, ...], result: tuple[int, ...]) -> None:
        self._add("below", args[3], args[1], result[1], args[2])

    def _ip(self, name: str) -> Told:
        def told(args: tuple[int, ...], result: tuple[int, ...]) -> None:
            _protocol, at, cap, self._wire = result
            self._add(name, 0, args[1], at, cap)

        return told

    def _guess(self, name: str) -> Told:
        def told(_args: tuple[int, ...], result: tuple[int, int]) -> None:
            self._tunnel = name, result

        return told

    def _inside(self, args: tuple[int, ...], result: tuple[int, int]) -> None:
        """What `tunnel` found: of a guess in UDP, the last is the one that held."""
        _data, at, cap, protocol = args
        if protocol == UDP and result[0] > 0:
            self._add("udp", 0, at, at + 8, cap)
            self._add(self._tunnel[0], 0, at + 8, result[1], cap)
        else:
            self._add("gre" if protocol == GRE else "ip", protocol, at, result[1], cap)
