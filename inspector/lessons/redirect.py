"""Lesson: the redirect through 15001 and the address that lies."""

from __future__ import annotations

from inspector.lang import _
from inspector.lessons.model import About, Choice, Lesson, LessonStep, LessonTable, Picture, Question
from inspector.lessons.seen import LessonCaptures, Library, Packet, find
from inspector.seq import MASK

NAME = "items-client.pcap"


def about() -> About:
    """What it is."""
    return About(
        "redirect",
        _("The redirect through 15001, and the address that lies"),
        _(
            "Read the client's leg in a sidecar's pod, where the two directions of one connection have different "
            "addresses."
        ),
        (NAME,),
    )


def lesson(library: Library) -> Lesson:
    """Why Wireshark shows two halves of one connection."""
    seen = library(NAME)
    wire = seen.inspection.story(1, seen.paths).wires[seen.legs("downstream")[0].id]
    assert wire.syn is not None
    assert wire.syn_ack is not None
    assert wire.request is not None
    assert wire.response is not None
    numbers = [wire.syn.packet, wire.syn_ack.packet, wire.request.packet, wire.response.packet]
    packets = [seen.packets[n] for n in numbers]
    return Lesson(
        about=about(),
        steps=(_dialled(packets, seen), _answered(packets), _joined(packets, seen)),
        keep=_(
            "In a pod with a sidecar follow the client's port, never the server's address: the redirect rewrites "
            "that on the way in, and back again on the way out."
        ),
    )


def _table(packets: list[Packet]) -> LessonTable:
    names = (_("packet"), _("from"), _("to"), _("flags"), "seq", "ack", _("bytes"))
    rows = tuple(
        (str(p.number), p.source, p.target, p.flag_words, str(p.seq), str(p.ack), str(p.length)) for p in packets
    )
    return LessonTable(_("As they were captured"), names, rows, find([p.number for p in packets]))


def _dialled(packets: list[Packet], seen: LessonCaptures) -> LessonStep:
    d, syn = seen.legs("downstream")[0], packets[0]
    original = seen.legs("original")[0].server
    return LessonStep(
        title=_("Where does the first packet go?"),
        says=(
            _(
                "The client opens a connection to the service address `{dialled}`. Istio's iptables rules in the pod "
                "send what leaves it to the sidecar first. Packet {n} is the client's SYN."
            ).format(dialled=d.server, n=syn.number),
        ),
        question=Question(
            _("What is the destination of packet {n}, as tcpdump saw it?").format(n=syn.number),
            tuple(Choice(f"`{there}`", syn.target == there) for there in (d.server, original, "127.0.0.1:15001")),
        ),
        reveal=(
            _(
                "`{target}`: the REDIRECT has rewritten the destination before the packet is seen on `lo`. Port "
                "15001 is where the sidecar takes outbound traffic. The service address is nowhere in this packet."
            ).format(target=syn.target),
        ),
        proof=(_table(packets[:1]),),
    )


def _answered(packets: list[Packet]) -> LessonStep:
    syn, answer = packets[0], packets[1]
    pairs = {syn.source, syn.target} == {answer.source, answer.target}
    return LessonStep(
        title=_("Who answers?"),
        says=(_("Packet {n} is the SYN,ACK that answers it.").format(n=answer.number),),
        question=Question(
            _("Does Wireshark's “Follow TCP Stream” on packet {n} show the answer as well?").format(n=syn.number),
            (
                Choice(_("yes, it is one connection"), pairs),
                Choice(_("no, it shows one direction only"), not pairs),
            ),
        ),
        reveal=(
            _(
                "The answer comes from `{source}`, an address that packet {n} never named: on the way back the "
                "redirect is undone. Wireshark distinguishes connections by their addresses, sees two halves, and "
                "pairs the request with no response."
            ).format(source=answer.source, n=syn.number),
        ),
        proof=(_table(packets),),
    )


def _joined(packets: list[Packet], seen: LessonCaptures) -> LessonStep:
    syn, answer = packets[0], packets[1]
    fits = answer.ack == (syn.seq + 1) & MASK
    return LessonStep(
        title=_("Prove that they belong together"),
        says=(
            _("Client address and port are equal in both directions. But ports are used again, and clocks are coarse."),
        ),
        question=Question(
            _("What ties packet {answer} to packet {n} beyond doubt?").format(n=syn.number, answer=answer.number),
            (
                Choice(_("it is the very next packet"), False),
                Choice(_("its acknowledgement number is the SYN's sequence number plus one"), fits),
                Choice(_("the same TTL"), False),
            ),
        ),
        reveal=(
            _(
                "The SYN carries the random sequence number {seq}; the SYN,ACK acknowledges {ack}. That is how "
                "`inspect` joins the halves. Afterwards the leg reads like any other: the client dialled `{dialled}`."
            ).format(seq=syn.seq, ack=answer.ack, dialled=seen.legs("downstream")[0].server),
        ),
        proof=(Picture(NAME, 1),),
    )
