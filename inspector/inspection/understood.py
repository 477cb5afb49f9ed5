"""How much of the TCP payload was understood, and which connections were not read: counted by connection as streams end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from inspector.http.parser import Read
from inspector.http.tables import Fact, Protocol
from inspector.inspection.unread import Connection, Unread, UnreadKind
from inspector.kernels.kernel import kernel
from inspector.table import I32, I64, U8, U32, larger
from inspector.tcp.tables import Ends, Gap, Runs, Streams

FAR = -(1 << 62)
UPTO, PAYLOAD, MISSING, CUT, IN_MESSAGES, GAPS_IN_MESSAGES, PROTOCOL, INTERIM, ENDED, UNSEEN, WIDTH = range(11)
INTERIM_BYTES = 4096  # that the 1xx responses before a message may take, which are no part of it
NAMES = {
    Protocol.H2: "h2",
    Protocol.TLS: "tls",
    Protocol.TUNNEL: "tunnel",
    Protocol.OTHER: "other",
    Protocol.PROXY: "proxy",
    Protocol.WEBSOCKET: "websocket",
}
CLOSED = {Protocol.TLS: UnreadKind.TLS, Protocol.H2: UnreadKind.H2}
HEAD_COMPLETE, COMPLETE, CHUNKED, INTERIM_RESPONSE = (
    int(f) for f in (Fact.HEAD_COMPLETE, Fact.COMPLETE, Fact.CHUNKED, Fact.INTERIM)
)
CUT_OFF = int(Gap.CUT)
HTTP, PARTS, LACKING = "http/1", "http/1-unread", "missing"
# What one direction shows holds for both; of several things that were seen the first counts.
STRONGEST = (
    Protocol.TLS,
    Protocol.H2,
    Protocol.WEBSOCKET,
    Protocol.TUNNEL,
    Protocol.HTTP1,
    Protocol.OTHER,
    Protocol.UNKNOWN,
)


class RunColumns(NamedTuple):
    """Columns of `Runs`."""

    slot: I32
    offset: I64
    length: I64
    gap: I64
    reason: U8


class MessageColumns(NamedTuple):
    """Columns of `Messages`."""

    slot: I32
    facts: U32
    start: I64
    head_end: I64
    end: I64
    body_bytes: I64
    gap_bytes: I64


@kernel
def count_bytes(state: I64, runs: RunColumns, m: MessageColumns) -> None:
    """Add up a block in the rows of its slots. Precondition: `state` has a row for each slot.

    Bytes that are passed on once more, and gaps before them, count once. A gap in a head or in chunked framing ends the
    message: what else of it is missing is not known.
    """
    for i in range(len(runs.slot)):
        s = runs.slot[i]
        begin = runs.offset[i]
        stop = begin + runs.length[i]
        upto = state[s, UPTO]
        missing = begin - max(begin - runs.gap[i], upto)
        if missing > 0:
            state[s, MISSING] += missing
            if runs.reason[i] == CUT_OFF:
                state[s, CUT] += missing
        if stop > upto:
            state[s, PAYLOAD] += stop - max(begin, upto)
            state[s, UPTO] = stop
    for i in range(len(m.slot)):
        s = m.slot[i]
        size = m.end[i] - m.start[i]
        if m.facts[i] & HEAD_COMPLETE != 0:
            if m.gap_bytes[i] > 0 and m.facts[i] & COMPLETE == 0 and m.facts[i] & CHUNKED != 0:
                size = m.head_end[i] - m.start[i] + m.body_bytes[i]
            else:
                size -= m.gap_bytes[i]
                state[s, GAPS_IN_MESSAGES] += m.gap_bytes[i]
        state[s, IN_MESSAGES] += size
        if m.facts[i] & INTERIM_RESPONSE != 0:
            state[s, INTERIM] += 1


class Understood:
    """Bytes by what they are, and the connections that were not read.

    read: by capture (that of a connection's first packet), by name: [bytes, connections]. Bytes that no packet brought count
    as `missing`; those of an HTTP/1 connection that belong to no message as `http/1-unread`.
    """

    def __init__(self) -> None:
        self.read: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        self.unread = Unread()
        self.proxied = 0  # connections that begin with a PROXY protocol header
        self.lost = 0  # bytes that no packet brought and no snap length cut off
        self._state: I64 = np.zeros((0, WIDTH), np.int64)  # by slot

    def add(self, runs: Runs, ends: Ends, acked: I64, read: Read, where: Callable[[I32], Streams]) -> None:
        """Count a block. acked: beside `ends`. where: what is known of slots."""
        last = max((int(a.max()) for a in (runs.slot, ends.slot, read.messages.slot) if len(a)), default=-1)
        if last < 0:
            return
        self._grow(last + 2)
        state, m, new = self._state, read.messages, read.protocols
        if len(new):
            np.bitwise_or.at(state[:, PROTOCOL], new.slot, 1 << new.protocol.astype(np.int64))
        count_bytes(
            state,
            RunColumns(runs.slot, runs.offset, runs.length, runs.gap, runs.reason),
            MessageColumns(m.slot, m.facts, m.start, m.head_end, m.end, m.body_bytes, m.gap_bytes),
        )
        if len(ends):
            self._ends(ends, acked, where)

    def _grow(self, slots: int) -> None:
        old = len(self._state)
        if slots > old:
            state = np.zeros((max(slots + 1 & ~1, larger(old)), WIDTH), np.int64)
            state[:old] = self._state
            state[old:, UPTO] = FAR
            self._state = state

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
            proxied = bool(bits >> Protocol.PROXY & 1)
            self.proxied += proxied
            kind = self._count(self.read[capture], protocol, row, proxied)
            if kind is not None:
                self.unread.add(Connection(kind, (ends[0], ends[1]), (ends[2], ends[3])))

    def _count(
        self, into: dict[str, list[int]], protocol: Protocol, row: list[int], proxied: bool
    ) -> UnreadKind | None:
        """Count a connection's bytes; why it was not read, None where it was. proxied: a PROXY protocol header came first."""
        payload, missing, cut = row[PAYLOAD], row[MISSING], row[CUT]
        understood = min(row[IN_MESSAGES] + INTERIM_BYTES * row[INTERIM], payload)
        rest, lost = payload - understood, missing - row[GAPS_IN_MESSAGES] + row[UNSEEN]
        self.lost += missing - cut + row[UNSEEN]
        parts = {LACKING: missing}
        if protocol == Protocol.HTTP1:
            parts |= {HTTP: understood, "proxy" if proxied and not lost else PARTS: rest}
        elif proxied and protocol in (Protocol.OTHER, Protocol.UNKNOWN):
            parts["proxy"] = payload
        else:
            parts |= {HTTP: understood, NAMES.get(protocol, "other"): rest}
        for name, count in parts.items():
            if count:
                into[name][0] += count
                into[name][1] += 1
        if protocol in CLOSED:
            return CLOSED[protocol] if rest else None
        if protocol == Protocol.HTTP1:
            holes = lost > 0 or (rest and missing)
        else:
            holes = protocol == Protocol.UNKNOWN and missing
        if not holes:
            return None
        return UnreadKind.CUT if cut else UnreadKind.GAP
