"""The pipeline and the public API: where capture, tcp and http meet."""

from inspector.inspection.api import SIGN_WORDS, Decided, Inspection, Stream, inspect, signs_of, stream

__all__ = ["SIGN_WORDS", "Decided", "Inspection", "Stream", "inspect", "signs_of", "stream"]
