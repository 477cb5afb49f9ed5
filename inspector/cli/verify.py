"""`inspect verify`: the captures read a second time by another program, and both readings compared."""

from __future__ import annotations

import click

from inspector.cli import speech, streams
from inspector.errors import InspectorError, UsageError
from inspector.lang import _

FORMATS = ("table", "json", "markdown")
REFEREES = ("tshark", "pyshark", "scapy")
PACKETS, SECONDS = 500_000, 600.0  # referee.model.PACKET_LIMIT and TIME_LIMIT, which --help need not load


@click.command("verify", cls=speech.Speaking, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...", type=click.Path(allow_dash=True))
@click.option(
    "--with",
    "referee",
    type=click.Choice(REFEREES),
    default="tshark",
    show_default=True,
    help="Who reads them again: tshark and pyshark compare exchanges, scapy packets and segments.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Format of the output.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(allow_dash=True), help="Write to FILE (mode 0600).")
@click.option("--all", "whole", is_flag=True, help="List every difference that was kept, not the first of each reason.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1 << 40),
    default=PACKETS,
    show_default=True,
    metavar="N",
    help="Packets of a capture that are compared.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 1_000_000),
    default=SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long the other program may take for a capture.",
)
@click.option("--no-redact", is_flag=True, help="Keep tokens and the like in what leaves the terminal.")
@speech.lang_option
def verify(
    captures: tuple[str, ...],
    referee: str,
    form: str,
    as_json: bool,
    output: str | None,
    whole: bool,
    limit: int,
    timeout: float,
    no_redact: bool,
) -> int:
    """Read captures a second time with another program, and compare exchange by exchange, or packet by packet.

    Each capture is compared by itself; compressed ones, archives and - (standard input) are unpacked to a private file.

    Exit status: 0 agreement, or differences whose reason is in the packets; 1 a difference without a known reason;
    2 wrong usage, or an input or a program that cannot be used.
    """
    from inspector.cli.private import redactor
    from inspector.referee import telling
    from inspector.referee import verify as comparing

    form = "json" if as_json else form
    target = None if output in (None, "-") else output
    if captures.count("-") > 1:
        raise UsageError(_("- can be given once only"))
    if form == "json":
        from inspector import lang

        lang.use("en")
    hide = redactor(captures, form, target, no_redact)
    order = comparing.Order(referee, limit, timeout)
    found, failed = [], False
    for path in captures:
        try:
            found += [telling.private(one, hide) for one in comparing.verify(path, order)]
        except InspectorError as error:
            if len(captures) == 1:
                raise
            streams.say(error.message, error.hint)
            failed = True
    if not found:
        return 2
    if form == "json":
        text = telling.as_json(found)
    elif form == "markdown":
        text = telling.markdown(found, whole)
    else:
        text = telling.table(found, streams.columns(target), whole)
    streams.write([text], target)
    return 2 if failed else int(any(one.reasons[""] for one in found))
