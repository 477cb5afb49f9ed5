"""The report without a browser: its parts, its size, what hostile text becomes, and what the command says of it."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hostile_views import hostile
from hypothesis import given, settings
from render_samples import Sample, rich
from report_pages import page_of

from inspector import lang
from inspector.cli.program import run
from inspector.inspection import inspect
from inspector.render.report import gather as gathering
from inspector.render.report import graph, table
from inspector.render.report.compared import Brief
from inspector.render.report.gather import gather
from inspector.views.objects import ExchangeView, MirrorView

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "captures"
NAMES = sorted(p.name for p in CAPTURES.iterdir() if ".pcap" in p.name)
VOID = {"meta", "link", "br", "hr", "input", "col"}


class Page(HTMLParser):
    """Elements of a page; every one that is opened is closed in order."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]

    @property
    def data(self) -> dict[str, object]:
        return json.loads(next(t for tag, t in self.text if tag == "script"))


def check_page(markup: str) -> Page:
    page = Page(markup)
    assert markup.isascii()
    ids = [a["id"] for _tag, a in page.found if "id" in a]
    assert len(ids) == len(set(ids))
    for _tag, attributes in page.found:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("href", "src", "action"):
            assert attributes.get(name) is None or str(attributes[name]).startswith(("#", "data:,"))
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
    links = {str(a["href"])[1:] for a in page.all("a") if not str(a["href"]).startswith("#mirror-")}
    assert links <= set(ids)
    assert [tag for tag, _attributes in page.found if tag in ("img", "iframe", "object", "embed", "base")] == []
    heads = [int(tag[1]) for tag, _attributes in page.found if re.fullmatch("h[1-6]", tag)]
    assert heads[0] == 1
    assert heads.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(heads))
    return page


