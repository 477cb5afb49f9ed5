"""Standard output and standard error: what is written where, how wide, in which colours, and how it ends."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import click

from inspector.disk import unwritable
from inspector.errors import InspectorError
from inspector.lang import _

PIPED_COLUMNS = 120  # width of a table that goes to no terminal
PROGRESS_AFTER = 0.5  # seconds
INNER_LOOPS = 26  # that a large capture compiles, about


class Progress:
    """Bytes read, on stderr, once reading has taken long enough for a person to wonder."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.began = self.told = time.monotonic()
        self.widest = 0
        self.loops = 0

    def __call__(self, read: int, total: int | None) -> None:
        """Called by the pipeline; `total` is None for a pipe."""
        now = time.monotonic()
        if now - self.began < PROGRESS_AFTER or now - self.told < 0.1:
            return
        self.told = now
        said = _("read {n} of {total} MB ({percent} %), {seconds} s") if total else _("read {n} MB, {seconds} s")
        figures = {
            "n": f"{read / 1e6:,.0f}",
            "seconds": f"{now - self.began:.0f}",
            "total": f"{(total or 0) / 1e6:,.0f}",
        }
        self._line(f"inspect: {said.format(percent=min(100, 100 * read // (total or 1)), **figures)}")

    def compiled(self, name: str) -> None:
        """Called after each inner loop that had to be compiled."""
        self.loops += 1
        said = _("compiled {n} of about {total} inner loops").format(n=self.loops, total=INNER_LOOPS)
        self._line(f"inspect: {said}")

    def show(self, text: str) -> None:
        """A line in place of the last one."""
        self._line(text)

    def clear(self) -> None:
        """Take the line away."""
        if self.widest:
            self._line("")
            self.stream.write("\r")
            self.stream.flush()

    def _line(self, text: str) -> None:
        size = columns_of(text)
        self.stream.write("\r" + text + " " * max(0, self.widest - size))
        self.stream.flush()
        self.widest = max(self.widest, size)


@contextmanager
def telling() -> Iterator[Progress | None]:
    """Progress on a terminal's stderr while captures are read; the line is taken away at the end."""
    progress = Progress(sys.stderr) if sys.stderr is not None and sys.stderr.isatty() else None
    if progress is None:
        yield None
        return
    from inspector.kernels import kernel

    kernel.on_compile(progress.compiled)
    try:
        yield progress
    finally:
        kernel.on_compile(None)
        progress.clear()


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


def drawing(target: str | None, ascii_only: bool) -> tuple[bool, str]:
    """(whether to draw with Unicode, the encoding of the output): ASCII where asked for, or where the encoding lacks the rest."""
    encoding = "utf-8" if target is not None else (sys.stdout.encoding or "utf-8")
    try:
        "│┊┼►◄─╌═·├┤✗…–".encode(encoding)
    except (UnicodeError, LookupError):
        ascii_only = True
    return not ascii_only, encoding


def write(batches: Iterable[Iterable[str]], target: str | None) -> bool:
    """Batches of text to stdout or to a file; each is on its way before the next is asked for.

    The file is opened (and emptied) when the first batch is there. False: the reader has closed the pipe, and the rest
    of the batches was not asked for.
    """
    out: Output | None = None
    try:
        for batch in batches:
            out = out or Output(target)
            for piece in gathered(batch):
                out.write(piece)
            out.flush()
        (out or Output(target)).close()
    except ClosedPipe:
        return False
    except BaseException:
        if out is not None:
            with suppress(ClosedPipe, InspectorError):  # what happened first is reported
                out.close()
        raise
    return True


def gathered(text: Iterable[str], size: int = 1 << 16) -> Iterator[str]:
    """The same text in pieces large enough to be written fast."""
    pieces: list[str] = []
    held = 0
    for piece in text:
        pieces.append(piece)
        held += len(piece)
        if held > size:
            yield "".join(pieces)
            pieces, held = [], 0
    yield "".join(pieces)


class ClosedPipe(Exception):
    """Nobody reads stdout any more."""


class Output:
    """Standard output (target None) or a file. What the encoding lacks is written as an escape."""

    def __init__(self, target: str | None) -> None:
        self.name = _("standard output") if target is None else target
        self.target = target
        with self._errors():
            if target is None:
                self.file = sys.stdout
            else:
                fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                _for_the_user_only(fd, target)
                self.file = open(fd, "w", encoding="utf-8", newline="")  # noqa: SIM115 - `close` does it
        self.encoding = self.file.encoding or "utf-8"
        self.narrow = self.encoding.lower().replace("-", "") != "utf8"

    def write(self, text: str) -> None:
        """Hand over text."""
        with self._errors():
            text = _encodable(text, self.encoding, self.narrow)
            try:
                self.file.write(text)
            except UnicodeEncodeError:  # half of a surrogate pair, which no renderer should let through
                self.file.write(_encodable(text, self.encoding, True))

    def flush(self) -> None:
        """See it on its way."""
        with self._errors():
            self.file.flush()

    def close(self) -> None:
        """The end; stdout stays open."""
        with self._errors():
            if self.target is None:
                self.file.flush()
            else:
                self.file.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Only what goes wrong while writing is an error of the output: reading goes on between two batches."""
        try:
            yield
        except OSError as error:
            if self.target is None:
                abandon_stdout()
                if isinstance(error, BrokenPipeError):
                    raise ClosedPipe from error
            raise unwritable(self.name, error, "stdout" if self.target is None else "output") from error


def _for_the_user_only(fd: int, name: str) -> None:
    """A file that was there before keeps its mode when it is opened: 0600 before anything captured is in it."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o177 == 0:
        return
    try:
        os.fchmod(fd, 0o600)
    except OSError:  # another user's file
        say(_("{name}: others may read it, and its mode cannot be changed").format(name=name))


def _encodable(text: str, encoding: str, narrow: bool) -> str:
    """An old terminal may lack the ellipsis and the micro sign."""
    if narrow:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def columns_of(text: str) -> int:
    """How wide a text is in a terminal."""
    if text.isascii():
        return len(text)
    from inspector.render.text import width

    return width(text)


def abandon_stdout() -> None:
    """Nothing reads stdout any more: what is still buffered goes nowhere, also when Python exits."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


def say(message: str, hint: str | None = None) -> None:
    """One line on stderr, and one for the hint; names of files and captured text cannot act on the terminal."""
    from inspector.render.text import escape

    lines = [f"inspect: {escape(message)}"]
    if hint:
        lines.append("  " + _("hint: {hint}").format(hint=escape(hint)))
    try:
        click.echo("\n".join(lines), err=True)
    except OSError:
        pass
