"""HTML, made from parts: text is escaped unless it is markup already. The result is ASCII, so any output can carry it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape as html_escape
from typing import Any

from inspector.render.text import escape
from inspector.storable import everything

VOID = frozenset(("br", "col", "hr", "input", "link", "meta"))


class Html(str):
    """Markup: goes into a page as it is."""

    __slots__ = ()


Child = str | None | Iterable[str]


def tag(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Html:
    """An element. Text among the children and in attributes is escaped, and what acts or hides in it is made visible.

    `class_` is `class`, `aria_sort` is `aria-sort`; an attribute that is None or False is left out, True has no value.
    """
    start = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        start.append(key if value is True else f'{key}="{text(str(value))}"')
    if name in VOID:
        return Html(f"<{' '.join(start)}>")
    return Html(f"<{' '.join(start)}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children one behind the other."""
    out = []
    for child in children:
        if isinstance(child, str):
            out.append(child if isinstance(child, Html) else text(child))
        elif child is not None:
            out += [part if isinstance(part, Html) else text(part) for part in child]
    return Html("".join(out))


def text(value: str) -> Html:
    """Text as markup that shows it."""
    return ascii_only(html_escape(escape(value)))


def ascii_only(markup: str) -> Html:
    """Markup in ASCII: other characters as references."""
    if markup.isascii():
        return Html(markup)
    return Html(markup.encode("ascii", "xmlcharrefreplace").decode("ascii"))


def data(value: Any) -> Html:
    """JSON for a `<script type="application/json">`: nothing in it can end the element or begin another."""
    out = json.dumps(everything(value), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for char in "<>&\x7f":
        out = out.replace(char, f"\\u{ord(char):04x}")
    return Html(out)


def simple(
    caption: str,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int] = (),
    hidden: bool = False,
) -> Html:
    """A small table; the first cell of a row is its heading. hidden: the caption is there, but a heading above shows it."""
    head = tag("tr", [tag("th", n, scope="col", class_="num" if i in right else None) for i, n in enumerate(names)])
    body = []
    for first, *rest in rows:
        others = [tag("td", cell, class_="num" if i in right else None) for i, cell in enumerate(rest, 1)]
        body.append(tag("tr", tag("th", first, scope="row"), others))
    table = tag(
        "table",
        tag("caption", caption, class_="visually-hidden" if hidden else None),
        tag("thead", head),
        tag("tbody", body),
    )
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)
