"""The notebook runs, and says what it says it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOK = EXAMPLES / "mirrors.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    nbformat = pytest.importorskip("nbformat", reason="no nbformat: pip install '.[dev]'")
    nbclient = pytest.importorskip("nbclient", reason="no nbclient: pip install '.[dev]'")
    pytest.importorskip("ipykernel", reason="no ipykernel: pip install '.[dev]'")
    patch = pytest.MonkeyPatch()
    root, config = str(EXAMPLES.parent), tmp_path_factory.mktemp("config")
    patch.setenv("PYTHONPATH", root)
    for name in ("IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR"):
        patch.setenv(name, str(config))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    try:
        nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    finally:
        patch.undo()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def said(cell: Any) -> str:
    out = ""
    for output in cell.outputs:
        out += output.get("text", "") + "".join(output.get("data", {}).get("text/plain", ""))
    return out


def test_the_notebook_runs(cells: list[Any]) -> None:
    texts = [said(cell) for cell in cells]
    assert "21 of 21 mirrored responses reached the proxy" in texts[0]
    assert "21 of 21 requests mirrored: 100 %" in texts[1]
    assert "/items?v2.status=500" in texts[3]
    assert len([output for output in cells[5].outputs if "image/png" in output.get("data", {})]) == 1
    assert "[3, 6, 9, 12]" in texts[6]
    assert "packet  92: the downstream is given the copy's response" in texts[7]
    assert "{'discarded': 8, 'leaked': 4}" in texts[8] or "{'leaked': 4, 'discarded': 8}" in texts[8]
    assert not any(
        output.output_type == "error" or output.get("name") == "stderr" for c in cells for output in c.outputs
    )


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 8
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert NOTEBOOK.stat().st_size < 20_000
