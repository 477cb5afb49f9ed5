"""What the captures of a store hold that nobody could read, each kind with its captures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.batch.report.model import Site, UnitLine
from inspector.lang import _, several
from inspector.render import cells
from inspector.views.objects import Share
from inspector.views.share import share

KINDS = ("tls", "h2", "quic", "cut-heads", "gaps")


@dataclass(frozen=True)
class Blind:
    """A kind of what was not read. kind: of KINDS, `encapsulated` (packets), `damaged`, `no-http` or `other` (captures)."""

    kind: str
    n: int
    units: Sequence[UnitLine]

    @property
    def says(self) -> str:
        """A sentence."""
        where = several("in {n} capture", "in {n} captures", len(self.units)).format(n=f"{len(self.units):,}")
        return _sentence(self.kind, self.n).format(n=f"{self.n:,}", where=where)


def _sentence(kind: str, n: int) -> str:
    words = {
        "tls": several("{n} TLS connection {where} was not read.", "{n} TLS connections {where} were not read.", n),
        "h2": several(
            "{n} HTTP/2 connection {where} was not read.", "{n} HTTP/2 connections {where} were not read.", n
        ),
        "quic": several("{n} QUIC connection {where} was not read.", "{n} QUIC connections {where} were not read.", n),
        "cut-heads": several(
            "{n} connection {where} was cut by the snap length: its messages were not all read.",
            "{n} connections {where} were cut by the snap length: their messages were not all read.",
            n,
        ),
        "gaps": several(
            "{n} connection {where} has gaps: its messages were not all read.",
            "{n} connections {where} have gaps: their messages were not all read.",
            n,
        ),
        "encapsulated": several(
            "{n} packet {where} could not be taken out of its tunnel.",
            "{n} packets {where} could not be taken out of their tunnels.",
            n,
        ),
        "damaged": several("{n} capture was read in part.", "{n} captures were read in part.", n),
        "no-http": several(
            "{n} capture holds no HTTP that could be read.", "{n} captures hold no HTTP that could be read.", n
        ),
        "other": several(
            "Something else could not be seen in {n} capture.", "Something else could not be seen in {n} captures.", n
        ),
    }
    return words[kind]


def unread(line: UnitLine) -> dict[str, int]:
    """The connections of a capture that were not read, by why; nothing in a store of an older version."""
    row = line.unit.row
    return dict(zip(row.get("unread") or (), row.get("unread_connections") or (), strict=False))


def of(site: Site) -> list[Blind]:
    """All kinds that there are, connections first."""
    counts: Counter[str] = Counter()
    units: dict[str, list[UnitLine]] = {}
    for line in site.units:
        for kind, n in kinds(line).items():
            counts[kind] += n
            units.setdefault(kind, []).append(line)
    order = (*KINDS, "encapsulated", "damaged", "no-http", "other")
    return [Blind(kind, counts[kind], units[kind]) for kind in order if counts[kind]]


def kinds(line: UnitLine) -> dict[str, int]:
    """What of a capture was not read, with how much."""
    row, state = line.unit.row, line.unit.state
    if state == "failed":  # told for itself
        return {}
    found = {kind: n for kind, n in unread(line).items() if n and kind in KINDS}
    if row.get("encapsulated"):
        found["encapsulated"] = row["encapsulated"]
    if state == "damaged":
        found["damaged"] = 1
    if row["exchanges"] == 0:
        found["no-http"] = 1
    if not found and row["unseen"]:
        found["other"] = 1
    return found


def connections(found: Mapping[str, int]) -> int:
    """Connections of all kinds."""
    return sum(found.get(kind, 0) for kind in KINDS)


def units(site: Site) -> list[UnitLine]:
    """Captures that were read and hold something that was not."""
    return [line for line in site.units if kinds(line)]


def tone(site: Site) -> str:
    """The verdict that colours the banner: never the green one over what nobody could read."""
    hidden = site.states["failed"] or any(set(kinds(line)) - {"other"} for line in site.units)
    return _tone(site.total.worst, bool(hidden))


def tone_of(line: UnitLine) -> str:
    """The same for the page of a capture."""
    return _tone(line.figures.worst, bool(set(kinds(line)) - {"other"}))


def _tone(worst: str, hidden: bool) -> str:
    return "unproven" if hidden and worst in ("", "discarded") else worst or "none"


def none_mirrored(site: Site) -> tuple[str, str]:
    """The answer and its sentence where no mirror was seen: how much is mirrored?"""
    if any(line.unit.row.get("blind") or line.unit.state == "failed" for line in site.units):
        return _("Cannot tell"), _("What was not read may have been mirrored")
    n = sum(line.unit.row["eligible"] or 0 for line in site.units)
    if not n or site.total.mirrors:
        return _("Not known"), _("No request that could have been mirrored")
    found: Share = share(0, n)
    return "0 %", cells.share(found)


def payload(line: UnitLine) -> dict[str, tuple[int, int]]:
    """The TCP payload of a capture by what it is: bytes and connections."""
    out: dict[str, tuple[int, int]] = {}
    for part in line.unit.files:
        columns = (part.get(name) or () for name in ("read", "read_bytes", "read_connections"))
        for name, size, n in zip(*columns, strict=False):
            before = out.get(name, (0, 0))
            out[name] = before[0] + size, before[1] + n
    return out
