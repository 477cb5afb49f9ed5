"""One packet: what this program makes of it, leg and role, and scapy's dissection beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inspector.capture import PacketKind, open_captures
from inspector.capture.tables import Interface
from inspector.errors import UsageError
from inspector.evidence.comments import PacketPart, part_of
from inspector.lang import _, several
from inspector.mirror.tables import Exchanges, Leg
from inspector.ragged import Spans
from inspector.redact import Redactor
from inspector.referee import inputs, ours, wire
from inspector.referee.dissect import dissection
from inspector.referee.running import private
from inspector.render.text import duration, rfc3339, shown
from inspector.table import I64
from inspector.views.present import LEGS, VERDICTS, format_endpoint

AFTER = 20_000  # packets behind it that are looked at: its copies, and what makes it a copy
FLAGS = ((2, "SYN"), (1, "FIN"), (4, "RST"), (8, "PSH"), (32, "URG"), (64, "ECE"), (128, "CWR"), (16, "ACK"))
COPIES = 16  # that are named
PORTS = 64  # that scapy looks for HTTP on


@dataclass(frozen=True)
class Record:
    """A record of a capture."""

    number: int
    time: int  # ns
    kind: PacketKind
    frame: bytes
    length: int
    interface: Interface | None


def told(path: str, number: int, redactor: Redactor) -> Iterator[str]:
    """Lines about packet `number` of a capture (of an archive: of its first), harmless to show. Payload is left out where secrets
    are replaced.

    Raises CaptureError, UsageError for a packet that there is not, RefereeError where scapy cannot be used.
    """
    with private() as folder:
        captures = inputs.plain(path, folder)
        capture = next(captures)
        record = _record(capture.file, number, path)
        seen = wire.read(capture.file, number + AFTER)
        found = ours.read(capture.file)
        interface = record.interface
        where = _(" on {name}").format(name=interface.name) if interface is not None and interface.name else ""
        yield _("packet {n} of {path}").format(n=f"{number:,}", path=shown(capture.name))
        size = _("{length} bytes, {captured} of them captured")
        size = size.format(length=f"{record.length:,}", captured=f"{len(record.frame):,}")
        yield f"  {rfc3339(record.time)}{shown(where)}, {size}"
        yield ""
        yield _("Here:")
        for sentence in PacketStory(seen, found, number, redactor).sentences():
            yield "  " + shown(sentence)
        yield ""
        yield _("scapy:")
        link = interface.link_type if interface is not None else -1
        for line in dissection(record.frame, link, found.ports()[:PORTS], not redactor.keep, folder):
            yield "  " + shown(line)
        captures.close()


def _record(capture: Path, number: int, path: str) -> Record:
    reader = open_captures(str(capture))[0]
    count = 0
    try:
        for block in reader.blocks():
            p = block.packets
            at = np.flatnonzero(p.number == number)
            count = int(p.number[-1]) if len(p) else count
            if len(at):
                i = int(at[0])
                begin, captured = int(p.at[i]), int(p.captured[i])
                known = reader.info.interfaces
                which = int(p.interface[i])
                interface = known[which] if 0 <= which < len(known) else None
                frame = block.data[begin : begin + captured].tobytes()
                return Record(number, int(p.time[i]), PacketKind(int(p.kind[i])), frame, int(p.length[i]), interface)
    finally:
        reader.close()
    raise UsageError(
        _("{path} has no packet {n}: it has {count}").format(path=path, n=f"{number:,}", count=f"{count:,}"),
        _("packets are counted from 1, as Wireshark counts them"),
    )


class PacketStory:
    """What is known here of one packet."""

    def __init__(self, seen: wire.WireFacts, found: ours.Ours, number: int, redactor: Redactor) -> None:
        self.redactor = redactor
        self.wire = seen
        self.ours = found
        self.number = number

    def sentences(self) -> Iterator[str]:
        """Its segment, its copies, its connection, the part it plays there, and the mirrors that it belongs to."""
        rows = self.wire.rows(self.number)
        if not len(rows):
            yield self._skipped()
            return
        row = int(rows[0])
        yield self._segment(row)
        first = int(self.wire.segments.packet[self.wire.copy_of[row]])
        copies = self.wire.segments.packet[self.wire.copy_of == self.wire.copy_of[row]]
        if first != self.number:
            yield _("a copy of packet {n}: it counts once, as that").format(n=first)
        elif len(copies) > 1:
            listed = ", ".join(str(n) for n in copies[1 : COPIES + 1].tolist())
            yield _("captured again as packet {listed}").format(listed=listed)
        elif self._again(row):
            yield _("its bytes were in packet {n} before: a retransmission").format(n=self._again(row))
        if self.wire.cut(self.number):
            yield _("the snap length cut its payload")
        yield from self._part(first, row)

    def _again(self, row: int) -> int:
        direction = self.wire.direction(self.number) if self.wire.segments.length[row] else None
        return direction.seen_before(self.number) if direction is not None else 0

    def _skipped(self) -> str:
        kind = self.wire.kind(self.number)
        return {
            PacketKind.UDP: _("UDP without a tunnel that is known: not looked into"),
            PacketKind.ICMP: _("ICMP: not looked into; a packet that an ICMP error quotes is not counted"),
            PacketKind.ARP: _("ARP: carries no HTTP"),
            PacketKind.FRAGMENT: _("a fragment: its segment is shown with the packet that completes the datagram"),
            PacketKind.MALFORMED: _("its headers are cut short or contradict themselves: not looked into"),
        }.get(kind, _("no TCP: not looked into (or a link type that is not read)"))

    def _segment(self, row: int) -> str:
        s = self.wire.segments
        ends = [
            format_endpoint(int(hi[row]), int(lo[row]), int(port[row]))
            for hi, lo, port in ((s.src_hi, s.src_lo, s.sport), (s.dst_hi, s.dst_lo, s.dport))
        ]
        flags = " ".join(name for bit, name in FLAGS if int(s.flags[row]) & bit)
        said = _("{source} > {target}: {flags}, seq {seq}, ack {ack}, {n} bytes of payload")
        text = said.format(
            source=ends[0], target=ends[1], flags=flags, seq=int(s.seq[row]), ack=int(s.ack[row]), n=int(s.length[row])
        )
        depth = int(s.tunnel[row])
        inside = several("inside {n} tunnel", "inside {n} tunnels", depth).format(n=depth)
        return f"{text}, {inside}" if depth else text

    def _part(self, first: int, row: int) -> Iterator[str]:
        """The message that the packet (or the one it copies) carries, or what it does on its connection."""
        e = self.ours.exchanges
        named = False
        for part, packets in ((PacketPart.REQUEST, e.request_packets), (PacketPart.RESPONSE, e.response_packets)):
            for x in holders(packets, first).tolist():
                named = True
                mine = sorted(packets[x].tolist())
                said = _("request of exchange {n}, leg {leg}: packet {k} of {total}; {what}")
                if part == PacketPart.RESPONSE:
                    said = _("response of exchange {n}, leg {leg}: packet {k} of {total}; {what}")
                at = mine.index(first) + 1
                what = self._exchange(x)
                yield said.format(n=int(e.id[x]), leg=self._leg(x), k=at, total=len(mine), what=what)
                yield from self._mirrors(x)
        if not named:
            yield from self._unnamed(first, row)

    def _unnamed(self, first: int, row: int) -> Iterator[str]:
        s, e = self.wire.segments, self.ours.exchanges
        x, from_client = self._nearest(first, row)
        if x < 0:
            if s.length[row]:
                yield _(
                    "its connection carries no HTTP/1 that was found (TLS, HTTP/2, or another protocol), or behind a gap"
                )
            else:
                yield _("no exchange was found on its connection")
            return
        early = first < int(e.request_packets[x][:1].sum()) or not len(e.request_packets[x])
        part = part_of(int(s.flags[row]), int(s.length[row]), from_client, early)
        said = {
            PacketPart.OPENING: _("opens the connection of exchange {n}, leg {leg}; {what}"),
            PacketPart.MORE_REQUEST: _(
                "payload that no request names (a retransmission, or skipped); near exchange {n}, leg {leg}; {what}"
            ),
            PacketPart.MORE_RESPONSE: _(
                "payload that no response names (a retransmission, or skipped); near exchange {n}, leg {leg}; {what}"
            ),
            PacketPart.END: _("ends a direction of the connection of exchange {n}, leg {leg}; {what}"),
            PacketPart.RESET: _("resets the connection of exchange {n}, leg {leg}; {what}"),
            PacketPart.TAKEN_REQUEST: _("acknowledges what the client sent; exchange {n}, leg {leg}; {what}"),
        }.get(part, _("acknowledges what the server sent; exchange {n}, leg {leg}; {what}"))
        yield said.format(n=int(e.id[x]), leg=self._leg(x), what=self._exchange(x))
        yield from self._mirrors(x)

    def _nearest(self, first: int, row: int) -> tuple[int, bool]:
        """The exchange of the packet's connection that was open last when it came (else the first one), and who sent it."""
        s, e = self.wire.segments, self.ours.exchanges
        best, sent = -1, False
        for from_client in (True, False):
            ends = (s.src_hi, s.src_lo, s.sport, s.dst_hi, s.dst_lo, s.dport)
            a_hi, a_lo, a_port, b_hi, b_lo, b_port = ends if from_client else (*ends[3:], *ends[:3])
            mine = (e.client_hi == a_hi[row]) & (e.client_lo == a_lo[row]) & (e.client_port == a_port[row])
            dialled = (e.server_hi == b_hi[row]) & (e.server_lo == b_lo[row]) & (e.server_port == b_port[row])
            mine &= dialled | ((e.wire_hi == b_hi[row]) & (e.wire_lo == b_lo[row]))
            rows = np.flatnonzero(mine)
            if len(rows):
                begun = np.array([_least(e, x) for x in rows.tolist()])
                before = rows[begun <= first]
                best, sent = (int(before[-1]) if len(before) else int(rows[0])), from_client
                break
        return best, sent

    def _leg(self, x: int) -> str:
        return LEGS[Leg(int(self.ours.legs[x]))]

    def _exchange(self, x: int) -> str:
        e = self.ours.exchanges
        base = int(e.text.starts[x])
        method, path = int(e.method_end[x]), int(e.target_end[x])
        text = e.text.values[base : base + path].tobytes().decode("latin-1")
        what = f"{text[:method]} {self.redactor.target(text[method:])}" if path else _("(request not captured)")
        if e.status[x] > 0:
            what += f" {int(e.status[x])}"
        if e.response_end_time[x] >= 0 and e.request_time[x] >= 0:
            what += f", {duration(int(e.response_end_time[x] - e.request_time[x]))}"
        return what

    def _mirrors(self, x: int) -> Iterator[str]:
        m = self.ours.mirrors
        for column, said in (
            (m.mirror, _("it is mirror {n} of --show-mirrors: {verdict}")),
            (m.original, _("it is the original of mirror {n}: {verdict}")),
            (m.downstream, _("it is the downstream leg of mirror {n}: {verdict}")),
        ):
            for i in np.flatnonzero(column == x).tolist():
                yield "  " + said.format(n=i + 1, verdict=VERDICTS[int(m.verdict[i])])


def holders(packets: Spans, number: int) -> I64:
    """The rows that list a packet."""
    packed = packets.packed()
    at = np.flatnonzero(packed.values == number)
    return np.unique(np.searchsorted(packed.offsets, at, "right") - 1)


def _least(e: Exchanges, x: int) -> int:
    every = [int(v) for v in (*e.request_packets[x][:1].tolist(), *e.response_packets[x][:1].tolist())]
    return min(every, default=0)
