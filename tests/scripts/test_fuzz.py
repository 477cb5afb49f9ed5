"""The fuzz targets without a fuzzer: inputs that once broke a property, seeds and changed seeds; damaged captures; and that
each of these checks can fail. Long runs: scripts/fuzz and scripts/mutate."""

from __future__ import annotations

import dataclasses
import io
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_path import SCRIPTS
from fuzzing import contradiction, corpus, mutating, mutations
from fuzzing.minimise import shrink
from fuzzing.targets import TARGETS
from fuzzing.targets.outputs import claims

import inspector
from inspector.http.codings import decoded
from inspector.http.content import CapturedMessage

INPUTS = sorted((Path(__file__).parents[1] / "fuzz_inputs").glob("*/*"))
CAPTURES = Path(__file__).parents[2] / "captures"
DAMAGED = 40
SOURCES = ("cascade-client.pcap", "items-client.pcap", "leaky-gw.pcap", "retry-client.pcap", "stripped-client.pcap.zst")


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_what_was_found_stays_found(path):
    TARGETS[path.parent.name].check(path.read_bytes())


def changed(data: bytes, dice: random.Random) -> bytes:
    """A byte or four of it others, a piece gone, or twice there."""
    out = bytearray(data)
    at = dice.randrange(len(out))
    what = dice.randrange(4)
    if what == 0:
        out[at] = dice.randrange(256)
    elif what == 1:
        out[at : at + 4] = dice.randbytes(4)
    elif what == 2:
        del out[at : at + dice.randrange(1, 20)]
    else:
        out[at:at] = out[at : at + dice.randrange(1, 20)]
    return bytes(out)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_changed_seeds(name):
    target, dice = TARGETS[name], random.Random(name)
    seeds = [s for s in target.seeds() if len(s) <= 4000] or [*target.seeds()][:2]
    for seed in dice.sample(seeds, min(4, len(seeds))):
        target.check(seed)
        target.check(changed(seed, dice))


def truth(name: str) -> contradiction.Truth:
    return contradiction.truth(f"captures/{name}")


