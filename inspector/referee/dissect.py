"""scapy's full dissection of one packet, in a process of its own: what captured bytes do to a dissector stays there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from inspector.referee.layers import load
from inspector.referee.running import LINE, Limits, lines, python

BYTES = 1 << 16  # of a frame that are dissected
LINES = 400  # of the dissection that are told
WIDE = 2000  # characters of a line that are told
SECONDS = 60.0


def dissection(frame: bytes, link: int, ports: Sequence[int], hide: bool, folder: Path) -> Iterator[str]:
    """Lines of text, raw: they are escaped by who shows them. ports: those that carry HTTP; hide: leave payload out.

    Raises RefereeError.
    """
    source = folder / "frame"
    source.write_bytes(frame[:BYTES])
    asked = json.dumps([str(source), link, list(ports), hide])
    for told, line in enumerate(lines(python("dissect", asked), folder, Limits(1, SECONDS), "scapy")):
        if told < LINES:
            text = str(json.loads(line.text)) if line.length < LINE else "..."
            yield text if len(text) <= WIDE else text[:WIDE] + "..."
        elif told == LINES:
            yield "..."


def main(arguments: Sequence[str]) -> None:
    """Dissect one frame and write each line of the dissection as a JSON string."""
    import sys

    path, link, ports, hide = json.loads(arguments[0])
    load()
    from scapy.config import conf
    from scapy.layers.http import HTTP
    from scapy.layers.inet import TCP
    from scapy.packet import Packet, Raw, bind_bottom_up
    from scapy.themes import NoTheme

    conf.color_theme = NoTheme()
    for port in () if hide else ports:
        bind_bottom_up(TCP, HTTP, dport=port)
        bind_bottom_up(TCP, HTTP, sport=port)
    packet: Packet = conf.l2types.num2layer.get(link, Raw)(Path(path).read_bytes())
    if hide and packet.haslayer(TCP):
        size = len(packet[TCP].payload)
        packet[TCP].remove_payload()
        text = f"{packet.show(dump=True)}###[ {size} bytes of payload ]###\n"
    else:
        text = str(packet.show(dump=True))
    for line in text.splitlines():
        if line.endswith("= None"):  # one of the header fields that are not there
            continue
        sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
