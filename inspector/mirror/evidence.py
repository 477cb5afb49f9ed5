"""The packets that carry a verdict, each with a sentence that says what it shows."""

from __future__ import annotations

import numpy as np

from inspector.mirror.columns import ABSENT, EvidenceColumns, ExchangeColumns
from inspector.mirror.memo import Memo
from inspector.ragged import Ragged
from inspector.table import I64, Bool

WHOSE = {
    "original": "what the original was answered",
    "mirror": "the copy's response, not the original's",
    "proxy": "a reply of the proxy's own",
}


def milliseconds(ns: int) -> str:
    """A duration for a sentence."""
    return f"{abs(ns) / 1e6:.3f} ms"


def reply(key: tuple[int | None, int | None, bool]) -> str:
    """A response in words, from its status, its bytes of body and whether all of it was seen."""
    status, size, complete = key
    return f"status {status}, {size or 0:,} bytes of body{'' if complete else ' seen'}"


def copied(key: tuple[str, int]) -> str:
    """The copy's request in words, from its server and its lag."""
    server, lag = key
    when = "" if lag == ABSENT else f", {milliseconds(lag)} {'after' if lag >= 0 else 'before'} the original"
    return f"the proxy sends the copy to {server}{when}"


def given(key: tuple[str, int, str]) -> str:
    """What the downstream was given in words, from `delivered`, the number of rivals and the reply."""
    delivered, rivals, what = key
    among = f" (judged for each of {rivals} downstream requests that it could be)" if rivals > 1 else ""
    return f"the downstream is given {WHOSE.get(delivered, 'a response')}: {what}{among}"


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
        self.asks = Memo("the downstream {} sends the request".format)
        self.original = Memo("the proxy sends the original to {}".format)
        self.copy = Memo(copied)
        self.answered = Memo("the original is answered: {}".format)
        self.arrives = Memo("the copy's response begins to arrive at the proxy: {}".format)
        self.given = Memo(given)

    def tell(
        self,
        x: ExchangeColumns,
        original: I64,
        downstream: I64,
        lag: I64,
        delivered: list[str],
        leaked: Bool,
        rivals: list[int],
    ) -> EvidenceColumns:
        """The steps of n mirrors, in the order in which the story is told.

        x: exchanges, the first n rows are the mirrors'. original, downstream: (n,) rows of x, -1 where there is none.
        lag: (n,) ns or ABSENT. leaked: (n,) whether the verdict says so.
        """
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
        steps.says += self.arrives.all([replies[k] for k in rows])
        owner, rows = steps.add(mirror, np.where(x.response_packets.lengths > 1, last, -1))
        steps.says += ["the last of the copy's response that was seen"] * len(rows)
        owner, rows = steps.add(downstream, answer)
        whose = zip([delivered[i] for i in owner], [rivals[i] for i in owner], [replies[k] for k in rows], strict=True)
        said = self.given.all(whose)
        for i in np.flatnonzero(leaked[owner]).tolist():
            digest = x.response_body_hash[rows[i]]
            if digest is not None and digest == x.response_body_hash[owner[i]]:
                said[i] += f"; its body is the copy's ({digest})"
            o = int(original[owner[i]])
            if o >= 0 and answer[o] >= 0:
                said[i] += f"; the original was answered with {replies[o]}"
        steps.says += said
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
