"""Distributions of lags and latencies, drawn by matplotlib as SVG whose text stays text.

matplotlib draws without a script and a font: the page stays small (an interactive library would add megabytes) and the figures
print. Its style attributes become presentation attributes, which the page's policy allows, and its colours classes, which
follow light and dark.
"""

from __future__ import annotations

import io
import re
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias
from warnings import catch_warnings, filterwarnings
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from inspector.lang import _
from inspector.render.report.html import Html, tag
from inspector.render.report.style import drawn
from inspector.render.text import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
# Colours that stand for classes of the page's style sheet; no figure shows them.
INKS = {"#010101": "ink", "#020202": "faint", "#030303": "grid", "#040404": "a", "#050505": "b", "#060606": "c"}
INK, FAINT, GRID, A, B, C = INKS
VERDICT_INKS = {"#070707": "leaked", "#080808": "unproven", "#090909": "unanswered", "#0a0a0a": "discarded"}
CLASSES = INKS | VERDICT_INKS
POINTS = 400  # of a curve: finer than its pixels
BINS = 40  # at most; few values have fewer
LINEAR = 0.1  # ms around 0 where the axis of lags is linear, logarithmic beyond
Values: TypeAlias = "array[int] | NDArray[np.int64]"
_STYLE = re.compile(r"\s*([\w-]+)\s*:\s*([^;]+?)\s*(?:;|$)")
_KEPT = frozenset(
    (
        *("fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "stroke-linecap", "fill-opacity"),
        *("text-anchor", "opacity", "stroke-dashoffset", "stroke-opacity"),
    )
)


@drawn
def lags(values: Values) -> Html:
    """A histogram of how long after its original each mirror was sent. values: ns."""
    from matplotlib.ticker import MaxNLocator

    ms = np.asarray(values, np.int64) / 1e6
    drawing, axes = figure()
    far = max(LINEAR, float(np.abs(ms).max()) * 1.05)
    low = -far if (ms < 0).any() else 0.0
    edges = _unwarp(np.linspace(_warp(low), _warp(far), min(BINS, 6 + 2 * int(len(ms) ** 0.5)) + 1))
    axes.hist(ms, bins=edges.tolist(), color=A, edgecolor=INK, linewidth=0.6)
    axes.set_xscale("symlog", linthresh=LINEAR)
    axes.set_xlim(low, far)
    axes.set_xlabel(_("lag of the mirror behind its original, ms"))
    axes.set_ylabel(_("mirrors"))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if low < 0:
        axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (2, 3)))
    _ticks(axes, low, far)
    return svg(drawing, "lags", _("Histogram of lags"))


@drawn
def latencies(by_leg: Sequence[tuple[str, Values]]) -> Html:
    """How many of the exchanges of each leg were over after a time. by_leg: (name for people, ns)."""
    drawing, axes = figure()
    inks, dashes = (A, B, C), ("solid", (0, (6, 3)), (0, (1.5, 2)))
    least, most = 1e12, 0.0
    for (name, values), ink, dash in zip(by_leg, inks, dashes, strict=False):
        ms = np.sort(np.maximum(np.asarray(values, np.int64) / 1e6, 0.001))
        least, most = min(least, float(ms[0])), max(most, float(ms[-1]))
        at = np.unique(np.linspace(0, len(ms) - 1, min(POINTS, len(ms))).round().astype(np.int64))
        x, y = np.append(ms[at], ms[-1]), np.append(100 * at / len(ms), 100)
        axes.step(np.insert(x, 0, ms[0]), np.insert(y, 0, 0), where="post", color=ink, linestyle=dash, label=name)
    axes.set_xscale("log")
    axes.set_xlim(least / 1.3, most * 1.3)
    axes.set_ylim(0, 103)
    axes.set_xlabel(_("from the request's first byte to the response's last, ms"))
    axes.set_ylabel(_("% of exchanges"))
    axes.legend(loc="best", frameon=False, labelcolor=INK, handlelength=3.2)
    _plain_logarithms(axes)
    return svg(drawing, "latencies", _("Cumulative distribution of latencies"))


