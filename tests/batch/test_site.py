"""The site in a real browser, from files: quiet, linked, sorted, filtered, and deaf to what captures say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from batch_rows import SECOND, START, asked, made, mirror
from browser import Watched, chromium
from browser_checks import BAD, CONTRAST, WIDER

from inspector.batch.report import build, model

HOSTILE = [
    *BAD,
    "| a | [b](javascript:alert(1)) `c` |",
    "=HYPERLINK(1)",
    "../../etc/passwd",
    "%2e%2e%2f\x00\x1b[2J\r\n",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with leaks, differences of each kind, three days, and captures that failed."""
    folder = tmp_path_factory.mktemp("site")
    units = []
    for number in range(3):
        begins = START + number * 86_400 * SECOND
        rows = []
        for i in range(1, 25):
            other = {"status_same": False, "mirror_status": 500} if i % 5 == 0 else {"body_same": i % 3 > 0}
            verdict = "leaked" if i == 7 else "unproven" if i == 8 else "unanswered" if i == 9 else "discarded"
            at = begins + i * SECOND
            rows.append(mirror(i, verdict=verdict, host=f"shop-{i % 2}", mirror_host=None, request_time=at, **other))
        differences = [
            {"mirror": i, "part": "body", "field": f"items[].f{i}", "change": "changed", "expected": False,
             "original": "1", "copy": "2"}
            for i in range(1, 25) if i % 3 == 0
        ]  # fmt: skip
        state = {
            "state": "damaged" if number == 2 else "read",
            "first": begins,
            "last": begins + 60 * SECOND,
            "written": begins,
        }
        units.append({
            "units": [{**state, "version": "1", "finding": "Found.", "unseen": ["Lost: capture with -s 0."]}], "mirrors": rows,
            "differences": differences, "exchanges": [asked(i, host=f"shop-{i % 2}") for i in range(1, 25)],
        })  # fmt: skip
    broken = {"state": "failed", "error": "no capture", "hint": "take one", "written": START, "version": "1"}
    build(made(folder / "store", [*units, {"units": [broken]}]), folder / "report")
    return folder / "report"


def quiet(seen: Watched, folder: Path) -> None:
    """Nothing was said, and nothing asked for but files of the report."""
    assert seen.said == []
    asked_for = {url.split("#")[0] for url in seen.asked if not url.startswith("data:")}
    assert all(url.startswith(folder.as_uri() + "/") for url in asked_for), asked_for
    seen.context.close()


def test_the_first_screen_answers(browser: Any, site: Path) -> None:
    seen = Watched(browser, viewport={"width": 1280, "height": 800})
    page = seen.open(site / "index.html")
    answers = page.locator(".answers li")
    assert answers.count() == 4
    box = answers.nth(3).bounding_box()
    assert box["y"] + box["height"] < 800
    assert answers.locator("b").all_inner_texts() == ["Yes: 3 leaks", "100 %", "33 differ", "1 capture unread"]
    assert "12 by status, 21 by body" in answers.nth(2).inner_text()
    answers.nth(0).locator("a").click()
    assert page.evaluate("location.hash") == "#findings"
    for name in (
        "Findings",
        "Over time",
        "Routes",
        "Where the answers differ",
        "Times",
        "Days",
        "What could not be seen",
    ):
        assert page.get_by_role("region", name=name, exact=True).count() == 1, name
    assert page.locator("svg[role=img] > title").count() == page.locator("svg[role=img]").count() == 4
    quiet(seen, site)


def test_every_link_leads_to_a_page_that_is_there(browser: Any, site: Path) -> None:
    """All pages are opened; each link is a file of the report, and an anchor that it names."""
    seen = Watched(browser)
    todo, done = ["index.html"], set()
    anchors: dict[str, set[str]] = {}
    wanted: set[tuple[str, str]] = set()
    while todo:
        name = todo.pop()
        done.add(name)
        page = seen.open(site / name)
        anchors[name] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(x => x.id)"))
        for href in page.evaluate("[...document.querySelectorAll('a')].map(a => a.href)"):
            place, _hash, anchor = href.partition("#")
            target = Path(unquote(place.removeprefix("file://"))).relative_to(site)
            assert (site / target).is_file(), href
            if anchor:
                wanted.add((str(target), anchor))
            if target.suffix == ".html" and str(target) not in done and str(target) not in todo:
                todo.append(str(target))
    assert done == {str(p.relative_to(site)) for p in site.rglob("*.html")}
    assert len(done) > 40
    assert [w for w in wanted if w[1] not in anchors[w[0]]] == []
    quiet(seen, site)


