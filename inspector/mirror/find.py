"""From exchanges to judged mirrors: the order in which the signs are used, and the policy around the inner loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspector.mirror.downstream import WAYS, Course, Served, assign
from inspector.mirror.groups import member, numbered
from inspector.mirror.judging import Court
from inspector.mirror.layout import Mates, nobody
from inspector.mirror.legs import legs
from inspector.mirror.lines import Lines, over_before
from inspector.mirror.lost_requests import effective_time, place
from inspector.mirror.pairing import Candidates, by_family, confidence, match, retried
from inspector.mirror.signs import Signs, blend, prepare
from inspector.mirror.sites import joined
from inspector.mirror.tables import NONE, NOTHING_HIDDEN, Exchanges, Hidden, Mirrors, Sign
from inspector.mirror.unmarked import Rows, Unmarked, signs_of
from inspector.table import I64, U8, Bool

MOSTLY = 0.8  # the part of what a server is asked that must be checks


@dataclass(frozen=True)
class Assignment:
    """What was made of the exchanges, row by row beside them, and the mirrors among them."""

    exchanges: Exchanges
    signs: Signs
    original: I64  # by row: the original of a mirror, NONE
    downstream: I64  # by row: the downstream exchange of an upstream one, NONE
    claimed: I64  # by row: the upstream exchange of a downstream one, NONE
    retry: Bool  # by row: a second or later attempt
    lone: Bool  # by row: a mirror without its original
    candidate: Bool  # by row: may be a mirror, is not shown to be one
    helper: Bool  # by row: asked of a server that proxies ask before they route
    mirrors: Mirrors

    def legs(self) -> U8:
        """(n,) uint8 Leg by exchange row."""
        return legs(self.exchanges, self.signs, self.original, self.lone, self.retry, self.downstream, self.claimed)


@dataclass
class _Work:
    """Columns while they are being filled."""

    e: Exchanges
    s: Signs
    window: int
    allowed: int
    upstream: Bool
    retry: Bool
    mates: Mates
    lines: Lines
    served: Served
    route: I64  # by row: a number of who sent it and which server was asked
    alone: Bool  # by row: a copy whose request the proxy answered by itself
    candidate: Bool  # by row: may be a copy
    helper: Bool  # by row: asked of a server that proxies ask before they route
    guessed: Bool  # by row: its original was reported by order alone, or its downstream exchange by equal responses

    @property
    def open(self) -> Bool:
        """Upstream requests that are neither copies nor retries, as far as is known."""
        return self.upstream & (self.mates.original < 0) & ~self.retry & ~self.helper

    def unpair(self, m: I64) -> None:
        """The copies `m` are none."""
        self.mates.fan[self.mates.original[m]] = 0
        self.mates.original[m] = NONE
        self.mates.signs[m] = 0

    def pair(self, family: I64, copies: Bool, originals: Bool, marked: bool) -> None:
        """Match within `family` and keep what the allowed signs carry."""
        order = by_family(family, copies | originals)
        if len(order):
            match(Candidates(order, family, copies, originals), self.lines, marked, self.window, self.mates)


def find(
    exchanges: Exchanges,
    suffix: str = "-shadow",
    window: int = 15_000_000_000,
    signs: Sign | None = None,
    hidden: Hidden = NOTHING_HIDDEN,
) -> Assignment:
    """Find, pair and judge the mirrors among `exchanges`.

    exchanges: sorted by request time (rows without a request may stand anywhere). window: ns between a copy and its
    original. signs: the signs that may pair (None: all). hidden: who takes part in connections that are not read.
    """
    e = exchanges
    n = len(e)
    s = prepare(e, suffix.encode("latin-1", "replace"))
    upstream = (e.request_time >= 0) & (s.serves_self < 0) & ~s.loopback
    server = blend(e.server_hi, e.server_lo, e.server_port)
    lines = Lines.of(e, s, server)
    s = joined(lines, s, upstream, window)
    served = Served.of(e, s, upstream)
    ids = e.request_id.view(np.int64)
    borne = upstream & (ids != 0) & member(ids, ids[served.row])
    lines = lines._replace(keeps_id=member(s.sender, s.sender[borne]))
    w = _Work(
        e=e,
        s=s,
        window=window,
        allowed=int(signs) if signs is not None else (1 << 16) - 1,
        upstream=upstream,
        retry=retried(e, s.sender, upstream),
        mates=Mates.unknown(n),
        lines=lines,
        served=served,
        route=blend(s.sender, server),
        alone=np.zeros(n, bool),
        candidate=np.zeros(n, bool),
        helper=np.zeros(n, bool),
        guessed=np.zeros(n, bool),
    )
    if n:
        _marked(w)
        _unmarked(w)
        _filter(w)
        if w.allowed & Sign.COUNT:
            w.guessed |= place(e, s, server, w.mates, upstream, w.retry, window)
    lone = _lone(w)
    mirrors = _judge(w, lone, hidden)
    return Assignment(
        e, s, w.mates.original, w.mates.downstream, w.mates.claimed, w.retry, lone, w.candidate, w.helper, mirrors
    )


def _marked(w: _Work) -> None:
    """Copies that carry a proxy's mark: by request id first, then by content."""
    e, s = w.e, w.s
    copies = w.upstream & ~w.retry & (s.suffixed | s.xff_own | s.internal | (e.parent != 0))
    if not copies.any():
        return
    originals = w.upstream & ~w.retry
    if w.allowed & Sign.REQUEST_ID:
        with_id = e.request_id != 0
        w.pair(blend(s.sender, e.request_id), copies & with_id, originals & with_id, True)
        _checks(w)
        _retries(w)
    left = copies & (w.mates.original < 0) & ~w.helper & ~w.retry
    if left.any():
        w.pair(blend(s.sender, e.method, e.target), left, originals & (w.mates.original < 0), True)
        _retries(w)


