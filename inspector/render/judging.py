"""The last steps of an explanation: the verdict with what carries it, and what would refute it.

They say only what the views show. Where several downstream requests could be the mirror's own, the verdict holds for each of
them, and the one that is shown may not carry every proof: then that is said.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspector.lang import _
from inspector.render.ladder_parts import offset
from inspector.render.likeness import answered_first, same
from inspector.render.text import duration, shown
from inspector.render.wording import ExplanationStep, reply
from inspector.views.objects import ExchangeView, MirrorView
from inspector.views.sentences import capture_ends, span


@dataclass(frozen=True)
class Case:
    """What is judged: a mirror, the attempts of its original, and the time of the first message (ns)."""

    m: MirrorView
    attempts: list[ExchangeView]
    start: int

    def at(self, time: int | None) -> str:
        """A time for a sentence."""
        return "?" if time is None else offset(time - self.start)


def verdict(case: Case) -> ExplanationStep:
    """What became of the mirror's response, and why that is so."""
    m = case.m
    tell = {"discarded": _discarded, "leaked": _leaked, "unanswered": _unanswered}.get(m.verdict, _unproven)
    title, says, fact = tell(case)
    if m.rivals > 1:
        says.insert(
            0,
            _(
                "{n} downstream requests could be this one's own; this is judged for each, and the likeliest is shown."
            ).format(n=m.rivals),
        )
    packets = []
    for x in (m.original, m.mirror, m.downstream):
        if x is not None:
            packets += [(x.capture, p) for p in (*x.response_packets[:1], *x.response_packets[-1:])]
    return ExplanationStep("verdict", title, tuple(s for s in says if s), tuple(dict.fromkeys(packets)), fact)


Telling = tuple[str, list[str], str]


def _discarded(case: Case) -> Telling:
    m = case.m
    says, fact = [], ""
    if "content" in m.proof:
        says += _content(case)
        fact = _(
            "Proxies change headers on the way down: status and body are compared, bodies by their hash (XXH64), never raw bytes."
        )
    if "time" in m.proof:
        says += _time(case)
        fact = fact or _("What has been passed on cannot hold bytes that arrive later.")
    if "count" in m.proof:
        says += _count(case)
        fact = fact or _("A request gets one final response on its connection (RFC 9110 section 15).")
    says = says or [_("The client was not given the mirror's response.")]
    return _("The mirror's response ended at the proxy"), says, fact


def _content(case: Case) -> list[str]:
    """Proof by what was passed on: not the mirror's, and whose it is."""
    d, x = case.m.downstream, case.m.mirror
    if d is None:
        return []
    sizes = {"n": f"{d.response_body_bytes or 0:,}", "k": f"{x.response_body_bytes or 0:,}"}
    if same(d, x) is True:
        return [_("Content: in the other possible pairings the client was given other bytes than the mirror's.")]
    if d.status is None or x.status is None:
        said = _("Content: what the client was given is not the mirror's response.")
    elif d.status != x.status:
        said = _("Content: the client was given status {given}, the mirror answered {answered}.")
    elif same(d, x) is False:
        said = _("Content: the client was given {n} bytes of body ({hash}), the mirror answered {k} bytes ({other}).")
    elif sizes["n"] != sizes["k"]:
        said = _("Content: the bodies differ as far as they were seen, {n} bytes against the mirror's {k}.")
    else:
        said = _("Content: what the client was given is not the mirror's response.")
    hashes = {"hash": shown(d.response_body_hash), "other": shown(x.response_body_hash)}
    return [said.format(given=d.status, answered=x.status, **sizes, **hashes), _whose(case, d)]


def _whose(case: Case, d: ExchangeView) -> str:
    """Whose response the client was given, as far as the packets tell."""
    m, o = case.m, case.m.original
    if m.delivered == "original" and o is not None:
        if same(d, o) is True:
            said = _("It is what the original was answered: {reply}.")
            if any(same(d, attempt) is True for attempt in case.attempts):
                said = _("It is what the original was answered, and a later attempt likewise: {reply}.")
            return said.format(reply=reply(o))
        for attempt in case.attempts:
            if same(d, attempt) is True and attempt.response_packets:
                said = _("It is what a later attempt was answered in packet {packet}: {reply}.")
                return said.format(packet=attempt.response_packets[0], reply=reply(attempt))
        if o.status == d.status:
            return _("The original was answered with the same status, {status}.").format(status=o.status)
        return _("It is what a later attempt of the original was answered.")
    if m.delivered == "proxy" and o is not None and o.status is None:
        return _("No response to the original was seen either: the reply is the proxy's own.")
    if m.delivered == "proxy":
        return _("It is not what the original was answered either: the reply is the proxy's own.")
    return _("Whose response it was instead, these packets do not show.")


