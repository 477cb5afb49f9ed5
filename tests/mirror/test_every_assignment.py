"""Verdicts against a dull oracle that goes over every assignment of downstream responses to those who can have given
them.

What is made: up to four transactions of one proxy with equal requests, whose times overlap. Each has a client's
request, an original (answered or not, or none at all) and a marked copy. All legs bear their transaction's request
id, or only the upstream ones do, or none. The client was given its original's response, its copy's (now and then
under another status), one of the proxy's own, or it hung up. The proxy may have rewritten a header line. Of one
exchange the response may be missing from the capture.

An assignment names a giver for each downstream response: an upstream response that was there in time, was asked for
after it (give or take 5 ms, where it is an original's), and has its body (and its status, where the body is empty); a
header line that only some of those have decides among them. No upstream response is given twice. The proxy itself is
the giver where nobody else can be. A lost upstream response may be anything, a lost downstream response anybody's or
nobody's. What is compared:

- `discarded`: in some assignment no client who may have been given the mirror's response was given it, or a copy's of
  its class (convention: a number, not an identity);
- `discarded` by `content` or `time`, `count` not being named: the mirror's response went down in no assignment;
- `leaked`: it went down in every assignment in which each client was given what belongs to its own transaction, for
  every way to tie legs without ids to clients whose requests were open.

The worlds are the same in every run: some one in a thousand still holds a `leaked` that a lost response of another
mirror may explain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import pytest
from exchanges import exchange, table
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from inspector.mirror.find import find
from inspector.mirror.tables import Proof, Verdict

GW, V1, V2 = "10.0.0.5", "10.0.0.21:3000", "10.0.0.22:3000"
UNIT = 20  # ms
SLACK = 5 / UNIT  # by which packets of several interfaces may stand out of order
PROXY, NOBODY = "proxy", "nobody"


@dataclass(frozen=True)
class Said:
    """A response. location: a header line, "" without it."""

    status: int
    body: bytes
    location: str = ""


@dataclass
class Leg:
    """An exchange. said: None without a response; lost: it had one, which the capture lacks."""

    kind: str
    number: int
    asked: float
    until: float = -1
    said: Said | None = None
    lost: bool = False

    def __repr__(self) -> str:
        said = f"{self.said.status} {self.said.body!r} {self.said.location}" if self.said else "-"
        return f"{self.kind} {self.number}: {self.asked:.3f} to {self.until:.3f} {said}{' LOST' * self.lost}"

    def row(self, ids: str) -> dict[str, Any]:
        rid = f"r{self.number}" if ids == "all" or (ids == "upstream" and self.kind != "down") else ""
        client, server = {
            "down": (f"10.0.0.{100 + self.number}:{40000 + self.number}", f"{GW}:8080"),
            "original": (f"{GW}:{50000 + self.number}", V1),
            "mirror": (f"{GW}:{56000 + self.number}", V2),
        }[self.kind]
        more: dict[str, Any] = {"host": "catalog-shadow", "xff": GW} if self.kind == "mirror" else {}
        if self.lost:
            more["lossy"] = True
        elif self.said is None and self.until >= 0:
            more["over"] = self.until * UNIT
        elif self.said is not None:
            location = (f"location:{self.said.location}",) if self.said.location else ()
            more |= {"status": self.said.status, "body": self.said.body, "lines": location}
        until = self.until * UNIT if self.said is not None and not self.lost else None
        made = exchange(client, server, self.asked * UNIT, until, rid=rid, **more)
        made["connection"] = {"down": 100, "original": 200, "mirror": 300}[self.kind] + self.number
        return made


@dataclass
class World:
    """What is captured, and who gave each client its response."""

    ids: str
    legs: list[Leg] = field(default_factory=list)
    truth: list[Leg | str] = field(default_factory=list)  # by downstream leg

    def of(self, kind: str) -> list[Leg]:
        return [leg for leg in self.legs if leg.kind == kind]


SAID = st.builds(
    Said, st.sampled_from((200, 404)), st.sampled_from((b"x", b"yy", b"")), st.sampled_from(("", "A", "B"))
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One group of equal requests."""
    w = World(draw(st.sampled_from(("all", "upstream", "none"))))
    lines = draw(st.booleans())
    delay = st.integers(0, 6)
    for i in range(draw(st.integers(1, 4))):
        eps = 0.1 + i * 0.02
        d = Leg("down", i, draw(delay) + eps)
        o = Leg("original", i, d.asked + draw(delay) + 0.002)
        m = Leg("mirror", i, d.asked + draw(delay) + 0.004)
        for leg in (o, m):
            leg.until, leg.said = leg.asked + draw(delay) + 0.21, draw(SAID)
            if not lines:
                leg.said = Said(leg.said.status, leg.said.body)
        if draw(st.integers(0, 5)) == 0:
            o.said, o.until = None, -1
        how = draw(st.sampled_from(("original", "original", "original", "mirror", "status", "gone")))
        giver = m if how in ("mirror", "status") else o
        d.until = max(d.asked, giver.until) + draw(delay) + 0.3
        if how == "gone":
            d.until = d.asked + draw(delay) + 0.3
            w.truth.append(NOBODY)
        elif giver.said is None:
            d.said = Said(504, b"time-out")
            w.truth.append(PROXY)
        else:
            s = giver.said
            rewritten = s.location if not s.location or draw(st.integers(0, 3)) else "Z"
            d.said = Said(502 if how == "status" and s.body else s.status, s.body, rewritten)
            w.truth.append(giver)
        w.legs += [d, o, m]
        if o.said is None and draw(st.booleans()):
            w.legs.remove(o)
    answered = [leg for leg in w.legs if leg.said is not None]
    if answered and draw(st.integers(0, 3)) == 0:
        draw(st.sampled_from(answered)).lost = True
    return w


