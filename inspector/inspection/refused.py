"""Connections that were never made: a proxy's own, tried just as it sent an original, may be a mirror whose server is down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspector.capture.unreachable import Unreachable
from inspector.mirror.groups import in_groups, member, numbered
from inspector.mirror.pool import Decisions
from inspector.mirror.signs import blend
from inspector.mirror.tables import Address, Exchanges
from inspector.seq import MASK
from inspector.table import I64
from inspector.tcp import layout as col

_WORD = (1 << 64) - 1
LOOK = 4  # requests before and after a try that are looked at
KEPT = 10_000  # tries that are remembered, the newest; those given up are counted
NEAR = 50_000_000  # ns between an original and a try that belongs to it
MIX = 0x9E3779B97F4A7C15 - (1 << 64)  # odd: spreads the hashes of endpoints
WANTED = (col.T_FLAGS, col.T_TIME, col.T_SRC_HI, col.T_SRC_LO, col.T_DST_HI, col.T_DST_LO, col.T_DPORT,
          col.T_SPORT, col.T_SEQ)  # fmt: skip
PATIENCE = 1_000_000_000  # ns that a SYN waits for an answer before it counts as unanswered
Endpoint = tuple[int, int, int]
Said = tuple[str, Address]


@dataclass
class Try:
    """A SYN without a connection. refused: a RST came back; unreachable: an ICMP error did; asked: how often it was sent."""

    client: Address
    port: int
    server: Endpoint
    seq: int
    time: int
    unreachable: Unreachable | None = None
    refused: bool = False
    asked: int = 1
    after: int | None = None  # ns between it and the original next to it


class Tries:
    """Collects the tries of a capture, segment by segment."""

    def __init__(self) -> None:
        self._open: dict[int, Try] = {}  # by the client's endpoint and the number of its SYN, hashed
        self.failed: list[Try] = []
        # How many, how long after an original at most, and the first packet with the error.
        self._groups: dict[tuple[Address, Endpoint, bool, Said | None], tuple[int, int, int | None]] = {}
        self.left_out = 0  # tries that were not followed up, too many were

    def add(self, seg: I64) -> None:
        """Look at segments: (layout.T_WIDTH, n), in order of time. Few are looked at one by one: SYNs that were not answered with
        a connection in these segments, and what answers those."""
        flags = seg[col.T_FLAGS]
        rare = np.flatnonzero(flags & (col.SYN | col.RST))
        if not len(rare):
            return
        answering = (flags[rare] & col.ACK) != 0
        asks, answers = rare[~answering & ((flags[rare] & col.RST) == 0)], rare[answering]
        if not len(asks) and not self._open:
            return
        asked = seg[col.T_SRC, asks] * MIX + seg[col.T_SEQ, asks]
        answered = seg[col.T_DST, answers] * MIX + ((seg[col.T_ACK, answers] - 1) & MASK)
        known = np.fromiter(self._open, np.int64, len(self._open))
        tried = ~member(asked, answered[(flags[answers] & col.RST) == 0])
        fresh = np.flatnonzero(tried & ~member(asked, known))[:-KEPT]
        tried[fresh] = False
        self.left_out += len(fresh)
        met = member(answered, np.concatenate([known, asked[tried]]))
        rows = np.concatenate([asks[tried], answers[met]])
        keys = np.concatenate([asked[tried], answered[met]])
        order = np.argsort(rows)
        columns = (seg[number, rows[order]].tolist() for number in WANTED)
        for key, bits, *sent in zip(keys[order].tolist(), *columns, strict=True):
            if bits & col.ACK:
                self._answered(key, bool(bits & col.RST))
            else:
                self._asked(key, *sent)

    def _asked(self, key: int, time: int, *ends: int) -> None:
        """ends: T_SRC_HI to T_SEQ, as in WANTED."""
        known = self._open.get(key)
        if known is not None:
            known.asked += time - known.time > PATIENCE // 10
        else:
            if len(self._open) >= KEPT:
                del self._open[next(iter(self._open))]
                self.left_out += 1
            client_hi, client_lo, server_hi, server_lo = (part & _WORD for part in ends[:4])
            server_port, client_port, number = ends[4:]
            server = server_hi, server_lo, server_port
            self._open[key] = Try((client_hi, client_lo), client_port, server, number, time)

    def _answered(self, key: int, refused: bool) -> None:
        found = self._open.pop(key, None)
        if found is not None and refused:
            found.refused = True
            self._fail(found)

    def _fail(self, found: Try) -> None:
        if len(self.failed) >= KEPT:
            for old in self.failed[: KEPT // 2]:
                self._fold(old)
                self.left_out += old.after is None
            self.failed = self.failed[KEPT // 2 :]
        self.failed.append(found)

    def _fold(self, found: Try) -> None:
        """Count a try beside an original in its group."""
        error = None if found.refused else found.unreachable
        key = found.client, found.server, found.refused, None if error is None else (error.what, error.by)
        if found.after is not None and (key in self._groups or len(self._groups) < KEPT):
            n, within, packet = self._groups.get(key, (0, 0, None))
            if error is not None:
                packet = error.packet if packet is None else min(packet, error.packet)
            self._groups[key] = n + 1, max(within, found.after), packet

    def unreachable(self, errors: Sequence[Unreachable]) -> None:
        """Take in ICMP errors: each counts for the open SYN that it quotes, by addresses, ports and sequence number."""
        if not errors or not self._open:
            return
        tries = {((*t.client, t.port), t.server, t.seq): t for t in self._open.values()}
        for error in errors:
            found = tries.get((error.client, error.server, error.seq))
            if found is not None and found.unreachable is None:
                found.unreachable = error

    def finish(self, clock: int) -> None:
        """The capture has ended: what waited long enough was not answered."""
        for found in self._open.values():
            if found.asked > 1 or clock - found.time >= PATIENCE or found.unreachable is not None:
                self._fail(found)
        self._open = {}

    def meet(self, batch: Decisions) -> None:
        """Find the originals that tries were made beside, among the exchanges that leave. Called while others are added."""
        tries = defaultdict(list)
        for found in (*list(self.failed), *list(self._open.values())):
            if found.after is None:
                tries[found.client].append(found)
        if not tries:
            return
        e, f = batch.found.exchanges, batch.found
        sent = batch.gone & (e.request_time >= 0) & (f.original < 0) & ~f.lone & (f.claimed < 0)
        sent &= (f.signs.serves_self < 0) & ~f.signs.loopback
        rows = np.flatnonzero(sent)
        numbers, first = numbered(blend(e.client_hi[rows], e.client_lo[rows]))
        rows, senders = in_groups(rows, numbers, len(first)), rows[first]
        stops = np.cumsum(np.bincount(numbers, minlength=len(first))).tolist()
        clients = zip(e.client_hi[senders].tolist(), e.client_lo[senders].tolist(), strict=True)
        for client, start, stop in zip(clients, [0, *stops], stops, strict=False):
            if client in tries:
                own = rows[start:stop]
                _beside(tries[client], own[np.argsort(e.request_time[own], kind="stable")], e)

    def groups(self) -> list[RefusedRoute]:
        """Tries beside originals, by proxy, server and what became of them; the most first."""
        for t in self.failed:
            self._fold(t)
        self.failed = []
        groups = [
            RefusedRoute(*key[:3], n, within, key[3], packet) for key, (n, within, packet) in self._groups.items()
        ]
        return sorted(groups, key=lambda g: (-g.n, g.server))


@dataclass(frozen=True)
class RefusedRoute:
    """Connections that a proxy did not get. within: ns between each and an original, at most. error: what an ICMP error said
    cannot be reached, and who sent it; packet: the first such error."""

    proxy: Address
    server: Endpoint
    refused: bool
    n: int
    within: int
    error: Said | None = None
    packet: int | None = None


def _beside(tries: list[Try], rows: I64, e: Exchanges) -> None:
    """Note the request next to each try, where it is near and went to another server."""
    times = e.request_time[rows]
    at = np.searchsorted(times, [t.time for t in tries])
    for t, place in zip(tries, at.tolist(), strict=True):
        for k in range(max(place - LOOK, 0), min(place + LOOK, len(rows))):
            row, apart = rows[k], abs(int(times[k]) - t.time)
            server = int(e.server_hi[row]), int(e.server_lo[row]), int(e.server_port[row])
            if apart <= NEAR and server != t.server and (t.after is None or apart < t.after):
                t.after = apart
