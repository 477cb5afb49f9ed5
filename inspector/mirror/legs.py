"""Names the part that each exchange plays."""

from __future__ import annotations

import numpy as np

from inspector.mirror.signs import Signs
from inspector.mirror.tables import Exchanges, Leg
from inspector.table import I64, U8, Bool


def legs(e: Exchanges, s: Signs, original: I64, lone: Bool, retry: Bool, downstream: I64, claimed: I64) -> U8:
    """(n,) uint8 Leg by exchange row.

    A downstream exchange that is itself sent by a proxy keeps the stronger word: mirror, then attempt, then original.
    """
    leg = np.full(len(e), int(Leg.OTHER), np.uint8)
    leg[_cascades(e, s)] = Leg.CASCADE
    leg[claimed >= 0] = Leg.DOWNSTREAM
    leg[downstream >= 0] = Leg.ORIGINAL
    leg[original[original >= 0]] = Leg.ORIGINAL
    leg[retry] = Leg.ATTEMPT
    leg[s.loopback & (e.request_time >= 0)] = Leg.INBOUND
    leg[(original >= 0) | lone] = Leg.MIRROR
    return leg


def _cascades(e: Exchanges, s: Signs) -> I64:
    """Rows sent by the server of another exchange with the same request id (or trace) while that one was open."""
    parts = []
    for key in (e.request_id, e.trace):
        rows = np.flatnonzero((key != 0) & (e.request_time >= 0))
        if not len(rows):
            continue
        # Addresses share their numbers between `sender` and `serves`: join the callers to the called by (key, address).
        number: dict[tuple[int, int], list[int]] = {}
        for row in rows.tolist():
            number.setdefault((int(key[row]), int(s.serves[row])), []).append(row)
        hits = []
        for row in rows.tolist():
            for cause in number.get((int(key[row]), int(s.sender[row])), ())[:8]:
                end = e.response_end_time[cause]
                if (
                    cause != row
                    and e.request_time[cause] <= e.request_time[row]
                    and (end < 0 or e.request_time[row] <= end)
                ):
                    hits.append(row)
                    break
        parts.append(np.array(hits, np.int64))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
