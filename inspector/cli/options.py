"""What options take: lists of words, seconds; and the options that print something and leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from inspector import limits
from inspector.errors import UsageError
from inspector.lang import _

MAX_WINDOW = 1_000_000  # seconds


class Words(click.ParamType):  # type: ignore[type-arg]  # generic in new releases of click only
    """A comma list of known words."""

    name = "words"

    def __init__(self, known: Sequence[str]) -> None:
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The words, each once, in the order given."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",") if word.strip()]
        for word in words:
            if word not in self.known:
                self.fail(
                    _("{word} is none of {known}").format(word=repr(word), known=", ".join(self.known)), param, ctx
                )
        if not words:
            self.fail(_("give at least one of {known}").format(known=", ".join(self.known)), param, ctx)
        return tuple(dict.fromkeys(words))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete the last word of the list."""
        done, comma, last = incomplete.rpartition(",")
        return [CompletionItem(done + comma + word) for word in self.known if word.startswith(last)]


class Which(click.ParamType):  # type: ignore[type-arg]
    """The number of a mirror, or `all`."""

    name = "which"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """A number from 1, or "all"."""
        text = str(value).strip().lower()
        if text == "all":
            return text
        if not text.isascii() or not text.isdecimal() or not 0 < int(text[:12]) or len(text) > 12:
            self.fail(_("{value} is neither a mirror's number (from 1) nor all").format(value=repr(value)), param, ctx)
        return int(text)


def completion(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    """Print the completion script of a shell, from click's generator."""
    if shell is None or ctx.resilient_parsing:
        return
    generator = get_completion_class(shell)
    if generator is None:
        raise click.BadParameter(_("no completion for {shell}").format(shell=repr(shell)), ctx, param)
    click.echo(generator(ctx.command, {}, "inspect", "_INSPECT_COMPLETE").source())
    ctx.exit()


def version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Print the version."""
    if not wanted or ctx.resilient_parsing:
        return
    import inspector

    click.echo(f"mirror-inspector {inspector.__version__}")
    ctx.exit()


def seconds(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """A number of seconds that makes sense as a window."""
    if not 0 < value <= MAX_WINDOW:  # false for nan
        raise click.BadParameter(
            _("must be a number of seconds above 0 and at most {most}").format(most=f"{MAX_WINDOW:,}"), ctx, param
        )
    return value


def limits_of(ctx: click.Context, param: click.Parameter, words: Sequence[str]) -> dict[str, int]:
    """NAME=VALUE of each --limit; the last one of a name counts."""
    return {} if ctx.resilient_parsing else dict(limits.parse(word) for word in words)


def check_together(form: str, follow: bool, explain: bool, evidence: bool) -> None:
    """Say which options do not go together."""
    if follow and explain:
        raise UsageError(_("--explain needs the whole capture, --follow reads on"), _("leave out one of them"))
    if form == "html" and evidence:
        two = _("--format html and --write-evidence are two runs")
        raise UsageError(two, _("write the evidence with --show-mirrors"))
