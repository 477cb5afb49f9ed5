"""Words and facts that the steps of an explanation share."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from inspector.lang import _
from inspector.render.ladder_parts import host
from inspector.render.text import cut_middle, shown
from inspector.seq import MASK
from inspector.views.objects import ExchangeView, MirrorView
from inspector.views.wire import ExchangePackets

MAX_VALUE = 100  # columns of a header's value in a sentence
RANGES = 12  # ranges of packet numbers in one list
FILTERED = 100  # and in a display filter
NEAR = 1 << 20  # bytes by which a reply may acknowledge more than its request


@dataclass(frozen=True, slots=True)
class ExplanationStep:
    """One step of an explanation, in visible text (`render.text.shown`) of whole sentences.

    key: its word, not translated. packets: (capture, number from 1), those of the message first, then those behind the fact.
    fact: the fact of the wire behind it, "" where there is none to tell. time: ns after the first message.
    """

    key: str
    title: str
    says: tuple[str, ...]
    packets: tuple[tuple[int, int], ...] = ()
    fact: str = ""
    time: int | None = None


def reply(x: ExchangeView) -> str:
    """`status 200, 396 bytes of body`."""
    size = x.response_body_bytes or 0
    if not x.complete:
        said = _("status {status}, {n} bytes of body seen")
    elif size:
        said = _("status {status}, {n} bytes of body")
    else:
        said = _("status {status}, no body")
    return said.format(status=x.status, n=f"{size:,}")


def signs(m: MirrorView) -> list[str]:
    """Sentences: why it is a copy of the original, and how sure that is."""
    phrases = [phrase for sign in m.paired_by if (phrase := _sign(sign, m))]
    out = []
    if phrases:
        out.append(_("These signs say that it is a copy: {signs}.").format(signs="; ".join(phrases)))
    if "order" in m.paired_by:
        out.append(_("Equal requests were in flight together, so these are paired in order."))
    out.append(_("Confidence in the pair: {percent} %.").format(percent=round(m.confidence * 100)))
    return out


def _sign(sign: str, m: MirrorView) -> str:
    o, x = m.original, m.mirror
    copy = cut_middle(shown(x.host), MAX_VALUE)
    if sign == "suffix" and o is None:
        return _("its host {copy} ends in the mirror's suffix").format(copy=copy)
    phrases = {
        "request-id": _("it has the same x-request-id, {value}"),
        "suffix": _("its host {copy} is the original's {original} with a suffix"),
        "xff": _("its x-forwarded-for is the original's with the proxy's own address behind"),
        "internal": _("it alone has x-envoy-internal"),
        "trace": _("its parent span is the original's span"),
        "content": _("method, target and body are equal"),
        "headers": _("the end-to-end headers are equal"),
        "count": _("more requests went upstream than came from downstream"),
        "time": _("both were sent within 10 ms"),
    }
    return phrases.get(sign, "").format(
        value=cut_middle(shown(m.request_id), MAX_VALUE),
        copy=copy,
        original=cut_middle(shown(o.host if o is not None else None), MAX_VALUE),
    )


def local(w: ExchangePackets) -> bool:
    """Whether the request's packets go to the sending host itself, as a REDIRECT makes them (iptables-extensions(8))."""
    if w.request is None:
        return False
    target = host(w.request.target)
    return target == host(w.request.source) or ipaddress.ip_address(target).is_loopback


def joined(w: ExchangePackets) -> tuple[str, list[tuple[int, int]]]:
    """Why two directions with different addresses are one connection, and the packets that show it."""
    if w.handshake and w.syn is not None and w.syn_ack is not None:
        said = _(
            "Both directions are one connection: the SYN in packet {syn} has the sequence number {number}, the SYN,ACK in packet "
            "{answer} acknowledges {next}."
        ).format(syn=w.syn.packet, number=w.syn.seq, answer=w.syn_ack.packet, next=w.syn_ack.ack)
        return said, [(w.syn.capture, w.syn.packet), (w.syn_ack.capture, w.syn_ack.packet)]
    if w.request is None or w.response is None:
        return "", []
    end = (w.request.seq + w.request.length) & MASK
    if (w.response.ack - end) & MASK > NEAR:
        return "", []
    said = _(
        "Both directions are one connection: packet {request} ends at sequence number {number}, packet {answer} "
        "acknowledges {next}."
    ).format(request=w.request.packet, number=end, answer=w.response.packet, next=w.response.ack)
    return said, [(w.response.capture, w.response.packet)]


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as ranges (first, last), in order."""
    ordered = enumerate(sorted(set(numbers)))
    runs = [[n for _i, n in run] for _key, run in groupby(ordered, lambda pair: pair[1] - pair[0])]
    return [(run[0], run[-1]) for run in runs]


def numbers(packets: Sequence[tuple[int, int]], captures: Sequence[str] = ()) -> str:
    """`4, 22–41` of one capture; `[1] 4, 22–41 [2] 7` of several. Of many ranges the first are listed, the rest counted."""
    out = []
    shown_captures = sorted({capture for capture, _packet in packets})
    for capture in shown_captures:
        mine = ranges(packet for c, packet in packets if c == capture)
        text = ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in mine[:RANGES])
        rest = sum(b - a + 1 for a, b in mine[RANGES:])
        if rest:
            text = _("{packets} and {n} more").format(packets=text, n=f"{rest:,}")
        out.append(f"[{capture + 1}] {text}" if len(captures) > 1 else text)
    return " ".join(out)


def display_filter(packets: Iterable[int]) -> tuple[str, int]:
    """A Wireshark display filter for packets of one capture, `frame.number in {4, 22..41}`, and how many it leaves out."""
    runs = ranges(packets)
    listed = ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in runs[:FILTERED])
    return f"frame.number in {{{listed}}}", sum(b - a + 1 for a, b in runs[FILTERED:])