def may_have_the_bytes(d: Leg, x: Leg) -> bool:
    """Body and status of `x` may be what `d` was given."""
    if x.lost:
        return True
    assert d.said is not None
    if x.said is None or d.said.body != x.said.body:
        return False
    return d.said.status == x.said.status or d.said.body != b""


def in_time(d: Leg, x: Leg) -> bool:
    asked = d.asked - SLACK < x.asked if x.kind == "original" else d.asked < x.asked
    return asked and x.asked < d.until and (x.lost or x.until < d.until)


def givers(d: Leg, w: World) -> list[Leg | str]:
    """Who can have given `d` its response."""
    if d.said is None:
        return [NOBODY]
    able = [x for x in w.legs if x.kind != "down" and (w.ids != "all" or x.number == d.number)]
    if d.lost:
        return [NOBODY, *(x for x in able if x.said is not None and d.asked < x.asked)]
    able = [x for x in able if in_time(d, x) and may_have_the_bytes(d, x)]
    line = d.said.location
    if line and any(x.said is not None and not x.lost and x.said.location == line for x in able):
        able = [x for x in able if x.lost or (x.said is not None and x.said.location == line)]
    sure = [x for x in able if not x.lost]
    return [*able, *([] if sure else [PROXY])]


def assignments(choices: list[list[Leg | str]], taken: tuple[Leg | str, ...] = ()) -> Iterator[tuple[Leg | str, ...]]:
    """Every way to choose one giver for each, none twice."""
    if len(taken) == len(choices):
        yield taken
        return
    for who in choices[len(taken)]:
        if isinstance(who, str) or not any(who is other for other in taken):
            yield from assignments(choices, (*taken, who))


def ties(legs: list[Leg], ds: list[Leg], late: bool) -> Iterator[dict[int, int]]:
    """Every way to tie legs without an id to downstream requests that were open: number of the leg -> number of the request."""
    for chosen in permutations(ds, len(legs)):
        if all(d.asked < x.asked and (late or x.asked < d.until) for x, d in zip(legs, chosen, strict=True)):
            yield {x.number: d.number for x, d in zip(legs, chosen, strict=True)}


def own(w: World) -> Iterator[list[list[Leg | str]]]:
    """The givers of each downstream response among the legs of its own transaction, for every way to tie them."""
    ds, os, ms = w.of("down"), w.of("original"), w.of("mirror")
    same = {d.number: d.number for d in ds}
    every = [givers(d, w) for d in ds]
    for of_o in [same] if w.ids == "all" else ties(os, ds, False):
        for of_m in [same] if w.ids == "all" else ties(ms, ds, True):
            if w.ids == "upstream" and any(of_o[o.number] != of_m[o.number] for o in os):
                continue
            of = {"original": of_o, "mirror": of_m}
            yield [
                [x for x in who if isinstance(x, str) or of[x.kind][x.number] == d.number]
                for d, who in zip(ds, every, strict=True)
            ]


def given_(m: Leg, assignment: Sequence[Leg | str]) -> bool:
    return any(x is m for x in assignment)


def one_like(m: Leg, giver: Leg | str) -> bool:
    """Whether a copy of `m`'s class gave it, as far as is seen: lines that the proxy may write anew do not tell."""
    if isinstance(giver, str) or giver.kind != "mirror" or m.said is None or giver.said is None:
        return False
    return giver.lost or m.said.body == giver.said.body


def contradictions(w: World) -> list[str]:
    """What the product says that some assignment refutes."""
    e = table([leg.row(w.ids) for leg in w.legs])
    found = find(e)
    by_port = {56000 + m.number: m for m in w.of("mirror")}
    choices = [givers(d, w) for d in w.of("down")]
    every = list(assignments(choices))
    assert every
    out = []
    for k in range(len(found.mirrors)):
        m = by_port[int(e.client_port[found.mirrors.mirror[k]])]
        verdict, proof = int(found.mirrors.verdict[k]), int(found.mirrors.proof[k])
        if verdict == Verdict.DISCARDED:
            clients = [k for k, who in enumerate(choices) if given_(m, who)]
            if all(any(one_like(m, a[k]) for k in clients) for a in every):
                out.append(f"mirror {m.number} discarded, and one of its class went down in every assignment")
            elif not proof & Proof.COUNT and any(given_(m, a) for a in every):
                out.append(f"mirror {m.number} discarded by {Proof(proof)!r}, and it may have gone down")
        elif verdict == Verdict.LEAKED and not all(given_(m, a) for mine in own(w) for a in assignments(mine)):
            out.append(f"mirror {m.number} leaked, and it need not have gone down")
    return out


