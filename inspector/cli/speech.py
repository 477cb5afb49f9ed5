"""Which language the command speaks: `--lang`, else the locale's; its own words, and those of click."""

from __future__ import annotations

import gettext
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from inspector import lang
from inspector.cli import streams
from inspector.lang import _, several

MACHINE = ("json", "ndjson", "csv", "har")  # formats that programs read: always English


def asked(words: Sequence[str]) -> str | None:
    """What `--lang` says, before the options are parsed: their errors are reported in it, too."""
    for i, word in enumerate(words):
        if word == "--":
            break
        value = words[i + 1] if word == "--lang" and i + 1 < len(words) else word.removeprefix("--lang=")
        if value != word and value in lang.LANGUAGES:
            return value
    return None


def chosen(words: Sequence[str]) -> str:
    """The language of a run: asked for, or the locale's where standard output can write it."""
    said = asked(words)
    if said is not None:
        return said
    found = lang.from_locale()
    try:
        "한국어".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeError, LookupError):
        return "en"
    return found


@contextmanager
def speaking(words: Sequence[str]) -> Iterator[None]:
    """Speak the language of a run while it lasts. click asks the standard library's catalogue, by its environment variable."""
    language = chosen(words)
    kept, before = os.environ.get("LANGUAGE"), lang.language()
    lang.use(language)
    gettext.bindtextdomain(lang.DOMAIN, str(lang.FOLDER))
    gettext.textdomain(lang.DOMAIN)
    os.environ["LANGUAGE"] = language
    try:
        yield
    finally:
        lang.use(before)
        if kept is None:
            os.environ.pop("LANGUAGE", None)
        else:
            os.environ["LANGUAGE"] = kept


class Speaking(click.Command):
    """A command whose help is looked up when it is shown: decorators run long before the language is known.

    `scripts/translate` reads the texts from the commands themselves.
    """

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, which click keeps in the language in which it was first asked for."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = gettext.gettext("Show this message and exit.")
        return option

    def get_help(self, ctx: click.Context) -> str:
        """The help in the language spoken."""
        options = [p for p in self.params if isinstance(p, click.Option)]
        kept = self.help, self.epilog, [p.help for p in options]
        self.help, self.epilog = self.help and _(self.help), self.epilog and _(self.epilog)
        for p in options:
            p.help = _(p.help) if p.help else p.help
        try:
            return super().get_help(ctx)
        finally:
            self.help, self.epilog = kept[:2]
            for p, text in zip(options, kept[2], strict=True):
                p.help = text


def lang_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--lang`; `speaking` has read it already."""
    return click.option(
        "--lang",
        type=click.Choice(lang.LANGUAGES),
        expose_value=False,
        help="Language of what people read.  [default: the locale's]",
    )(command)


def tell_fewer(found: int, expected: int) -> None:
    """Say why --expect-mirrors fails."""
    said = several("{n} mirror was found, {expected} expected", "{n} mirrors were found, {expected} expected", found)
    streams.say(said.format(n=f"{found:,}", expected=f"{expected:,}"))
