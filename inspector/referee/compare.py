"""Compares the messages of a referee with ours: packet by packet, then exchange by exchange."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from inspector.referee.model import REQUEST, Agreement, Difference, Heard, Mine
from inspector.referee.reasons import Reasons

_ODD = re.compile(r"(?:[^\x21-\x7e]|\\[abfnrtv\\\"]|\\[0-7]{3}|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4})+")
CLOSE = 64  # messages of a packet that are tried for the one that fits


def plainly(text: str | None) -> str | None:
    """A text as far as two programs can agree that write what is not printable ASCII differently: such bytes are one mark."""
    return None if text is None else _ODD.sub("\N{REPLACEMENT CHARACTER}", text)


def same(ours: str | int | None, theirs: str | int | None) -> bool:
    """Whether two values are one, text as far as `plainly` tells."""
    if isinstance(ours, str) and isinstance(theirs, str):
        return ours == theirs or plainly(ours) == plainly(theirs)
    return ours == theirs


class Comparison:
    """One capture: `run` pairs the messages of both readings and counts into `out`."""

    def __init__(
        self, mine: list[Mine], heard: Iterable[Heard], reasons: Reasons, out: Agreement, stopped: list[str]
    ) -> None:
        """stopped: has words where the referee could not read on, once `heard` has ended."""
        self.mine = mine
        self.reasons = reasons
        self.out = out
        self.behind_gaps: set[tuple[int, int, str]] = set()  # messages that the referee does not have because of a gap
        self.faults: dict[int, bool] = {}  # by exchange: whether all of its differences have a reason
        self.theirs: dict[tuple[int, int], list[Heard]] = defaultdict(list)
        last = 0
        for message in heard:
            self.theirs[message.kind, message.frame].append(message)
            last = max(last, message.frame)
        if stopped:
            reasons.stopped = last

    def run(self) -> None:
        """Compare everything."""
        unmatched: list[Mine] = []
        for message in self.mine:
            if not self._met(message, message.frame):
                unmatched.append(message)
        for message in unmatched:
            elsewhere = (*message.packets[:-1][:CLOSE], *self.reasons.closing(message)[:CLOSE], *self._next(message))
            if not any(self._met(message, packet) for packet in elsewhere):
                self._missing(message)
        for _key, messages in sorted(self.theirs.items(), key=lambda item: item[0][1]):
            for heard in messages:
                self._extra(heard)
        exchanges = {message.exchange for message in self.mine}
        self.out.agreed = len(exchanges) - len(self.faults)
        self.out.explained = sum(self.faults.values())
        self.out.unexplained = len(self.faults) - self.out.explained

    def _next(self, message: Mine) -> list[int]:
        """The packet in which the referee has the next message of the stream, where ours has no end."""
        flow = self.reasons.wire.flow(message.frame)
        if message.complete or flow < 0:
            return []
        frames = self._frames.get((message.kind, flow), [])
        at = bisect_right(frames, message.frame)
        return frames[at : at + 1]

    @cached_property
    def _frames(self) -> dict[tuple[int, int], list[int]]:
        out: dict[tuple[int, int], list[int]] = defaultdict(list)
        for kind, frame in self.theirs:
            out[kind, self.reasons.wire.flow(frame)].append(frame)
        for frames in out.values():
            frames.sort()
        return out

    def _met(self, message: Mine, frame: int) -> bool:
        """Whether the referee has such a message in packet `frame`; it is compared and taken away then."""
        there = self.theirs.get((message.kind, frame))
        if not there:
            return False
        key = message.path if message.kind == REQUEST else message.status
        fits = (same(key, heard.path if message.kind == REQUEST else heard.status) for heard in there[:CLOSE])
        found = next((i for i, fit in enumerate(fits) if fit), None)
        if found is None and frame != message.frame:
            return False
        heard = there.pop(found or 0)
        if not there:
            del self.theirs[message.kind, frame]
        self._compare(message, heard)
        return True

    def _compare(self, message: Mine, heard: Heard) -> None:
        self.out.compare("found", True)
        self._field("packet", message, heard, message.frame, heard.frame)
        if message.kind == REQUEST:
            for name in ("method", "path", "host"):
                self._field(name, message, heard, getattr(message, name), getattr(heard, name))
        else:
            self._field("status", message, heard, message.status, heard.status)
            self._field("pair", message, heard, message.asked_in, heard.asked_in)
        if message.body is not None:
            self._field("body", message, heard, message.body, heard.body)

    def _field(self, name: str, message: Mine, heard: Heard, ours: str | int | None, theirs: str | int | None) -> None:
        if theirs is None:  # it does not say
            return
        equal = same(ours, theirs)
        self.out.compare(name, equal)
        if not equal:
            reason, packet = self.reasons.field(name, message, heard)
            here = "" if ours is None else str(ours)
            self._differs(Difference(name, message.frame, message.exchange + 1, here, str(theirs), reason, packet))

    def _missing(self, message: Mine) -> None:
        self.out.compare("found", False)
        reason, packet = self.reasons.missing(message)
        if reason == "gap":
            self.behind_gaps.add((message.kind, message.frame, plainly(says(message)) or ""))
        self._differs(Difference("missing", message.frame, message.exchange + 1, says(message), "", reason, packet))

    def confirmed(self, heard: Iterable[Heard]) -> int:
        """How many of the messages behind gaps are among these."""
        left = set(self.behind_gaps)
        for message in heard:
            left.discard((message.kind, message.frame, plainly(says(message)) or ""))
        return len(self.behind_gaps) - len(left)

    def _extra(self, heard: Heard) -> None:
        reason, packet = self.reasons.extra(heard)
        self.out.extra[reason] += 1
        self.out.add(Difference("extra", heard.frame, 0, "", says(heard), reason, packet))

    def _differs(self, difference: Difference) -> None:
        exchange = difference.exchange
        self.faults[exchange] = self.faults.get(exchange, True) and bool(difference.reason)
        self.out.add(difference)


def says(message: Mine | Heard) -> str:
    """A message in short: its request line, or its status."""
    if message.kind == REQUEST:
        return f"{message.method or '?'} {message.path or '?'}"
    return "?" if message.status is None else str(message.status)
