"""Evaluations: in the clone and the sdist, never in the wheel."""
