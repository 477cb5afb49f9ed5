"""The layout of a ladder diagram: lifelines, and arrows in order of time. Renderers (text, SVG, Mermaid) draw it.

What the capture does not hold is an arrow of kind UNSEEN, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from inspector.lang import _, several
from inspector.render import cells
from inspector.render.ladder_parts import Arrow, ArrowKind, Ladder, Lifeline, host, packets
from inspector.render.likeness import same
from inspector.render.text import cut_middle, shown
from inspector.views.objects import ExchangeView, GapView, MirrorView

__all__ = ["Arrow", "ArrowKind", "Ladder", "Lifeline", "layout"]

MAX_LIFELINES = 8
MAX_ARROWS = 40
MAX_TEXT = 400  # columns of one text in a ladder; a target can be 64 KiB long
SIDECAR_PORT = "15001"  # where Istio's iptables rules redirect what leaves a pod


def layout(
    mirror: MirrorView,
    names: Mapping[str, str] | None = None,
    others: Sequence[ExchangeView] = (),
    captures: Sequence[str] = (),
    more: int = 0,
) -> Ladder:
    """The ladder of a mirror.

    names: address ("10.244.0.21" or "10.244.0.21:3000") -> a name for it. others: other legs of the same transaction, in
    order of time: attempts, calls that it caused, other mirrors. captures: names of the captures by number. more: how many
    other legs there are beside `others`.
    """
    b = _Builder(mirror, names or {})
    b.downstream(mirror, _delivered(mirror, others))
    b.upstream(mirror)
    for x in others:
        b.other(x)
    arrows, left_out = b.ordered()
    left_out += 2 * more
    several_captures = len({a.capture for a in arrows if a.packets}) > 1
    notes = [*_notes(mirror), *([_left_out(left_out)] if left_out else [])]
    if several_captures:
        notes.append(_("packet numbers are those of the capture named in brackets; its clock gives the time"))
    return Ladder(
        number=mirror.id,
        title=title(mirror),
        verdict=mirror.verdict,
        lifelines=tuple(b.lifelines),
        arrows=tuple(arrows),
        notes=tuple(notes),
        captures=tuple(_short(c) for c in captures) if several_captures else (),
    )


def title(m: MirrorView) -> str:
    """`Mirror 3: GET /items, discarded (content)`."""
    request = _short(cells.request(m.method, m.path))
    return _("Mirror {number}: {request}, {verdict}").format(number=m.id, request=request, verdict=cells.verdict(m))


def sidecar(m: MirrorView) -> bool:
    """Whether client and proxy have one address: they are in one pod."""
    return m.downstream is not None and m.proxy is not None and host(m.downstream.client) == m.proxy


def _short(text: str) -> str:
    return cut_middle(text, MAX_TEXT)


def _left_out(count: int) -> str:
    return several(
        "{n} more message of this transaction is not drawn",
        "{n} more messages of this transaction are not drawn",
        count,
    ).format(n=count)


@dataclass(slots=True)
class _Placed:
    """An arrow and where it stands in the order: its time, or behind (before) the one that it belongs to."""

    arrow: Arrow
    time: int
    turn: int


LAST = 1 << 62


class _Builder:
    """Collects lifelines and arrows; times are absolute until `ordered` makes them relative."""

    def __init__(self, m: MirrorView, names: Mapping[str, str]) -> None:
        self.names = names
        self.placed: list[_Placed] = []
        self.lifelines: list[Lifeline] = []
        self.servers: dict[str, int] = {}
        self.dropped = 0
        d, o = m.downstream, m.original
        proxy = m.proxy if m.proxy is not None else host(m.mirror.client)
        self.client = self._lifeline(_("client"), d.client if d else "", d is not None, True)
        self.proxy = self._lifeline(_("proxy"), proxy)
        self.original = self._lifeline(_("original"), o.server if o else "", o is not None, asked=o.host if o else None)
        self.mirror = self._lifeline(_("mirror"), m.mirror.server, asked=m.mirror.host)
        self.hosts = {proxy: self.proxy, host(m.mirror.server): self.mirror}
        self.servers[m.mirror.server] = self.mirror
        if o is not None:
            self.hosts.setdefault(host(o.server), self.original)
            self.servers.setdefault(o.server, self.original)

    def _lifeline(
        self, role: str, address: str, seen: bool = True, port_changes: bool = False, asked: str | None = None
    ) -> int:
        """One more lifeline. asked: the host that the request to it names, a claim of the captured bytes."""
        name = self.names.get(address) or self.names.get(host(address) or address) or ""
        name = _short(shown(name).strip()) if address else ""
        claim = _("host {name}").format(name=_short(shown(asked))) if asked and address else ""
        self.lifelines.append(Lifeline(role, _short(shown(address)), name, seen, port_changes, claim))
        return len(self.lifelines) - 1

    def add(self, arrow: Arrow, time: int | None, otherwise: int = LAST) -> None:
        """Take an arrow; where it has no time it stands at `otherwise`."""
        self.placed.append(_Placed(arrow, otherwise if time is None else time, len(self.placed)))

    def exchange(self, x: ExchangeView, source: int, target: int, asks: str, answer: Arrow) -> None:
        """Both messages of an exchange; what was not captured is drawn as not seen."""
        if x.request_time is None:
            unseen = _("request not captured") if x.unread is None else _("request not read")
            self.add(Arrow(x.leg, ArrowKind.UNSEEN, source, target, "", "", unseen), x.response_time)
        else:
            what, size = _short(cells.request(x.method, x.path)), _body(x, "request")
            numbers = tuple(x.request_packets)
            arrow = Arrow(
                x.leg, ArrowKind.REQUEST, source, target, what, size, asks, x.capture, numbers, x.request_time
            )
            self.add(arrow, x.request_time)
        self.add(answer, x.response_time)

    def answer(self, x: ExchangeView, source: int, target: int, kind: ArrowKind, says: str) -> Arrow:
        """The response of an exchange from its server `source`."""
        if x.status is None:
            to = packets(x.request_packets[:1])
            says = _("no response to {packet} was seen").format(packet=to) if to else _("no response was seen")
            return Arrow(x.leg, ArrowKind.UNSEEN, source, target, "", "", says)
        numbers = tuple(x.response_packets)
        body = _body(x, "response")
        return Arrow(x.leg, kind, source, target, str(x.status), body, says, x.capture, numbers, x.response_time)

    def downstream(self, m: MirrorView, delivered: str) -> None:
        """The client's own request and its answer; `delivered`: whose that is, in words."""
        d = m.downstream
        if d is None:
            absent = {"encrypted": _("encrypted"), "unread": _("not read")}.get(m.reason or "", _("not in the capture"))
            first = Arrow("downstream", ArrowKind.UNSEEN, self.client, self.proxy, _("request"), "", absent)
            last = Arrow("downstream", ArrowKind.UNSEEN, self.proxy, self.client, _("response"), "", absent)
            self.add(first, None, -LAST)
            self.add(last, None)
            return
        kind = ArrowKind.LEAKED if m.verdict == "leaked" else ArrowKind.RESPONSE
        answer = self.answer(d, self.proxy, self.client, kind, delivered)
        self.exchange(d, self.client, self.proxy, "", answer)

    def upstream(self, m: MirrorView) -> None:
        """The original and the mirror."""
        o, x = m.original, m.mirror
        began = x.request_time if x.request_time is not None else x.response_time
        if o is None:
            closed = m.reason in ("encrypted", "unread")
            absent = _("original not read") if closed else _("original not in the capture")
            arrow = Arrow("original", ArrowKind.UNSEEN, self.proxy, self.original, "", "", absent)
            self.add(arrow, None, LAST if began is None else began)
        else:
            answer = self.answer(o, self.original, self.proxy, ArrowKind.RESPONSE, "")
            self.exchange(o, self.proxy, self.original, _("original"), answer)
        kind, says = {
            "discarded": (ArrowKind.DISCARDED, _("not passed on")),
            "leaked": (ArrowKind.RESPONSE, _("arrives at the proxy")),
            "unproven": (ArrowKind.UNPROVEN, _("passed on?")),
        }.get(m.verdict, (ArrowKind.RESPONSE, ""))
        self.exchange(x, self.proxy, self.mirror, _("copy"), self.answer(x, self.mirror, self.proxy, kind, says))

    def other(self, x: ExchangeView) -> None:
        """Another leg of the transaction, between lifelines that are there or one more of its own."""
        says = {"attempt": _("another attempt"), "mirror": _("another copy"), "cascade": _("a call that it caused")}
        source = self.hosts.get(host(x.client))
        if source is None or (x.server not in self.servers and len(self.lifelines) >= MAX_LIFELINES):
            self.dropped += 2
            return
        if x.server not in self.servers:
            role = _("mirror") if x.leg == "mirror" else _("server")
            self.servers[x.server] = self._lifeline(role, x.server, asked=x.host)
            self.hosts.setdefault(host(x.server), self.servers[x.server])
        target = self.servers[x.server]
        if source == target:
            self.dropped += 2
            return
        answer = self.answer(x, target, source, ArrowKind.RESPONSE, "")
        self.exchange(x, source, target, says.get(x.leg, x.leg), answer)

    def ordered(self) -> tuple[list[Arrow], int]:
        """(arrows in order of time, relative to the first; how many messages are left out)."""
        self.placed.sort(key=lambda p: (p.time, p.arrow.packets[:1], p.turn))
        start = next((p.time for p in self.placed if p.arrow.time is not None), 0)
        out = [p.arrow if p.arrow.time is None else replace(p.arrow, time=p.arrow.time - start) for p in self.placed]
        return out[:MAX_ARROWS], self.dropped + max(len(out) - MAX_ARROWS, 0)


