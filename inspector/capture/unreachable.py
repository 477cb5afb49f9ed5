"""ICMP errors that say that a host or port cannot be reached: what they quote of the packet that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector.capture.decode import KIND_ICMP, walk
from inspector.capture.network import TCP, destination, ipv4, ipv6, source
from inspector.capture.octets import be16, be32
from inspector.capture.tables import Block, CaptureInfo, PacketKind
from inspector.kernels.kernel import viewed

LOOK = 10_000  # ICMP packets of a capture that are looked into
NO_END = 1 << 62
# Destination unreachable, RFC 792 and 1122 section 3.2.2.1, RFC 4443 section 3.1: by IP version and type, what a code says.
# Not among them is code 4 of IPv4: a packet that was too long.
WHAT = {
    (4, 3): {0: "network", 1: "host", 2: "protocol", 3: "port", 5: "route", 6: "network", 7: "host", 8: "host", 9: "filtered",
             10: "filtered", 11: "network", 12: "host", 13: "filtered", 14: "host", 15: "filtered"},
    (6, 1): {0: "network", 1: "filtered", 2: "network", 3: "host", 4: "port", 5: "filtered", 6: "filtered"},
}  # fmt: skip
Address = tuple[int, int]


@dataclass(frozen=True)
class Unreachable:
    """An ICMP error about a TCP segment. what: "host", "port", "network", "protocol", "route" or "filtered". The rest, from
    `client` on, is what it quotes."""

    what: str
    by: Address
    packet: int
    client: tuple[int, int, int]  # address and port
    server: tuple[int, int, int]
    seq: int


class Unreachables:
    """Finds them, block by block."""

    def __init__(self) -> None:
        self._looked: dict[int, int] = {}  # by capture: ICMP packets

    def of(self, block: Block, infos: Sequence[CaptureInfo]) -> list[Unreachable]:
        """Those of a block, in order."""
        p, out = block.packets, []
        data = viewed(block.data)
        for row in (p.kind == PacketKind.ICMP).nonzero()[0].tolist():
            capture = int(p.capture[row])
            self._looked[capture] = self._looked.get(capture, 0) + 1
            if self._looked[capture] > LOOK:
                continue
            at, captured, length = int(p.at[row]), int(p.captured[row]), int(p.length[row])
            link = infos[capture].interfaces[int(p.interface[row])].link_type
            found = _read(data, at, at + captured, at + length, link, int(p.number[row]))
            if found is not None:
                out.append(found)
        return out


def _read(data: memoryview, at: int, cap: int, wire: int, link: int, packet: int) -> Unreachable | None:
    kind, _fault, at, cap, _wire, outer, version, _depth = walk.plain(data, at, cap, wire, link, 0)
    if kind != KIND_ICMP or cap - at < 8:
        return None
    what = WHAT.get((version, data[at]), {}).get(data[at + 1])
    if what is None:
        return None
    quoted = at + 8
    protocol, at, cap, _wire = (ipv4 if version == 4 else ipv6).plain(data, quoted, cap, NO_END)
    if protocol != TCP or cap - at < 8:
        return None
    client, server = source.plain(data, quoted, version), destination.plain(data, quoted, version)
    return Unreachable(
        what,
        source.plain(data, outer, version),
        packet,
        (*client, be16.plain(data, at)),
        (*server, be16.plain(data, at + 2)),
        be32.plain(data, at + 4),
    )
