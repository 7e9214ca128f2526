"""Captioners write one sentence about a video."""

from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.registry import load_captioner

__all__ = ["Captioner", "load_captioner"]
