"""Modules that run in an environment of the peer's own: they import nothing of the core."""
