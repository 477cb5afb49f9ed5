"""The command `inspect`: its options, what it does with them, and its exit status.

Imports of the pipeline, numpy and the renderers stand inside functions: `inspect --help` must answer at once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from inspector import disk, lang, limits
from inspector.cli import difference, evidence, options, report, speech, streams, work
from inspector.cli.work import RunOptions
from inspector.errors import InspectorError, UsageError
from inspector.lang import _
from inspector.render.formats import FORMATS
from inspector.render.source import VERDICTS

if TYPE_CHECKING:
    from inspector.views.objects import SummaryView

OK, FAILED, USAGE, DAMAGED, INCONCLUSIVE, SOFTWARE, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130
# Each is the command of that name in the module of that name.
SUBCOMMANDS = ("batch", "doctor", "lesson", "packet", "verify")
SIGNS = ("request-id", "suffix", "xff", "internal", "trace", "content", "headers", "count")

EXAMPLES = """\b
Examples:
  inspect node.pcap                         what is in it, and what cannot be seen
  inspect client.pcap --show-mirrors        a row for each mirror, then the finding
  inspect client.pcap --explain 1           one of them step by step, with a diagram
  tcpdump -i any -w - | inspect - --show-mirrors
  tcpdump -i any -U -w - | inspect - --show-mirrors --follow
  inspect lesson 1                          learn it from real captures, step by step
  inspect batch captures/ --store store --report report
  inspect doctor --warm                     is all there? compile the inner loops ahead
  inspect verify client.pcap                a second opinion by Wireshark's dissectors
  inspect a.pcap b.pcap.zst --json -o report.json
  inspect gw.pcap --format html -o report.html
  inspect gw.pcap --fail-on leaked,inconclusive

\b
Exit status:
  0 done                         1 --fail-on met
  2 wrong usage, or an input that cannot be read
  3 input damaged or cut short: results are for the part that could be read
  4 under --fail-on inconclusive: a mirror is unproven, connections of a proxy, an original
    or a mirror were not read, or no HTTP was; or fewer mirrors than --expect-mirrors
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
    help="Mirror N of --show-mirrors, explained step by step, with its ladder diagram and the packets that prove it.",
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
    "`inconclusive` exits with 4 if one is unproven, or may be hidden in a connection that was not read.",
)
@click.option(
    "--expect-mirrors",
    type=click.IntRange(min=0),
    metavar="N",
    help="Exit with 4 if fewer than N mirrors are found.",
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
@click.option(
    "--limit",
    "chosen",
    multiple=True,
    callback=options.limits_of,
    metavar="NAME=VALUE",
    help="Change a bound on memory or work, say decoded-body=64MiB; `inspect doctor --limits` lists them.",
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
    expect_mirrors: int | None,
    color: str,
    ascii_only: bool,
    no_redact: bool,
    write_evidence: str | None,
    anonymise: bool,
    timings: bool,
    follow: bool,
    chosen: dict[str, int],
) -> int:
    """Find mirrored HTTP requests in packet captures and prove where the mirror's response went.

    Reads pcap and pcapng, plain or compressed (gz, zst, xz, lz4); - is standard input. Several captures are one view.
    """
    form = _form(form, as_json)
    asked = RunOptions(
        paths=(*read, *captures),
        form=form,
        target=None if output in (None, "-") else output,
        how=(suffix, window, match or ()),
        mirrors=show_mirrors,
        exchanges=show_exchanges,
        explain=explain,
        diff=diff,
        follow=follow,
        evidence=write_evidence,
        anonymise=anonymise,
        to_the_end=bool(fail_on) or expect_mirrors is not None,
        color=color,
        ascii_only=ascii_only,
        no_redact=no_redact,
    )
    _check(asked, output)
    with limits.use(chosen):
        found = work.do(asked)
    if found is None:
        return OK
    _tell_timings(found.timings if timings else {})
    return _status(found.summary, found.damaged, fail_on or (), expect_mirrors)


def _check(asked: RunOptions, output: str | None) -> None:
    """Say what does not go together before anything is read."""
    from inspector.render import formats

    explain, shown = asked.explain is not None, asked.mirrors or asked.exchanges
    options.check_together(asked.form, asked.follow, explain, asked.evidence is not None)
    if asked.diff is None:
        formats.check(asked.form, asked.mirrors, asked.exchanges, explain)
    else:
        difference.check(asked.diff, asked.form, shown or explain or asked.follow)
    _check_inputs(asked.paths)
    _check_output(output, asked.paths, asked.form)
    again = asked.follow or asked.diff is not None
    evidence.check(asked.evidence, asked.anonymise, output, asked.paths, again)


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
        raise UsageError(_("no capture given"), _("inspect CAPTURE... [--show-mirrors]; more: inspect --help"))
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


def _tell_timings(timings: Mapping[str, float]) -> None:
    if timings:
        stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in timings.items())
        streams.say(_("time in each stage: {stages}").format(stages=stages))


def _status(summary: SummaryView, damaged: bool, fail_on: tuple[str, ...], expected: int | None) -> int:
    """What was asked for by --fail-on and --expect-mirrors comes before what happened to the input."""
    if any(summary.verdicts.get(word, 0) for word in fail_on):
        return FAILED
    if "inconclusive" in fail_on and (summary.verdicts.get("unproven", 0) or summary.blind):
        return INCONCLUSIVE
    if expected is not None and summary.mirrors < expected:
        speech.tell_fewer(summary.mirrors, expected)
        return INCONCLUSIVE
    return DAMAGED if damaged else OK


def subcommand(name: str) -> click.Command:
    """One of SUBCOMMANDS; its module is imported now."""
    found = getattr(import_module(f"inspector.cli.{name}"), name)
    assert isinstance(found, click.Command)
    return found


def _unexpected(error: Exception) -> int:
    if os.environ.get("INSPECTOR_DEBUG"):
        raise error
    if disk.refused(error):  # of a file that nobody here has opened: a library's
        told = disk.unwritable(error.filename or disk.temporary_folder(), error, "temporary")
        streams.say(told.message, told.hint)
        return USAGE
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
        name = words[0] if words else ""
        if name in SUBCOMMANDS and not os.path.exists(name):
            status = subcommand(name).main(args=words[1:], prog_name=f"inspect {name}", standalone_mode=False)
        else:
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
    gc.set_threshold(*limits.SELDOM)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads, which nothing here uses
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup's wish is kept
            signal.signal(number, _terminate)
    status = run()
    gc.disable()  # the interpreter would look through everything once more before it leaves
    sys.exit(status)


def _terminate(number: int, frame: object) -> NoReturn:
    """Leave as an error does, so that private files are removed."""
    raise SystemExit(128 + number)
