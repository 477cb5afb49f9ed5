"""What a packet of the evidence shows, in words: the mirror's number, the leg, and the part that the packet plays in it."""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from functools import lru_cache

import numpy as np

from inspector.evidence.select import Told
from inspector.lang import _, language
from inspector.mirror.tables import Leg
from inspector.views.objects import MirrorView
from inspector.views.present import Presenter

FIN, SYN, RST = 1, 2, 4
CHUNK = 256  # mirrors made at once
KEPT = 16  # chunks of them kept: packets come in order of time, and so do mirrors


class PacketPart(IntEnum):
    """The part that a packet plays in its leg."""

    REQUEST = 0
    RESPONSE = 1
    OPENING = 2
    MORE_REQUEST = 3  # payload that the exchange does not name: a copy, a retransmission, the middle of a long message
    MORE_RESPONSE = 4
    END = 5
    RESET = 6
    TAKEN_REQUEST = 7
    TAKEN_RESPONSE = 8


def part_of(flags: int, length: int, from_client: bool, early: bool) -> PacketPart:
    """The part of a packet that no message names. early: it came before the exchange's request."""
    if length:
        return PacketPart.MORE_REQUEST if from_client else PacketPart.MORE_RESPONSE
    if flags & SYN or (early and not flags & (FIN | RST)):
        return PacketPart.OPENING
    if flags & RST:
        return PacketPart.RESET
    if flags & FIN:
        return PacketPart.END
    return PacketPart.TAKEN_RESPONSE if from_client else PacketPart.TAKEN_REQUEST


def general(part: PacketPart, leg: str, joined: bool) -> str:
    """The sentence for a packet of a leg, with {n} for the mirror's number. Leg words are not translated."""
    return _general(part, leg, joined, language())


@lru_cache(maxsize=256)
def _general(part: PacketPart, leg: str, joined: bool, language: str) -> str:
    if part == PacketPart.OPENING and joined:
        text = _("mirror {n}: opens the {leg} leg; its numbers join the two halves that NAT gave different addresses")
    else:
        text = {
            PacketPart.REQUEST: _("mirror {n}: request of the {leg} leg"),
            PacketPart.RESPONSE: _("mirror {n}: response of the {leg} leg"),
            PacketPart.OPENING: _("mirror {n}: opens the connection of the {leg} leg"),
            PacketPart.MORE_REQUEST: _(
                "mirror {n}: more of the request of the {leg} leg (a copy, a retransmission, or the middle of a long one)"
            ),
            PacketPart.MORE_RESPONSE: _(
                "mirror {n}: more of the response of the {leg} leg (a copy, a retransmission, or the middle of a long one)"
            ),
            PacketPart.END: _("mirror {n}: ends one direction of the connection of the {leg} leg"),
            PacketPart.RESET: _("mirror {n}: resets the connection of the {leg} leg"),
            PacketPart.TAKEN_REQUEST: _("mirror {n}: acknowledges what was sent on the {leg} leg"),
            PacketPart.TAKEN_RESPONSE: _("mirror {n}: acknowledges what was answered on the {leg} leg"),
        }[part]
    return text.replace("{leg}", leg)


def whole(part: PacketPart, leg: Leg, mirror: MirrorView) -> str:
    """The sentence for a packet that carries a message of a leg, with {n} for the mirror's number."""
    if part == PacketPart.REQUEST:
        return {
            Leg.DOWNSTREAM: _("mirror {n}: request of the downstream leg, from the client to the proxy"),
            Leg.ORIGINAL: _("mirror {n}: request of the original leg, from the proxy to the service that answers"),
            Leg.MIRROR: _("mirror {n}: request of the mirror leg, the proxy's copy"),
        }.get(leg, general(part, leg.name.lower(), False))
    if leg == Leg.MIRROR:
        return {
            "discarded": _("mirror {n}: response of the mirror leg, ends at the proxy"),
            "leaked": _("mirror {n}: response of the mirror leg, is passed on to the downstream"),
        }.get(
            mirror.verdict,
            _("mirror {n}: response of the mirror leg, arrives at the proxy; its way from there is not shown"),
        )
    if leg == Leg.DOWNSTREAM:
        return {
            "original": _("mirror {n}: response of the downstream leg, what the original was answered"),
            "mirror": _("mirror {n}: response of the downstream leg, what the mirror was answered: a leak"),
            "proxy": _("mirror {n}: response of the downstream leg, a reply of the proxy's own"),
        }.get(mirror.delivered, _("mirror {n}: response of the downstream leg, what the client is given"))
    if leg == Leg.ORIGINAL:
        return _("mirror {n}: response of the original leg, arrives at the proxy")
    return general(part, leg.name.lower(), False)


class Views:
    """Mirrors by number, made in chunks; the latest chunks are kept."""

    def __init__(self, told: Told) -> None:
        self._presenter = Presenter(told.exchanges, told.mirrors, told.leg)
        self._count = len(told.mirrors)
        self._chunks: OrderedDict[int, list[MirrorView]] = OrderedDict()

    def __getitem__(self, number: int) -> MirrorView:
        which = (number - 1) // CHUNK
        if which not in self._chunks:
            rows = np.arange(which * CHUNK, min((which + 1) * CHUNK, self._count))
            self._chunks[which] = list(self._presenter.mirrors(rows, which * CHUNK + 1))
            if len(self._chunks) > KEPT:
                self._chunks.popitem(last=False)
        self._chunks.move_to_end(which)
        return self._chunks[which][(number - 1) % CHUNK]


def message(part: PacketPart, leg: Leg, mirror: MirrorView, capture: int, packet: int) -> list[str]:
    """The sentences for a packet that carries a message: its role, then what it proves where it is named as evidence."""
    out = [whole(part, leg, mirror).format(n=mirror.id)]
    for step in mirror.evidence:
        if step.packet == packet and step.capture == capture and leg_of(mirror, leg, part, packet):
            out.append(_("mirror {n}, evidence: {says}").format(n=mirror.id, says=step.says))
    return out


def leg_of(mirror: MirrorView, leg: Leg, part: PacketPart, packet: int) -> bool:
    """Whether `packet` is the first or the last of the message that the evidence names."""
    exchange = {Leg.MIRROR: mirror.mirror, Leg.ORIGINAL: mirror.original, Leg.DOWNSTREAM: mirror.downstream}.get(leg)
    if exchange is None:
        return False
    packets = exchange.request_packets if part == PacketPart.REQUEST else exchange.response_packets
    return bool(packets) and packet in (packets[0], packets[-1])
