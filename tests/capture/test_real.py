"""Real captures against scapy as a second opinion."""

import numpy as np
import pytest
from capture_files import read, same, speed
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw, bind_layers
from scapy.utils import PcapReader
from shared_captures import SHARED, needs_shared

from inspector.capture import PacketKind, format_address

pytestmark = needs_shared
NAMES = [
    "vxlan/node.pcap",
    "vxlan/node2.pcap",
    "gateway_eth/gw.pcap",
    "snap96/node.pcap",
    "mix/client.pcap",
    "refused/node.pcap",
]

bind_layers(UDP, VXLAN, dport=4789)
bind_layers(UDP, VXLAN, dport=8472)


def scapy_view(path):
    """(number, ns, wire length) of each packet, and what scapy finds of each TCP segment."""
    packets, segments = [], []
    with PcapReader(path) as records:
        for number, packet in enumerate(records, 1):
            packets.append((number, int(packet.time * 10**6) * 1000, packet.wirelen))
            if packet.haslayer(ICMP) or not packet.haslayer(TCP):
                continue
            layer, tunnel = packet, 0
            while layer.haslayer(VXLAN):
                layer, tunnel = layer[VXLAN].payload, tunnel + 1
            ip = layer[IP] if layer.haslayer(IP) else layer[IPv6]
            tcp = ip[TCP]
            total = ip.len - ip.ihl * 4 if ip.haslayer(IP) else ip.plen
            options = dict(o for o in tcp.options if len(o) == 2)
            captured = bytes(tcp[Raw].load) if tcp.haslayer(Raw) else b""
            length = total - tcp.dataofs * 4
            row = (number, tunnel, ip.src, ip.dst, tcp.sport, tcp.dport, tcp.seq, tcp.ack, int(tcp.flags))
            segments.append((*row, (options.get("Timestamp") or (0, 0))[0], length, captured[:length]))
    return packets, segments


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_scapy(name):
    path = str(SHARED / name)
    got = read(path)
    packets, segments = scapy_view(path)
    p, s = got.packets, got.segments
    assert list(zip(p.number.tolist(), p.time.tolist(), p.length.tolist(), strict=True)) == packets
    mine = []
    for i in range(len(s)):
        source, destination = format_address(s.src_hi[i], s.src_lo[i]), format_address(s.dst_hi[i], s.dst_lo[i])
        row = (s.packet[i], s.tunnel[i], source, destination, s.sport[i], s.dport[i], s.seq[i], s.ack[i], s.flags[i])
        mine.append((*row, s.tsval[i], s.length[i], got.payloads[i]))
    assert mine == segments
    assert got.info.faults == {}


@pytest.mark.parametrize("name", [*NAMES, "parallel/node.pcap"])
def test_any_block_size_and_speed(name):
    path = str(SHARED / name)
    got = read(path)
    same(got, read(path, 5000))
    with speed("compiled"):
        same(got, read(path, 1024))
        same(got, read(path, 1 << 22))


def test_kinds_in_a_node_capture_with_vxlan():
    got = read(str(SHARED / "vxlan/node.pcap"))
    kinds = np.bincount(got.packets.kind, minlength=7)
    assert kinds[PacketKind.TCP] == len(got.segments)
    assert kinds[PacketKind.MALFORMED] == 0
    assert got.info.link_types == ["LINUX_SLL2"]
    assert all(i.name.startswith("if") for i in got.info.interfaces)
    assert set(got.segments.tunnel.tolist()) == {0, 1}
