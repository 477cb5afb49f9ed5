"""Lesson: what mTLS hides, and where to capture instead."""

from __future__ import annotations

from inspector.lang import _
from inspector.lessons.model import About, Choice, Command, Lesson, LessonStep, LessonTable, Question
from inspector.lessons.seen import LessonCaptures, Library, args, find

NAME = "mtls-client.pcap"
HANDSHAKE, CLIENT_HELLO, APPLICATION = 22, 1, 23  # RFC 5246 sections 6.2.1 and 7.4


def about() -> About:
    """What it is."""
    return About(
        "mtls",
        _("What mTLS hides, and where to capture instead"),
        _("Know what is left to see when the sidecars encrypt, and choose a place where it is in clear."),
        (NAME,),
    )


def lesson(library: Library) -> Lesson:
    """Between the sidecars nothing can be read; beside them it can."""
    seen = library(NAME)
    return Lesson(
        about=about(),
        steps=(_hidden(seen), _left(seen), _where(seen)),
        keep=_(
            "mTLS hides the upstream legs, not the client's: that one is in clear on `lo`. In the server's pod the "
            "request is in clear again, between its sidecar and the application."
        ),
    )


def _tls(seen: LessonCaptures, kind: int) -> list[int]:
    return [
        p.number for p in seen.packets.values() if len(p.payload) > 5 and p.payload[0] == kind and p.payload[1] == 3
    ]


def _hidden(seen: LessonCaptures) -> LessonStep:
    clear = len(seen.exchanges)
    return LessonStep(
        title=_("The same {n} requests, encrypted").format(n=clear),
        says=(
            _(
                "The setting of the first lesson, with mTLS between the sidecars: the client asks {n} times, its "
                "sidecar is configured to mirror, tcpdump runs in the client's pod."
            ).format(n=clear),
        ),
        question=Question(
            _("Which of the three legs can still be read here?"),
            (
                Choice(_("none: mTLS encrypts everything"), clear == 0),
                Choice(_("the client's: it does not leave the pod"), clear > 0 and not seen.mirrors),
                Choice(_("all: tcpdump in the pod sees the sidecar's clear text"), len(seen.mirrors) > 0),
            ),
        ),
        reveal=(
            _(
                "Client and sidecar speak on `lo` in clear. From the sidecar on it is TLS: {n} packets of this "
                "capture carry application data that cannot be read. `inspect` says so, and claims neither a mirror "
                "nor its absence."
            ).format(n=len(_tls(seen, APPLICATION))),
        ),
        proof=(Command(args([NAME])),),
    )


def _left(seen: LessonCaptures) -> LessonStep:
    hellos = [seen.packets[n] for n in _tls(seen, HANDSHAKE) if seen.packets[n].payload[5] == CLIENT_HELLO]
    subsets = [
        p.payload[at : p.payload.index(b".local", at) + 6] for p in hellos for at in [p.payload.index(b"outbound_")]
    ]
    rows = tuple(
        (str(p.number), p.source, p.target, subset.decode("ascii", "replace"))
        for p, subset in zip(hellos, subsets, strict=True)
    )
    versions = {b"version-v1" in s for s in subsets} == {True, False}
    return LessonStep(
        title=_("What is left to see"),
        says=(
            _("The sidecar opened {n} TLS connections. A TLS handshake begins in clear: the ClientHello.").format(
                n=len(hellos)
            ),
        ),
        question=Question(
            _("Can you tell from it that version 2 gets traffic as well?"),
            (
                Choice(_("yes: each ClientHello names the subset"), versions),
                Choice(_("no: Istio encrypts the server name as well"), not subsets),
            ),
        ),
        reveal=(
            _(
                "Istio puts service and subset into the server name (SNI). So you see that the proxy talks to "
                "version 2, how often and how much: a hint, no proof. A balanced route would open the same two "
                "connections."
            ),
        ),
        proof=(
            LessonTable(
                "ClientHello", (_("packet"), _("from"), _("to"), "SNI"), rows, find([p.number for p in hellos])
            ),
        ),
    )


def _where(seen: LessonCaptures) -> LessonStep:
    local = {p.interface for p in seen.packets.values() if ":15001" in (p.target[-6:], p.source[-6:])}
    rows = (
        (_("client's pod, `lo`"), _("in clear"), _("-"), _("-")),
        (_("client's pod, eth0"), _("-"), _("TLS"), _("TLS")),
        (_("version 2's pod, eth0"), _("-"), _("-"), _("TLS")),
        (_("version 2's pod, `lo`"), _("-"), _("-"), _("in clear")),
        (_("node"), _("-"), _("TLS"), _("TLS")),
    )
    names = (_("place"), "downstream", "original", "mirror")
    return LessonStep(
        title=_("Where to stand"),
        says=(
            _("On the client's side all {n} exchanges were read on one interface, the loopback.").format(
                n=len(seen.exchanges)
            ),
        ),
        question=Question(
            _("You want to see that a copy arrives at version 2, and what is in it. Where does tcpdump go?"),
            (
                Choice(_("on the node, where all pods pass by"), False),
                Choice(_("into version 2's pod, with `-i any`"), len(local) == 1),
                Choice(_("into the client's pod, on eth0"), not _tls(seen, APPLICATION)),
            ),
        ),
        reveal=(
            _(
                "The sidecar of version 2 takes the TLS off and passes the request to its application on `lo`, in "
                "clear. To prove what the client was given, too, switch mTLS off for the test (PeerAuthentication, "
                "mode DISABLE), or keep the session keys."
            ),
        ),
        proof=(LessonTable(_("What can be read where, under mTLS"), names, rows),),
    )
