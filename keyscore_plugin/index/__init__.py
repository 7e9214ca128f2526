"""The index: what was computed of a video is kept on disk for the next question."""
