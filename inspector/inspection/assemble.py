"""Joins messages to exchanges and gives them packets, times and addresses: where tcp and http meet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector.http.tables import Messages
from inspector.inspection.joining import Over, Pile, join, overtake
from inspector.inspection.located import Placed
from inspector.mirror.groups import member
from inspector.mirror.tables import NONE, Exchanges, Lossy
from inspector.table import I64, U8, Bool, first_of_each
from inspector.tcp.layout import FAR
from inspector.tcp.tables import UNKNOWN

KEPT = 1 << 17  # streams with loss that are remembered apart
ACK_WAIT = 1_000_000_000  # ns: a response's acknowledgement is waited for no longer


@dataclass
class News:
    """What reading gives, in the order in which it was found."""

    messages: list[Messages] = field(default_factory=list)  # that have ended
    placed: list[Placed] = field(default_factory=list)  # beside them
    unanswered: list[I64] = field(default_factory=list)  # (2, n), ids: requests without a response, what overtook them
    cut: list[I64] = field(
        default_factory=list
    )  # streams with bytes that no packet had, or that the snap length cut off
    lost: list[I64] = field(default_factory=list)  # of these, those with bytes that no packet had
    unended: list[I64] = field(default_factory=list)  # streams that were open when the capture ended
    ended: list[I64] = field(
        default_factory=list
    )  # (6, n): streams that have ended, how far they were acknowledged, from where on refused with a RST (FAR: not), then as
    # `Tracker.overs` has it, and where they end


@dataclass(frozen=True)
class Acks:
    """Streams that messages were found in and that are open: slot (ascending), number, and how far it was acknowledged
    (UNKNOWN: not at all). refused: from where on its receiver refused it with a RST, FAR where it did not; unsettled: that RST
    may still turn out to have had no effect."""

    slot: I64
    stream: I64
    offset: I64
    refused: I64
    unsettled: Bool


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
    """Collects messages step by step and passes on the exchanges that have ended."""

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
        pile = Pile(news.messages, news.placed)
        self.fresh = 0
        gone = np.concatenate([np.empty((2, 0), np.int64), *news.unanswered], axis=1)
        ends = np.concatenate([np.empty((6, 0), np.int64), *news.ended], axis=1)
        ends = ends[:, np.argsort(ends[0], kind="stable")]
        ended = pending = Exchanges.empty()
        self.held = 0
        if not len(pile):
            self._news = News(unanswered=[gone])
            return ended, pending
        asks, ids, asked, stream = (pile.column(name) for name in ("kind", "id", "request", "stream"))
        asks = asks == 1
        acked, open_streams, refused, unsettled = _acked(pile, ends, acks)
        answers = asked[~asks]
        waits = asks & ~member(ids, answers[answers >= 0])
        if gone.shape[1]:
            waits &= ~member(ids, gone[0])
        late = ~asks & ~acked & open_streams
        late &= (pile.column("last_time") > clock - self.ack_wait) | (unsettled & (refused > 0))
        waits |= late
        if late.any():
            waits |= asks & member(ids, asked[late & (asked >= 0)])
        if final:
            waits[:] = False
        answering = np.where(asks, pile.column("mate"), stream)
        lossy = self._lossy(answering)
        over = _over(pile, answering, ends)
        overtake(pile, over, gone)
        still, done = np.flatnonzero(waits), np.flatnonzero(~waits)
        ended = join(pile, lossy, acked, refused, over, done)
        messages, placed = pile.rows(still)
        pending = join(
            Pile([messages], [placed]),
            lossy[still] | np.uint8(Lossy.UNENDED),
            acked[still],
            np.zeros(len(still), np.int64),
            Over(over.time[still], over.silent[still]),
            np.arange(len(still)),
        )
        # A request can be given up before its own end is seen: keep the news for its row.
        gone = gone[:, ~member(gone[0], ids)]
        ends = ends[:, member(ends[0], np.append(messages.stream, placed.mate))] if ends.shape[1] else ends
        self.held = len(messages)
        self._news = News([messages], [placed], [gone], ended=[ends])
        return ended, pending

    def _lossy(self, streams: I64) -> U8:
        """What is known of the streams, (n,) uint8 Lossy."""
        starts, counts = _stretches(streams)
        some = streams[starts]
        found = self._cut.flags(some, Lossy.CUT) | self._lost.flags(some, Lossy.LOST)
        return np.repeat(found | self._unended.flags(some, Lossy.UNENDED), counts)


def _stretches(values: I64) -> tuple[I64, I64]:
    """Where stretches of equal values begin, and how long they are: messages of one stream mostly stand together."""
    starts = np.flatnonzero(first_of_each(values))
    return starts, np.diff(starts, append=len(values))


def _acked(pile: Pile, ends: I64, acks: Acks) -> tuple[Bool, Bool, I64, Bool]:
    """Of each message: was it acknowledged to its end, is its stream still open, how many of its bytes its receiver refused
    with a RST, and may that RST still turn out to have had no effect?"""
    starts, counts = _stretches(pile.column("stream"))
    slot, stream = pile.column("slot")[starts], pile.column("stream")[starts]
    at = np.minimum(np.searchsorted(acks.slot, slot), max(len(acks.slot) - 1, 0))
    still = acks.stream[at] == stream if len(acks.slot) else np.zeros(len(starts), bool)
    offset, refused = np.full(len(starts), UNKNOWN), np.full(len(starts), FAR)
    unsettled = np.zeros(len(starts), bool)
    if len(acks.slot):
        offset, refused = np.where(still, acks.offset[at], offset), np.where(still, acks.refused[at], refused)
        unsettled = still & acks.unsettled[at]
    if ends.shape[1]:
        at = np.minimum(np.searchsorted(ends[0], stream), ends.shape[1] - 1)
        found = ends[0][at] == stream
        still &= ~found
        offset, refused = np.where(found, ends[1][at], offset), np.where(found, ends[2][at], refused)
    start, end = pile.column("start"), pile.column("end")
    bytes_refused = np.zeros(len(start), np.int64)
    if (refused != FAR).any():
        bytes_refused = np.maximum(end - np.maximum(np.repeat(refused, counts), start), 0)
    return np.repeat(offset, counts) >= end, np.repeat(still, counts), bytes_refused, np.repeat(unsettled, counts)


def _over(pile: Pile, streams: I64, ends: I64) -> Over:
    """When no further byte of each message's exchange can come. streams: those that responses come on; ends: sorted by stream.

    A response to a request stands behind what its client had acknowledged by then, and its rest behind its own end: where no byte
    from there on is missing, the end of the stream is the end of the exchange; else the end of both streams is.
    """
    over = Over(np.full(len(streams), NONE, np.int64), np.zeros(len(streams), bool))
    ends = ends[:, ends[3] != UNKNOWN]
    if not ends.shape[1]:
        return over
    at = np.minimum(np.searchsorted(ends[0], streams), ends.shape[1] - 1)
    rows = np.flatnonzero(ends[0][at] == streams)
    time, whole, end = ends[3:, at[rows]]
    asks = pile.column("kind")[rows] == 1
    seen = np.where(asks, pile.column("peer")[rows], pile.column("end")[rows])
    # Where bytes are missing, one sent once more may have come after the FIN: the other side's end shows that it has them.
    back = np.minimum(np.searchsorted(ends[0], streams[rows] ^ 1), ends.shape[1] - 1)
    both = np.where(ends[0][back] == streams[rows] ^ 1, np.maximum(time, ends[3][back]), NONE)
    over.time[rows] = np.where(whole <= seen, time, both)
    over.silent[rows] = asks & (whole <= seen) & (end <= seen)
    return over


PROTOCOL_NAMES = {1: "http/1", 2: "h2", 3: "tls", 4: "tunnel", 5: "other", 6: "proxy", 7: "websocket"}


def protocol_counts(protocols: U8) -> dict[str, int]:
    """Streams by protocol."""
    values, counts = np.unique(protocols, return_counts=True)
    return {PROTOCOL_NAMES[int(v)]: int(c) for v, c in zip(values, counts, strict=True) if int(v) in PROTOCOL_NAMES}
