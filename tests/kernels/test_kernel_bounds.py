"""The compiled kernels with every index checked, over real captures and damaged ones: none leaves its arrays, and all agree
with the plain ones."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import inspector

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap*"))
DAMAGED = 24

PROGRAM = """
import json, sys
import inspector
from inspector.kernels import kernel

kernel.use("compiled")
out = {}
for path in sys.argv[1:]:
    found = inspector.inspect(path, block_bytes=1 << 14)
    out[path] = [found.summary.exchanges, found.summary.verdicts, [m.evidence[-1].packet for m in found.mirror_views()]]
print(json.dumps(out))
"""


def damaged(folder: Path) -> list[Path]:
    """Copies of small captures with bytes changed, cut out or repeated; the same ones each time."""
    dice = random.Random(20261121)
    small = [p for p in CAPTURES if p.suffix == ".pcap" and p.stat().st_size < 200_000]
    out = []
    for n in range(DAMAGED):
        data = bytearray(dice.choice(small).read_bytes())
        for _ in range(dice.randrange(1, 40)):
            at = dice.randrange(24, len(data) - 8)
            what = dice.randrange(4)
            if what == 0:
                data[at] ^= 1 << dice.randrange(8)
            elif what == 1:
                data[at : at + 4] = dice.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
            elif what == 2:
                del data[at : at + dice.randrange(1, 400)]
            else:
                data[at:at] = data[at : at + dice.randrange(1, 400)]
        path = folder / f"damaged-{n}.pcap"
        path.write_bytes(data)
        out.append(path)
    return out


def test_a_wrong_index_is_found(tmp_path):
    """The check itself can fail."""
    program = tmp_path / "wrong.py"
    program.write_text(
        "import numpy as np\nfrom inspector.kernels import kernel\n\n\n@kernel.kernel\ndef wrong(a):\n    return a[7]\n\n\n"
        "kernel.use('compiled')\nwrong(np.zeros(3, np.int64))\n"
    )
    env = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "INSPECTOR_CACHE": str(tmp_path)}
    run = subprocess.run([sys.executable, str(program)], capture_output=True, env=env, check=False)
    assert run.returncode == 1
    assert b"IndexError: an inner loop stopped" in run.stderr


def test_no_index_leaves_its_array(tmp_path):
    paths = [*map(str, CAPTURES), *map(str, damaged(tmp_path))]
    env = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_OPT": "0"}  # compiled in half the time
    run = subprocess.run([sys.executable, "-c", PROGRAM, *paths], capture_output=True, env=env, check=False)
    assert run.returncode == 0, run.stderr.decode()[-2000:]
    for path, told in json.loads(run.stdout).items():
        plain = inspector.inspect(path, block_bytes=1 << 14)
        packets = [m.evidence[-1].packet for m in plain.mirror_views()]
        assert told == [plain.summary.exchanges, plain.summary.verdicts, packets], path
