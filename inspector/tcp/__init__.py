"""TCP: segments to connections and streams."""

from inspector.tcp.rooms import TcpOptions
from inspector.tcp.tracker import Tracker

__all__ = ["TcpOptions", "Tracker"]
