"""What a wrong definite claim is. Every rule is a function; it looks at one mirror that was reported, and at the truth.

What nobody can know is no wrong claim: responses that are equal in everything, and, without marks, servers that play each other's
part in all that was captured (roles belong to servers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulating.actors import Transaction
from simulating.messages import Exchange
from simulating.network import CLIENT, SERVER
from simulating.truth import Truth, told


@dataclass(frozen=True)
class Wrong:
    """A wrong claim: its kind and a sentence."""

    kind: str
    says: str


@dataclass
class Checked:
    """What came out of a case."""

    wrong: list[Wrong] = field(default_factory=list)
    missed: int = 0  # mirrors with marks, where nothing was lost
    missed_unmarked: int = 0
    unfounded: int = 0  # leaked, where an equal response went down
    verdicts: list[str] = field(default_factory=list)  # "discarded", "unproven (gap)", ...
    ties: list[tuple[float, bool]] = field(default_factory=list)  # confidence, right
    mirrors: int = 0  # that there were, and could be seen
    cautious: list[str] = field(default_factory=list)  # reasons of unproven ones, where nothing was lost
    candidates: int = 0
    right_candidates: int = 0


class Seen:
    """A reported mirror, with the exchanges of the truth that its legs are."""

    def __init__(self, truth: Truth, view: Any, of: dict[tuple[int, str], Exchange | None]) -> None:
        self.truth, self.view = truth, view
        self.mirror = of.get((view.id, "mirror"))
        self.original = of.get((view.id, "original"))
        self.downstream = of.get((view.id, "downstream"))

    @property
    def name(self) -> str:
        v = self.view
        return f"mirror {v.id} ({v.verdict} {','.join(v.proof)}{v.reason or ''}) {v.method} {v.path}"

    @property
    def exchanged(self) -> bool:
        """Whether original and mirror of one transaction play each other's part."""
        m, o = self.mirror, self.original
        if m is None or m.role not in ("original", "attempt"):
            return False
        if o is None:
            return bool(self.truth.group(m).mirrors)
        return o.role == "mirror" and (o.group is m.group or asked(o) == asked(m))

    @property
    def may_be_exchanged(self) -> bool:
        """Whether nobody can know which is which."""
        m = self.mirror
        assert m is not None
        return all(
            unknowable(self.truth, m, x) for x in ([self.original] if self.original else self.truth.group(m).mirrors)
        )


def same(a: Exchange | None, b: Exchange | None) -> bool:
    """Equal in everything: nobody can tell their responses apart."""
    return (
        a is not None
        and b is not None
        and a.response is not None
        and b.response is not None
        and a.response.same == b.response.same
    )


def unknowable(truth: Truth, original: Exchange, mirror: Exchange) -> bool:
    """Whether nothing captured tells these two apart: no mark, and nothing about their servers."""
    marked = bool(mirror.marks) and truth.held[mirror].request_whole
    return not marked and not truth.roles_known(original.receiver, mirror.receiver)


def asked(e: Exchange) -> tuple[object, ...]:
    return e.request.method, e.request.target, e.request.body


def no_mirror(s: Seen) -> Iterator[Wrong]:
    """A request is listed as a mirror that is none."""
    m = s.mirror
    if m is None:
        yield Wrong("false mirror", f"{s.name}: is nothing that was sent")
    elif m.role != "mirror" and not s.exchanged:
        yield Wrong("false mirror", f"{s.name}: is exchange {m.number}, {m.role}")


def exchanged(s: Seen) -> Iterator[Wrong]:
    """Original and mirror are exchanged, and the packets tell which is which."""
    if s.exchanged and not s.may_be_exchanged:
        yield Wrong("exchanged", f"{s.name}: is exchange {s.mirror.number}, the original")  # type: ignore[union-attr]


def discarded(s: Seen) -> Iterator[Wrong]:
    """Discarded, where a client was given it."""
    if s.view.verdict != "discarded" or s.mirror is None:
        return
    for t in s.truth.leaked(s.mirror):
        if not equals_an_answer_of_right(s, t):
            yield Wrong(
                "false discarded", f"{s.name}: client of {t.downstream.number} was given {s.mirror.number} ({t.how})"
            )


def equals_an_answer_of_right(s: Seen, t: Transaction) -> bool:
    """Whether nobody can tell it from an original's answer, or as many of its class went down as originals gave (`count`)."""
    m = s.mirror
    assert m is not None
    rivals = [*t.originals, *t.mirrors]
    if any(
        o is not m and (o.role != m.role or m.role != "mirror") and told(t, m, o) <= 0
        for o in rivals
        if o.response is not None
    ):
        return True
    if t.how not in ("whole", "foreign"):
        return False
    ask = asked(t.downstream)[:2]
    group = [x for x in s.truth.scene.transactions if x.proxy == t.proxy and asked(x.downstream)[:2] == ask]
    down = sum(x.given is not None and same(x.given, m) for x in group)
    return down <= sum(any(same(o, m) and o is not m for o in x.originals) for x in group)


