"""Many videos in one run: a manifest goes in, one JSON object a line comes out."""
