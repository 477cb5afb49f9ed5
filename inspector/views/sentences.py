"""The packets that carry a verdict, each with a sentence that says what it shows."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from inspector.lang import _, language, marked
from inspector.ragged import Ragged
from inspector.table import I64, Bool
from inspector.views.cache import Memo
from inspector.views.columns import ABSENT, EvidenceColumns, ExchangeColumns
from inspector.views.objects import CaptureEnd

REPLY = marked("status {status}, {size} bytes of body")
REPLY_SEEN = marked("status {status}, {size} bytes of body seen")
ASKS = marked("the downstream {client} sends the request")
ORIGINAL = marked("the proxy sends the original to {server}")
ANSWERED = marked("the original is answered: {reply}")
ARRIVES = marked("the copy's response begins to arrive at the proxy: {reply}")
LAST = marked("the last of the copy's response that was seen")
COPY = marked("the proxy sends the copy to {server}")
COPY_AFTER = marked("the proxy sends the copy to {server}, {lag} after the original")
COPY_BEFORE = marked("the proxy sends the copy to {server}, {lag} before the original")
GIVEN_ANY = marked("the downstream is given a response: {reply}")
JUDGED = marked("{said} (judged for each of {n} downstream requests that it could be)")
OF_THE_COPY = marked("{said}; its body is the copy's ({digest})")
REFUSED = marked("{said}; the proxy refused {n} bytes of it with a RST: they reached nobody")
ANOTHER = marked("{said}; the original was answered with {reply}")
GIVEN = {
    "original": marked("the downstream is given what the original was answered: {reply}"),
    "mirror": marked("the downstream is given the copy's response, not the original's: {reply}"),
    "proxy": marked("the downstream is given a reply of the proxy's own: {reply}"),
}
SILENT = marked("no response to the copy was captured: {end}")
ENDS = marked("the capture ends {later} later")
CUT_OFF = marked("the capture file is cut off {later} later")
LONGEST = 500  # characters of a sentence

# Outer sentences before those that they hold, longer ones before those that begin alike.
TEMPLATES = (
    ANOTHER, REFUSED, OF_THE_COPY, JUDGED, *GIVEN.values(), GIVEN_ANY, ANSWERED, ARRIVES, LAST, ASKS, ORIGINAL, COPY_AFTER,
    COPY_BEFORE, COPY, SILENT, ENDS, CUT_OFF, REPLY_SEEN, REPLY,
)  # fmt: skip


def milliseconds(ns: int) -> str:
    """A duration for a sentence."""
    return f"{abs(ns) / 1e6:.3f} ms"


def reply(key: tuple[int | None, int | None, bool]) -> str:
    """A response in words, from its status, its bytes of body and whether all of it was seen."""
    status, size, complete = key
    said = _(REPLY) if complete else _(REPLY_SEEN)
    return said.format(status=status, size=f"{size or 0:,}")


def asks(client: str) -> str:
    """The downstream's request in words."""
    return _(ASKS).format(client=client)


def original(server: str) -> str:
    """The original's request in words."""
    return _(ORIGINAL).format(server=server)


def answered(reply: str) -> str:
    """The original's response in words."""
    return _(ANSWERED).format(reply=reply)


def arrives(reply: str) -> str:
    """The copy's response in words."""
    return _(ARRIVES).format(reply=reply)


def copied(key: tuple[str, int]) -> str:
    """The copy's request in words, from its server and its lag."""
    server, lag = key
    if lag == ABSENT:
        said = _(COPY)
    elif lag >= 0:
        said = _(COPY_AFTER)
    else:
        said = _(COPY_BEFORE)
    return said.format(server=server, lag=milliseconds(lag))


def given(key: tuple[str, int, str]) -> str:
    """What the downstream was given in words, from `delivered`, the number of rivals and the reply."""
    delivered, rivals, what = key
    said = _(GIVEN[delivered]) if delivered in GIVEN else _(GIVEN_ANY)
    said = said.format(reply=what)
    if rivals > 1:
        among = _(JUDGED)
        said = among.format(said=said, n=rivals)
    return said


def span(ns: int) -> str:
    """`0.23 ms`, `12 s`."""
    return f"{ns / 1e6:.3g} ms" if ns < 1_000_000_000 else f"{ns / 1e9:,.3g} s"


def capture_ends(later: str, cut: bool) -> str:
    """`the capture ends 0.23 ms later`: why a request has no response yet. later: a span of time. cut: the file is cut off."""
    return (_(CUT_OFF) if cut else _(ENDS)).format(later=later)


def unanswered(end: CaptureEnd) -> str:
    """That the capture ended before a response to the copy came."""
    return _(SILENT).format(end=capture_ends(span(end.after), end.cut))


def retold(said: str) -> str:
    """A sentence of the evidence in English, as a store keeps it, in the language spoken; any other text stays as it is."""
    if language() == "en" or len(said) > LONGEST:
        return said
    for template, pattern in _patterns():
        found = pattern.fullmatch(said)
        if found is not None:
            fields = found.groupdict()
            for name in ("said", "reply", "end"):
                if name in fields:
                    fields[name] = retold(fields[name])
            return _(template).format(**fields)
    return said


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """The templates as patterns; what stands in a field has no end of its own."""
    return [(t, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(t)), re.DOTALL)) for t in TEMPLATES]


