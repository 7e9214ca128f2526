"""Where frames come from: videos, their decoders, their times."""
