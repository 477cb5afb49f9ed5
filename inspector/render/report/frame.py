"""The head of a page with its policy: pages that need nothing else and ask for nothing."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from inspector.render.report.html import Html, tag


def head(title: str, style: str, script: str) -> Html:
    """The head of a page with this style and this script."""
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy(style, script)}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        Html('<link rel="icon" href="data:,">'),
        Html(f"<style>{style}</style>"),
    )


@cache
def policy(style: str, script: str) -> str:
    """The page's Content-Security-Policy: its own style and script by hash, nothing else, no connection."""
    hashes = [b64encode(sha256(part.encode()).digest()).decode() for part in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def own_file(name: str, package: str = "inspector.render.report") -> str:
    """A style sheet or a script that stands beside the code."""
    return files(package).joinpath(name).read_text("ascii")
