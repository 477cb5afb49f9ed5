"""One comparison: a capture, a referee, and what they agree on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from inspector.lang import _
from inspector.referee import compare, inputs, layers, ours, packets, sharked, tshark, wire
from inspector.referee.model import PACKET_LIMIT, TIME_LIMIT, Agreement, Heard
from inspector.referee.reasons import Reasons
from inspector.referee.running import RefereeError, RunLimits, private

LOSSY = 0.25  # part of the messages behind gaps from which on segments are not put in order: tshark then finds few, and is slow
REFEREES = ("tshark", "pyshark", "scapy")


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    referee: str = "tshark"
    packets: int = PACKET_LIMIT
    seconds: float = TIME_LIMIT


def verify(path: str, order: Order) -> Iterator[Agreement]:
    """The comparison of each capture at `path` (several in a tar). Raises CaptureError, RefereeError."""
    with private() as folder:
        work = folder / "work"
        work.mkdir(0o700)
        for capture in inputs.plain(path, folder):
            begun = time.monotonic()
            if order.referee == "scapy":
                out = _packets(capture, order, work)
            else:
                out = _messages(capture, order, work)
            _note(capture, out)
            out.seconds = time.monotonic() - begun
            yield out


def _packets(capture: inputs.Plain, order: Order, folder: Path) -> Agreement:
    out = Agreement(capture.name, "packet", f"scapy {layers.version()}")
    found = layers.packets(capture.file, folder, RunLimits(order.packets, order.seconds))
    packets.compare(capture.file, order.packets, found, out)
    return out


def _messages(capture: inputs.Plain, order: Order, folder: Path) -> Agreement:
    path = tshark.find()
    version = tshark.version(path, folder)
    name = "tshark " + ".".join(map(str, version))
    if order.referee == "pyshark":
        name = f"pyshark {sharked.version()}, {name}"
    out = Agreement(capture.name, "exchange", name)
    found = ours.read(capture.file)
    seen = wire.read(capture.file, order.packets)
    out.packets = len(seen.kinds)
    mine = found.messages(order.packets)
    reasons = Reasons(found, mine, seen)
    ask = tshark.Ask(path, capture.file, found.ports(), RunLimits(order.packets, order.seconds), version >= (4, 2, 0))
    behind = sum(map(reasons.behind_gap, mine)) if found.counts.get("gaps") else 0
    if behind > len(mine) * LOSSY:
        ask = replace(ask, reorder=False)
        said = _("{n} of {total} messages lie behind gaps, where tshark waits if it puts segments in order: it did not")
        out.notes.append(said.format(n=f"{behind:,}", total=f"{len(mine):,}"))
    messages = sharked.messages if order.referee == "pyshark" else tshark.messages
    comparison = compare.Comparison(mine, messages(ask, folder), reasons, out, ask.stopped)
    comparison.run()
    out.notes += ask.stopped
    if seen.more:
        said = _("--limit: {n} of {total} packets were compared")
        out.notes.append(said.format(n=f"{out.packets:,}", total=f"{out.packets + seen.more:,}"))
    other = len(found.exchanges) - len(found.rows)
    if other:
        out.notes.append(_("{n} exchanges of HTTP/2 were not compared").format(n=f"{other:,}"))
    if len(ask.ports) > tshark.PORTS:
        said = _("of {total} ports with HTTP the {n} busiest were named to tshark")
        out.notes.append(said.format(n=tshark.PORTS, total=f"{len(ask.ports):,}"))
    if comparison.behind_gaps and ask.reorder:
        _read_on(comparison, tshark.messages(replace(ask, reorder=False), folder), out)
    return out


def _read_on(comparison: compare.Comparison, heard: Iterator[Heard], out: Agreement) -> None:
    """Behind gaps tshark finds messages when it does not wait for what is missing: ask it again for these."""
    total = len(comparison.behind_gaps)
    try:
        found = comparison.confirmed(heard)
    except RefereeError as error:  # what was compared stands
        out.notes.append(error.message)
        return
    said = _("{n} of {total} messages behind gaps are found by tshark when it does not put segments in order")
    out.notes.append(said.format(n=f"{found:,}", total=f"{total:,}"))


def _note(capture: inputs.Plain, out: Agreement) -> None:
    if capture.cut:
        out.notes.append(_("the first {n} bytes were unpacked and compared").format(n=f"{capture.cut:,}"))
    if capture.broken:
        out.notes.append(_("it could be unpacked in part only: {why}").format(why=capture.broken))
