"""What this program found in a capture: messages to compare, and the tables that their reasons are looked up in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from inspector.http.tables import Fact
from inspector.inspection.collect import Collected
from inspector.inspection.pipeline import Pipeline
from inspector.mirror.pool import Rules
from inspector.mirror.tables import Exchanges, Mirrors
from inspector.ragged import Spans
from inspector.referee.model import REQUEST, RESPONSE, Mine
from inspector.table import I64, U8
from inspector.tcp.tables import Connections
from inspector.views.present import LEGS, Presenter

BLOCK = 4 << 20
WINDOW = 15_000_000_000  # ns; pairing is not what is compared
HTTP1 = (10, 11)


@dataclass(frozen=True)
class Ours:
    """One capture as this program reads it. legs: (n,) Leg beside the exchanges."""

    exchanges: Exchanges
    mirrors: Mirrors
    legs: U8
    connections: Connections
    counts: dict[str, int]  # of the tracker
    unconfirmed: int  # starts of messages behind gaps that nothing confirmed: they were left out

    @cached_property
    def rows(self) -> I64:
        """The exchanges that are compared: HTTP/1."""
        return np.flatnonzero(np.isin(self.exchanges.version, HTTP1))

    def messages(self, limit: int) -> list[Mine]:
        """Every message that is complete within the first `limit` packets, requests and responses."""
        e, rows = self.exchanges, self.rows
        rows = rows[(_first(e.request_packets)[rows] <= limit) | (_first(e.response_packets)[rows] <= limit)]
        columns = Presenter(e, self.mirrors).exchange_columns(rows, [LEGS[0]] * len(rows))
        out: list[Mine] = []
        facts = e.request_facts[rows].tolist(), e.response_facts[rows].tolist()
        sizes = e.request_bytes[rows].tolist(), e.response_bytes[rows].tolist()
        for i, row in enumerate(rows.tolist()):
            asked = tuple(sorted(columns.request_packets[i].tolist()))
            answered = tuple(sorted(columns.response_packets[i].tolist()))
            if asked and asked[-1] <= limit:
                whole, body = _known(facts[0][i], sizes[0][i])
                head = columns.method[i], columns.path[i], columns.host[i] or ""
                out.append(Mine(row, REQUEST, asked, *head, None, body, None, whole))
            if answered and answered[-1] <= limit:
                whole, body = _known(facts[1][i], sizes[1][i])
                pair = asked[-1] if asked else 0
                out.append(Mine(row, RESPONSE, answered, None, None, None, columns.status[i], body, pair, whole))
        return out

    def ports(self) -> list[int]:
        """Ports on which HTTP/1 was found, the busiest first; those that NAT put in their place too."""
        e, c = self.exchanges, self.connections
        used = np.unique(e.connection[self.rows])
        mine = c.take(np.isin(c.connection, used))
        ports = np.concatenate([e.server_port[self.rows], mine.wire_port[mine.joined], mine.server_port])
        values, counts = np.unique(ports[ports > 0], return_counts=True)
        return values[np.argsort(-counts, kind="stable")].tolist()


def _first(packets: Spans) -> I64:
    """The first packet of each run, beyond all packets where there is none."""
    out = np.full(len(packets), np.iinfo(np.int64).max)
    some = packets.lengths > 0
    out[some] = packets.values[packets.starts[some]]
    return out


def _known(facts: int, size: int) -> tuple[bool, int | None]:
    """(whether the message is whole, the size of its body where all of it was seen)."""
    whole = bool(facts & Fact.COMPLETE)
    return whole, size if whole and not facts & Fact.BODY_GAP else None


def read(capture: Path) -> Ours:
    """Inspect one capture. Raises CaptureError."""
    pipeline = Pipeline((str(capture),), Rules("-shadow", WINDOW, None), BLOCK, None)
    kept = Collected()
    for batch in pipeline.run():
        kept.add(batch)
    tracker = pipeline.reading.tracker
    return Ours(*kept.tables(), pipeline.connections(), dict(tracker.counts), pipeline.reading.parser.unconfirmed)
