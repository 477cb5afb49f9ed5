"""From exchanges to judged mirrors: the order in which the signs are used, and the policy around the inner loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.http.tables import Fact
from inspector.mirror import loss_guard, verdict
from inspector.mirror.downstream import Lines, Served, assign
from inspector.mirror.groups import in_groups, member, numbered
from inspector.mirror.layout import Grouped, Mates, nobody
from inspector.mirror.legs import legs
from inspector.mirror.lost_requests import effective_time, place
from inspector.mirror.pairing import Candidates, Traits, by_family, confidence, match, retried, traits_of
from inspector.mirror.signs import Signs, blend, number, prepare
from inspector.mirror.tables import (
    NONE,
    NOTHING_HIDDEN,
    Delivered,
    Exchanges,
    Hidden,
    Mirrors,
    Proof,
    Reason,
    Sign,
    Verdict,
)
from inspector.table import I64, U8, Bool, first_of_each

AHEAD = 50_000_000  # ns: an unmarked copy is sent no earlier than this before its original
BEHIND = 1_000_000_000  # ns: and no later than this after the original or its downstream was answered
MOSTLY = 0.8  # a server gets unmarked copies only when at least this part of its requests are beyond the count


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
    mirrors: Mirrors

    def legs(self) -> U8:
        """(n,) uint8 Leg by exchange row."""
        return legs(self.exchanges, self.signs, self.original, self.lone, self.retry, self.downstream, self.claimed)


@dataclass
class _Work:
    """Columns while they are being filled."""

    e: Exchanges
    s: Signs
    server: I64
    window: int
    allowed: int
    upstream: Bool
    retry: Bool
    mates: Mates
    lines: Lines
    served: Served
    traits: Traits
    guessed: Bool  # by row: its original was reported by order alone, or its downstream exchange by equal responses

    @property
    def open(self) -> Bool:
        """Upstream requests that are neither copies nor retries, as far as is known."""
        return self.upstream & (self.mates.original < 0) & ~self.retry

    def pair(self, family: I64, copies: Bool, originals: Bool, marked: bool) -> None:
        """Match within `family` and keep what the allowed signs carry."""
        order = by_family(family, copies | originals)
        if len(order):
            match(Candidates(order, family, copies, originals), self.traits, marked, self.window, self.mates)

    def assign(self, rows: Bool, rank: I64) -> None:
        """Find the downstream exchanges of `rows`."""
        assign(self.e, self.s, self.lines, self.served, rows, rank, self.window, self.mates)


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
    w = _Work(
        e=e,
        s=s,
        server=server,
        window=window,
        allowed=int(signs) if signs is not None else (1 << 16) - 1,
        upstream=upstream,
        retry=retried(e, s.sender, upstream),
        mates=Mates.unknown(n),
        lines=Lines.of(e),
        served=Served.of(e, s, upstream),
        traits=traits_of(e, s, server),
        guessed=np.zeros(n, bool),
    )
    if n:
        _marked(w)
        _unmarked(w)
        _filter(w)
        if w.allowed & Sign.COUNT:
            w.guessed = place(e, s, server, w.mates, upstream, w.retry, window)
    lone = _lone(w)
    again = _attempts(w)
    mirrors = _judge(w, lone, again, hidden)
    return Assignment(e, s, w.mates.original, w.mates.downstream, w.mates.claimed, w.retry, lone, mirrors)


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
    left = copies & (w.mates.original < 0)
    if left.any():
        w.pair(blend(s.sender, e.method, e.target), left, originals & (w.mates.original < 0), True)


def _unmarked(w: _Work) -> None:
    """Copies without a mark: what is left over when each downstream request has its upstream request."""
    e, s = w.e, w.s
    flat = np.zeros(len(e), np.int64)
    w.assign(w.open, flat)
    extra = w.open & (w.mates.downstream < 0)
    if w.allowed & Sign.REQUEST_ID:
        _same_id(w, extra)
        extra = w.open & (w.mates.downstream < 0)
    if not w.allowed & Sign.COUNT or not extra.any():
        return
    # Only where the downstream side of the same content was seen can anything be counted.
    seen = w.served.row[w.mates.claimed[w.served.row] >= 0]
    if not len(seen):
        return
    mine = w.open & member(s.sender, s.sender[w.mates.claimed[seen]])
    # Decide again with the servers that usually get the delivered request preferred, so that equal answers do not mix.
    share, equal = _roles(w, mine)
    marked = (w.mates.claimed < 0) | ~mine[w.mates.claimed]
    w.mates.claimed[~marked] = NONE
    w.mates.downstream[mine] = NONE
    w.assign(mine, np.round(share * 3).astype(np.int64))
    share, equal = _roles(w, mine)
    copies = mine & (w.mates.downstream < 0) & (share <= 1 - MOSTLY)
    originals = mine & (w.mates.downstream >= 0) & equal
    if not copies.any() or not originals.any():
        return
    before = w.mates.original.copy()
    w.pair(blend(s.sender, e.method, e.target), copies, originals, False)
    new = np.flatnonzero((w.mates.original >= 0) & (before < 0))
    _undo_retries(w, new)
    new = new[w.mates.original[new] >= 0]
    o = w.mates.original[new]
    lag = e.request_time[new] - e.request_time[o]
    end = np.maximum(e.response_end_time[o], e.response_end_time[w.mates.downstream[o]])
    far = (lag < -AHEAD) | (e.request_time[new] > np.maximum(end, e.request_time[o]) + BEHIND)
    w.mates.original[new[far]] = NONE
    w.mates.signs[new[far]] = 0
    new = new[~far]
    w.mates.signs[new] |= np.uint32(Sign.COUNT)


def _roles(w: _Work, mine: Bool) -> tuple[NDArray[np.float64], Bool]:
    """By row: the part of its server's requests (from the same sender) that the downstream asked for, and whether that
    server is known to answer the downstream: by an answer that was passed on, or by the host name it is asked for."""
    rows = np.flatnonzero(mine)
    share = np.zeros(len(w.e))
    equal = np.zeros(len(w.e), bool)
    if not len(rows):
        return share, equal
    pair = number(w.s.sender[rows], w.server[rows])
    size = int(pair.max()) + 1
    taken = w.mates.downstream[rows] >= 0
    share[rows] = (np.bincount(pair, taken, size) / np.maximum(np.bincount(pair, minlength=size), 1))[pair]
    e = w.e
    asker = np.where(taken, w.mates.downstream[rows], rows)
    known = np.uint32(Fact.COMPLETE)
    same = (
        taken
        & (e.status[rows] >= 0)
        & (e.status[rows] == e.status[asker])
        & (e.response_bytes[rows] == e.response_bytes[asker])
        & (e.response_hash[rows] == e.response_hash[asker])
        & ((e.response_facts[rows] & e.response_facts[asker] & known) != 0)
        & (((e.response_facts[rows] | e.response_facts[asker]) & np.uint32(Fact.BODY_GAP)) == 0)
    )
    # Bodies may be cut off or recoded: a server that is asked by the downstream's own host name says as much.
    named = taken & (e.host[rows] == e.host[asker]) & (e.host[rows] != 0)
    asked = np.maximum(np.bincount(pair, taken, size), 1)
    equal[rows] = ((np.bincount(pair, same, size) > 0) | (np.bincount(pair, named, size) >= MOSTLY * asked))[pair]
    return share, equal


def _same_id(w: _Work, extra: Bool) -> None:
    """Unmarked requests with one request id and the same content from one sender: the later ones are copies.

    Without the downstream leg a service that calls two others looks alike: the host must be the same.
    """
    e, s = w.e, w.s
    family = blend(s.sender, e.request_id, e.method, e.target)
    wanted = extra & (e.request_id != 0)
    if not wanted.any():
        return
    rows = np.flatnonzero(w.open & (e.request_id != 0))
    rows = rows[member(family[rows], family[wanted])]
    # The one that the downstream asked for is the original; without a downstream leg, the first.
    best = rows[np.lexsort((e.request_time[rows], w.mates.downstream[rows] < 0, family[rows]))]
    first = first_of_each(family[best])
    originals = np.zeros(len(e), bool)
    originals[best[first]] = True
    copies = np.zeros(len(e), bool)
    copies[best[~first]] = True
    copies &= extra
    mate = np.full(len(e), NONE)
    mate[best] = best[first][np.cumsum(first) - 1]
    copies &= (mate >= 0) & ((s.base_host == s.base_host[mate]) | (w.mates.downstream[mate] >= 0))
    before = w.mates.original.copy()
    w.pair(family, copies, originals, False)
    _undo_retries(w, np.flatnonzero((w.mates.original >= 0) & (before < 0)))


def _undo_retries(w: _Work, new: I64) -> None:
    """A request sent after the other had failed is a retry, not a copy."""
    e = w.e
    o = w.mates.original[new]
    after_o = (e.status[o] >= 500) & (e.response_end_time[o] <= e.request_time[new])
    before_o = (e.status[new] >= 500) & (e.response_end_time[new] <= e.request_time[o])
    wrong = new[after_o | before_o]
    w.mates.original[wrong] = NONE
    w.mates.signs[wrong] = 0
    w.retry[wrong] = True


def _filter(w: _Work) -> None:
    """Drop pairs that rest on no sign that --match allows."""
    rows = np.flatnonzero(w.mates.original >= 0)
    w.mates.signs[rows] &= np.uint32(w.allowed | Sign.TIME | Sign.ORDER)
    carried = int(Sign.REQUEST_ID | Sign.SUFFIX | Sign.XFF | Sign.INTERNAL | Sign.TRACE | Sign.COUNT | Sign.CONTENT)
    bad = rows[(w.mates.signs[rows] & np.uint32(carried)) == 0]
    w.mates.original[bad] = NONE
    w.mates.signs[bad] = 0


def _lone(w: _Work) -> Bool:
    """Copies whose original is not in the capture: only the suffix says so, and no downstream asked for that host."""
    e, s = w.e, w.s
    lone = w.open & s.suffixed
    if not w.allowed & Sign.SUFFIX:
        lone[:] = False
    # An exchange that is some mirror's original is none, whatever its name.
    lone[w.mates.original[w.mates.original >= 0]] = False
    mate = np.where(w.mates.downstream >= 0, w.mates.downstream, 0)
    return lone & ((w.mates.downstream < 0) | (e.host[mate] == s.base_host)) if len(e) else lone


def _attempts(w: _Work) -> I64:
    """By row: the next attempt of the same request, NONE at the last."""
    e, s = w.e, w.s
    again = nobody(len(e))
    if not w.retry.any():
        return again
    rows = np.flatnonzero(w.retry | w.open)
    key = blend(s.sender[rows], e.request_id[rows], e.method[rows], e.target[rows], e.headers[rows])
    order = np.lexsort((e.request_time[rows], key))
    r, k = rows[order], key[order]
    follows = (k[1:] == k[:-1]) & w.retry[r[1:]] & (e.request_time[r[1:]] - e.request_time[r[:-1]] <= w.window)
    again[r[:-1][follows]] = r[1:][follows]
    return again


def _judge(w: _Work, lone: Bool, again: I64, hidden: Hidden) -> Mirrors:
    """Make the mirror table: verdict, proof, reason and what was delivered for each, in order of time."""
    e, s = w.e, w.s
    m = np.flatnonzero((w.mates.original >= 0) | lone)
    asked = effective_time(e)
    m = m[np.argsort(asked[m], kind="stable")]
    o = w.mates.original[m]
    d = np.where(o >= 0, w.mates.downstream[np.maximum(o, 0)], w.mates.downstream[m])
    judged = _without_downstream(w, m, o, hidden)
    rivals = (d >= 0).astype(np.int64)
    told = np.where(
        loss_guard.guessed(e, o), NONE, o
    )  # an original whose request was lost is none that is known to be it
    answered = e.status[m] >= 0
    js = np.flatnonzero((d >= 0) & answered)
    if len(js):
        anchor = np.where(o >= 0, o, m)
        rows, address = w.served.row, w.served.address
        of_d = blend(address, e.method[rows], e.target[rows])
        of_j = blend(s.sender[anchor[js]], e.method[d[js]], e.target[d[js]])
        oj = np.argsort(asked[anchor[js]], kind="stable")
        numbers, firsts = numbered(np.concatenate([of_d, of_j[oj]]))
        of_d, of_j = numbers[: len(of_d)], numbers[len(of_d) :]
        od = in_groups(np.arange(len(rows)), of_d, len(firsts))
        by_time, oj = oj, in_groups(np.arange(len(oj)), of_j, len(firsts))
        sure = (
            (w.mates.claimed >= 0)
            & (e.request_id != 0)
            & (e.request_id == e.request_id[np.maximum(w.mates.claimed, 0)])
        )
        nums = w.lines.nums.copy()
        nums[:, 4] = loss_guard.ends(e)
        grounds = verdict.Grounds(*(c.astype(np.int64) for c in (sure, again, e.response_marks, e.lossy)))
        cases, lines = verdict.Cases(m, told, d, judged, rivals), w.lines._replace(nums=nums)
        js_of, ds_of = Grouped(js[by_time[oj]], of_j[oj]), Grouped(rows[od], of_d[od])
        verdict.judge(js_of, ds_of, cases, lines, grounds, verdict.crowd())
        _lost(w, m, o, d, sure, judged)
    # What its receiver refused with a RST was passed on to nobody, whatever the downstream was given.
    refused = answered & (e.response_facts[m] & np.uint32(Fact.REFUSED) != 0)
    already = refused & (judged & 15 == int(Verdict.DISCARDED))
    judged[already] |= int(Proof.TIME) << 4
    judged[refused & ~already] = verdict.discarded(Proof.TIME, Delivered.UNKNOWN)
    what, proof, reason, delivered = verdict.unpack(judged)
    # That a proxy answers by itself is reported by a failure; a success without an upstream response was lost above.
    unsaid = (delivered == int(Delivered.PROXY)) & (o >= 0) & (e.status[o] < 0) & (e.status[d] < verdict.FAILED)
    delivered = np.where(unsaid, int(Delivered.UNKNOWN), delivered)
    found = w.mates.signs[m]
    found[lone[m]] = np.uint32(Sign.SUFFIX)
    found[(rivals > 1)] |= np.uint32(Sign.ORDER)
    percent = np.where(lone[m], 50, confidence(found))
    return Mirrors.build(
        mirror=m, original=o, downstream=d, rivals=rivals, signs=found, confidence=percent, verdict=what, proof=proof,
        reason=reason, delivered=delivered,
    )  # fmt: skip


def _lost(w: _Work, m: I64, o: I64, d: I64, sure: Bool, judged: I64) -> None:
    """Judge again what rests on a partner that fills the place of a lost one: true whichever was its own, or unproven."""
    e = w.e
    anchor = np.where(o >= 0, o, m)
    placed = loss_guard.guessed(e, m) | loss_guard.guessed(e, d) | w.guessed[anchor] | w.guessed[m]
    placed |= loss_guard.overlooked(e, w.s, anchor, d, sure[np.maximum(d, 0)])
    placed &= (e.status[m] >= 0) & (d >= 0)
    judged[placed] = verdict.alone(Reason.GAP)
    rows = np.flatnonzero(
        placed | (loss_guard.guessed(e, o) & (judged & 15 == int(Verdict.UNPROVEN)) & (e.status[m] >= 0))
    )
    if not len(rows):
        return
    copies = member(w.server, w.server[m])
    out = rows[loss_guard.ruled_out(e, w.s, m[rows], copies, w.window)]
    judged[out] = verdict.discarded(Proof.CONTENT, Delivered.ORIGINAL)


def _without_downstream(w: _Work, m: I64, o: I64, hidden: Hidden) -> I64:
    """Judgements as far as they need no downstream exchange."""
    e = w.e
    judged = np.full(len(m), verdict.alone(Reason.NO_DOWNSTREAM_LEG), np.int64)
    judged[o < 0] = verdict.alone(Reason.ORIGINAL_NOT_CAPTURED)
    for mine, addresses in ((o >= 0, hidden.servers), (o < 0, hidden.clients)):
        if not addresses:
            continue
        for row in np.flatnonzero(mine).tolist():
            reason = addresses.get((int(e.client_hi[m[row]]), int(e.client_lo[m[row]])))
            if reason is not None:
                judged[row] = verdict.alone(reason)
    silent = e.status[m] < 0
    judged[silent] = verdict.unanswered()
    judged[silent & (e.lossy[m] & 1 != 0)] = verdict.alone(Reason.GAP)
    return judged
