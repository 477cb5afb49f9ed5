"""What a renderer needs of an inspection: the views of `inspector.views.objects`, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from inspector.views.objects import CaptureView, ExchangeView, MirrorView, SummaryView

VERDICTS = ("discarded", "leaked", "unanswered", "unproven")


class Summed(Protocol):
    """What an inspection says when its mirrors are not shown one by one."""

    @property
    def captures(self) -> Sequence[CaptureView]:
        """The captures, in the order given."""

    @property
    def summary(self) -> SummaryView:
        """Counts, the finding, and what could not be seen."""


class Shown(Summed, Protocol):
    """An inspection as renderers see it."""

    def mirror_views(self) -> Iterator[MirrorView]:
        """Every mirror, in order of time."""

    def exchange_views(self) -> Iterator[ExchangeView]:
        """Every exchange, in order of time."""
