"""Lesson: a leak caught."""

from __future__ import annotations

from inspector.lang import _
from inspector.lessons.model import About, Choice, Command, Lesson, LessonStep, LessonTable, Picture, Question
from inspector.lessons.seen import LessonCaptures, Library, args, find
from inspector.render.text import shown

NAME = "leaky-gw.pcap"
OK = 200


def about() -> About:
    """What it is."""
    return About(
        "leak",
        _("A leak caught"),
        _("Find the clients that were given the mirror's response, and make a scheduled job find them."),
        (NAME,),
    )


def lesson(library: Library) -> Lesson:
    """A faulty proxy hands the mirror's response on."""
    seen = library(NAME)
    return Lesson(
        about=about(),
        steps=(_status(seen), _proof(seen), _job(seen)),
        keep=_(
            "Status codes do not show a leak, bodies do. Let a job run `inspect --fail-on leaked` and look at its "
            "exit status."
        ),
    )


def _status(seen: LessonCaptures) -> LessonStep:
    n, leaked = len(seen.mirrors), seen.inspection.summary.verdicts.get("leaked", 0)
    fine = sum(x.status == OK for x in seen.legs("downstream"))
    return LessonStep(
        title=_("All is green"),
        says=(
            _(
                "A gateway mirrors {n} requests. {fine} of {n} clients are answered with status {status}: any dashboard "
                "of status codes is green."
            ).format(n=n, fine=fine, status=OK),
        ),
        question=Question(
            _("How many clients got the answer of version 2, which nobody was meant to see?"),
            tuple(Choice(str(k), k == leaked) for k in (0, 1, leaked, n)),
        ),
        reveal=(
            _("{leaked} of {n}. Every status is the right one; it is the body that is wrong.").format(
                leaked=leaked, n=n
            ),
        ),
        proof=(Command(args([NAME], "--show-mirrors")),),
    )


def _proof(seen: LessonCaptures) -> LessonStep:
    m = next(m for m in seen.mirrors if m.verdict == "leaked")
    d, o, x = m.downstream, m.original, m.mirror
    assert d is not None
    assert o is not None
    rows = tuple(
        (leg, str(e.response_packets[0]), str(e.status), str(e.response_body_bytes), shown(e.response_body_hash))
        for leg, e in ((_("original"), o), (_("mirror"), x), (_("to the client"), d))
    )
    names = (_("response"), _("packet"), "status", _("bytes of body"), _("hash of the body"))
    packets = [e.response_packets[0] for e in (o, x, d)]
    equal = d.response_body_hash == x.response_body_hash != o.response_body_hash
    return LessonStep(
        title=_("Convict it"),
        says=(_("Mirror {n} is the first that leaked. Three responses belong to it.").format(n=m.id),),
        question=Question(
            _("Which comparison convicts the proxy?"),
            (
                Choice(_("the client's response has the size of the mirror's"), False),
                Choice(_("the client's body has the hash of the mirror's body, and not of the original's"), equal),
                Choice(_("the mirror's response came before the client's"), False),
            ),
        ),
        reveal=(
            _(
                "Equal size may be chance, and a mirror's response often comes first. An equal hash of the body, "
                "different from the original's, is a proof. In the diagram the leak is the double arrow."
            ),
        ),
        proof=(
            LessonTable(_("Three responses of mirror {n}").format(n=m.id), names, rows, find(packets)),
            Picture(NAME, m.id),
        ),
    )


def _job(seen: LessonCaptures) -> LessonStep:
    numbers = [m.id for m in seen.mirrors if m.verdict == "leaked"]
    third = numbers == list(range(3, len(seen.mirrors) + 1, 3))
    return LessonStep(
        title=_("Never look again"),
        says=(
            _("A person will not read {n} rows every night. `--fail-on` takes a verdict.").format(n=len(seen.mirrors)),
        ),
        question=Question(
            _("Look once more at the rows that leaked: {rows}. What rule does the faulty proxy follow?").format(
                rows=", ".join(map(str, numbers))
            ),
            (
                Choice(_("every second client"), numbers == list(range(2, len(seen.mirrors) + 1, 2))),
                Choice(_("every third client"), third),
                Choice(_("large answers only"), False),
            ),
        ),
        reveal=(_("And this is what the job runs. Its exit status is 1 if a mirror leaked, 0 if none did."),),
        proof=(Command(args([NAME], "--fail-on", "leaked"), status=True),),
    )
