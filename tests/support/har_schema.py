"""HAR 1.2 as a JSON Schema, from http://www.softwareishard.com/blog/har-12-spec/: what is required, of which type, and nothing
unknown but fields that begin with an underscore."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
SIZE = {"type": "integer", "minimum": -1}
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
SPENT = {"type": "number", "minimum": 0}
MAYBE_SPENT = {"type": "number", "minimum": -1}


def thing(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional, "comment": TEXT},
        "patternProperties": {"^_": {}},
        "additionalProperties": False,
    }


def many(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


PAIR = thing({"name": TEXT, "value": TEXT})
COOKIE = thing(
    {"name": TEXT, "value": TEXT},
    path=TEXT,
    domain=TEXT,
    expires=TIME,
    httpOnly={"type": "boolean"},
    secure={"type": "boolean"},
)
CONTENT = thing({"size": SIZE, "mimeType": TEXT}, compression={"type": "integer"}, text=TEXT, encoding=TEXT)
PARAMETER = thing({"name": TEXT}, value=TEXT, fileName=TEXT, contentType=TEXT)
MESSAGE = {"httpVersion": TEXT, "cookies": many(COOKIE), "headers": many(PAIR), "headersSize": SIZE, "bodySize": SIZE}
POSTED = thing({"mimeType": TEXT, "params": many(PARAMETER), "text": TEXT})
REQUEST = thing(
    {"method": TEXT, "url": {"type": "string", "pattern": "^https?://[^/]"}, "queryString": many(PAIR), **MESSAGE},
    postData=POSTED,
)
RESPONSE = thing(
    {
        "status": {"type": "integer", "minimum": 0},
        "statusText": TEXT,
        "content": CONTENT,
        "redirectURL": TEXT,
        **MESSAGE,
    }
)
TIMINGS = thing(
    {"send": SPENT, "wait": SPENT, "receive": SPENT},
    blocked=MAYBE_SPENT, dns=MAYBE_SPENT, connect=MAYBE_SPENT, ssl=MAYBE_SPENT,
)  # fmt: skip
ENTRY = thing(
    {"startedDateTime": TIME, "time": SPENT, "request": REQUEST, "response": RESPONSE, "cache": thing({}), "timings": TIMINGS},
    pageref=TEXT, serverIPAddress=TEXT, connection=TEXT,
)  # fmt: skip
PAGE = thing(
    {
        "startedDateTime": TIME,
        "id": TEXT,
        "title": TEXT,
        "pageTimings": thing({}, onContentLoad=MAYBE_SPENT, onLoad=MAYBE_SPENT),
    }
)
NAMED = thing({"name": TEXT, "version": TEXT})
LOG = thing({"version": {"const": "1.2"}, "creator": NAMED, "entries": many(ENTRY)}, browser=NAMED, pages=many(PAGE))
HAR = {"type": "object", "required": ["log"], "properties": {"log": LOG}, "additionalProperties": False}
