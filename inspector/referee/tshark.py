"""tshark: is it there, is it new enough, and what it finds in a capture, message by message.

It writes fields, one line a packet: measured on 2 cores this is twice as fast as its `pdml` and `ek` outputs, which write every
header.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inspector.lang import _
from inspector.referee.model import REQUEST, RESPONSE, Heard
from inspector.referee.running import OutputLine, RefereeError, RunLimits, Stopped, lines, surroundings

OLDEST = (4, 0)  # what this was tested with; older ones lack preferences that are set here
PORTS = 256  # ports that are decoded as HTTP by name; on others tshark's own heuristics find it
FIELDS = (
    "frame.number", "http.request.method", "http.request.uri", "http.host", "http.response.code", "http.request_in",
    "http.content_length", "http.chunk_size", "http.file_data",
)  # fmt: skip
MARK = "\x1f"  # between several values of a field
MESSAGES = "tcp && (http.request.method || http.response.code)"  # HTTP over UDP (SSDP) is none of ours
QUIET = ("json", "data-text-lines", "xml", "image-jfif", "png", "media")  # what bodies hold is not looked into
UNREADABLE = ("cut short", "damaged or corrupt")  # what it says of such a capture
INSTALL = "apt-get install tshark"


def find() -> str:
    """The path of tshark. Raises RefereeError where it is not installed."""
    path = shutil.which("tshark")
    if path is None:
        raise RefereeError(
            _("tshark is not installed"),
            _("install it ({command}), or compare packets with --with scapy").format(command=INSTALL),
        )
    return path


def version(path: str, folder: Path) -> tuple[int, int, int]:
    """Its version. Raises RefereeError where it cannot be known, or is older than OLDEST."""
    try:
        run = subprocess.run([path, "-v"], capture_output=True, timeout=60, env=surroundings(folder), check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RefereeError(_("{name} cannot be started: {why}").format(name=path, why=error)) from None
    found = re.search(rb"^TShark[^\n]*? v?(\d+)\.(\d+)\.(\d+)", run.stdout, re.M)
    if not found:
        raise RefereeError(_("{path} does not say which version it is").format(path=path))
    major, minor, patch = (int(part) for part in found.groups())
    if (major, minor) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise RefereeError(
            _("tshark {version} is too old: {oldest} is the oldest that this was tested with").format(
                version=f"{major}.{minor}.{patch}", oldest=oldest
            ),
            _("compare packets with --with scapy"),
        )
    return major, minor, patch


def preferences(reorder: bool = True) -> dict[str, str]:
    """What is set apart from tshark's defaults (a user's profile is not read)."""
    return {
        "tcp.desegment_tcp_streams": "TRUE",
        "tcp.reassemble_out_of_order": "TRUE" if reorder else "FALSE",
        "http.desegment_headers": "TRUE",
        "http.desegment_body": "TRUE",
        "http.dechunk_body": "TRUE",
        "http.decompress_body": "FALSE",
        "tcp.calculate_timestamps": "FALSE",
    }


def quiet() -> list[str]:
    """Arguments that leave out the dissection of bodies."""
    return [part for name in QUIET for part in ("--disable-protocol", name)]


def decode_as(ports: Sequence[int]) -> list[str]:
    """What is decoded as what: HTTP on the ports where it was found here, and Linux' own port of VXLAN."""
    return ["udp.port==8472,vxlan", *(f"tcp.port=={port},http" for port in ports[:PORTS])]


@dataclass(frozen=True)
class Ask:
    """What tshark, or pyshark, is asked. path: of tshark; ports: on which HTTP was found here, the busiest first.

    hexadecimal: bodies are written so (from 4.2 on). reorder: segments are put in order. stopped: gets what is said where the
    rest of the capture cannot be read.
    """

    path: str
    capture: Path
    ports: list[int]
    limits: RunLimits
    hexadecimal: bool
    reorder: bool = True
    stopped: list[str] = field(default_factory=list)


def messages(ask: Ask, folder: Path) -> Iterator[Heard]:
    """HTTP messages of a capture as tshark finds them. Raises RefereeError."""
    command = [ask.path, "-n", "-r", str(ask.capture), "-c", str(ask.limits.packets), "-Y", MESSAGES, "-T", "fields"]
    command += ["-E", f"aggregator={MARK}", "-E", "occurrence=a"]
    command += [part for name, value in preferences(ask.reorder).items() for part in ("-o", f"{name}:{value}")]
    command += [part for criterion in decode_as(ask.ports) for part in ("-d", criterion)]
    command += quiet()
    command += [part for name in FIELDS for part in ("-e", name)]
    try:
        for line in lines(command, folder, ask.limits, "tshark"):
            yield from read(line, ask.hexadecimal)
    except Stopped as error:
        if not unreadable(error.said):
            raise
        ask.stopped.append(error.said)


def unreadable(said: str) -> bool:
    """Whether tshark stopped because the rest of the capture cannot be read."""
    return any(words in said for words in UNREADABLE)


def read(line: OutputLine, hexadecimal: bool) -> Iterable[Heard]:
    """The messages of one packet. Where it holds several, a field that not all of them have cannot be known apart: None."""
    parts = line.text.split(b"\t", len(FIELDS) - 1)
    if len(parts) < len(FIELDS) or not parts[0].isdigit():
        return []
    frame = int(parts[0])
    methods, paths, hosts, codes, asked, lengths, chunks = (_values(part) for part in parts[1:8])
    count = len(methods) + len(codes)
    sizes: list[int | None] = [None] * count
    if count == 1:
        shown = line.length - len(line.text) + len(parts[8])
        sizes[0] = _body(parts[8], shown, _numbers(lengths), _numbers(chunks), hexadecimal)
    out = []
    for i, method in enumerate(methods):
        out.append(Heard(frame, REQUEST, method, _of(paths, i, methods), _of(hosts, i, methods, ""), body=sizes[i]))
    for i, code in enumerate(codes):
        where = _numbers(asked)
        pair = where[i] if len(where) == len(codes) else 0 if not where else None
        status = int(code) if code.isdigit() and len(code) < 6 else None
        out.append(Heard(frame, RESPONSE, status=status, body=sizes[len(methods) + i], asked_in=pair))
    return out


def _values(part: bytes) -> list[str]:
    return part.decode("utf-8", "replace").split(MARK) if part else []


def _numbers(values: list[str]) -> list[int]:
    return [int(v) for v in values if v.isdigit() and len(v) < 19]


def _of(values: list[str], i: int, owners: list[str], absent: str | None = None) -> str | None:
    """Value i; where there is one owner and no value, `absent`."""
    if len(values) == len(owners):
        return values[i]
    return absent if not values and len(owners) == 1 else None


def _body(data: bytes, shown: int, lengths: list[int], chunks: list[int], hexadecimal: bool) -> int | None:
    """The size of a message's body. tshark has no field for it, but writes the body: until 4.0 as text, to the first NUL."""
    if hexadecimal and data:
        return shown // 2
    if chunks:
        return sum(chunks)
    if not data:  # no body (an answer to HEAD), one that begins with a NUL, or a compressed one
        return None if lengths and lengths[0] else 0
    if lengths:
        return lengths[0]
    plain = shown == len(data) and data.isascii() and b"\\" not in data  # no escapes in it
    return shown if plain else None