def quantiles(values: Values, signed: bool = False) -> list[str]:
    """Number, least, median, 90th and 99th percentile, most, for people."""
    v = np.asarray(values, np.int64)
    found = np.quantile(v, (0, 0.5, 0.9, 0.99, 1), method="inverted_cdf").astype(np.int64)  # values that were seen
    return [f"{len(v):,}", *(duration(int(q), signed) for q in found)]


def _warp(ms: float) -> float:
    return float(np.sign(ms) * (np.minimum(abs(ms) / LINEAR, 1) + np.log10(max(abs(ms) / LINEAR, 1))))


def _unwarp(at: np.ndarray) -> np.ndarray:
    beyond = np.maximum(np.abs(at) - 1, 0)
    return np.sign(at) * np.where(np.abs(at) <= 1, np.abs(at), 10**beyond) * LINEAR


def figure() -> tuple[Figure, Axes]:
    """An empty figure and its axes, in the colours of the page."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6.4, 3.2), dpi=72, layout="constrained")
    axes = drawing.add_subplot()
    axes.patch.set_visible(False)
    drawing.patch.set_visible(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(which="both", colors=FAINT, labelcolor=INK, labelsize=11)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.xaxis.label.set_fontsize(11)
    axes.yaxis.label.set_fontsize(11)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return drawing, axes


def _ticks(axes: Axes, low: float, far: float) -> None:
    """Powers of ten from 0 on, to both sides where there are two."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    steps = (1, 2, 5) if far < 20 else (1,)
    powers = [LINEAR * 10**i * step for i in range(9) for step in steps if LINEAR * 10**i * step <= far]
    powers = powers if powers[-1:] > [LINEAR] else [LINEAR / 2, *powers]
    axes.xaxis.set_major_locator(FixedLocator([*(-p for p in reversed(powers) if low < 0), 0.0, *powers]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: _number(value)))


def _plain_logarithms(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axes.get_xlim()
    subs = (1.0, 2.0, 5.0) if high / low < 200 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: _number(value)))


def _number(value: float) -> str:
    text = f"{abs(value):,.3f}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text


def svg(drawing: Figure, name: str, title: str) -> Html:
    """The figure as an element without styles, with ids of its own."""
    from matplotlib import rc_context

    out = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "axes.unicode_minus": False}), catch_warnings():
        # Text stays text: the browser's fonts draw Korean, whatever matplotlib's own font lacks.
        filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        drawing.savefig(out, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(out.getvalue())
    for parent in root.iter():
        for child in list(parent):
            if child.tag not in _SHOWN or (child.tag == SVG + "defs" and child.find(SVG + "style") is not None):
                parent.remove(child)
    used = {v.split("#")[-1].rstrip(")") for x in root.iter() for v in x.attrib.values() if "#" in v}
    box = root.get("viewBox", "").split()
    head = {"class": "plot", "viewBox": " ".join(box), "width": box[2], "height": box[3], "role": "img"}
    return Html(str(_element(root, name, used, title, head)))


_SHOWN = frozenset(SVG + name for name in ("g", "path", "text", "use", "defs", "clipPath", "rect", "tspan"))


def _element(
    x: ElementTree.Element, name: str, used: set[str], title: str = "", head: dict[str, str] | None = None
) -> Html:
    attributes: dict[str, str] = dict(head or {})
    classes = [attributes.pop("class")] if "class" in attributes else []
    for key, value in () if head else x.attrib.items():
        if key == "style":
            for part, given in _STYLE.findall(value):
                if part in ("fill", "stroke") and given in CLASSES:
                    classes.append(f"{part}-{CLASSES[given]}")
                elif part in _KEPT:
                    attributes[part] = given
        elif key == "id":
            if value in used:
                attributes["id"] = f"{name}-{value}"
        elif key == LINK:
            attributes["href"] = f"#{name}-{value[1:]}"
        else:
            attributes[key] = value.replace("url(#", f"url(#{name}-")
    children = [_element(child, name, used) for child in x]
    label = [tag("title", title)] if title else []
    content = (x.text or "").strip()
    return tag(
        x.tag.removeprefix(SVG), *label, content or None, children, class_=" ".join(classes) or None, **attributes
    )  # fmt: skip
