"""`--write-evidence FILE`: the packets of the proof, read back before the file gets its name."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

import click

from inspector import disk
from inspector.cli import streams
from inspector.errors import UsageError
from inspector.lang import _, several

if TYPE_CHECKING:
    from inspector.evidence.anonymise import Anonymiser
    from inspector.evidence.write import Check, EvidenceSet
    from inspector.inspection import Inspection, Stream
    from inspector.reread.messages import Capture

NAMED = 10  # mirrors named in a sentence


def check(target: str | None, anonymise: bool, output: str | None, paths: Sequence[str], alone: bool) -> None:
    """Say what is wrong with --write-evidence before a long capture is read. alone: an option is given that it does not go
    with. Raises UsageError."""
    if target is None:
        if anonymise:
            raise UsageError(
                _("--anonymise changes evidence, and none is written"), _("give --write-evidence FILE.pcapng as well")
            )
        return
    if alone:
        raise UsageError(
            _("--write-evidence goes with --show-mirrors, --explain or the summary, not with --diff or --follow")
        )
    folder = os.path.dirname(target) or "."
    if target == "-":
        raise UsageError(_("--write-evidence needs the name of a file"), "--write-evidence evidence.pcapng")
    if not os.path.isdir(folder):
        raise UsageError(_("{file}: the directory {folder} does not exist").format(file=target, folder=folder))
    if os.path.exists(target) and not os.path.isfile(target):
        raise UsageError(
            _("{file}: is not a file that can be replaced").format(file=target), "--write-evidence evidence.pcapng"
        )
    for path in (*paths, *([output] if output else [])):
        same = os.path.exists(target) and os.path.exists(path) and os.path.samefile(target, path)
        if same or os.path.abspath(target) == os.path.abspath(path):
            raise UsageError(
                _("{file}: is an input or another output, and would be overwritten").format(file=target),
                _("give another name with --write-evidence"),
            )


def inputs(paths: Sequence[str], reread: bool) -> tuple[Sequence[str | BinaryIO], Sequence[Capture]]:
    """The captures to inspect and, with `reread`, to read again: a pipe is kept in a private file until the command ends."""
    if not reread:
        return paths, paths
    from inspector.reread.spool import Inputs

    context = click.get_current_context()
    kept = context.with_resource(Inputs(paths))
    context.call_on_close(lambda: _tell_dropped(kept.dropped))
    return kept.first, kept.again


def _tell_dropped(count: int) -> None:
    if count:
        text = several(
            "{count} byte of the pipe was not kept: what it holds could not be read again",
            "{count} bytes of the pipe were not kept: what they hold could not be read again",
            count,
        )
        streams.say(text.format(count=f"{count:,}"), _("write the capture to a file first"))


def write(
    found: Inspection | Stream,
    captures: Sequence[Capture],
    target: str | None,
    anonymise: bool,
    suffix: str,
    number: int | None = None,
) -> None:
    """Write the evidence of mirror `number` (None: of all) to `target`, and say on stderr what was written. Without a target
    nothing is done.

    captures: what was inspected, to be read again. Raises Unwritable.
    """
    if target is None:
        return
    import inspector
    from inspector.evidence.anonymise import Anonymiser
    from inspector.evidence.write import EvidenceSet
    from inspector.inspection import Inspection

    assert isinstance(found, Inspection)  # `check` has seen to that
    evidence = EvidenceSet(found, None if number is None else [number])
    if not len(evidence.asked):
        streams.say(_("no mirror was found: no evidence is written"))
        return
    application = f"mirror-inspector {inspector.__version__}"
    with _private(target) as plain:
        while True:
            _fill(plain, evidence.blocks(captures, application, named=not anonymise), target)
            check = evidence.judge(plain)
            if not evidence.widen(check):
                break
        if not anonymise:
            _rename(plain, target)
            _tell(target, evidence.packets, check, evidence, None)
            return
        rewriter = Anonymiser(plain, suffix)
        with _private(target) as masked:
            _fill(masked, rewriter.blocks(application), target)
            check = evidence.judge(masked)
            _rename(masked, target)
        _tell(target, rewriter.packets, check, evidence, rewriter)


@contextmanager
def _private(target: str) -> Iterator[str]:
    """A new file beside `target` that nobody else may read; it goes unless it was renamed."""
    # The name is known before the file is there, so that a signal at any moment leaves none.
    path = os.path.join(os.path.dirname(target) or ".", f".inspect-{secrets.token_hex(8)}.pcapng")
    try:
        with _writing(target):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield path
    finally:
        with suppress(OSError):
            os.unlink(path)


def _fill(path: str, blocks: Iterable[bytes], target: str) -> None:
    """Write the blocks to `path`. Reading goes on between two of them: only what goes wrong while writing is an
    error of `target`."""
    with _writing(target):
        file = open(path, "wb")  # noqa: SIM115 - closed below
    try:
        for block in blocks:
            with _writing(target):
                file.write(block)
        with _writing(target):
            file.flush()
    finally:
        with suppress(OSError):  # what could not be flushed is reported already
            file.close()


def _rename(path: str, target: str) -> None:
    with _writing(target):
        os.replace(path, target)


def _writing(target: str) -> AbstractContextManager[None]:
    return disk.writing(target, "evidence")


def _tell(target: str, packets: int, check: Check, evidence: EvidenceSet, rewriter: Anonymiser | None) -> None:
    """What was written, and whether it proves the same."""
    wrote = several("evidence: {count} packet in {file}", "evidence: {count} packets in {file}", packets)
    judged = several(
        "read back, the verdict of {same} of {count} mirror is the same",
        "read back, the verdicts of {same} of {count} mirrors are the same",
        check.asked,
    )
    wrote = wrote.format(count=f"{packets:,}", file=target)
    streams.say(f"{wrote}; {judged.format(same=f'{check.same:,}', count=f'{check.asked:,}')}")
    for told, numbers in (
        (_("not found in the evidence alone: {numbers}"), check.missing),
        (_("judged otherwise from the evidence alone, rely on the capture: {numbers}"), check.other),
    ):
        if numbers:
            streams.say(told.format(numbers=_numbers(numbers)))
    if check.spans:
        text = several(
            "{count} exchange is called a mirror in the evidence that is none in the capture",
            "{count} exchanges are called mirrors in the evidence that are none in the capture",
            len(check.spans),
        )
        streams.say(text.format(count=f"{len(check.spans):,}"))
    if evidence.left_out:
        text = several("{count} packet could not be written", "{count} packets could not be written", evidence.left_out)
        streams.say(text.format(count=f"{evidence.left_out:,}"))
    if rewriter is not None:
        _tell_masked(rewriter)


def _tell_masked(rewriter: Anonymiser) -> None:
    """What could not be anonymised, and so is not there."""
    left = sum(rewriter.left_out.values())
    if left:
        why = ", ".join(f"{code} {count:,}" for code, count in rewriter.left_out.most_common())
        text = several(
            "{count} packet was left out: it cannot be anonymised ({why})",
            "{count} packets were left out: they cannot be anonymised ({why})",
            left,
        )
        streams.say(text.format(count=f"{left:,}", why=why))
    blank = sum(rewriter.blanked.values())
    if blank:
        what = ", ".join(f"{name} {count:,}" for name, count in rewriter.blanked.most_common())
        text = several(
            "{count} byte that belongs to no HTTP/1 message is zero now ({what})",
            "{count} bytes that belong to no HTTP/1 message are zero now ({what})",
            blank,
        )
        streams.say(text.format(count=f"{blank:,}", what=what))


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:NAMED]))
    more = len(numbers) - NAMED
    return shown if more <= 0 else _("{numbers} and {count} more").format(numbers=shown, count=f"{more:,}")
