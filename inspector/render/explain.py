"""A mirror told step by step: what was sent, which packets show it, and the fact of the wire behind it.

Steps are data: terminal, Markdown, JSON, the HTML report and the lessons write them. Their text is visible text
(`render.text.shown`) in whole sentences; each renderer escapes it for its medium.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inspector.lang import _, several
from inspector.render import cells, judging, wording
from inspector.render.ladder import SIDECAR_PORT
from inspector.render.ladder_parts import host, offset
from inspector.render.text import cut_middle, duration, shown
from inspector.render.wording import ExplanationStep, reply
from inspector.views.objects import ExchangeView, MirrorView
from inspector.views.wire import RST, ExchangePackets

__all__ = ["ExplanationStep", "steps"]

MAX_REQUEST = 200  # columns of a method and target in a sentence
FIRST, LAST = -(1 << 62), 1 << 62


def steps(
    mirror: MirrorView,
    others: Sequence[ExchangeView] = (),
    wires: Mapping[int, ExchangePackets] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[ExplanationStep]:
    """The story of a mirror: its messages in order of time, then the verdict, then what would refute it.

    others: other legs of the transaction. wires: what packets say below HTTP, by `ExchangeView.id`; without it fewer facts
    are reported. names: address -> name.
    """
    t = _Teller(mirror, others, wires or {}, names or {})
    told = sorted(t.messages(), key=lambda pair: (pair[0], pair[1].packets[:1]))
    return [*(step for _time, step in told), judging.verdict(t.case), judging.refutation(t.case)]


Told = tuple[int, ExplanationStep]  # with its place in time


class _Teller:
    def __init__(
        self,
        m: MirrorView,
        others: Sequence[ExchangeView],
        wires: Mapping[int, ExchangePackets],
        names: Mapping[str, str],
    ) -> None:
        self.m, self.o, self.x, self.d = m, m.original, m.mirror, m.downstream
        self.others = others
        self.wires = wires
        self.names = names
        legs = [x for x in (self.d, self.o, self.x, *others) if x is not None]
        times = [t for x in legs for t in (x.request_time, x.response_time) if t is not None]
        self.start = min(times, default=0)
        self.proxy = m.proxy if m.proxy is not None else host(self.x.client)
        self.case = judging.Case(m, [x for x in others if x.leg == "attempt"], self.start)

    def messages(self) -> list[Told]:
        """The steps of the messages, each with its place."""
        out = [self.asks(), self.original(), self.copy(), self.answered(), self.arrives(), self.given()]
        for leg, tell in (("attempt", self.attempts), ("mirror", self.copies), ("cascade", self.cascades)):
            mine = [x for x in self.others if x.leg == leg]
            if mine:
                out.append(tell(mine))
        return [told for told in out if told is not None]

    def who(self, endpoint: str | None) -> str:
        """An address with its name, where it has one."""
        name = self.names.get(endpoint or "") or self.names.get(host(endpoint or ""))
        return f"{shown(name)} ({shown(endpoint)})" if name else shown(endpoint)

    def at(self, time: int | None) -> int | None:
        """A time after the first message."""
        return None if time is None else time - self.start

    def step(
        self,
        key: str,
        title: str,
        says: list[str],
        x: ExchangeView | None,
        side: str,
        fact: str,
        *more: tuple[int, int],
    ) -> ExplanationStep:
        """A step about one side of an exchange; `more` packets stand behind its fact."""
        packets: list[tuple[int, int]] = []
        time = None
        if x is not None:
            numbers = x.request_packets if side == "request" else x.response_packets
            packets = [(x.capture, number) for number in numbers]
            time = x.request_time if side == "request" else x.response_time
        packets += [packet for packet in more if packet not in packets]
        return ExplanationStep(key, title, tuple(s for s in says if s), tuple(packets), fact, self.at(time))

    def asks(self) -> Told:
        """The client's request."""
        d = self.d
        if d is None:
            says = _("No exchange of the capture is the client's own request for this one.")
            fact = _(
                "A sidecar's client speaks to it on `lo` inside the pod: neither the node nor a server sees that leg."
            )
            title = _("The client's request is not in the capture")
            if self.m.reason in ("encrypted", "unread"):
                title = _("The client's request was not read")
                says = _("No exchange that was read is the client's own request for this one.")
                fact = ""
            if self.m.reason == "encrypted" and self.o is not None:
                fact = _("The proxy's own server side speaks TLS: the client's leg cannot be read there.")
            elif self.m.reason == "unread" and self.o is not None:
                fact = _(
                    "The proxy serves HTTP/2 or QUIC, which is not read yet: the client's leg may be on such a connection."
                )
            return FIRST, ExplanationStep("asks", title, (says,), (), fact)
        if d.request_time is None:
            says = _("Only the reply to {client} is in the capture: packets with its request were lost.")
            title = _("The client's request was lost from the capture")
            return FIRST, ExplanationStep("asks", title, (says.format(client=self.who(d.client)),))
        says = _("{client} sends {request} to {server}.").format(
            client=self.who(d.client), request=request(d), server=self.who(d.server)
        )
        fact, packets = self._address(d)
        step = self.step("asks", _("The client sends its request"), [says, asked_for(d)], d, "request", fact, *packets)
        return d.request_time, step

    def _address(self, d: ExchangeView) -> tuple[str, list[tuple[int, int]]]:
        """Why the client's packets have the addresses that they have, and the packets that show it."""
        w = self.wires.get(d.id, ExchangePackets())
        if w.request is None or w.response is None:
            return self._address_unread(d), []
        if not w.translated:
            said = _(
                "Both directions have the same two addresses, {client} and {server}: no translation shows on them."
            )
            return said.format(client=shown(d.client), server=shown(w.request.target)), []
        target, source = shown(w.request.target), shown(w.response.source)
        if wording.local(w):
            said = _(
                "The client dialled {source}, yet packet {packet} is addressed to {target}: an iptables REDIRECT inside the "
                "pod turns it to the proxy."
            )
            if w.request.target.endswith(":" + SIDECAR_PORT):
                said += " " + _("Port 15001 is where Istio's sidecar takes what leaves the pod.")
        else:
            said = _(
                "Packet {packet} is addressed to {target}, the reply comes from {source}: an address was translated on the way, "
                "as kube-proxy does for the address of a service."
            )
        text = said.format(packet=w.request.packet, target=target, source=source)
        joined, packets = wording.joined(w)
        return f"{text} {joined}".rstrip(), packets

    def _address_unread(self, d: ExchangeView) -> str:
        """The same from the views alone: no more than the addresses of the exchanges say."""
        if host(d.server) == self.proxy:
            return _("The client speaks to the proxy's own address {proxy}.").format(proxy=self.who(self.proxy))
        if d.server.endswith(":" + SIDECAR_PORT):
            return _(
                "Port 15001 is where Istio's sidecar takes what leaves the pod; what the client dialled was not seen."
            )
        if host(d.client) == self.proxy:
            said = _(
                "The client dialled {server}. Client and proxy share the address {proxy}: the proxy is a sidecar, which "
                "packets reach by a redirect inside the pod."
            )
            return said.format(server=shown(d.server), proxy=shown(self.proxy))
        return ""

    def original(self) -> Told | None:
        """The proxy's own request to the server that answers."""
        o, x = self.o, self.x
        copied = x.request_time if x.request_time is not None else x.response_time
        if o is None:
            says = _("No request that was read is the one that this is a copy of.")
            title = _("No original was found")
            return (LAST if copied is None else copied - 1), ExplanationStep("original", title, (says,))
        if o.request_time is None:
            says = _("Only the response of {server} is in the capture: packets with the request were lost.")
            step = ExplanationStep(
                "original",
                _("The original's request was lost from the capture"),
                (says.format(server=self.who(o.server)),),
            )
            return (LAST if o.response_time is None else o.response_time - 1), step
        asked = self.d.request_time if self.d is not None else None
        if asked is not None and o.request_time >= asked:
            says = _("{sender} sends {request} to {server}, {delay} after the client's request.")
        else:
            says = _("{sender} sends {request} to {server}.")
        delay = duration(o.request_time - asked) if asked is not None else ""
        said = says.format(sender=self.who(self.proxy), request=request(o), server=self.who(o.server), delay=delay)
        fact = ""
        if self.d is not None:
            fact = _("It leaves on a connection of the proxy's own, from {client}; the client's comes from {asker}.")
            fact = fact.format(client=shown(o.client), asker=shown(self.d.client))
        return o.request_time, self.step(
            "original", _("The proxy sends the original"), [said, asked_for(o)], o, "request", self._seen(o, fact)
        )

    def copy(self) -> Told:
        """The mirror's request."""
        o, x = self.o, self.x
        title = _("The proxy sends a copy: the mirror")
        if x.request_time is None:
            says = _(
                "Its request was lost from the capture; that {server} gets copies from this proxy is known from others."
            )
            place = LAST if x.response_time is None else x.response_time - 1
            step = ExplanationStep("copy", title, (says.format(server=self.who(x.server)), *wording.signs(self.m)))
            return place, step
        lag = self.m.lag
        if lag is None:
            says = _("{sender} sends {request} to {server}.")
        elif lag < 0:
            says = _("{sender} sends {request} to {server}, {lag} before the original.")
        else:
            says = _("{sender} sends {request} to {server}, {lag} after the original.")
        said = says.format(
            sender=self.who(self.proxy),
            request=request(x),
            server=self.who(x.server),
            lag=duration(abs(lag or 0)) or "0 µs",
        )
        fact = ""
        if o is not None and o.server != x.server:
            fact = _("Original and copy come from one address, {proxy}, and go to two: {original} and {mirror}.")
        elif o is not None:
            fact = _("Original and copy come from one address, {proxy}, and go to the same server {original}.")
        fact = fact.format(proxy=shown(self.proxy), original=shown(o.server if o else None), mirror=shown(x.server))
        step = self.step("copy", title, [said, asked_for(x), *wording.signs(self.m)], x, "request", self._seen(x, fact))
        return x.request_time, step

    def _seen(self, x: ExchangeView, fact: str) -> str:
        """The fact, and where else its packet was captured."""
        w = self.wires.get(x.id)
        if w is None or w.request is None or not w.request.copies:
            return fact
        places = [(w.request.packet, w.request.interface), *w.request.copies]
        listed = ", ".join(f"{packet} ({shown(name)})" if name else str(packet) for packet, name in places[:6])
        n = len(places)
        said = several(
            "The packet was captured {n} times, once an interface: {places}. These are copies, no retransmissions.",
            "The packet was captured {n} times, once an interface: {places}. These are copies, no retransmissions.",
            n,
        ).format(n=n, places=listed)
        return f"{fact} {said}".strip()

    def attempts(self, mine: list[ExchangeView]) -> Told:
        """Retries and hedges."""
        says = []
        for x in mine:
            said = _("At {time} {sender} sends the request again to {server}; it is answered: {reply}.")
            if x.status is None:
                said = _("At {time} {sender} sends the request again to {server}; no response to it was seen.")
            ends = {"sender": self.who(host(x.client)), "server": self.who(x.server)}
            says.append(said.format(time=offset(self.at(x.request_time) or 0), reply=reply(x), **ends))
        title = several("The proxy tries again", "The proxy tries again, {n} times", len(mine)).format(n=len(mine))
        fact = _(
            "An attempt is not a copy, though it has the same x-request-id: its x-envoy-attempt-count is larger, or the try "
            "before it had failed."
        )
        return self._others("attempts", title, says, mine, fact)

    def copies(self, mine: list[ExchangeView]) -> Told:
        """Other mirrors of the same request."""
        says = [
            _("{sender} sends a copy to {server} as well.").format(
                sender=self.who(host(x.client)), server=self.who(x.server)
            )
            for x in mine
        ]
        fact = _("One request may have several mirrors; each is judged on its own.")
        return self._others("copies", _("The proxy sends another copy"), says, mine, fact)

    def cascades(self, mine: list[ExchangeView]) -> Told:
        """Calls that a server made because of the request."""
        says = []
        for x in mine:
            says.append(
                _("{client} sends {request} to {server}.").format(
                    client=self.who(x.client), request=request(x), server=self.who(x.server)
                )
            )
            if host(x.client) == host(self.x.server) and (self.o is None or host(self.o.server) != host(x.client)):
                says.append(_("It is sent by the mirror's server: a side effect of the copy."))
        fact = _("It has the same x-request-id and was sent while the call that caused it was open.")
        return self._others("cascades", _("A server calls on because of the request"), says, mine, fact)

    def _others(self, key: str, title: str, says: list[str], mine: list[ExchangeView], fact: str) -> Told:
        packets = tuple((x.capture, p) for x in mine for p in (*x.request_packets[:1], *x.response_packets[:1]))
        time = mine[0].request_time
        return (LAST if time is None else time), ExplanationStep(key, title, tuple(says), packets, fact, self.at(time))

    def answered(self) -> Told | None:
        """The original's response."""
        o = self.o
        if o is None:
            return None
        if o.status is None:
            return self._silent("answered", _("The original is not answered"), o)
        says = _("{server} answers: {reply}.").format(server=self.who(o.server), reply=reply(o))
        step = self.step("answered", _("The original is answered"), [says], o, "response", "")
        return (LAST if o.response_time is None else o.response_time), step

    def _silent(self, key: str, title: str, x: ExchangeView) -> Told:
        """An exchange without a response."""
        packet = x.request_packets[0] if x.request_packets else None
        says = [_("No response of {server} to packet {packet} is in the capture.")]
        if packet is None:
            says = [_("No response of {server} is in the capture.")]
        if x.id == self.x.id and self.m.reason == "gap":
            says.append(_("Bytes of this connection are missing from the capture: one may have been among them."))
        fact, more, place = "", [], LAST
        w = self.wires.get(x.id)
        if w is not None and w.ended is not None and w.request is not None:
            fact = _("{source} ends the connection with {flag} in packet {packet}, {delay} after the request.").format(
                source=shown(w.ended.source),
                flag="RST" if w.ended.flags & RST else "FIN",
                packet=w.ended.packet,
                delay=duration(w.ended.time - w.request.time),
            )
            more, place = [(w.ended.capture, w.ended.packet)], w.ended.time
        elif w is not None and w.request is not None:
            fact = _("The capture shows neither a FIN nor a RST on this connection.")
        said = [s.format(server=self.who(x.server), packet=packet) for s in says]
        packets = [(x.capture, p) for p in x.request_packets[:1]] + more
        return place, ExplanationStep(
            key, title, tuple(said), tuple(packets), fact, None if place == LAST else self.at(place)
        )

    def arrives(self) -> Told:
        """The mirror's response."""
        x, w = self.x, self.wires.get(self.x.id, ExchangePackets())
        if x.status is None:
            return self._silent("arrives", _("No response to the copy comes back"), x)
        says = [_("{server} answers: {reply}.").format(server=self.who(x.server), reply=reply(x))]
        if self.m.arrived == "complete":
            says.append(_("All of it arrived."))
        else:
            says.append(_("Only a part of it was seen: it was cut off, or lost from the capture."))
        more = []
        refused = sum(gap.bytes for gap in x.gaps if gap.side == "response" and gap.reason == "reset")
        if refused:
            fact = _(
                "{n} bytes of it arrived after the reset: the proxy's side refused them, nobody can have passed them on."
            )
            fact = fact.format(n=f"{refused:,}")
            if w.ended is not None and w.ended.flags & RST:
                more = [(w.ended.capture, w.ended.packet)]
        elif not self.m.acknowledged:
            fact = _("No packet was seen that acknowledges its last byte.")
        elif w.acknowledged is not None:
            fact = _("{proxy} acknowledges it in packet {packet}: TCP on the proxy's side has received it.")
            if self.m.arrived != "complete":
                fact = _("{proxy} acknowledges what was seen of it in packet {packet}: TCP has received that.")
            fact = fact.format(proxy=shown(w.acknowledged.source), packet=w.acknowledged.packet)
            more = [(w.acknowledged.capture, w.acknowledged.packet)]
        else:
            fact = _("Its last byte was acknowledged: TCP on the proxy's side has received it.")
        step = self.step("arrives", _("The mirror's response arrives at the proxy"), says, x, "response", fact, *more)
        return (LAST if x.response_time is None else x.response_time), step

    def given(self) -> Told | None:
        """What the client was answered."""
        d = self.d
        if d is None:
            return None
        if d.status is None:
            return self._silent("given", _("The client's answer is not in the capture"), d)
        says = [_("{client} is given: {reply}.").format(client=self.who(d.client), reply=reply(d))]
        w = self.wires.get(d.id, ExchangePackets())
        fact = ""
        if w.translated and w.request is not None and w.response is not None:
            if wording.local(w):
                fact = _("The reply's address is {source} because the REDIRECT to {target} is undone on the way back.")
            else:
                fact = _(
                    "The reply's address is {source} although the request was addressed to {target}: one was translated."
                )
            fact = fact.format(source=shown(w.response.source), target=shown(w.request.target))
        step = self.step("given", _("The client is answered"), says, d, "response", fact)
        return (LAST if d.response_time is None else d.response_time), step


def asked_for(x: ExchangeView) -> str:
    """The name in a request, said as what it is: a claim of its sender."""
    return _("It names the host {name}.").format(name=cut_middle(shown(x.host), MAX_REQUEST)) if x.host else ""


def request(x: ExchangeView) -> str:
    """Method and target for a sentence, bounded."""
    return cut_middle(cells.request(x.method, x.path), MAX_REQUEST)
