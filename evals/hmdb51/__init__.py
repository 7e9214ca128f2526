"""Zero-shot action classification on HMDB-51, from the frames that a caption chooses."""
