"""Stores made by tests: the real thing, in this process."""

from pathlib import Path

from inspector.batch.engine import Where
from inspector.batch.library import Store
from inspector.batch.round import Plan, Round, Silent, run
from inspector.batch.store import keeping
from inspector.batch.units import How

CAPTURES = Path(__file__).parents[2] / "captures"
VERSION = "1.0"


def kept(store: Path, *sources, told=None, **options) -> Round:
    """A round over `sources`; `told` gets the sentences."""
    options.setdefault("how", How())
    options.setdefault("where", Where(1))
    version = options.pop("version", VERSION)
    sentences = [] if told is None else told
    with keeping(store) as keeper:
        return run(
            keeper, Plan(tuple(map(str, sources)), **options), lambda: False, sentences.append, Silent(), version
        )


def library(store: Path) -> Store:
    from inspector import batch

    return batch.open(store)


def names(frame) -> list[str]:
    """The files of a frame of captures."""
    return sorted(path.rsplit("/", 1)[-1] for path in frame["path"])