def test_tables_sort_and_filter_by_keyboard(browser: Any, site: Path) -> None:
    seen = Watched(browser)
    page = seen.open(site / "pairs.html")
    rows = page.locator("#pair-table tbody tr")
    assert rows.count() == 33 + 3
    head = page.locator("#pair-table thead button").nth(2)
    head.focus()
    page.keyboard.press("Enter")
    assert page.locator("#pair-table thead th").nth(2).get_attribute("aria-sort") == "ascending"
    first = rows.first.inner_text()
    page.keyboard.press("Space")
    assert page.locator("#pair-table thead th").nth(2).get_attribute("aria-sort") == "descending"
    assert rows.first.inner_text() != first
    status = page.locator("#pair-table-tool [role=status]")
    page.get_by_label("Filter", exact=True).fill("leaked")
    assert status.inner_text().startswith("3 of 36 rows shown")
    assert page.locator("#pair-table tbody tr:visible").count() == 3
    page.locator("#pair-table tbody tr:visible a").first.press("Enter")
    assert "--explain 7" in page.locator("code.command").inner_text()
    page.goto((site / "index.html").as_uri())
    page.locator("#route-table thead button").nth(1).click()  # numbers: the most first
    assert page.locator("#route-table thead th").nth(1).get_attribute("aria-sort") == "descending"
    quiet(seen, site)


def test_it_reads_narrow_dark_and_without_a_script(browser: Any, site: Path) -> None:
    some = [
        "index.html",
        *(str(next((site / folder).iterdir()).relative_to(site)) for folder in ("routes", "pairs", "captures")),
    ]
    seen = Watched(browser, java_script_enabled=False, color_scheme="dark", viewport={"width": 390, "height": 800})
    assert seen.open(site / "index.html").locator("#route-table tbody tr").count() == 2
    assert not seen.page.locator("form.tool").first.is_visible()
    quiet(seen, site)
    for scheme in ("light", "dark"):
        wide = Watched(browser, color_scheme=scheme, viewport={"width": 360, "height": 800})
        for name in some:
            page = wide.open(site / name)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.evaluate(WIDER)
            assert page.evaluate(CONTRAST) == []
        quiet(wide, site)


def test_hostile_text_never_acts(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "PLOTTED", 1)
    units = []
    for number, bad in enumerate(HOSTILE):
        rows = [
            mirror(1, verdict=("leaked", "unproven")[number % 2], reason=bad, host=bad, mirror_host=bad + "x", path=bad,
                   method=bad, request_id=bad, original_server=bad, mirror_server=bad, paired_by=[bad], body_same=False,
                   proxy=bad, downstream_client=bad, evidence=[{"capture": 0, "packet": 1, "says": bad}])
        ]  # fmt: skip
        state = {"state": ("read", "failed", "damaged")[number % 3], "error": bad, "hint": bad, "finding": bad, "unseen": HOSTILE,
                 "first": START, "last": START, "written": START, "version": bad, "options": bad}  # fmt: skip
        difference = {
            "mirror": 1,
            "part": bad,
            "field": bad,
            "change": bad,
            "expected": False,
            "original": bad,
            "copy": bad,
        }
        units.append({"units": [state], "mirrors": rows, "differences": [difference], "exchanges": [asked(1, host=bad)],
                      "captures": [{"capture": 0, "path": f"/c/{bad}", "warnings": HOSTILE, "format": bad}]})  # fmt: skip
    build(made(tmp_path / "store", units), tmp_path / "report", title=HOSTILE[0])
    site = tmp_path / "report"
    for path in site.rglob("*"):
        assert path.name.isascii()
        assert set(path.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    seen = Watched(browser)
    names = [p for p in site.rglob("*.html") if p.parent == site or p.parent.name in ("routes", "captures")]
    pairs = sorted((site / "pairs").iterdir())
    for path in [*names[:8], *pairs[:4]]:
        page = seen.open(path)
        assert page.locator("script").count() == 2
        assert page.locator("img, iframe, object, [onload], [onerror], svg svg").count() == 0
        assert page.evaluate("[...document.querySelectorAll('a')].every(a => a.protocol === 'file:')")
        shown = page.locator("body").inner_text()
        assert not set(shown) & set("\u202e\u2066\u200b\x00\x1b")
    quiet(seen, site)
    assert len(pairs) == len(HOSTILE)
    text = (site / "report.md").read_text()
    outside = re.sub(r"(`+)[^`].*?[^`]\1(?!`)", "", text)
    assert "<img" not in outside
    assert "<script" not in outside
    assert len(outside) < len(text)
    assert "[b](javascript" not in outside
    assert not set(text) & set("\u202e\u2066\u200b\x00\x1b")
    rows = (site / "report.csv").read_text().splitlines()[1:]
    assert len([row for row in rows if row.endswith(",,,")]) == len(HOSTILE)
    assert not [row for row in rows if row.split(",")[1].strip('"').startswith(("=", "+", "-", "@"))]
