from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.render.text import (
    clock,
    cut,
    cut_middle,
    duration,
    escape,
    microseconds,
    readable,
    rfc3339,
    shown,
    width,
    wrap,
)

BIDI = {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}
ANY = st.text(st.characters(codec=None), max_size=60)


@given(ANY)
def test_escaped_text_cannot_act(text: str) -> None:
    out = escape(text)
    for char in out:
        assert unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp"), hex(ord(char))
        assert char not in BIDI
    assert escape(out) == out


@given(ANY)
def test_escape_keeps_what_is_visible(text: str) -> None:
    visible = "".join(c for c in text if c.isascii() and c.isprintable())
    if visible == text:
        assert escape(text) == text


@pytest.mark.parametrize(
    ("raw", "out"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\tc\x7f\x00", r"a\x0ab\x0d\x09c\x7f\x00"),
        ("\x9b31m", r"\x9b31m"),
        ("ab\u202edc", r"ab\u{202e}dc"),
        ("\u2066x\u2069", r"\u{2066}x\u{2069}"),
        ("a\u200bb\ufeff", r"a\u{200b}b\u{feff}"),
        ("\U000e0041", r"\u{e0041}"),
        ("상품 ok", "상품 ok"),
    ],
)
def test_escape(raw: str, out: str) -> None:
    assert escape(raw) == out


def test_header_bytes_are_read_as_utf8_only_where_they_are() -> None:
    assert readable("/상품".encode().decode("latin-1")) == "/상품"
    assert readable("/caf\xe9") == "/caf\xe9"
    assert readable("이미") == "이미"
    assert shown(None) == "?"
    assert shown("\u202e".encode().decode("latin-1")) == r"\u{202e}"  # the UTF-8 is read first, then made harmless


@given(ANY, st.integers(0, 40))
def test_cut_fits_and_keeps_what_fits(text: str, room: int) -> None:
    text = escape(text)
    for out in (cut(text, room), cut_middle(text, room)):
        assert width(out) <= room
        assert len(out) <= max(room, 0) or out == text
        if len(text) <= room and width(text) <= room:
            assert out == text


def test_cut_ends() -> None:
    assert cut("abcdefghij", 5) == "abcd…"
    assert cut_middle("GET /very/long/path/items", 16) == "GET /very…/items"
    assert cut("상품목록", 5) == "상품…"
    assert width("상품") == 4


@given(st.lists(st.sampled_from(["a", "capture", "상품", "x" * 30]), max_size=20), st.integers(10, 40))
def test_wrap_keeps_every_word_within_the_width(words: list[str], room: int) -> None:
    lines = wrap(" ".join(words), room, "- ", "  ")
    assert all(width(line) <= room for line in lines)
    assert "".join("".join(line[2:] for line in lines).split()) == "".join(words)


def test_wrap_of_sentences() -> None:
    assert wrap("one two three", 8) == ["one two", "three"]
    assert wrap("", 8, "- ") == ["- "]
    assert wrap("capture with -s 0.", 16) == ["capture with", "-s 0."]
    assert wrap("one two three", 9, "- ", "  ") == ["- one two", "  three"]


@given(st.integers(-(10**15), 10**15))
def test_microseconds_are_exact(time: int) -> None:
    whole, _, part = microseconds(time).partition(".")
    sign = -1 if whole.startswith("-") else 1
    assert sign * (abs(int(whole)) * 1000 + int(part or 0)) == time
    assert part == "" or (len(part) == 3 and part != "000")


def test_times() -> None:
    assert rfc3339(1_795_230_566_429_573_000) == "2026-11-21T03:09:26.429573000Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999999Z"
    assert rfc3339(4294967295 * 10**9 + 1) == "2106-02-07T06:28:15.000000001Z"
    assert rfc3339((1 << 63) - 1) == "2262-04-11T23:47:16.854775807Z"
    assert clock(1_795_230_566_429_573_000) == "03:09:26.429"
    assert clock(None) == "?"


@pytest.mark.parametrize(
    ("time", "signed", "out"),
    [
        (213_000, True, "+213 µs"),
        (-213_000, True, "-213 µs"),
        (0, True, "0 µs"),
        (1_500, False, "1.5 µs"),
        (3_250_500, False, "3.25 ms"),
        (32_500_000, False, "32.5 ms"),
        (325_400_000, False, "325 ms"),
        (999_400, False, "999 µs"),
        (999_500, False, "1.00 ms"),
        (999_499_999, False, "999 ms"),
        (999_500_000, False, "1.000 s"),
        (1_204_000_000, True, "+1.204 s"),
        (None, True, ""),
    ],
)
def test_duration(time: int | None, signed: bool, out: str) -> None:
    assert duration(time, signed) == out
