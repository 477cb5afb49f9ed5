"""A second opinion: captures read again with Wireshark's dissectors or with scapy, compared with what this program found.

Nothing that the other reader says changes a verdict: it is compared, and each difference is reported with its reason where the
capture's own packets show one.
"""
