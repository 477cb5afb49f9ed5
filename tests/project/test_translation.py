"""English and Korean: nothing is left untranslated, nothing is left unmarked, and what programs read stays as it is."""

from __future__ import annotations

import ast
import gettext
import io
import json
import re
from html import unescape
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import pytest
from babel.messages.mofile import write_mo

from inspector.cli import run
from inspector.render.text import width

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "inspector"


def script() -> ModuleType:
    loader = SourceFileLoader("translate", str(ROOT / "scripts/translate"))
    spec = spec_from_loader("translate", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


TRANSLATE = script()
TEMPLATE = TRANSLATE.template()


def key(message_id: str | tuple[str, ...]) -> str:
    return message_id if isinstance(message_id, str) else message_id[0]


def fields(text: str) -> set[str]:
    return set(re.findall(r"\{[^}]*\}", text))


@pytest.mark.parametrize("path", TRANSLATE.catalogues(), ids=lambda p: p.parent.parent.name)
class TestCatalogue:
    def test_it_holds_every_text_and_no_other(self, path: Path) -> None:
        """What is missing: `scripts/translate update`, translate what has an empty msgstr, `scripts/translate compile`."""
        wanted = {key(message.id) for message in TEMPLATE if message.id}
        there = {key(message.id) for message in TRANSLATE.load(path) if message.id}
        assert sorted(wanted - there) == []
        assert sorted(there - wanted) == []

    def test_all_is_translated(self, path: Path) -> None:
        assert TRANSLATE.untranslated(TRANSLATE.load(path)) == []

    def test_translations_have_the_same_fields_and_code(self, path: Path) -> None:
        for message in TRANSLATE.load(path):
            if not message.id:
                continue
            source = message.id if isinstance(message.id, str) else message.id[1]
            texts = [message.string] if isinstance(message.string, str) else message.string
            for text in texts:
                assert fields(source) == fields(text), text
                assert set(re.findall(r"`[^`]+`", source)) == set(re.findall(r"`[^`]+`", text)), text
                assert source.count("\b") == text.count("\b"), text
                assert set(re.findall(r"--[a-z][a-z-]+", source)) == set(re.findall(r"--[a-z][a-z-]+", text)), text
                assert source.endswith(" ") == text.endswith(" "), text

    def test_it_is_compiled(self, path: Path) -> None:
        """The texts are equal; the bytes also name the release of Babel that wrote them."""
        out = io.BytesIO()
        write_mo(out, TRANSLATE.load(path))
        out.seek(0)
        with path.with_suffix(".mo").open("rb") as file:
            assert texts(file) == texts(out), "scripts/translate compile"

    def test_particles_do_not_guess(self, path: Path) -> None:
        """Korean: no `을(를)` behind a figure or an address; the sentence is built so that it needs none."""
        for message in TRANSLATE.load(path):
            assert not re.search(r"이\(가\)|을\(를\)|은\(는\)|으\(로\)|\(으\)로", str(message.string)), message.string


def texts(file: IO[bytes]) -> dict[Any, str]:
    """All texts of a compiled catalogue, without its head."""
    return {key: text for key, text in vars(gettext.GNUTranslations(file))["_catalog"].items() if key}


SENTENCE = re.compile(r"[A-Za-z][a-z']+,? (?:[a-z'`-]+[,:]? ){1,}[a-z'`-]{2,}|^[A-Z][a-z]+ [a-z]{2,}")
CALLS = {
    "_",
    "gettext",
    "several",
    "marked",
    "ValueError",
    "RuntimeError",
    "AssertionError",
    "compile",
    "option",
    "argument",
}
PLACES = [
    "render",
    "cli",
    "lessons",
    "inspection/summary.py",
    "inspection/unseen.py",
    "inspection/unseen_routes.py",
    "inspection/__init__.py",
    "capture/opening.py",
    "capture/source.py",
]
STYLES = {"STYLE", "FONTS", "_KNOWN"}
CONTRACT = ("header by nature", "request header by proxy")  # words of the CSV of --diff all
MACHINE = ("render/har.py",)  # a format that programs read
TYPED = (
    "inspect ",
    "tcpdump ",
    "    Note over ",
    "Note over ",
    "    participant ",
)  # what a user or Mermaid is given to type


def unmarked(tree: ast.AST) -> list[str]:
    """Texts that read like words for people and go through no catalogue. Docstrings, styles, help of options (the template has
    it) and messages of programming errors are none."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        name = ""
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        named = isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id in STYLES for t in node.targets)
        epilog = isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "EXAMPLES" for t in node.targets
        )
        if name in CALLS or named or epilog:
            skipped.update(ast.walk(node))
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) and node not in skipped]
    for node in joined:
        skipped.update(node.values)
    out = []
    found: list[ast.JoinedStr | ast.Constant] = [
        *joined,
        *(n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str) and n not in skipped),
    ]
    for node in found:
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(str(p.value) if isinstance(p, ast.Constant) else "x" for p in parts)
        bare = re.sub(r"<[^>]*>|[\w:;,.#-]*\{|[\w-]+=\"", " ", text)
        if SENTENCE.search(bare) and not text.startswith(TYPED) and text not in CONTRACT:
            out.append(f"{node.lineno}: {text}")
    return out


@pytest.mark.parametrize(
    "path",
    sorted(
        p
        for place in PLACES
        for p in ([PACKAGE / place] if place.endswith(".py") else (PACKAGE / place).glob("*.py"))
        if str(p.relative_to(PACKAGE)) not in MACHINE
    ),
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_no_sentence_is_unmarked(path: Path) -> None:
    assert unmarked(ast.parse(path.read_text())) == []


def test_an_unmarked_sentence_is_found() -> None:
    assert unmarked(ast.parse('say("there is no mirror here")')) == ["1: there is no mirror here"]
    assert unmarked(ast.parse('say(f"the proxy {name} sends it")')) != []
    assert unmarked(ast.parse('say(_("there is no mirror here"))')) == []


def test_an_f_string_is_never_looked_up() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("_", "several", "marked")
            ):
                assert not any(isinstance(a, ast.JoinedStr) for a in node.args), f"{path}:{node.lineno}"


def korean(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run([*words, "--lang", "ko"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "words",
    [
        ["captures/items-client.pcap", "--show-mirrors"],
        ["captures/mix-client.pcap.zst", "--show-exchanges"],
        ["captures/vxlan-node.pcap.zst"],
        ["captures/leaky-gw.pcap", "--explain", "3"],
        ["captures/retry-client.pcap", "--explain", "5"],
        ["captures/leaky-gw.pcap", "--diff", "3"],
        ["captures/leaky-gw.pcap", "--diff", "all"],
        *[["lesson", str(n)] for n in range(1, 10)],
    ],
    ids=" ".join,
)
def test_korean_fits(
    words: list[str], columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wide characters are counted: no line is wider than the terminal, and columns of a table begin below each other."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", str(columns))
    out = korean(capsys, *words)
    assert re.search("[가-힣]", out)
    lines = out.split("\n")
    for line in lines:
        assert width(line) <= columns or line.startswith("$ "), line
    for i, line in enumerate(lines):
        if re.fullmatch(r" *-+(?:  -+)+", line) and "--" in line:
            starts = [m.start() for m in re.finditer(r"(?<!-)-", line)]
            for name in lines[i - 1 : i]:
                at = 0
                cells = []
                for char in name:
                    cells += [char] + [""] * (width(char) - 1)
                    at += width(char)
                for start in starts[1:]:
                    assert start - 1 >= len(cells) or cells[start - 1] in (" ",), name


def test_json_is_the_same_in_every_language(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    runs = [
        ["captures/items-node.pcap", "--show-mirrors", "--format", form] for form in ("json", "ndjson", "csv", "har")
    ]
    for words in [*runs, ["captures/leaky-gw.pcap", "--diff", "all", "--format", "csv"]]:
        assert run(words) == 0
        english = capsys.readouterr().out
        assert korean(capsys, *words) == english
    assert run(["captures/items-node.pcap", "--explain", "1", "--json"]) == 0
    english = capsys.readouterr().out
    assert json.loads(korean(capsys, "captures/items-node.pcap", "--explain", "1", "--json")) == json.loads(english)


def test_words_of_the_contract_are_not_translated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    out = korean(capsys, "captures/leaky-gw.pcap", "--show-mirrors")
    assert "discarded (content)" in out
    assert "leaked" in out
    assert " downstream " in korean(capsys, "captures/leaky-gw.pcap", "--show-exchanges")


def test_help_and_errors_are_korean(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["lesson"], ["doctor"]):
        assert run([*words, "--lang", "ko", "--help"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("사용법: ")
        assert not re.search(r"Usage|Options:|Show this", out)
        assert run([*words, "--help"]) == 0
        assert capsys.readouterr().out.startswith("Usage: ")
    assert run(["no-such-file.pcap", "--lang=ko"]) == 2
    assert capsys.readouterr().err == (
        "inspect: no-such-file.pcap: 그런 파일이 없습니다\n"
        "  힌트: 경로를 확인하십시오. 캡처를 파이프로 넣으려면 -를 지정하십시오.\n"
    )
    assert run(["--lang", "ko", "--no-such-option"]) == 2
    assert "옵션은 없습니다" in capsys.readouterr().err
    assert run(["--lang", "xx"]) == 2


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "ko_KR.UTF-8", "LANG": "en_US.UTF-8"}, "ko"),
        ({"LANGUAGE": "en", "LANG": "ko_KR.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_locale_decides_without_lang(
    environment: dict[str, str],
    language: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run(["lesson"]) == 0
    assert ("미러링이란" in capsys.readouterr().out) == (language == "ko")


def test_pages_are_korean(tmp_path: Path) -> None:
    for option in ("--html", "--handout"):
        target = tmp_path / "page.html"
        assert run(["lesson", option, "-o", str(target), "--lang", "ko"]) == 0
        page = target.read_text()
        assert '<html lang="ko">' in page
        assert "정답" in page
        assert "Remember" not in page


def test_the_report_is_korean_and_quiet(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    target = tmp_path / "report.html"
    words = [str(ROOT / "captures/leaky-gw.pcap"), "--format", "html", "-o", str(target), "--lang", "ko"]
    assert run(words) == 0
    page = unescape(target.read_text())
    assert '<html lang="ko"' in page
    assert "유출입니다" in page
    said = "다운스트림에 원본의 응답이 아니라 복사본의 응답이 전달됨"
    assert said.encode("ascii", "backslashreplace").decode() in page
    assert "시차" in page
    assert not [w for w in recwarn if "Glyph" in str(w.message)]
