"""What the referees say, what is compared, and what comes out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

PACKET_LIMIT = 500_000  # packets of a capture that are compared, unless --limit says otherwise
TIME_LIMIT = 600.0  # seconds that a referee may take for a capture, unless --timeout says otherwise
UNPACK_LIMIT = 2 << 30  # bytes of a compressed capture or a pipe that are unpacked to be read again
KEPT = 200  # differences of one kind that are kept to be shown; all are counted

REQUEST, RESPONSE = 1, 2


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as the referee has it. What it does not say is None."""

    frame: int  # number of the packet in which the message was complete
    kind: int  # REQUEST or RESPONSE
    method: str | None = None
    path: str | None = None
    host: str | None = None
    status: int | None = None
    body: int | None = None  # bytes, chunked framing taken off
    asked_in: int | None = None  # of a response: the packet in which the referee has its request; 0: in none


@dataclass(frozen=True, slots=True)
class Mine:
    """A message as this program has it: one side of the exchange `exchange` (0 is a row of Exchanges)."""

    exchange: int
    kind: int
    packets: tuple[int, ...]  # sorted
    method: str | None
    path: str | None
    host: str | None
    status: int | None
    body: int | None  # bytes, None where some are missing
    asked_in: int | None  # of a response: the last packet of its request, 0 without one
    complete: bool

    @property
    def frame(self) -> int:
        """The packet in which the message was complete."""
        return self.packets[-1] if self.packets else 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the two readings differ. reason: a word of `reasons.REASONS`, "" where none is known."""

    what: str  # "missing" (only here), "extra" (only the referee has it), or the name of the field that differs
    frame: int  # packet
    exchange: int  # number from 1, 0 where there is none
    ours: str
    theirs: str
    reason: str
    packet: int = 0  # that shows the reason, 0 where none does by itself

    def order(self) -> tuple[bool, int, str]:
        """Unexplained ones first, then in the order of the capture."""
        return bool(self.reason), self.frame, self.what


@dataclass
class Agreement:
    """The comparison of one capture.

    unit: what is counted, "exchange" or "packet". agreed, explained, unexplained: units without a difference, with
    differences that all have a reason, and with one that has none; what only the referee has counts in `extra`.
    fields: by name, how many values were compared and how many agreed.
    """

    path: str
    unit: str
    referee: str = ""  # its name and version
    packets: int = 0
    agreed: int = 0
    explained: int = 0
    unexplained: int = 0
    fields: dict[str, tuple[int, int]] = field(default_factory=dict)
    extra: Counter[str] = field(default_factory=Counter)  # what only the referee has, by reason
    reasons: Counter[str] = field(default_factory=Counter)  # differences by reason, "" without one
    differences: list[Difference] = field(default_factory=list)  # KEPT of each reason at most
    notes: list[str] = field(default_factory=list)  # sentences: limits that were met, what was not compared
    seconds: float = 0.0

    @property
    def units(self) -> int:
        """Exchanges or packets that were compared."""
        return self.agreed + self.explained + self.unexplained

    def add(self, difference: Difference) -> None:
        """Count a difference; keep it where there is room."""
        self.reasons[difference.reason] += 1
        if self.reasons[difference.reason] <= KEPT:
            self.differences.append(difference)

    def compare(self, name: str, same: bool) -> None:
        """Count one value that was compared."""
        total, agreed = self.fields.get(name, (0, 0))
        self.fields[name] = (total + 1, agreed + same)
