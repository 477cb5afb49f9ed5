"""Reads captures a second time for what the packets of a few exchanges say below HTTP.

The first pass keeps no segments: memory does not grow with the capture. What is reported in full is looked up here.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from inspector.capture import CaptureReader, Segments, open_captures, parse_address
from inspector.errors import CaptureError
from inspector.mirror.signs import blend
from inspector.seq import HALF, MASK, distance
from inspector.table import I64
from inspector.views.objects import ExchangeView
from inspector.views.present import format_endpoint
from inspector.views.wire import ACK, FIN, RST, SYN, ExchangePackets, WirePacket

ROWS = 1 << 18  # segments kept at most; what is beyond is not told
AFTER = 30_000_000_000  # ns behind the last of the exchanges in which ends and acknowledgements are looked for
APART = 1_000_000_000  # ns: copies of one packet are no further apart

Endpoint = tuple[int, int, int]


def read_wires(paths: Sequence[str], exchanges: Iterable[ExchangeView]) -> dict[int, ExchangePackets]:
    """The packets around each exchange, by `ExchangeView.id`.

    paths: the inputs in the order in which they were inspected. What is not a plain file (a pipe) cannot be read again, nor
    what cannot be read any more: then nothing is reported.
    """
    exchanges = list(exchanges)
    if not exchanges or not all(os.path.isfile(path) for path in paths):
        return {}
    readers: list[CaptureReader] = []
    try:
        for path in paths:
            readers += open_captures(path, len(readers))
        out: dict[int, ExchangePackets] = {}
        for reader in readers:
            mine = [x for x in exchanges if x.capture == reader.info.number]
            if mine:
                out |= _wires(reader, mine)
        return out
    except CaptureError:
        return {}
    finally:
        for reader in readers:
            reader.close()


def endpoint(text: str) -> Endpoint:
    """The address halves and the port of "addr:port". Raises ValueError."""
    address, _, port = text.rpartition(":")
    return *parse_address(address), int(port)


def _wires(reader: CaptureReader, exchanges: list[ExchangeView]) -> dict[int, ExchangePackets]:
    ends = np.array([endpoint(x.client) for x in exchanges], np.uint64)
    key = blend(ends[:, 0], ends[:, 1], ends[:, 2])
    rows = _around(reader, exchanges, key)
    names = [f.name for f in reader.info.interfaces]
    by_key: dict[int, list[I64]] = defaultdict(list)
    for side in (blend(rows.src_hi, rows.src_lo, rows.sport), blend(rows.dst_hi, rows.dst_lo, rows.dport)):
        order = np.argsort(side, kind="stable")
        low, high = np.searchsorted(side[order], key, "left"), np.searchsorted(side[order], key, "right")
        found = {k: (a, b) for k, a, b in zip(key.tolist(), low.tolist(), high.tolist(), strict=True)}
        for k, (a, b) in found.items():  # exchanges may share a connection
            by_key[k].append(order[a:b])
    out = {}
    for x, k in zip(exchanges, key.tolist(), strict=True):
        sent, received = by_key[k]
        out[x.id] = _Connection(rows.take(np.sort(sent)), rows.take(np.sort(received)), names).wire(x)
    return out


def _around(reader: CaptureReader, exchanges: list[ExchangeView], key: I64) -> Segments:
    """The segments to and from the clients of the exchanges while these last, and all their SYNs."""
    times = [t for x in exchanges for t in (x.request_time, x.response_time, x.response_end_time) if t is not None]
    first, last = min(times, default=0) - APART, max(times, default=0) + AFTER
    packet = max((p for x in exchanges for p in (*x.request_packets, *x.response_packets)), default=0)
    parts: list[Segments] = []
    kept = 0
    for block in reader.blocks():
        s = block.segments
        ours = np.isin(blend(s.src_hi, s.src_lo, s.sport), key) | np.isin(blend(s.dst_hi, s.dst_lo, s.dport), key)
        ours &= ((s.time >= first) & (s.time <= last)) | ((s.flags & SYN) != 0)
        chosen = np.flatnonzero(ours)[: ROWS - kept]
        parts.append(s.take(chosen))
        kept += len(chosen)
        done = len(block.packets) and int(block.packets.number[-1]) > packet and int(block.packets.time.min()) > last
        if kept == ROWS or done:
            break
    return Segments.concat(parts)


class _Connection:
    """Segments that a client endpoint sent and received, in the order of the capture."""

    def __init__(self, sent: Segments, received: Segments, names: list[str]) -> None:
        self.sent = sent
        self.received = received
        self.names = names

    def wire(self, x: ExchangeView) -> ExchangePackets:
        """What is reported of exchange `x`."""
        request = self._packet(self.sent, _find(self.sent, x.request_packets[:1]))
        response = self._packet(self.received, _find(self.received, x.response_packets[:1]))
        syn, answer = self._handshake(request)
        return ExchangePackets(
            request, response, syn, answer, self._acknowledgement(x, request), self._end(request, response)
        )

    def _handshake(self, request: WirePacket | None) -> tuple[WirePacket | None, WirePacket | None]:
        if request is None:
            return None, None
        s, r = self.sent, self.received
        syns = np.flatnonzero(((s.flags & (SYN | ACK)) == SYN) & (s.time <= request.time) & (s.packet < request.packet))
        syns = syns[[_target(s, i) == request.target for i in syns.tolist()]] if len(syns) else syns
        if not len(syns):
            return None, None
        syn = int(syns[s.seq[syns] == s.seq[syns[-1]]][0])
        answers = (r.flags & (SYN | ACK)) == (SYN | ACK)
        answers &= (r.ack == (int(s.seq[syn]) + 1) & MASK) & (r.packet > s.packet[syn]) & (r.packet < request.packet)
        return self._packet(s, syn), self._packet(r, _first(np.flatnonzero(answers)))

    def _acknowledgement(self, x: ExchangeView, request: WirePacket | None) -> WirePacket | None:
        """The first packet of the client that acknowledges all captured packets of the response."""
        s, r = self.sent, self.received
        rows = np.flatnonzero(np.isin(r.packet, x.response_packets))
        if not len(rows):
            return None
        ends = (r.seq[rows].astype(np.int64) + r.length[rows]) & MASK
        end = int(ends[np.argmax(distance.plain(ends, ends[0]))])
        behind = (s.ack.astype(np.int64) - end) & MASK
        fits = (s.packet > int(r.packet[rows].max())) & ((s.flags & (ACK | RST)) == ACK) & (behind < HALF)
        if request is not None:
            fits &= np.array([_target(s, i) == request.target for i in range(len(s))], bool) if fits.any() else False
        return self._packet(s, _first(np.flatnonzero(fits)))

    def _end(self, request: WirePacket | None, response: WirePacket | None) -> WirePacket | None:
        """The first FIN or RST of either side after the request began."""
        if request is None:
            return None
        there = {request.target} | ({response.source} if response is not None else set())
        found = []
        for s, other in ((self.sent, _target), (self.received, _source)):
            rows = np.flatnonzero(((s.flags & (FIN | RST)) != 0) & (s.packet > request.packet)).tolist()
            row = next((i for i in rows if other(s, i) in there), None)
            if row is not None:
                found.append(self._packet(s, row))
        return min((p for p in found if p is not None), key=lambda p: p.packet, default=None)

    def _packet(self, s: Segments, row: int | None) -> WirePacket | None:
        if row is None:
            return None
        same = np.abs(s.time - s.time[row]) <= APART
        for name in ("seq", "ack", "flags", "length", "ip_id", "tsval", "sport", "dport"):
            column = getattr(s, name)
            same &= column == column[row]
        same &= s.packet != s.packet[row]
        copies = tuple((int(s.packet[i]), self._name(int(s.interface[i]))) for i in np.flatnonzero(same).tolist())
        return WirePacket(
            capture=int(s.capture[row]),
            packet=int(s.packet[row]),
            time=int(s.time[row]),
            interface=self._name(int(s.interface[row])),
            source=_source(s, row),
            target=_target(s, row),
            seq=int(s.seq[row]),
            ack=int(s.ack[row]),
            flags=int(s.flags[row]),
            length=int(s.length[row]),
            copies=copies,
        )

    def _name(self, interface: int) -> str:
        return self.names[interface] if 0 <= interface < len(self.names) else ""


def _find(s: Segments, packets: list[int]) -> int | None:
    return _first(np.flatnonzero(np.isin(s.packet, packets))) if packets else None


def _first(rows: I64) -> int | None:
    return int(rows[0]) if len(rows) else None


def _source(s: Segments, row: int) -> str:
    return format_endpoint(int(s.src_hi[row]), int(s.src_lo[row]), int(s.sport[row]))


def _target(s: Segments, row: int) -> str:
    return format_endpoint(int(s.dst_hi[row]), int(s.dst_lo[row]), int(s.dport[row]))
