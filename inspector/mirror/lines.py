"""Exchanges as the inner loops read them: one array a column, so that a rule reads `lines.status[d]`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inspector.http.tables import Fact, Mark
from inspector.mirror.groups import member
from inspector.mirror.signs import Signs
from inspector.mirror.tables import NONE, Exchanges, Lossy
from inspector.ragged import Spans
from inspector.table import I64, U64, Bool

SUFFIXED, XFF_OWN, INTERNAL = 1, 2, 4  # bits of `Lines.signs`
UNKNOWN = -1  # size of a body whose bytes are not all known
SLACK = 5_000_000  # ns by which packets of several interfaces may stand out of order


class Lines(NamedTuple):
    """Every exchange, by row: (n,) arrays. Texts are hashes, 0 where there is none; times are ns, -1 where there is none.

    Of the request: method, target, host, base_host (without the suffix), request_id, xff, xff_base (without its sender),
    trace, span, parent, headers: uint64. keeps_id: bool, its sender passes on the request ids of its clients. attempt:
    int64, -1 unknown. signs: int64, bits SUFFIXED, XFF_OWN, INTERNAL. server: int64, a number of the address and port
    asked. sender: int64, a number of who sent it, as captured. asked: int64, when (when answered, where the request was
    lost). sent, sent_hash: its body; sent is UNKNOWN where bytes are missing. sent_least: how many bytes it has at least.

    Of the response: status: int64, -1 without one. answered, closed: int64, its first and last byte seen. ended: closed,
    but -1 where the last packet seen need not be its last. over: int64, from when on no byte of a response can follow.
    until: int64, the same where clients do not pipeline. silent: bool, the connection is seen to have ended without a byte
    of a response. size, digest: its body once content codings are undone; size is UNKNOWN where it is not wholly known.
    least, total: int64, bytes of the uncoded body at least, and in all (-1 unknown). coded: bool. fields: uint64, an order-
    free hash of its end-to-end header lines. marks: int64 Mark. facts: int64 Fact. lossy: int64 Lossy. capture: int64.

    sent_in, begun_in, ended_in: int64, the packets of the request's first byte, and of the response's first and last (-1: none).
    """

    method: U64
    target: U64
    host: U64
    base_host: U64
    request_id: U64
    keeps_id: Bool
    xff: U64
    xff_base: U64
    trace: U64
    span: U64
    parent: U64
    headers: U64
    attempt: I64
    signs: I64
    server: I64
    sender: I64
    asked: I64
    sent: I64
    sent_least: I64
    sent_hash: U64
    status: I64
    answered: I64
    ended: I64
    closed: I64
    over: I64
    until: I64
    silent: Bool
    size: I64
    digest: U64
    least: I64
    total: I64
    coded: Bool
    fields: U64
    words: U64
    words_at: I64
    marks: I64
    facts: I64
    lossy: I64
    capture: I64
    sent_in: I64
    begun_in: I64
    ended_in: I64

    @staticmethod
    def of(e: Exchanges, s: Signs, server: I64) -> Lines:
        """Lay the columns out. server: (n,) int64, a number of each row's server."""
        facts, over = e.response_facts, _over(e)
        coded = (e.response_marks & np.uint32(Mark.CONTENT_ENCODING)) != 0
        whole = _known(facts) & (e.status >= 0) & (e.response_decoded_bytes >= 0)
        packed = e.response_lines.packed()
        words, at = packed.values.view(np.uint64), packed.offsets >> 3
        framed = ((facts & np.uint32(Fact.COMPLETE)) != 0) & ((facts & np.uint32(Fact.CHUNKED)) == 0) & ~coded
        asked = _known(e.request_facts)
        return Lines(
            method=e.method,
            target=e.target,
            host=e.host,
            base_host=s.base_host,
            request_id=e.request_id,
            keeps_id=np.zeros(len(e), bool),
            xff=e.xff,
            xff_base=s.xff_base,
            trace=e.trace,
            span=e.span,
            parent=e.parent,
            headers=e.headers,
            attempt=e.attempt.astype(np.int64),
            signs=s.suffixed * SUFFIXED + s.xff_own * XFF_OWN + s.internal * np.int64(INTERNAL),
            server=server,
            sender=s.sender,
            asked=np.where(e.request_time >= 0, e.request_time, e.response_time),
            sent=np.where(asked, e.request_bytes, UNKNOWN),
            sent_least=e.request_bytes,
            sent_hash=e.request_hash,
            status=e.status.astype(np.int64),
            answered=e.response_time,
            ended=np.where(_lost_end(e), NONE, e.response_end_time),
            closed=e.response_end_time,
            over=over,
            until=_until(e, over),
            silent=e.silent,
            size=np.where(whole, e.response_decoded_bytes, UNKNOWN),
            digest=e.response_decoded,
            least=e.response_bytes,
            total=np.where(framed, e.response_bytes + e.response_gap, UNKNOWN),
            coded=coded,
            fields=_sums(words, at),
            words=words,
            words_at=at,
            marks=e.response_marks.astype(np.int64),
            facts=facts.astype(np.int64),
            lossy=e.lossy.astype(np.int64),
            capture=e.capture.astype(np.int64),
            sent_in=_packet(e.request_packets, False),
            begun_in=_packet(e.response_packets, False),
            ended_in=_packet(e.response_packets, True),
        )