def leaked(s: Seen) -> Iterator[Wrong]:
    """Leaked, where nothing of it went down, nor anything that nobody can tell from it, through the same proxy."""
    m = s.mirror
    if s.view.verdict != "leaked" or m is None or m.group is None or s.truth.leaked(m):
        return
    proxy = s.truth.group(m).proxy
    given = [
        t for t in s.truth.scene.transactions if t.proxy == proxy and t.given is not None and t.downstream.response
    ]
    if not any(told(t, t.given, m) <= 0 for t in given if t.given is not None):
        yield Wrong("false leaked", f"{s.name}: nothing of {m.number} went to a client")


def unanswered(s: Seen) -> Iterator[Wrong]:
    """Unanswered, where the capture holds packets of its response."""
    if s.view.verdict == "unanswered" and s.mirror is not None and s.truth.held[s.mirror].response:
        yield Wrong(
            "false unanswered", f"{s.name}: response of {s.mirror.number} in {s.truth.held[s.mirror].response[:3]}"
        )


def by_time(s: Seen) -> Iterator[Wrong]:
    """Proof by time, where the mirror's response was there before its client was answered."""
    if "time" not in s.view.proof or s.mirror is None or s.mirror.group is None:
        return
    t = s.truth.group(s.mirror)
    here, gone = s.truth.arrival(s.mirror), s.truth.departure(t.downstream)
    if here is not None and gone is not None and here <= gone:
        yield Wrong(
            "false time", f"{s.name}: arrived at {here / 1e6:.3f} ms, the client was answered at {gone / 1e6:.3f} ms"
        )


def delivered(s: Seen) -> Iterator[Wrong]:
    """`delivered` names another giver than the true one."""
    v, d, m = s.view, s.downstream, s.mirror
    if v.delivered == "unknown" or d is None or m is None or "order" in v.paired_by:
        return
    t = next((t for t in s.truth.scene.transactions if t.downstream is d), None)
    if t is None or t.how in ("nothing", "gone") or s.truth.departure(d) is None:
        return
    is_ = "proxy" if t.how in ("own", "merged") else "mirror" if t.given is m else "original"
    if is_ == "original" and t.given not in t.originals and not s.exchanged:
        is_ = "other"
    if v.delivered == is_ or (is_ == "other" and v.delivered in ("proxy", "mirror")):
        return
    if v.delivered == "mirror" and t.given is not None and told(t, t.given, m) <= 0:
        return
    if v.delivered == "original" and t.given is not None and any(told(t, t.given, o) <= 0 for o in t.originals):
        return
    if v.delivered == "proxy" and t.how in ("status", "coded", "location", "cookie", "cut"):
        return
    yield Wrong("false delivered", f"{s.name}: delivered {v.delivered}, but it was {is_} ({t.how})")


def packets(s: Seen) -> Iterator[Wrong]:
    """Packet numbers that their capture does not have."""
    for name in ("mirror", "original", "downstream"):
        leg = getattr(s.view, name)
        if leg is not None and not s.truth.there(leg.capture, [*leg.request_packets, *leg.response_packets]):
            yield Wrong("false packets", f"{s.name}: capture {leg.capture} has fewer packets than the {name} names")


def tied(s: Seen) -> Iterator[Wrong]:
    """The original or the downstream leg is another request's."""
    m = s.mirror
    if m is None or m.group is None or s.exchanged or m.role != "mirror":
        return
    if "order" not in s.view.paired_by:
        yield from wrong_legs(s)


def wrong_legs(s: Seen) -> Iterator[Wrong]:
    """Legs that belong to another transaction, and can be told from the right ones."""
    m = s.mirror
    if m is None or m.role != "mirror":
        return
    t = s.truth.group(m)
    right = s.truth.original(t)
    if s.view.original is not None and s.original not in t.originals:
        o = s.original
        other = o is not None and o in t.mirrors and right is not None and unknowable(s.truth, right, o)
        equal = other or (o is not None and right is not None and asked(o) == asked(right) and same(o, right))
        if not equal:
            yield Wrong(
                "false original",
                f"{s.name}: {o.number if o else None} ({o.role if o else 'nothing'}) is not of its transaction",
            )
    if s.view.downstream is not None and s.downstream is not t.downstream:
        d = s.downstream
        if d is None or asked(d) != asked(t.downstream) or not same(d, t.downstream):
            yield Wrong(
                "false downstream",
                f"{s.name}: {d.number if d else None} is not its client's request {t.downstream.number}",
            )


