"""`inspect batch`: a store over many captures is kept true, and a report over it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from inspector.cli import options, speech, streams
from inspector.errors import UsageError
from inspector.lang import _, several
from inspector.render.source import VERDICTS

if TYPE_CHECKING:
    from inspector.batch.library import Store
    from inspector.batch.report import Counts
    from inspector.batch.round import Plan, Round
    from inspector.batch.store import Keeper
    from inspector.batch.units import Unit

OK, FAILED, DAMAGED, INCONCLUSIVE, INTERRUPTED = 0, 1, 3, 4, 130
SIGNS = ("request-id", "suffix", "xff", "internal", "trace", "content", "headers", "count")
PARTS = ("pyarrow", "fsspec")
SENTENCES = 10_000  # different ones that a run may say
UNIT = 400_000  # bytes that could be read in the time that a unit takes beside its bytes, about
ALARMING = ("leaked", "discarded", "unanswered", "unproven")  # verdicts as they are listed

EXAMPLES = """\b
Examples:
  inspect batch captures/ --store store --report report
  inspect batch 'node-*/*.pcap.zst' old.tar.gz s3://bucket/captures --store store
  inspect batch captures/ --store store --scheduler tcp://host:8786
  inspect batch --watch /var/captures --store store --report /srv/report
  inspect batch captures/ --store store --since 2026-11-01 --fail-on leaked

