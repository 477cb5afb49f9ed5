"""Names of pages, of captures and of commands: safe whatever a capture's path or its packets say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from hashlib import blake2b

from inspector.batch.report.columns import Unit
from inspector.lang import several
from inspector.render.text import cut_middle, escape

MAX_SLUG = 40
MAX_NAME = 60  # columns of a capture's name
_UNSAFE = re.compile(r"[^a-z0-9]+")


def page_name(*parts: str) -> str:
    """A file name for a page: a readable beginning of letters, digits and hyphens, then a hash of all parts."""
    digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    slug = _UNSAFE.sub("-", "-".join(part for part in parts if part).lower()).strip("-")[:MAX_SLUG].strip("-")
    return f"{slug}-{digest}" if slug else digest


def unit_name(unit: Unit) -> str:
    """The last part of its first path, and how many pieces follow; visible text."""
    name = cut_middle(escape(unit.name.rstrip("/").rpartition("/")[2] or unit.key), MAX_NAME)
    more = len(unit.paths) - 1
    if more < 1:
        return name
    return several("{name} and {n} more piece", "{name} and {n} more pieces", more).format(name=name, n=f"{more:,}")


def command(paths: Sequence[str], *words: str) -> str:
    """`inspect CAPTURE... WORDS` as a shell (bash, zsh) takes it, in visible characters."""
    return " ".join(["inspect", *(quoted(path) for path in paths), *words])


def quoted(path: str) -> str:
    """A path as one word of a shell, that is no option."""
    if path.startswith("-"):
        path = f"./{path}"
    if escape(path) == path:
        return shlex.quote(path)
    out = []
    for char in path:
        if char in "'\\":
            out.append(f"\\{char}")
        elif escape(char) == char:
            out.append(char)
        else:
            out += [f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass")]
    return "$'" + "".join(out) + "'"
