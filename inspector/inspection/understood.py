"""How much of the TCP payload was understood, and which connections were not read: counted by connection as streams end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from inspector.http.parser import Read
from inspector.http.tables import Fact, Messages, Protocol
from inspector.inspection.unread import Connection, Unread, UnreadKind
from inspector.table import I32, I64
from inspector.tcp.tables import Ends, Gap, Runs, Streams

FAR = -(1 << 62)
UPTO, PAYLOAD, MISSING, CUT, IN_MESSAGES, GAPS_IN_MESSAGES, PROTOCOL, INTERIM, ENDED, UNSEEN, WIDTH = range(11)
INTERIM_BYTES = 4096  # that the 1xx responses before a message may take, which are no part of it
NAMES = {Protocol.H2: "h2", Protocol.TLS: "tls", Protocol.TUNNEL: "tunnel", Protocol.OTHER: "other"}
HTTP, PARTS, LACKING = "http/1", "http/1-unread", "missing"
# What one direction shows holds for both; of several things that were seen the first counts.
STRONGEST = (Protocol.TLS, Protocol.H2, Protocol.TUNNEL, Protocol.HTTP1, Protocol.OTHER, Protocol.UNKNOWN)


class Understood:
    """Bytes by what they are, and the connections that were not read.

    read: by capture (that of a connection's first packet), by name: [bytes, connections]. Bytes that no packet brought count
    as `missing`; those of an HTTP/1 connection that belong to no message as `http/1-unread`.
    """

    def __init__(self) -> None:
        self.read: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        self.unread = Unread()
        self.lost = 0  # bytes that no packet brought and no snap length cut off
        self._state: I64 = np.zeros((0, WIDTH), np.int64)  # by slot

    def add(self, runs: Runs, ends: Ends, acked: I64, read: Read, where: Callable[[I32], Streams]) -> None:
        """Count a block. acked: beside `ends`. where: what is known of slots."""
        last = max((int(a.max()) for a in (runs.slot, ends.slot, read.messages.slot) if len(a)), default=-1)
        if last < 0:
            return
        self._grow(last + 2)
        self._runs(runs)
        state, m = self._state, read.messages
        np.bitwise_or.at(state[:, PROTOCOL], read.protocols.slot, 1 << read.protocols.protocol.astype(np.int64))
        size, inside = _captured(m)
        np.add.at(state[:, IN_MESSAGES], m.slot, size)
        np.add.at(state[:, GAPS_IN_MESSAGES], m.slot, inside)
        np.add.at(state[:, INTERIM], m.slot, (m.facts & np.uint32(Fact.INTERIM)) != 0)
        if len(ends):
            self._ends(ends, acked, where)

    def left(self) -> I64:
        """By slot: bytes that belong to no message so far."""
        return self._state[:, PAYLOAD] - self._state[:, IN_MESSAGES]

    def _grow(self, slots: int) -> None:
        old = len(self._state)
        if slots > old:
            state = np.zeros((max(slots + 1 & ~1, 2 * old), WIDTH), np.int64)
            state[:old] = self._state
            state[old:, UPTO] = FAR
            self._state = state

    def _runs(self, r: Runs) -> None:
        """Bytes that are handed out once more, and gaps before them, count once."""
        state, slot = self._state, r.slot
        upto = state[slot, UPTO]
        stop = r.offset + r.length
        np.add.at(state[:, PAYLOAD], slot, np.maximum(stop - np.maximum(r.offset, upto), 0))
        missing = np.maximum(r.offset - np.maximum(r.offset - r.gap, upto), 0)
        np.add.at(state[:, MISSING], slot, missing)
        np.add.at(state[:, CUT], slot, np.where(r.reason == Gap.CUT, missing, 0))
        np.maximum.at(state[:, UPTO], slot, stop)

    def _ends(self, ends: Ends, acked: I64, where: Callable[[I32], Streams]) -> None:
        state = self._state
        slot = ends.slot.astype(np.int64)
        state[slot, ENDED] = 1
        unseen = acked - np.maximum(ends.offset, 0) - 1  # a FIN counts one
        state[slot, UNSEEN] = np.where(acked > FAR, np.maximum(unseen, 0), 0)
        conns = np.unique(slot >> 1)
        over = conns[(state[2 * conns, ENDED] != 0) & (state[2 * conns + 1, ENDED] != 0)]
        if not len(over):
            return
        some = over[(state[2 * over, PAYLOAD : CUT + 1] + state[2 * over + 1, PAYLOAD : CUT + 1]).any(axis=1)]
        if len(some):
            self._over(some, where((2 * some).astype(np.int32)))
        for slots in (2 * over, 2 * over + 1):
            state[slots] = 0
            state[slots, UPTO] = FAR

    def _over(self, conns: I64, known: Streams) -> None:
        sides = self._state[2 * conns], self._state[2 * conns + 1]
        both = (sides[0] + sides[1]).tolist()
        protocols = (sides[0][:, PROTOCOL] | sides[1][:, PROTOCOL]).tolist()
        columns = (known.capture, known.client_hi, known.client_lo, known.server_hi, known.server_lo)
        places = zip(*(c.tolist() for c in columns), strict=True)
        for row, bits, (capture, *ends) in zip(both, protocols, places, strict=True):
            protocol = next(p for p in STRONGEST if bits >> p & 1 or p == Protocol.UNKNOWN)
            kind = self._count(self.read[capture], protocol, row)
            if kind is not None:
                self.unread.add(Connection(kind, (ends[0], ends[1]), (ends[2], ends[3])))

    def _count(self, into: dict[str, list[int]], protocol: Protocol, row: list[int]) -> UnreadKind | None:
        """Count a connection's bytes; why it was not read, None where it was."""
        payload, missing, cut = row[PAYLOAD], row[MISSING], row[CUT]
        understood = min(row[IN_MESSAGES] + INTERIM_BYTES * row[INTERIM], payload)
        rest, lost = payload - understood, missing - row[GAPS_IN_MESSAGES] + row[UNSEEN]
        self.lost += missing - cut + row[UNSEEN]
        parts = {LACKING: missing}
        if protocol == Protocol.HTTP1:
            parts |= {HTTP: understood, PARTS: rest}
        elif protocol == Protocol.TUNNEL:
            parts |= {HTTP: understood, "tunnel": rest}
        else:
            parts[NAMES.get(protocol, "other")] = payload
        for name, count in parts.items():
            if count:
                into[name][0] += count
                into[name][1] += 1
        if protocol in (Protocol.TLS, Protocol.H2):
            closed = UnreadKind.TLS if protocol == Protocol.TLS else UnreadKind.H2
            return None if row[IN_MESSAGES] else closed
        if protocol == Protocol.HTTP1:
            holes = lost > 0 or (rest and missing)
        else:
            holes = protocol == Protocol.UNKNOWN and missing
        if not holes:
            return None
        return UnreadKind.CUT if cut else UnreadKind.GAP


def _captured(m: Messages) -> tuple[I64, I64]:
    """The bytes of each message that were captured, and those missing that are known to be its own. A gap in a head or in
    chunked framing ends the message: what else it took is not known."""
    whole = (m.facts & np.uint32(Fact.HEAD_COMPLETE)) != 0
    lost = (m.gap_bytes > 0) & ((m.facts & np.uint32(Fact.COMPLETE)) == 0) & ((m.facts & np.uint32(Fact.CHUNKED)) != 0)
    size = np.where(whole, m.end - m.start - m.gap_bytes, m.end - m.start)
    size = np.where(whole & lost, m.head_end - m.start + m.body_bytes, size)
    return size, np.where(whole & ~lost, m.gap_bytes, 0)