def outer(packets: Ragged, last: bool) -> I64:
    """(n,) int64: the first or the last packet of each run, -1 for an empty one."""
    there = packets.lengths > 0
    at = packets.offsets[1:] - 1 if last else packets.offsets[:-1]
    out = np.full(len(packets), -1, np.int64)
    out[there] = packets.values[at[there]]
    return out


class Witness:
    """Tells the evidence of mirrors in bulk. It remembers its sentences: they repeat."""

    def __init__(self) -> None:
        self.reply = Memo(reply)
        self.asks = Memo(asks)
        self.original = Memo(original)
        self.copy = Memo(copied)
        self.answered = Memo(answered)
        self.arrives = Memo(arrives)
        self.given = Memo(given)

    def tell(
        self,
        x: ExchangeColumns,
        links: tuple[I64, I64],
        lag: I64,
        delivered: list[str],
        leaked: Bool,
        rivals: list[int],
        ends: list[CaptureEnd | None],
    ) -> EvidenceColumns:
        """The steps of n mirrors, in the order in which the story is reported.

        x: exchanges, the first n rows are the mirrors'. links: (n,) rows of x of originals and
        of downstreams, -1 where there is none.
        lag: (n,) ns or ABSENT. leaked: (n,) whether the verdict says so. ends: where the capture ended before a response
        came.
        """
        original, downstream = links
        n = len(original)
        mirror = np.arange(n, dtype=np.int64)
        asked, answer = outer(x.request_packets, False), outer(x.response_packets, False)
        last = outer(x.response_packets, True)
        replies = self.reply.all(zip(x.status, x.response_body_bytes, x.complete, strict=True))
        steps = Steps(np.array(x.capture, np.int64))

        owner, rows = steps.add(downstream, asked)
        steps.says += self.asks.all([x.client[k] for k in rows])
        owner, rows = steps.add(original, asked)
        steps.says += self.original.all([x.server[k] for k in rows])
        owner, rows = steps.add(mirror, asked)
        steps.says += self.copy.all(zip([x.server[k] for k in rows], lag[owner].tolist(), strict=True))
        owner, rows = steps.add(original, answer)
        steps.says += self.answered.all([replies[k] for k in rows])
        owner, rows = steps.add(mirror, answer)
        said = self.arrives.all([replies[k] for k in rows])
        for i, k in enumerate(rows):
            refused = sum(g.bytes for g in x.gaps[k] if g.side == "response" and g.reason == "reset")
            if refused:
                said[i] = _(REFUSED).format(said=said[i], n=f"{refused:,}")
        steps.says += said
        owner, rows = steps.add(mirror, np.where(x.response_packets.lengths > 1, last, -1))
        steps.says += [_(LAST)] * len(rows)
        owner, rows = steps.add(downstream, answer)
        whose = zip([delivered[i] for i in owner], [rivals[i] for i in owner], [replies[k] for k in rows], strict=True)
        said = self.given.all(whose)
        for i in np.flatnonzero(leaked[owner]).tolist():
            digest = x.response_body_hash[rows[i]]
            if digest is not None and digest == x.response_body_hash[owner[i]]:
                said[i] = _(OF_THE_COPY).format(said=said[i], digest=digest)
            o = int(original[owner[i]])
            if o >= 0 and answer[o] >= 0:
                said[i] = _(ANOTHER).format(said=said[i], reply=replies[o])
        steps.says += said
        silent = np.array([end is not None for end in ends], bool)
        if silent.any():
            owner, rows = steps.add(mirror, np.where(silent, outer(x.request_packets, True)[:n], -1))
            steps.says += [unanswered(end) for i in owner if (end := ends[i]) is not None]
        return steps.sorted(n)


class Steps:
    """Collects steps kind by kind, and puts them in order mirror by mirror."""

    def __init__(self, capture: I64) -> None:
        self._capture = capture
        self._owners: list[I64] = []
        self._rows: list[I64] = []
        self._packets: list[I64] = []
        self.says: list[str] = []

    def add(self, rows: I64, packets: I64) -> tuple[list[int], list[int]]:
        """A step for each mirror i whose exchange rows[i] is there and has a packet: (these i, these rows)."""
        there = rows >= 0
        there[there] = packets[rows[there]] >= 0
        owner = np.flatnonzero(there)
        rows = rows[owner]
        self._owners.append(owner)
        self._rows.append(rows)
        self._packets.append(packets[rows])
        return owner.tolist(), rows.tolist()

    def sorted(self, n: int) -> EvidenceColumns:
        """The steps of n mirrors, those of a mirror in the order in which they were added."""
        owner = np.concatenate(self._owners)
        order = np.argsort(owner, kind="stable")
        offsets = np.zeros(n + 1, np.int64)
        np.cumsum(np.bincount(owner, minlength=n), out=offsets[1:])
        capture = self._capture[np.concatenate(self._rows)[order]]
        packet = np.concatenate(self._packets)[order]
        says = self.says
        return EvidenceColumns(capture.tolist(), packet.tolist(), [says[i] for i in order.tolist()], offsets.tolist())
