"""Evidence for strangers: the same packets with other addresses, hosts, words and bodies, that prove the same.

What stays as it was, and must be known to who gives such a file away: times and order, lengths, ports, numbers of interfaces,
methods, statuses, common field names, how many digits the octets of an address have, which words begin alike, and which bodies
are equal. What is replaced hangs on a random key that nobody keeps. Where something around an IP packet cannot be rewritten
(radiotap, say, or GTP-U), the IP packet alone is left.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from inspector.capture import writer
from inspector.capture.writer import WrittenInterface, WrittenPacket
from inspector.evidence.masking import Mask
from inspector.evidence.rewriting import FoundSegment, Refused, Rewriter
from inspector.evidence.scrub_heads import Scrubber
from inspector.evidence.scrub_streams import Scrubbed
from inspector.evidence.write import ORIGIN
from inspector.lang import _

_USUAL_NAME = re.compile(  # numbers only behind a usual beginning: an administrator may have named one after a customer
    r"any|lo\d?|(eth|ens|eno|wlan|bond|if)\d{1,4}|enp\d{1,3}s\d{1,3}(f\d{1,3})?(np\d{1,2})?|docker0|cni0|cbr0|flannel\.1"
    r"|vxlan\.calico|tunl0"
)


class Anonymiser:
    """Rewrites the evidence at `path` (a file of our own writer). suffix: what the proxy appends to a copy's host.

    left_out: packets that could not be rewritten, by reason. blanked: bytes of what is not HTTP, by protocol: zeros now.
    """

    def __init__(self, path: str, suffix: str = "-shadow", key: bytes | None = None) -> None:
        self.path = path
        self.mask = Mask(key or os.urandom(32))
        self.scrubber = Scrubber(self.mask, suffix)
        self.left_out: Counter[str] = Counter()
        self.blanked: Counter[str] = Counter()
        self.packets = 0
        self._captures: dict[str, str] = {}  # names of files, and what they are called instead
        self._origins = [_pattern(ORIGIN), _pattern(_(ORIGIN))]

    def blocks(self, application: str = "mirror-inspector") -> Iterator[bytes]:
        """The capture anew, block by block. Raises CaptureError."""
        streams = Scrubbed(self.path, self.scrubber)
        try:
            self.blanked = streams.blanked
            yield writer.section(application, _("Evidence with addresses, hosts, words and bodies replaced."))
            with open(self.path, "rb") as file:
                yield from self._rewritten(file, streams)
        finally:
            streams.close()

    def _rewritten(self, file: BinaryIO, streams: Scrubbed) -> Iterator[bytes]:
        described: list[WrittenInterface] = []
        numbers: dict[tuple[int, int], int] = {}  # of what is written: by interface of the evidence, and link type
        time = 0

        def payload(found: FoundSegment) -> bytes:
            return streams.payload(found, time)

        rewriter = Rewriter(self.mask, payload)
        for item in writer.written(file):
            if isinstance(item, WrittenInterface):
                described.append(self._interface(item))
                continue
            time = item.time
            own = described[item.interface]
            try:
                new = rewriter.frame(own.link_type, item.data, item.length)
            except Refused as refused:
                self.left_out[str(refused)] += 1
                continue
            key = item.interface, new.link_type
            if key not in numbers:
                yield writer.interface(replace(own, link_type=new.link_type))
                numbers[key] = len(numbers)
            comments = tuple(self._comment(comment) for comment in item.comments)
            yield writer.packet(WrittenPacket(numbers[key], item.time, new.data, new.length, comments))
            self.packets += 1

    def _interface(self, given: WrittenInterface) -> WrittenInterface:
        name = given.name if _USUAL_NAME.fullmatch(given.name) else ""
        return replace(given, name=name, description=self._capture(given.description) if given.description else "")

    def _comment(self, comment: str) -> str:
        """Our own sentence: where a packet comes from, or what it shows."""
        origin = next(filter(None, (pattern.fullmatch(comment) for pattern in self._origins)), None)
        if origin:
            return _(ORIGIN).format(number=origin["number"], capture=self._capture(origin["capture"]))
        return self.scrubber.sentence(comment.encode("utf-8")).decode("utf-8", "replace")

    def _capture(self, name: str) -> str:
        """What a capture is called: the name of a file is somebody's own."""
        return self._captures.setdefault(name, _("capture {number}").format(number=len(self._captures) + 1))


def _pattern(template: str) -> re.Pattern[str]:
    """What the sentence of a packet's origin looks like."""
    text = re.escape(template).replace(re.escape("{number}"), r"(?P<number>\d+)")
    return re.compile(text.replace(re.escape("{capture}"), r"(?P<capture>.*)"), re.DOTALL)
