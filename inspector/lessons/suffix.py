"""Lesson: the -shadow host, and meshes without it."""

from __future__ import annotations

from inspector.lang import _
from inspector.lessons.model import About, Choice, Command, Lesson, LessonStep, LessonTable, Question
from inspector.lessons.seen import LessonCaptures, Library, args, find
from inspector.render.text import shown

MARKED, STRIPPED, NGINX, SPLIT = (
    "items-client.pcap", "stripped-client.pcap.zst", "nginxmirror-gw.pcap.zst", "nginxsplit-gw.pcap.zst",
)  # fmt: skip
HEADERS = (
    "host",
    "x-request-id",
    "x-forwarded-for",
    "x-envoy-internal",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
)


def about() -> About:
    """What it is."""
    return About(
        "suffix",
        _("The -shadow host, and meshes without it"),
        _("Know a copy by its headers, and still know it when somebody has taken the headers away."),
        (MARKED, STRIPPED, NGINX, SPLIT),
    )


def lesson(library: Library) -> Lesson:
    """How a copy is told from an original."""
    return Lesson(
        about=about(),
        steps=(_marked(library(MARKED)), _stripped(library(STRIPPED)), _nginx(library(NGINX), library(SPLIT))),
        keep=_(
            "`-shadow` is one sign of several, and it may be absent. A filter on the host alone misses copies; where "
            "no header speaks, count what goes in and what comes out."
        ),
    )


def _marked(seen: LessonCaptures) -> LessonStep:
    m = seen.mirrors[0]
    assert m.original is not None
    one, two = seen.header(m.original), seen.header(m.mirror)
    packets = [m.original.request_packets[0], m.mirror.request_packets[0]]
    names = [_("header"), _("original, packet {n}").format(n=packets[0]), _("copy, packet {n}").format(n=packets[1])]
    rows = tuple((name, shown(one.get(name), "-"), shown(two.get(name), "-")) for name in HEADERS)
    same, host = one["x-request-id"] == two["x-request-id"], shown(m.mirror.host)
    return LessonStep(
        title=_("Two requests that look alike"),
        says=(
            _(
                "Packet {original} is the original, packet {copy} its copy: the same method, the same path, sent "
                "from one address within a millisecond. Yet Envoy leaves marks on the copy."
            ).format(original=packets[0], copy=packets[1]),
        ),
        question=Question(
            _("Which of these is different in the copy?"),
            (
                Choice(_("the Host header"), one["host"] != two["host"]),
                Choice(_("the x-request-id"), not same),
                Choice(_("the path"), m.mirror.path != m.original.path),
            ),
        ),
        reveal=(
            _(
                "The host: the copy asks for `{host}`. The x-request-id is the same, which is what joins the two; "
                "only the copy has `x-envoy-internal` and the proxy's address in `x-forwarded-for`, and its parent "
                "span is the original's span."
            ).format(host=host),
        ),
        proof=(LessonTable(_("Headers of both requests"), tuple(names), rows, find(packets)),),
    )


def _stripped(seen: LessonCaptures) -> LessonStep:
    found, asked = len(seen.mirrors), len(seen.legs("downstream"))
    marked = sum((m.mirror.host or "").endswith("-shadow") for m in seen.mirrors)
    gets = sum(m.method == "GET" for m in seen.mirrors)
    signs = ", ".join(f"`{sign}`" for sign in seen.mirrors[0].paired_by)
    return LessonStep(
        title=_("Take the best signs away"),
        says=(
            _(
                "Istio 1.28 and Envoy Gateway 1.6 leave the suffix out unless configured otherwise, and a policy may "
                "remove headers. In this capture no copy has a suffix and no request an x-request-id. The client "
                "sent {asked} requests."
            ).format(asked=asked),
        ),
        question=Question(
            _("How many copies can still be distinguished from their originals?"),
            (
                Choice(_("none: {marked} hosts end in -shadow").format(marked=marked), found == marked),
                Choice(_("the {gets} GET requests").format(gets=gets), found == gets),
                Choice(_("all {asked}").format(asked=asked), found == asked),
            ),
        ),
        reveal=(
            _("All of them. The signs that paired the first one: {signs}.").format(signs=signs),
            _("A sign more or less changes the confidence in a pair ({percent} % here), not the principle.").format(
                percent=round(100 * seen.mirrors[0].confidence)
            ),
        ),
        proof=(Command(args([STRIPPED], "--show-mirrors"), lines=8),),
    )


def _nginx(mirrored: LessonCaptures, split: LessonCaptures) -> LessonStep:
    proxy = mirrored.mirrors[0].proxy  # the same gateway stands in both captures
    inward = [x for x in split.exchanges if x.server.startswith(f"{proxy}:")]
    outward = [x for x in split.exchanges if x.client.startswith(f"{proxy}:")]
    servers = sorted({x.server for x in outward})
    signs = ", ".join(f"`{sign}`" for sign in mirrored.mirrors[0].paired_by)
    words = {"asked": len(inward), "sent": len(outward), "one": servers[0], "two": servers[-1]}
    return LessonStep(
        title=_("No sign at all"),
        says=(
            _(
                "nginx leaves no mark on its copies. In `{nginx}` the signs are {signs}: {percent} % confidence. "
                "That is dangerous ground: in `{split}` an nginx sends equal requests to {one} and to {two}, many at "
                "a time."
            ).format(
                percent=round(100 * mirrored.mirrors[0].confidence), split=SPLIT, nginx=NGINX, signs=signs, **words
            ),
            _("{asked} requests came in, {sent} went out.").format(**words),
        ),
        question=Question(
            _("Does this nginx mirror?"),
            (
                Choice(_("yes: equal requests reach both servers"), bool(split.mirrors)),
                Choice(
                    _("no: it shares the load between the two"), not split.mirrors and words["sent"] == words["asked"]
                ),
                Choice(_("a capture cannot tell"), False),
            ),
        ),
        reveal=(
            _(
                "Count. One request in and two out is a mirror; {asked} in and {sent} out is a balanced route. "
                "`inspect` counts, too, and claims no mirror here."
            ).format(**words),
        ),
        proof=(Command(args([SPLIT])), Command(args([NGINX], "--show-mirrors"), lines=6)),
    )
