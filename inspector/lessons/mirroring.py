"""Lesson: what mirroring is."""

from __future__ import annotations

from inspector.lang import _
from inspector.lessons.model import About, Choice, Command, Lesson, LessonStep, Picture, Question
from inspector.lessons.seen import LessonCaptures, Library, args, response
from inspector.render.text import duration
from inspector.views.objects import MirrorView

NAME = "items-client.pcap"


def about() -> About:
    """What it is."""
    return About(
        "mirroring",
        _("What mirroring is"),
        _("See one request become two, and learn which of the two answers the client is given."),
        (NAME,),
    )


def lesson(library: Library) -> Lesson:
    """One request becomes two; one answer ends at the proxy."""
    seen = library(NAME)
    ahead = next(m for m in seen.mirrors if m.original is not None and response(m.mirror) < response(m.original))
    return Lesson(
        about=about(),
        steps=(_count(seen), _race(ahead), _all()),
        keep=_(
            "A mirror is fire and forget: the copy's answer travels back to the proxy and ends there. The client is "
            "given the original's, whichever of the two comes first."
        ),
    )


def _count(seen: LessonCaptures) -> LessonStep:
    asked, total = len(seen.legs("downstream")), len(seen.exchanges)
    return LessonStep(
        title=_("Count before you look"),
        says=(
            _(
                "A client in a pod calls `http://catalog/items` {asked} times. Its sidecar is configured to mirror: "
                "version 1 of the catalog answers, version 2 gets a copy of each request. tcpdump ran in the "
                "client's pod, on all interfaces."
            ).format(asked=asked),
        ),
        question=Question(
            _(
                "The client sent {asked} requests. How many exchanges, requests with their answers, are in the capture?"
            ).format(asked=asked),
            tuple(Choice(str(n), n == total) for n in (asked, 2 * asked, 3 * asked)),
        ),
        reveal=(
            _(
                "{total}: every request of the client has three legs. `downstream` is what the client asked the "
                "proxy, `original` is what the proxy asked the service that answers, `mirror` is the copy."
            ).format(total=total),
        ),
        proof=(Command(args([NAME], "--show-exchanges")),),
    )


def _race(m: MirrorView) -> LessonStep:
    assert m.original is not None
    first = response(m.original) - response(m.mirror)
    words = {
        "n": m.original.response_body_bytes,
        "k": m.mirror.response_body_bytes,
        "number": m.id,
        "first": duration(first),
    }
    return LessonStep(
        title=_("A race?"),
        says=(
            _(
                "Look at request {number} alone. Version 1 answers with {n} bytes of body, version 2 with {k}. This "
                "time version 2 is faster: its answer is at the proxy {first} before the other one."
            ).format(**words),
        ),
        question=Question(
            _("What is the client given?"),
            (
                Choice(_("the {k} bytes of version 2, they were first").format(**words), m.delivered == "mirror"),
                Choice(_("the {n} bytes of version 1").format(**words), m.delivered == "original"),
                Choice(_("an answer of the proxy's own"), m.delivered == "proxy"),
            ),
        ),
        reveal=(
            _(
                "It is not a race. The proxy waits for the original; the mirror's response ends at the proxy, in the "
                "crossed-out arrow. Read the diagram from top to bottom: time after the client's request, and the "
                "packet's number as in Wireshark."
            ),
        ),
        proof=(Picture(NAME, m.id),),
    )


def _all() -> LessonStep:
    return LessonStep(
        title=_("The whole capture in one sentence"),
        says=(
            _(
                "The same for all of them: a row each. The verdict says what became of the copy's response, the word "
                "in brackets what proves it. The last line is the finding."
            ),
        ),
        shows=(Command(args([NAME], "--show-mirrors")),),
    )
