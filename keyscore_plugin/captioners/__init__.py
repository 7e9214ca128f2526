"""Captioners: one sentence about a video."""
