"""Joins messages to exchanges and gives them packets, times and addresses: where tcp and http meet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.gather import take
from inspector.http.tables import Messages
from inspector.mirror.groups import in_time, member
from inspector.mirror.tables import NONE, Exchanges, Lossy
from inspector.ragged import Ragged, Runs
from inspector.table import I16, I64, U8, U16, U64, Bool, Table
from inspector.tcp.tables import UNKNOWN

KEPT = 1 << 17  # streams with loss that are remembered apart
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


@dataclass
class News:
    """What reading gives, in the order in which it was found."""

    messages: list[Messages] = field(default_factory=list)  # that have ended
    placed: list[Placed] = field(default_factory=list)  # beside them
    unanswered: list[I64] = field(default_factory=list)  # ids of requests that will get no response any more
    cut: list[I64] = field(
        default_factory=list
    )  # streams with bytes that no packet had, or that the snap length cut off
    lost: list[I64] = field(default_factory=list)  # of these, those with bytes that no packet had
    unended: list[I64] = field(default_factory=list)  # streams whose end was not captured
    ended: list[I64] = field(
        default_factory=list
    )  # (2, n): streams that have ended, and how far they were acknowledged


@dataclass(frozen=True)
class Acks:
    """Streams that messages were found in and that are open: slot (ascending), number, and how far it was acknowledged
    (UNKNOWN: not at all)."""

    slot: I64
    stream: I64
    offset: I64


class Noted:
    """Numbers of streams that something is known of. The newest KEPT are told apart; of all before it is taken for true."""

    def __init__(self) -> None:
        self.floor = -1
        self._sorted = np.empty(0, np.int64)
        self._new: list[I64] = []

    def add(self, numbers: list[I64]) -> None:
        """Note the streams."""
        self._new += [part for part in numbers if len(part)]

    def flags(self, streams: I64, flag: Lossy) -> U8:
        """(n,) uint8: `flag` where the stream was noted."""
        if self._new:
            self._sorted = np.unique(np.concatenate([self._sorted, *self._new]))
            self._new = []
            if len(self._sorted) > KEPT:
                self.floor = int(self._sorted[-KEPT // 2 - 1])
                self._sorted = self._sorted[-KEPT // 2 :]
        if not len(self._sorted):
            return np.zeros(len(streams), np.uint8)
        at = np.minimum(np.searchsorted(self._sorted, streams), len(self._sorted) - 1)
        return np.where((self._sorted[at] == streams) | (streams <= self.floor), np.uint8(flag), np.uint8(0))


class Assembler:
    """Collects messages step by step and hands over the exchanges that have ended."""

    def __init__(self, ack_wait: int = ACK_WAIT) -> None:
        """ack_wait: ns for which a response waits for its acknowledgement."""
        self.ack_wait = ack_wait
        self._news = News()
        self._cut, self._lost, self._unended = Noted(), Noted(), Noted()
        self.fresh = 0  # messages added since they were last taken
        self.held = 0  # messages that wait

    def add(self, news: News) -> None:
        """Take in what was read."""
        mine = self._news
        mine.messages += news.messages
        mine.placed += news.placed
        mine.unanswered += news.unanswered
        mine.ended += news.ended
        self.fresh += sum(map(len, news.messages))
        self._cut.add(news.cut)
        self._lost.add(news.lost)
        self._unended.add(news.unended)

    def take(self, final: bool, clock: int, acks: Acks) -> tuple[Exchanges, Exchanges]:
        """(ended, pending): exchanges that have ended since the last call, and those that still wait for a response or for
        its acknowledgement (they stay here). clock: capture time, ns."""
        news = self._news
        messages, placed = Messages.concat(news.messages), Placed.concat(news.placed)
        self.fresh = 0
        gone = np.concatenate([np.empty(0, np.int64), *news.unanswered])
        ends = np.concatenate([np.empty((2, 0), np.int64), *news.ended], axis=1)
        asks, ids = messages.kind == 1, messages.id
        acked, open_streams = _acked(messages, ends, acks)
        answers = messages.request[~asks]
        answered = member(messages.id, answers[answers >= 0])
        waits = asks & ~answered
        if len(gone):
            waits &= ~member(messages.id, gone)
        late = ~asks & ~acked & open_streams & (placed.last_time > clock - self.ack_wait)
        waits |= late
        if late.any():
            waits |= asks & member(messages.id, messages.request[late & (messages.request >= 0)])
        if final:
            waits[:] = False
        answering = np.where(asks, placed.mate, messages.stream)
        lossy = self._cut.flags(answering, Lossy.CUT) | self._lost.flags(answering, Lossy.LOST)
        lossy |= self._unended.flags(answering, Lossy.UNENDED)
        still, done = np.flatnonzero(waits), np.flatnonzero(~waits)
        ended = join(messages, placed, lossy, acked, done)
        messages, placed = messages.take(still), placed.take(still)
        pending = join(messages, placed, lossy[still] | np.uint8(Lossy.UNENDED), acked[still], np.arange(len(still)))
        # A request can be given up before its own end is seen: keep the news for its row.
        gone = gone[~member(gone, ids)]
        ends = ends[:, member(ends[0], messages.stream)] if ends.shape[1] else ends
        self.held = len(messages)
        self._news = News([messages], [placed], [gone], ended=[ends])
        return ended, pending


def _acked(messages: Messages, ends: I64, acks: Acks) -> tuple[Bool, Bool]:
    """Which messages the other side acknowledged to their end, and which belong to streams that are still open."""
    if not len(messages):
        return np.zeros(0, bool), np.zeros(0, bool)
    at = np.minimum(np.searchsorted(acks.slot, messages.slot), max(len(acks.slot) - 1, 0))
    still = acks.stream[at] == messages.stream if len(acks.slot) else np.zeros(len(messages), bool)
    offset = np.where(still, acks.offset[at], UNKNOWN) if len(acks.slot) else np.full(len(messages), UNKNOWN)
    if ends.shape[1]:
        ends = ends[:, np.argsort(ends[0], kind="stable")]
        at = np.minimum(np.searchsorted(ends[0], messages.stream), ends.shape[1] - 1)
        found = ends[0][at] == messages.stream
        still &= ~found
        offset = np.where(found, ends[1][at], offset)
    return offset >= messages.end, still


REQUEST_COLUMNS = (
    "method", "target", "host", "request_id", "xff", "trace", "span", "parent", "headers", "method_end", "target_end",
    "host_end", "request_id_end", "xff_end", "content_type_end", "attempt",
)  # fmt: skip
SIDE_COLUMNS = {"facts": "facts", "marks": "marks", "bytes": "body_bytes", "hash": "body_hash", "gap": "gap_bytes"}
PLACE_COLUMNS = (
    "connection", "client_hi", "client_lo", "client_port", "server_hi", "server_lo", "server_port", "wire_hi",
    "wire_lo", "synced",
)  # fmt: skip


def join(messages: Messages, placed: Placed, lossy: U8, acked: Bool, rows: I64) -> Exchanges:
    """One row a request with its response or alone, one a response alone; sorted by the first packet's time.

    lossy (Lossy), acked: (n,) beside the messages. rows: those to join. An exchange has its first message's id.
    """
    kind = messages.kind[rows]
    requests, responses = rows[kind == 1], rows[kind == 2]
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
    order = in_time(placed.first_time[first], messages.id[first])
    request, response, first = request[order], response[order], first[order]
    columns: dict[str, Any] = _taken({name: getattr(placed, name) for name in PLACE_COLUMNS}, first)
    columns |= _taken(
        {"id": messages.id, "version": messages.version, "capture": placed.capture, "lossy": lossy}, first
    )
    asks = {name: getattr(messages, name) for name in REQUEST_COLUMNS}
    columns |= _taken(asks | _side("request", messages, placed), request)
    answers = {"status": messages.status, "acknowledged": acked}
    columns |= _taken(answers | _side("response", messages, placed), response)
    columns["text"] = blank(messages.text, request)
    columns["request_packets"] = blank(placed.packets, request)
    columns["response_packets"] = blank(placed.packets, response)
    return Exchanges.build(**columns)


def _side(side: str, messages: Messages, placed: Placed) -> dict[str, NDArray[Any]]:
    """The columns that requests and responses both have."""
    columns = {f"{side}_{name}": getattr(messages, source) for name, source in SIDE_COLUMNS.items()}
    return columns | {f"{side}_time": placed.first_time, f"{side}_end_time": placed.last_time}


UNKNOWN_AS = {"attempt": NONE, "status": NONE, "request_time": NONE, "request_end_time": NONE}
UNKNOWN_AS |= {"response_time": NONE, "response_end_time": NONE}  # of all others 0


def _taken(columns: dict[str, NDArray[Any]], index: I64) -> dict[str, NDArray[Any]]:
    """The rows at `index` of each column; where it is negative nothing is known."""
    fills = [UNKNOWN_AS.get(name, 0) for name in columns]
    return dict(zip(columns, take([list(columns.values())], index, fills), strict=True))


def blank(runs: Ragged, index: I64) -> Runs:
    """The runs at `index`, empty ones where it is negative."""
    starts, lengths = take([[runs.offsets[:-1], runs.lengths]], index, [0, 0])
    return Runs(runs.values, starts, lengths)


PROTOCOL_NAMES = {1: "http/1", 2: "h2", 3: "tls", 4: "tunnel", 5: "other"}


def protocol_counts(protocols: U8) -> dict[str, int]:
    """Streams by protocol."""
    values, counts = np.unique(protocols, return_counts=True)
    return {PROTOCOL_NAMES[int(v)]: int(c) for v, c in zip(values, counts, strict=True) if int(v) in PROTOCOL_NAMES}
