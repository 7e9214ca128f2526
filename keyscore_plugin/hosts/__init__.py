"""What every integration shares: pairing, downloads, kept selections."""

from keyscore_plugin._runtime.device import resolve_device
from keyscore_plugin._runtime.files import whole, write_whole
from keyscore_plugin._runtime.optional import package_file, require
from keyscore_plugin.video.base import ForwardedVideo
from keyscore_plugin.video.trim import TrimmedVideo

__all__ = [
    "ForwardedVideo",
    "TrimmedVideo",
    "package_file",
    "require",
    "resolve_device",
    "whole",
    "write_whole",
]
