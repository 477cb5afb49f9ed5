"""The command `inspect`: its options, what it does with them, and its exit status.

Imports of the pipeline, numpy and the renderers stand inside functions: `inspect --help` must answer at once.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import click

from inspector import lang
from inspector.cli import difference, evidence, har, options, report, speech, streams
from inspector.errors import InspectorError, UsageError
from inspector.lang import _
from inspector.render.formats import FORMATS
from inspector.render.source import VERDICTS

if TYPE_CHECKING:
    from inspector.inspection import Inspection, Stream
    from inspector.mirror.views import CaptureView

OK, FAILED, USAGE, DAMAGED, INCONCLUSIVE, SOFTWARE, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130
SIGNS = ("request-id", "suffix", "xff", "internal", "trace", "content", "headers", "count")

EXAMPLES = """\b
Examples:
  inspect node.pcap                         what is in it, and what cannot be seen
  inspect client.pcap --show-mirrors        a row for each mirror, then the finding
  inspect client.pcap --explain 1           one of them step by step, with a diagram
  tcpdump -i any -w - | inspect - --show-mirrors
  tcpdump -i any -U -w - | inspect - --show-mirrors --follow
  inspect lesson 1                          learn it from real captures, step by step
  inspect doctor --warm                     is all there? compile the inner loops ahead
  inspect a.pcap b.pcap.zst --json -o report.json
  inspect gw.pcap --format html -o report.html
  inspect gw.pcap --fail-on leaked,inconclusive

\b
Exit status:
  0 done                         1 --fail-on met
  2 wrong usage, or an input that cannot be read
  3 input damaged or cut short: results are for the part that could be read
  4 unproven mirrors under --fail-on inconclusive
  130 interrupted
