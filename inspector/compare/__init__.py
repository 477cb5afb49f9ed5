"""Original against mirror: bodies, headers, counts over all pairs."""