def _time(case: Case) -> list[str]:
    """Proof by time: the client had its answer first."""
    m, d, x = case.m, case.m.downstream, case.m.mirror
    if (d is None or not answered_first(d, x)) and any(g.side == "response" and g.reason == "reset" for g in x.gaps):
        return [
            _(
                "Time: the proxy had reset the connection to the mirror: nothing of its response can have been passed on."
            )
        ]
    if d is None:
        return []
    if not answered_first(d, x):
        return [_("Time: in the other possible pairings the client was answered before the mirror's response arrived.")]
    said = _(
        "Time: the client had its whole answer at {given} (packet {packet}), {gap} before the mirror's response began to "
        "arrive at {arrived} (packet {first})."
    )
    out = [
        said.format(
            given=case.at(d.response_end_time),
            packet=d.response_packets[-1] if d.response_packets else "?",
            gap=duration((x.response_time or 0) - (d.response_end_time or 0)),
            arrived=case.at(x.response_time),
            first=x.response_packets[0] if x.response_packets else "?",
        )
    ]
    if d.capture != x.capture:
        out.append(_("Both times are of different captures: this rests on their clocks."))
    if "content" not in m.proof and "count" not in m.proof and m.delivered == "proxy":
        out.append(_whose(case, d))
    return out


def _count(case: Case) -> list[str]:
    """Proof by count: two equal responses came, one went on."""
    d, x = case.m.downstream, case.m.mirror
    if d is None:
        return []
    if same(d, x) is True:
        said = _(
            "Count: original and mirror were answered alike ({reply}), so bytes do not distinguish them; two responses arrived "
            "at the proxy and one was passed on."
        )
    else:
        said = _(
            "Count: what was seen of the two responses does not distinguish them; two responses arrived at the proxy and one was "
            "passed on."
        )
    return [said.format(reply=reply(x))]


def _leaked(case: Case) -> Telling:
    d, x, o = case.m.downstream, case.m.mirror, case.m.original
    says = []
    if d is not None and d.status is not None:
        said = _("The client was given {reply}; the body's hash {hash} is that of the mirror's response.")
        if d.response_body_hash is None or d.response_body_hash != x.response_body_hash:
            said = _("The client was given the mirror's response: {reply}.")
        says.append(said.format(reply=reply(d), hash=shown(d.response_body_hash)))
    if o is not None and o.status is not None:
        said = _("The original was answered otherwise: {reply}, hash {hash}.")
        if o.response_body_hash is None:
            said = _("The original was answered otherwise: {reply}.")
        says.append(said.format(reply=reply(o), hash=shown(o.response_body_hash)))
    elif o is not None:
        says.append(_("No response to the original was seen."))
    says = says or [_("What the client was given is the mirror's response.")]
    fact = _("The mirror's response had reached the proxy before the client was answered with it.")
    if d is None or d.response_time is None or x.response_time is None or d.response_time < x.response_time:
        fact = ""
    return _("The client was given the mirror's response: a leak"), says, fact


def _unanswered(case: Case) -> Telling:
    d = case.m.downstream
    says = [_("The capture holds no response of the mirror: nothing was seen that the proxy could have passed on.")]
    if case.m.end is not None:
        ends = capture_ends(span(case.m.end.after), case.m.end.cut)
        says.append(_("It may have come later: {end}.").format(end=ends))
    if d is not None and d.status is not None:
        says.append(_("The client was given {reply}.").format(reply=reply(d)))
    return _("No response to the mirror was seen"), says, ""


def _unproven(case: Case) -> Telling:
    m, d, x = case.m, case.m.downstream, case.m.mirror
    reasons = {
        "no-downstream-leg": _("The client's leg is not in the capture: nothing shows what the client was given."),
        "encrypted": _("The client's leg is encrypted: nothing readable shows what the client was given."),
        "unread": _(
            "The client's leg may be on an HTTP/2 or QUIC connection, which is not read yet: nothing that was read shows what "
            "the client was given."
        ),
        "gap": _("Bytes that would carry the proof were lost from the capture."),
        "snaplen": _("Packets that would carry the proof were cut by the snap length."),
        "mid-stream": _("The capture starts inside these connections: their first messages cannot be read."),
        "original-not-captured": _(
            "The original's response is not in the capture, so nothing shows whose response the client was given."
        ),
        "ambiguous": _(
            "Equal requests were in flight together, or the reply is neither response: the packets allow several readings."
        ),
    }
    if m.original is None and m.reason in ("encrypted", "unread"):
        reasons |= {
            "encrypted": _("The original was not read: it may be on an encrypted connection of the proxy."),
            "unread": _("The original was not read: it may be on an HTTP/2 or QUIC connection of the proxy."),
        }
    if m.reason == "gap" and not lost(m):
        reasons["gap"] = _("Responses that would carry the proof are not whole, though no byte of them was lost.")
        if _unseen(m):
            reasons["gap"] = _(
                "The client's answer is not in the capture: it was lost, or the capture ended before it."
            )
    says = [reasons.get(m.reason or "", _("These packets do not show what the client was given."))]
    if m.reason == "no-downstream-leg" and d is not None:
        says = [_("The client's request is in the capture, its answer is not.")]
    if m.reason == "original-not-captured" and d is not None and same(d, x) is True:
        says.append(
            _(
                "The client was given the same status and body as the mirror answered; the original may have answered so, too."
            )
        )
    if m.arrived != "none":
        says.append(_("The mirror's response did reach the proxy."))
    return _("Where the mirror's response went is not known"), says, ""


