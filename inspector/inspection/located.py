"""Where and when messages were."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.ragged import Ragged
from inspector.table import I64, dtypes
from inspector.tcp.endpoints import Places


@dataclass(frozen=True, eq=False)
class Placed(Places):
    """Where and when a message was, beside Messages."""

    first_time: I64
    last_time: I64
    packets: Ragged


PLACE_COLUMNS = tuple(name for name in dtypes(Places) if name != "mate")  # that an exchange has from its first message
