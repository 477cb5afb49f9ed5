"""One comparison: a capture, a referee, and what they agree on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inspector.lang import _
from inspector.referee import compare, inputs, ours, sharked, tshark, wire
from inspector.referee.model import PACKET_LIMIT, TIME_LIMIT, Agreement, Heard, Mine
from inspector.referee.reasons import Reasons
from inspector.referee.running import Limits, private

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
            out = Agreement(capture.name, "exchange")
            _messages(capture.file, order, work, out)
            out.seconds = time.monotonic() - begun
            yield out


def _messages(capture: Path, order: Order, folder: Path, out: Agreement) -> None:
    limits = Limits(order.packets, order.seconds)
    path = tshark.find()
    version = tshark.version(path, folder)
    found = ours.read(capture)
    seen = wire.read(capture, order.packets)
    out.packets = len(seen.kinds)
    heard: Iterator[Heard]
    if order.referee == "pyshark":
        sharked.check()
        heard = sharked.messages(path, capture, found.ports(), folder, limits)
    else:
        heard = tshark.messages(path, capture, found.ports(), folder, limits, version >= (4, 2, 0))
    mine = [m for m in found.messages() if m.frame <= order.packets]
    compare.Comparison(mine, heard, Reasons(found, mine, seen), out).run()
