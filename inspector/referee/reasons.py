"""Why Wireshark's reading and ours may differ: each reason is looked up in the capture's packets, none is assumed."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cached_property

from inspector.capture import PacketKind
from inspector.http.tables import Fact
from inspector.lang import marked
from inspector.referee.model import REQUEST, RESPONSE, Heard, Mine
from inspector.referee.ours import Ours
from inspector.referee.wire import WireFacts

REASONS = {
    "nat-leg": marked("the two directions of the connection have different addresses: tshark cannot join them"),
    "gap": marked("bytes before it were not captured: one of the two does not read on at the gap"),
    "snaplen": marked(
        "the snap length cut it, or messages before it in its stream: tshark does not put such messages together"
    ),
    "copy": marked("a copy of a packet that counts once here"),
    "retransmission": marked("a retransmission of bytes that were there before"),
    "icmp-quote": marked("an ICMP error quotes the packet, which tshark counts"),
    "interim": marked("a response 1xx, which is a fact of the final response here"),
    "unfinished": marked("the message does not end in the capture, or its connection was closed inside it"),
    "until-close": marked("the body ends where the connection does: tshark shows it with the packet that closes it"),
    "damaged": marked("the capture is damaged or cut short before it: the other program does not read on there"),
    "request-lost": marked(
        "its request was not captured: whether it has a body is not known (it may answer HEAD), so it is not read on"
    ),
    "disordered": marked(
        "in the capture the response stands before its request: tshark pairs in the order of the packets"
    ),
    "malformed": marked(
        "a message on the connection begins with bytes that HTTP does not allow: it is not read on from there here"
    ),
    "packet-shared": marked(
        "several requests or several responses of the connection end in one packet: tshark pairs one of them"
    ),
    "pipelined": marked(
        "several requests of the connection were open: tshark gives the response to the latest, or to none"
    ),
}
_ODD = re.compile(
    r"[\x00-\x20\x7f]|\\x[01][0-9a-f]|\\[0-3][0-7]{2}"
)  # RFC 9110 section 5.6.2 and RFC 3986: not in a method, not in a request target
Reason = tuple[str, int]  # a word of REASONS or "", and the packet that shows it (0: none by itself)
UNKNOWN: Reason = ("", 0)


class Reasons:
    """Looks reasons up, for one capture."""

    def __init__(self, ours: Ours, mine: list[Mine], wire: WireFacts) -> None:
        self.mine = mine
        self.stopped = -1  # the last packet that the referee told of, where it could not read on
        self.wire = wire
        e = ours.exchanges
        c = ours.connections
        self._joined = set(c.connection[c.joined].tolist())
        self._shifted: dict[int, Reason] = {}  # by connection: why tshark's pairs are shifted from there on
        self._spoiled: dict[
            int, int
        ] = {}  # by the endpoints of a connection: the packet with a request that is not allowed
        self._connection = e.connection.tolist()
        self._facts = {REQUEST: e.request_facts.tolist(), RESPONSE: e.response_facts.tolist()}

    def joined(self, message: Mine) -> bool:
        """Whether the message's connection was joined of two halves."""
        return self._connection[message.exchange] in self._joined

    def facts(self, message: Mine) -> int:
        """http.tables.Fact of a message."""
        return self._facts[message.kind][message.exchange]

    def behind_gap(self, message: Mine) -> bool:
        """Whether bytes before the message, in its direction, are in no packet."""
        direction = self.wire.direction(message.frame)
        return direction is not None and direction.hole(message.packets) > 0

    def missing(self, message: Mine) -> Reason:
        """Why the referee does not have a message."""
        found = self._stream(message)
        if found is None and 0 <= self.stopped < message.frame:
            return "damaged", self.stopped
        if found is None and message.kind == RESPONSE:
            found = self._behind_head(message)
        return found or UNKNOWN

    def _behind_head(self, message: Mine) -> Reason | None:
        """A response to HEAD has a length and no body (RFC 9112 section 6.3): who has not the request waits for the body, and
        takes what follows for it."""
        for request in self._heads.get(self._connection[message.exchange], ()):
            if request.exchange > message.exchange:
                break
            if self.joined(message):
                return "nat-leg", message.frame
            found = self._stream(request)
            if found is not None:
                return found
        return None

    @cached_property
    def _heads(self) -> dict[int, list[Mine]]:
        """The requests with HEAD, by connection."""
        out: dict[int, list[Mine]] = {}
        for message in self.mine:
            if message.method == "HEAD":
                out.setdefault(self._connection[message.exchange], []).append(message)
        return out

    @cached_property
    def _requests(self) -> dict[int, Mine]:
        return {message.exchange: message for message in self.mine if message.kind == REQUEST}

    def _stream(self, message: Mine) -> Reason | None:
        """What is wrong with the stream that a message was in, as far as it reaches."""
        direction = self.wire.direction(message.frame)
        if direction is not None:
            cut = direction.first_cut(message.packets)
            if cut:
                return "snaplen", cut
            gapped = bool(self.facts(message) & Fact.BODY_GAP) or not message.complete
            hole = direction.hole(message.packets, gapped) or (
                self.wire.acknowledged(message.frame, direction, message.packets) if gapped else 0
            )
            if hole:
                return "gap", hole
        if not message.complete:
            lost = message.kind == RESPONSE and not message.asked_in
            return "request-lost" if lost else "unfinished", message.frame
        return None

    def field(self, name: str, message: Mine, heard: Heard) -> Reason:
        """Why a field of a message differs."""
        if name == "pair":
            return self._pair(message, heard)
        if name in ("packet", "body"):
            if self.facts(message) & Fact.UNTIL_CLOSE:
                return "until-close", message.frame
            return self._stream(message) or UNKNOWN
        cut = next((p for p in message.packets if self.wire.cut(p)), 0)
        return ("snaplen", cut) if cut else UNKNOWN

    def _pair(self, message: Mine, heard: Heard) -> Reason:
        asked, request = heard.asked_in or 0, self._requests.get(message.exchange)
        if self.joined(message):
            return "nat-leg", message.frame
        if asked and self.wire.kind(asked) == PacketKind.ICMP:
            return "icmp-quote", asked
        if asked and message.asked_in and self.wire.original(asked) == self.wire.original(message.asked_in):
            return "copy", asked
        found = self._stream(message) or (self._stream(request) if request is not None else None)
        if found is None and request is None and asked and self.wire.cut(asked):
            found = "snaplen", asked
        return found or self._turned(message, request, asked)

    def _turned(self, message: Mine, request: Mine | None, asked: int) -> Reason:
        """tshark pairs in order: where packets are in another order than messages, so are all pairs after them."""
        connection = self._connection[message.exchange]
        found = UNKNOWN
        if self.facts(message) & Fact.INTERIM:
            found = "interim", message.frame
        elif request is not None and request.frame > message.frame:
            found = "disordered", request.frame
        elif request is not None and request.frame < asked < message.frame:
            found = "pipelined", asked
        elif request is not None:
            found = self._together(connection, request, message)
        if found != UNKNOWN:
            self._shifted.setdefault(connection, found)
        return self._shifted.get(connection, UNKNOWN)

    def _together(self, connection: int, request: Mine, message: Mine) -> Reason:
        """Whether a message of the pair ends in one packet with another of its kind, or other requests were open with it."""
        frames, replies = self._ends.get((connection, REQUEST), []), self._ends.get((connection, RESPONSE), [])
        for kind, frame in ((frames, request.frame), (replies, message.frame)):
            if bisect_right(kind, frame) - bisect_left(kind, frame) > 1:
                return "packet-shared", frame
        later = bisect_right(frames, request.frame)
        if later < len(frames) and frames[later] < message.frame:
            return "pipelined", frames[later]
        earlier = bisect_left(frames, request.frame)
        answered = bisect_left(replies, request.frame)
        if 0 < earlier and answered < earlier:  # fewer responses than requests came before it
            return "pipelined", frames[earlier - 1]
        return UNKNOWN

    @cached_property
    def _ends(self) -> dict[tuple[int, int], list[int]]:
        """In which packets the messages of each connection end, by kind, in order."""
        out: dict[tuple[int, int], list[int]] = {}
        for message in self.mine:
            out.setdefault((self._connection[message.exchange], message.kind), []).append(message.frame)
        for frames in out.values():
            frames.sort()
        return out

    def closing(self, message: Mine) -> tuple[int, ...]:
        """The packets that close the stream of a message whose body ends there."""
        if message.kind != RESPONSE or not self.facts(message) & Fact.UNTIL_CLOSE:
            return ()
        direction = self.wire.direction(message.frame)
        return direction.closing(message.frame) if direction is not None else ()

    def extra(self, heard: Heard) -> Reason:
        """Why only the referee has a message. They are asked for in the order of the capture."""
        found = self._extra(heard)
        if found != UNKNOWN:
            return found
        both = self.wire.pair(heard.frame)
        if heard.kind == REQUEST and _ODD.search(f"{heard.method or ''}{heard.path or ''}"):
            self._spoiled.setdefault(both, heard.frame)
        return ("malformed", self._spoiled[both]) if both in self._spoiled else UNKNOWN

    def _extra(self, heard: Heard) -> Reason:
        if self.wire.kind(heard.frame) == PacketKind.ICMP:
            return "icmp-quote", heard.frame
        first = self.wire.original(heard.frame)
        if first != heard.frame:
            return "copy", first
        if heard.kind == RESPONSE and heard.status is not None and 100 <= heard.status < 200:
            return "interim", heard.frame
        if self.wire.cut(heard.frame):
            return "snaplen", heard.frame
        direction = self.wire.direction(heard.frame)
        if direction is None:
            return UNKNOWN
        before = direction.seen_before(heard.frame)
        if before:
            return "retransmission", before
        hole = direction.hole((heard.frame,))
        if not hole and heard.kind == RESPONSE and self.wire.answers_unseen(heard.frame):
            return "request-lost", heard.frame
        return ("gap", hole) if hole else UNKNOWN
