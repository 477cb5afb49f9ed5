"""Secrets in captured text are replaced by words: see `redactor`."""

from inspector.redact.redactor import BINARY, Redactor, body, current, headers, stable, target, use, wide_encoding

__all__ = ["BINARY", "Redactor", "body", "current", "headers", "stable", "target", "use", "wide_encoding"]
