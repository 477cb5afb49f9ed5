"""Whether two responses are alike, as far as the views tell: what the words of a ladder and of an explanation rest on."""

from __future__ import annotations

from inspector.views.objects import ExchangeView


def same(a: ExchangeView, b: ExchangeView) -> bool | None:
    """Whether status and body of two responses are equal; None where the capture does not tell."""
    if a.status is None or b.status is None:
        return None
    if a.status != b.status:
        return False
    if a.response_body_hash is not None and b.response_body_hash is not None:
        return a.response_body_hash == b.response_body_hash and a.response_body_bytes == b.response_body_bytes
    return None


def answered_first(a: ExchangeView, b: ExchangeView) -> bool:
    """Whether the whole response of `a` was there before the first byte of the response of `b`."""
    return a.response_end_time is not None and b.response_time is not None and a.response_end_time < b.response_time
