"""What leaves the terminal, and the key that its redaction uses."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspector.redact import Redactor

KEY_BYTES = (
    1 << 16
)  # of each capture: hosts' addresses, random sequence numbers and times of the first packets are in them


def redactor(paths: Sequence[str], form: str, target: str | None, no_redact: bool) -> Redactor:
    """The redactor of this run; `inspector.redact` uses it too.

    A table on a terminal shows what was captured. Files, pipes, and formats made to be passed on are redacted.
    """
    from inspector import redact

    stays = form == "table" and target is None and sys.stdout.isatty()
    return redact.use(key_of(paths), keep=no_redact or stays)


def key_of(paths: Sequence[str]) -> bytes | None:
    """A key that the same captures give again, and that cannot be known without them; None (a random one) for pipes."""
    key = sha256()
    for path in paths:
        try:
            if path == "-" or not stat.S_ISREG(os.stat(path).st_mode):
                return None
            with open(path, "rb") as file:
                key.update(file.read(KEY_BYTES))
        except OSError:  # who reads the capture says what is wrong with it
            return None
    return key.digest()
