"""One mirror with what belongs to it: the other legs of its transaction, and what its packets say on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from inspector.inspection.wires import read_wires
from inspector.mirror.present import Presenter
from inspector.mirror.signs import blend
from inspector.mirror.tables import Leg
from inspector.mirror.views import ExchangeView, MirrorView
from inspector.mirror.wire import Wire
from inspector.table import I64

OTHERS = 16  # other legs told at most
LATER = 15_000_000_000  # ns: where the end of the downstream leg was not seen, attempts may come so much later
TOLD = (Leg.ATTEMPT, Leg.CASCADE, Leg.MIRROR)


@dataclass(frozen=True)
class Story:
    """A mirror, told in full.

    others: other legs that share its request id and lie within its time (retries, calls that it caused, other mirrors),
    in order of time, at most OTHERS; more: how many were left out. wires: by `ExchangeView.id`; empty where the capture
    cannot be read again. total: how many mirrors there are.
    """

    mirror: MirrorView
    total: int
    others: list[ExchangeView] = field(default_factory=list)
    more: int = 0
    wires: dict[int, Wire] = field(default_factory=dict)


def story(presenter: Presenter, number: int, paths: Sequence[str] = ()) -> Story:
    """Mirror `number` (from 1, in order of time). paths: the captures, where they may be read again.

    Precondition: 1 <= number <= mirrors.
    """
    mirror = presenter.mirror(number - 1, number)
    rows = companions(presenter, mirror)
    others = [presenter.exchange(row) for row in rows[:OTHERS].tolist()]
    legs = [x for x in (mirror.downstream, mirror.original, mirror.mirror) if x is not None]
    return Story(mirror, len(presenter.table), others, max(0, len(rows) - OTHERS), read_wires(paths, [*legs, *others]))


def companions(presenter: Presenter, mirror: MirrorView) -> I64:
    """Rows of other legs with the mirror's request id, begun while its transaction lasted, in order of time."""
    e = presenter.e
    legs = [x for x in (mirror.downstream, mirror.original, mirror.mirror) if x is not None]
    times = [t for x in legs for t in (x.request_time, x.response_time, x.response_end_time) if t is not None]
    own = np.array([x.id for x in legs], np.int64)
    this = int(np.flatnonzero(e.id == mirror.mirror.id)[0])
    if presenter.leg is None or not times or e.request_id[this] == 0:
        return np.empty(0, np.int64)
    same = (e.request_id == e.request_id[this]) & ~np.isin(e.id, own) & np.isin(presenter.leg, [int(k) for k in TOLD])
    answered = mirror.downstream is not None and mirror.downstream.response_end_time is not None
    same &= (e.request_time >= min(times)) & (e.request_time <= max(times) + (0 if answered else LATER))
    # A copy or an attempt is the proxy's own and has the same method and path; a call that a leg caused is another's.
    proxy = blend(e.client_hi, e.client_lo)
    ours = (proxy == proxy[this]) & (e.method == e.method[this]) & (e.target == e.target[this])
    rows = np.flatnonzero(same & (ours | (presenter.leg == Leg.CASCADE)))
    return rows[np.argsort(e.request_time[rows], kind="stable")]
