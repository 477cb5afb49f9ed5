"""The folder of compiled kernels: where it is, and whether the code in it may be run.

Machine code is run as this user, so it is taken from a folder that nobody else can change: the folder and each folder above it
belong to this user or to root, and nobody else can write there. A sticky folder such as /tmp may stand above, since nobody can
replace an entry of another user in it. What does not hold is said, and kernels are compiled without being kept.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

from inspector.kernels import native
from inspector.lang import _, marked

PACKAGE = Path(__file__).parents[1]
LINKS = 40  # symbolic links that are followed in one path, as Linux does
NOT_KEPT = marked(
    "compiled kernels are not kept, so each large capture waits for the compiler; set INSPECTOR_CACHE to a folder of your own"
)
OTHERS = stat.S_IWGRP | stat.S_IWOTH


def folder() -> Path:
    """The folder's name: one for each Python, compiler and processor.

    `INSPECTOR_CACHE` overrides the root; the default follows XDG_CACHE_HOME.
    """
    root = os.environ.get("INSPECTOR_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mirror-inspector"
    )
    return Path(os.path.abspath(root)) / f"kernels-{_toolchain()}"


def usable() -> Path | None:
    """The folder, made for this user only; None where it cannot be made or others could change it."""
    place = folder()
    return place if _problem(place, make=True) is None else None


def refused() -> str | None:
    """A sentence that says why compiled kernels are not kept; None where they are."""
    return _problem(folder(), make=True)


def warmed() -> bool:
    """Whether kernels were compiled to the end before, for this version and processor: then they load in a moment."""
    return _marker().exists() and _problem(folder(), make=False) is None


def mark_warm() -> None:
    """Remember that a compiled run came to its end."""
    if usable():
        with contextlib.suppress(OSError):
            _marker().touch(0o600)


def checked() -> bool:
    """Whether kernels are compiled with every index checked (numba's NUMBA_BOUNDSCHECK)."""
    return os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0")


def _problem(place: Path, make: bool) -> str | None:
    """Why `place` is not used, or None. make: create what is missing of it, with mode 0700."""
    here, links = "/", 0
    parts = ["/", *place.parts[1:]]
    try:
        while parts:
            path = os.path.normpath(os.path.join(here, parts.pop(0)))
            status = _status(path, make)
            if status.st_uid not in (os.geteuid(), 0):
                return _("{path} belongs to another user").format(path=path)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > LINKS:
                    return _("{path}: too many symbolic links").format(path=path)
                target = Path(os.readlink(path))
                parts = [*target.parts, *parts]
                continue
            if not stat.S_ISDIR(status.st_mode):
                return _("{path} is not a folder").format(path=path)
            if status.st_mode & OTHERS and not (parts and status.st_mode & stat.S_ISVTX):
                return _("{path} can be written by other users").format(path=path)
            here = path
        if make and not os.access(here, os.W_OK):
            return _("{path} cannot be written").format(path=here)
    except OSError as error:
        why = error.strerror or error
        return _("{path} cannot be used: {why}").format(path=error.filename or place, why=why)
    return None


def _status(path: str, make: bool) -> os.stat_result:
    """What stands at `path`, links not followed; a folder that is made if nothing does. Raises OSError."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        if not make:
            raise
        with contextlib.suppress(FileExistsError):  # another process was faster: what it made is judged like any other
            os.mkdir(path, 0o700)
        return os.lstat(path)


def _marker() -> Path:
    return folder() / f"warm-{_sources()}"


@functools.cache
def _toolchain() -> str:
    """What machine code depends on beside a kernel's source."""
    checks = "checked-" if checked() else ""
    parts = (_version("numba"), _version("llvmlite"), platform.machine(), _processor())
    key = hashlib.sha256("\n".join((*parts, native.LAYOUT)).encode()).hexdigest()[:16]
    return f"{sys.implementation.cache_tag}-{checks}{key}"


def _version(package: str) -> str:
    """What tells the versions of a package apart: the file that it keeps its own in, since importlib.metadata takes ten
    milliseconds to load. Raises PackageNotFoundError."""
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:
        with contextlib.suppress(OSError):
            return Path(spec.origin).with_name("_version.py").read_text("utf-8", "replace")
    from importlib import metadata

    return metadata.version(package)


@functools.cache
def _sources() -> str:
    """One hash of all sources with kernels in them."""
    key = hashlib.sha256()
    for source, text in sorted(kernel_sources().items()):
        key.update(str(source.relative_to(PACKAGE)).encode() + b"\0" + text)
    return key.hexdigest()[:16]


def kernel_sources() -> dict[Path, bytes]:
    """The files of the package that have kernels in them, with their texts."""
    found = {}
    for folder, _folders, names in os.walk(PACKAGE):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb", buffering=0) as file:
                    text = file.read()
                if b"@kernel" in text or b"@cold" in text or b"@instruction" in text:
                    found[Path(folder, name)] = text
    return found


def _processor() -> str:
    """A short name of the processor: numba compiles for the one it runs on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = [platform.processor()]
    told = [line for line in lines if line.startswith(("model name", "flags", "Features"))][:2] or lines[:1]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]
