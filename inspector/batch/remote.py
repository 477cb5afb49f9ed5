"""Captures behind URLs, by fsspec: s3, gs, az, http and whatever else is installed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, BinaryIO, cast

from inspector.batch.units import Piece
from inspector.errors import InspectorError, UsageError
from inspector.lang import _

EXTRAS = {
    "s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az", "adl": "az",
    "http": "http", "https": "http",
}  # fmt: skip
STAMPS = (
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "md5",
    "generation",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
)
BLOCK = 8 << 20  # bytes asked for at once


def is_url(source: str) -> bool:
    """Whether a source is no path."""
    return "://" in source


@lru_cache(maxsize=64)
def _system(scheme: str) -> Any:
    """The file system of a scheme. Raises UsageError where its library is missing."""
    try:
        import fsspec

        return fsspec.filesystem(scheme)
    except ImportError as error:
        extra = EXTRAS.get(scheme)
        if extra is None:
            hint = str(error)
        else:
            hint = _("install it from a clone of mirror-inspector: pip install '.[batch,{extra}]'").format(extra=extra)
        raise UsageError(_("{scheme}:// needs a library that is not installed").format(scheme=scheme), hint) from None
    except ValueError:
        raise UsageError(
            _("{scheme}:// is not known").format(scheme=scheme), _("known are s3, gs, az, http and those of fsspec")
        ) from None


def opened(url: str) -> BinaryIO:
    """A file to read. Raises FileNotFoundError, and what the object store's library raises."""
    system = _system(url.split("://", 1)[0])
    return cast(BinaryIO, system.open(url, "rb", block_size=BLOCK))


def head(url: str, count: int) -> bytes:
    """The first bytes."""
    found: bytes = _system(url.split("://", 1)[0]).cat_file(url, start=0, end=count)
    return found


def find(url: str) -> Iterator[Piece]:
    """The files that a URL means: itself, all below a folder, or those that a pattern matches. Raises InspectorError."""
    scheme = url.split("://", 1)[0]
    system = _system(scheme)
    try:
        if any(c in url for c in "*?[") and scheme not in ("http", "https"):
            found = system.glob(url, detail=True)
        elif scheme in ("http", "https") or system.isfile(url):
            found = {url: system.info(url)}
        else:
            found = system.find(url, detail=True)
    except FileNotFoundError:
        found = {}
    except Exception as error:  # each object store has exceptions of its own
        raise InspectorError(
            _("{url}: cannot be listed: {why}").format(url=url, why=str(error) or type(error).__name__),
            _("are the credentials and the endpoint set in the environment?"),
        ) from None
    if not found:
        raise UsageError(_("{url}: nothing was found there").format(url=url))
    for name, info in sorted(found.items()):
        if info.get("type", "file") == "file":
            full = name if is_url(name) else str(system.unstrip_protocol(name))
            size = int(info.get("size") or 0)
            known = [str(info[k]) for k in STAMPS if info.get(k)]
            yield Piece(full, size, "-".join([str(size), *known]) if known else "")  # "": it is fetched each time
