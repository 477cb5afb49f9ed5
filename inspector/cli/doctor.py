"""`inspect doctor`: what this installation has, and kernels compiled ahead."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import time

import click

from inspector.cli import speech, streams
from inspector.lang import _, several

PACKAGES = (
    "numpy",
    "numba",
    "pandas",
    "click",
    "tabulate",
    "zstandard",
    "lz4",
    "brotli",
    "scapy",
    "pyshark",
    "matplotlib",
)
TOOLS = ("tshark", "tcpdump")


def list_limits() -> int:
    """Print the table of limits."""
    from inspector import limits
    from inspector.render.text import wrap

    lines = [
        _("Bounds on what an input can make inspect hold or do. Those with a * are changed by --limit NAME=VALUE."),
        "",
    ]
    for limit in limits.LIMITS:
        size = limit.shown
        if limit.unit != "bytes":
            size = _("{n} {unit}").format(n=size, unit=_(limit.unit))
        lines.append(f"{limit.name}{' *' if limit.free else ''}: {size}")
        lines += wrap(_(limit.beyond), 100, "    ", "    ")
    streams.write([[line + "\n" for line in lines]], None)
    return 0


@click.command("doctor", cls=speech.Speaking, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--warm", is_flag=True, help="Compile the inner loops now; a large capture then starts at once.")
@click.option("--limits", "show_limits", is_flag=True, help="List the bounds on memory and work; --limit changes some.")
@speech.lang_option
def doctor(warm: bool, show_limits: bool) -> int:
    """Say what this installation has: versions, tools, and whether the inner loops are compiled."""
    import inspector
    from inspector.kernels import cache, native

    if show_limits:
        return list_limits()

    lines = [
        _("mirror-inspector {version}, Python {python} on {machine}").format(
            version=inspector.__version__, python=platform.python_version(), machine=platform.machine()
        )
    ]
    bad = 0
    for name in PACKAGES:
        try:
            lines.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(_("{name} is missing: pip install {name}").format(name=name))
            bad = 1
    lines += [f"{tool} {shutil.which(tool) or _('not installed (needed only for comparisons)')}" for tool in TOOLS]
    folder, refused = cache.folder(), cache.refused()
    if refused:
        lines.append(f"{refused}: {_(cache.NOT_KEPT)}")
        bad = 1
    streams.write([[line + "\n" for line in lines]], None)
    if refused:
        return bad
    if warm:
        _compile_all()
    said = _("kernels in {folder}: compiled")
    if not cache.warmed():
        said = _("kernels in {folder}: not compiled yet: inspect doctor --warm")
    streams.write([[said.format(folder=folder) + "\n"]], None)
    if warm and (gone := native.prune(folder)):
        said = several("{n} old compiled kernel was removed", "{n} old compiled kernels were removed", gone)
        streams.say(said.format(n=f"{gone:,}"))
    return bad


def _compile_all() -> None:
    """Compile what no run before has: the first large capture compiles only what it needs."""
    from inspector.inspection.warm import warm
    from inspector.kernels import cache

    start, new = time.perf_counter(), not cache.warmed()
    if new:
        streams.say(_("compiling the inner loops; this takes one to three minutes"))
    warm()
    if new:
        streams.say(_("compiled in {seconds} s").format(seconds=f"{time.perf_counter() - start:.0f}"))
