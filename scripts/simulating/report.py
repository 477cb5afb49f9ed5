"""The figures of a run as text."""

from __future__ import annotations

from collections.abc import Iterator

from simulating.running import Totals


def lines(t: Totals, seed: str, took: float, wide: bool) -> Iterator[str]:
    """All that is told at the end."""
    listed = sum(t.verdicts.values())
    yield f"seed {seed}: {t.cases:,} cases in {took:.0f} s, {listed:,} mirrors reported"
    yield "verdicts: " + ", ".join(f"{n:,} {word}" for word, n in t.verdicts.most_common())
    total = sum(t.families.values(), start=type(t.kinds)())
    yield (
        f"missed, nothing lost: {total['missed']:,} with marks, {total['missed_unmarked']:,} without; "
        f"of {total['mirrors']:,} that were captured whole; called leaked for an equal response: {total['unfounded']:,}"
    )
    reasons = ", ".join(f"{n:,} {word}" for word, n in t.cautious.most_common())
    yield f"unproven, nothing lost and clients seen: {sum(t.cautious.values()):,} ({reasons or 'none'})"
    if total["candidates"]:
        yield f"candidates: {total['candidates']:,}, of which {total['right_candidates']:,} are mirrors"
    yield "confidence   pairs   right    told"
    for low in sorted(t.ties):
        pairs, right, told = t.ties[low]
        mark = "  <- told more than is right" if pairs >= 30 and right / pairs < told / 100 / pairs - 0.005 else ""
        yield f"{low * 10:3d}-{low * 10 + 10:3d} %  {pairs:6,}  {100 * right / pairs:5.1f} %  {told / pairs:5.1f} %{mark}"
    for name, rows in (("family", t.families), ("fault", t.faults)):
        yield ""
        yield f"{name:22} cases wrong  mirrors listed definite unproven missed unmarked"
        for key, r in sorted(rows.items(), key=lambda x: (-x[1]["wrong"], x[0])):
            yield (
                f"{key:22} {r['cases']:5} {r['wrong']:5}  {r['mirrors']:7} {r['listed']:6} {r['definite']:8} {r['unproven']:8} "
                f"{r['missed']:6} {r['missed_unmarked']:8}"
            )
    if wide:
        yield ""
        for (family, fault), r in sorted(t.cells.items()):
            if r["wrong"] or r["missed"]:
                yield f"{family} x {fault}: {r['wrong']} wrong, {r['missed']} missed in {r['cases']} cases"
    yield ""
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in t.kinds.most_common())
    yield f"wrong definite claims: {sum(t.kinds.values()):,} in {t.wrong_cases:,} of {t.cases:,} cases" + (
        f" ({kinds})" if kinds else ""
    )
