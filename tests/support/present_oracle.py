"""Views made a row at a time, from the tables' definition. Slow; what the Presenter is compared with."""

from __future__ import annotations

from inspector.capture.addresses import format_address
from inspector.http.tables import Fact
from inspector.mirror.signs import text
from inspector.mirror.tables import Delivered, Exchanges, Leg, Lossy, Mirrors, Proof, Reason, Sign, Verdict
from inspector.table import U8
from inspector.views.objects import CaptureEnd, Evidence, ExchangeView, GapView, MirrorView
from inspector.views.present import format_endpoint

PROTOCOLS = {10: "http/1.0", 11: "http/1.1", 20: "h2"}
SIGNS = tuple((int(s), s.word) for s in Sign)
PROOFS = tuple((int(p), (p.name or "").lower()) for p in Proof)


class Dull:
    def __init__(
        self, exchanges: Exchanges, mirrors: Mirrors, leg: U8 | None = None, end: tuple[int, bool] | None = None
    ) -> None:
        self.e = exchanges
        self.table = mirrors
        self.leg = leg
        self.end = end

    def field(self, row: int, name: str) -> str | None:
        raw = text(self.e, row, name)
        return raw.decode("latin-1") if raw else None

    def exchange(self, row: int, leg: Leg | None = None) -> ExchangeView:
        e = self.e
        asked = int(e.request_time[row]) >= 0
        answered = int(e.response_time[row]) >= 0
        facts = int(e.response_facts[row])
        whole = answered and asked and bool(int(e.request_facts[row]) & facts & Fact.COMPLETE)
        known = answered and bool(facts & Fact.COMPLETE) and not facts & Fact.BODY_GAP
        start, end = int(e.request_time[row]), int(e.response_end_time[row])
        return ExchangeView(
            id=int(e.id[row]),
            leg=(leg if leg is not None else self._leg(row)).name.lower(),
            capture=int(e.capture[row]),
            client=format_endpoint(int(e.client_hi[row]), int(e.client_lo[row]), int(e.client_port[row])),
            server=format_endpoint(int(e.server_hi[row]), int(e.server_lo[row]), int(e.server_port[row])),
            connection=int(e.connection[row]),
            protocol=PROTOCOLS.get(int(e.version[row]), "unknown"),
            method=self.field(row, "method"),
            path=self.field(row, "target"),
            host=self.field(row, "host"),
            status=int(e.status[row]) if answered else None,
            request_id=self.field(row, "request_id"),
            request_packets=e.request_packets[row].tolist(),
            response_packets=e.response_packets[row].tolist(),
            request_time=start if asked else None,
            response_time=int(e.response_time[row]) if answered else None,
            response_end_time=end if answered else None,
            duration=end - start if asked and answered else None,
            request_body_bytes=int(e.request_bytes[row]) if asked else None,
            response_body_bytes=int(e.response_bytes[row]) if answered else None,
            response_body_hash=f"xxh64:{int(e.response_hash[row]):016x}" if known else None,
            complete=whole,
            gaps=self._gaps(row),
        )

    def _leg(self, row: int) -> Leg:
        return Leg.OTHER if self.leg is None else Leg(int(self.leg[row]))

    def _gaps(self, row: int) -> list[GapView]:
        out = []
        for side, missing, facts in (
            ("request", self.e.request_gap, self.e.request_facts),
            ("response", self.e.response_gap, self.e.response_facts),
        ):
            if missing[row] > 0:
                out.append(GapView(side, int(missing[row]), "snaplen" if int(facts[row]) & Fact.CUT else "lost"))
        for side, refused in (("request", self.e.request_refused), ("response", self.e.response_refused)):
            if refused[row] > 0:
                out.append(GapView(side, int(refused[row]), "reset"))
        return out

    def mirror(self, j: int, number: int) -> MirrorView:
        t = self.table
        e = self.e
        m, o, d = int(t.mirror[j]), int(t.original[j]), int(t.downstream[j])
        shown = o if o >= 0 and e.request_time[o] >= 0 else m
        signs, proof = int(t.signs[j]), int(t.proof[j])
        reason = Reason(int(t.reason[j]))
        facts = int(e.response_facts[m])
        arrived = "none" if e.status[m] < 0 else "complete" if facts & Fact.COMPLETE else "partial"
        original = self.exchange(o, Leg.ORIGINAL) if o >= 0 else None
        mirror = self.exchange(m, Leg.MIRROR)
        downstream = self.exchange(d, Leg.DOWNSTREAM) if d >= 0 else None
        timed = o >= 0 and e.request_time[m] >= 0 and e.request_time[o] >= 0
        lag = int(e.request_time[m] - e.request_time[o]) if timed else None
        verdict = Verdict(int(t.verdict[j])).name.lower()
        delivered = Delivered(int(t.delivered[j])).name.lower()
        end = None
        if verdict == "unanswered" and int(e.lossy[m]) & Lossy.UNENDED and self.end is not None:
            end = CaptureEnd(max(self.end[0] - int(e.request_end_time[m]), 0), self.end[1])
        return MirrorView(
            id=number,
            request_id=self.field(m, "request_id"),
            method=self.field(shown, "method"),
            path=self.field(shown, "target"),
            host=self.field(shown, "host"),
            proxy=format_address(int(e.client_hi[m]), int(e.client_lo[m])),
            original=original,
            mirror=mirror,
            downstream=downstream,
            paired_by=[word for bit, word in SIGNS if signs & bit],
            confidence=int(t.confidence[j]) / 100,
            lag=lag,
            verdict=verdict,
            proof=[word for bit, word in PROOFS if proof & bit],
            reason=reason.word if reason else None,
            delivered=delivered,
            arrived=arrived,
            acknowledged=bool(e.acknowledged[m]),
            evidence=evidence(original, mirror, downstream, lag, verdict, delivered, reason, int(t.rivals[j]), end),
            rivals=int(t.rivals[j]),
            end=end,
        )


