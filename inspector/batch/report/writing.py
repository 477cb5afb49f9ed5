"""Writes the site's files: each by a name of its own and a rename, so that a page is whole or the old one; only what changed.

A manifest lists what the report has made. Only such files are ever replaced or removed: a folder that holds other files under
these names is refused.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from inspector import disk
from inspector.errors import UsageError
from inspector.lang import _
from inspector.render.text import escape

MANIFEST = "manifest.json"
SCHEMA = "mirror-inspector-report-files/1"
FOLDERS = ("routes", "days", "captures", "pairs")
_OURS = re.compile(
    r"(?:(?:routes|days|captures|pairs)/[a-z0-9][a-z0-9.-]{0,99}\.html|[a-z]{1,20}\.(?:html|md|csv|json))"
)
_HALF = re.compile(r"\.[a-z0-9][a-z0-9.-]{0,120}\.[0-9a-f]{8}\.half")


class ReportFolder:
    """A report's folder, to be used as a context: at its end what an earlier report made and this one did not is removed.

    A kill at any moment leaves pages that are whole, and a manifest that names all of them. Everything that writes raises
    Unwritable where the folder cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.written: list[str] = []
        self.changed = 0
        self.removed = 0
        self._before: set[str] = set()

    def __enter__(self) -> ReportFolder:
        with self._writing():
            self._enter()
        return self

    def _writing(self) -> AbstractContextManager[None]:
        return disk.writing(self.path, "report")

    def _enter(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._before = self._read()
        for name in FOLDERS:
            place = self.path / name
            place.mkdir(mode=0o700, exist_ok=True)
            if not stat.S_ISDIR(place.lstat().st_mode):
                raise UsageError(_("{path} is not a folder of a report").format(path=escape(str(place))), _empty())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        for name in sorted(self._before - set(self.written)):
            with self._writing(), suppress(FileNotFoundError):
                (self.path / name).unlink()
                self.removed += 1
        with self._writing():
            self._sweep()
        self._manifest(self.written)

    def announce(self, names: Iterable[str]) -> None:
        """Say which files will be written, before the first of them is. Raises UsageError where one is there that is not ours."""
        names = list(names)
        for name in names:
            assert _OURS.fullmatch(name), name
            if name not in self._before and os.path.lexists(self.path / name):
                said = _("{path} is there and no report made it").format(path=escape(str(self.path / name)))
                raise UsageError(said, _empty())
        self._manifest(sorted(self._before | set(names)))

    def write(self, name: str, parts: Iterable[str]) -> None:
        """Write a file, unless it holds this already."""
        content = "".join(parts).encode("utf-8", "backslashreplace")
        self.written.append(name)
        if self._holds(self.path / name, content):
            return
        self._replace(name, content)
        self.changed += 1

    def _replace(self, name: str, content: bytes) -> None:
        target = self.path / name
        half = target.with_name(f".{target.name}.{secrets.token_hex(4)}.half")
        try:
            with self._writing():
                number = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(number, "wb") as file:
                    file.write(content)
                os.replace(half, target)
        except BaseException:
            with suppress(OSError):
                half.unlink()
            raise

    def _holds(self, target: Path, content: bytes) -> bool:
        try:
            found = target.lstat()
            return stat.S_ISREG(found.st_mode) and found.st_size == len(content) and target.read_bytes() == content
        except OSError:
            return False

    def _read(self) -> set[str]:
        """What the manifest names; only names that a report gives."""
        place = self.path / MANIFEST
        try:
            if not stat.S_ISREG(place.lstat().st_mode):
                return set()
            found = json.loads(place.read_text("utf-8"))
            names = found["files"] if found.get("schema") == SCHEMA else []
            return {name for name in names if isinstance(name, str) and _OURS.fullmatch(name)}
        except FileNotFoundError:
            return set()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UsageError(
                _("{path} is not the manifest of a report").format(path=escape(str(place))), _empty()
            ) from None

    def _manifest(self, names: Iterable[str]) -> None:
        text = json.dumps({"schema": SCHEMA, "files": sorted(names)}, indent=0) + "\n"
        if not self._holds(self.path / MANIFEST, text.encode()):
            self._replace(MANIFEST, text.encode())

    def _sweep(self) -> None:
        """Halves that a killed run left behind."""
        for folder in ("", *FOLDERS):
            with os.scandir(self.path / folder) as entries:
                for entry in entries:
                    if _HALF.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        with suppress(OSError):
                            os.unlink(entry.path)


def _empty() -> str:
    return _("give an empty folder, or one that a report was written to")
