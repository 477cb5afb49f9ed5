"""Bytes from a capture and names of files never act: whole runs, on a capture that tries everything, in every format."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browser import Watched, chromium
from capture_files import block, described, enhanced, option, section
from made_traffic import CLIENT, PROXY, RAW, V1, V2, Made, told

from inspector.cli.program import run
from inspector.render.csv_flat import FORMULA

BIDI = {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}
TEXTS = [  # without a space, so that they can stand in a request target
    "/<script>alert(1)</script>",
    '/"><img/src=x/onerror=alert(1)>',
    "/'onmouseover='alert(1)",
    "/]]><svg/onload=alert(1)>",
    "/\u009b31m\u009d0;title\u009c",
    "/\u202egnp.exe\u2066\u200b\u2069",
    "/a|b|`c`**d**[e](javascript:alert(1))![f](http://127.0.0.1:9/x)<http://127.0.0.1:9>",
    "=cmd|'/C_calc'!A0",
    "@SUM(1+1)",
    "+1",
    "-2+3",
    "/;end%%{init:{'securityLevel':'loose'}}%%",
    "/#quot;-->>B:pwned",
    "/\\x1b[2J\\u202e",
    "/__proto__?constructor=1&toString",
    "/\ufeff\u2028\u2029\U000e0041",
]
LOUD = "\x1b[2J\x1b]0;owned\x07\x9b31m\x08\x7f\u202e<b onclick=alert(1)>"  # header values and bodies take these as well
NAME = "=x\x1b[31m\u202e<img src=x onerror=alert(1)>`|[a](javascript:alert(1)).pcapng"


def captured() -> bytes:
    """A pcapng with a mirror for each text; the same texts as host, id, header and body, name of an interface and comment."""
    made = Made()
    loud = LOUD.encode()
    said = b"content-type: text/plain\r\nx-said: " + loud + b"\r\n"
    legs = ((0, CLIENT, PROXY, b"", 3), (0.2, PROXY, V1, b"", 1), (0.3, PROXY, V2, b"-shadow", 2))
    for i, text in enumerate(TEXTS):
        target = text.encode()
        lines = b"x-request-id: id-%d%s\r\nx-loud: %s%s\r\n" % (i, target, target, loud)
        for at, client, server, suffix, took in legs:
            request = b"GET %s HTTP/1.1\r\nhost: h%d%s%s\r\n%s\r\n" % (target, i, loud, suffix, lines)
            body = (b"v2" if server == V2 else b"v1") + b"\n" + target + b"\n" + loud
            made.exchange(10 * i + at, client, server, request, told(body, said), took)
    order = sorted(range(len(made.times)), key=lambda i: made.times[i])
    end = option(0, b"")
    interface = option(2, loud) + option(1, b"</script>\x1b[1m") + option(9, b"\x09") + end
    comment = option(1, NAME.encode()) + end
    packets = [enhanced(made.frames[i], made.times[i], options=comment) for i in order]
    return section() + described(RAW, options=interface) + b"".join(packets)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / NAME
    path.write_bytes(captured())
    return path


def harmless(text: str) -> None:
    """Nothing in it moves a cursor, hides, turns text round or ends a line that is not ours."""
    for char in text:
        if char != "\n":
            assert unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp"), hex(ord(char))
            assert char not in BIDI, hex(ord(char))


def runs() -> Iterator[tuple[str, list[str]]]:
    for form in ("table", "json", "ndjson", "csv", "markdown", "mermaid", "har"):
        yield form, ["--show-mirrors", "--format", form]
    for form in ("table", "json", "ndjson", "csv", "markdown"):
        yield form, ["--show-exchanges", "--format", form]
        yield form, ["--format", form]
    for number in (5, 7, 12):
        for form in ("table", "json", "markdown", "mermaid", "svg"):
            yield form, ["--explain", str(number), "--format", form]
    for form in ("table", "json", "markdown"):
        yield form, ["--diff", "1", "--format", form]
        yield form, ["--diff", "6", "--format", form]
    for form in ("table", "json", "csv", "markdown"):
        yield form, ["--diff", "all", "--format", form]


class Elements(HTMLParser):
    """What elements a browser would make of a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)


def check(form: str, text: str) -> None:
    harmless(text)
    if form in ("json", "har"):
        json.loads(text)
    elif form == "ndjson":
        assert [json.loads(line) for line in text.splitlines()]
    elif form == "csv":
        rows = list(csv.reader(io.StringIO(text)))
        assert len({len(row) for row in rows if row}) == 1
        for row in rows:
            for cell in row:
                assert not cell.startswith(FORMULA) or re.fullmatch(r"-?[0-9.]+", cell), cell
    elif form == "svg":
        for element in ElementTree.fromstring(text).iter():
            assert element.tag.split("}")[1] not in ("script", "foreignObject", "image", "a", "use", "animate", "set")
            assert not [k for k in element.attrib if k.startswith("on") or k.endswith("href")]
    elif form == "markdown":
        bare = re.sub(r"\\.", "", text)  # what is escaped is text
        code = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.S)
        bare = code.sub("", bare)
        assert Elements(bare).found == []
        assert not re.search(r"\]\(\s*(javascript|http)", bare)
        assert not re.search(r"<(https?|javascript):", bare)
    elif form == "mermaid":
        assert "%%{" not in text
        assert not re.search(r"^\s*(click|links?|callback|properties|details)\b", text, re.M)


