"""What several inner loops of this room work on, as one argument. A row is an exchange's place in the table of exchanges."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspector.mirror.tables import NONE
from inspector.table import I64, U32


class Grouped(NamedTuple):
    """Some rows, and beside each the number of the group that it belongs to.

    row: (k,) int64. group: (k,) int64, 0, 1, 2, ..., -1 for a row that belongs to none.
    """

    row: I64
    group: I64


class Mates(NamedTuple):
    """Who belongs to whom as far as it is found: (n,) each, by row.

    original: int64, the original of a mirror. signs: uint32 Sign, what says so. downstream: int64, the downstream exchange of
    an upstream one. claimed: int64, the upstream exchange of a downstream one. fan: int64, 1 + the number of the server of an
    original's last copy, 0 without one. Rows are NONE where there is no such exchange.
    """

    original: I64
    signs: U32
    downstream: I64
    claimed: I64
    fan: I64

    @staticmethod
    def unknown(n: int) -> Mates:
        """Nothing is found of `n` exchanges."""
        return Mates(nobody(n), np.zeros(n, np.uint32), nobody(n), nobody(n), np.zeros(n, np.int64))


def nobody(n: int) -> I64:
    """(n,) int64 of NONE."""
    return np.full(n, NONE, np.int64)
