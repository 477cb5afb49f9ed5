"""The command `inspect`: argv, files, stdout, exit codes, progress. All of the I/O is here."""

from inspector.cli.program import command, main, run

__all__ = ["command", "main", "run"]
