"""Ways in which a client is given something of a mirror's."""

from __future__ import annotations

from dataclasses import replace

from simulating.actors import Transaction
from simulating.messages import Exchange, Response

SHAPES = ("whole", "foreign", "status", "coded", "location", "cookie", "head", "cut")


def leaked(
    recent: list[Transaction], t: Transaction, original: Exchange, shape: str
) -> tuple[Response, Exchange, str] | None:
    """The response that goes down, whose it is, and the shape of the leak; None while the mirror's is not here."""
    client = t.downstream.sender
    of = [o for o in recent if o is t or o.downstream.sender != client] if shape == "foreign" else [t]
    here = [m for o in of for m in o.mirrors if m.notes.get("answered") and m.response is not None]
    if shape == "foreign":
        here = [m for m in here if m.group is not t] or here
    if not here:
        return None
    mirror = here[-1]
    its, right = mirror.response, original.response
    assert its is not None
    assert right is not None
    if shape in ("whole", "foreign"):
        return replace(its, cut=None), mirror, shape
    if shape == "status":
        return replace(its, status=502 if its.status != 502 else 200, cut=None).without("etag"), mirror, shape
    if shape == "coded":
        return replace(its, coding="gzip", framing="chunked", cut=None), mirror, shape
    if shape in ("location", "cookie"):
        name = {"location": "location", "cookie": "set-cookie"}[shape]
        value = its.line(name)
        return (right.plus((name, value)), mirror, shape) if value else (right, original, "whole")
    if shape == "head":
        return replace(its, to_head=True, cut=None), mirror, shape
    assert shape == "cut"
    size = len(its.tail())
    return (
        (replace(its, cut=max(1, size * 2 // 3)), mirror, shape)
        if size > 3
        else (replace(its, cut=None), mirror, "whole")
    )
