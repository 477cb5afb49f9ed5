"""scapy's full dissection of one packet, in a process of its own: what captured bytes do to a dissector stays there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from inspector.referee.layers import load
from inspector.referee.running import LINE, RunLimits, lines, python

BYTES = 1 << 16  # of a frame that are dissected
LINES = 400  # of the dissection that are reported
WIDE = 2000  # characters of a line that are reported
SECONDS = 60.0


def dissection(frame: bytes, link: int, ports: Sequence[int], hide: bool, folder: Path) -> Iterator[str]:
    """Lines of text, raw: they are escaped by who shows them. ports: those that carry HTTP; hide: leave payload out.

    Raises RefereeError.
    """
    source = folder / "frame"
    source.write_bytes(frame[:BYTES])
    asked = json.dumps([str(source), link, list(ports), hide])
    for told, line in enumerate(lines(python("dissect", asked), folder, RunLimits(1, SECONDS), "scapy")):
        if told < LINES:
            text = str(json.loads(line.text)) if line.length < LINE else "..."
            yield text if len(text) <= WIDE else text[:WIDE] + "..."
        elif told == LINES:
            yield "..."


def main(arguments: Sequence[str]) -> Iterator[str]:
    """Dissect one frame: each line of the dissection as a JSON string."""
    path, link, ports, hide = json.loads(arguments[0])
    load()
    from scapy.config import conf
    from scapy.layers.http import HTTP
    from scapy.layers.inet import TCP, UDP
    from scapy.packet import Packet, Raw, bind_bottom_up
    from scapy.themes import NoTheme

    conf.color_theme = NoTheme()
    for port in () if hide else ports:
        bind_bottom_up(TCP, HTTP, dport=port)
        bind_bottom_up(TCP, HTTP, sport=port)
    frame = Path(path).read_bytes()
    try:
        packet: Packet = conf.l2types.num2layer.get(link, Raw)(frame)
    except Exception as error:  # what scapy cannot take
        yield json.dumps(f"{type(error).__name__}: {error}")
        packet = Raw(frame)
    top = next((layer for layer in (TCP, UDP) if packet.haslayer(layer)), None)
    if hide and top is not None:
        size = len(packet[top].payload)
        packet[top].remove_payload()
        text = f"{packet.show(dump=True)}###[ {size} bytes of payload ]###\n"
    else:
        text = str(packet.show(dump=True))
    for line in text.splitlines():
        name, equals, _value = line.partition("=")
        if hide and equals and name.strip() == "load":
            line = f"{name}= ..."
        if not line.endswith("= None"):  # one of the header fields that are not there
            yield json.dumps(line)
