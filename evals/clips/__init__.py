"""Clips against the stretches that a sentence describes: overlap, and what the frames show."""
