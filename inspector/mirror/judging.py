"""From pairs to judged mirrors: which groups are judged together, and what is made of suspects and of losses."""

from __future__ import annotations

import numpy as np

from inspector.http.tables import Fact
from inspector.mirror import loss_guard, verdict
from inspector.mirror.downstream import Served
from inspector.mirror.explain import explain
from inspector.mirror.groups import in_groups, member, numbered
from inspector.mirror.layout import Grouped, Mates
from inspector.mirror.lines import UNKNOWN, Lines
from inspector.mirror.signs import Signs, blend
from inspector.mirror.tables import NONE, Delivered, Exchanges, Hidden, Proof, Reason, Verdict
from inspector.mirror.verdict import Cases, Given
from inspector.table import I64, Bool


def tied(lines: Lines, mates: Mates) -> Bool:
    """Which downstream requests a request id ties to their upstream request: (n,) bool by row."""
    x = np.maximum(mates.claimed, 0)
    return (mates.claimed >= 0) & (lines.request_id != 0) & (lines.request_id == lines.request_id[x])


BACK = 1_000_000_000  # ns by which times of packets in order must go back for the clock to have been set
MANY = 1024  # mirrors of unknown responses that are looked at for one suspect


class Court:
    """Judges the mirrors of one pool of exchanges."""

    def __init__(
        self, e: Exchanges, s: Signs, lines: Lines, served: Served, mates: Mates, guesses: Bool, window: int
    ) -> None:
        """guesses: (n,) bool by row, its original or its downstream exchange fills the place of a lost one. window: ns."""
        self.e, self.s, self.lines, self.served, self.mates = e, s, lines, served, mates
        self.guesses, self.window = guesses, window

    def judge(self, m: I64, upstream: Bool, hidden: Hidden) -> Cases:
        """The judgements of the mirrors `m`, rows in order of time. upstream: (n,) bool. hidden: who takes part in connections
        that are not read."""
        o = self.mates.original[m]
        d = np.where(o >= 0, self.mates.downstream[np.maximum(o, 0)], self.mates.downstream[m])
        cases = _without_downstream(self.e, m, o, d, hidden)
        js = np.flatnonzero((d >= 0) & (self.e.status[m] >= 0))
        if len(js):
            copies = np.zeros(len(self.e), bool)
            copies[m] = True
            bound = tied(self.lines, self.mates)
            given = explain(self.lines, self.served, self.s.sender, self.mates, copies, upstream, bound)
            told = cases._replace(original=np.where(loss_guard.guessed(self.e, o), NONE, o))
            self._together(told, js, given)
            self._suspects(cases, given)
            self._strays(cases, given)
            self._lost(cases, bound)
            self._stepped(cases, bound)
        self._refused(cases)
        return cases

    def _stepped(self, cases: Cases, bound: Bool) -> None:
        """Rule `clock`: where a capture's clock was set back, times do not show which requests were open together; a claim is
        left to mirrors that a request id ties to their client."""
        lines, m = self.lines, cases.mirror
        rows = np.flatnonzero(lines.sent_in >= 0)
        rows = rows[np.lexsort((lines.sent_in[rows], lines.capture[rows]))]
        back = (np.diff(lines.asked[rows]) < -BACK) & (np.diff(lines.capture[rows]) == 0)
        if not back.any():
            return
        set_back = np.isin(lines.capture[m], lines.capture[rows[1:][back]])
        loose = set_back & (cases.downstream >= 0) & ~bound[np.maximum(cases.downstream, 0)]
        definite = (cases.verdict == int(Verdict.DISCARDED)) | (cases.verdict == int(Verdict.LEAKED))
        _set(cases, np.flatnonzero(loose & definite), Verdict.UNPROVEN, Delivered.UNKNOWN, Reason.AMBIGUOUS)

    def _refused(self, cases: Cases) -> None:
        """Rule `refused`: what its receiver refused with a RST was passed on to nobody, whatever the downstream was given."""
        m = cases.mirror
        refused = (self.e.status[m] >= 0) & (self.e.response_facts[m] & np.uint32(Fact.REFUSED) != 0)
        already = refused & (cases.verdict == int(Verdict.DISCARDED))
        cases.proof[already] |= int(Proof.TIME)
        rest = np.flatnonzero(refused & ~already)
        _set(cases, rest, Verdict.DISCARDED, Delivered.UNKNOWN, proof=int(Proof.TIME))

    def _together(self, cases: Cases, js: I64, given: Given) -> None:
        """Judge each of the cases `js` over every downstream exchange that could be its own."""
        lines, d = self.lines, cases.downstream
        anchor = np.where(cases.original >= 0, cases.original, cases.mirror)
        rows, address = self.served.row, self.served.address
        of_d = blend(address, lines.method[rows], lines.target[rows])
        of_j = blend(self.s.sender[anchor[js]], lines.method[d[js]], lines.target[d[js]])
        oj = np.argsort(lines.asked[cases.mirror[js]], kind="stable")
        numbers, firsts = numbered(np.concatenate([of_d, of_j[oj]]))
        of_d, of_j = numbers[: len(of_d)], numbers[len(of_d) :]
        od = in_groups(np.arange(len(rows)), of_d, len(firsts))
        by_time, oj = oj, in_groups(np.arange(len(oj)), of_j, len(firsts))
        js_of, ds_of = Grouped(js[by_time[oj]], of_j[oj]), Grouped(rows[od], of_d[od])
        verdict.judge(js_of, ds_of, cases, lines, given, verdict.crowd())

    def _suspects(self, cases: Cases, given: Given) -> None:
        """Rule `only giver`: a response that nothing but mirrors explains is the mirror's where only one can have given it."""
        held = np.flatnonzero(cases.suspect >= 0)
        if not len(held):
            return
        alone = (given.suspects[cases.suspect[held]] == 1) & ~self._others(cases, held, given)
        _set(cases, held[alone], Verdict.LEAKED, Delivered.MIRROR)
        _set(cases, held[~alone], Verdict.UNPROVEN, Delivered.UNKNOWN, Reason.AMBIGUOUS)

    def _others(self, cases: Cases, held: I64, given: Given) -> Bool:
        """Which suspects another mirror may have given as well: one whose response or downstream request is not known."""
        lines, m = self.lines, cases.mirror
        d = cases.suspect[held]
        out = np.zeros(len(held), bool)
        vague = m[
            (cases.downstream < 0)
            | (cases.original < 0)
            | ((lines.status[m] < 0) & (lines.lossy[m] != 0))
            | (lines.size[m] == UNKNOWN)
        ]
        loose = np.flatnonzero(~given.tied[d])
        if not len(vague) or not len(loose):
            return out
        vague = vague[np.argsort(lines.asked[vague], kind="stable")]
        for k in loose.tolist():
            mine, row = m[held[k]], d[k]
            low = np.searchsorted(lines.asked[vague], lines.asked[row])
            end = lines.until[row] if lines.until[row] >= 0 else lines.asked[row] + self.window
            near = vague[low : low + MANY]
            near = near[(near != mine) & (lines.asked[near] <= end) & (self.s.sender[near] == self.s.sender[mine])]
            known = (lines.size[near] != UNKNOWN) & (lines.size[row] != UNKNOWN) & (lines.status[near] >= 0)
            unlike = known & ((lines.size[near] != lines.size[row]) | (lines.digest[near] != lines.digest[row]))
            out[k] = (~unlike).any()
        return out

    def _strays(self, cases: Cases, given: Given) -> None:
        """Rule `elsewhere`: a body that only a mirror gave, on a downstream leg of another request."""
        lines, rows, address = self.lines, self.served.row, self.served.address
        odd = np.flatnonzero((given.by[rows] < 0) & (lines.size[rows] > 0) & (given.suspects[rows] == 0))
        odd = odd[~given.elsewhere[rows[odd]]]
        m, o = cases.mirror, np.maximum(cases.original, 0)
        asked = np.flatnonzero((lines.size[m] > 0) & (cases.verdict != int(Verdict.LEAKED)))
        like = (cases.original[asked] >= 0) & (lines.size[o[asked]] == lines.size[m[asked]])
        asked = asked[~(like & (lines.digest[o[asked]] == lines.digest[m[asked]]))]
        if not len(odd) or not len(asked):
            return
        key_d = blend(address[odd], lines.size[rows[odd]], lines.digest[rows[odd]])
        key_m = blend(self.s.sender[m[asked]], lines.size[m[asked]], lines.digest[m[asked]])
        asked, key_m = asked[member(key_m, key_d)], key_m[member(key_m, key_d)]
        for j, key in zip(asked.tolist(), key_m.tolist(), strict=True):
            where = rows[odd[key_d == key]]
            late = lines.capture[where] == lines.capture[m[j]]
            where = where[~(late & (lines.over[where] >= 0) & (lines.over[where] < lines.answered[m[j]]))]
            where = where[np.abs(lines.answered[where] - lines.answered[m[j]]) <= self.window]
            if not len(where):
                continue
            known = cases.original[j] >= 0 and lines.size[o[j]] != UNKNOWN
            row = np.array([j])
            if known and int((key_m == key).sum()) == 1 and not given.murky[where].any():
                _set(cases, row, Verdict.LEAKED, Delivered.MIRROR)
            elif cases.verdict[j] != int(Verdict.UNPROVEN):  # else the reason why stands already
                _set(cases, row, Verdict.UNPROVEN, Delivered.UNKNOWN, Reason.AMBIGUOUS)

    def _lost(self, cases: Cases, bound: Bool) -> None:
        """Judge again what rests on a partner that fills the place of a lost one: true whichever was its own, or unproven."""
        e, m, o, d = self.e, cases.mirror, cases.original, cases.downstream
        anchor = np.where(o >= 0, o, m)
        placed = loss_guard.guessed(e, m) | loss_guard.guessed(e, d) | self.guesses[anchor] | self.guesses[m]
        placed |= loss_guard.overlooked(e, self.s, m, anchor, d, bound[np.maximum(d, 0)])
        pair = blend(self.s.sender, self.lines.server)
        asked = np.flatnonzero((e.request_time >= 0) & member(pair, pair[m]))
        others = asked[self.mates.original[asked] < 0]  # at such a server a lost request need not have been a copy
        leaked = (cases.verdict == int(Verdict.LEAKED)) & ~(loss_guard.guessed(e, m) & member(pair[m], pair[others]))
        leaked &= ~loss_guard.guessed(e, cases.suspect)  # what may be another client's answer shows no leak
        placed &= (e.status[m] >= 0) & (d >= 0) & ~leaked
        _set(cases, np.flatnonzero(placed), Verdict.UNPROVEN, Delivered.UNKNOWN, Reason.GAP)
        unproven = cases.verdict == int(Verdict.UNPROVEN)
        rows = np.flatnonzero(placed | (loss_guard.guessed(e, o) & unproven & (e.status[m] >= 0)))
        if not len(rows):
            return
        server = self.lines.server
        out = rows[loss_guard.ruled_out(e, self.s, m[rows], member(server, server[m]), self.window)]
        _set(cases, out, Verdict.DISCARDED, Delivered.ORIGINAL, proof=int(Proof.CONTENT))


