"""What is said in a video, on its clock: subtitles, and how well their lines answer a text."""
