"""The version of this package, read by the build and part of every key kept on disk."""

VERSION = "0.3.0"
