"""What the packets of an exchange say below HTTP: addresses as they are on the wire, numbers, copies on other interfaces.

Views, like those of `views.objects`; they are read from the capture a second time, for the few exchanges that are reported.
"""

from __future__ import annotations

from dataclasses import dataclass

FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclass(frozen=True, slots=True)
class WirePacket:
    """A TCP segment as it was captured."""

    capture: int
    packet: int
    time: int  # ns
    interface: str
    source: str  # "addr:port" on this packet; the other direction may have other addresses
    target: str
    seq: int
    ack: int
    flags: int
    length: int  # payload bytes
    copies: tuple[tuple[int, str], ...] = ()  # the same packet captured again: (packet, interface)


@dataclass(frozen=True, slots=True)
class ExchangePackets:
    """The packets around one exchange; None where there is none (or none was captured)."""

    request: WirePacket | None = None  # its first packet
    response: WirePacket | None = None  # its first packet
    syn: WirePacket | None = None  # the connection's start, and its answer
    syn_ack: WirePacket | None = None
    acknowledged: WirePacket | None = None  # the first that acknowledges all captured packets of the response
    ended: WirePacket | None = None  # the first FIN or RST after the request's first packet

    @property
    def translated(self) -> bool:
        """Whether the two directions have different addresses: NAT, as an iptables REDIRECT is."""
        return self.request is not None and self.response is not None and self.request.target != self.response.source

    @property
    def handshake(self) -> bool:
        """Whether the SYN and its answer show by their numbers that both belong to one connection (RFC 9293 section 3.5)."""
        syn, answer = self.syn, self.syn_ack
        return syn is not None and answer is not None and answer.ack == (syn.seq + 1) & 0xFFFFFFFF
