"""Whether two responses are one: by status, by the bytes of the body, by header lines that a proxy has no reason to write.

1: they are equal. 0: they differ for certain. -1: the capture does not show it.
"""

from __future__ import annotations

from inspector.kernels.kernel import kernel
from inspector.mirror.lines import UNKNOWN, Lines
from inspector.table import I64


@kernel
def same_request_body(a: int, b: int, lines: Lines) -> int:
    """Whether the bodies of two requests are equal."""
    if lines.sent[a] != UNKNOWN and lines.sent[b] != UNKNOWN:
        return 1 if lines.sent[a] == lines.sent[b] and lines.sent_hash[a] == lines.sent_hash[b] else 0
    if lines.sent[a] != UNKNOWN and lines.sent_least[b] > lines.sent[a]:
        return 0
    if lines.sent[b] != UNKNOWN and lines.sent_least[a] > lines.sent[b]:
        return 0
    return -1


@kernel
def contradicts(d: int, x: int, lines: Lines) -> bool:
    """Whether identifiers show that upstream request `x` was not sent for downstream request `d`: another trace, or another
    request id at a proxy that passes its clients' ids on (a gateway may give each request an id of its own)."""
    if lines.trace[d] != 0 and lines.trace[x] != 0 and lines.trace[d] != lines.trace[x]:
        return True
    both = lines.request_id[d] != 0 and lines.request_id[x] != 0 and lines.keeps_id[x]
    return both and lines.request_id[d] != lines.request_id[x]


@kernel
def same_body(a: int, b: int, lines: Lines) -> int:
    """Whether the bodies of two responses are equal, content codings undone (RFC 9110 section 8.4)."""
    if lines.size[a] != UNKNOWN and lines.size[b] != UNKNOWN:
        return 1 if lines.size[a] == lines.size[b] and lines.digest[a] == lines.digest[b] else 0
    if lines.coded[a] or lines.coded[b]:
        return -1
    if lines.total[a] != UNKNOWN and lines.total[b] != UNKNOWN and lines.total[a] != lines.total[b]:
        return 0
    if lines.total[a] != UNKNOWN and lines.least[b] > lines.total[a]:
        return 0
    if lines.total[b] != UNKNOWN and lines.least[a] > lines.total[b]:
        return 0
    return -1


@kernel
def same_response(a: int, b: int, lines: Lines) -> int:
    """Whether status and body are equal."""
    if lines.status[a] < 0 or lines.status[b] < 0:
        return -1
    if lines.status[a] != lines.status[b]:
        return 0
    return same_body(a, b, lines)


@kernel
def carries(d: int, m: int, lines: Lines) -> int:
    """Rule `carries`: whether downstream response `d` may be mirror `m`'s response.

    A body of its own is the mirror's under whatever status; without a body the status decides.
    """
    if lines.status[d] < 0 or lines.status[m] < 0:
        return -1
    body = same_body(d, m, lines)
    if lines.status[d] == lines.status[m]:
        return body
    if body == 1:
        return 1 if lines.size[m] > 0 else 0
    return body


@kernel
def has_line(row: int, word: int, lines: Lines) -> bool:
    """Whether the response of `row` has a header line."""
    for k in range(lines.words_at[row], lines.words_at[row + 1]):  # noqa: SIM110
        if lines.words[k] == word:
            return True
    return False


@kernel
def shared_lines(d: I64, x: I64, lines: Lines, out: I64) -> None:
    """How many header lines responses `d` and `x` share, pair by pair."""
    for i in range(len(d)):
        for k in range(lines.words_at[d[i]], lines.words_at[d[i] + 1]):
            if has_line(x[i], lines.words[k], lines):
                out[i] += 1
