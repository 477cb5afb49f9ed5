"""Why Wireshark's reading and ours may differ: each reason is looked up in the capture's packets, none is assumed."""

from __future__ import annotations

from inspector.capture import Kind
from inspector.http.tables import Fact
from inspector.lang import marked
from inspector.referee.model import REQUEST, RESPONSE, Heard, Mine
from inspector.referee.ours import Ours
from inspector.referee.wire import Wire

REASONS = {
    "nat-leg": marked("the two directions of the connection have different addresses: tshark cannot join them"),
    "gap": marked("bytes before it were not captured: tshark stops at the gap"),
    "snaplen": marked("the snap length cut its packets: tshark does not put such messages together"),
    "copy": marked("a copy of a packet that counts once here"),
    "retransmission": marked("a retransmission of bytes that were there before"),
    "icmp-quote": marked("an ICMP error quotes the packet, which tshark counts"),
    "interim": marked("a response 1xx, which is a fact of the final response here"),
    "tunnel": marked("behind CONNECT or 101 Switching Protocols the connection is handed over"),
    "unfinished": marked("the message does not end in the capture, or its connection was closed inside it"),
    "until-close": marked("the body ends where the connection does: tshark shows it with the packet that closes it"),
    "mid-stream": marked("the capture starts inside the connection"),
    "pipelined": marked("several requests of the connection were open: tshark gives the response to the latest"),
}
Reason = tuple[str, int]  # a word of REASONS or "", and the packet that shows it (0: none by itself)
UNKNOWN: Reason = ("", 0)


class Reasons:
    """Looks reasons up, for one capture."""

    def __init__(self, ours: Ours, wire: Wire) -> None:
        self.ours = ours
        self.wire = wire
        e = ours.exchanges
        c = ours.connections
        self._joined = set(c.connection[c.joined].tolist())
        self._owner: dict[int, list[int]] | None = None
        self._connection = e.connection.tolist()
        self._facts = {REQUEST: e.request_facts.tolist(), RESPONSE: e.response_facts.tolist()}

    def joined(self, message: Mine) -> bool:
        """Whether the message's connection was joined of two halves."""
        return self._connection[message.exchange] in self._joined

    def facts(self, message: Mine) -> int:
        """http.tables.Fact of a message."""
        return self._facts[message.kind][message.exchange]

    def missing(self, message: Mine) -> Reason:
        """Why the referee does not have a message."""
        return self._stream(message) or UNKNOWN

    def _stream(self, message: Mine) -> Reason | None:
        """What is wrong with the stream that a message was in, as far as it reaches."""
        cut = next((p for p in message.packets if self.wire.cut(p)), 0)
        if cut:
            return "snaplen", cut
        direction = self.wire.direction(message.frame)
        if direction is not None:
            hole = direction.hole(message.packets)
            if hole:
                return "gap", hole
        if not message.complete:
            return "unfinished", message.frame
        return None

    def field(self, name: str, message: Mine, heard: Heard) -> Reason:
        """Why a field of a message differs."""
        if name == "pair":
            return self._pair(message, heard)
        if name in ("packet", "body"):
            if self.facts(message) & Fact.UNTIL_CLOSE:
                return "until-close", message.frame
            return self._stream(message) or UNKNOWN
        return UNKNOWN

    def _pair(self, message: Mine, heard: Heard) -> Reason:
        asked = heard.asked_in or 0
        if self.joined(message):
            return "nat-leg", message.frame
        if asked and message.asked_in and self.wire.original(asked) == self.wire.original(message.asked_in):
            return "copy", asked
        return self._stream(message) or UNKNOWN

    def extra(self, heard: Heard) -> Reason:
        """Why only the referee has a message."""
        if self.wire.kind(heard.frame) == Kind.ICMP:
            return "icmp-quote", heard.frame
        first = self.wire.original(heard.frame)
        if first != heard.frame:
            return "copy", first
        if heard.kind == RESPONSE and heard.status is not None and 100 <= heard.status < 200:
            return "interim", heard.frame
        direction = self.wire.direction(heard.frame)
        if direction is not None:
            before = direction.seen_before(heard.frame)
            if before:
                return "retransmission", before
        return UNKNOWN