@pytest.mark.parametrize("name", SOURCES)
def test_damaged_captures_say_nothing_that_the_whole_one_contradicts(name):
    t = truth(name)
    told = 0
    for n in range(DAMAGED // len(SOURCES)):
        judged = contradiction.judge(t, mutations.mutant(t.original, random.Random(f"{name} {n}")))
        assert not judged.found, n
        told += judged.same
    assert told


def snapped(t: contradiction.Truth, size: int) -> mutations.Mutant:
    records = [dataclasses.replace(r, frame=r.frame[:size]) for r in t.original.records]
    return mutations.Mutant(mutations.written(t.original.head, records), "snap", True, tuple(r.origin for r in records))


def test_a_response_cut_off_whole_is_not_taken_for_none():
    """Equal responses, and of the original's only the TCP header was captured: whose the client got cannot be told."""
    t = truth("stripped-client.pcap.zst")
    head = next(m for m in t.mirrors.values() if m.method == "HEAD")
    assert head.original is not None
    only = set(head.original.response_packets)
    records = [
        dataclasses.replace(r, frame=r.frame[: len(r.frame) - t.original.sizes[r.origin]]) if r.origin in only else r
        for r in t.original.records
    ]
    data = mutations.written(t.original.head, records)
    (mirror,) = [m for m in inspector.inspect(io.BytesIO(data)).mirror_views() if m.method == "HEAD"]
    assert mirror.original is not None
    assert mirror.original.status is None
    assert (mirror.verdict, mirror.reason) == ("unproven", "gap")
    assert not contradiction.judge(t, snapped(t, 60)).found


@pytest.mark.parametrize("acknowledged", [True, False], ids=["acknowledged", "nothing left"])
def test_an_original_whose_answer_is_not_in_the_capture_shows_no_leak(acknowledged):
    """Equal responses, and of the original's connection nothing (or one acknowledgement) is left from its response on."""
    t = truth("stripped-client.pcap.zst")
    m = next(m for m in t.mirrors.values() if m.proof == ["count"])
    assert m.original is not None
    first = m.original.response_packets[0]
    own = frozenset(" ".join(end.rsplit(":", 1)) for end in (m.original.client, m.original.server))
    rest = [r for r in t.original.records if r.origin > first and t.original.ends.get(r.origin) == own]
    kept = next(r for r in rest if not t.original.sizes[r.origin]).origin if acknowledged else 0
    gone = {first, *(r.origin for r in rest)} - {kept}
    records = [r for r in t.original.records if r.origin not in gone]
    data = mutations.written(t.original.head, records)
    assert not contradiction.judge(t, mutations.Mutant(data, "tail", True, tuple(r.origin for r in records))).found
    (mirror,) = [x for x in inspector.inspect(io.BytesIO(data)).mirror_views() if x.path == m.path]
    assert (mirror.verdict, mirror.reason) == ("unproven", "gap")


@pytest.mark.parametrize("kind", ["other", "no mirror", "unanswered"])
def test_contradictions_are_seen(kind):
    """The whole capture against a truth that says something else."""
    t = truth("items-client.pcap")
    records = t.original.records
    whole = mutations.Mutant(t.original.data, "nothing", True, tuple(r.origin for r in records))
    judged = contradiction.judge(t, whole)
    assert (judged.same, judged.found) == (3, [])
    number, m = next(iter(t.mirrors.items()))
    others = dict(t.mirrors)
    if kind == "no mirror":
        del others[number]
    else:
        others[number] = dataclasses.replace(m, verdict="leaked" if kind == "other" else kind)
    judged = contradiction.judge(dataclasses.replace(t, mirrors=others), whole)
    assert judged.same == 2
    assert len(judged.found) == 1
    assert judged.found[0].startswith(kind)


def test_forged_packets_excuse_their_own_connections_only():
    t = truth("leaky-gw.pcap")
    own = contradiction.ends(next(m for m in t.mirrors.values() if m.verdict == "leaked"))
    touched = next(
        n for n, size in t.original.sizes.items() if not size and own & t.original.ends[n]
    )  # an option of TCP
    records = [
        dataclasses.replace(r, frame=r.frame[:-1] + b"!") if r.origin == touched else r for r in t.original.records
    ]
    forged = mutations.Mutant(
        mutations.written(t.original.head, records), "flip", False, tuple(range(1, len(records) + 1))
    )
    judged = contradiction.judge(t, forged)
    assert judged.skipped >= 1
    assert judged.same >= 1
    turned = {"leaked": "discarded", "discarded": "leaked"}
    others = {n: dataclasses.replace(m, verdict=turned[m.verdict]) for n, m in t.mirrors.items()}
    assert len(contradiction.judge(dataclasses.replace(t, mirrors=others), forged).found) == judged.same


def test_the_same_seed_makes_the_same_captures():
    for number in (3, 11):
        assert mutating.made(5, number)[1] == mutating.made(5, number)[1]
    assert mutating.made(5, 3)[1] != mutating.made(5, 4)[1]


def test_inputs_are_made_smaller():
    assert shrink(b"abc-needle-xyz" * 20, lambda d: b"needle" in d, float("inf")) == b"needle"


def test_the_claims_of_an_inspection_can_fail():
    found = inspector.inspect(str(CAPTURES / "items-client.pcap"))
    claims(found)
    found.summary.verdicts["leaked"] = 1
    with pytest.raises(AssertionError):
        claims(found)


def test_gzip_padded_with_zeros_is_whole():
    import gzip

    found = decoded(
        CapturedMessage(b"HTTP/1.1 200 OK", ((b"content-encoding", b"gzip"),), gzip.compress(b"abc") + bytes(5))
    )
    assert (found.body, found.whole, found.problem) == (b"abc", True, None)


def run(*args: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(path)} if path else None
    command = [sys.executable, str(SCRIPTS / "fuzz"), *args]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_without_atheris_the_script_says_so(tmp_path):
    (tmp_path / "atheris.py").write_text("raise ImportError('no such library')\n")
    done = run("--seconds", "1", path=tmp_path)
    assert done.returncode == 2
    assert "not fuzzed: atheris cannot be imported (no such library)" in done.stderr


def test_corpora_come_from_real_captures():
    assert len(corpus.captures()) >= 17
    assert 276 in corpus.frames()
    assert any(b"HTTP/1.1 200" in answered for _, answered in corpus.streams())
