r"""What the store holds: six tables of Parquet files, one set of files for each unit.

A unit is what is read as one: a capture, or the pieces of a rotated one. Its files stand in one folder, which gets its
name when all of them are complete; a rename is atomic, so a reader never sees half a unit:

    STORE/store.json                                          {"schema": 1, ...}
    STORE/data/day=2026-11-21/source=node-a/unit=<16 hex>/units.parquet       one row
                                                         /captures.parquet    a row a file
                                                         /exchanges.parquet   a row an exchange
                                                         /mirrors.parquet     a row a mirror
                                                         /differences.parquet a row a difference between a mirror and its original
                                                         /faults.parquet      a row a kind of fault of a file

`day` (UTC) is that of the unit's first packet ("unknown" where nothing could be read), `source` says where a capture
comes from (its folder, as a name), `unit` is the key: the hash of the content, of the tool's version and of the options. The
three are columns of every table that is read with Hive partitioning. A table without rows has a file too.

Ids of exchanges and mirrors count within a unit, `capture` counts its files from 0, packets count from 1 within a file. Times are
timestamp[ns, UTC], durations int64 ns (`*_ns`). Captured text is as redacted as in every file that `inspect` writes; it is not
escaped: whoever shows it must. Only what UTF-8 has no bytes for is there as words (`inspector/storable.py`): a byte that is no
UTF-8 as `\xe9`, half of an emoji as `\ud83d`; `storable.path_of` makes the path of a capture out of its name in the store.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # of the schema; a store of an older one is migrated, one of a newer one is refused
PARTITIONS = ("day", "source", "unit")
STATES = ("read", "damaged", "failed")  # of a unit: whole; read in part; nothing could be read
PARTS = ("status", "header", "body", "request")  # of a difference: where it was found

# type words: text, word (text of few values), int, small (int16), real, flag, time, texts, ints, evidence
TABLES: dict[str, dict[str, str]] = {
    "units": {
        "state": "word", "error": "text", "hint": "text", "files": "int", "bytes": "int", "content": "text", "version": "word",
        "options": "text", "packets": "int", "copies": "int", "connections": "int", "exchanges": "int", "mirrors": "int",
        "discarded": "int", "leaked": "int", "unanswered": "int", "unproven": "int", "mirrored": "int", "eligible": "int",
        "first": "time", "last": "time", "finding": "text", "unseen": "texts", "seconds": "real", "written": "time",
        "unread": "texts", "unread_connections": "ints", "near": "int", "encapsulated": "int", "blind": "flag",
    },
    "captures": {
        "capture": "small", "path": "text", "bytes": "int", "content": "text", "format": "word", "compression": "word",
        "link_types": "texts", "packets": "int", "copies": "int", "first": "time", "last": "time", "dropped_tail": "flag",
        "warnings": "texts", "read": "texts", "read_bytes": "ints", "read_connections": "ints",
    },
    "exchanges": {
        "id": "int", "leg": "word", "capture": "small", "client": "text", "server": "text", "connection": "int",
        "protocol": "word", "method": "word", "path": "text", "host": "text", "status": "small", "request_id": "text",
        "request_time": "time", "response_time": "time", "response_end_time": "time", "duration_ns": "int",
        "request_body_bytes": "int", "response_body_bytes": "int", "response_body_hash": "text", "complete": "flag",
        "gap_bytes": "int", "request_packets": "ints", "response_packets": "ints",
    },
    "mirrors": {
        "id": "int", "verdict": "word", "proof": "texts", "reason": "word", "delivered": "word", "arrived": "word",
        "acknowledged": "flag", "request_id": "text", "method": "word", "path": "text", "host": "text", "mirror_host": "text",
        "proxy": "text", "paired_by": "texts", "confidence": "real", "lag_ns": "int", "request_time": "time",
        "original_id": "int", "mirror_id": "int", "downstream_id": "int",
        "original_server": "text", "mirror_server": "text", "downstream_client": "text", "downstream_server": "text",
        "original_status": "small", "mirror_status": "small", "downstream_status": "small",
        "original_duration_ns": "int", "mirror_duration_ns": "int",
        "original_capture": "small", "original_packet": "int", "mirror_capture": "small", "mirror_packet": "int",
        "downstream_capture": "small", "downstream_packet": "int",
        "status_same": "flag", "headers_same": "flag", "body_same": "flag", "request_same": "flag", "evidence": "evidence",
    },
    "differences": {
        "mirror": "int", "part": "word", "field": "text", "change": "word", "expected": "flag", "original": "text",
        "copy": "text",
    },
    "faults": {"capture": "small", "code": "word", "packets": "int"},
}  # fmt: skip
"""Columns of each table with a word for their type. What is not known is null.

mirrors: `host` and `path` are the original's where it was seen, else the mirror's; `mirror_host` is the mirror's own.
`*_packet` is the first packet of the request of that leg, in file `*_capture` of the unit. `*_same` is null where it cannot
be told (nothing is called equal that was not captured). differences: `field` is a header's name, a JSON path with indexes
folded to [], the kind of a body that is no JSON (text, binary), `status`, or for a request also `body` and `method and target`;
`change` is added, removed or changed; `expected` marks what a mirroring proxy changes; at most DIFFERENCES rows a mirror.
"""

DIFFERENCES = 50  # rows of `differences` for one mirror; a last row with field "..." says that there were more


@cache
def schema(table: str) -> pa.Schema:
    """The Arrow schema of a table, without the partition columns. Raises KeyError for a table that there is not."""
    import pyarrow as pa

    types: dict[str, pa.DataType] = {
        "text": pa.string(),
        "word": pa.dictionary(pa.int32(), pa.string()),
        "int": pa.int64(),
        "small": pa.int16(),
        "real": pa.float64(),
        "flag": pa.bool_(),
        "time": pa.timestamp("ns", tz="UTC"),
        "texts": pa.list_(pa.string()),
        "ints": pa.list_(pa.int64()),
        "evidence": pa.list_(pa.struct([("capture", pa.int16()), ("packet", pa.int64()), ("says", pa.string())])),
    }
    return pa.schema([(name, types[word]) for name, word in TABLES[table].items()])
