"""An inspection as it may leave the terminal: secrets in targets, hosts and ids are replaced (see inspector.redact)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from inspector.inspection.story import MirrorStory
from inspector.redact import Redactor
from inspector.render.source import Shown
from inspector.views.columns import ExchangeColumns, Listing, MirrorColumns
from inspector.views.objects import CaptureView, ExchangeView, MirrorView, SummaryView

Mirrors = Listing[MirrorView, MirrorColumns]
Exchanges = Listing[ExchangeView, ExchangeColumns]


class Private:
    """What renderers see instead of the inspection itself."""

    def __init__(self, source: Shown, redactor: Redactor) -> None:
        self._source = source
        self._redactor = redactor

    @property
    def captures(self) -> Sequence[CaptureView]:
        """As the inspection's."""
        return self._source.captures

    @property
    def summary(self) -> SummaryView:
        """As the inspection's."""
        return self._source.summary

    def mirror_views(self) -> Iterator[MirrorView]:
        """Every mirror, in order of time."""
        return mirrors(self._source.mirror_views(), self._redactor)

    def exchange_views(self) -> Iterator[ExchangeView]:
        """Every exchange, in order of time."""
        return exchanges(self._source.exchange_views(), self._redactor)


def mirrors(views: Iterator[MirrorView], redactor: Redactor) -> Iterator[MirrorView]:
    """Mirrors as they may be shown; a listing of columns stays one."""
    if redactor.keep:
        return views
    if isinstance(views, Listing):
        return Listing(mirror_columns(chunk, redactor) for chunk in views.chunks)
    return (mirror(view, redactor) for view in views)


def exchanges(views: Iterator[ExchangeView], redactor: Redactor) -> Iterator[ExchangeView]:
    """Exchanges as they may be shown; a listing of columns stays one."""
    if redactor.keep:
        return views
    if isinstance(views, Listing):
        return Listing(exchange_columns(chunk, redactor) for chunk in views.chunks)
    return (exchange(view, redactor) for view in views)


def mirror_columns(m: MirrorColumns, redactor: Redactor) -> MirrorColumns:
    """Columns of mirrors with their exchanges: most need no change, and a path is looked at once."""
    x = m.exchanges
    paths = redactor.changes((*m.path, *x.path))
    names = redactor.named((*m.host, *m.request_id, *x.host, *x.request_id))
    if paths:
        x = replace(x, path=[paths.get(path, path) for path in x.path])
        m = replace(m, path=[paths.get(path, path) for path in m.path], exchanges=x)
    if names:
        x = _renamed(x, names)
        host, request_id = ([names.get(name, name) for name in column] for column in (m.host, m.request_id))
        m = replace(m, host=host, request_id=request_id, exchanges=x)
    return m


def exchange_columns(x: ExchangeColumns, redactor: Redactor) -> ExchangeColumns:
    """Columns of exchanges."""
    changes = redactor.changes(x.path)
    names = redactor.named((*x.host, *x.request_id))
    x = replace(x, path=[changes.get(path, path) for path in x.path]) if changes else x
    return _renamed(x, names) if names else x


def _renamed(x: ExchangeColumns, names: Mapping[str | None, str | None]) -> ExchangeColumns:
    host, request_id = ([names.get(name, name) for name in column] for column in (x.host, x.request_id))
    return replace(x, host=host, request_id=request_id)


def mirror(m: MirrorView, redactor: Redactor) -> MirrorView:
    """One mirror with its exchanges."""
    return replace(
        m,
        path=m.path and redactor.target(m.path),
        host=m.host and redactor.name(m.host),
        request_id=m.request_id and redactor.name(m.request_id),
        original=m.original and exchange(m.original, redactor),
        mirror=exchange(m.mirror, redactor),
        downstream=m.downstream and exchange(m.downstream, redactor),
    )


def told(s: MirrorStory, redactor: Redactor) -> MirrorStory:
    """A mirror's story."""
    return replace(s, mirror=mirror(s.mirror, redactor), others=[exchange(x, redactor) for x in s.others])


def exchange(x: ExchangeView, redactor: Redactor) -> ExchangeView:
    """One exchange."""
    return replace(
        x,
        path=x.path and redactor.target(x.path),
        host=x.host and redactor.name(x.host),
        request_id=x.request_id and redactor.name(x.request_id),
    )
