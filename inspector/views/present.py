"""What is shown, made from rows in bulk: columns first, objects from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from inspector.capture.addresses import format_address
from inspector.http.tables import Fact
from inspector.mirror.lost_requests import effective_time
from inspector.mirror.tables import Delivered, Exchanges, Leg, Lossy, Mirrors, Proof, Reason, Sign, Verdict
from inspector.ragged import gather
from inspector.table import I64, U8, U64, Bool
from inspector.views.cache import Memo
from inspector.views.columns import ABSENT, ExchangeColumns, Listing, MirrorColumns, optional
from inspector.views.objects import CaptureEnd, ExchangeView, GapView, MirrorView
from inspector.views.sentences import Witness

Unread = tuple[str, int | None]
UnreadMap = Mapping[tuple[int, int], Unread]  # by capture and first packet of a response: why its request was not read
PROTOCOLS = {10: "http/1.0", 11: "http/1.1", 20: "h2"}
LEGS = tuple(leg.name.lower() for leg in Leg)
VERDICTS = tuple(v.name.lower() for v in Verdict)
REASONS = tuple(r.word if r else None for r in Reason)
DELIVERED = tuple(d.name.lower() for d in Delivered)
CHUNK = 1024  # rows made at once: lists short enough for a cache, long enough that numpy's calls cost nothing
SPARSE = 16  # times the bytes wanted that may be copied to have them in one piece


def format_endpoint(hi: int, lo: int, port: int) -> str:
    """ "addr:port", with brackets around an IPv6 address (RFC 3986 section 3.2.2)."""
    address = format_address(hi, lo)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _sign_words(signs: int) -> tuple[str, ...]:
    return tuple(s.word for s in Sign if signs & s)


def _proof_words(proof: int) -> tuple[str, ...]:
    return tuple((p.name or "").lower() for p in Proof if proof & p)


class Presenter:
    """Shows exchanges (leg: (n,) Leg by row, None where only mirrors are shown) and the mirrors among them.

    end: time of the capture's last packet (ns), and whether the file is cut off there; None while it is not known.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        mirrors: Mirrors,
        leg: U8 | None = None,
        unread: UnreadMap | None = None,
        end: tuple[int, bool] | None = None,
    ) -> None:
        self.e = exchanges
        self.table = mirrors
        self.leg = leg
        self.unread = unread or {}
        self.end = end
        self._endpoint = Memo[tuple[int, int, int], str](lambda key: format_endpoint(*key))
        self._address = Memo[tuple[int, int], str](lambda key: format_address(*key))
        self._signs = Memo(_sign_words)
        self._proof = Memo(_proof_words)
        self._witness = Witness()

    def exchanges(self, rows: I64 | None = None) -> Listing[ExchangeView, ExchangeColumns]:
        """The exchanges at `rows`, in that order; without it every one, in order of its first packet's time."""
        order = np.argsort(effective_time(self.e), kind="stable") if rows is None else rows
        return Listing(self._exchange_chunks(order))

    def mirrors(self, rows: I64 | None = None, first_number: int = 1) -> Listing[MirrorView, MirrorColumns]:
        """The mirrors at `rows` of the mirror table (all without it), in that order, numbered from `first_number`."""
        return Listing(self._mirror_chunks(np.arange(len(self.table)) if rows is None else rows, first_number))

    def mirror(self, row: int, number: int) -> MirrorView:
        """One mirror, shown as number `number`. Many are made faster by `mirrors`."""
        return next(self.mirrors(np.array([row], np.int64), number))

    def exchange(self, row: int, leg: Leg | None = None) -> ExchangeView:
        """One exchange. Many are made faster by `exchanges`."""
        rows = np.array([row], np.int64)
        return next(self.exchange_columns(rows, self._legs(rows) if leg is None else [leg.name.lower()]).views())

    def _exchange_chunks(self, order: I64) -> Iterator[ExchangeColumns]:
        for start in range(0, len(order), CHUNK):
            rows = order[start : start + CHUNK]
            yield self.exchange_columns(rows, self._legs(rows))

    def _mirror_chunks(self, rows: I64, first_number: int) -> Iterator[MirrorColumns]:
        for start in range(0, len(rows), CHUNK):
            yield self.mirror_columns(rows[start : start + CHUNK], first_number + start)

    def _legs(self, rows: I64) -> list[str]:
        if self.leg is None:
            return [LEGS[Leg.OTHER]] * len(rows)
        return [LEGS[k] for k in self.leg[rows].tolist()]

    def exchange_columns(self, rows: I64, legs: list[str]) -> ExchangeColumns:
        """Rows of the exchange table, each in the part that `legs` says."""
        e = self.e
        start, end = e.request_time[rows], e.response_end_time[rows]
        asked, answered = start >= 0, e.response_time[rows] >= 0
        facts = e.response_facts[rows]
        ended = (facts & np.uint32(Fact.COMPLETE)) != 0
        whole = asked & answered & ended & ((e.request_facts[rows] & np.uint32(Fact.COMPLETE)) != 0)
        known = answered & ended & ((facts & np.uint32(Fact.BODY_GAP)) == 0)
        method, path, host, request_id = self._texts(rows)
        return ExchangeColumns(
            id=e.id[rows].tolist(),
            leg=legs,
            capture=e.capture[rows].tolist(),
            client=self._endpoints(e.client_hi[rows], e.client_lo[rows], e.client_port[rows]),
            server=self._endpoints(e.server_hi[rows], e.server_lo[rows], e.server_port[rows]),
            connection=e.connection[rows].tolist(),
            protocol=[PROTOCOLS.get(v, "unknown") for v in e.version[rows].tolist()],
            method=method,
            path=path,
            host=host,
            status=optional(e.status[rows], answered),
            request_id=request_id,
            request_packets=e.request_packets.take(rows).packed(),
            response_packets=e.response_packets.take(rows).packed(),
            request_time=np.where(asked, start, ABSENT),
            response_time=np.where(answered, e.response_time[rows], ABSENT),
            response_end_time=np.where(answered, end, ABSENT),
            duration=np.where(asked & answered, end - start, ABSENT),
            request_body_bytes=optional(e.request_bytes[rows], asked),
            response_body_bytes=optional(e.response_bytes[rows], answered),
            response_body_hash=_digests(e.response_hash[rows], known),
            complete=whole.tolist(),
            gaps=self._gaps(rows),
            unread=self._unread(rows),
        )

    def _unread(self, rows: I64) -> list[tuple[str, int | None] | None]:
        """Why requests that were captured were not read."""
        e = self.e
        if not self.unread:
            return [None] * len(rows)
        alone = ((e.request_time[rows] < 0) & (e.response_packets.lengths[rows] > 0)).tolist()
        found: list[tuple[str, int | None] | None] = []
        for row, lone in zip(rows.tolist(), alone, strict=True):
            key = (int(e.capture[row]), int(e.response_packets[row][0])) if lone else None
            found.append(self.unread.get(key) if key is not None else None)
        return found

    def _texts(self, rows: I64) -> list[list[str | None]]:
        """Method, target, host and request id as latin-1 text, None where one is absent or unknown."""
        e = self.e
        ends = [column[rows].astype(np.int64) for column in (e.method_end, e.target_end, e.host_end, e.request_id_end)]
        base = e.text.starts[rows]
        low, high = (int(base.min()), int((base + ends[-1]).max())) if len(rows) else (0, 0)
        if high - low <= SPARSE * int(ends[-1].sum()) + (1 << 16):
            raw, base = e.text.values[low:high], base - low
        else:
            runs = gather(e.text.values, base, ends[-1])
            raw, base = runs.values, runs.offsets[:-1]
        bounds = [base.tolist(), *[(base + end).tolist() for end in ends]]
        text = raw.tobytes().decode("latin-1")
        return [[text[a:b] or None for a, b in zip(bounds[k], bounds[k + 1], strict=True)] for k in range(len(ends))]

    def _endpoints(self, hi: U64, lo: U64, port: np.ndarray) -> list[str]:
        return self._endpoint.all(zip(hi.tolist(), lo.tolist(), port.tolist(), strict=True))

    def _gaps(self, rows: I64) -> list[list[GapView]]:
        out: list[list[GapView]] = [[] for _ in range(len(rows))]
        e = self.e
        for side, missing, facts in (
            ("request", e.request_gap[rows], e.request_facts[rows]),
            ("response", e.response_gap[rows], e.response_facts[rows]),
        ):
            for i in np.flatnonzero(missing > 0).tolist():
                out[i].append(GapView(side, int(missing[i]), "snaplen" if int(facts[i]) & Fact.CUT else "lost"))
            for i in np.flatnonzero((facts & np.uint32(Fact.UNCONFIRMED)) != 0).tolist():
                out[i].append(GapView(side, 0, "unconfirmed"))
        for side, refused in (("request", e.request_refused[rows]), ("response", e.response_refused[rows])):
            for i in np.flatnonzero(refused > 0).tolist():
                out[i].append(GapView(side, int(refused[i]), "reset"))
        return out

    def mirror_columns(self, rows: I64, first_number: int) -> MirrorColumns:
        """Rows of the mirror table, numbered from `first_number`."""
        t, e, n = self.table, self.e, len(rows)
        m, o, d = t.mirror[rows], t.original[rows], t.downstream[rows]
        has_o, has_d = o >= 0, d >= 0
        originals, downstreams = o[has_o], d[has_d]
        words = ("mirror", n), ("original", len(originals)), ("downstream", len(downstreams))
        legs = [word for word, count in words for _ in range(count)]
        x = self.exchange_columns(np.concatenate([m, originals, downstreams]), legs)
        mirror = np.arange(n, dtype=np.int64)
        original = np.where(has_o, n - 1 + np.cumsum(has_o), -1)
        downstream = np.where(has_d, n - 1 + len(originals) + np.cumsum(has_d), -1)
        sent = x.request_time[original] if n else np.empty(0, np.int64)
        both = has_o & (sent != ABSENT)
        shown = np.where(both, original, mirror).tolist()
        lag = np.where(both & (x.request_time[:n] != ABSENT), x.request_time[:n] - sent, ABSENT)
        delivered = [DELIVERED[k] for k in t.delivered[rows].tolist()]
        leaked = t.verdict[rows] == Verdict.LEAKED
        ends, rivals = self._ends(rows), t.rivals[rows].tolist()
        return MirrorColumns(
            exchanges=x,
            id=list(range(first_number, first_number + n)),
            request_id=x.request_id[:n],
            method=[x.method[i] for i in shown],
            path=[x.path[i] for i in shown],
            host=[x.host[i] for i in shown],
            proxy=[*self._address.all(zip(e.client_hi[m].tolist(), e.client_lo[m].tolist(), strict=True))],
            original=original.tolist(),
            mirror=mirror.tolist(),
            downstream=downstream.tolist(),
            paired_by=self._signs.all(t.signs[rows].tolist()),
            confidence=(t.confidence[rows] / 100).tolist(),
            lag=lag,
            verdict=[VERDICTS[k] for k in t.verdict[rows].tolist()],
            proof=self._proof.all(t.proof[rows].tolist()),
            reason=[REASONS[k] for k in t.reason[rows].tolist()],
            delivered=delivered,
            arrived=_arrived(e.status[m] >= 0, (e.response_facts[m] & np.uint32(Fact.COMPLETE)) != 0),
            acknowledged=e.acknowledged[m].tolist(),
            evidence=self._witness.tell(x, (original, downstream), lag, delivered, leaked, rivals, ends),
            rivals=rivals,
            end=ends,
        )

    def _ends(self, rows: I64) -> list[CaptureEnd | None]:
        """Of unanswered mirrors whose connections were open at the end of the capture: when that was."""
        ends: list[CaptureEnd | None] = [None] * len(rows)
        e, m = self.e, self.table.mirror[rows]
        if self.end is not None:
            last, cut = self.end
            for i in np.flatnonzero(
                (self.table.verdict[rows] == Verdict.UNANSWERED) & ((e.lossy[m] & Lossy.UNENDED) != 0)
            ).tolist():
                ends[i] = CaptureEnd(max(last - int(e.request_end_time[m[i]]), 0), cut)
        return ends


def _arrived(answered: Bool, complete: Bool) -> list[str]:
    words = ("none", "partial", "complete")
    return [words[k] for k in np.where(answered, np.where(complete, 2, 1), 0).tolist()]


def _digests(hashes: U64, known: Bool) -> list[str | None]:
    digits = hashes.astype(">u8").tobytes().hex()
    out: list[str | None] = ["xxh64:" + digits[i : i + 16] for i in range(0, 16 * len(hashes), 16)]
    for i in np.flatnonzero(~known).tolist():
        out[i] = None
    return out
