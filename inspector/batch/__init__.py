"""Many captures: a store that is kept true, and reports over it."""
