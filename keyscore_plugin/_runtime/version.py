"""The version of this package: read by the build, and part of every key that outlives a run."""

VERSION = "0.3.0"
