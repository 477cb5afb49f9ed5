"""The report in a real browser: it is quiet, filters, sorts, and draws the ladders that the SVG renderer draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browser import Watched, chromium
from browser_checks import BAD, CONTRAST, WIDER
from render_samples import mirror, rich
from report_pages import page_of

from inspector.cli.program import run
from inspector.inspection import inspect
from inspector.render import ladder_svg
from inspector.render.ladder import layout

CAPTURES = Path(__file__).resolve().parents[2] / "captures"

ORDER = (
    "[...document.querySelectorAll('#table > tbody > tr:not(.opened)')].filter(r => !r.hidden).map(r => +r.id.slice(7))"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("reports")

    def report(*names: str) -> Path:
        target = folder / f"{'-'.join(names)}.html"
        if not target.exists():
            assert run([*(str(CAPTURES / n) for n in names), "--format", "html", "-o", str(target)]) in (0, 3)
        return target

    return report


def test_filter(browser: Any, made: Any) -> None:
    path = made("leaky-gw.pcap")
    seen = Watched(browser)
    page = seen.open(path)
    assert page.locator("#count").inner_text() == "12 of 12 mirrors shown"
    assert page.locator("#count").get_attribute("aria-live") == "polite"
    page.select_option("[name=verdict]", "leaked")
    assert page.evaluate(ORDER) == [3, 6, 9, 12]
    assert page.locator("#count").inner_text() == "4 of 12 mirrors shown"
    page.fill("[name=text]", "16:12:55.435 items")
    assert page.evaluate(ORDER) == [6]
    page.fill("[name=text]", "nothing like this")
    assert page.locator("#none").is_visible()
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function(f"{ORDER}.length == 12")
    mirror = next(m for m in inspect(str(CAPTURES / "leaky-gw.pcap")).mirror_views() if m.id == 5)
    page.fill("[name=text]", str(mirror.request_id))
    assert page.evaluate(ORDER) == [5]
    page.get_by_role("button", name="Show all").click()
    page.locator("a[data-verdict=discarded]").click()
    assert page.evaluate(ORDER) == [1, 2, 4, 5, 7, 8, 10, 11]
    seen.quiet(path)


def test_filter_by_route_and_answers(browser: Any, made: Any) -> None:
    path = made("leaky-gw.pcap", "items-node.pcap")
    seen = Watched(browser)
    page = seen.open(path)
    assert page.locator("[name=route] option").count() == 3
    page.select_option("[name=route]", "0")
    first = page.evaluate(ORDER)
    page.select_option("[name=route]", "1")
    assert sorted(first + page.evaluate(ORDER)) == list(range(1, 16))
    page.select_option("[name=answers]", "status")
    assert page.evaluate(ORDER) == []
    seen.quiet(path)


def test_every_column_sorts_both_ways_by_keyboard(browser: Any, made: Any) -> None:
    path = made("mix-client.pcap.zst")
    mirrors = list(inspect(str(CAPTURES / "mix-client.pcap.zst")).mirror_views())
    seen = Watched(browser)
    page = seen.open(path)
    heads = page.locator("#table thead button")
    assert heads.count() == 8
    for i in range(heads.count()):
        heads.nth(i).focus()
        page.keyboard.press("Enter")
        head = page.locator("#table thead th").nth(i)
        up = page.evaluate(ORDER)
        assert head.get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Space")
        assert head.get_attribute("aria-sort") == "descending"
        assert page.locator("#table thead th[aria-sort]").count() == 1
        down = page.evaluate(ORDER)
        assert sorted(up) == sorted(down) == [m.id for m in mirrors]
        name = head.inner_text().split("\u00a0")[0].strip()
        assert name in page.locator("#count").inner_text()
        if name == "lag":
            assert [mirrors[n - 1].lag for n in up] == sorted(m.lag or 0 for m in mirrors)
            assert [mirrors[n - 1].lag for n in down] == sorted((m.lag or 0 for m in mirrors), reverse=True)
        if name == "original":
            assert mirrors[down[0] - 1].original.status == 404  # type: ignore[union-attr]
    seen.quiet(path)


def test_a_ladder_opens_by_keyboard_link_and_click(browser: Any, made: Any) -> None:
    path = made("leaky-gw.pcap")
    seen = Watched(browser)
    page = seen.open(path)
    button = page.locator("#mirror-4 button")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert page.locator("#ladder-4").is_visible()
    assert page.locator("#details-4 .compared tbody tr").count() == 5
    assert "frame.number in {" in page.locator("#details-4").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#details-4").count() == 0
    assert button.get_attribute("aria-expanded") == "false"
    page.locator(".alarms a").first.click()
    page.wait_for_selector("#ladder-3")
    assert page.evaluate("document.activeElement.closest('tr').id") == "mirror-3"
    page.locator("#mirror-7 td").nth(2).click()
    assert page.locator("#ladder-7").is_visible()
    page.locator("#table thead button").nth(6).click()
    after = "[...document.querySelectorAll('#table tbody tr.opened')].map(r => [r.id, r.previousElementSibling.id])"
    assert sorted(page.evaluate(after)) == [["details-3", "mirror-3"], ["details-7", "mirror-7"]]
    seen.quiet(path)
    linked = Watched(browser)
    linked.page.goto(path.as_uri() + "#mirror-9")
    assert linked.page.locator("#ladder-9").is_visible()
    linked.quiet(path)


def parts(markup: str) -> list[tuple[str, dict[str, str], str]]:
    """Elements in order, numbers as numbers are written in both."""
    out = []
    for x in ElementTree.fromstring(markup).iter():
        out.append((x.tag.split("}")[-1], dict(x.attrib), (x.text or "").strip()))
    return out


@pytest.mark.parametrize(
    "names",
    [
        ("mix-client.pcap.zst",), ("leaky-gw.pcap",), ("retry-client.pcap",), ("items-node.pcap",), ("stripped-client.pcap.zst",),
        ("items-client.pcap", "items-node.pcap"), ("cascade-client.pcap",), ("vxlan-node.pcap.zst",),
    ],
    ids="+".join,
)  # fmt: skip
def test_the_page_draws_what_the_svg_renderer_draws(browser: Any, made: Any, names: tuple[str, ...]) -> None:
    path = made(*names)
    paths = [str(CAPTURES / n) for n in names]
    found = inspect(*paths)
    seen = Watched(browser)
    page = seen.open(path)
    page.evaluate("document.querySelectorAll('#table tbody button').forEach(b => b.click())")
    assert found.summary.mirrors > 0
    for told in found.stories(range(1, found.summary.mirrors + 1)):
        m = told.mirror
        ladder = layout(m, others=told.others, captures=paths, more=told.more)
        drawn = page.evaluate(f"new XMLSerializer().serializeToString(document.getElementById('ladder-{m.id}'))")
        assert parts(drawn) == parts(ladder_svg.svg(ladder, styled=False))
    seen.quiet(path)


def test_hostile_text_never_acts(browser: Any, tmp_path: Path) -> None:
    sample = rich()
    sample.mirror_list = []
    for i, bad in enumerate(BAD):
        latin = bad.encode().decode("latin-1")
        m = mirror(i + 1, path=latin, host=latin, request_id=latin, method="GET", verdict=("leaked", "unproven")[i % 2])
        legs = {leg: replace(getattr(m, leg), path=latin, host=latin) for leg in ("original", "mirror", "downstream")}
        evidence = [replace(e, says=bad) for e in m.evidence]
        sample.mirror_list.append(replace(m, reason=None if i % 2 == 0 else "gap", evidence=evidence, **legs))
        sample.exchange_list += legs.values()
    sample.captures = [
        replace(sample.captures[0], path=bad, warnings=BAD, interfaces=BAD, faults=dict.fromkeys(BAD, 1)) for bad in BAD
    ]
    sample.finding = " ".join(BAD)
    sample.unseen = BAD
    path = tmp_path / "hostile.html"
    path.write_text(page_of(sample), "ascii")
    seen = Watched(browser)
    page = seen.open(path)
    page.evaluate("document.querySelectorAll('#table tbody button').forEach(b => b.click())")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.locator("#table svg.ladder").count() == len(BAD)
    assert page.locator("script").count() == 2
    assert page.locator("img, iframe, [onload], [onerror], svg svg").count() == 0
    assert page.evaluate("[...document.querySelectorAll('a')].every(a => a.getAttribute('href').startsWith('#'))")
    shown = page.locator("body").inner_text()
    assert "<img src=x onerror=alert(1)>" in shown
    assert "</script><script>alert(1)</script>" in shown
    assert "\\u{202e}gnp.exe" in shown
    assert not set(shown) & set("\u202e\u2066\u200b")
    for m in sample.mirror_list:
        drawn = page.evaluate(f"new XMLSerializer().serializeToString(document.getElementById('ladder-{m.id}'))")
        paths = [c.path for c in sample.captures]
        assert parts(drawn) == parts(ladder_svg.svg(layout(m, captures=paths), styled=False))
    page.fill("[name=text]", "onerror=alert")
    assert page.evaluate(ORDER) == [2]
    assert page.evaluate("({}).n === undefined && Object.prototype.n === undefined")
    seen.quiet(path)


def test_the_policy_stops_what_is_not_the_pages_own(browser: Any, made: Any, tmp_path: Path) -> None:
    """The check can fail: a script and a request put into the page are refused, and say so."""
    page_text = made("items-client.pcap").read_text()
    path = tmp_path / "changed.html"
    path.write_text(
        page_text.replace("</body>", "<script>alert(1)</script><img src='http://127.0.0.1:9/x.png'></body>")
    )
    seen = Watched(browser)
    seen.open(path)
    assert len([s for s in seen.said if "Content Security Policy" in s]) == 2
    assert "1" not in seen.said


def test_it_reads_without_a_script_narrow_and_dark(browser: Any, made: Any) -> None:
    path = made("leaky-gw.pcap")
    seen = Watched(browser, java_script_enabled=False, color_scheme="dark", viewport={"width": 390, "height": 800})
    page = seen.open(path)
    assert page.locator("#told-ladder-3").is_visible()
    assert page.locator("#table tbody tr").count() == 12
    assert page.locator("noscript").first.is_visible()
    assert not page.locator("#filter").is_visible()
    seen.quiet(path)
    for width in (360, 768, 1280):
        wide = Watched(browser, viewport={"width": width, "height": 800})
        page = wide.open(path)
        for _ in range(100):  # a busy machine may still be laying out
            if page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                break
            page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.evaluate(WIDER)
        wide.quiet(path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["leaky-gw.pcap", "items-node.pcap", "retry-client.pcap"])
def test_contrast_is_enough(browser: Any, made: Any, name: str, scheme: str) -> None:
    """WCAG 2 AA, 1.4.3: 4.5 to 1 for text."""
    path = made(name)
    seen = Watched(browser, color_scheme=scheme)
    page = seen.open(path)
    page.locator("#table tbody button").first.click()
    assert page.evaluate(CONTRAST) == []
    assert page.locator("p").count() > 3
    seen.quiet(path)


def test_what_assistive_technology_is_told(browser: Any, made: Any) -> None:
    path = made("leaky-gw.pcap")
    seen = Watched(browser)
    page = seen.open(path)
    page.locator("#mirror-3 button").click()
    for role in ("banner", "main", "contentinfo", "navigation", "search", "status"):
        assert page.get_by_role(role).count() >= 1, role
    for name in (
        "Findings",
        "Services",
        "Mirrors",
        "Original and mirror",
        "Times",
        "What could not be seen",
        "Captures",
    ):
        assert page.get_by_role("region", name=name).count() >= 1, name
    assert page.get_by_role("img", name="Mirror 3: GET /items, leaked").count() == 2
    assert page.get_by_role("button", name="Mirror 5: show the ladder and the details").count() == 1
    assert page.get_by_role("columnheader", name="lag").count() == 1
    assert page.get_by_label("Verdict").count() == 1
    unnamed = "[...document.querySelectorAll('svg[role=img]')].filter(s => !s.querySelector(':scope > title')).length"
    assert page.evaluate(unnamed) == 0
    page.keyboard.press("Tab")
    seen.quiet(path)