def _set(
    cases: Cases,
    rows: I64,
    found: Verdict,
    delivered: Delivered,
    reason: Reason = Reason.NONE,
    proof: int = 0,
) -> None:
    """Write one judgement into several cases."""
    cases.verdict[rows], cases.delivered[rows] = int(found), int(delivered)
    cases.reason[rows], cases.proof[rows] = int(reason), proof


def _without_downstream(e: Exchanges, m: I64, o: I64, d: I64, hidden: Hidden) -> Cases:
    """Judgements as far as they need no downstream exchange."""
    found, proof, reason, delivered = (np.zeros(len(m), np.int64) for _ in range(4))
    cases = Cases(m, o, d, found, proof, reason, delivered, (d >= 0).astype(np.int64), np.full(len(m), NONE))
    cases.reason[:] = int(Reason.NO_DOWNSTREAM_LEG)
    cases.reason[o < 0] = int(Reason.ORIGINAL_NOT_CAPTURED)
    for mine, addresses in ((o >= 0, hidden.servers), (o < 0, hidden.clients)):
        if not addresses:
            continue
        for row in np.flatnonzero(mine).tolist():
            why = addresses.get((int(e.client_hi[m[row]]), int(e.client_lo[m[row]])))
            if why is not None:
                cases.reason[row] = int(why)
    silent = e.status[m] < 0
    _set(cases, np.flatnonzero(silent), Verdict.UNANSWERED, Delivered.UNKNOWN)
    _set(cases, np.flatnonzero(silent & (e.lossy[m] & 1 != 0)), Verdict.UNPROVEN, Delivered.UNKNOWN, Reason.GAP)
    return cases