\b
Exit status: as of inspect; 3 also where a capture could not be read.
"""


@click.command(
    "batch",
    cls=speech.Speaking,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option(
    "--store", required=True, metavar="DIR", type=click.Path(), help="The folder of the results; made, or kept true."
)
@click.option("--report", metavar="DIR", type=click.Path(), help="Write a report over the store to DIR.")
@click.option(
    "--workers", type=click.IntRange(1, 1024), metavar="N", help="Processes on this machine.  [default: the cores]"
)
@click.option("--scheduler", metavar="ADDRESS", help="Use the Dask cluster of this scheduler: tcp://host:8786.")
@click.option("--force", is_flag=True, help="Read everything again.")
@click.option("--prune", is_flag=True, help="Remove results of captures that are no longer in the sources.")
@click.option(
    "--fail-on",
    type=options.Words((*VERDICTS, "inconclusive")),
    metavar="VERDICT,...",
    help="Exit with 1 if a mirror in the store (from --since on) has one of these verdicts; "
    "`inconclusive` exits with 4 if one is unproven, or may be hidden in a connection that was not read.",
)
@click.option(
    "--expect-mirrors",
    type=click.IntRange(min=0),
    metavar="N",
    help="Exit with 4 if the store (from --since on) has fewer than N mirrors.",
)
@click.option(
    "--since",
    metavar="DATE",
    help="Report (and fail) over requests from then on: 2026-11-21, 2026-11-21T10:00Z, 36h, 7d.",
)
@click.option(
    "--watch", multiple=True, metavar="DIR", type=click.Path(), help="Go on: read what arrives in DIR, until Ctrl-C."
)
@click.option(
    "--suffix", default="-shadow", show_default=True, metavar="TEXT", help="What the proxy appends to a copy's host."
)
@click.option(
    "--window",
    default=15.0,
    show_default=True,
    callback=options.seconds,
    metavar="SECONDS",
    help="How far apart an original and its mirror may be.",
)
@click.option(
    "--match",
    type=options.Words(SIGNS),
    metavar="SIGN,...",
    help=f"Pair by these signs only: {', '.join(SIGNS)}.  [default: all]",
)
@click.option("--no-redact", is_flag=True, help="Keep tokens, cookies and the like in the store and the report.")
@speech.lang_option
def batch(
    sources: tuple[str, ...],
    store: str,
    report: str | None,
    workers: int | None,
    scheduler: str | None,
    force: bool,
    prune: bool,
    fail_on: tuple[str, ...] | None,
    expect_mirrors: int | None,
    since: str | None,
    watch: tuple[str, ...],
    suffix: str,
    window: float,
    match: tuple[str, ...] | None,
    no_redact: bool,
) -> int:
    """Inspect many captures, keep the results in a store, and report over it.

    SOURCE is a file, a folder with all below it, a pattern, a tar archive, or a URL (s3, gs, az, http). Pieces of a rotated
    capture are read as one. A second run reads only what is new or changed; a run that was killed goes on where it was.
    """
    _check(sources, store, report, workers, scheduler, watch)
    from inspector.batch.engine import Where
    from inspector.batch.report import moment
    from inspector.batch.round import Plan
    from inspector.batch.units import How

    moment(since)
    plan = Plan(
        sources,
        How(suffix, window, match or (), no_redact),
        Where(workers, scheduler),
        force,
        prune,
        (report,) if report else (),
        watch,
    )
    return _Runner(store, report, since, Demands(fail_on or (), expect_mirrors)).run(plan)


def _check(
    sources: tuple[str, ...],
    store: str,
    report: str | None,
    workers: int | None,
    scheduler: str | None,
    watch: tuple[str, ...],
) -> None:
    """Say what does not go together before anything is read."""
    import importlib.util

    missing = [name for name in PARTS if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            _("batch needs {names}").format(names=", ".join(missing)),
            _("install it from a clone of mirror-inspector: pip install '.[batch]'"),
        )
    if not sources and not watch:
        raise UsageError(_("no source given"), _("inspect batch SOURCE... --store DIR; more: inspect batch --help"))
    if workers is not None and scheduler is not None:
        raise UsageError(_("--workers and --scheduler contradict each other"), _("give one of them"))
    if "://" in store or (report and "://" in report):
        raise UsageError(_("the store and the report are folders, not URLs"), _("sources may be URLs"))
    if report is not None and os.path.realpath(report) == os.path.realpath(store):
        raise UsageError(_("the store and the report need a folder each"))


@dataclass(frozen=True)
class Demands:
    """What the exit status is to say: --fail-on and --expect-mirrors."""

    fail_on: tuple[str, ...]
    mirrors: int | None

    def met(self, found: Counts) -> int:
        """FAILED or INCONCLUSIVE where a demand is not met, else OK."""
        if any(found.verdicts.get(word, 0) for word in self.fail_on):
            return FAILED
        if "inconclusive" in self.fail_on and (found.verdicts["unproven"] or found.blind):
            return INCONCLUSIVE
        total = sum(found.verdicts.values())
        if self.mirrors is not None and total < self.mirrors:
            speech.tell_fewer(total, self.mirrors)
            return INCONCLUSIVE
        return OK


class _Runner:
    """A run of the command."""

    def __init__(self, store: str, report: str | None, since: str | None, demands: Demands) -> None:
        self.store, self.report, self.since, self.demands = store, report, since, demands
        self.ended = threading.Event()
        self.rounds = 0
        self.told: set[str] = set()

    def run(self, plan: Plan) -> int:
        """Rounds, the report, and the exit status."""
        from inspector.batch.engine import Interrupted
        from inspector.batch.store import keeping
        from inspector.batch.watch import watch

        with _signals(self.ended), keeping(self.store) as keeper:
            try:
                if not plan.maybe:
                    return self._status(self._round(keeper, plan))
                streams.say(_("watching {folders}; Ctrl-C ends it").format(folders=", ".join(plan.maybe)))
                return self._status(watch(plan, lambda p: self._round(keeper, p), self.ended))
            except Interrupted:
                if plan.maybe:
                    return self._status(None)
                streams.say(_("interrupted; what was read is kept, and the same command goes on from there"))
                return INTERRUPTED

    def _round(self, keeper: Keeper, plan: Plan) -> Round:
        import inspector
        from inspector.batch import round

        progress: round.RoundProgress = (
            _Progress() if sys.stderr is not None and sys.stderr.isatty() else round.Silent()
        )
        done = round.run(keeper, plan, self.ended.is_set, self._say, progress, inspector.__version__)
        first = not self.rounds
        self.rounds += 1
        if first or done.changed:
            found = self._store()
            streams.write([_lines(done, _verdicts(found, self.since))], None)
            if self.report is not None:
                self._build(found)
        return done

    def _say(self, text: str) -> None:
        """What every round would say is said once."""
        if text not in self.told and len(self.told) < SENTENCES:
            self.told.add(text)
            streams.say(text)

    def _store(self) -> Store:
        from inspector import batch as library

        return library.open(self.store)

    def _build(self, found: Store) -> None:
        from inspector.render.text import escape

        assert self.report is not None
        import_module("inspector.batch.report").build(found, self.report, since=self.since)
        streams.write([[_("The report is in {folder}.").format(folder=escape(self.report)) + "\n"]], None)

    def _status(self, done: Round | None) -> int:
        """What was asked for comes before what happened to the input."""
        if self.demands.fail_on or self.demands.mirrors is not None:
            met = self.demands.met(_counts(self._store(), self.since))
            if met != OK:
                return met
        return DAMAGED if done is not None and done.damaged else OK


def _counts(store: Store, since: str | None) -> Counts:
    from inspector.batch.report import counts

    return counts(store, since)


def _verdicts(store: Store, since: str | None) -> dict[str, int]:
    """Mirrors in the store by verdict, the most alarming first: what a report counts."""
    found = _counts(store, since).verdicts
    return {word: found[word] for word in ALARMING}


def _lines(done: Round, verdicts: Mapping[str, int]) -> Iterator[str]:
    """What a round did, and what the store holds."""
    states = done.states
    said = several("{n} capture in {units}", "{n} captures in {units}", done.captures)
    units = several("{n} unit", "{n} units", done.units).format(n=f"{done.units:,}")
    figures = [said.format(n=f"{done.captures:,}", units=units)]
    older = several("{n} older one replaced", "{n} older ones replaced", done.superseded)
    for count, text in (
        (done.new, _("{n} read now")),
        (done.unchanged, _("{n} unchanged")),
        (done.twice, _("{n} with the content of another one")),
        (done.superseded, older),
        (done.removed, _("{n} removed")),
        (states["damaged"], _("{n} damaged: read in part")),
        (states["failed"], _("{n} could not be read")),
    ):
        if count:
            figures.append(text.format(n=f"{count:,}"))
    yield ", ".join(figures) + ".\n"
    total = sum(verdicts.values())
    said = several("{n} mirror in the store", "{n} mirrors in the store", total).format(n=f"{total:,}")
    counts = ", ".join(f"{n:,} {word}" for word, n in verdicts.items() if n)
    yield (f"{said}: {counts}.\n" if counts else f"{said}.\n")


@contextmanager
def _signals(ended: threading.Event) -> Iterator[None]:
    """Ctrl-C, or a SIGTERM, ends in good order; a second one ends the program."""
    kept: dict[int, Any] = {}

    def ask(number: int, frame: object) -> None:
        for each, handler in kept.items():
            signal.signal(each, handler)
        ended.set()

    if threading.current_thread() is threading.main_thread():
        kept = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


class _Progress:
    """Units and bytes read, how fast, and how long it will take, on stderr."""

    def begin(self, units: int, bytes_: int) -> None:
        """So much is to be read."""
        self.line = streams.Progress(sys.stderr)
        self.units, self.bytes, self.read, self.count = units, bytes_, 0, 0
        self.began = self.told = time.monotonic()

    def done(self, unit: Unit) -> None:
        """A unit was read."""
        self.count += 1
        self.read += unit.size
        now = time.monotonic()
        if now - self.told < 0.1:
            return
        self.told = now
        passed = max(now - self.began, 1e-9)
        rate = self.read / passed
        done, total = (n + UNIT * units for n, units in ((self.read, self.count), (self.bytes, self.units)))
        left = passed * (total - done) / done
        said = _("read {n} of {units} units, {done} of {all} MB, {rate} MB/s, {left} left")
        text = said.format(
            n=f"{self.count:,}", units=f"{self.units:,}", done=f"{self.read / 1e6:,.0f}", all=f"{self.bytes / 1e6:,.0f}",
            rate=f"{rate / 1e6:,.1f}", left=_span(left),
        )  # fmt: skip
        self.line.show(f"inspect: {text}")

    def end(self) -> None:
        """Take the line away."""
        self.line.clear()


def _span(seconds: float) -> str:
    """`12 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return _("{s} s").format(s=whole)
    if whole < 3600:
        return _("{min} min {s} s").format(min=whole // 60, s=whole % 60)
    return _("{h} h {min} min").format(h=whole // 3600, min=whole // 60 % 60)
