"""Captures: bytes to packets to TCP segments."""

from inspector.capture.addresses import format_address, parse_address
from inspector.capture.links import link_type_name
from inspector.capture.merge import merge
from inspector.capture.opening import open_captures
from inspector.capture.reader import CaptureReader
from inspector.capture.tables import Block, CaptureInfo, Interface, PacketKind, Packets, Segments

__all__ = [
    "Block",
    "CaptureInfo",
    "CaptureReader",
    "Interface",
    "PacketKind",
    "Packets",
    "Segments",
    "format_address",
    "link_type_name",
    "merge",
    "open_captures",
    "parse_address",
]
