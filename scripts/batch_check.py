#!/usr/bin/env python3
"""Checks of `inspect batch` against itself: killed, on a cluster whose workers die, from an S3 server; always the same rows.

    scripts/batch_check.py --folder DIR speed    the time and memory of a run, against the sum of single inspections
    scripts/batch_check.py --folder DIR kill     kill -9 at random moments, run again: the result is that of an undisturbed run
    scripts/batch_check.py --folder DIR cluster  a scheduler and workers as processes of their own, killed at random
    scripts/batch_check.py --folder DIR s3       from an S3 server on loopback (moto)
    scripts/batch_check.py --folder DIR large CAPTURE   one large capture: the time and memory of a unit, against `inspect`

--captures and --damaged say how many are made (1000, 20); every check prints what it saw and ends with 1 if rows differ.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import batch_made

TABLES = ("units", "captures", "exchanges", "mirrors", "differences", "faults")
VARY = ("seconds", "written")  # differ from run to run by their nature
PLACED = ("path", "source", "error", "hint", "warnings")  # and where the captures lie
BATCH = [sys.executable, "-m", "inspector", "batch"]


def rows(store: Path, table: str, leave_out: Sequence[str]) -> list[str]:
    """The rows of a table as text, sorted."""
    from inspector import batch

    frame = batch.open(store).table(table)
    names = [name for name in frame.column_names if name not in leave_out]
    return sorted(map(repr, zip(*(frame.column(name).to_pylist() for name in names), strict=True)))


def differ(one: Path, other: Path, placed: bool = False) -> list[str]:
    """Sentences about tables whose rows are not the same. placed: the captures lie elsewhere."""
    out = []
    for table in TABLES:
        leave_out = (*VARY, *(PLACED if placed else ()))
        a, b = rows(one, table, leave_out), rows(other, table, leave_out)
        if a != b:
            first = next((pair for pair in zip(a, b, strict=False) if pair[0] != pair[1]), ("", ""))
            out.append(f"{table}: {len(a):,} and {len(b):,} rows differ: {first[0][:300]} | {first[1][:300]}")
    return out


def batch(
    sources: Sequence[str], store: Path, *options: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """The command, begun, in a process group of its own."""
    words = [*BATCH, *sources, "--store", str(store), *options]
    surroundings = {**os.environ, **(env or {})}
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=surroundings
    )


def whole(
    sources: Sequence[str], store: Path, *options: str, env: dict[str, str] | None = None
) -> tuple[float, str, int]:
    """The command to its end: seconds, what it said, its status."""
    begun = time.perf_counter()
    process = batch(sources, store, *options, env=env)
    out, errors = process.communicate()
    if process.returncode not in (0, 3):
        raise SystemExit(f"batch ended with {process.returncode}: {errors[-2000:]}")
    return time.perf_counter() - begun, out, process.returncode


class Peak:
    """The largest memory (MiB) of a process and of all of its children together, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.pid, self.total, self.one = pid, 0, 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        import psutil

        while not self._end.wait(0.1):
            with contextlib.suppress(psutil.Error):
                top = psutil.Process(self.pid)
                sizes = []
                for process in (top, *top.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        sizes.append(process.memory_info().rss >> 20)
                self.total, self.one = max(self.total, sum(sizes)), max(self.one, *sizes)

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


def singles(files: Sequence[Path]) -> float:
    """Seconds that inspecting each capture and comparing its pairs takes, one after another in one process."""
    code = (
        "import sys, time\nfrom inspector.kernels import kernel\nfrom inspector.errors import InspectorError\n"
        "from inspector.inspection import inspect\nfrom inspector.compare.all_pairs import differences\n"
        "from inspector.redact import Redactor\nkernel.use('compiled')\nbegun = time.perf_counter()\n"
        "for path in sys.stdin.read().split('\\n'):\n    try:\n        found = inspect(path)\n"
        "        differences(found.mirror_views(), [path], Redactor(b'x'))\n    except InspectorError:\n        pass\n"
        "print(time.perf_counter() - begun)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n".join(map(str, files)), capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def speed(args: argparse.Namespace) -> list[str]:
    """A run of all captures, a second run, and the sum of single ones."""
    files = made(args)
    store = fresh(args.folder / "store")
    before = processor()
    sum_of_all = singles(files)
    between = processor()
    begun = time.perf_counter()
    process = batch([str(args.folder / "captures")], store, "--workers", str(args.workers))
    peak = Peak(process.pid)
    out, errors = process.communicate()
    seconds = time.perf_counter() - begun
    peak.stop()
    used = processor() - between
    again, *_ = whole([str(args.folder / "captures")], store, "--workers", str(args.workers))
    print(f"{len(files):,} captures, {sum(f.stat().st_size for f in files) / 1e6:,.0f} MB, status {process.returncode}")
    print(f"single inspections in one process: {sum_of_all:.1f} s; batch on {args.workers} workers: {seconds:.1f} s")
    print(f"seconds of processor: {between - before:.1f} and {used:.1f}")
    print(f"a second run: {again:.1f} s; memory: {peak.total} MiB together, {peak.one} MiB the largest process")
    print(out.strip(), f"({len(errors.splitlines())} lines on stderr)")
    return [] if process.returncode == 3 else [f"status {process.returncode}: {errors[-500:]}"]


def processor() -> float:
    """Seconds of processor that processes which have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kill(args: argparse.Namespace) -> list[str]:
    """Kill the whole process group at random moments; run on; compare with an undisturbed run."""
    made(args)
    source = [str(args.folder / "captures")]
    calm, store = fresh(args.folder / "calm"), fresh(args.folder / "killed")
    whole(source, calm, "--workers", str(args.workers))
    chance = random.Random(args.seed)
    for number in range(args.times):
        process = batch(source, store, "--workers", str(args.workers))
        more = chance.uniform(0, 1.5 * args.captures / args.times)  # units that this run may bring to their end
        goal, begun = units_in(store) + more, time.perf_counter()
        while units_in(store) < goal and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        alone = chance.random() < 0.5
        if process.poll() is None:
            if alone:
                process.kill()  # the workers are left alone, and must end by themselves
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        who = "the command alone" if alone else "all of its processes"
        passed = time.perf_counter() - begun
        print(
            f"run {number + 1}: {who} killed after {passed:.1f} s with {units_in(store)} units in the store", flush=True
        )
        if (store / "store.json").exists():
            from inspector import batch as library

            library.open(store).mirrors()  # reads well at any moment
    whole(source, store, "--workers", str(args.workers))
    return differ(calm, store) + leftovers(store)


def units_in(store: Path) -> int:
    return len(list(store.glob("data/*/*/*")))


def leftovers(store: Path) -> list[str]:
    """What should not be in a store when nobody writes it."""
    left = list((store / "work").iterdir())
    return [f"left in work: {left}"] if left else []


@contextlib.contextmanager
def cluster(count: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]], Callable[[], None]]]:
    """A scheduler and workers, each a process: the address, the workers, and what starts one more."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scratch = tempfile.mkdtemp()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    first = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    processes: list[subprocess.Popen[bytes]] = [subprocess.Popen([*first, "--no-dashboard"], **quiet)]  # type: ignore[call-overload]
    workers: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        words = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
        workers.append(subprocess.Popen([*words, "--no-dashboard", "--local-directory", scratch], **quiet))  # type: ignore[call-overload]

    try:
        for _ in range(count):
            start()
        yield address, workers, start
    finally:
        for process in (*workers, *processes):
            process.kill()
            process.wait()
        shutil.rmtree(scratch, ignore_errors=True)


def on_cluster(args: argparse.Namespace) -> list[str]:
    """Run on separate workers; kill one at random times, and start another in its place."""
    made(args)
    source = [str(args.folder / "captures")]
    calm, store = fresh(args.folder / "calm"), fresh(args.folder / "cluster")
    seconds, *_ = whole(source, calm, "--workers", str(args.workers))
    chance = random.Random(args.seed)
    with cluster(args.workers) as (address, workers, start):
        begun = time.perf_counter()
        process = batch(source, store, "--scheduler", address)
        killed = 0
        while killed < args.times and process.poll() is None:
            time.sleep(chance.uniform(0.5, max(2 * seconds / args.times, 1.0)))
            victim = chance.choice([w for w in workers if w.poll() is None])
            victim.kill()
            killed += 1
            start()
        out, errors = process.communicate()
        print(
            f"undisturbed: {seconds:.1f} s; {killed} workers killed: {time.perf_counter() - begun:.1f} s; {out.strip()}"
        )
    if process.returncode not in (0, 3):
        return [f"status {process.returncode}: {errors[-1000:]}"]
    return differ(calm, store) + leftovers(store)


@contextlib.contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """moto's server: the environment that leads to it."""
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    env = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "check", "AWS_SECRET_ACCESS_KEY": "check",
        "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield env
    finally:
        process.kill()
        process.wait()


def upload(env: dict[str, str], folder: Path, bucket: str) -> None:
    """All files below `folder` into a new bucket."""
    import fsspec

    options: dict[str, Any] = {"endpoint_url": env["AWS_ENDPOINT_URL"]}
    system = fsspec.filesystem("s3", key="check", secret="check", client_kwargs=options, skip_instance_cache=True)
    system.mkdir(bucket)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        system.pipe_file(f"{bucket}/{path.relative_to(folder)}", path.read_bytes())


def from_s3(args: argparse.Namespace) -> list[str]:
    """The same captures from a bucket."""
    made(args)
    calm, store = fresh(args.folder / "calm"), fresh(args.folder / "s3")
    seconds, *_ = whole([str(args.folder / "captures")], calm, "--workers", str(args.workers))
    with s3_server() as env:
        upload(env, args.folder / "captures", "bucket")
        taken, out, _status = whole(["s3://bucket"], store, "--workers", str(args.workers), env=env)
        again, out_again, _status = whole(["s3://bucket"], store, "--workers", str(args.workers), env=env)
    print(
        f"from files: {seconds:.1f} s; from S3 on loopback: {taken:.1f} s; a second run: {again:.1f} s; {out.strip()}"
    )
    return differ(calm, store, placed=True) + ([] if " read now" not in out_again else [f"read again: {out_again}"])


def large(args: argparse.Namespace) -> list[str]:
    """One large capture: as `inspect` reads it, and as a unit of a store."""
    store = fresh(args.folder / "large")
    for title, words in (
        ("inspect", [sys.executable, "-m", "inspector", args.capture]),
        ("inspect --diff all", [sys.executable, "-m", "inspector", args.capture, "--diff", "all", "-o", os.devnull]),
        ("inspect batch", [*BATCH, args.capture, "--store", str(store), "--workers", "1"]),
    ):
        begun, before = time.perf_counter(), processor()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        peak = Peak(process.pid)
        process.wait()
        peak.stop()
        passed, used = time.perf_counter() - begun, processor() - before
        times = f"{passed:.1f} s, {used:.1f} s of processor"
        print(f"{title}: {times}, {peak.one} MiB the largest process, status {process.returncode}", flush=True)
    size = sum(path.stat().st_size for path in store.rglob("*.parquet"))
    print(f"the store: {size / 1e6:.1f} MB for {Path(args.capture).stat().st_size / 1e6:.0f} MB of capture")
    return []


def made(args: argparse.Namespace) -> list[Path]:
    """The captures, made once for a folder."""
    folder = args.folder / "captures"
    files = sorted(folder.rglob("*.pcap"))
    return files if len(files) == args.captures else batch_made.make(folder, args.captures, args.damaged)


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


CHECKS = {"speed": speed, "kill": kill, "cluster": on_cluster, "s3": from_s3, "large": large}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("capture", nargs="?")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--captures", type=int, default=1000)
    parser.add_argument("--damaged", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=int, default=10, help="kills")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    wrong = CHECKS[args.check](args)
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = "differs" if wrong else "as it should be"
    print(f"{args.check}: {said}; {time.perf_counter() - begun:.0f} s, {used.ru_utime:.0f} s of processor")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
