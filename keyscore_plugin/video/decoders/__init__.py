"""Decoders: one file each, one contract (`keyscore_plugin.video.source.VideoSource`)."""
