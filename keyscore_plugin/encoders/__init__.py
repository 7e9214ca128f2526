"""Encoders embed frames and texts into one vector space."""

from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.encoders.registry import load_encoder

__all__ = ["Encoder", "load_encoder"]