def _body(x: ExchangeView, side: str) -> str:
    """The bytes of body in words; where some are missing, those that were seen."""
    size = x.request_body_bytes if side == "request" else x.response_body_bytes
    if size is None:
        return ""
    if side == "request" and not size:
        return ""  # most have none: not worth a word
    if not x.complete or any(g.side == side and g.bytes and g.reason != "reset" for g in x.gaps):
        return _("{size} B seen").format(size=f"{size:,}")
    return _("{size} B").format(size=f"{size:,}") if size else _("no body")


def _delivered(m: MirrorView, others: Sequence[ExchangeView]) -> str:
    """Whose response the client was given."""
    if m.verdict == "leaked":
        return _("LEAKED: the mirror's")
    if m.verdict == "unproven":
        return _("whose?")
    d, o = m.downstream, m.original
    if m.proof == ["count"] and d is not None and same(d, m.mirror) is True:
        return _("equal to both")  # bytes do not tell whose it is
    if m.delivered == "original" and d is not None and o is not None:
        if same(d, o) is False:
            return _("a later attempt's")
        if any(x.leg == "attempt" and same(d, x) is True for x in others):
            return _("the original's or a later attempt's")
    words = {"original": _("the original's"), "proxy": _("the proxy's own")}
    return words.get(m.delivered, _("not the mirror's") if m.verdict == "discarded" else "")


