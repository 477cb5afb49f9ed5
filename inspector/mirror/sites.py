"""Proxies with several addresses: upstream requests that leave from another address than the one that clients dial."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inspector.mirror.downstream import Served
from inspector.mirror.enclosing import enclosing
from inspector.mirror.groups import member, numbered
from inspector.mirror.lines import Lines
from inspector.mirror.signs import Signs, blend
from inspector.table import I64, Bool

ENOUGH = 3  # requests that must lie inside downstream ones where no request id ties them
MOSTLY = 0.9  # the part of a sender's requests that must
MANY = 256  # senders looked at


def joined(lines: Lines, s: Signs, upstream: Bool, window: int) -> Signs:
    """The signs, with the number of a proxy's listening address for senders that are shown to be that proxy.

    A sender that nobody is seen to ask, whose requests lie inside downstream requests of one address that itself sends nothing,
    is that address's own: containers that share localhost, gateways in two networks, IPv6 in and IPv4 out, SNAT.
    """
    rows = np.flatnonzero(upstream)
    senders = s.sender[rows]
    senders = senders[numbered(senders)[1]]
    asked = [column[member(column, senders)] for column in (s.serves, s.serves_wire, s.serves_self)]
    silent = senders[~member(senders, np.concatenate(asked))]
    if not len(silent):
        return s
    quiet = rows[member(s.sender[rows], silent)]
    deaf = np.flatnonzero((lines.asked >= 0) & ~member(s.serves, senders))
    if not len(quiet) or not len(deaf):
        return s
    best = _homes(lines, s, quiet, deaf, window)
    if not best:
        return s
    sender = s.sender.copy()
    for found, home in best.items():
        sender[s.sender == found] = home
    return replace(s, sender=sender)


def _homes(lines: Lines, s: Signs, quiet: I64, deaf: I64, window: int) -> dict[int, int]:
    """The listening address of each sender among the rows `quiet` that has one among the rows `deaf`, by their numbers."""
    everywhere = np.zeros(len(deaf), np.int64)
    nobody = replace(s, sender=np.zeros(len(lines.asked), np.int64))
    served = Served(deaf, everywhere)
    within = enclosing(lines, nobody, served, quiet, (lines.method, lines.target), window, False, True)
    d = np.maximum(within.downstream[quiet], 0)
    inside = (within.downstream[quiet] >= 0) & (s.sender[d] != s.sender[quiet]) & (s.sender[d] != s.serves[quiet])
    inside &= (s.serves[d] != s.serves[quiet]) & ((lines.over[d] < 0) | (lines.over[d] >= lines.asked[quiet]))
    tied = inside & (lines.request_id[quiet] != 0) & (lines.request_id[quiet] == lines.request_id[d])
    inside &= tied | ~member(s.serves[quiet], s.sender[quiet])  # who is asked by a proxy beside it is no server of it
    numbers, firsts = numbered(blend(s.sender[quiet]))
    all_of, hits, sure = (np.bincount(numbers, w, len(firsts)) for w in (None, inside, tied))
    likely = np.flatnonzero((hits >= MOSTLY * all_of) & ((hits >= ENOUGH) | (sure > 0)))
    homes: dict[int, int] = {}
    for k in likely[:MANY].tolist():
        values, counts = np.unique(s.serves[d[(numbers == k) & inside]], return_counts=True)
        if counts.max() >= MOSTLY * all_of[k]:
            homes[int(s.sender[quiet[firsts[k]]])] = int(values[counts.argmax()])
    return homes
