"""TCP: segments to connections and streams."""

from inspector.tcp.state import TcpOptions
from inspector.tcp.tracker import Tracker

__all__ = ["TcpOptions", "Tracker"]
