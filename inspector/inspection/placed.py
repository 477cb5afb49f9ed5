"""Where and when messages were."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.ragged import Ragged
from inspector.table import I16, I64, U16, U64, Bool, Table

# Columns that an exchange has from its first message.
PLACE_COLUMNS = (
    "connection", "client_hi", "client_lo", "client_port", "server_hi", "server_lo", "server_port", "wire_hi",
    "wire_lo", "synced",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Placed(Table):
    """Where and when a message was, beside Messages."""

    connection: I64
    capture: I16
    first_time: I64
    last_time: I64
    client_hi: U64
    client_lo: U64
    client_port: U16
    server_hi: U64
    server_lo: U64
    server_port: U16
    wire_hi: U64
    wire_lo: U64
    synced: Bool
    mate: I64  # the other direction's stream number
    packets: Ragged
