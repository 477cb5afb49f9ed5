"""A TCP segment in fragments of IPv4 and IPv6."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, fragment6

BODY = bytes(range(256)) * 16
WHOLE = IP(src="1.2.3.4", dst="5.6.7.8", id=99) / TCP(sport=5, dport=80, seq=1000, flags="A") / BODY
PARTS = [bytes(f) for f in fragment(WHOLE, 1000)]
HEAD6 = IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(id=7)
PARTS6 = [bytes(f) for f in fragment6(HEAD6 / TCP(sport=5, dport=80, seq=1000, flags="A") / BODY, 1280)]
