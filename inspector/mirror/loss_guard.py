"""What lost packets leave open, whatever was paired: a proof stands on packets, never on a guess that filled a hole.

`mirror.lost_requests` places exchanges whose request was lost by order, or by the very equality of responses that a proof would
use. They are listed like that, but prove nothing by it: the true partner may be another, and have got another response.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.http.tables import Fact
from inspector.mirror.groups import member, numbered
from inspector.mirror.signs import Signs, blend
from inspector.mirror.tables import Exchanges, Lossy
from inspector.table import I64, Bool

NEAR = 1_000_000_000  # ns: a downstream is given its response no later than this after the mirror's came


def _has(e: Exchanges, flag: Lossy) -> Bool:
    return (e.lossy & np.uint8(flag)) != 0


def guessed(e: Exchanges, rows: I64) -> Bool:
    """Which of `rows` are responses whose request was lost (-1: none)."""
    return (rows >= 0) & (e.request_time[np.maximum(rows, 0)] < 0)


def overlooked(e: Exchanges, s: Signs, m: I64, anchor: I64, d: I64, sure: Bool) -> Bool:
    """Whether a downstream exchange whose request was lost could be the one of `anchor` as well as `d`: its proxy answered it
    while the anchor, or `d`, was open, or soon after copy `m` was sent, where `d` was over by then. Where a request id ties
    `d` to its upstream request (`sure`), none can.
    """
    out = np.zeros(len(anchor), bool)
    orphans = np.flatnonzero((e.request_time < 0) & (e.response_time >= 0))
    asks = np.flatnonzero((d >= 0) & ~sure)
    if not len(orphans) or not len(asks):
        return out
    begin = np.where(e.request_time[anchor] >= 0, e.request_time[anchor], e.response_time[anchor])[asks]
    end = np.maximum(e.response_end_time[anchor], e.response_end_time[np.maximum(d, 0)])[asks]
    sent = e.request_time[m[asks]]
    end = np.where(sent > end, sent + NEAR, end)
    sender = s.sender[anchor[asks]]
    times: NDArray[np.int64] = e.response_time[orphans]
    for serves in (s.serves, s.serves_wire, s.serves_self):
        address = serves[orphans]
        proxies = address[member(address, sender)]
        for proxy in proxies[numbered(proxies)[1]].tolist():
            answered = np.sort(times[address == proxy], kind="stable")
            mine = sender == proxy
            found = np.searchsorted(answered, end[mine], side="right") > np.searchsorted(answered, begin[mine])
            out[asks[mine]] |= found
    return out


@dataclass(frozen=True)
class Around:
    """What one proxy handed down and was answered: rows of `e`, and their times."""

    e: Exchanges
    given: I64
    answered: I64

    @staticmethod
    def of(e: Exchanges, s: Signs, proxy: int, copies: Bool) -> Around:
        """copies: by row, requests to servers that get the proxy's copies."""
        given = (s.serves == proxy) | (s.serves_wire == proxy) | (s.serves_self == proxy)
        answered = (s.sender == proxy) & ~copies & ~given  # in a pod, client and proxy have one address
        return Around(e, np.flatnonzero(given), np.flatnonzero(answered))

    def rules_out(self, m: I64, window: int) -> Bool:
        """Whether no response that was handed down around mirrors `m` (all answered alike) was theirs, whichever it was.

        Each response down is known in whole, is one that an original was given, and is not the mirrors'. There are as many as the
        originals got, and no bytes of any were lost: so the mirrors' downstream is among them.
        """
        e = self.e
        key = _answers(e)
        whole = _whole(e)
        mirror = m[0]
        differs = (e.status[self.given] != e.status[mirror]) | (whole[self.given] & (key[self.given] != key[mirror]))
        if not whole[mirror]:
            differs = e.status[self.given] != e.status[mirror]
        lossy = _has(e, Lossy.CUT)
        real = self.answered[whole[self.answered]]
        good = differs & whole[self.given] & member(key[self.given], key[real]) & ~lossy[self.given]
        bad = [self.given[~good], self.answered[lossy[self.answered] | (e.status[self.answered] < 0)]]
        begin, end = e.response_time[m] - window, e.response_time[m] + NEAR
        down, up, bad_at = (
            np.sort(np.where(e.response_time[rows] >= 0, e.response_time[rows], e.request_time[rows]), kind="stable")
            for rows in (self.given, self.answered, np.concatenate(bad))
        )
        seen, asked, spoilt = (
            np.searchsorted(at, end, side="right") - np.searchsorted(at, begin) for at in (down, up, bad_at)
        )
        return (seen > 0) & (seen >= asked) & (spoilt == 0)


def ruled_out(e: Exchanges, s: Signs, m: I64, copies: Bool, window: int) -> Bool:
    """Which mirrors `m` of unknown partners were handed to nobody: see `Around.rules_out`."""
    out = np.zeros(len(m), bool)
    if not len(m):
        return out
    groups, firsts = numbered(blend(s.sender[m], _answers(e)[m]))
    for group in range(len(firsts)):
        mine = np.flatnonzero(groups == group)
        around = Around.of(e, s, s.sender[m[mine[0]]], copies)
        out[mine] = around.rules_out(m[mine], window)
    return out


def _answers(e: Exchanges) -> I64:
    """A number for status and body of each response; equal for equal ones."""
    return blend(e.status, e.response_bytes, e.response_hash)


def _whole(e: Exchanges) -> Bool:
    """Which responses were seen in whole."""
    facts = e.response_facts
    return (e.status >= 0) & ((facts & np.uint32(Fact.COMPLETE)) != 0) & ((facts & np.uint32(Fact.BODY_GAP)) == 0)
