"""Times as RFC 3339 text in JSON, many at once."""

from __future__ import annotations

import numpy as np

from inspector.render.text import rfc3339
from inspector.table import I64
from inspector.views.columns import ABSENT

SECOND = 1_000_000_000
LENGTH = len('"2026-11-21T03:09:26.429573000Z"')


def rfc3339_json(times: I64) -> list[str]:
    """(n,) nanoseconds since the epoch as `rfc3339` writes them, between quotes; null for ABSENT."""
    if not len(times):
        return []
    there = times != ABSENT
    seconds, nanos = np.divmod(np.where(there, times, 0), SECOND)
    distinct, which = np.unique(seconds, return_inverse=True)
    prefixes = "".join([f'"{rfc3339(second * SECOND)}"' for second in distinct.tolist()]).encode()
    letters = np.frombuffer(prefixes, np.uint8).reshape(len(distinct), LENGTH).take(which, axis=0)
    rest = nanos.astype(np.uint32)
    for column in range(LENGTH - 3, LENGTH - 12, -1):
        rest, digit = np.divmod(rest, np.uint32(10))
        letters[:, column] = digit + ord("0")
    joined = letters.tobytes().decode("ascii")
    out = [joined[i : i + LENGTH] for i in range(0, len(joined), LENGTH)]
    for i in np.flatnonzero(~there).tolist():
        out[i] = "null"
    return out
