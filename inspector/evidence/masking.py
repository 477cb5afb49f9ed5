"""Other addresses and words in place of the captured ones: the same each time, of the same length, and not to be undone.

Everything hangs on a random key that is forgotten. A character is replaced by one of its class, turned by a number that depends
on the key and on all characters before it, so that different words stay different and words that begin alike go on to begin
alike. Classes keep what must stay: how many digits an octet has (an address may stand in a header as text, and TCP counts
bytes), what is hexadecimal, and the length of each character in HPACK's Huffman code (RFC 7541 appendix B).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable

REMEMBERED = 1 << 16  # words and addresses whose replacement is kept at hand
SHORT = 16  # characters up to which each depends on those before it; a longer word is turned as a whole

_LOWER = ("aceiost", "bdfghlmnpru", "jkqvwxyz")
_UPPER = ("A", "BCDEFGHIJKLMNOPQRSTUVWY", "XZ")
_DIGITS = ("012", "3456789")
_HEX = ("ace", "bdf")
WORD_CLASSES = (*_LOWER, *_UPPER, *_DIGITS)
HEX_CLASSES = (*_HEX, "A", "BCDEF", *_DIGITS)
LEADING_CLASSES = (*_HEX, "12", "3456789")  # the first digit of a group of an IPv6 address


def places(classes: Iterable[str]) -> dict[int, tuple[bytes, int]]:
    """By byte: its class and its place in it."""
    return {ord(c): (members.encode(), k) for members in classes for k, c in enumerate(members)}


def moved(place: int, turn: int, size: int) -> int:
    """Another place among `size`; itself only where there is no other."""
    return (place + 1 + turn % (size - 1)) % size if size > 1 else place


WORDS, HEX, LEADING = places(WORD_CLASSES), places(HEX_CLASSES), places(LEADING_CLASSES)


class Mask:
    """Replacements under one key (32 bytes; a random one where none is given)."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._v4: dict[bytes, bytes] = {}
        self._v6: dict[bytes, bytes] = {}
        self._words: dict[tuple[bytes, bool], bytes] = {}

    def stream(self, purpose: bytes, data: bytes, size: int) -> bytes:
        """`size` bytes that depend on the key, the purpose and the data, and tell nothing of them."""
        head = self._key + len(purpose).to_bytes(1, "big") + purpose
        return hashlib.shake_128(head + data).digest(size)

    def turn(self, purpose: bytes, before: bytes) -> int:
        """A number that depends on the key, the purpose and what came before."""
        return int.from_bytes(self.stream(purpose, before, 8), "big")

    def word(self, word: bytes, hexadecimal: bool = False) -> bytes:
        """The replacement of a word of letters and digits; bytes of no class stay."""
        known = self._words.get((word, hexadecimal))
        if known is None:
            table = HEX if hexadecimal else WORDS
            known = self._turned(b"word", word, [table] * len(word))
            if len(self._words) >= REMEMBERED:
                self._words.clear()
            self._words[word, hexadecimal] = known
        return known

    def _turned(self, purpose: bytes, word: bytes, tables: list[dict[int, tuple[bytes, int]]]) -> bytes:
        turns = self.stream(purpose + b" long", word, 2 * len(word)) if len(word) > SHORT else b""
        out = bytearray(word)
        for i, c in enumerate(word):
            if c in tables[i]:
                members, place = tables[i][c]
                turn = int.from_bytes(turns[2 * i : 2 * i + 2], "big") if turns else self.turn(purpose, word[:i])
                out[i] = members[moved(place, turn, len(members))]
        return bytes(out)

    # -- addresses ----------------------------------------------------------------------------------------------------

    def v4(self, address: bytes) -> bytes:
        """Another IPv4 address (4 bytes): with as many digits in each octet, of the same kind (loopback, private, link-local,
        multicast, ...), and sharing as many first octets with another as before."""
        known = self._v4.get(address)
        if known is None:
            known = bytes(self._octet(address, i) for i in range(4))
            if len(self._v4) >= REMEMBERED:
                self._v4.clear()
            self._v4[address] = known
        return known

    def _octet(self, address: bytes, i: int) -> int:
        octet = address[i]
        members = [o for o in _ALIKE[octet] if _kind(address[:i], o) == _kind(address[:i], octet)]
        if _kept(address, i):
            return octet
        return members[moved(members.index(octet), self.turn(b"v4", address[:i]), len(members))]

    def v6(self, address: bytes) -> bytes:
        """Another IPv6 address (16 bytes): its text is as long, its kind and its groups of zeros are the same."""
        known = self._v6.get(address)
        if known is None:
            known = self._another_v6(address)
            if len(self._v6) >= REMEMBERED:
                self._v6.clear()
            self._v6[address] = known
        return known

    def _another_v6(self, address: bytes) -> bytes:
        if address[:12] in (bytes(10) + b"\xff\xff", b"\x00\x64\xff\x9b" + bytes(8)):  # RFC 4291 2.5.5.2, RFC 6052
            return address[:12] + self.v4(address[12:])
        if address[0] == 0xFF or address[:15] == bytes(15):  # multicast; unspecified, loopback, Istio's ::6
            return address
        out = []
        for i in range(8):
            group = f"{int.from_bytes(address[2 * i : 2 * i + 2], 'big'):x}".encode()
            if group == b"0" or (i == 0 and address[0] == 0xFE):
                out.append(group)
                continue
            new = bytearray(group)
            for k, c in enumerate(group):
                if i == 0 and k < (2 if address[0] & 0xFE == 0xFC else 1):
                    continue  # fd00::/8 and 2000::/3 stay what they are
                members, place = (HEX if k else LEADING)[c]
                turn = self.turn(b"v6", address[: 2 * i] + group[:k])
                new[k] = members[moved(place, turn, len(members))]
            out.append(bytes(new))
        return b"".join(int(group, 16).to_bytes(2, "big") for group in out)

    def mac(self, address: bytes) -> bytes:
        """Another link-layer address: locally administered; none, broadcast and multicast stay."""
        if not any(address) or address[0] & 1:
            return address
        new = bytearray(self.stream(b"mac", address, len(address)))
        new[0] = new[0] & 0xFC | 2
        return bytes(new)

    def address_text(self, text: bytes) -> bytes | None:
        """An address in text, replaced; None where it is none or is not written as usual (then its length might change)."""
        try:
            given = ipaddress.ip_address(text.decode("ascii"))
        except ValueError:
            return None
        if isinstance(given, ipaddress.IPv4Address):
            return str(ipaddress.IPv4Address(self.v4(given.packed))).encode()
        out = str(ipaddress.IPv6Address(self.v6(given.packed))).encode()
        return out if len(out) == len(text) else None


