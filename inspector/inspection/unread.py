"""Connections that were not read, and which of them may hide a request or a mirror: those with an end that takes part in what
was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from inspector.http.tables import Mark
from inspector.mirror.groups import numbered
from inspector.mirror.pool import Decisions
from inspector.mirror.signs import blend
from inspector.mirror.tables import Address
from inspector.table import U64, Bool

ROUTES = 50_000  # routes of unread connections that are kept apart; those beyond count as ones that matter
ADDRESSES = 50_000  # that are remembered of each part


class UnreadKind(StrEnum):
    """Why a connection was not read."""

    TLS = "tls"
    H2 = "h2"
    QUIC = "quic"
    CUT = "cut-heads"  # the snap length took bytes that a reader needs
    GAP = "gaps"  # bytes that no packet brought


@dataclass(frozen=True)
class Connection:
    """A connection that was not read: why, who opened it, and to whom."""

    kind: UnreadKind
    client: Address
    server: Address


class Unread:
    """Unread connections by their ends."""

    def __init__(self) -> None:
        self._routes: Counter[Connection] = Counter()
        self._more: Counter[UnreadKind] = Counter()

    @staticmethod
    def of(connections: Iterable[Connection]) -> Unread:
        """All of these."""
        out = Unread()
        for connection in connections:
            out.add(connection)
        return out

    def add(self, connection: Connection) -> None:
        """Count one."""
        if connection in self._routes or len(self._routes) < ROUTES:
            self._routes[connection] += 1
        else:
            self._more[connection.kind] += 1

    def counts(self) -> dict[str, int]:
        """Connections by kind."""
        found = Counter(self._more)
        for route, n in self._routes.items():
            found[route.kind] += n
        return {kind.value: found[kind] for kind in UnreadKind if found[kind]}

    def near(self, parts: Parts) -> dict[str, int]:
        """Connections by kind that have an end which takes part in what was read."""
        found = Counter(self._more)
        for route, n in self._routes.items():
            if parts.touches(route.client, route.server):
                found[route.kind] += n
        return {kind.value: found[kind] for kind in UnreadKind if found[kind]}


@dataclass
class Parts:
    """Addresses by the part that they play in the exchanges that were read.

    ends: proxies, and the servers of originals and mirrors. clients, servers: who asks, and who answers.
    """

    ends: set[Address] = field(default_factory=set)
    clients: set[Address] = field(default_factory=set)
    servers: set[Address] = field(default_factory=set)

    def add(self, batch: Decisions) -> None:
        """Take in the exchanges that leave."""
        found, gone = batch.found, batch.gone
        e, originals = found.exchanges, found.mirrors.original
        proxied = (found.original >= 0) | found.lone | found.retry | (found.downstream >= 0)
        proxied[originals[originals >= 0]] = True
        by_envoy = (e.response_marks & np.uint32(Mark.SERVER_ENVOY | Mark.UPSTREAM_TIME)) != 0
        rows = np.flatnonzero(gone)
        proxied, by_envoy = proxied[rows], by_envoy[rows]
        serves_self = found.signs.serves_self[rows] >= 0
        _note(self.clients, self.ends, e.client_hi[rows], e.client_lo[rows], proxied | serves_self)
        _note(self.servers, self.ends, e.server_hi[rows], e.server_lo[rows], proxied | by_envoy)

    def touches(self, client: Address, server: Address) -> bool:
        """Whether a connection has an end that is a proxy, an original or a mirror. An address that answers requests here and
        sends some, or the other way round, is a proxy as well; where none was seen, whoever sends requests may be one."""
        known = (self.ends, self.clients, self.servers)
        if any(len(part) >= ADDRESSES for part in known):
            return True
        if client in self.ends or server in self.ends:
            return True
        relays = client != server and (client in self.servers or server in self.clients)
        return relays or (not self.ends and client in self.clients)


def _note(all_of_them: set[Address], ends: set[Address], hi: U64, lo: U64, is_end: Bool) -> None:
    """Take in addresses, and those that are ends."""
    numbers, first = numbered(blend(hi, lo))
    here = list(zip(hi[first].tolist(), lo[first].tolist(), strict=True))
    if len(all_of_them) < ADDRESSES:
        all_of_them.update(here)
    if len(ends) < ADDRESSES:
        found = np.zeros(len(first), bool)
        found[numbers[is_end]] = True
        ends.update(here[k] for k in np.flatnonzero(found).tolist())
