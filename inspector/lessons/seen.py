"""What the lessons read from their captures: the inspection, single packets, the header of a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from inspector.capture import open_captures
from inspector.errors import InspectorError
from inspector.inspection import Inspection, inspect
from inspector.lang import _
from inspector.views.objects import ExchangeView, MirrorView
from inspector.views.present import format_endpoint
from inspector.views.wire import ACK, FIN, RST, SYN

HOME = Path(__file__).parent.parent  # the package; its `captures` are the checkout's
FOLDER = "captures"
MAX_HEAD = 8192  # bytes of a request's header that are read
FLAGS = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (ACK, "ACK"))


@dataclass(frozen=True, slots=True)
class Packet:
    """A TCP segment as it was captured; payload: its first MAX_HEAD bytes."""

    number: int
    time: int
    interface: str
    source: str
    target: str
    flags: int
    seq: int
    ack: int
    ip_id: int
    length: int
    payload: bytes

    @property
    def flag_words(self) -> str:
        """`SYN,ACK`."""
        return ",".join(word for bit, word in FLAGS if self.flags & bit)


def path(name: str) -> Path:
    """Where the capture `name` is. Raises InspectorError where it was not installed."""
    found = HOME / FOLDER / name
    if not found.is_file():
        raise InspectorError(
            _("the lessons' capture {name} is not installed").format(name=name),
            _("install the package again, or run from a checkout"),
        )
    return found


class LessonCaptures:
    """One look at some captures of the lessons, inspected when it is asked for."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.paths = [str(path(name)) for name in names]

    @cached_property
    def inspection(self) -> Inspection:
        """What `inspect` finds in it."""
        return inspect(*self.paths)

    @cached_property
    def mirrors(self) -> list[MirrorView]:
        """All mirrors; mirror n is at n - 1."""
        return list(self.inspection.mirror_views())

    @cached_property
    def exchanges(self) -> list[ExchangeView]:
        """All exchanges."""
        return list(self.inspection.exchange_views())

    def legs(self, leg: str) -> list[ExchangeView]:
        """The exchanges of a leg."""
        return [x for x in self.exchanges if x.leg == leg]

    @cached_property
    def packets(self) -> dict[int, Packet]:
        """Every TCP segment of the (first) capture by its packet's number. The lessons' captures are small."""
        out: dict[int, Packet] = {}
        for reader in open_captures(self.paths[0]):
            for block in reader.blocks():
                s = block.segments
                for i in range(len(s)):
                    at, size = int(s.at[i]), min(int(s.captured[i]), MAX_HEAD)
                    out[int(s.packet[i])] = Packet(
                        number=int(s.packet[i]),
                        time=int(s.time[i]),
                        interface=reader.info.interfaces[int(s.interface[i])].name,
                        source=format_endpoint(int(s.src_hi[i]), int(s.src_lo[i]), int(s.sport[i])),
                        target=format_endpoint(int(s.dst_hi[i]), int(s.dst_lo[i]), int(s.dport[i])),
                        flags=int(s.flags[i]),
                        seq=int(s.seq[i]),
                        ack=int(s.ack[i]),
                        ip_id=int(s.ip_id[i]),
                        length=int(s.length[i]),
                        payload=np.asarray(block.data[at : at + size]).tobytes(),
                    )
            reader.close()
        return out

    def header(self, x: ExchangeView) -> dict[str, str]:
        """The fields of a request's header by name in small letters, as its first packet has them (latin-1)."""
        head = self.packets[x.request_packets[0]].payload.split(b"\r\n\r\n")[0].decode("latin-1")
        pairs = (line.partition(":") for line in head.split("\r\n")[1:])
        return {name.strip().lower(): value.strip() for name, _colon, value in pairs}


class Library:
    """The captures of the lessons, each read once."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], LessonCaptures] = {}

    def __call__(self, *names: str) -> LessonCaptures:
        if names not in self._seen:
            self._seen[names] = LessonCaptures(*names)
        return self._seen[names]


def args(names: Iterable[str], *options: str) -> tuple[str, ...]:
    """The words of a command on captures, as they stand in the lesson: relative to the folder that holds `captures`."""
    return (*(f"{FOLDER}/{name}" for name in names), *options)


def find(packets: Sequence[int]) -> str:
    """The Wireshark filter of some packets."""
    from inspector.render.wording import display_filter

    return display_filter(packets)[0]


def response(x: ExchangeView) -> int:
    """When an exchange's response began (ns). Precondition: it has one, as those that lessons tell of do."""
    if x.response_time is None:
        raise ValueError(f"exchange {x.id} has no response")
    return x.response_time
