"""Lesson: the response that arrives and is dropped."""

from __future__ import annotations

from inspector.lang import _
from inspector.lessons.model import About, Choice, Command, Lesson, LessonStep, LessonTable, Picture, Question
from inspector.lessons.seen import LessonCaptures, Library, args, find, response
from inspector.render.likeness import same
from inspector.render.text import duration, shown

NAME, MIX = "items-client.pcap", "mix-client.pcap.zst"


def about() -> About:
    """What it is."""
    return About(
        "discarded",
        _("The response that arrives and is dropped"),
        _("Prove that an answer reached the proxy, and that the client was not given it."),
        (NAME, MIX),
    )


def lesson(library: Library) -> Lesson:
    """Three proofs that a response was not passed on."""
    return Lesson(
        about=about(),
        steps=(_arrives(library(NAME)), _late(library(MIX)), _equal(library(MIX))),
        keep=_(
            "Three proofs, strongest first: `content` (the client was given other bytes), `time` (it had its answer "
            "before the mirror's came), `count` (two equal answers came, one went on)."
        ),
    )


def _arrives(seen: LessonCaptures) -> LessonStep:
    m = seen.mirrors[0]
    w = seen.inspection.story(1, seen.paths).wires[m.mirror.id]
    assert w.response is not None
    assert w.acknowledged is not None
    assert m.downstream is not None
    numbers = [*m.mirror.response_packets, w.acknowledged.packet]
    packets = [seen.packets[n] for n in dict.fromkeys(numbers)]
    acked = packets[-1].ack == (packets[0].seq + packets[0].length) & 0xFFFFFFFF
    names = (_("packet"), _("from"), _("to"), _("flags"), "seq", "ack", _("bytes"))
    rows = tuple(
        (str(p.number), p.source, p.target, p.flag_words, str(p.seq), str(p.ack), str(p.length)) for p in packets
    )
    words = {"k": m.mirror.response_body_bytes, "n": m.downstream.response_body_bytes, "ack": packets[-1].number}
    return LessonStep(
        title=_("Does it come back at all?"),
        says=(
            _("“The mirror's response is ignored” may mean that nobody ever receives it. Look at the first mirror."),
        ),
        question=Question(
            _("How far does the mirror's response get?"),
            (
                Choice(_("nowhere: the proxy has closed the connection"), m.arrived == "none"),
                Choice(_("to the proxy, whole, and it is acknowledged"), m.arrived == "complete" and acked),
                Choice(_("to the client, which ignores it"), m.verdict == "leaked"),
            ),
        ),
        reveal=(
            _(
                "Packet {ack} acknowledges its last byte: TCP on the proxy's side has all {k} bytes of body. The "
                "client was given {n} bytes, the original's. What arrived was thrown away inside the proxy."
            ).format(**words),
        ),
        proof=(
            LessonTable(_("The mirror's response, and who takes it"), names, rows, find([p.number for p in packets])),
            Picture(NAME, 1),
        ),
    )


def _late(seen: LessonCaptures) -> LessonStep:
    m = next(m for m in seen.mirrors if "v2.delay" in (m.path or ""))
    d = m.downstream
    assert d is not None
    assert d.response_end_time is not None
    assert d.duration is not None
    assert m.mirror.duration is not None
    gap = response(m.mirror) - d.response_end_time
    words = {"slow": duration(m.mirror.duration), "waited": duration(d.duration), "gap": duration(gap), "number": m.id}
    return LessonStep(
        title=_("A slow version 2"),
        says=(_("Mirror {number} of `{name}`: version 2 takes {slow} to answer.").format(name=MIX, **words),),
        question=Question(
            _("How long does the client wait for its answer?"),
            (
                Choice(duration(m.mirror.duration), d.duration >= m.mirror.duration),
                Choice(duration(d.duration), d.duration < m.mirror.duration and "time" in m.proof),
            ),
        ),
        reveal=(
            _(
                "{waited}. A slow mirror costs the client nothing, and gives a proof by `time`: the client had its "
                "whole answer {gap} before the mirror's began to arrive. What has been passed on cannot hold bytes "
                "that come later."
            ).format(**words),
        ),
        proof=(Picture(MIX, m.id),),
    )


def _equal(seen: LessonCaptures) -> LessonStep:
    m = next(m for m in seen.mirrors if m.proof == ["count"] and m.mirror.response_body_bytes)
    assert m.original is not None
    alike = same(m.original, m.mirror) is True
    counts = {proof: sum(proof in each.proof for each in seen.mirrors) for proof in ("content", "time", "count")}
    words = {"number": m.id, "n": m.mirror.response_body_bytes, "path": shown(m.path)}
    return LessonStep(
        title=_("When both answers are equal"),
        says=(
            _(
                "Mirror {number} asks for `{path}`: both versions answer with the same status and the same {n} bytes "
                "of body."
            ).format(**words),
        ),
        question=Question(
            _("Can these packets show that the mirror's response was not passed on?"),
            (
                Choice(_("no, equal bytes prove nothing"), m.verdict == "unproven"),
                Choice(_("yes: two answers came to the proxy, one went to the client"), alike and "count" in m.proof),
                Choice(_("yes: the hash of the body shows whose it is"), "content" in m.proof),
            ),
        ),
        reveal=(
            _(
                "By `count`. A request gets one final response on its connection; two equal ones came from behind, "
                "one was passed on. It is the weakest of the three, and `inspect` names it, so you can judge for "
                "yourself."
            ),
            _(
                "In this capture {content} mirrors are proven by content, {time} (also) by time, {count} by count."
            ).format(**counts),
        ),
        proof=(Command(args([MIX], "--show-mirrors")),),
    )
