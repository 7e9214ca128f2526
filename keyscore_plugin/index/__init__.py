"""What a look at a video gave, kept on disk: look once, ask often."""
