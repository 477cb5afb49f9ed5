"""Ways to start the command."""

from __future__ import annotations

from inspector.render.formats import FORMATS


def runs() -> list[list[str]]:
    """Every way to write something that the command has."""
    out = [["--show-mirrors", "--format", form] for form in FORMATS if form != "svg"]
    out += [["--show-exchanges", "--format", form] for form in FORMATS if form not in ("svg", "mermaid", "har", "html")]
    out += [["--explain", "1", "--format", form] for form in ("table", "markdown", "json", "mermaid", "svg")]
    out += [["--diff", "1", "--format", form] for form in ("table", "markdown", "json")]
    out += [["--diff", "all", "--format", form] for form in ("table", "markdown", "json", "csv")]
    return out
