"""What the first bytes of an input look like."""

from __future__ import annotations

from inspector.capture.pcap import MAGICS, MODIFIED
from inspector.capture.pcapng import MAGIC as PCAPNG_MAGIC
from inspector.capture.spelled import spelled
from inspector.capture.tar import is_tar
from inspector.lang import marked

COMPRESSIONS = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"\xfd7zXZ\x00": "xz", b"\x04\x22\x4d\x18": "lz4"}
LOOK = 512  # bytes looked at

EDITCAP = marked("Convert it first: editcap -F pcap IN OUT")
_KNOWN = (
    (b"\xa1\xe2\xcb\x12", marked("a pcap of Navtel"), EDITCAP),
    (b"snoop\0\0\0", marked("a snoop capture"), EDITCAP),
    (b"\x54\x52\x00\x64", marked("an HP-UX nettl capture"), EDITCAP),
    (b"TRSNIFF data", marked("a Sniffer capture"), EDITCAP),
    (b"XCP\0", marked("a NetXRay capture"), EDITCAP),
    (b"GMBU", marked("a Microsoft Network Monitor capture"), EDITCAP),
    (b"RTSS", marked("a Microsoft Network Monitor capture"), EDITCAP),
    (b"\x7fELF", marked("a program (ELF)"), ""),
    (b"MZ", marked("a Windows program"), ""),
    (b"\x89PNG", marked("a PNG picture"), ""),
    (b"\xff\xd8\xff", marked("a JPEG picture"), ""),
    (b"%PDF", marked("a PDF document"), ""),
    (b"PK\x03\x04", marked("a zip archive"), marked("Unpack it and name the captures in it.")),
    (b"7z\xbc\xaf\x27\x1c", marked("a 7-Zip archive"), marked("Unpack it and name the captures in it.")),
    (b"BZh", marked("bzip2 data"), marked("Unpack it first: bunzip2 FILE")),
    (b"SQLite format 3", marked("a SQLite database"), ""),
    (b"PAR1", marked("a Parquet file"), ""),
)
HINT = marked(
    "A capture is what tcpdump -w, dumpcap or Wireshark writes (pcap, pcapng; also gz, zst, xz, lz4, tar of them)."
)


def sniff(head: bytes) -> str:
    """ "pcap", "pcapng", "tar", "gz", "zst", "xz", "lz4", or "" for none of them."""
    if head[:4] in MAGICS or head[:4] in MODIFIED:
        return "pcap"
    if head[:4] == PCAPNG_MAGIC:
        return "pcapng"
    for magic, kind in COMPRESSIONS.items():
        if head.startswith(magic):
            return kind
    # pzstd begins with a skippable frame.
    if len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:
        return "zst"
    return "tar" if is_tar(head) else ""


def describe(head: bytes) -> tuple[str, str]:
    """What an input that is not a capture looks like, and a hint. `head`: its first LOOK bytes."""
    for magic, what, hint in _KNOWN:
        if head.startswith(magic):
            return what, hint or HINT
    if not any(head):
        return marked("zero bytes only"), marked("The file was perhaps reserved on disk but never written.")
    if _looks_like_erf(head):
        return marked("an ERF capture"), EDITCAP
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    try:
        words = head.decode("utf-8")
    except UnicodeDecodeError as error:
        words = head[: error.start].decode("utf-8") if error.start >= len(head) - 3 else ""
    if words and (found := spelled(head, sniff)):
        return found
    if not words or any(c < " " and c not in "\t\r\n\f\x1b" for c in words):
        return marked("data of an unknown kind"), HINT
    if start.startswith((b"<!doctype html", b"<html")):
        return marked("an HTML page"), marked(
            "Was it saved by a browser that was not logged in? Download the capture itself."
        )
    if start.startswith((b"{", b"[")):
        return marked("JSON"), HINT
    if start.startswith(b"<"):
        return marked("XML"), HINT
    if b" > " in head and (b" IP " in head or b" IP6 " in head or b"Flags [" in head):
        return marked("tcpdump's text output"), marked("Write packets instead of text: tcpdump -w capture.pcap")
    return marked("text"), HINT


def _looks_like_erf(head: bytes) -> bool:
    """Endace ERF has no magic: 16-byte headers; little-endian time, type, flags, rlen, loss, wlen."""
    if len(head) < 16:
        return False
    length, on_wire = int.from_bytes(head[10:12], "big"), int.from_bytes(head[14:16], "big")
    seconds = int.from_bytes(head[4:8], "little")
    known = 1 <= head[8] & 0x7F <= 48
    return known and head[12:14] == b"\0\0" and length > 16 and on_wire > 0 and 10**9 < seconds < 2**31
