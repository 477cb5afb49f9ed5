"""When a stream was over, as far as its packets show it."""

from __future__ import annotations

import numpy as np

from inspector.table import I64
from inspector.tcp import layout as col
from inspector.tcp.tables import UNKNOWN, End, Ends


def overs(streams: I64, ends: Ends) -> tuple[I64, I64]:
    """When each stream of `ends` was over, and the offset from which on none of its bytes is missing. streams: (slots, columns).

    Over is what ended with its FIN, with its own RST where all bytes before that were seen, or with the other side's RST: who
    sent that takes no more. UNKNOWN where the packets do not show it.
    """
    slots = ends.slot.astype(np.int64)
    own, other = streams[slots], streams[slots ^ 1]
    reset = (own[:, col.S_RESET] != 0) & (own[:, col.S_RESET_AT] <= ends.offset)
    reset |= other[:, col.S_RESET] != 0
    over = (ends.how == End.FIN) | ((ends.how == End.RST) & reset)
    over &= own[:, col.S_ACKED] <= ends.offset + 1  # a FIN counts one
    whole = np.maximum(own[:, col.S_WHOLE], own[:, col.S_FIRST])
    return np.where(over, ends.time, UNKNOWN), whole
