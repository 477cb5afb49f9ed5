"""`inspect packet`: one packet, as this program and as scapy have it."""

from __future__ import annotations

import click

from inspector.cli import speech, streams


@click.command("packet", cls=speech.Speaking, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("number", type=click.IntRange(min=1), metavar="N")
@click.argument("capture", metavar="CAPTURE", type=click.Path(allow_dash=True))
@click.option("-o", "--output", metavar="FILE", type=click.Path(allow_dash=True), help="Write to FILE (mode 0600).")
@click.option("--no-redact", is_flag=True, help="Show payload and request targets in what leaves the terminal, too.")
@speech.lang_option
def packet(number: int, capture: str, output: str | None, no_redact: bool) -> int:
    """Show packet N of a capture: what it is here (leg and role), and scapy's dissection of it."""
    from inspector.cli.private import redactor
    from inspector.referee.packet import told

    target = None if output in (None, "-") else output
    hide = redactor((capture,), "table", target, no_redact)
    streams.write([[line + "\n" for line in told(capture, number, hide)]], target)
    return 0