def begun_before(lines: Lines, x: I64, d: I64) -> Bool:
    """Where the responses of rows `x` began before those of rows `d` of the same capture.

    The order of packets decides, for a clock may have been set; less than `SLACK` apart times do: interfaces are
    written out of order by as much.
    """
    apart = lines.answered[d] - lines.answered[x]
    by_time = (apart != 0) & (np.abs(apart) <= SLACK)
    return np.where(by_time, apart > 0, lines.begun_in[x] < lines.begun_in[d])


def given_in_time(lines: Lines, x: I64, d: I64) -> Bool:
    """Where the responses of rows `x` can have been given to the requests of rows `d`: asked for after them, and there before
    their answers began. Times of two captures are not compared. `explain.fits` is the same for one pair."""
    in_time = (lines.asked[x] >= lines.asked[d] - SLACK) & begun_before(lines, x, d)
    return np.where(lines.capture[d] == lines.capture[x], in_time, True)


def over_before(lines: Lines, a: I64, b: I64) -> Bool:
    """Where the responses of rows `a` had ended before the requests of rows `b` were sent, by their times, or in one capture by
    the order of packets (its clock may have been set)."""
    after = lines.closed[a] - lines.asked[b]
    by_packets = (lines.capture[a] == lines.capture[b]) & (lines.ended_in[a] < lines.sent_in[b]) & (after > SLACK)
    return (lines.closed[a] >= 0) & (by_packets | (after <= 0))


def _known(facts: np.ndarray) -> Bool:
    """Which messages have a body of which every byte was seen."""
    return ((facts & np.uint32(Fact.COMPLETE)) != 0) & ((facts & np.uint32(Fact.BODY_GAP)) == 0)


def _lost_end(e: Exchanges) -> Bool:
    """Which responses lost bytes: the last packet seen need not be their last.

    Where the snap length cut the bytes and none were lost, every packet was seen.
    """
    gap = (e.response_facts & np.uint32(Fact.BODY_GAP)) != 0
    cut = (e.response_facts & np.uint32(Fact.CUT)) != 0
    return gap & (~cut | ((e.lossy & np.uint8(Lossy.LOST)) != 0))


def _over(e: Exchanges) -> I64:
    """From when on no byte of each response can follow, -1 where that is not known."""
    complete = (e.response_facts & np.uint32(Fact.COMPLETE)) != 0
    return np.where(complete & ~_lost_end(e), e.response_end_time, e.over_time)


def _until(e: Exchanges, over: I64) -> I64:
    """`over`, and where that is not known, when the next request was sent on the connection: a client that does not pipeline has
    its response by then."""
    open_ended = np.flatnonzero((over < 0) & (e.request_time >= 0))
    if not len(open_ended):
        return over
    rows = np.flatnonzero((e.request_time >= 0) & member(e.connection, e.connection[open_ended]))
    rows = rows[np.lexsort((e.request_time[rows], e.connection[rows]))]
    first, then = rows[:-1], rows[1:]
    same = e.connection[first] == e.connection[then]
    early = same & (e.response_time[first] >= 0) & (e.request_time[then] < e.response_time[first])
    free = same & ~member(e.connection[first], e.connection[then[early]])
    first, then = first[free], then[free]
    needed = over[first] < 0
    until = over.copy()
    until[first[needed]] = np.maximum(e.request_time[then[needed]], e.response_end_time[first[needed]])
    return until


def _sums(words: U64, at: I64) -> U64:
    """The sum of each row's words, modulo 2**64."""
    total = np.zeros(len(words) + 1, np.uint64)
    np.cumsum(words, out=total[1:])
    return total[at[1:]] - total[at[:-1]]


def _packet(packets: Spans, last: bool) -> I64:
    """The first or the last packet of each row, -1 where there is none."""
    there = packets.lengths > 0
    out = np.full(len(packets), NONE)
    at = packets.starts + (packets.lengths - 1 if last else 0)
    out[there] = packets.values[at[there]]
    return out
