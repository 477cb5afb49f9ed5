"""The simulator: its captures are valid, its truth is consistent, the same seed makes the same case, and its check can fail."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import lab_path
import pytest
from click.testing import CliRunner
from ideal import Ideal

if str(lab_path.SCRIPTS) not in sys.path:
    sys.path.append(str(lab_path.SCRIPTS))

from simulating import running
from simulating.cases import Case, make, plan
from simulating.check import check
from simulating.command import main
from simulating.families import FAMILIES
from simulating.faults import FAULTS
from simulating.messages import Request, Response, tells
from simulating.network import CLIENT, SERVER
from simulating.places import PLACES
from simulating.truth import Truth
from simulating.wire import checksum, frame

PACKAGE = lab_path.SCRIPTS / "simulating"
SEED = "tests"


def case_of(want: Callable[[str, list[str], str], bool]) -> Case:
    """The first case whose plan fits."""
    return make(SEED, next(i for i in range(100_000) if want(*plan(SEED, i))))


def undamaged(family: str) -> Case:
    return case_of(lambda f, faults, place: (f, faults, place) == (family, ["none"], "proxy"))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_runner_knows_the_product(path: Path) -> None:
    source = path.read_text()
    assert source.count("\n") < 400
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else a.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for a in node.names
    }
    uses = {name for name in imported if name.split(".")[0] == "inspector"}
    assert uses == ({"inspector"} if path.name == "running.py" else set())


def test_there_are_many_families_and_faults() -> None:
    assert len(FAMILIES) >= 30
    assert len(FAULTS) > 20
    cells = {(plan(SEED, i)[0], fault) for i in range(6000) for fault in plan(SEED, i)[1]}
    assert len(cells) > 0.95 * len(FAMILIES) * len(FAULTS)
    assert {plan(SEED, i)[2] for i in range(1500)} == set(PLACES)


def digest(indices: range) -> str:
    every = (data for i in indices for data in make(SEED, i).files())
    return hashlib.sha256(b"".join(every)).hexdigest()


def test_the_same_seed_makes_the_same_bytes_in_another_process() -> None:
    program = f"import test_simulate as t; print(t.digest(range({len(FAMILIES)})))"
    folders = [
        str(Path(__file__).parent),
        str(Path(lab_path.__file__).parent),
        str(lab_path.SCRIPTS),
        str(lab_path.SCRIPTS.parent),
    ]
    runs = [
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(folders)},
        ).stdout
        for hash_seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1]
    assert len(runs[0].strip()) == 64


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_truth_is_consistent(family: str) -> None:
    case = case_of(lambda f, faults, place: f == family and "loss" not in faults)
    scene, truth = case.scene, Truth(case)
    for c in scene.connections:
        for side in (CLIENT, SERVER):
            sent = bytearray(c.half[side].sent)
            for p in c.packets:
                if p.side == side and p.data:
                    sent[p.at : p.end] = p.data
            stream = bytes(sent)
            spans = c.spans[side]
            assert all(a.end == b.start for a, b in pairwise(spans))
            for s in spans:
                e = s.exchange
                said = e.request if side == CLIENT else e.response
                assert isinstance(said, Request | Response)
                assert (said.head() + said.tail())[: s.end - s.start].startswith(stream[s.start : s.end])
        for p in c.packets:
            if p.ack is not None and p.at >= 0:
                others = (q for q in c.packets if q.side != p.side and q.arrived is not None)
                came = [q.end + bool(q.flags & 1) for q in others if q.arrived <= p.sent]
                assert p.ack <= max([0, *came]), "it acknowledges what has not arrived"
    for e in scene.exchanges:
        if e.response is not None and e.connection is not None and truth.arrival(e) is not None:
            begun = min(p.sent for p in e.connection.packets if p.side == CLIENT and p.data)
            assert begun < truth.arrival(e)
    for t in scene.transactions:
        asked = min(p.sent for p in t.downstream.connection.packets if p.side == CLIENT and p.data)
        for sent in (*t.originals, *t.mirrors, *t.checks):
            if sent.connection is not None:
                assert any(p.sent > asked for p in sent.connection.packets if p.side == CLIENT and p.data)
        if t.given is not None and truth.departure(t.downstream) is not None:
            assert t.given.response is not None
            assert truth.arrival(t.given) < truth.departure(t.downstream)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_perfect_reader_makes_no_wrong_claim(family: str) -> None:
    for n in range(3):
        wanted = [i for i in range(20 * len(FAMILIES)) if plan(SEED, i)[0] == family]
        truth = Truth(make(SEED, wanted[n]))
        assert check(truth, Ideal(truth)).wrong == []


def test_checksums_are_right_or_left_to_the_card() -> None:
    for index in range(12):
        case = make(SEED, index)
        for r in case.taken.files[0][:40]:
            data = frame(r, 101, case.taken.right_sums, 1)
            if data[0] >> 4 != 4:
                continue
            assert checksum(data[:20]) == 0
            tcp = data[20:]
            pseudo = data[12:20] + bytes((0, 6)) + len(tcp).to_bytes(2, "big")
            assert checksum(pseudo + tcp) == 0 if case.taken.right_sums else tcp[16:18] == b"\0\0"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_the_same_requests(tmp_path: Path) -> None:
    for family in ("plain-envoy", "leak-head", "compressed"):
        case = undamaged(family)
        (tmp_path / "x.pcap").write_bytes(case.files()[0])
        options = ["-o", "tcp.check_checksum:FALSE", "-o", "ip.check_checksum:TRUE", "-d", "tcp.port==1-65535,http"]
        fields = ["-T", "fields", "-e", "http.request.method", "-e", "_ws.malformed", "-e", "ip.checksum.status"]
        done = subprocess.run(
            ["tshark", "-n", "-r", str(tmp_path / "x.pcap"), *options, *fields],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        assert len(rows) == len(case.taken.files[0])
        assert not any(row[1] or "0" in row[2] for row in rows)
        assert sum(bool(row[0]) for row in rows) == len(case.scene.exchanges)


def test_whose_response_went_down() -> None:
    a, b = Response(200, (("etag", "a"),), b"one"), Response(200, (("etag", "b"),), b"two")
    assert tells(a, a, b) == 1
    assert tells(Response(502, (), b"two"), a, b) == -1
    assert tells(Response(200, (), b"tw", cut=2), a, b) == -1
    same = Response(200, (("etag", "b"),), b"one")
    assert tells(Response(200, (("etag", "b"),), b"one"), a, same) == -1
    assert tells(Response(200, (("etag", "rewritten"),), b"one"), a, same) == 0


Falsify = Callable[[Truth, Any], None]


def other(truth: Truth, view: Any, role: str) -> Any:
    """A leg of another transaction."""
    mine = truth.group(truth.scene.exchanges[view.mirror.id])
    e = next(
        x
        for x in truth.scene.exchanges
        if x.role == role and x.group not in (mine, None) and x.request.target != view.path
    )
    return Ideal(truth).leg(e)


def exchange_roles(_: Truth, v: Any) -> None:
    v.mirror, v.original = v.original, v.mirror


PLANTED: list[tuple[str, str, str, Falsify]] = [
    ("leak-whole", "leaked", "false discarded", lambda t, v: setattr(v, "verdict", "discarded")),
    ("leak-whole", "leaked", "false delivered", lambda t, v: setattr(v, "delivered", "original")),
    ("leak-status", "leaked", "false discarded", lambda t, v: setattr(v, "verdict", "discarded")),
    ("leak-coded", "leaked", "false discarded", lambda t, v: setattr(v, "verdict", "discarded")),
    ("leak-location", "leaked", "false discarded", lambda t, v: setattr(v, "verdict", "discarded")),
    ("leak-cookie", "leaked", "false discarded", lambda t, v: setattr(v, "verdict", "discarded")),
    ("leak-head", "leaked", "false discarded", lambda t, v: setattr(v, "verdict", "discarded")),
    ("leak-cut", "leaked", "false discarded", lambda t, v: setattr(v, "verdict", "discarded")),
    ("leak-foreign", "leaked", "false discarded", lambda t, v: setattr(v, "verdict", "discarded")),
    ("compressed", "discarded", "false leaked", lambda t, v: setattr(v, "verdict", "leaked")),
    ("sidecars", "discarded", "false leaked", lambda t, v: setattr(v, "verdict", "leaked")),
    ("compressed", "discarded", "false unanswered", lambda t, v: setattr(v, "verdict", "unanswered")),
    ("compressed", "discarded", "false delivered", lambda t, v: setattr(v, "delivered", "mirror")),
    ("compressed", "discarded", "false delivered", lambda t, v: setattr(v, "delivered", "proxy")),
    ("plain-envoy", "discarded", "exchanged", exchange_roles),
    ("authorization", "discarded", "false mirror", lambda t, v: setattr(v, "mirror", other(t, v, "check"))),
    ("plain-envoy", "discarded", "false mirror", lambda t, v: setattr(v, "mirror", v.downstream)),
    ("plain-envoy", "discarded", "false original", lambda t, v: setattr(v, "original", other(t, v, "original"))),
    ("plain-envoy", "discarded", "false downstream", lambda t, v: setattr(v, "downstream", other(t, v, "downstream"))),
    ("plain-envoy", "discarded", "false packets", lambda t, v: v.mirror.request_packets.append(1_000_000)),
    ("mirror-is-late", "discarded", "false time", lambda t, v: setattr(v, "proof", ["time"])),
]


@pytest.mark.parametrize(
    ("family", "verdict", "kind", "falsify"), PLANTED, ids=[f"{f}: {k} {n}" for n, (f, _, k, _) in enumerate(PLANTED)]
)
def test_a_planted_claim_is_found(family: str, verdict: str, kind: str, falsify: Falsify) -> None:
    found = set()
    for index in (i for i in range(400 * len(FAMILIES)) if plan(SEED, i) == (family, ["none"], "proxy")):
        truth = Truth(make(SEED, index))
        for n in range(len(Ideal(truth).views)):
            ideal = Ideal(truth)
            if ideal.views[n].verdict == verdict:
                try:
                    falsify(truth, ideal.views[n])
                except StopIteration:
                    continue  # there is no such leg in this case
                found |= {w.kind for w in check(truth, ideal).wrong}
        if kind in found:
            return
    pytest.fail(f"only {found}")


def test_a_share_above_the_truth_is_found() -> None:
    truth = Truth(undamaged("percentage"))
    ideal = Ideal(truth)
    real = sum(bool(t.mirrors) for t in truth.scene.transactions)
    for mirrored, eligible, kinds in (
        (real, len(truth.scene.transactions), []),
        (real + 1, real + 1, ["false share"]),
        (real, 99, ["false share"]),
    ):
        ideal.summary.share = type("S", (), {"mirrored": mirrored, "eligible": eligible})()
        if mirrored:
            assert [w.kind for w in check(truth, ideal).wrong] == kinds


def test_missed_mirrors_are_counted() -> None:
    truth = Truth(undamaged("plain-envoy"))
    ideal = Ideal(truth)
    total = len(ideal.views)
    ideal.views = []
    assert check(truth, ideal).missed == total > 0


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status, seed, folder of wrong cases; the product is played by a reader that is perfect, then by one that lies."""
    last: list[Truth] = []
    monkeypatch.setattr(running, "Truth", lambda case: last.append(Truth(case)) or last[-1])
    monkeypatch.setattr("inspector.inspect", lambda *_: Ideal(last[-1]), raising=False)
    good = CliRunner().invoke(main, ["--cases", "8", "--seed", SEED, "--family", "plain-envoy"])
    assert (good.exit_code, good.output.splitlines()[0]) == (0, f"seed {SEED}")
    assert "wrong definite claims: 0 in 0 of 8 cases" in good.output

    def lie(*_: object) -> Ideal:
        ideal = Ideal(last[-1])
        for v in ideal.views:
            v.verdict = "leaked"
        return ideal

    monkeypatch.setattr("inspector.inspect", lie)
    bad = CliRunner().invoke(
        main, ["--cases", "8", "--seed", SEED, "--family", "mirror-is-late", "--keep", str(tmp_path), "-v"]
    )
    assert bad.exit_code == 1
    assert "false leaked" in bad.output
    kept = sorted(tmp_path.iterdir())
    assert {f.name for f in kept[0].iterdir()} >= {"capture1.pcap", "truth.json"}
    assert CliRunner().invoke(main, ["--family", "nonsense"]).exit_code == 2
