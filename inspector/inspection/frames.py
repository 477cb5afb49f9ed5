"""pandas DataFrames of an inspection. Times are datetime64[ns, UTC], durations int64 microseconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.capture.addresses import format_address
from inspector.redact import Redactor
from inspector.tcp.tables import Connections, End
from inspector.views.objects import ExchangeView, MirrorView
from inspector.views.present import format_endpoint

if TYPE_CHECKING:
    import pandas as pd

EXCHANGE = (
    "id", "leg", "capture", "client", "server", "connection", "protocol", "method", "path", "host", "status",
    "request_id", "request_time", "response_time", "response_end_time", "duration_us", "request_body_bytes",
    "response_body_bytes", "response_body_hash", "complete", "request_packets", "response_packets",
)  # fmt: skip
MIRROR = (
    "id", "verdict", "proof", "reason", "delivered", "request_id", "method", "path", "host", "proxy", "original_server",
    "original_status", "mirror_server", "mirror_status", "downstream_client", "downstream_status", "lag_us",
    "paired_by", "confidence", "arrived", "acknowledged", "request_time", "mirror_id", "original_id", "downstream_id",
)  # fmt: skip


def _times(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    import pandas as pd

    for name in names:
        # Through int64, never through floats: they lose nanoseconds.
        column = np.array([-1 if v is None else v for v in frame[name].tolist()], np.int64)
        times = column.astype("datetime64[ns]")
        times[column < 0] = np.datetime64("NaT")
        frame[name] = pd.Series(times, index=frame.index).dt.tz_localize("UTC")
    return frame


def redacted(frame: pd.DataFrame, redactor: Redactor) -> pd.DataFrame:
    """The same with secrets in request targets, hosts and ids replaced; a copy where there are any. Other columns hold none."""
    for column, change in (("path", redactor.changes), ("host", redactor.named), ("request_id", redactor.named)):
        if column in frame.columns and (
            changes := change(text if isinstance(text, str) else None for text in frame[column])
        ):
            frame = frame.assign(**{column: [changes.get(text, text) for text in frame[column]]})
    return frame


def exchanges_frame(views: Iterable[ExchangeView]) -> pd.DataFrame:
    """One row an exchange, indexed by `id`."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for v in views:
        row = {name: getattr(v, name) for name in EXCHANGE if name != "duration_us"}
        row["duration_us"] = None if v.duration is None else v.duration / 1000
        rows.append(row)
    frame = pd.DataFrame(rows, columns=list(EXCHANGE), dtype=object)
    for name in ("status", "request_body_bytes", "response_body_bytes"):
        frame[name] = frame[name].astype("Int64")
    return _times(frame, ("request_time", "response_time", "response_end_time")).set_index("id")


def mirrors_frame(views: Iterable[MirrorView]) -> pd.DataFrame:
    """One row a mirror, indexed by `id`; `*_id` are indexes of the exchanges' frame."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for v in views:
        o, d = v.original, v.downstream
        rows.append(
            {
                "id": v.id, "verdict": v.verdict, "proof": v.proof, "reason": v.reason, "delivered": v.delivered,
                "request_id": v.request_id, "method": v.method, "path": v.path, "host": v.host, "proxy": v.proxy,
                "original_server": o.server if o else None, "original_status": o.status if o else None,
                "mirror_server": v.mirror.server, "mirror_status": v.mirror.status,
                "downstream_client": d.client if d else None, "downstream_status": d.status if d else None,
                "lag_us": None if v.lag is None else v.lag / 1000, "paired_by": v.paired_by,
                "confidence": v.confidence, "arrived": v.arrived, "acknowledged": v.acknowledged,
                "request_time": v.mirror.request_time, "mirror_id": v.mirror.id,
                "original_id": o.id if o else None, "downstream_id": d.id if d else None,
            }
        )  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(MIRROR), dtype=object)
    for name in ("original_status", "mirror_status", "downstream_status", "original_id", "downstream_id"):
        frame[name] = frame[name].astype("Int64")
    return _times(frame, ("request_time",)).set_index("id")


def connections_frame(c: Connections) -> pd.DataFrame:
    """One row a connection that carried payload, indexed by `connection`."""
    import pandas as pd

    def endpoints(prefix: str) -> list[str]:
        columns = (getattr(c, f"{prefix}_{part}").tolist() for part in ("hi", "lo", "port"))
        return [format_endpoint(*row) for row in zip(*columns, strict=True)]

    frame = pd.DataFrame(
        {
            "connection": c.connection, "capture": c.capture, "client": endpoints("client"), "server": endpoints("server"),
            "wire": [
                format_address(int(h), int(lo)) if j else None
                for h, lo, j in zip(c.wire_hi, c.wire_lo, c.joined, strict=True)
            ],
            "handshake": c.handshake, "first": c.first, "last": c.last, "packets": c.packets,
            "sent_bytes": c.sent_bytes, "received_bytes": c.received_bytes, "gap_bytes": c.gap_bytes,
            "retransmissions": c.retransmissions, "conflicts": c.conflicts,
            "end": [End(v).name.lower() if v else "open" for v in c.end.tolist()],
        }
    )  # fmt: skip
    return _times(frame, ("first", "last")).set_index("connection")