"""


@click.command(
    "inspect",
    cls=speech.Speaking,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("captures", nargs=-1, metavar="CAPTURE...", type=click.Path(allow_dash=True))
@click.option(
    "-r", "read", multiple=True, metavar="FILE", type=click.Path(allow_dash=True), help="Read FILE, as tcpdump has it."
)
@click.option("--show-mirrors", is_flag=True, help="A row for each mirror with its verdict, then the finding.")
@click.option("--show-exchanges", is_flag=True, help="Every exchange with its leg.")
@click.option(
    "--explain",
    type=click.IntRange(min=1),
    metavar="N",
    help="Mirror N of --show-mirrors, told step by step with its ladder diagram and the packets that prove it.",
)
@click.option(
    "--diff", type=options.Which(), metavar="N|all", help="Mirror N against its original; all: a summary of all pairs."
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="Format of the output.  [default: table]")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(allow_dash=True), help="Write to FILE (mode 0600).")
@click.option(
    "--suffix", default="-shadow", show_default=True, metavar="TEXT", help="What the proxy appends to a copy's host."
)
@click.option(
    "--window",
    default=15.0,
    show_default=True,
    callback=options.seconds,
    metavar="SECONDS",
    help="How far apart an original and its mirror may be.",
)
@click.option(
    "--match",
    type=options.Words(SIGNS),
    metavar="SIGN,...",
    help=f"Pair by these signs only: {', '.join(SIGNS)}.  [default: all]",
)
@click.option(
    "--fail-on",
    type=options.Words((*VERDICTS, "inconclusive")),
    metavar="VERDICT,...",
    help=f"Exit with 1 if a mirror has one of these verdicts: {', '.join(VERDICTS)}. "
    "`inconclusive` exits with 4 if one is unproven.",
)
@click.option(
    "--color",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    show_default=True,
    help="Colour the verdicts; auto: on a terminal without NO_COLOR.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Read on while the capture is written (a pipe, or FILE): each mirror as it is decided, the summary at Ctrl-C.",
)
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw diagrams with ASCII characters only.")
@click.option("--no-redact", is_flag=True, help="Keep tokens, cookies and the like in what leaves the terminal.")
@click.option(
    "--write-evidence",
    metavar="FILE",
    type=click.Path(),
    help="Write the packets that prove the verdicts, with comments, to FILE (pcapng, mode 0600); --explain: of one mirror.",
)
@click.option(
    "--anonymise", is_flag=True, help="In the evidence, replace addresses, hosts, words and bodies; it proves the same."
)
@speech.lang_option
@click.option("--timings", is_flag=True, help="Say on stderr how long each stage took.")
@click.option(
    "--completion",
    type=click.Choice(("bash", "zsh", "fish")),
    callback=options.completion,
    is_eager=True,
    expose_value=False,
    help="Print the completion script of a shell.",
)
@click.option(
    "--version", is_flag=True, callback=options.version, is_eager=True, expose_value=False, help="Print the version."
)
def command(
    captures: tuple[str, ...],
    read: tuple[str, ...],
    show_mirrors: bool,
    show_exchanges: bool,
    explain: int | None,
    diff: int | str | None,
    form: str | None,
    as_json: bool,
    output: str | None,
    suffix: str,
    window: float,
    match: tuple[str, ...] | None,
    fail_on: tuple[str, ...] | None,
    color: str,
    ascii_only: bool,
    no_redact: bool,
    write_evidence: str | None,
    anonymise: bool,
    timings: bool,
    follow: bool,
) -> int:
    """Find mirrored HTTP requests in packet captures and prove where the mirror's response went.

    Reads pcap and pcapng, plain or compressed (gz, zst, xz, lz4); - is standard input. Several captures are one view.
    """
    from inspector.cli import private
    from inspector.render import formats
    from inspector.render.private import Private

    paths = (*read, *captures)
    form = _form(form, as_json)
    options.check_together(form, follow, explain is not None, write_evidence is not None)
    if diff is None:
        formats.check(form, show_mirrors, show_exchanges, explain is not None)
    else:
        difference.check(diff, form, show_mirrors or show_exchanges or explain is not None or follow)
    _check_inputs(paths)
    _check_output(output, paths, form)
    evidence.check(write_evidence, anonymise, output, paths, follow or diff is not None)
    first, again = evidence.inputs(paths, write_evidence is not None or form == "har")
    target = None if output in (None, "-") else output
    how = suffix, window, match or ()
    look = streams.columns(target), streams.colour(color, target)
    hide = private.redactor(paths, form, target, no_redact)
    found: Inspection | Stream | None
    if diff is not None:
        found = difference.run(paths, diff, lambda inputs: _inspect(inputs, *how), suffix, hide, form, target, look)
        _warn(found.captures)
    elif follow:
        from inspector.cli.follow import following

        found = following(paths, how, form, (show_mirrors, show_exchanges), target, *look)
        _warn(found.captures)
    elif explain is not None:
        from inspector.cli.explain import explained

        found = _inspect(first, *how)
        _warn(found.captures)
        told = explained(found, explain, form, paths, *look, streams.drawing(target, ascii_only))
        streams.write([told], target)
    elif form == "html":
        found = report.run(paths, lambda inputs: _inspect(inputs, *how), suffix, hide, target)
        _warn(found.captures)
    elif show_mirrors and form == "ndjson" and write_evidence is None:
        found = _list_mirrors(paths, *how, target, bool(fail_on))
        if found is None:
            return OK
        _warn(found.captures)
    elif show_mirrors or show_exchanges or write_evidence is not None:
        found = _inspect(first, *how)
        _warn(found.captures)
        shown = formats.render(Private(found, hide), form, show_mirrors, show_exchanges, *look)
        streams.write([har.text(found, again, hide) if form == "har" else shown], target)
    else:
        found = _summarise(paths, *how)
        _warn(found.captures)
        streams.write([formats.summary(found, form, *look)], target)
    evidence.write(found, again, write_evidence, anonymise, suffix, explain)
    _tell_timings(found.timings if timings else {})
    return _status(found.summary.verdicts, found.damaged, fail_on or ())


def _form(form: str | None, as_json: bool) -> str:
    """The format asked for; what programs read is written in English."""
    if form not in (None, "json") and as_json:
        raise UsageError(_("--json contradicts --format {form}").format(form=form), _("give one of them"))
    form = "json" if as_json else form or "table"
    if form in speech.MACHINE:
        lang.use("en")
    return form


def _check_inputs(paths: Sequence[str]) -> None:
    if not paths:
        raise UsageError(_("no capture given"), _("inspect CAPTURE... [--show-mirrors]; inspect --help tells more"))
    if paths.count("-") > 1:
        raise UsageError(_("standard input (-) can be read once only"))
    if "-" in paths and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError(_("standard input is a terminal, not a capture"), _("pipe one in: tcpdump -w - | inspect -"))


def _check_output(output: str | None, paths: Sequence[str], form: str) -> None:
    """Say what is wrong with --output before a long capture is read."""
    report.check(form, output)
    if output is None or output == "-":
        if sys.stdout is None:
            raise UsageError(_("standard output is closed"), _("write to a file: -o FILE"))
        return
    folder = os.path.dirname(output) or "."
    if os.path.isdir(output):
        raise UsageError(_("{path}: is a directory").format(path=output), _("give the name of a file: -o report.json"))
    if not os.path.isdir(folder):
        raise UsageError(_("{path}: the directory {folder} does not exist").format(path=output, folder=folder))
    for path in paths:
        if path != "-" and os.path.exists(output) and os.path.exists(path) and os.path.samefile(output, path):
            raise UsageError(
                _("{path}: is an input, and would be overwritten").format(path=output), _("give another name with -o")
            )


def _inspect(paths: Sequence[str | BinaryIO], suffix: str, window: float, match: tuple[str, ...]) -> Inspection:
    from inspector.inspection import inspect

    with streams.telling() as progress:
        return inspect(*paths, suffix=suffix, window=window, match=match, progress=progress, notice=streams.say)


def _summarise(paths: Sequence[str], suffix: str, window: float, match: tuple[str, ...]) -> Stream:
    """Read everything and keep the counts only: memory does not grow with the captures."""
    from inspector.inspection import stream

    with streams.telling() as progress:
        found = stream(*paths, suffix=suffix, window=window, match=match, progress=progress, notice=streams.say)
        deque(found, maxlen=0)  # lets go of each batch before the next is made
        return found


def _list_mirrors(
    paths: Sequence[str],
    suffix: str,
    window: float,
    match: tuple[str, ...],
    target: str | None,
    to_the_end: bool,
) -> Stream | None:
    """Write a line a mirror when it is decided, and keep none. Where the reader has closed the pipe, the captures are read
    `to_the_end` for the exit status, or None says that they were not."""
    from inspector.inspection import stream

    with streams.telling() as progress:
        found = stream(*paths, suffix=suffix, window=window, match=match, progress=progress, notice=streams.say)
        batches = _lines(found, progress)
        if streams.write(batches, target):
            return found
        if not to_the_end:
            return None
        deque(batches, maxlen=0)
        return found


def _lines(found: Stream, progress: streams.Progress | None) -> Iterator[Iterator[str]]:
    from inspector import redact
    from inspector.render.json_v1 import mirror_lines
    from inspector.render.private import mirrors

    for decided in found:
        if progress is not None:
            progress.clear()
        lines = mirror_lines(mirrors(decided.presenter.mirrors(decided.rows, decided.first_number), redact.current()))
        del decided  # the batch goes with its last line, before the next is made
        yield lines
        del lines


def _tell_timings(timings: Mapping[str, float]) -> None:
    if timings:
        stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in timings.items())
        streams.say(_("time in each stage: {stages}").format(stages=stages))


def _warn(captures: Sequence[CaptureView]) -> None:
    for capture in captures:
        for warning in capture.warnings:
            streams.say(warning if warning.startswith(capture.path) else f"{capture.path}: {warning}")


def _status(verdicts: Mapping[str, int], damaged: bool, fail_on: tuple[str, ...]) -> int:
    """What was asked for by --fail-on comes before what happened to the input."""
    if any(verdicts.get(word, 0) for word in fail_on):
        return FAILED
    if "inconclusive" in fail_on and verdicts.get("unproven", 0):
        return INCONCLUSIVE
    return DAMAGED if damaged else OK


def _unexpected(error: Exception) -> int:
    if os.environ.get("INSPECTOR_DEBUG"):
        raise error
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    streams.say(
        _("unexpected error ({what}); this is a bug in mirror-inspector, please report it").format(what=what),
        _("INSPECTOR_DEBUG=1 shows where it happened"),
    )
    return SOFTWARE


def run(args: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status; every error is a line on stderr."""
    words = sys.argv[1:] if args is None else list(args)
    with speech.speaking(words):
        return _run(words, args is None)


