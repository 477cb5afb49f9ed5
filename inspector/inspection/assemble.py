"""Joins messages to exchanges and gives them packets, times and addresses: where tcp and http meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspector.http.tables import Messages
from inspector.mirror.tables import NONE, Exchanges
from inspector.ragged import Ragged, gather
from inspector.table import I16, I64, U8, U16, U64, Bool, Table
from inspector.tcp import Tracker
from inspector.tcp.tables import UNKNOWN

ACK_WAIT = 1_000_000_000  # ns: a response's acknowledgement is waited for no longer


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


class Assembler:
    """Collects messages block by block and hands over the exchanges that have ended."""

    def __init__(self) -> None:
        self._messages: list[Messages] = []
        self._placed: list[Placed] = []
        self._unanswered: list[I64] = []
        self.messages = 0  # added since they were last taken
        self._ended: list[I64] = []
        self._lossy = np.empty(0, np.int64)

    def add(self, messages: Messages, placed: Placed) -> None:
        """Take messages that have ended, with their places."""
        if len(messages):
            self._messages.append(messages)
            self._placed.append(placed)
            self.messages += len(messages)

    def unanswered(self, requests: I64) -> None:
        """Requests (message ids) that will get no response any more."""
        if len(requests):
            self._unanswered.append(requests)

    def lost(self, streams: I64) -> None:
        """Streams with bytes that no packet had."""
        if len(streams):
            self._lossy = np.union1d(self._lossy, streams)

    def ended(self, streams: I64, acknowledged: I64) -> None:
        """How far streams that have ended were acknowledged."""
        if len(streams):
            self._ended.append(np.stack([streams, acknowledged]))

    def take(self, final: bool, clock: int, tracker: Tracker) -> tuple[Exchanges, Exchanges]:
        """(ended, pending): exchanges that have ended since the last call, and those that still wait for a response or for
        its acknowledgement (they stay here). clock: capture time, ns."""
        messages, placed = Messages.concat(self._messages), Placed.concat(self._placed)
        self.messages = 0
        gone = np.concatenate(self._unanswered) if self._unanswered else np.empty(0, np.int64)
        asks = messages.kind == 1
        acked, open_streams = self._acked(messages, tracker)
        answered = np.isin(messages.id, messages.request[~asks])
        waits = asks & ~answered & ~np.isin(messages.id, gone)
        late = ~asks & ~acked & open_streams & (placed.last_time > clock - ACK_WAIT)
        waits |= late | (asks & np.isin(messages.id, messages.request[late]))
        if final:
            waits[:] = False
        lossy = np.isin(np.where(asks, placed.mate, messages.stream), self._lossy)
        ended = join(messages.take(~waits), placed.take(~waits), lossy[~waits], acked[~waits])
        pending = join(messages.take(waits), placed.take(waits), lossy[waits], acked[waits])
        self._messages, self._placed = [messages.take(waits)], [placed.take(waits)]
        # A request can be given up before its own end is seen: keep the news for its row.
        self._unanswered = [np.setdiff1d(gone, messages.id)] if len(gone) else []
        if self._ended:
            ends = np.concatenate(self._ended, axis=1)
            self._ended = [ends[:, np.isin(ends[0], messages.stream[waits])]]
        return ended, pending

    def _acked(self, messages: Messages, tracker: Tracker) -> tuple[Bool, Bool]:
        """Which messages the other side acknowledged to their end, and which belong to streams that are still open."""
        if not len(messages):
            return np.zeros(0, bool), np.zeros(0, bool)
        still = tracker.streams(messages.slot).stream == messages.stream
        offset = np.where(still, tracker.acknowledged(messages.slot), UNKNOWN)
        if self._ended:
            ends = np.concatenate(self._ended, axis=1)
            ends = ends[:, np.argsort(ends[0], kind="stable")]
            at = np.minimum(np.searchsorted(ends[0], messages.stream), ends.shape[1] - 1)
            found = (ends[0][at] == messages.stream) if ends.shape[1] else np.zeros(len(messages), bool)
            still &= ~found
            offset = np.where(found, ends[1][at], offset) if ends.shape[1] else offset
        return offset >= messages.end, still


REQUEST_COLUMNS = (
    "method", "target", "host", "request_id", "xff", "trace", "span", "parent", "headers", "method_end", "target_end",
    "host_end", "request_id_end", "xff_end", "content_type_end", "attempt",
)  # fmt: skip
PLACE_COLUMNS = (
    "connection", "client_hi", "client_lo", "client_port", "server_hi", "server_lo", "server_port", "wire_hi",
    "wire_lo", "synced",
)  # fmt: skip


def join(messages: Messages, placed: Placed, lossy: Bool, acked: Bool) -> Exchanges:
    """One row a request with its response or alone, one a response alone; sorted by the first packet's time.

    lossy, acked: (n,) beside the messages. An exchange has its first message's id.
    """
    requests = np.flatnonzero(messages.kind == 1)
    responses = np.flatnonzero(messages.kind == 2)
    requests = requests[np.argsort(messages.id[requests], kind="stable")]
    ids = messages.id[requests]
    at = np.minimum(np.searchsorted(ids, messages.request[responses]), max(len(ids) - 1, 0))
    fits = (messages.request[responses] >= 0) & (len(ids) > 0)
    if len(ids):
        fits &= ids[at] == messages.request[responses]
    answer = np.full(len(requests), NONE)
    answer[at[fits]] = responses[fits]
    orphans = responses[~fits]
    request = np.concatenate([requests, np.full(len(orphans), NONE)])
    response = np.concatenate([answer, orphans])
    first = np.where(request >= 0, request, response)
    order = np.lexsort((messages.id[first], placed.first_time[first]))
    request, response, first = request[order], response[order], first[order]
    asked, answered = request >= 0, response >= 0
    q, a = np.where(asked, request, 0), np.where(answered, response, 0)
    columns = {name: getattr(placed, name)[first] for name in PLACE_COLUMNS}
    for name in REQUEST_COLUMNS:
        column = getattr(messages, name)
        columns[name] = np.where(asked, column[q], np.array(-1 if name == "attempt" else 0, column.dtype))
    capture = placed.capture[first]
    return Exchanges.build(
        id=messages.id[first],
        capture=capture,
        lossy=lossy[first],
        version=messages.version[first],
        request_time=np.where(asked, placed.first_time[q], NONE),
        request_end_time=np.where(asked, placed.last_time[q], NONE),
        response_time=np.where(answered, placed.first_time[a], NONE),
        response_end_time=np.where(answered, placed.last_time[a], NONE),
        request_facts=np.where(asked, messages.facts[q], np.uint32(0)),
        response_facts=np.where(answered, messages.facts[a], np.uint32(0)),
        request_marks=np.where(asked, messages.marks[q], np.uint32(0)),
        response_marks=np.where(answered, messages.marks[a], np.uint32(0)),
        status=np.where(answered, messages.status[a], NONE),
        request_bytes=np.where(asked, messages.body_bytes[q], 0),
        response_bytes=np.where(answered, messages.body_bytes[a], 0),
        request_hash=np.where(asked, messages.body_hash[q], np.uint64(0)),
        response_hash=np.where(answered, messages.body_hash[a], np.uint64(0)),
        request_gap=np.where(asked, messages.gap_bytes[q], 0),
        response_gap=np.where(answered, messages.gap_bytes[a], 0),
        acknowledged=answered & acked[a],
        text=blank(messages.text, q, asked),
        request_packets=blank(placed.packets, q, asked),
        response_packets=blank(placed.packets, a, answered),
        **columns,
    )


def blank(runs: Ragged, index: I64, keep: Bool) -> Ragged:
    """`runs.take(index)` with the runs that are not kept empty."""
    return gather(runs.values, runs.offsets[:-1][index], np.where(keep, runs.lengths[index], 0))


PROTOCOL_NAMES = {1: "http/1", 2: "h2", 3: "tls", 4: "tunnel", 5: "other"}


def protocol_counts(protocols: U8) -> dict[str, int]:
    """Streams by protocol."""
    values, counts = np.unique(protocols, return_counts=True)
    return {PROTOCOL_NAMES[int(v)]: int(c) for v, c in zip(values, counts, strict=True) if int(v) in PROTOCOL_NAMES}
