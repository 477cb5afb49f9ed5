"""The Python libraries at the same work, as a program: bench_readers.py scapy|dpkt|pyshark FILE.

Each reads every packet of FILE with its own means and parses the HTTP messages that it finds; the last line of its output is
their number. None of the loops does more than the library's documentation shows.
"""

from __future__ import annotations

import sys

STARTS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ")


def scapy(path: str) -> int:
    """Packet by packet with its HTTP layer on every port of the recording; no reassembly."""
    from scapy.layers.http import HTTPRequest, HTTPResponse  # registers the layer
    from scapy.layers.inet import TCP
    from scapy.packet import Raw
    from scapy.utils import PcapReader

    found = 0
    with PcapReader(path) as packets:
        for packet in packets:
            if TCP not in packet:
                continue
            if HTTPRequest in packet or HTTPResponse in packet:
                found += 1  # its layer is bound to port 80 only
            elif Raw in packet:
                payload = bytes(packet[Raw].load)
                if payload.startswith(STARTS):
                    HTTPRequest(payload)
                    found += 1
                elif payload.startswith(b"HTTP/1."):
                    HTTPResponse(payload)
                    found += 1
    return found


def dpkt(path: str) -> int:
    """Packet by packet; messages that begin at a packet's payload are parsed; no reassembly."""
    import dpkt as library

    layers = {1: library.ethernet.Ethernet, 113: library.sll.SLL, 276: library.sll2.SLL2}
    found = 0
    with open(path, "rb") as file:
        capture = library.pcap.Reader(file)
        layer = layers[capture.datalink()]
        for _, data in capture:
            try:
                network = layer(data).data
                if not isinstance(network, library.ip.IP) or not isinstance(network.data, library.tcp.TCP):
                    continue
                payload = network.data.data
                if payload.startswith(STARTS):
                    library.http.Request(payload)
                    found += 1
                elif payload.startswith(b"HTTP/1."):
                    library.http.Response(payload)
                    found += 1
            except (library.dpkt.NeedData, library.dpkt.UnpackError):
                continue  # a body that goes on in the next packet
    return found


def pyshark(path: str) -> int:
    """Messages as pyshark hands them out with a display filter."""
    import pyshark as library

    found = 0
    with library.FileCapture(path, display_filter="http", keep_packets=False) as capture:
        for packet in capture:
            found += hasattr(packet, "http")
    return found


if __name__ == "__main__":
    print({"scapy": scapy, "dpkt": dpkt, "pyshark": pyshark}[sys.argv[1]](sys.argv[2]))
