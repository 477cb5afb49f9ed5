"""One mirror with what belongs to it: the other legs of its transaction, and what its packets say on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from inspector.inspection.packets import read_wires
from inspector.mirror.signs import blend
from inspector.mirror.tables import Leg
from inspector.table import I64
from inspector.views.objects import ExchangeView, MirrorView
from inspector.views.present import Presenter
from inspector.views.wire import ExchangePackets

OTHERS = 16  # other legs told at most
LATER = 15_000_000_000  # ns: where the end of the downstream leg was not seen, attempts may come so much later
TOLD = (Leg.ATTEMPT, Leg.CASCADE, Leg.MIRROR)


@dataclass(frozen=True)
class MirrorStory:
    """A mirror, told in full.

    others: other legs that share its request id and lie within its time (retries, calls that it caused, other mirrors),
    in order of time, at most OTHERS; more: how many were left out. wires: by `ExchangeView.id`; empty where the capture
    cannot be read again. total: how many mirrors there are.
    """

    mirror: MirrorView
    total: int
    others: list[ExchangeView] = field(default_factory=list)
    more: int = 0
    wires: dict[int, ExchangePackets] = field(default_factory=dict)


def story(presenter: Presenter, number: int, paths: Sequence[str] = ()) -> MirrorStory:
    """Mirror `number` (from 1, in order of time). paths: the captures, where they may be read again.

    Precondition: 1 <= number <= mirrors.
    """
    mirror = presenter.mirror(number - 1, number)
    rows = companions(presenter, mirror)
    others = [presenter.exchange(row) for row in rows[:OTHERS].tolist()]
    legs = [x for x in (mirror.downstream, mirror.original, mirror.mirror) if x is not None]
    return MirrorStory(
        mirror, len(presenter.table), others, max(0, len(rows) - OTHERS), read_wires(paths, [*legs, *others])
    )


def stories(presenter: Presenter, numbers: Sequence[int], paths: Sequence[str] = ()) -> list[MirrorStory]:
    """Several mirrors told at once: other legs are found in an index, and the captures are read again once for all.

    Precondition: 1 <= each number <= mirrors.
    """
    e, out, own = presenter.e, [], []
    index = np.lexsort((e.request_time, e.request_id))
    ids, times = e.request_id[index], e.request_time[index]
    for number in numbers:
        mirror = presenter.mirror(number - 1, number)
        this = e.request_id[presenter.table.mirror[number - 1]]
        low, high = np.searchsorted(ids, this, "left"), np.searchsorted(ids, this, "right")
        first, last = _span(mirror)
        a, b = low + np.searchsorted(times[low:high], first), low + np.searchsorted(times[low:high], last, "right")
        rows = companions(presenter, mirror, np.sort(index[a:b]))
        others = [presenter.exchange(row) for row in rows[:OTHERS].tolist()]
        out.append(MirrorStory(mirror, len(presenter.table), others, max(0, len(rows) - OTHERS)))
        own.append([x for x in (mirror.downstream, mirror.original, mirror.mirror, *others) if x is not None])
    wires = read_wires(paths, {x.id: x for legs in own for x in legs}.values())
    for told, legs in zip(out, own, strict=True):
        told.wires.update({x.id: wires[x.id] for x in legs if x.id in wires})
    return out


def _span(mirror: MirrorView) -> tuple[int, int]:
    """Between which times other legs of a mirror's transaction begin; the last before the first where no time is known."""
    legs = [x for x in (mirror.downstream, mirror.original, mirror.mirror) if x is not None]
    times = [t for x in legs for t in (x.request_time, x.response_time, x.response_end_time) if t is not None]
    answered = mirror.downstream is not None and mirror.downstream.response_end_time is not None
    return min(times, default=0), max(times, default=-1) + (0 if answered or not times else LATER)


def companions(presenter: Presenter, mirror: MirrorView, among: I64 | None = None) -> I64:
    """Rows of other legs with the mirror's request id, begun while its transaction lasted, in order of time.

    among: rows that hold all of these, in order, where such are known.
    """
    e = presenter.e
    legs = [x for x in (mirror.downstream, mirror.original, mirror.mirror) if x is not None]
    first, last = _span(mirror)
    own = np.array([x.id for x in legs], np.int64)
    this = int(presenter.table.mirror[mirror.id - 1])
    if presenter.leg is None or last < first or e.request_id[this] == 0:
        return np.empty(0, np.int64)
    at = np.flatnonzero(e.request_id == e.request_id[this]) if among is None else among
    at = at[(e.request_id[at] == e.request_id[this]) & ~np.isin(e.id[at], own)]
    time = e.request_time[at]
    at = at[np.isin(presenter.leg[at], [int(k) for k in TOLD]) & (time >= first) & (time <= last)]
    # A copy or an attempt is the proxy's own and has the same method and path; a call that a leg caused is another's.
    proxy = blend(e.client_hi[at], e.client_lo[at])
    mine = blend(e.client_hi[this : this + 1], e.client_lo[this : this + 1])
    ours = (proxy == mine) & (e.method[at] == e.method[this]) & (e.target[at] == e.target[this])
    at = at[ours | (presenter.leg[at] == Leg.CASCADE)]
    return at[np.argsort(e.request_time[at], kind="stable")]
