"""A difference as Markdown: a heading and a table for each section."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector.render.diff_words import Section
from inspector.render.markdown import safe
from inspector.render.text import escape


def document(heading: str, lead: Sequence[str], found: Sequence[Section]) -> Iterator[str]:
    """The heading, sentences, and each section."""
    yield f"## {safe(escape(heading))}\n"
    for n, sentence in enumerate(lead):
        yield ("" if n else "\n") + f"- {safe(escape(sentence))}\n"
    for section in found:
        yield f"\n### {safe(escape(section.title))}\n"
        for sentence in section.sentences:
            yield f"\n{safe(escape(sentence))}\n"
        if section.table:
            t = section.table
            yield "\n| " + " | ".join(name or " " for name in t.names) + " |\n"
            yield "| " + " | ".join("---:" if i in t.right else "---" for i in range(len(t.names))) + " |\n"
            for row in t.rows:
                yield "| " + " | ".join(safe(escape(cell)) for cell in row) + " |\n"
