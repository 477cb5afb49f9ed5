"""Lesson: copies of packets on a node."""

from __future__ import annotations

from inspector.lang import _
from inspector.lessons.model import About, Choice, Command, Lesson, LessonStep, LessonTable, Question
from inspector.lessons.seen import LessonCaptures, Library, args, find
from inspector.render.text import duration

NODE, VXLAN, CLIENT = "items-node.pcap", "vxlan-node.pcap.zst", "items-client.pcap"


def about() -> About:
    """What it is."""
    return About(
        "copies",
        _("Copies of packets on a node"),
        _("Do not count a packet twice because the node saw it twice, and know what a node never sees."),
        (VXLAN, NODE, CLIENT),
    )


def lesson(library: Library) -> Lesson:
    """One packet, seen on each interface that it crosses."""
    return Lesson(
        about=about(),
        steps=(_copies(library(VXLAN)), _count(library(VXLAN)), _together(library(NODE), library(NODE, CLIENT))),
        keep=_(
            "`tcpdump -i any` on a node captures a packet once for each interface it crosses. A copy is neither "
            "a retransmission nor a mirror. The node alone proves nothing about the client: add the pod's capture."
        ),
    )


def _copies(seen: LessonCaptures) -> LessonStep:
    m = seen.mirrors[0]
    request = seen.inspection.story(1, seen.paths).wires[m.mirror.id].request
    assert request is not None
    packets = [seen.packets[n] for n in (request.packet, *(number for number, _name in request.copies))]
    sent = len({p.seq for p in packets})
    n = len(packets)
    rows = tuple(
        (
            str(p.number),
            p.interface,
            f"+{duration(p.time - packets[0].time) or '0 µs'}",
            p.source,
            p.target,
            str(p.seq),
            str(p.ip_id),
        )
        for p in packets
    )
    names = (_("packet"), _("interface"), _("time"), _("from"), _("to"), "seq", "ip.id")
    listed = ", ".join(str(p.number) for p in packets)
    return LessonStep(
        title=_("The same request, {n} times").format(n=n),
        says=(
            _(
                "This capture is of a node: `tcpdump -i any` sees pod interfaces, the bridge, the VXLAN device and "
                "the wire. Version 2 runs on another node. The first copy's request to {server} is in packets "
                "{listed}."
            ).format(server=m.mirror.server, listed=listed),
        ),
        question=Question(
            _("How often did the proxy send it?"),
            (
                Choice(_("once"), sent == 1 and len({p.ip_id for p in packets}) == 1),
                Choice(_("twice: once, and once as a mirror"), sent == 2),
                Choice(_("{n} times: TCP sent it again").format(n=n), sent == n),
            ),
        ),
        reveal=(
            _(
                "Once. All {n} have the same sequence number and the same IP identification, each is of another "
                "interface, and they lie {span} apart. A retransmission comes later, and under a new IP "
                "identification."
            ).format(n=n, span=duration(packets[-1].time - packets[0].time)),
        ),
        proof=(
            LessonTable(_("One packet on its way through the node"), names, rows, find([p.number for p in packets])),
        ),
    )


def _count(seen: LessonCaptures) -> LessonStep:
    begins = (b"GET ", b"POST ", b"PUT ", b"HEAD ")
    raw = sum(p.payload.startswith(begins) for p in seen.packets.values())
    real = len(seen.exchanges)
    copies = seen.inspection.captures[0].copies
    total = seen.inspection.captures[0].packets
    return LessonStep(
        title=_("What a naive count says"),
        says=(
            _(
                "Somebody counts the packets that begin with a request line and finds {raw} requests. The capture "
                "has {total} packets, of which {copies} are copies."
            ).format(raw=raw, total=total, copies=copies),
        ),
        question=Question(
            _("How many requests did the proxy really send?"),
            tuple(Choice(str(n), n == real) for n in sorted({raw, real, raw // 2, raw // 4})),
        ),
        reveal=(
            _(
                "{real}: an original crosses two interfaces of this node, a copy for the other node crosses four, "
                "and what TCP sends again counts anew. No fixed divisor gives it: copies have to be recognised one "
                "by one."
            ).format(real=real),
        ),
        proof=(Command(args([VXLAN])),),
    )


def _together(node: LessonCaptures, both: LessonCaptures) -> LessonStep:
    alone = node.inspection.summary.verdicts.get("unproven", 0)
    discarded = both.inspection.summary.verdicts.get("discarded", 0)
    return LessonStep(
        title=_("What the node never sees"),
        says=(
            _(
                "A sidecar's client talks to it on `lo` inside the pod. So on the node that leg is missing, and all "
                "{n} mirrors of this capture are `unproven`: their responses arrived, but nobody saw what the client "
                "was given."
            ).format(n=alone),
        ),
        shows=(Command(args([NODE], "--show-mirrors")),),
        question=Question(
            _(
                "You add the capture that was taken in the pod at the same time. What does `inspect` say of both "
                "together?"
            ),
            (
                Choice(
                    _("{n} mirrors: it sees each in both captures").format(n=2 * alone), len(both.mirrors) == 2 * alone
                ),
                Choice(_("{n} mirrors, all proven").format(n=alone), len(both.mirrors) == discarded == alone),
                Choice(
                    _("{n} mirrors, still unproven").format(n=alone),
                    both.inspection.summary.verdicts.get("unproven", 0) == alone,
                ),
            ),
        ),
        reveal=(
            _(
                "Several captures are one view: a packet that both hold counts once, and the missing leg proves the "
                "rest."
            ),
        ),
        proof=(Command(args([NODE, CLIENT], "--show-mirrors")),),
    )
