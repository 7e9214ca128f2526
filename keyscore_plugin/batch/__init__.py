"""Choose frames of many videos: read a manifest, write one JSON object per line."""