def _checks(w: _Work) -> None:
    """Rule `checks`: what is answered before its original is sent is an authorization check, a quota's or a policy's, no copy.

    Envoy marks such calls x-envoy-internal as well (source/common/http/async_client_impl.cc), but writes no x-forwarded-for.
    """
    bare = int(Sign.SUFFIX | Sign.XFF | Sign.TRACE)
    m = np.flatnonzero((w.mates.original >= 0) & ((w.mates.signs & np.uint32(bare)) == 0))
    if not len(m):
        return
    o = w.mates.original[m]
    first = over_before(w.lines, m, o)
    numbers, _ = numbered(w.route[m])
    share = np.bincount(numbers, first) / np.bincount(numbers)
    m = m[(share >= MOSTLY)[numbers]]
    w.unpair(m)
    w.helper |= member(w.route, w.route[m])


def _unmarked(w: _Work) -> None:
    """Copies without a mark: what is left over when each downstream request has its upstream request."""
    if not w.allowed & Sign.COUNT:
        assign(w.e, w.s, w.lines, w.served, w.open, Course(np.zeros(len(w.e), np.int64), w.window, WAYS), w.mates)
        extra = w.open & (w.mates.downstream < 0)
        if w.allowed & Sign.REQUEST_ID:
            _same_id(w, extra)
        return
    found = Unmarked(w.e, w.s, w.lines, w.served, w.mates, Rows(w.open, w.upstream & w.retry), w.window).find()
    w.retry |= found.attempt
    w.candidate = found.candidate
    if w.allowed & Sign.REQUEST_ID:
        _same_id(w, w.open & (w.mates.downstream < 0) & ~found.within)
    m = np.flatnonzero(found.copy & (w.mates.original < 0))
    o, d = found.original[m], found.downstream[m]
    w.mates.original[m] = o
    alone = o < 0
    w.mates.downstream[m[alone]] = d[alone]
    w.alone[m[alone]] = True
    _spare(w, m[alone & found.several[m]])
    w.mates.signs[m] = signs_of(w.lines, m, d) | np.where(found.several[m], int(Sign.ORDER), 0)


def _spare(w: _Work, m: I64) -> None:
    """Copies of equal requests in flight together whose downstream request has no original take one that has no other."""
    e, s = w.e, w.s
    if not len(m):
        return
    copies, originals = np.zeros(len(e), bool), w.open & (w.mates.downstream < 0) & (w.mates.fan == 0)
    copies[m] = True
    originals &= ~member(w.route, w.route[m])
    w.pair(blend(s.sender, e.method, e.target), copies, originals, False)
    m = m[w.mates.original[m] >= 0]
    o, d = w.mates.original[m], w.mates.downstream[m]
    w.mates.downstream[m] = NONE
    w.mates.downstream[o], w.mates.claimed[d] = d, o
    w.alone[m] = w.candidate[o] = False
    w.guessed[m] = True


