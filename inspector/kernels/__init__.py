"""Inner loops: one source, two speeds; compiled code on disk."""
