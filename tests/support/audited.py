"""Runs `inspect` under an audit hook: python audited.py OUT RUN..., each RUN the arguments of one run as JSON.

OUT gets what touched the network, which programs were started, what was logged, and the exit statuses.
"""

from __future__ import annotations

import json
import logging
import sys

NETWORK = ("socket.", "urllib.", "http.client.", "ftplib.", "smtplib.", "webbrowser.")
seen: list[str] = []
programs: list[str] = []
logged: list[str] = []


class Keep(logging.Handler):
    """All that any library logs, whatever its level."""

    def emit(self, record: logging.LogRecord) -> None:
        logged.append(record.getMessage())


def watch(event: str, values: tuple[object, ...]) -> None:
    if event.startswith(NETWORK):
        seen.append(event)
    elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        programs.append(str(values[0]))


def main() -> int:
    sys.addaudithook(watch)
    logging.basicConfig(level=1, handlers=[Keep()])
    from inspector.cli.program import run

    statuses = [run(json.loads(args)) for args in sys.argv[2:]]
    with open(sys.argv[1], "w") as out:
        json.dump({"seen": seen, "programs": programs, "logged": logged, "statuses": statuses}, out)
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
