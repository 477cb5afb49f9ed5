"""Plots over time, in the manner of the HTML report's plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inspector.batch.report.figures import Figures
from inspector.batch.report.scan import ABSENT, DAY
from inspector.lang import _
from inspector.render.report import plots
from inspector.render.report.html import Html
from inspector.render.report.style import drawn
from inspector.table import I64

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK_OF = {word: ink for ink, word in plots.VERDICT_INKS.items()}
STACK = ("discarded", "unanswered", "unproven", "leaked")  # from the ground up
MOST = 200_000  # values of a distribution that are drawn: every k-th of the sorted ones beyond

Slots = Sequence[tuple[int, Figures]]


@drawn
def verdicts(slots: Slots, size: int) -> Html:
    """Mirrors by verdict over time, stacked; a mark above each moment with leaks, however few. size: ns of a slot."""
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    drawing, axes = plots.figure()
    names = []
    x = np.array([at for at, _f in slots]) / DAY
    wide = size / DAY
    ground = np.zeros(len(slots))
    for word in STACK:
        n = np.array([f.verdicts[word] for _at, f in slots], float)
        if n.any():
            corners = [(x, ground), (x, ground + n), (x + wide * 0.92, ground + n), (x + wide * 0.92, ground)]
            boxes = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)[n > 0]
            axes.add_collection(
                PolyCollection(list(boxes), facecolors=INK_OF[word], linewidths=0)
            )  # one artist for all
            names.append(Patch(color=INK_OF[word], label=word))
            ground += n
    leaked = np.array([f.verdicts["leaked"] > 0 for _at, f in slots], bool)
    top = float(ground.max()) or 1.0
    if leaked.any():
        axes.scatter(
            x[leaked] + wide / 2, ground[leaked] + top * 0.05, marker="v", s=36, color=INK_OF["leaked"], linewidths=0
        )
    axes.set_ylim(0, top * 1.12)
    axes.set_ylabel(_("mirrors"))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if len(names) > 1:
        place = (0, 1.14)  # above the axes
        axes.legend(handles=names, loc="upper left", bbox_to_anchor=place, ncols=4, frameon=False, labelcolor=plots.INK)
    _moments(axes, x, wide)
    return plots.svg(drawing, "verdicts", _("Mirrors by verdict over time"))


@drawn
def shares(slots: Slots, size: int) -> Html:
    """The observed share over time with its 95 % interval, where there was a request that could have been mirrored."""
    drawing, axes = plots.figure()
    known = [(at, f.share) for at, f in slots if f.share.percent is not None]
    wide = size / DAY
    x = np.array([at for at, _s in known]) / DAY + wide / 2
    percent = np.array([s.percent for _at, s in known], float)
    low = np.array([s.low for _at, s in known], float)
    high = np.array([s.high for _at, s in known], float)
    axes.vlines(x, low, high, color=plots.FAINT, linewidth=1.4)
    axes.plot(x, percent, linestyle="none", marker="o", markersize=4, markerfacecolor=plots.INK, markeredgewidth=0)
    axes.set_ylim(-2, 104)
    axes.set_ylabel(_("% of requests mirrored"))
    _moments(axes, x - wide / 2, wide)
    return plots.svg(drawing, "shares", _("Observed share over time"))


def latencies(original: I64, mirror: I64) -> Html | None:
    """Cumulative distributions of pairs in which both were measured."""
    both = (original != ABSENT) & (mirror != ABSENT)
    if not both.any():
        return None
    names = (_("original"), _("mirror"))
    return plots.latencies([(name, _thinned(v[both])) for name, v in zip(names, (original, mirror), strict=True)])


def lags(values: I64) -> Html | None:
    """A histogram of lags."""
    known = values[values != ABSENT]
    return plots.lags(known) if len(known) else None


def _thinned(values: I64) -> I64:
    if len(values) <= MOST:
        return values
    at = np.linspace(0, len(values) - 1, MOST).round().astype(np.int64)
    out: I64 = np.sort(values)[at]
    return out


def _moments(axes: Axes, x: np.ndarray, wide: float) -> None:
    """The axis of time, in numbers that need no language."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    low, high = float(x.min()), float(x.max()) + wide
    axes.set_xlim(low - (high - low) * 0.02, high + (high - low) * 0.02)
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    forms = ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%H:%M:%S"]
    zero = ["", "%Y", "%Y-%m", "%Y-%m-%d", "%H:%M", "%H:%M"]
    offsets = ["", "%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d"]
    form = ConciseDateFormatter(locator, formats=forms, zero_formats=zero, offset_formats=offsets)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(form)
    axes.set_xlabel(_("time (UTC)"))
