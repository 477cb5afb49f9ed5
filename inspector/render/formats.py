"""The formats of `--format`, and which renderer writes each."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.errors import UsageError
from inspector.lang import _
from inspector.render.source import Shown, Summed

FORMATS = ("table", "json", "ndjson", "csv", "markdown", "mermaid", "svg", "html", "har")
ONE_TABLE = ("ndjson", "csv")  # mirrors and exchanges have different fields: these hold one of them


def check(form: str, show_mirrors: bool, show_exchanges: bool, explain: bool = False) -> None:
    """Raises UsageError where a format cannot hold what is asked of it."""
    if form not in FORMATS:
        raise UsageError(
            _("format {form} is not known").format(form=repr(form)),
            _("formats: {formats}").format(formats=", ".join(FORMATS)),
        )
    if form in ONE_TABLE and show_mirrors and show_exchanges:
        raise UsageError(
            _("--format {form} holds one kind of row: --show-mirrors or --show-exchanges, not both").format(form=form),
            _("use --format json for both in one document"),
        )
    if form == "har" and (explain or show_exchanges or not show_mirrors):
        raise UsageError(_("--format har holds the legs of mirrors: it goes with --show-mirrors alone"))
    if form == "html" and (explain or show_exchanges):
        raise UsageError(
            _("--format html is the report on all mirrors"),
            _("leave out --explain and --show-exchanges, or take markdown"),
        )
    if explain:
        _check_explain(form, show_exchanges)
    elif form == "svg":
        raise UsageError(_("--format svg draws one mirror"), _("say which: --explain N --format svg -o ladder.svg"))
    elif form == "mermaid" and (show_exchanges or not show_mirrors):
        raise UsageError(_("--format mermaid draws mirrors"), _("add --show-mirrors, or --explain N for one of them"))


def _check_explain(form: str, show_exchanges: bool) -> None:
    if form in ONE_TABLE:
        raise UsageError(
            _("--format {form} cannot hold an explanation").format(form=form),
            _("use table, markdown, mermaid, svg or json"),
        )
    if show_exchanges:
        raise UsageError(_("--explain is about one mirror: it contradicts --show-exchanges"), _("give one of them"))


def render(
    source: Shown, form: str, show_mirrors: bool, show_exchanges: bool, columns: int, colour: bool
) -> Iterator[str]:
    """The text of an inspection, piece by piece. `columns` and `colour` matter for `table` only."""
    check(form, show_mirrors, show_exchanges)
    if not (show_mirrors or show_exchanges):
        yield from summary(source, form, columns, colour)
    elif form == "json":
        from inspector.render import json_v1

        mirrors = source.mirror_views() if show_mirrors else None
        yield from json_v1.document(source, mirrors, source.exchange_views() if show_exchanges else None)
    elif form == "ndjson":
        from inspector.render import json_v1

        if show_mirrors:
            yield from json_v1.mirror_lines(source.mirror_views())
        if show_exchanges:
            yield from json_v1.exchange_lines(source.exchange_views())
    elif form == "csv":
        yield from _csv(source, show_mirrors, show_exchanges)
    elif form == "markdown":
        yield from _markdown(source, show_mirrors, show_exchanges)
    elif form == "mermaid":
        from inspector.render import mermaid

        yield from mermaid.mirrors(source)
    elif form == "har":  # `render.har` writes it, with what is read from the captures once more
        raise UsageError(_("--format har holds bodies, which an inspection does not keep"))
    else:
        yield from _table(source, show_mirrors, show_exchanges, columns, colour)


def summary(source: Summed, form: str, columns: int, colour: bool) -> Iterator[str]:
    """The text of an inspection without its mirrors and exchanges."""
    if form == "json":
        from inspector.render import json_v1

        yield from json_v1.document(source)
    elif form == "ndjson":
        from inspector.render import json_v1

        yield json_v1.summary_line(source)
    elif form == "csv":
        from inspector.render import csv_flat

        yield from csv_flat.summary(source)
    elif form == "markdown":
        from inspector.render import markdown

        yield from markdown.summary(source)
    else:
        from inspector.render import table

        yield from table.summary(source, columns, colour)


def _csv(source: Shown, show_mirrors: bool, show_exchanges: bool) -> Iterator[str]:
    from inspector.render import csv_flat

    if show_mirrors:
        yield from csv_flat.mirrors(source.mirror_views())
    if show_exchanges:
        yield from csv_flat.exchanges(source.exchange_views())


def _markdown(source: Shown, show_mirrors: bool, show_exchanges: bool) -> Iterator[str]:
    from inspector.render import markdown

    if show_exchanges:
        yield from markdown.exchanges(source)
        if show_mirrors:
            yield "\n"
    if show_mirrors:
        yield from markdown.mirrors(source)


def _table(source: Shown, show_mirrors: bool, show_exchanges: bool, columns: int, colour: bool) -> Iterator[str]:
    from inspector.render import table

    if show_exchanges:
        yield from table.exchanges(source, columns)
        if show_mirrors:
            yield "\n"
    if show_mirrors:
        yield from table.mirrors(source, columns, colour)
