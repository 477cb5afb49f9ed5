"""Streams -> messages: the way into http. See `Parser`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inspector.http import layout as col
from inspector.http.arrays import HASHES, SIGNED, grown, packed, wider
from inspector.http.connections import read_block
from inspector.http.decoding import Decoders, Outcome
from inspector.http.layout import Http
from inspector.http.line_cache import KNOWN, KNOWN_WIDTH, KNOWN_WORDS
from inspector.http.names import build
from inspector.http.tables import FIELDS, Messages, Protocols
from inspector.http.texts import copy_texts, lay_texts
from inspector.http.xxh64 import TAIL
from inspector.ragged import Ragged, gather
from inspector.table import I32, I64, Bool, dtypes, first_of_each
from inspector.tcp.tables import UNKNOWN, StreamBlock

Synced = Callable[[I32], Bool] | Bool
PORTION = 1 << 15  # messages, and bytes of their text, that are handed over at once
PORTION_TEXT = 8 << 20
FAR = 1 << 62


@dataclass(frozen=True)
class Options:
    """Limits. What they cut is reported by a fact of the message (HEAD_TOO_LONG) or by its request in `Read.unanswered`."""

    head_limit: int = 65536  # bytes of a head (start line and header lines), and of a trailer section
    header_lines: int = 1000
    field_limit: int = 8192  # bytes kept of a text field
    target_limit: int = 32768  # bytes kept of a request target
    pending: int = 1024  # requests of a connection that wait for a response
    pending_total: int = 1 << 15  # of all connections; beyond, each keeps its latest one
    wait_limit: int = 65536  # bytes of a stream that wait for the other direction
    chunk_line_limit: int = 16384
    hello_limit: int = 16384  # bytes in which a ClientHello must end to give its server name


@dataclass(frozen=True)
class Read:
    """What one block gave.

    messages: those that ended, in the order in which they began. protocols: what streams were found to be.
    consumed: of each stream of the block that is still open, the offset up to which its bytes are not needed any more.
    open_starts: of the same streams, the offset of the oldest message that is still open, else the consumed offset.
    unanswered: ids of requests that will get no response any more; their own messages may come later. overtaken: beside them, the
    id of a later request that was sent when all responses before its own had arrived, and was answered; -1 where there is none.
    last: nothing more comes of the block; the offsets are there.
    """

    messages: Messages
    protocols: Protocols
    consumed_slots: I32
    consumed: I64
    open_slots: I32
    open_starts: I64
    unanswered: I64
    overtaken: I64
    last: bool = True


class Parser:
    """HTTP/1 messages of all streams of a capture, block by block (RFC 9112, RFC 9110).

    State is kept by stream slot; what it holds is bounded by what is open. Message ids run up from 0.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = o = options or Options()
        self._names, self._table = build()
        self._known = np.zeros((KNOWN, KNOWN_WIDTH), np.int64)
        self._known_words = np.zeros((KNOWN, KNOWN_WORDS + 1), np.uint64)
        self._limits = np.array(
            [
                o.head_limit,
                o.header_lines,
                o.field_limit,
                o.target_limit,
                o.pending,
                o.wait_limit,
                o.chunk_line_limit,
                o.hello_limit,
                o.pending_total,
            ],
            np.int64,
        )
        self._none = Protocols.empty()
        self._counters = np.zeros(col.COUNTER_WIDTH, np.int64)
        self._counters[col.C_FREE] = col.NONE
        self._state = np.zeros((0, col.STREAM_WIDTH), np.int64)
        self._lanes = np.zeros((0, 4), np.uint64)
        self._tails = np.zeros(0, np.uint8)
        self._conns = np.zeros((0, col.CONNECTION_WIDTH), np.int64)
        self._pool = np.zeros((64, col.NODE_WIDTH), np.int64)
        self._rows = np.zeros((col.ROW_WIDTH, 64), np.int64)
        self._hashes = np.zeros((col.HASH_WIDTH, 64), np.uint64)
        self._lines = np.zeros(1 << 12, np.uint64)
        self._coded = np.zeros(0, np.uint8)
        self._decoders = Decoders()
        self._text = np.zeros(1 << 18, np.uint8)
        self._news = np.zeros((64, col.NEWS_WIDTH), np.int64)
        self._unanswered = np.zeros(4 * o.pending + 64, np.int64)
        self._overtaken = np.zeros_like(self._unanswered)
        self._line = np.zeros(max(o.head_limit, 65536) + 64, np.uint8)
        self._cell = np.zeros(1, np.uint64)

    @property
    def unconfirmed(self) -> int:
        """Packets behind a gap that begin like a message and were left out: nothing shows that one begins there."""
        return int(self._counters[col.C_UNCONFIRMED])

    @property
    def overtaken(self) -> int:
        """Requests that were given up because too many waited for a response."""
        return int(self._counters[col.C_OVERTAKEN])

    @property
    def alone(self) -> int:
        """Messages behind gaps that were taken up unconfirmed, since only one direction was captured."""
        return int(self._counters[col.C_ALONE])

    def feed(self, block: StreamBlock, synced: Synced) -> Read:
        """Read one block of streams.

        synced: whether a slot's stream was captured from its SYN on: by slot, or a function of the slots.
        """
        (read,) = self.portions(block, synced, FAR, FAR)
        return read

    def portions(
        self, block: StreamBlock, synced: Synced, rows: int = PORTION, text: int = PORTION_TEXT
    ) -> Iterator[Read]:
        """`feed` in parts of about so many messages, or bytes of their text, at most: a block of small requests makes
        many. All but the last give messages and what was found of streams and requests, and no offsets."""
        slots, active = self._activate(block, synced)
        r, c = block.runs, block.chunks
        runs = packed(r.offset, r.at, r.length, r.reason, r.gap)
        chunks = packed(c.offset, c.peer, c.turn)
        data, line = np.ascontiguousarray(block.arena), self._line
        if len(self._coded) < len(data):
            self._coded = np.empty(len(data), np.uint8)  # pages are taken as they are touched
        done = 0
        while True:
            done = read_block(self._streams(active, runs, chunks), done, data, line)
            if done >= len(active):
                break
            if self._counters[col.C_ROWS] >= rows or self._counters[col.C_TEXT] >= text:
                yield self._part()
            self._make_room()
        yield self._hand_over(slots)

    def _streams(self, active: I64, runs: I64, chunks: I64) -> Http:
        """What the inner loops work on."""
        return Http(
            active,
            runs,
            chunks,
            self._names,
            self._table,
            self._known,
            self._known_words,
            self._state,
            self._conns,
            self._pool,
            self._rows,
            self._hashes,
            self._lines,
            self._coded,
            self._text,
            self._lanes,
            self._tails,
            self._news,
            self._unanswered,
            self._overtaken,
            self._counters,
            self._limits,
            self._cell,
        )

    def _activate(self, block: StreamBlock, synced: Synced) -> tuple[I64, I64]:
        """The slots of the block's connections, and a row for each connection; new streams get a fresh state."""
        runs, chunks, ends = block.runs, block.chunks, block.ends
        conns = np.sort(np.concatenate([runs.slot, ends.slot]), kind="stable").astype(np.int64) >> 1
        conns = conns[first_of_each(conns)]
        active = np.zeros((len(conns), col.ACTIVE_WIDTH), np.int64)
        active[:, col.A_SLOT] = conns
        slots = (2 * conns[:, None] + np.arange(2)).ravel()
        bounds = 2 * conns[:, None] + np.arange(3)
        active[:, col.A_RUNS : col.A_RUNS + 3] = np.searchsorted(runs.slot, bounds)
        active[:, col.A_CHUNKS : col.A_CHUNKS + 3] = np.searchsorted(chunks.slot, bounds)
        where = np.searchsorted(conns, ends.slot >> 1)
        active[where, col.A_HOW + (ends.slot & 1)] = ends.how
        active[where, col.A_END + (ends.slot & 1)] = ends.offset
        active[where, col.A_ALONE + (ends.slot & 1)] = ends.alone
        if len(conns):
            self._grow_slots(2 * int(conns[-1]) + 2)
        first = np.flatnonzero(first_of_each(runs.slot))
        some = runs.slot[first]  # ascending
        silent = np.ones(len(ends), bool)
        if len(some):
            silent = some[np.minimum(np.searchsorted(some, ends.slot), len(some) - 1)] != ends.slot
        self._renew(
            np.concatenate([runs.slot[first], ends.slot[silent]]).astype(np.int64),
            np.concatenate([runs.stream[first], ends.stream[silent]]),
            np.concatenate([runs.offset[first] - runs.gap[first], ends.offset[silent]]),
            synced,
        )
        return slots, active

    def _grow_slots(self, slots: int) -> None:
        old = len(self._state)
        if slots <= old:
            return
        self._state = grown(self._state, slots + 2 & ~1)
        self._lanes = grown(self._lanes, len(self._state))
        self._tails = grown(self._tails, TAIL * len(self._state))
        self._conns = grown(self._conns, len(self._state) >> 1)
        self._blank(np.arange(old, len(self._state)))
        self._blank_connections(np.arange(old >> 1, len(self._conns)))

    def _blank(self, slots: I64) -> None:
        self._state[slots] = 0
        self._state[slots, col.STREAM] = col.NONE
        self._state[slots, col.ROW] = col.NONE
        self._state[slots, col.PEERS :] = UNKNOWN

    def _blank_connections(self, conns: I64) -> None:
        self._conns[conns] = 0
        self._conns[conns, col.LOST_AT] = UNKNOWN
        self._conns[conns, col.EARLY] = UNKNOWN
        self._conns[conns, col.FRONT] = col.NONE
        self._conns[conns, col.BACK] = col.NONE
        self._conns[conns, col.LAST_PEER] = UNKNOWN

    def _renew(self, slots: I64, streams: I64, starts: I64, synced: Synced) -> None:
        """Streams that are new in their slots start afresh. A slot is blank before: both ends of a connection blank it."""
        new = self._state[slots, col.STREAM] != streams
        if not new.any():
            return
        slots, streams, starts = slots[new], streams[new], starts[new]
        known = np.asarray(synced(slots.astype(np.int32)) if callable(synced) else synced[slots], bool)
        self._blank(slots)
        state = self._state
        state[slots, col.STREAM] = streams
        state[slots, col.POS] = starts
        state[slots, col.FIRST_OFFSET] = starts
        state[slots, col.SEEN] = starts
        state[slots, col.SYNCED] = known
        state[slots, col.NEXT_FACTS] = np.where(known, 0, col.MIDSTREAM)
        self._conns[slots[~known] >> 1, col.LOST] = 1

    def _make_room(self) -> None:
        counters = self._counters
        rows = 2 * int(counters[col.C_ROWS]) + 64
        self._rows = wider(self._rows, rows)
        self._hashes = wider(self._hashes, rows)
        self._text = grown(self._text, int(2 * counters[col.C_TEXT]) + (1 << 18))
        self._lines = grown(self._lines, int(2 * counters[col.C_LINES]) + (1 << 12))
        self._pool = grown(self._pool, int(2 * counters[col.C_NODES]) + 64)
        self._news = grown(self._news, int(2 * counters[col.C_NEWS]) + 64)
        self._unanswered = grown(self._unanswered, int(2 * counters[col.C_UNANSWERED]) + 4 * self.options.pending + 64)
        self._overtaken = grown(self._overtaken, len(self._unanswered))

    def _hand_over(self, slots: I64) -> Read:
        """The last part of a block."""
        state = self._state
        part = self._part()
        pairs = slots.reshape(-1, 2)
        over = (state[pairs, col.ENDED] != 0).all(axis=1)
        still = slots[(state[slots, col.STREAM] != col.NONE) & (state[slots, col.ENDED] == 0)]
        stopped = state[still, col.MODE] == col.STOPPED
        state[still[stopped], col.POS] = np.maximum(state[still[stopped], col.POS], state[still[stopped], col.SEEN])
        consumed = state[still, col.POS].copy()
        rows = state[still, col.ROW]
        open_starts = np.where(rows >= 0, self._rows[col.R_START, np.maximum(rows, 0)], consumed)
        self._blank(pairs[over].ravel())
        self._blank_connections(pairs[over, 0] >> 1)
        open_slots = still.astype(np.int32)
        return replace(
            part,
            last=True,
            consumed_slots=open_slots,
            consumed=consumed,
            open_slots=open_slots,
            open_starts=open_starts,
        )

    def _part(self) -> Read:
        """The ended messages leave the working arrays, the open ones move to their front."""
        counters = self._counters
        protocols = self._protocols()
        count = int(counters[col.C_ROWS])
        done = self._rows[col.R_DONE, :count]
        decoded = self._decode(count)
        messages = self._messages(np.flatnonzero(done == 1), decoded)
        self._keep(np.flatnonzero(done == 0))
        given_up = slice(int(counters[col.C_UNANSWERED]))
        unanswered, overtaken = self._unanswered[given_up].copy(), self._overtaken[given_up].copy()
        counters[col.C_NEWS] = 0
        counters[col.C_UNANSWERED] = 0
        none, nowhere = np.empty(0, np.int32), np.empty(0, np.int64)
        return Read(messages, protocols, none, nowhere, none, nowhere, unanswered, overtaken, last=False)

    def _protocols(self) -> Protocols:
        if not self._counters[col.C_NEWS]:
            return self._none
        news = self._news[: self._counters[col.C_NEWS]]
        names = gather(self._text, news[:, 3].copy(), news[:, 4].copy())
        return Protocols.build(slot=news[:, 0], stream=news[:, 1], protocol=news[:, 2], before=news[:, 5], sni=names)

    def _decode(self, count: int) -> dict[int, Outcome]:
        """Undo the codings of what this block brought of coded bodies: of each that has ended, by row, what it says."""
        out: dict[int, Outcome] = {}
        decoders, rows = self._decoders, self._rows
        for row in np.flatnonzero(rows[col.R_CODINGS, :count]).tolist():
            facts, done, codings = (int(rows[k, row]) for k in (col.R_FACTS, col.R_DONE, col.R_CODINGS))
            message, at, size = (int(rows[k, row]) for k in (col.R_ID, col.R_CODED_AT, col.R_CODED))
            if codings < 0 or facts & col.BODY_GAP or (done and not facts & col.COMPLETE):
                decoders.forget(message)
            elif size:
                decoders.feed(message, codings, self._coded[at : at + size].tobytes(), done != 0)
            rows[col.R_CODED, row] = 0
            if done:
                out[row] = decoders.end(message)
        decoders.make_room()
        self._counters[col.C_CODED] = 0
        return out

    def _messages(self, index: I64, decoded: dict[int, Outcome]) -> Messages:
        n = len(index)
        if n == 0:
            return Messages.empty()
        which: Any = slice(int(index[0]), int(index[0]) + n) if index[-1] - index[0] + 1 == n else index
        kinds = dtypes(Messages)
        columns: dict[str, Any] = {n: self._rows[k, which].astype(kinds[n]) for n, k in SIGNED.items()}
        columns |= {n: self._hashes[k, which].copy() for n, k in HASHES.items()}
        columns["decoded"], columns["decoded_bytes"] = columns["body_hash"], columns["body_bytes"]
        if decoded:
            self._tell_decoded(columns, index, decoded)
        ends = np.empty((len(FIELDS), n), np.int32)
        offsets = np.zeros(n + 1, np.int64)
        lay_texts(self._rows, index, ends, offsets)
        text = np.empty(offsets[-1], np.uint8)
        copy_texts(self._rows, index, self._text, self._lines, offsets, text)
        columns |= {name + "_end": ends[k] for k, name in enumerate(FIELDS)}
        return Messages(**columns, text=Ragged(text, offsets))

    @staticmethod
    def _tell_decoded(columns: dict[str, Any], index: I64, decoded: dict[int, Outcome]) -> None:
        """What coded bodies say takes the place of the bodies themselves; one of no bytes says nothing (HEAD, 304)."""
        facts, size = columns["facts"], columns["body_bytes"]
        for name in ("decoded", "decoded_bytes"):
            columns[name] = columns[name].copy()
        rows = np.array(list(decoded), np.int64)
        for at, row in zip(np.searchsorted(index, rows).tolist(), decoded, strict=True):
            if at < len(index) and index[at] == row and not (size[at] == 0 and facts[at] & col.COMPLETE):
                columns["decoded"][at], columns["decoded_bytes"][at] = decoded[row]

    def _keep(self, index: I64) -> None:
        """Only the rows at `index` and their text stay."""
        n = len(index)
        rows = self._rows[:, index]
        lengths = rows[col.R_LENGTH : col.R_LENGTH + len(FIELDS)]
        starts = rows[col.R_AT : col.R_AT + len(FIELDS)]
        kept = gather(self._text, starts.ravel(), lengths.ravel())
        moved = kept.offsets[:-1].reshape(starts.shape)
        rows[col.R_AT : col.R_AT + len(FIELDS)] = np.where(starts == col.NONE, col.NONE, moved)
        self._text[: len(kept.values)] = kept.values
        lines = gather(self._lines, rows[col.R_LINES_AT], rows[col.R_LINES])
        rows[col.R_LINES_AT] = lines.offsets[:-1]
        self._lines[: len(lines.values)] = lines.values
        self._counters[col.C_LINES] = len(lines.values)
        self._rows[:, :n] = rows
        self._hashes[:, :n] = self._hashes[:, index]
        self._state[rows[col.R_SLOT], col.ROW] = np.arange(n)
        self._counters[col.C_ROWS] = n
        self._counters[col.C_TEXT] = len(kept.values)
