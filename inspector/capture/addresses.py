"""IP addresses as two 64-bit halves, as the tables hold them, and as text."""

from __future__ import annotations

import ipaddress

MAPPED = 0xFFFF << 32  # low half of ::ffff:0.0.0.0, RFC 4291 section 2.5.5.2


def format_address(hi: int, lo: int) -> str:
    """Text of the address `hi`, `lo` (big-endian halves): dotted where it is IPv4-mapped, else RFC 5952."""
    hi, lo = int(hi), int(lo)
    if hi == 0 and lo >> 32 == 0xFFFF:
        return f"{lo >> 24 & 255}.{lo >> 16 & 255}.{lo >> 8 & 255}.{lo & 255}"
    return str(ipaddress.IPv6Address(hi << 64 | lo))


def parse_address(text: str) -> tuple[int, int]:
    """The halves of an address in text (brackets allowed around IPv6). Raises ValueError for anything else."""
    address = ipaddress.ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    if isinstance(address, ipaddress.IPv4Address):
        return 0, MAPPED | int(address)
    return int(address) >> 64, int(address) & 0xFFFFFFFFFFFFFFFF
