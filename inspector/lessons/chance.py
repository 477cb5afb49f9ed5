"""Lesson: percentage and chance."""

from __future__ import annotations

from inspector.lang import _
from inspector.lessons.model import About, Choice, Command, Lesson, LessonStep, LessonTable, Question
from inspector.lessons.seen import LessonCaptures, Library, args
from inspector.render.cells import percent
from inspector.views.share import interval

NAME, NONE = "percent50-client.pcap.zst", "nomirror-client.pcap"
SET = 50  # percent: what the route of this capture says (captures/README.md)
POINTS = 5
SIZES = (10, 40, 400, 4000)


def about() -> About:
    """What it is."""
    return About(
        "chance",
        _("Percentage and chance"),
        _("Judge whether a route mirrors as many requests as it should, and how many requests that takes."),
        (NAME, NONE),
    )


def lesson(library: Library) -> Lesson:
    """What a share of some requests says of the percentage that is set."""
    seen = library(NAME)
    return Lesson(
        about=about(),
        steps=(_share(seen), _more(seen), _zero(library(NONE))),
        keep=_(
            "A percentage is a dice throw for each request. Look at the interval, not at the percentage: it says "
            "which settings the capture does not contradict."
        ),
    )


def _share(seen: LessonCaptures) -> LessonStep:
    s = seen.inspection.summary.share
    assert s.low is not None
    assert s.high is not None
    words = {
        "mirrored": s.mirrored,
        "eligible": s.eligible,
        "percent": percent(s.percent),
        "low": percent(s.low),
        "high": percent(s.high),
    }
    return LessonStep(
        title=_("{percent} % of {eligible}").format(**words),
        says=(
            _(
                "The route says: mirror {set} %. The capture has {eligible} requests, of which {mirrored} were "
                "mirrored: {percent} %."
            ).format(set=SET, **words),
        ),
        question=Question(
            _("Is something wrong?"),
            (
                Choice(_("yes, it should be {n}").format(n=s.eligible * SET // 100), not s.low <= SET <= s.high),
                Choice(_("nothing that this capture could show"), s.low <= SET <= s.high),
            ),
        ),
        reveal=(
            _(
                "Envoy throws a dice for each request. The exact binomial (Clopper-Pearson) interval of {mirrored} "
                "in {eligible} reaches from {low} to {high} %: any setting in it may well give this capture, and "
                "{set} % is in it."
            ).format(set=SET, **words),
        ),
        proof=(Command(args([NAME])),),
    )


def _more(seen: LessonCaptures) -> LessonStep:
    s = seen.inspection.summary.share
    assert s.low is not None
    assert s.high is not None
    rows, wide = [], {}
    for n in SIZES:
        k = round(n * s.mirrored / s.eligible)
        low, high = interval(k, n)
        wide[n] = high - low
        rows.append((f"{n:,}", f"{k:,}", f"{percent(low)} – {percent(high)} %", f"± {(high - low) / 2:.1f}"))
    names = (_("requests"), _("mirrored"), _("95 % interval"), _("points"))
    enough = next(n for n in SIZES if wide[n] <= 2 * POINTS)
    return LessonStep(
        title=_("How many requests are enough?"),
        says=(_("{n} requests leave an interval {wide:.0f} points wide.").format(n=s.eligible, wide=s.high - s.low),),
        question=Question(
            _("How many requests does it take until the interval is about ±{points} points?").format(points=POINTS),
            tuple(Choice(f"{n:,}", n == enough) for n in SIZES[1:]),
        ),
        reveal=(
            _(
                "The width shrinks with the square root: ten times the precision takes a hundred times the requests. "
                "The same share, seen longer:"
            ),
        ),
        proof=(
            LessonTable(
                _("The exact interval for the same share (by the incomplete beta function)"), names, tuple(rows)
            ),
        ),
    )


def _zero(seen: LessonCaptures) -> LessonStep:
    n = sum(x.server.endswith(":80") for x in seen.exchanges)
    _low, high = interval(0, n)
    words = {"n": n, "high": percent(high), "set": 10, "miss": f"{100 * 0.9**n:.0f}"}
    return LessonStep(
        title=_("None seen"),
        says=(
            _(
                "`{name}` holds {n} requests of the client and no mirror. A colleague concludes: “nothing is "
                "mirrored there.”"
            ).format(name=NONE, **words),
        ),
        question=Question(
            _("Suppose the route mirrored {set} %. How likely would it be to see none in {n} requests?").format(
                **words
            ),
            (
                Choice(_("{set} %: very unlikely").format(**words), False),
                Choice(_("{miss} %: quite likely").format(**words), 0.9**n > 0.5),
                Choice(_("0 %: impossible"), False),
            ),
        ),
        reveal=(
            _(
                "0.9 to the power of {n}. The interval for 0 of {n} reaches up to {high} %. To rule out {set} % with "
                "some certainty takes dozens of requests. Absence of evidence needs a number, too."
            ).format(**words),
        ),
        proof=(Command(args([NONE])),),
    )
