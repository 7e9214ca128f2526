"""Encoders: frames and texts into one space."""