def refutation(case: Case) -> ExplanationStep:
    """What would refute the verdict; for one that is unproven, what would settle it."""
    m = case.m
    if m.verdict == "unproven":
        return ExplanationStep("settle", _("What would settle it"), (_settle(m),))
    says = []
    d, x, o = m.downstream, m.mirror, m.original
    if m.verdict == "discarded" and d is not None:
        if "content" in m.proof and x.status is not None:
            said = _("A packet to {client} for this request that holds the mirror's response: {reply}{hash}.")
            digest = f" ({x.response_body_hash})" if x.response_body_hash else ""
            says.append(said.format(client=shown(d.client), reply=reply(x), hash=digest))
        if "time" in m.proof and d.response_packets:
            said = _(
                "A part of the mirror's response that reached the proxy before packet {packet}, and was not captured."
            )
            says.append(said.format(packet=d.response_packets[-1]))
        if "count" in m.proof:
            says.append(
                _(
                    "A second response to this request on the client's connection, or a header in it that only the mirror sent."
                )
            )
    elif m.verdict == "leaked":
        says.append(
            _(
                "The original, or a later attempt of it, answered with the same status and body: their bytes would be the same."
            )
        )
    elif m.verdict == "unanswered":
        said = _(
            "A response from {server} to {client} after packet {packet}: lost from the capture, or later than its end."
        )
        packet = x.request_packets[-1] if x.request_packets else "?"
        says.append(said.format(server=shown(x.server), client=shown(x.client), packet=packet))
    says += _pairing(m, o, x)
    says = says or [_("Packets of this request that show another answer to the client.")]
    return ExplanationStep("refute", _("What would refute it"), tuple(says))


def _pairing(m: MirrorView, o: ExchangeView | None, x: ExchangeView) -> list[str]:
    """What would show that it is not a mirror of this original."""
    if o is None or not o.request_packets or not x.request_packets:
        return []
    said = _("Packet {copy} being no copy of packet {original} but a request that the proxy was asked for on its own.")
    return [said.format(copy=x.request_packets[0], original=o.request_packets[0])]


def lost(m: MirrorView) -> bool:
    """Whether bytes of one of its exchanges were lost, as far as they show."""
    legs = [x for x in (m.mirror, m.original, m.downstream) if x is not None]
    return any(gap.reason == "lost" for x in legs for gap in x.gaps)


def _unseen(m: MirrorView) -> bool:
    """Whether no byte of the client's answer was captured: it was lost, or came later."""
    return m.downstream is not None and m.downstream.status is None


def _settle(m: MirrorView) -> str:
    """What to capture instead."""
    advice = {
        "no-downstream-leg": _(
            "A capture of the client's leg: in the client's pod on `lo` and eth0 (tcpdump -i any), or in the gateway's pod."
        ),
        "encrypted": _("A capture where the client's leg is in clear: on `lo` in the client's pod."),
        "unread": _("A capture where the request is HTTP/1 in clear, or a test with HTTP/1."),
        "gap": _("A capture without loss: a larger buffer (tcpdump -B 65536) or a narrower filter."),
        "snaplen": _("A capture of whole packets (tcpdump -s 0)."),
        "mid-stream": _("A capture that begins before the traffic, or new connections after it has begun."),
        "original-not-captured": _("A capture where the proxy sends both: in the proxy's pod, on all interfaces."),
        "ambiguous": _("A header that the proxy passes on (x-request-id), or one request at a time."),
    }
    if m.original is None and m.reason == "encrypted":
        return _("A capture where the proxy's own requests are in clear.")
    if m.reason == "gap" and not lost(m):
        if _unseen(m):
            return _("A capture that holds the client's answer: one that goes on longer, or loses no packets.")
        return _("A capture that goes on until all responses have ended.")
    return advice.get(m.reason or "", _("A capture that holds all three legs of the request."))
