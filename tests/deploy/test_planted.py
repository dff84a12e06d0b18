"""Planted errors: a small fault in an overlay is refused, and by the check that is there for it."""