@pytest.mark.parametrize(("form", "args"), list(runs()), ids=lambda x: " ".join(x) if isinstance(x, list) else x)
def test_no_format_lets_it_act(form: str, args: list[str], hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(hostile), *args, "--no-redact"]) in (0, 3)
    said = capsys.readouterr()
    assert len(said.out) > 100
    check(form, said.out)
    harmless(said.err)


def test_colour_is_ours_alone(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(hostile), "--show-mirrors", "--color", "always"]) == 0
    harmless(re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out))


BROKEN = {
    "empty": b"",
    "text": b"\x1b[2J<script>alert(1)</script>\n" * 9,
    "cut": captured()[:-20],
    "rubbish": captured()[:900] + b"\xff" * 5000,
}


@pytest.mark.parametrize("how", [*BROKEN, "missing", "folder", "archive"])
def test_messages_about_files_do_not_act(how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import tarfile

    path = tmp_path / NAME
    if how == "folder":
        path.mkdir()
    elif how == "archive":
        with tarfile.open(path, "w") as tar:
            for data in BROKEN.values():
                info = tarfile.TarInfo(NAME)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    elif how != "missing":
        path.write_bytes(BROKEN[how])
    for args in ([], ["--show-mirrors"], ["-o", str(tmp_path / "no\x1b[2Jfolder" / "x")], ["--explain", "99"]):
        status = run([str(path), *args])
        said = capsys.readouterr()
        assert status in (0, 2, 3)
        assert said.err or status == 0
        harmless(said.err)
        harmless(said.out)
    for args in (
        ["--match", "\x1b[2J"],
        ["--limit", "\x1b[2J=1"],
        ["--\x1b[2J"],
        ["--lang", "\x1b[2J"],
        ["--window", "\x9b"],
    ):
        assert run([str(path), *args]) == 2
        harmless(capsys.readouterr().err)


def test_comments_of_evidence_are_text(hostile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "evidence.pcapng"
    assert run([str(hostile), "--show-mirrors", "--write-evidence", str(target)]) == 0
    harmless(capsys.readouterr().err)
    data, at, comments = target.read_bytes(), 0, []
    while at < len(data):
        kind, size = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (0, 4))
        if kind == 6:
            begin = at + 28 + (int.from_bytes(data[at + 20 : at + 24], "little") + 3) // 4 * 4
            while begin < at + size - 4:
                code, length = (int.from_bytes(data[begin + i : begin + i + 2], "little") for i in (0, 2))
                if code == 1:
                    comments.append(data[begin + 4 : begin + 4 + length].decode())
                begin += 4 + (length + 3) // 4 * 4
        at += size
    assert len(comments) > len(TEXTS)
    for comment in comments:
        harmless(comment)


def test_pages_and_drawings_in_a_browser(hostile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report and each drawing are opened: no script but the page's own, no dialog, no request, and a policy that says so."""
    page_path = tmp_path / "report.html"
    assert run([str(hostile), "--format", "html", "--no-redact", "-o", str(page_path)]) == 0
    drawings = []
    for number in (4, 6):
        drawings.append(tmp_path / f"{number}.svg")
        assert run([str(hostile), "--explain", str(number), "--format", "svg", "-o", str(drawings[-1])]) == 0
    capsys.readouterr()
    text = page_path.read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy.replace("'unsafe-hashes'", "")
    with chromium() as browser:
        seen = Watched(browser)
        page: Any = seen.open(page_path)
        page.evaluate("document.querySelectorAll('#table tbody button').forEach(b => b.click())")
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.locator("#table svg.ladder").count() == len(TEXTS)
        assert page.locator("script").count() == 2
        assert page.locator("img, iframe, object, embed, [onload], [onerror], [onclick], [onmouseover]").count() == 0
        assert page.evaluate("[...document.querySelectorAll('a')].every(a => a.getAttribute('href').startsWith('#'))")
        harmless(page.evaluate("document.body.textContent").replace("\t", " "))
        assert "<script>alert(1)</script>" in page.locator("body").inner_text()
        seen.quiet(page_path)
        for drawing in drawings:
            seen = Watched(browser)
            seen.open(drawing).mouse.click(200, 100)
            seen.quiet(drawing)


def test_the_checks_can_fail() -> None:
    for form, bad in (
        ("table", "\x9b31m"), ("table", "a\u202eb"), ("table", "a\u2028b"), ("csv", "a\n=1\n"), ("markdown", "<img src=x>"),
        ("markdown", "[a](javascript:x)"), ("svg", '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'),
        ("svg", '<svg xmlns="http://www.w3.org/2000/svg" onload="x"/>'), ("mermaid", "%%{init: {}}%%"), ("mermaid", "click A b"),
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            check(form, bad)
    assert block(1, b"")  # the builder is the tests' own