RULES = (no_mirror, exchanged, discarded, leaked, unanswered, by_time, delivered, tied, packets)


def legs(truth: Truth, views: list[Any]) -> dict[tuple[int, str], Exchange | None]:
    """Which exchange of the truth each leg of each reported mirror is: by packets, then by what they say, then in order."""
    out: dict[tuple[int, str], Exchange | None] = {}
    taken: dict[tuple[str, int], int] = {}
    for v in views:
        for name in ("mirror", "original", "downstream"):
            leg = getattr(v, name)
            if leg is not None:
                out[v.id, name] = leg_of(truth, leg, taken)
    return out


def leg_of(truth: Truth, leg: Any, taken: dict[tuple[str, int], int]) -> Exchange | None:
    """The exchange that a view shows."""
    ask = truth.candidates(leg.capture, leg.request_packets, CLIENT)
    reply = truth.candidates(leg.capture, leg.response_packets, SERVER)
    both = [e for e in ask if e in reply] or ask or reply
    if len(both) > 1:
        fits = [
            e
            for e in both
            if (leg.path is None or e.request.target == leg.path) and (leg.method in (None, e.request.method))
        ]
        both = fits or both
    if len(both) > 1:  # views are in order of time: equal requests in one packet differ by their numbers
        order = sorted(both, key=lambda e: e.number)
        seen = taken.setdefault(("id", leg.id), len([k for k in taken if k[0] == str(order[0].number)]))
        taken[str(order[0].number), leg.id] = 1
        return order[min(seen, len(order) - 1)]
    return both[0] if both else None


def check(truth: Truth, found: Any) -> Checked:
    """All rules over all that was reported."""
    out = Checked()
    views = list(found.mirror_views())
    of = legs(truth, views)
    listed = set()
    for v in views:
        s = Seen(truth, v, of)
        listed.add(s.mirror)
        out.verdicts.append(f"{v.verdict} ({v.reason})" if v.reason else v.verdict)
        for rule in RULES:
            out.wrong.extend(rule(s))
        if not (s.exchanged and s.may_be_exchanged):
            out.ties.append((v.confidence, not [*no_mirror(s), *exchanged(s), *wrong_legs(s)]))
        if v.verdict == "leaked" and s.mirror is not None and not truth.leaked(s.mirror):
            out.unfounded += 1
    visible = [m for m in truth.mirrors if truth.held[m].request_whole]
    out.mirrors = len(visible)
    if truth.case.taken.complete:
        if any(truth.held[t.downstream].response for t in truth.scene.transactions):
            out.cautious = [v.reason for v in views if v.verdict == "unproven"]
        parts = {s for v in views for s in (of.get((v.id, "original")),)}
        out.missed = sum(m not in listed and bool(m.marks) for m in visible)
        out.missed_unmarked = sum(m not in listed and not m.marks and m not in parts for m in visible)
    share(truth, found, out)
    out.candidates, out.right_candidates = candidates(truth, found)
    return out


def share(truth: Truth, found: Any, out: Checked) -> None:
    """More was mirrored than in truth, or could have been: told for all, or for a pair of servers."""
    if not truth.case.taken.complete or any(w.kind == "false mirror" for w in out.wrong):
        return
    every = truth.scene.transactions
    told = [(found.summary.share, None), *((x, getattr(x, "mirror", None)) for x in getattr(found, "shares", ()))]
    for row, server in told:
        if row is None or not row.mirrored:
            continue
        real = sum(
            any(
                server in (None, f"{m.connection.ends[1].ip}:{m.connection.ends[1].port}")
                for m in t.mirrors
                if m.connection
            )
            for t in every
        )
        if row.mirrored > real:
            out.wrong.append(
                Wrong("false share", f"{row.mirrored} of {row.eligible} are mirrored; in truth {real} were")
            )
        elif row.eligible > len(every):
            out.wrong.append(Wrong("false share", f"{row.eligible} could be mirrored; there were {len(every)}"))


def candidates(truth: Truth, found: Any) -> tuple[int, int]:
    """Exchanges that are listed as possible mirrors, and how many of them are mirrors."""
    listed = getattr(found, "candidate_views", None)
    if listed is None:
        return 0, 0
    views = [getattr(c, "mirror", c) for c in listed()]
    are = [leg_of(truth, v, {}) for v in views]
    return len(are), sum(e is not None and e.role == "mirror" for e in are)
