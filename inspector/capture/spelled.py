"""Captures that were written as text: base64 or a hex dump. They are not decoded here; the command that decodes them is named."""

from __future__ import annotations

import binascii
import re

from inspector.lang import marked

HEX = rb"[0-9a-fA-F]"
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{16,}=*\s*")
_BARE = re.compile(rb"(?:%b{2}\s*)+%b?" % (HEX, HEX))
_XXD = re.compile(rb"0{8}: ((?:%b{2,8} )+)" % HEX)
_CANONICAL = re.compile(rb"0{8}  ((?:%b{2} +){8,})" % HEX)
_OCTAL = re.compile(rb"0{7} +((?:%b{2} ?)+)" % HEX)
_OFFSETS = re.compile(rb"0{6} +((?:%b{2} ?)+)" % HEX)
_WORDS = re.compile(rb"0{7} +((?:%b{4} *)+)" % HEX)
_PACKETS = re.compile(rb"0{4,8}:? +(?:%b{2} +){8,}" % HEX)

STRAIGHT = marked(
    "Decode it first: {command}. Or take it as it is: kubectl exec -i POD -- tcpdump -U -w - > capture.pcap (without -t)."
)
IN_BASE64 = marked("a capture in base64")
IN_HEX = marked("a capture as a hex dump")
OF_PACKETS = marked("a hex dump of packets")

Spelled = tuple[str, str]  # what it is, and the command that decodes it


def spelled(head: bytes, kind: object) -> Spelled | None:
    """What a text is that spells a capture; None for any other. `kind(bytes)` tells a capture's kind, "" for none."""
    assert callable(kind)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for pattern, command in (
        (_XXD, "xxd -r FILE > capture.pcap"),
        (_CANONICAL, "cut -c11-58 FILE | xxd -r -p > capture.pcap"),
        (_OFFSETS, "xxd -r FILE > capture.pcap"),
        (_OCTAL, "cut -c9- FILE | xxd -r -p > capture.pcap"),
    ):
        if (found := pattern.match(text)) and kind(_bytes(found[1])):
            return IN_HEX, command
    if found := _WORDS.match(text):
        raw = _bytes(found[1])
        if kind(bytes(raw[i ^ 1] for i in range(len(raw) & ~1))):
            return IN_HEX, "cut -c9- FILE | xxd -r -p | dd conv=swab > capture.pcap"
    if (found := _BARE.match(text)) and len(found[0]) >= 16 and kind(_bytes(found[0])):
        return IN_HEX, "xxd -r -p FILE > capture.pcap"
    if found := _BASE64.fullmatch(text):
        letters = b"".join(text.rstrip(b"=\r\n ").split())
        try:
            raw = binascii.a2b_base64(letters[: len(letters) & ~3])
        except binascii.Error:
            return None
        return (IN_BASE64, "base64 -d FILE > capture.pcap") if kind(raw) else None
    return (OF_PACKETS, "text2pcap FILE capture.pcap") if _PACKETS.match(text) else None


def _bytes(digits: bytes) -> bytes:
    whole = b"".join(digits.split())
    return bytes.fromhex(whole[: len(whole) & ~1].decode())
