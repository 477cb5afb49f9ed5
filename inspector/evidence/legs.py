"""The legs of all mirrors with their content, one after another: an exchange that several mirrors share comes once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from inspector.evidence.comments import Views
from inspector.evidence.select import Told
from inspector.http.content import Content
from inspector.inspection import Inspection
from inspector.mirror.tables import NONE, Leg
from inspector.reread.messages import Capture, RereadLimits, each
from inspector.views.objects import ExchangeView, MirrorView

STRONGEST = (Leg.MIRROR, Leg.ORIGINAL, Leg.DOWNSTREAM)  # an exchange that is several legs is called the first of these


@dataclass(frozen=True, slots=True)
class LegView:
    """An exchange as a leg. mirrors: numbers of the mirrors whose leg it is. judged: the mirror itself, where it is its leg.

    sent: when the last byte of the request was seen, ns; None where there is not a request.
    """

    exchange: ExchangeView
    leg: str
    mirrors: tuple[int, ...]
    judged: MirrorView | None
    sent: int | None
    content: Content


class MirrorLegs:
    """All legs of the mirrors of an inspection."""

    def __init__(self, inspection: Inspection) -> None:
        self._told = Told(*inspection._kept.tables(), inspection._pipeline.connections())
        self._views = Views(self._told)
        t = self._told.mirrors
        numbers = np.arange(1, len(t) + 1)
        members = (t.mirror, t.original, t.downstream)  # in the order of STRONGEST
        row = np.concatenate(members)
        leg = np.repeat(np.arange(3), len(t))
        order = np.lexsort((leg, row))
        order = order[row[order] != NONE]
        self._row, self._leg, self._mirror = row[order], leg[order], np.tile(numbers, 3)[order]

    def each(
        self,
        captures: Sequence[Capture],
        limits: RereadLimits | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Iterator[LegView]:
        """The legs in the order in which they end; none is kept. captures: what was inspected, to be read again.

        Raises CaptureError where one cannot be read any more.
        """
        rows = np.unique(self._row)
        for number, content in each(captures, (self._view(row) for row in rows.tolist()), limits, progress):
            yield self._told_of(number - 1, content)

    def _roles(self, row: int) -> slice:
        low, high = np.searchsorted(self._row, [row, row + 1])
        return slice(int(low), int(high))

    def _view(self, row: int) -> ExchangeView:
        at = self._roles(row).start
        mirror = self._views[int(self._mirror[at])]
        view = (mirror.mirror, mirror.original, mirror.downstream)[int(self._leg[at])]
        assert view is not None  # the table of mirrors has it
        return view

    def _told_of(self, row: int, content: Content) -> LegView:
        roles = self._roles(row)
        strongest = STRONGEST[int(self._leg[roles.start])]
        numbers = self._mirror[roles].tolist()
        sent = int(self._told.exchanges.request_end_time[row])
        return LegView(
            exchange=self._view(row),
            leg=strongest.name.lower(),
            mirrors=tuple(sorted(set(numbers))),
            judged=self._views[numbers[0]] if strongest == Leg.MIRROR else None,
            sent=sent if sent >= 0 else None,
            content=content,
        )
