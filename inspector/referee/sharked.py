"""pyshark, in a process of its own: it has no limit of time and memory, and no say in the environment of the tshark it starts.

Asked for all layers of a packet it gives some 300 messages a second; asked for HTTP alone, some 2,000. `main` is what runs
in that process; `messages` starts it and reads what it writes: a line of JSON a message.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from inspector.lang import _
from inspector.referee import tshark
from inspector.referee.model import REQUEST, RESPONSE, Heard
from inspector.referee.running import RefereeError, lines, python

UNREADABLE = 2  # tshark's exit status where the rest of a capture cannot be read
STOPPED = "tshark could not read on"


def version() -> str:
    """pyshark's version. Raises RefereeError where it is not installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        found = importlib.util.find_spec("pyshark") and version_of("pyshark")
    except PackageNotFoundError:
        found = None
    if not found:
        raise RefereeError(_("pyshark is not installed"), "pip install pyshark")
    return found


def messages(ask: tshark.Ask, folder: Path) -> Iterator[Heard]:
    """HTTP messages of a capture as pyshark finds them. Raises RefereeError."""
    asked = json.dumps([ask.path, str(ask.capture), ask.ports, ask.limits.packets, ask.reorder])
    for line in lines(python("sharked", asked), folder, ask.limits, "pyshark"):
        try:
            found = json.loads(line.text)
            if isinstance(found, str):
                ask.stopped.append(found)
            else:
                yield Heard(*found)
        except (ValueError, TypeError):
            raise RefereeError(_("{name} wrote what cannot be read").format(name="pyshark")) from None


def main(arguments: Sequence[str]) -> Iterator[str]:
    """Read a capture with pyshark: a line of JSON for each HTTP message."""
    import pyshark
    from pyshark.capture.capture import TSharkCrashException

    path, capture, ports, packets, reorder = json.loads(arguments[0])
    # Python 3.14 has no child watchers any more, which pyshark 0.6 sets for a loop of its own making, but not for ours.
    loop = None if hasattr(asyncio, "SafeChildWatcher") else asyncio.new_event_loop()
    found = pyshark.FileCapture(
        capture,
        keep_packets=False,
        display_filter=tshark.MESSAGES,
        tshark_path=path,
        eventloop=loop,
        decode_as=dict(criterion.split(",") for criterion in tshark.decode_as(ports)),
        override_prefs=tshark.preferences(reorder),
        custom_parameters=["-J", "http", "-c", str(packets), *tshark.quiet()],
    )
    try:
        for packet in found:
            for layer in packet.layers:
                if layer.layer_name == "http":
                    heard = message(int(packet.number), layer)
                    if heard is not None:
                        yield json.dumps(heard)
        found.close()
    except TSharkCrashException as error:
        if f"retcode: {UNREADABLE}" not in str(error):
            raise
        yield json.dumps(STOPPED)
    found._running_processes.clear()  # or it would complain once more when it is let go


def message(frame: int, layer: Any) -> list[Any] | None:
    """The fields of Heard from a layer of pyshark's; None for one that is no whole message."""
    size = body_size(layer)
    method, status = layer.get_field("request_method"), layer.get_field("response_code")
    if method is not None:
        path, host = (layer.get_field(name) for name in ("request_uri", "host"))
        uri = None if path is None else str(path.show)
        return [frame, REQUEST, str(method.show), uri, "" if host is None else str(host.show), None, size, None]
    if status is None:
        return None
    asked = layer.get_field("request_in")
    return [frame, RESPONSE, None, None, None, int(status.show), size, 0 if asked is None else int(asked.show)]


def body_size(layer: Any) -> int | None:
    """The size of a message's body. One that is compressed is not unpacked, and then its size is not told."""
    body, length, chunk = (layer.get_field(name) for name in ("file_data", "content_length", "chunk_size"))
    if body is not None:
        return int(body.size)
    return None if chunk is not None or (length is not None and str(length.show) != "0") else 0