def _alike(octet: int) -> list[int]:
    """The octets whose text has digits of the same classes."""

    def pattern(o: int) -> tuple[int, ...]:
        return tuple(0 if c in _DIGITS[0] else 1 for c in str(o))

    return [o for o in range(256) if pattern(o) == pattern(octet)]


_ALIKE = [_alike(octet) for octet in range(256)]
_SPECIAL = frozenset((0, 10, 100, 127, 169, 172, 192))  # first octets under which kinds differ


def _kept(address: bytes, i: int) -> bool:
    """Whether octet i is part of what makes the address the kind it is."""
    first = address[0]
    if first in (0, 127) or first >= 224:
        return True
    if i == 0:
        return first in _SPECIAL
    return i == 1 and (address[:2] in (b"\xa9\xfe", b"\xc0\xa8"))


def _kind(before: bytes, octet: int) -> int:
    """Numbers that tell apart what an octet may not turn into: RFC 1918, 3927, 6598 and what is beyond unicast."""
    if not before:
        return 1 if octet in _SPECIAL or octet >= 224 else 0
    if len(before) > 1:
        return 0
    return {
        100: int(64 <= octet <= 127),
        169: int(octet == 254),
        172: int(16 <= octet <= 31),
        192: int(octet == 168),
    }.get(before[0], 0)
