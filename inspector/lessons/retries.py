"""Lesson: a retry is not a mirror, and neither is a hedge."""

from __future__ import annotations

from inspector.lang import _
from inspector.lessons.model import About, Choice, Command, Lesson, LessonStep, LessonTable, Picture, Question
from inspector.lessons.seen import LessonCaptures, Library, args, find
from inspector.render.text import duration, shown
from inspector.views.objects import ExchangeView

RETRY, HEDGE = "retry-client.pcap", "hedge-client.pcap"


def about() -> About:
    """What it is."""
    return About(
        "retries",
        _("Neither a retry nor a hedge is a mirror"),
        _("Distinguish a copy from a second try, although both have the x-request-id of the original."),
        (RETRY, HEDGE),
    )


def lesson(library: Library) -> Lesson:
    """Same x-request-id, another purpose."""
    return Lesson(
        about=about(),
        steps=(_ids(library(RETRY)), _marks(library(RETRY)), _hedge(library(HEDGE))),
        keep=_(
            "An x-request-id joins all legs of a request; it does not say which leg is a copy. A try that is "
            "repeated waits for a failure or a timeout and counts up in x-envoy-attempt-count; a mirror does neither."
        ),
    )


def _family(seen: LessonCaptures) -> list[ExchangeView]:
    """The upstream legs of the first request that was tried again, in order of time."""
    first = seen.legs("attempt")[0].request_id
    legs = [x for x in seen.exchanges if x.request_id == first and x.leg != "downstream"]
    return sorted(legs, key=lambda x: x.request_time or 0)


def _ids(seen: LessonCaptures) -> LessonStep:
    legs = _family(seen)
    mirrors, n = sum(x.leg == "mirror" for x in legs), len(legs)
    wrong = len(seen.legs("attempt"))
    return LessonStep(
        title=_("One id, {n} requests").format(n=n),
        says=(
            _(
                "A rule of thumb: “upstream requests with the same x-request-id are mirrors of each other.” In this "
                "capture the sidecar also retries. One request of the client, `{path}`, left the proxy {n} times "
                "under one x-request-id."
            ).format(path=shown(legs[0].path), n=n),
        ),
        question=Question(
            _("How many of these {n} are mirrors?").format(n=n),
            tuple(Choice(str(k), k == mirrors) for k in (1, n - 1, n)),
        ),
        reveal=(
            _(
                "{mirrors}. The others are the original and its retries (`attempt`). Over the whole capture the rule "
                "of thumb would report {wrong} mirrors too many."
            ).format(mirrors=mirrors, wrong=wrong),
        ),
        proof=(Command(args([RETRY], "--show-exchanges")),),
    )


def _marks(seen: LessonCaptures) -> LessonStep:
    legs = _family(seen)
    mirror = next(x for x in legs if x.leg == "mirror")
    tries = [x for x in legs if x.leg in ("original", "attempt")]
    start = legs[0].request_time or 0
    count = {x.id: seen.header(x).get("x-envoy-attempt-count", "-") for x in legs}
    rows = tuple(
        (
            str(x.request_packets[0]),
            x.leg,
            f"+{duration((x.request_time or 0) - start) or '0 µs'}",
            x.server,
            shown(seen.header(x).get("host"), "-"),
            count[x.id],
            str(x.status or "-"),
        )
        for x in legs
    )
    names = (_("packet"), "leg", _("time"), _("to"), "host", "attempt-count", "status")
    grows = [count[x.id] for x in tries] == [str(i + 1) for i in range(len(tries))]
    gap = (tries[1].request_time or 0) - start
    number = next(m.id for m in seen.mirrors if m.mirror.id == mirror.id)
    words = {"gap": duration(gap), "lag": duration((mirror.request_time or 0) - start), "status": tries[0].status}
    return LessonStep(
        title=_("What a retry looks like"),
        says=(_("The same {n} requests, with one more header of Envoy's: x-envoy-attempt-count.").format(n=len(legs)),),
        question=Question(
            _("What is that count in the three tries, and in the copy?"),
            (
                Choice(_("1 everywhere"), len(set(count.values())) == 1),
                Choice(_("1, 2, 3 in the tries, and 1 in the copy"), grows and count[mirror.id] == "1"),
                Choice(_("1, 2, 3 in the tries, and 4 in the copy"), count[mirror.id] == "4"),
            ),
        ),
        reveal=(
            _(
                "And mind the time: the second try leaves {gap} after the first, when that had failed with status "
                "{status}; the copy left {lag} after it and waited for nothing. There is one copy, though there are "
                "three tries."
            ).format(**words),
        ),
        proof=(
            LessonTable(
                _("The upstream requests of one x-request-id"), names, rows, find([x.request_packets[0] for x in legs])
            ),
            Picture(RETRY, number),
        ),
    )


def _hedge(seen: LessonCaptures) -> LessonStep:
    attempt = seen.legs("attempt")[0]
    m = next(m for m in seen.mirrors if m.request_id == attempt.request_id)
    o, d = m.original, m.downstream
    assert o is not None
    assert d is not None
    assert o.response_time is not None
    assert attempt.request_time is not None
    open_still = attempt.request_time < o.response_time
    count = seen.header(attempt).get("x-envoy-attempt-count", "-")
    words = {"after": duration(attempt.request_time - (o.request_time or 0)), "count": count}
    return LessonStep(
        title=_("And a hedge"),
        says=(
            _(
                "Here the sidecar hedges: when a try takes too long, another is sent while the first is still open, "
                "and the first answer wins. {after} after the original a second request leaves for the same service, "
                "with the same x-request-id."
            ).format(**words),
        ),
        question=Question(
            _("No try has failed when it leaves. Is it a second mirror?"),
            (
                Choice(
                    _("yes, nothing had failed"),
                    len([x for x in seen.legs("mirror") if x.request_id == m.request_id]) > 1,
                ),
                Choice(_("no, it is a second try"), open_still and attempt.leg == "attempt"),
            ),
        ),
        reveal=(
            _(
                "No: its x-envoy-attempt-count is {count}, and it goes where the original went. The mirror is the "
                "other one. The client was given the original's answer, and the second try was given up."
            ).format(**words),
        ),
        proof=(Picture(HEDGE, m.id),),
    )