def _run(words: list[str], whole: bool) -> int:
    """`whole`: the words are those of the process, which click reads itself (for shell completion)."""
    try:
        if words[:1] == ["doctor"] and not os.path.exists("doctor"):
            from inspector.cli.doctor import doctor

            status = doctor.main(args=words[1:], prog_name="inspect doctor", standalone_mode=False)
            return status if isinstance(status, int) else OK
        if words[:1] == ["lesson"] and not os.path.exists("lesson"):
            from inspector.cli.lesson import lesson

            status = lesson.main(args=words[1:], prog_name="inspect lesson", standalone_mode=False)
            return status if isinstance(status, int) else OK
        status = command.main(args=None if whole else words, prog_name="inspect", standalone_mode=False)
        return status if isinstance(status, int) else OK
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        streams.say(error.format_message(), "inspect --help")
        return USAGE
    except click.ClickException as error:
        streams.say(error.format_message())
        return USAGE
    except InspectorError as error:
        streams.say(error.message, error.hint)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        streams.say(_("interrupted"))
        return INTERRUPTED
    except BrokenPipeError:
        streams.abandon_stdout()
        return OK
    except MemoryError:
        streams.say(_("out of memory"), _("split the capture: editcap -c 1000000 in.pcap out.pcap"))
        return SOFTWARE
    except Exception as error:
        return _unexpected(error)


def main() -> NoReturn:
    """Entry point of the script `inspect`."""
    sys.exit(run())
