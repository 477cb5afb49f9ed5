r"""Text that every file can hold.

Captures and file systems give text that UTF-8 has no bytes for: lone surrogates. In Python U+DC80 to U+DCFF stand for bytes that
are no UTF-8, and JSON may hold one half of an emoji. Arrow refuses both, as does every file in UTF-8 and many a reader of JSON.
Here they become visible words: the byte `\xe9`, the half `\ud83d`. All other characters stay, NULs too.
"""

from __future__ import annotations

import re
from typing import Any

_LONE = re.compile("[\ud800-\udfff]")
_BYTE, _LAST = 0xDC80, 0xDCFF  # stand for the bytes 0x80 to 0xFF
# `named` writes the first two of these as words, `path_of` reads the words back.
_ODD = re.compile("[\udc80-\udcff]|\\\\(?=x(?:[89a-f][0-9a-f]|5c))")
_WORD = re.compile(r"\\x([89a-f][0-9a-f]|5c)")


def storable(text: str) -> str:
    """The text with words in place of what a file cannot hold."""
    return text if text.isascii() else _LONE.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if _BYTE <= code <= _LAST else f"\\u{code:04x}"


def everything(value: Any) -> Any:
    """A value (of texts, numbers, lists, tuples and dicts) with all of its texts storable, keys too."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {everything(key): everything(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [everything(inside) for inside in value]
    return value


def named(path: str) -> str:
    r"""A path as a store holds it: `path_of` gives the path back. A backslash that reads as such a word becomes `\x5c`."""
    return storable(_ODD.sub(_word, path))


def _word(match: re.Match[str]) -> str:
    return "\\x5c" if match[0] == "\\" else _shown(match)


def path_of(name: str) -> str:
    """The path that `named` made this name of."""
    return _WORD.sub(lambda match: _character(int(match[1], 16)), name)


def _character(byte: int) -> str:
    return chr(byte) if byte < 0x80 else chr(0xDC00 + byte)
