"""Secrets planted everywhere in captures are in nothing that leaves the terminal: each format, and the batch store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_runs import runs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from made_traffic import Made
from planted_secrets import Planted, Secret, any_secret, b64, plantings

from inspector.cli import run

pq = pytest.importorskip("pyarrow.parquet")


def places(secret: Secret) -> list[Planted]:
    """Where only a whole message has a place for it."""
    text = secret.text.replace(" ", "")
    return [
        Planted(fields=(("Content-Type", f"text/plain; token={b64(text)}"),), body="a"),
        Planted(fields=(("X-Request-Id", f"Basic {b64('bob:' + text)}"),)),
        Planted(fields=(("X-Request-Id", f"token={b64(text)}"),)),
        Planted(fields=(("Host", f"bob:{b64(text)}@shop"),)),
    ]


def capture(given: list[Planted]) -> bytes:
    """Each in the messages of a mirror of its own."""
    made = Made()
    for n, p in enumerate(given):
        sent = "".join(f"{name}: {value}\r\n" for name, value in p.fields).encode()
        answer = sent + (f"content-type: {p.kind}\r\n".encode() if p.kind else b"")
        rid = next((value for name, value in p.fields if name == "X-Request-Id"), "")
        body = p.body.encode()
        made.mirrored(
            n * 50, path=p.target, extra=b"" if rid else sent, original=body, mirror=body + b" ", answer=answer, rid=rid
        )
    return made.pcap()


def forms(planted: list[tuple[Secret, Planted]]) -> set[str]:
    """What must be in no output."""
    found = {form for secret, _ in planted for form in secret.codings()}
    return found | {json.dumps(form)[1:-1] for form in found}


def check(text: str, hidden: set[str], what: object) -> None:
    for form in hidden:
        assert form not in text, (what, form, text[max(0, text.index(form) - 80) : text.index(form) + 80])


@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # a single one is a dozen secrets in forty outputs: there is nothing to make smaller
@given(planted=st.lists(plantings(), min_size=12, max_size=20, unique_by=lambda p: p[0].text), more=any_secret)
def test_no_format_has_a_secret(
    planted: list[tuple[Secret, Planted]], more: Secret, tmp_path_factory: pytest.TempPathFactory
) -> None:
    planted = planted + [(more, place) for place in places(more)]
    folder = tmp_path_factory.mktemp("planted")
    path, out = folder / "x.pcap", folder / "out"
    path.write_bytes(capture([place for _, place in planted]))
    hidden = forms(planted)
    for args in runs() + [["--diff", str(n + 1), "--json"] for n in range(1, len(planted))]:
        assert run([str(path), *args, "-o", str(out)]) == 0, args
        check(out.read_text(), hidden, args)
    store, report = folder / "store", folder / "report"
    assert run(["batch", str(path), "--store", str(store), "--report", str(report), "--workers", "1"]) == 0
    tables = list(store.rglob("*.parquet"))
    assert tables
    for table in tables:
        check(json.dumps(pq.read_table(table).to_pylist(), default=str, ensure_ascii=False), hidden, table.name)
    for page in [
        p
        for folder in (store, report)
        for p in folder.rglob("*")
        if p.suffix in (".html", ".json", ".txt", ".js", ".csv")
    ]:
        check(page.read_text(), hidden, page.name)


def test_the_search_can_fail(tmp_path: Path) -> None:
    secret = Secret("Qabcdefgh7")
    path, out = tmp_path / "x.pcap", tmp_path / "out"
    path.write_bytes(capture([Planted(f"/a?token={secret.text}")]))
    assert run([str(path), "--show-mirrors", "--no-redact", "-o", str(out)]) == 0
    with pytest.raises(AssertionError):
        check(out.read_text(), forms([(secret, Planted())]), "")
