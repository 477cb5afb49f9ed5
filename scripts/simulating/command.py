"""The command line of scripts/simulate."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import click

from simulating.families import FAMILIES
from simulating.faults import FAULTS
from simulating.report import lines
from simulating.running import Outcome, numbers, run


def _names(text: str, known: dict[str, object], what: str) -> set[str]:
    chosen = {n for n in text.split(",") if n}
    if unknown := sorted(chosen - known.keys()):
        raise click.UsageError(f"there is no {what} {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return chosen


@click.command()
@click.option("--cases", type=click.IntRange(1), default=1500, show_default=True, help="How many.")
@click.option("--seed", help="Of all chance; default: a new one.")
@click.option("--only", type=click.IntRange(0), help="One case, by its number.")
@click.option("--family", default="", help="Only these families (names with commas).")
@click.option("--fault", default="", help="Only cases with one of these faults.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Where wrong cases are written.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("-v", "--verbose", is_flag=True, help="Every wrong claim, and the cells.")
@click.option("--list", "show", is_flag=True, help="Name families and faults, and end.")
def main(
    cases: int, seed: str | None, only: int | None, family: str, fault: str, keep: Path | None, jobs: int, verbose: bool,
    show: bool,
) -> None:  # fmt: skip
    """Simulate, inspect, compare with the truth."""
    if show:
        click.echo(
            f"families ({len(FAMILIES)}): {', '.join(sorted(FAMILIES))}\nfaults ({len(FAULTS)}): {', '.join(FAULTS)}"
        )
        return
    families, faults = _names(family, dict(FAMILIES), "family"), _names(fault, dict(FAULTS), "fault")
    seed = seed or secrets.token_hex(4)
    click.echo(f"seed {seed}")
    left = [cases if verbose else 25]

    def told(o: Outcome) -> None:
        if o.checked.wrong and left[0] > 0:
            left[0] -= 1
            for w in o.checked.wrong[: None if verbose else 2]:
                click.echo(f"{o.name}: {w.kind}: {w.says}")
        if only is not None:
            click.echo(f"{o.name}: {', '.join(o.checked.verdicts) or 'no mirror'}")

    began = time.monotonic()
    chosen = [only] if only is not None else numbers(seed, cases, families, faults)
    totals = run(seed, chosen, keep, jobs, told)
    for line in lines(totals, seed, time.monotonic() - began, verbose):
        click.echo(line)
    raise SystemExit(1 if totals.kinds else 0)
