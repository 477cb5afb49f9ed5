"""Standard output and standard error: what is written where, how wide, in which colours, and how it ends."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable
from typing import TextIO

import click

from inspector.errors import InspectorError

PIPED_COLUMNS = 120  # width of a table that goes to no terminal
PROGRESS_AFTER = 0.5  # seconds


class Progress:
    """Bytes read, on stderr, once reading has taken long enough for a person to wonder."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.began = self.told = time.monotonic()
        self.widest = 0

    def __call__(self, read: int, total: int | None) -> None:
        """Called by the pipeline; `total` is None for a pipe."""
        now = time.monotonic()
        if now - self.began < PROGRESS_AFTER or now - self.told < 0.1:
            return
        self.told = now
        part = f" of {total / 1e6:,.0f} MB ({min(100, 100 * read // total)} %)" if total else " MB"
        self._line(f"inspect: read {read / 1e6:,.0f}{part}, {now - self.began:.0f} s")

    def clear(self) -> None:
        """Take the line away."""
        if self.widest:
            self._line("")
            self.stream.write("\r")
            self.stream.flush()

    def _line(self, text: str) -> None:
        self.stream.write("\r" + text.ljust(self.widest))
        self.stream.flush()
        self.widest = max(self.widest, len(text))


def columns(target: str | None) -> int:
    """How wide a table may be: the terminal, else COLUMNS, else PIPED_COLUMNS. `target` is a file or None."""
    if target is None and sys.stdout.isatty():
        return max(shutil.get_terminal_size((PIPED_COLUMNS, 24)).columns, 40)
    wanted = os.environ.get("COLUMNS", "")
    return max(int(wanted), 40) if wanted.isdecimal() else PIPED_COLUMNS


def colour(choice: str, target: str | None) -> bool:
    """Whether to colour; "auto": on a terminal without NO_COLOR."""
    if choice != "auto":
        return choice == "always"
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return target is None and not plain and sys.stdout.isatty()


def write(text: Iterable[str], target: str | None) -> None:
    """To stdout or to a file. A reader that closes the pipe ends the output, quietly."""
    if target is not None:
        try:
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(fd, "w", encoding="utf-8", newline="") as file:
                _pour(text, file)
        except OSError as error:
            raise InspectorError(f"{target}: cannot be written: {error.strerror or error}") from error
        return
    try:
        _pour(text, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
    except OSError as error:
        abandon_stdout()
        raise InspectorError(f"standard output: cannot be written: {error.strerror or error}") from error


def _pour(text: Iterable[str], file: TextIO) -> None:
    """Write in pieces large enough to be fast; what the encoding lacks is written as an escape."""
    encoding = file.encoding or "utf-8"
    narrow = encoding.lower().replace("-", "") != "utf8"
    pieces: list[str] = []
    size = 0
    for piece in text:
        pieces.append(piece)
        size += len(piece)
        if size > 1 << 16:
            file.write(_encodable("".join(pieces), encoding, narrow))
            pieces, size = [], 0
    file.write(_encodable("".join(pieces), encoding, narrow))


def _encodable(text: str, encoding: str, narrow: bool) -> str:
    """An old terminal may lack the ellipsis and the micro sign."""
    if narrow:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def abandon_stdout() -> None:
    """Nothing reads stdout any more: what is still buffered goes nowhere, also when Python exits."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


def say(message: str, hint: str | None = None) -> None:
    """One line on stderr, and one for the hint; names of files and captured text cannot act on the terminal."""
    from inspector.render.text import escape

    lines = [f"inspect: {escape(message)}"] + ([f"  hint: {escape(hint)}"] if hint else [])
    try:
        click.echo("\n".join(lines), err=True)
    except OSError:
        pass
