"""The recordings that lie beside the checkout where there are any; tests that read them carry `@needs_shared`."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "captures"
needs_shared = pytest.mark.shared  # conftest.py skips them where SHARED is not there