def _same_id(w: _Work, left: Bool) -> None:
    """Requests with one request id and the same content from one sender, whose downstream leg was not captured: one may be the
    other's copy, or a service calls two others. They are candidates."""
    e, s = w.e, w.s
    rows = np.flatnonzero(left & (e.request_id != 0))
    if len(rows):
        numbers, _ = numbered(blend(s.sender[rows], e.request_id[rows], e.method[rows], e.target[rows]))
        first = nobody(int(numbers.max()) + 1)
        first[numbers[::-1]] = rows[::-1]
        w.candidate[rows[w.lines.server[rows] != w.lines.server[first[numbers]]]] = True


def _retries(w: _Work) -> None:
    """Rule `retries`: a request sent after the other had failed is an attempt, no copy, unless the suffix or x-forwarded-for
    shows that it is one. Spans of attempts may be children of the first one's."""
    m = np.flatnonzero((w.mates.original >= 0) & ((w.mates.signs & np.uint32(int(Sign.SUFFIX | Sign.XFF))) == 0))
    o = w.mates.original[m]
    lines = w.lines
    failed = (lines.status[o] >= 500) & over_before(lines, o, m)
    failed |= (lines.status[o] < 0) & (lines.over[o] >= 0) & (lines.over[o] <= lines.asked[m])
    # What gets requests that are no copies gets no copies: rule `nothing but copies`.
    doubtful = (lines.status[o] < 0) | (lines.status[o] >= 500)
    if doubtful.any():
        failed |= member(w.route[m], w.route[w.open]) & doubtful
    w.unpair(m[failed])
    w.retry[m[failed]] = True


def _filter(w: _Work) -> None:
    """Drop pairs that rest on no sign that --match allows."""
    rows = np.flatnonzero(w.mates.original >= 0)
    w.mates.signs[rows] &= np.uint32(w.allowed | Sign.TIME | Sign.ORDER)
    carried = int(Sign.REQUEST_ID | Sign.SUFFIX | Sign.XFF | Sign.INTERNAL | Sign.TRACE | Sign.COUNT | Sign.CONTENT)
    w.unpair(rows[(w.mates.signs[rows] & np.uint32(carried)) == 0])


def _lone(w: _Work) -> Bool:
    """Copies without an original: the proxy answered by itself, or it is not in the capture and the suffix alone says so (and no
    downstream asked for that host)."""
    e, s = w.e, w.s
    lone = w.open & s.suffixed & ~w.alone
    if not w.allowed & Sign.SUFFIX:
        lone[:] = False
    # An exchange that is some mirror's original is none, whatever its name.
    lone[w.mates.original[w.mates.original >= 0]] = False
    mate = np.where(w.mates.downstream >= 0, w.mates.downstream, 0)
    lone &= ((w.mates.downstream < 0) | (e.host[mate] == s.base_host)) if len(e) else lone
    return lone | w.alone


def _judge(w: _Work, lone: Bool, hidden: Hidden) -> Mirrors:
    """Make the mirror table: verdict, proof, reason and what was delivered for each, in order of time."""
    m = np.flatnonzero((w.mates.original >= 0) | lone)
    m = m[np.argsort(effective_time(w.e)[m], kind="stable")]
    cases = Court(w.e, w.s, w.lines, w.served, w.mates, w.guessed, w.window).judge(m, w.upstream, hidden)
    found = w.mates.signs[m]
    found[lone[m] & ~w.alone[m]] = np.uint32(Sign.SUFFIX)
    found[(cases.rivals > 1)] |= np.uint32(Sign.ORDER)
    percent = np.where(lone[m], 50, confidence(found))
    return Mirrors.build(
        mirror=m, original=cases.original, downstream=cases.downstream, rivals=cases.rivals, signs=found,
        confidence=percent, verdict=cases.verdict, proof=cases.proof, reason=cases.reason, delivered=cases.delivered,
    )  # fmt: skip
