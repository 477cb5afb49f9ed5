"""`seen.json`: what is known of paths, a memory that saves work. It may be anybody's: what has not the shape that was written is
not believed, and then found out again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspector.batch.schema import VERSION

Units = dict[str, tuple[tuple[str, ...], str]]  # key: paths, state


def _is_look(value: Any) -> bool:
    return value == [] or (_is_list(value, 2) and isinstance(value[0], int) and isinstance(value[1], str))


def _is_members(value: Any) -> bool:
    return (
        _is_list(value, 2)
        and isinstance(value[0], list)
        and isinstance(value[1], str)
        and all(_is_list(m, 3) and isinstance(m[0], str) and all(type(n) is int for n in m[1:]) for m in value[0])
    )


def _is_list(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


SHAPES: dict[str, Callable[[Any], bool]] = {  # by kind of what is known of a path; other kinds are only compared
    "content": lambda value: isinstance(value, str),
    "look": _is_look,
    "last": lambda value: type(value) is int,
    "members": _is_members,
}


class Memory:
    """What was found out about a path while it had a certain stamp: the hash of its content, an archive's members, ..."""

    def __init__(self, known: dict[str, dict[str, Any]]) -> None:
        self._known = known  # path: {kind: [stamp, value]}
        self._used: set[str] = set()
        self.fresh = False  # whether there is something new to be written down

    def recall(self, kind: str, path: str, stamp: str) -> Any:
        """The value, None where it is not known of this stamp."""
        self._used.add(path)
        found = self._known.get(path, {}).get(kind)
        return found[1] if found and stamp and found[0] == stamp else None

    def keep(self, kind: str, path: str, stamp: str, value: Any) -> None:
        """Remember a value."""
        self.fresh = True
        self._used.add(path)
        self._known.setdefault(path, {})[kind] = [stamp, value]

    def kept(self, held: set[str]) -> dict[str, dict[str, Any]]:
        """What is worth keeping: of paths that the store holds, or that this run has seen."""
        return {path: kinds for path, kinds in self._known.items() if path in held or path in self._used}


def read(path: Path) -> tuple[dict[str, dict[str, Any]], Units]:
    """What `path` knows of paths, and of units."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != VERSION:
            return {}, {}
        paths, units = dict(found["paths"]), dict(found["units"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}, {}
    return {name: kinds for name, told in paths.items() if (kinds := _kinds(told))}, {
        key: (tuple(held[0]), held[1]) for key, held in units.items() if _is_unit(held)
    }


def _kinds(told: Any) -> dict[str, Any]:
    """Of what is said of a path, what has its shape: [stamp, value] by kind."""
    if not isinstance(told, dict):
        return {}
    return {
        kind: entry
        for kind, entry in told.items()
        if _is_list(entry, 2) and isinstance(entry[0], str) and SHAPES.get(kind, lambda _value: True)(entry[1])
    }


def _is_unit(held: Any) -> bool:
    return (
        _is_list(held, 2)
        and isinstance(held[0], list)
        and bool(held[0])
        and all(isinstance(path, str) for path in held[0])
        and isinstance(held[1], str)
    )