def _notes(m: MirrorView) -> list[str]:
    """What the drawing alone does not say."""
    d, out = m.downstream, []
    if d is not None and sidecar(m):
        out.append(_("client and proxy share the address {address}: a sidecar").format(address=shown(m.proxy)))
    if d is not None and host(d.server) != m.proxy:
        if d.server.endswith(":" + SIDECAR_PORT):
            said = _(
                "the client's packets go to {server}, where a sidecar listens: what the client dialled was not seen"
            )
        elif d.host:
            said = _("the client dialled {server}; the host that its request names is {name}")
        else:
            said = _("the client dialled {server}")
        out.append(said.format(server=shown(d.server), name=_short(shown(d.host))))
    if m.rivals > 1:
        out.append(
            _("{n} downstream requests could be this one's: the likeliest is drawn, all are judged").format(n=m.rivals)
        )
    for x in (d, m.original, m.mirror):
        if x is not None:
            out += [lost(x.leg, gap) for gap in x.gaps]
    return out


def lost(leg: str, gap: GapView) -> str:
    """What is missing of a message."""
    sentences = {
        ("request", "lost"): _("{leg}: {n} bytes of the request were lost from the capture"),
        ("request", "snaplen"): _("{leg}: {n} bytes of the request were cut by the snap length"),
        ("response", "lost"): _("{leg}: {n} bytes of the response were lost from the capture"),
        ("request", "reset"): _("{leg}: {n} bytes of the request arrived after the reset"),
        ("response", "reset"): _("{leg}: {n} bytes of the response arrived after the reset"),
        ("response", "snaplen"): _("{leg}: {n} bytes of the response were cut by the snap length"),
        ("request", "unconfirmed"): _("{leg}: nothing confirms where the request begins: one direction was captured"),
        ("response", "unconfirmed"): _("{leg}: nothing confirms where the response begins: one direction was captured"),
    }
    said = sentences.get((gap.side, gap.reason), _("{leg}: {n} bytes are missing"))
    return said.format(leg=leg, n=f"{gap.bytes:,}")
