"""Names of pages, of captures and of commands: safe whatever a capture's path or its packets say."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict
from hashlib import blake2b

from inspector.batch.report.columns import UnitFigures
from inspector.batch.units import How
from inspector.lang import _, several
from inspector.render.text import cut_middle, escape
from inspector.storable import path_of

MAX_SLUG = 40
MAX_NAME = 60  # columns of a capture's name
_MEMBER = re.compile(
    r"(.*\.(?:tar(?:\.(?:gz|zst|xz|lz4))?|tgz|txz|tzst)):(.+)", re.IGNORECASE | re.DOTALL
)  # ARCHIVE:MEMBER
_UNSAFE = re.compile(r"[^a-z0-9]+")


def page_name(*parts: str) -> str:
    """A file name for a page: a readable beginning of letters, digits and hyphens, then a hash of all parts."""
    digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    slug = _UNSAFE.sub("-", "-".join(part for part in parts if part).lower()).strip("-")[:MAX_SLUG].strip("-")
    return f"{slug}-{digest}" if slug else digest


def unit_name(unit: UnitFigures) -> str:
    """The last part of its first path, and how many pieces follow; visible text."""
    name = cut_middle(escape(unit.name.rstrip("/").rpartition("/")[2] or unit.key), MAX_NAME)
    more = len(unit.paths) - 1
    if more < 1:
        return name
    return several("{name} and {n} more piece", "{name} and {n} more pieces", more).format(name=name, n=f"{more:,}")


def command(unit: UnitFigures, *words: str) -> str:
    """`inspect CAPTURE... WORDS` with the options that the unit was read with, as bash and zsh take it, in visible characters."""
    asked = [*words, *_options(unit)]
    paths = [path_of(path) for path in unit.paths]
    member = _MEMBER.fullmatch(paths[0]) if len(paths) == 1 else None
    if member and "://" not in member[1]:
        return " ".join(["tar -xOf", quoted(member[1]), quoted(member[2]), "| inspect -", *asked])
    return " ".join(["inspect", *(quoted(path) for path in paths), *asked])


def before(unit: UnitFigures) -> str:
    """What has to be done before the command works; "" for nothing."""
    if any("://" in path for path in unit.paths):
        return _("Fetch the capture first: inspect reads files.")
    if len(unit.paths) > 1 and any(_MEMBER.fullmatch(path) for path in unit.paths):
        return _("Unpack the archive first, and give the paths of its members.")
    return ""


def _options(unit: UnitFigures) -> list[str]:
    """The options that are not the usual ones: numbers of mirrors depend on them."""
    usual = asdict(How())
    try:
        asked = {**usual, **json.loads(unit.row["options"] or "{}")}
        out = ["--suffix", word(asked["suffix"])] if asked["suffix"] != usual["suffix"] else []
        out += ["--window", f"{float(asked['window']):g}"] if asked["window"] != usual["window"] else []
        out += ["--match", word(",".join(asked["match"]))] if asked["match"] else []
        return out + (["--no-redact"] if asked["no_redact"] is True else [])
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def quoted(path: str) -> str:
    """A path as one word of a shell, that is not an option."""
    return word(f"./{path}" if path.startswith("-") else path)


def word(text: str) -> str:
    """Text as one word of a shell, in visible characters."""
    if escape(text) == text:
        return shlex.quote(text)
    out = []
    for char in text:
        if char in "'\\":
            out.append(f"\\{char}")
        elif escape(char) == char:
            out.append(char)
        else:
            how = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
            out += [f"\\x{byte:02x}" for byte in char.encode("utf-8", how)]
    return "$'" + "".join(out) + "'"
