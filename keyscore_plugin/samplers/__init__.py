"""Samplers: a video (and a text) into a selection."""