def milliseconds(ns: int) -> str:
    return f"{abs(ns) / 1e6:.3f} ms"


def evidence(
    original: ExchangeView | None,
    mirror: ExchangeView,
    downstream: ExchangeView | None,
    lag: int | None,
    verdict: str,
    delivered: str,
    reason: Reason,
    rivals: int,
    end: CaptureEnd | None,
) -> list[Evidence]:
    out: list[Evidence] = []

    def show(exchange: ExchangeView, packets: list[int], which: int, says: str) -> None:
        if packets:
            out.append(Evidence(exchange.capture, packets[which], says))

    if downstream is not None:
        show(downstream, downstream.request_packets, 0, f"the downstream {downstream.client} sends the request")
    if original is not None:
        show(original, original.request_packets, 0, f"the proxy sends the original to {original.server}")
    when = ""
    if lag is not None:
        when = f", {milliseconds(lag)} {'after' if lag >= 0 else 'before'} the original"
    show(mirror, mirror.request_packets, 0, f"the proxy sends the copy to {mirror.server}{when}")
    if original is not None and original.response_packets:
        show(original, original.response_packets, 0, f"the original is answered: {reply(original)}")
    if mirror.response_packets:
        says = f"the copy's response begins to arrive at the proxy: {reply(mirror)}"
        for gap in mirror.gaps:
            if (gap.side, gap.reason) == ("response", "reset"):
                says += f"; the proxy refused {gap.bytes:,} bytes of it with a RST: they reached nobody"
        show(mirror, mirror.response_packets, 0, says)
        if len(mirror.response_packets) > 1:
            show(mirror, mirror.response_packets, -1, "the last of the copy's response that was seen")
    if downstream is not None and downstream.response_packets:
        whose = {
            "original": "what the original was answered",
            "mirror": "the copy's response, not the original's",
            "proxy": "a reply of the proxy's own",
        }.get(delivered, "a response")
        among = f" (judged for each of {rivals} downstream requests that it could be)" if rivals > 1 else ""
        says = f"the downstream is given {whose}: {reply(downstream)}{among}"
        if verdict == "leaked":
            digest = downstream.response_body_hash
            if digest and digest == mirror.response_body_hash:
                says += f"; its body is the copy's ({digest})"
            if original is not None and original.response_packets:
                says += f"; the original was answered with {reply(original)}"
        show(downstream, downstream.response_packets, 0, says)
    if end is not None:
        how = "file is cut off" if end.cut else "ends"
        after = f"{end.after / 1e6:.3g} ms" if end.after < 10**9 else f"{end.after / 1e9:,.3g} s"
        show(
            mirror, mirror.request_packets, -1, f"no response to the copy was captured: the capture {how} {after} later"
        )
    return out


def reply(exchange: ExchangeView) -> str:
    size = exchange.response_body_bytes or 0
    part = "" if exchange.complete else " seen"
    return f"status {exchange.status}, {size:,} bytes of body{part}"
