"""Lessons on mirrored traffic, each on a real capture that is installed with the package.

A lesson is data (`model`), made by a function of its module from what `seen` finds in its captures: numbers, packets and
verdicts in its text are computed, not written down. `script` writes it for a terminal, `page` as a page.
"""
