"""What a capture holds of each exchange, and what is true of it: the side of the check that knows.

Nothing here looks at what the product says.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

from simulating.actors import Transaction
from simulating.cases import Case
from simulating.messages import Exchange, tells
from simulating.network import CLIENT, SERVER, Connection, Packet, Span
from simulating.wire import Record


@dataclass
class Held:
    """What captures hold of an exchange. Bytes count where the whole segment was captured, too."""

    request: list[tuple[int, int]] = field(default_factory=list)  # (capture, record number from 1)
    response: list[tuple[int, int]] = field(default_factory=list)
    request_whole: bool = False
    response_whole: bool = False


def spans(e: Exchange, side: int) -> list[Span]:
    c = e.connection
    return [s for s in c.spans[side] if s.exchange is e] if isinstance(c, Connection) else []


def told(t: Transaction, a: Exchange, b: Exchange) -> int:
    """Whose response a client was given, as far as anybody can know: 1 the first's, -1 the second's, 0 unknown."""
    down = t.downstream.response
    if down is None or a.response is None or b.response is None:
        return 0 if down is None else (a.response is not None) - (b.response is not None)
    return tells(down, a.response, b.response)


class Truth:
    """The truth about a case."""

    def __init__(self, case: Case) -> None:
        self.case, self.scene = case, case.scene
        self.records: list[list[Record]] = case.taken.files

    @cached_property
    def held(self) -> dict[Exchange, Held]:
        """What the captures hold of every exchange."""
        out: dict[Exchange, Held] = {e: Held() for e in self.scene.exchanges}
        bytes_of: dict[tuple[Exchange, int], set[int]] = defaultdict(set)
        cut = self.case.taken.snaplen < 65536
        for f, records in enumerate(self.records):
            for n, r in enumerate(records, 1):
                p = r.packet
                if p is None or not p.data:
                    continue
                for s in p.connection.spans[p.side]:
                    if s.start < p.end and p.at < s.end:
                        h = out[s.exchange]
                        (h.response if p.side == SERVER else h.request).append((f, n))
                        room = self.case.taken.snaplen - 100 if cut else 1 << 30
                        bytes_of[s.exchange, p.side].update(range(max(s.start, p.at), min(s.end, p.end, p.at + room)))
        for e, h in out.items():
            for side, name in ((CLIENT, "request_whole"), (SERVER, "response_whole")):
                mine = spans(e, side)
                here = bytes_of[e, side]
                setattr(
                    h, name, bool(mine) and all(len(here & set(range(s.start, s.end))) == s.end - s.start for s in mine)
                )
        return out

    @cached_property
    def given(self) -> dict[Exchange, list[Transaction]]:
        """Which transactions were given (something of) an exchange's response."""
        out: dict[Exchange, list[Transaction]] = defaultdict(list)
        for t in self.scene.transactions:
            if t.given is not None and t.how not in ("own", "merged") and self.departure(t.downstream) is not None:
                out[t.given].append(t)
        return out

    def original(self, t: Transaction) -> Exchange | None:
        """The exchange that answered, or the last one that was tried."""
        answered = [o for o in t.originals if o.response is not None]
        return t.given if t.given in t.originals else (answered or t.originals or [None])[-1]

    @staticmethod
    def group(e: Exchange) -> Transaction:
        assert isinstance(e.group, Transaction)
        return e.group

    def leaked(self, e: Exchange) -> list[Transaction]:
        return self.given.get(e, [])

    @cached_property
    def mirrors(self) -> list[Exchange]:
        return [e for e in self.scene.exchanges if e.role == "mirror"]

    def there(self, f: int, numbers: list[int]) -> bool:
        """Whether a capture has records with these numbers."""
        return all(0 < n <= len(self.records[f]) for n in numbers)

    def candidates(self, f: int, numbers: list[int], side: int) -> list[Exchange]:
        """Exchanges with bytes in these records, in order of their streams."""
        found: dict[int, Exchange] = {}
        for n in (n for n in numbers if self.there(f, [n])):
            p = self.records[f][n - 1].packet
            if p is None or p.side != side:
                continue
            for s in p.connection.spans[side]:
                if s.start < p.end and p.at < s.end:
                    found[s.exchange.number] = s.exchange
        return [found[k] for k in sorted(found)]

    def roles_known(self, server: str, mirror: str) -> bool:
        """Without marks: whether anything captured tells the server of originals from that of mirrors.

        A request without a copy tells it, and so do more clients that were given the original's answer than the mirror's, where
        these differ.
        """
        right = wrong = 0
        for t in self.scene.transactions:
            asked = [o for o in t.originals if o.receiver == server and self.held[o].request]
            copies = [m for m in t.mirrors if m.receiver == mirror and self.held[m].request]
            if isinstance(t.downstream.connection, Connection) and t.downstream.connection.encrypted:
                continue
            whole = self.held[t.downstream].response_whole and t.given is not None and self.held[t.given].response_whole
            if asked and t.eligible and not t.mirrors and t.given in asked and self.held[t.downstream].request:
                return True
            for o, m in ((o, m) for o in asked for m in copies if whole):
                said = told(t, o, m)
                right += said > 0 and t.given is o
                wrong += said < 0 and t.given is m
        return right > wrong

    @staticmethod
    def _first(e: Exchange) -> list[Packet]:
        """Packets with bytes of a response, in order of sending."""
        mine, c = spans(e, SERVER), e.connection
        if not mine or not isinstance(c, Connection):
            return []
        start, end = mine[0].start, mine[0].end
        return [p for p in c.packets if p.side == SERVER and p.data and p.at < end and p.end > start]

    def arrival(self, e: Exchange) -> int | None:
        """When the first byte of a response arrived at who had asked."""
        return min((p.arrived for p in self._first(e) if p.arrived is not None), default=None)

    def departure(self, e: Exchange) -> int | None:
        """When the first byte of a response left."""
        return min((p.sent for p in self._first(e)), default=None)

    def as_data(self) -> dict[str, object]:
        """For truth.json."""
        rows = []
        for e in self.scene.exchanges:
            h, c = self.held[e], e.connection
            ends = [f"{x.ip}:{x.port}" for x in c.ends] if isinstance(c, Connection) else None
            rows.append({
                "number": e.number, "role": e.role, "ends": ends, "method": e.request.method, "target": e.request.target,
                "host": e.request.host, "status": e.response.status if e.response else None,
                "body": e.response.body[:200].decode("latin-1") if e.response else None, "marks": sorted(e.marks),
                "request_records": h.request, "response_records": h.response,
            })  # fmt: skip
        groups = [
            {
                "proxy": t.proxy, "downstream": t.downstream.number, "originals": [o.number for o in t.originals],
                "mirrors": [m.number for m in t.mirrors], "checks": [c.number for c in t.checks],
                "given": t.given.number if t.given else None, "how": t.how,
                "leaked": [m.number for m in t.mirrors if self.leaked(m)],
            }
            for t in self.scene.transactions
        ]  # fmt: skip
        return {"case": self.case.name, "notes": self.case.taken.notes, "exchanges": rows, "transactions": groups}