@pytest.mark.parametrize("name", NAMES)
def test_a_report_on_a_capture(name: str, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    path = str(CAPTURES / name)
    assert run([path, "--format", "html", "-o", str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    page = check_page(target.read_text("ascii"))
    found = inspect(path)
    texts = [text for _tag, text in page.text]
    assert found.summary.finding in texts
    assert all(sentence in texts for sentence in found.summary.unseen)
    rows = [a for a in page.all("tr") if str(a.get("id", "")).startswith("mirror-")]
    assert [(a["id"], a["data-verdict"]) for a in rows] == [(f"mirror-{m.id}", m.verdict) for m in found.mirror_views()]
    assert bool(page.all("script")) == bool(rows)
    again = tmp_path / "again.html"
    assert run([path, "--show-mirrors", "--format", "html", "-o", str(again)]) == 0
    assert again.read_bytes() == target.read_bytes()


def test_leaks_come_first_and_lead_to_their_rows(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    run([str(CAPTURES / "leaky-gw.pcap"), "--format", "html", "-o", str(target)])
    markup = target.read_text()
    page = check_page(markup)
    links = [a["href"] for a in page.all("a") if str(a["href"]).startswith("#mirror-")]
    assert links[:4] == ["#mirror-3", "#mirror-6", "#mirror-9", "#mirror-12"]
    assert markup.index("4 mirrors leaked") < markup.index('id="services"') < markup.index('id="table"')
    assert len(page.all("details")) == 4
    assert [a["id"] for a in page.all("svg") if a.get("class") == "ladder"] == [
        f"told-ladder-{n}" for n in (3, 6, 9, 12)
    ]


@dataclass
class Many(Sample):
    """Real views, again and again under new numbers."""

    real: list[MirrorView] = field(default_factory=list)
    real_exchanges: list[ExchangeView] = field(default_factory=list)
    times: int = 1

    def mirror_views(self) -> Iterator[MirrorView]:
        return iter(self.mirror_list)


def many(count: int) -> Sample:
    views: list[MirrorView] = []
    exchanges: list[ExchangeView] = []
    for name in ("mix-client.pcap.zst", "leaky-gw.pcap", "retry-client.pcap", "items-node.pcap"):
        found = inspect(str(CAPTURES / name))
        views += found.mirror_views()
        exchanges += found.exchange_views()
    out = []
    for i in range(count):
        m = views[i % len(views)]
        shift = (i // len(views)) * 1_000_003_777
        legs = {leg: moved(getattr(m, leg), i, shift) for leg in ("downstream", "original", "mirror")}
        id_ = f"{i * 7919:08x}-{i:012x}"
        out.append(replace(m, id=i + 1, request_id=id_, path=f"{m.path}?user={i}&item=catalog-{i * 31}", **legs))
    return Sample(out, exchanges)


def moved(x: ExchangeView | None, i: int, shift: int) -> ExchangeView | None:
    if x is None:
        return None
    later = {f: None if (t := getattr(x, f)) is None else t + shift for f in ("request_time", "response_time")}
    return replace(
        x,
        client=f"{x.client.rpartition(':')[0]}:{20000 + i}",
        path=f"{x.path}?user={i}&item=catalog-{i * 31}",
        request_packets=[p + 7 * i for p in x.request_packets],
        response_packets=[p + 7 * i for p in x.response_packets],
        response_body_hash=x.response_body_hash and f"xxh64:{i * 1237:016x}",
        **later,
    )


@pytest.fixture(params=["en", "ko"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    lang.use(request.param)
    yield request.param
    lang.use("en")


@pytest.mark.parametrize("unlike", [0, 6])
def test_a_thousand_mirrors_fit(unlike: int, language: str) -> None:
    """unlike: how many differences, with values of their own, each pair has. Korean takes six bytes a syllable."""
    says = ("Response body: Differs.",)
    changes = {}
    for n in range(1, 1001):
        values = [(f"$.items[{i}].price", "changed", f'"{n}.{i}"', f'"{n * 7}.{i} EUR"') for i in range(unlike)]
        changes[n] = Brief(says, tuple(values))
    markup = page_of(many(1000), changes)
    page = check_page(markup)
    assert len(markup) < 1_500_000
    assert len(page.data["mirrors"]) == 1000  # type: ignore[arg-type]
    assert "mirrors are in this table" not in markup
    assert ("\\ubcf5\\uc0ac\\ubcf8" in markup) == (language == "ko")  # the copy, in an evidence sentence
    told = [found for *_rest, found in page.data["mirrors"].values()]  # type: ignore[attr-defined]
    assert {len(rows) + more for _says, rows, more in told} == {unlike}
    assert any(len(rows) == unlike for _says, rows, _more in told)


def test_what_is_beyond_a_bound_is_said() -> None:
    assert gathering.MIRRORS == 1000
    markup = page_of(many(1040))
    assert "1,000 of 1,040 mirrors are in this table" in markup
    long = many(600)
    long.mirror_list = [replace(m, path="/" + chr(0xC0 + i % 30) * 5000) for i, m in enumerate(long.mirror_list)]
    for m in long.mirror_list:
        object.__setattr__(m, "mirror", replace(m.mirror, path=m.path, host=f"h{m.id}" * 400))
    markup = page_of(long)
    assert len(markup) < 1_500_000
    shown = len(Page(markup).data["mirrors"])  # type: ignore[arg-type]
    assert shown == 600 or f"{shown:,} of 600 mirrors are in this table" in markup


def test_the_byte_limit_leaves_out_what_alarms_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_BYTES", 15_000)
    sample = many(200)
    markup = page_of(sample)
    kept = {int(n) for n in Page(markup).data["mirrors"]}  # type: ignore[attr-defined]
    assert f"{len(kept)} of 200 mirrors are in this table" in markup
    leaked = [m.id for m in sample.mirror_list if m.verdict == "leaked"]
    assert 0 < len(kept) < 200
    assert kept & set(leaked) == set(leaked[: len(kept & set(leaked))])
    assert leaked[0] in kept
    assert 1 not in kept  # discarded


def test_hostile_text_stays_text() -> None:
    sample = rich()
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e javascript:alert(1) \x00&amp;'\""
    sample.mirror_list = [
        replace(m, path=bad, host=bad, request_id=bad, mirror=replace(m.mirror, path=bad, host=bad))
        for m in sample.mirror_list
    ]
    sample.exchange_list = [replace(x, host=bad) for x in sample.exchange_list]
    sample.captures = [replace(sample.captures[0], path=bad, warnings=[bad], faults={bad: 1}, interfaces=[bad])]
    sample.finding = bad
    sample.unseen = [bad]
    markup = page_of(sample)
    page = check_page(markup)
    assert len(page.all("script")) == 2
    assert markup.count("</script>") == 2
    assert "\\u003c/script\\u003e" in markup
    assert "\\u{202e}" in json.dumps(page.data)


@settings(max_examples=25, deadline=None)
@given(mirror=hostile())
def test_any_captured_text_makes_a_page(mirror: MirrorView) -> None:
    legs = [x for x in (mirror.downstream, mirror.original, mirror.mirror) if x is not None]
    check_page(page_of(Sample([replace(mirror, id=1)], legs)))


def test_the_graph_counts_what_the_exchanges_are() -> None:
    found = inspect(str(CAPTURES / "percent50-client.pcap.zst"))
    built = graph.build(gather(found))
    said = graph.tell(built)
    assert len(said) == 3
    assert any(
        "proxy 10.244.0.10 to server 10.244.0.22:3000: mirror, 17 copies" in s and "42.5 % mirrored" in s for s in said
    )
    assert any("server 10.244.0.21:3000: 40 requests" in s and "100 %" in s for s in said)
    leaky = graph.build(gather(inspect(str(CAPTURES / "leaky-gw.pcap"))))
    assert [e.leaked for e in leaky.edges.values() if e.kind] == [4]


def test_a_graph_of_many_nodes_is_bounded() -> None:
    sample = rich()
    x = sample.exchange_list[1]
    sample.exchange_list = [
        replace(x, client=f"10.9.{i // 250}.{i % 250}:1", server=f"10.8.0.{i % 200}:80") for i in range(3000)
    ]
    built = graph.build(gather(sample))
    assert len(built.nodes) <= 4 * (graph.MAX_NODES + 1)
    assert sum(e.count for e in built.edges.values()) == 3000
    ElementTree.fromstring(graph.svg(built))


def test_routes_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "KINDS", 10)
    sample = rich()
    x = sample.exchange_list[1]
    sample.exchange_list = [replace(x, client=f"10.9.0.{i}:1") for i in range(30)]
    g = gather(sample)
    assert (len(g.routes), g.other_routes) == (10, 20)


@pytest.mark.parametrize(
    ("args", "word"),
    [(["--show-exchanges"], "all mirrors"), (["--explain", "1"], "all mirrors"), (["--follow"], "one document")],
)
def test_what_a_report_cannot_be(
    args: list[str], word: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = str(CAPTURES / "items-client.pcap")
    assert run([path, "--format", "html", "-o", str(tmp_path / "x.html"), *args]) == 2
    assert word in capsys.readouterr().err


def test_a_terminal_gets_no_page() -> None:
    head, tail = pty.openpty()
    args = [sys.executable, "-m", "inspector", str(CAPTURES / "items-client.pcap"), "--format", "html"]
    done = subprocess.run(
        args, stdout=tail, stderr=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    os.close(tail)
    os.close(head)
    assert done.returncode == 2
    assert b"-o report.html" in done.stderr


def test_what_differs_is_told_of_each_and_of_all(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    run([str(CAPTURES / "leaky-gw.pcap"), "--format", "html", "-o", str(target)])
    page = check_page(target.read_text())
    texts = [text for _tag, text in page.text]
    assert "$[].imageUrl" in texts
    pool, mirrors = page.data["pool"], page.data["mirrors"]
    says, changes, more = mirrors["3"][5]  # type: ignore[index]
    rows = [[pool[i] for i in pool[row]] for row in changes]  # type: ignore[index]
    assert rows[0] == ["$[0].imageUrl", "added", "", '"http://lorempixel.example/640/480?1"']
    assert (len(rows), more, len(pool[says])) == (5, 0, 1)  # type: ignore[index]


def test_a_pipe_makes_the_same_report(tmp_path: Path) -> None:
    path = CAPTURES / "leaky-gw.pcap"
    args = [sys.executable, "-m", "inspector", "-", "--format", "html"]
    with path.open("rb") as capture:
        done = subprocess.run(
            args, stdin=capture, capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    assert done.returncode == 0, done.stderr
    page = check_page(done.stdout.decode("ascii"))
    assert len(page.data["mirrors"]) == 12  # type: ignore[arg-type]
    assert "$[].imageUrl" in [text for _tag, text in page.text]


def test_secrets_stay_out_unless_asked_for(tmp_path: Path) -> None:
    """A real capture whose requests carry a token where a delay was asked for."""
    data = (CAPTURES / "retry-client.pcap").read_bytes()
    path, target = tmp_path / "token.pcap", tmp_path / "report.html"
    path.write_bytes(data.replace(b"/items?v1.delay=0.3 ", b"/items?token=s3cr3t "))
    assert run([str(path), "--format", "html", "-o", str(target)]) == 0
    hidden = target.read_text()
    assert "s3cr3t" not in hidden
    assert len(set(re.findall(r"token=(redacted:[0-9a-f]{8})", hidden))) == 1
    assert run([str(path), "--format", "html", "-o", str(target), "--no-redact"]) == 0
    assert "token=s3cr3t" in target.read_text()
