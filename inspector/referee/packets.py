"""Compares packets and segments with what scapy's layers say of them, packet by packet."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

from inspector.capture import CaptureReader, PacketKind, format_address, links, open_captures
from inspector.capture.carried import LLC
from inspector.capture.faults import DAMAGED_RECORD, RECORD_TIME
from inspector.capture.octets import be16
from inspector.capture.tables import Block
from inspector.capture.trace import Tracer
from inspector.lang import _, marked
from inspector.referee.layers import FIELDS, Layered
from inspector.referee.model import Agreement, Difference

REASONS = {
    "link-type": marked("scapy has no layer for this link type"),
    "scapy-error": marked("scapy raised an error on the packet"),
    "cut": marked("the snap length cut the packet: one of the two has no name for what is left"),
    "long-record": marked("scapy keeps 65,535 bytes of a record"),
    "record-time": marked("the record has a time that cannot be: the time of the packet before it is used here"),
    "no-layer": marked(
        "a tunnel that scapy does not know or not on this port, or a header that it does not follow to its end"
    ),
    "malformed": marked("headers that contradict themselves: they are not followed here"),
}
BOUND = {"vxlan": (4789, 8472), "geneve": (6081,), "gre": (4754,), "l2tp": (1701,), "gtp": (2152,)}
GTP_HEADER = 12  # bytes; extension headers make it longer
AIR, QOS, QOS_HEADERS = (links.IEEE802_11, links.IEEE802_11_RADIO), 0x80, (26, 32)  # not padded, and without HT control
MOST = 0xFFFF  # scapy.data.MTU: it cuts longer records
HEAD = ("time", "captured", "length", "kind")


def ours(reader: CaptureReader, limit: int) -> Iterator[Layered]:
    """The same of our own decoding. Raises CaptureError."""
    tracer = Tracer()
    try:
        for block in reader.blocks():
            for packet in _packets(block, tracer, [face.link_type for face in reader.info.interfaces]):
                if packet.number > limit:
                    return
                yield packet
    finally:
        reader.close()


def _packets(block: Block, tracer: Tracer, link_types: list[int]) -> Iterator[Layered]:
    p, s = block.packets, block.segments
    found: dict[int, tuple[Any, ...]] = {}
    for i, number in enumerate(s.packet.tolist()):
        ends = format_address(s.src_hi[i], s.src_lo[i]), format_address(s.dst_hi[i], s.dst_lo[i])
        ports = int(s.sport[i]), int(s.dport[i])
        rest = (int(column[i]) for column in (s.seq, s.ack, s.flags, s.tsval, s.length))
        found[number] = (int(s.tunnel[i]), ends, ports, *rest)
    columns = (p.number.tolist(), p.time.tolist(), p.captured.tolist(), p.length.tolist(), p.kind.tolist())
    data = memoryview(block.data.data)
    places = zip(p.at.tolist(), p.interface.tolist(), strict=True)
    for (number, time, captured, length, kind), (at, face) in zip(zip(*columns, strict=True), places, strict=True):
        unbound = partial(_unbound, data[at : at + captured], length, link_types[face], tracer)
        yield Layered(number, time, captured, length, PacketKind(kind).name, found.get(number), unbound)


def _unbound(frame: memoryview, length: int, link: int, tracer: Tracer) -> str:
    """The first header for which scapy has no layer, none on this UDP port, or one that does not follow all of it."""
    for outer, within in pairwise(tracer.trace(frame, length, link).layers):
        if outer.kind == "udp" and be16.plain(frame, outer.at + 2) not in BOUND.get(within.kind, ()):
            return within.kind
        if within.kind == "gtp" and within.end - within.at > GTP_HEADER:
            return "gtp"
        if outer.kind == "link" and within.key == LLC:
            air = frame[2] | frame[3] << 8 if outer.key == links.IEEE802_11_RADIO else 0
            if outer.key in (links.LINUX_SLL, links.LINUX_SLL2):
                return "llc"
            if outer.key in AIR and frame[air] & QOS and outer.end - air not in QOS_HEADERS:
                return "802.11"
    return ""


def compare(capture: Path, limit: int, theirs: Iterator[Layered], out: Agreement) -> None:
    """Count into `out`, packet by packet. `theirs` is read to its end. Raises CaptureError."""
    reader = open_captures(str(capture))[0]
    for packet in ours(reader, limit):
        other = next(theirs, None)
        damaged = "damaged" if DAMAGED_RECORD in reader.info.faults else ""
        out.packets += 1
        if other is None:
            _tell(out, packet, [("missing", str(packet.number), "")], None, damaged)
            continue
        differs = [
            (name, str(getattr(packet, name)), str(getattr(other, name)))
            for name in HEAD
            if not _count(out, name, getattr(packet, name), getattr(other, name))
        ]
        if packet.segment is not None and other.segment is not None:
            for i, name in enumerate(FIELDS):
                a, b = packet.segment[i], other.segment[i]
                if not _count(out, name, a, _plain(b) if name == "addresses" else b):
                    differs.append((name, str(a), str(b)))
        if [name for name, _a, _b in differs] == ["time"] and RECORD_TIME in reader.info.faults:
            _tell(out, packet, differs, other, "record-time")
        else:
            _tell(out, packet, differs, other, damaged)
    extra = sum(1 for _packet in theirs)
    if extra:
        out.notes.append(_("scapy reads {n} packets more").format(n=f"{extra:,}"))
        reason = "damaged" if DAMAGED_RECORD in reader.info.faults else ""
        out.extra[reason] += extra
        out.reasons[reason] += extra


def _plain(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses as this program writes them (RFC 5952)."""
    return tuple(str(ip_address(address)) for address in addresses)


def _count(out: Agreement, name: str, ours: Any, theirs: Any) -> bool:
    same = bool(ours == theirs)
    out.compare(name, same)
    return same


def _tell(
    out: Agreement, packet: Layered, differs: list[tuple[str, str, str]], other: Layered | None, known: str
) -> None:
    if not differs:
        out.agreed += 1
        return
    whole = True
    for name, a, b in differs:
        reason = known or _reason(name, packet, other)
        whole = whole and bool(reason)
        out.add(Difference(name, packet.number, 0, a, b, reason, packet.number if reason else 0))
    if whole:
        out.explained += 1
    else:
        out.unexplained += 1


def _reason(name: str, packet: Layered, other: Layered | None) -> str:
    """Why scapy says something else of a packet's field."""
    if other is None or name in ("time", "length"):
        return ""
    if name == "captured":
        return "long-record" if packet.captured > MOST == other.captured else ""
    if other.kind == "UNKNOWN":
        return "link-type"
    if other.kind == "ERROR":
        return "scapy-error"
    if packet.captured < packet.length and (packet.kind == "MALFORMED" or other.kind in ("OTHER", "FRAGMENT")):
        return "cut"
    if packet.kind == "TCP" and other.kind in ("UDP", "OTHER") and packet.unbound():
        return "no-layer"
    return "malformed" if packet.kind == "MALFORMED" else ""