def made(ids: str, *legs: tuple[str, int, float, float, Said | None]) -> World:
    """A world in a line a leg: kind, number, asked, until, what was said (LOST: it was, but is not in the capture)."""
    return World(ids, [Leg(k, n, a, u, X if said is LOST else said, said is LOST) for k, n, a, u, said in legs])


X, YY, LOST = Said(200, b"x"), Said(200, b"yy"), Said(0, b"")

FAULTS = {
    "content is named where one client's answer is the mirror's as well, and only the count speaks": made(
        "upstream",
        ("down", 0, 0.10, 0.61, YY), ("original", 0, 0.11, 0.31, YY), ("mirror", 0, 0.12, 0.32, X),
        ("down", 1, 0.13, 0.63, X), ("original", 1, 0.14, 0.33, X), ("mirror", 1, 0.15, 0.34, X),
    ),
    "the original's body, equal to the mirror's, may have gone down under another status as well": made(
        "all", ("down", 0, 0.10, 0.61, Said(502, b"x")), ("original", 0, 0.11, 0.31, X), ("mirror", 0, 0.12, 0.32, X),
    ),
    "a mirror whose downstream request is not known may be the giver": made(
        "upstream",
        ("down", 0, 0.10, 0.40, LOST), ("original", 0, 0.11, -1, None), ("mirror", 0, 2.10, 2.31, Said(200, b"")),
        ("down", 1, 1.12, 2.63, Said(200, b"")), ("original", 1, 1.13, 3.33, X), ("mirror", 1, 2.12, 2.33, Said(200, b"")),
    ),
    "a mirror without an original may be the giver": made(
        "upstream",
        ("down", 0, 0.10, 0.61, Said(200, b"yy", "Z")), ("mirror", 0, 0.11, 0.31, Said(200, b"yy", "A")),
        ("down", 1, 0.12, 0.63, X), ("original", 1, 0.13, 0.33, X), ("mirror", 1, 0.14, 0.34, YY),
    ),
    "a mirror whose response was lost may be the giver": made(
        "none",
        ("down", 0, 0.10, 0.61, X), ("original", 0, 0.11, 0.31, X), ("mirror", 0, 1.12, 1.33, LOST),
        ("down", 1, 0.14, 1.65, YY), ("original", 1, 0.15, 0.35, X), ("mirror", 1, 1.14, 1.35, YY),
    ),
    "an original whose response was lost may have had the header line": made(
        "upstream",
        ("down", 0, 1.12, 1.63, Said(200, b"x", "A")), ("original", 0, 1.13, 1.33, LOST),
        ("mirror", 0, 1.14, 1.34, Said(200, b"x", "A")),
        ("down", 1, 0.14, 1.65, X), ("original", 1, 1.15, 1.35, X), ("mirror", 1, 0.15, 0.35, X),
    ),
    "an original with another request id explains nothing": made(
        "all",
        ("down", 0, 0.10, 0.61, X), ("original", 0, 1.10, 1.31, X), ("mirror", 0, 0.11, 0.31, X),
        ("down", 1, 0.12, 1.63, X), ("original", 1, 0.13, 0.33, YY), ("mirror", 1, 1.12, 1.33, X),
    ),
    "a mirror that is looked at for two clients may be the giver of either": made(
        "none",
        ("down", 0, 0.12, 0.42, Said(504, b"time-out")), ("original", 0, 0.13, -1, None), ("mirror", 0, 1.12, 1.33, YY),
        ("down", 1, 0.14, 2.65, YY), ("original", 1, 0.15, 0.35, X), ("mirror", 1, 2.14, 2.35, YY),
        ("down", 2, 3.16, 3.67, YY), ("original", 2, 3.17, -1, None), ("mirror", 2, 3.18, 3.37, YY),
    ),
}  # fmt: skip


@pytest.mark.parametrize("w", FAULTS.values(), ids=FAULTS)
def test_what_was_found(w: World) -> None:
    assert contradictions(w) == []


@settings(derandomize=True, max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_no_definite_verdict_is_refuted_by_an_assignment(w: World) -> None:
    note("\n".join([f"ids: {w.ids}", *map(repr, w.legs)]))
    assert contradictions(w) == []


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_what_was_made_is_one_of_the_assignments(w: World) -> None:
    for d, who in zip(w.of("down"), w.truth, strict=True):
        if not d.lost:
            assert any(x is who or x == who for x in givers(d, w))
