"""What becomes of a request: the proxy answers itself, asks first, tries again; answers are late, missing, changed, or equal."""

from __future__ import annotations

from simulating.build import Build
from simulating.families.family import family, mirrored
from simulating.messages import Request, Response
from simulating.network import MS
from simulating.proxy import Copy, Policy


@family
def answers_itself(b: Build) -> None:
    """A cache, files, a redirect or a limit: the proxy answers, the copy is sent all the same."""
    p = mirrored(b, b.kind(), **b.some_marks())
    page = Response(200, (("content-type", "text/html"),), b"<html>from the proxy</html>\n")
    kind, known = b.rng.choice(("cache", "static", "too-large", "redirect", "half")), {}

    def own(r: Request) -> Response | None:
        if kind == "cache":
            known[r.target] = known.get(r.target, 0) + 1
            return page if known[r.target] > 1 else None
        if kind == "too-large":
            return Response(413, (), b"too large\n") if len(r.body) > 100 else None
        if kind == "redirect":
            return Response(302, (("location", "/elsewhere"),), b"")
        return page if kind == "static" or b.rng.random() < 0.5 else None

    p.own = own
    b.drive(equal=kind == "cache", methods=("POST",) if kind == "too-large" else None)


@family
def authorization(b: Build) -> None:
    """A check in front, with or without a mirror behind it."""
    kind = b.rng.choice(("envoy", "nginx"))
    auth = b.server("auth", mode="empty")
    refused = b.rng.choice((0.0, 0.3))
    auth.fails = lambda _: ""
    v1 = b.server("v1")
    copies = [Copy(b.server("v2"))] if b.rng.random() < 0.5 else []
    p = Policy([v1], copies=copies, checks=[(auth, None if kind == "envoy" else "/auth")])
    auth.content.verdict = lambda: 403 if b.rng.random() < refused else 200
    b.proxy(kind, p, suffix=b.rng.random() < 0.5)
    b.drive()


@family
def rate_limit(b: Build) -> None:
    limit = b.server("limit", mode="empty")
    limit.content.verdict = lambda: 429 if b.rng.random() < 0.2 else 200
    copies = [Copy(b.server("v2"))] if b.rng.random() < 0.4 else []
    b.proxy(b.rng.choice(("envoy", "generic")), Policy([b.server("v1")], copies=copies, checks=[(limit, None)]))
    b.drive()


def tries_again(b: Build, how: str) -> None:
    """Attempts go to another server, or to the same one; in half of the cases there is a mirror."""
    v1, other = b.server("v1"), b.server("v1b")
    copies = [Copy(b.server("v2"))] if b.rng.random() < 0.5 else []
    servers = [v1, other] if b.rng.random() < 0.7 else [v1]
    kind = b.rng.choice(("envoy", "envoy", "nginx", "generic"))
    b.proxy(
        kind,
        Policy(servers, copies=copies, again=how, patience=60 * MS),
        **b.some_marks(),
        attempts=b.rng.random() < 0.6,
    )
    if how == "failure":
        v1.fails = lambda _: b.rng.choice(("", "error", "reset"))
    else:
        v1.fails = lambda _: b.rng.choice(("", "slow", "never"))
    b.drive()


@family
def retry_after_failure(b: Build) -> None:
    tries_again(b, "failure")


@family
def retry_after_timeout(b: Build) -> None:
    tries_again(b, "timeout")


@family
def hedged(b: Build) -> None:
    tries_again(b, "hedge")


@family
def client_hangs_up(b: Build) -> None:
    mirrored(b, b.kind(), **b.some_marks())
    b.slow = True
    b.drive(hangs_up=True)


@family
def mirror_is_late(b: Build) -> None:
    p = mirrored(b, b.kind(), **b.some_marks())
    slow, fast = (p.copies[0].to, p.servers[0]) if b.rng.random() < 0.7 else (p.servers[0], p.copies[0].to)
    slow.speed, fast.speed = 60 * MS, MS
    b.drive()


@family
def mirror_fails(b: Build) -> None:
    p = mirrored(b, b.kind(), **b.some_marks())
    p.copies[0].to.fails = lambda _: b.rng.choice(("never", "reset", "partial", "slow", "", "error"))
    p.patience = b.rng.choice((20 * MS, 300 * MS))
    if b.rng.random() < 0.2:
        p.copies[0].to.refuses = True
    b.drive()


@family
def compressed(b: Build) -> None:
    b.content.mode = b.rng.choice(("unique", "versions", "status"))
    b.content.sizes = (300, 6000)
    p = mirrored(b, b.kind(), **b.some_marks())
    p.gzips = b.rng.random() < 0.7
    if not p.gzips:
        b.content.coding, p.gunzips = b.rng.choice(("gzip", "deflate")), True
    b.drive()


@family
def rewritten_answers(b: Build) -> None:
    """The proxy rewrites redirects and cookies."""
    b.content.mode = b.rng.choice(("locations", "cookies"))
    p = mirrored(b, b.rng.choice(("nginx", "generic", "envoy")), **b.some_marks())
    p.rewrites = True
    b.drive()


@family
def bodiless(b: Build) -> None:
    """HEAD, 204, 304, empty bodies."""
    b.content.mode = b.rng.choice(("empty", "empties", "unchanged", "unique", "etags"))
    mirrored(b, b.kind(), **b.some_marks())
    b.drive(methods=("HEAD", "GET"))


@family
def equal_answers(b: Build) -> None:
    b.content.mode = b.rng.choice(("equal", "errors", "empty", "cookies"))
    mirrored(b, b.kind(), **b.some_marks())
    b.drive(clients=b.rng.randrange(1, 4))


@family
def original_fails(b: Build) -> None:
    """The original is reset, silent, slow, cut, or says 503; the mirror answers well."""
    p = mirrored(b, b.kind(), **b.some_marks())
    p.servers[0].fails = lambda _: b.rng.choice(("never", "reset", "partial", "slow", "", "error"))  # type: ignore[attr-defined]
    p.patience = b.rng.choice((20 * MS, 300 * MS))
    b.drive()
