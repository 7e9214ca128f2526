"""Katna: 8 keyframes of the video named on the command line."""

import sys
from typing import Any

import Katna.video

from evals.speed.peers.clock import report


class Counter:
    """A writer that only counts frames."""

    n_frames = 0

    def write(self, path: str, frames: list[Any]) -> None:
        """Count the frames."""
        self.n_frames += len(frames)


def extract() -> int:
    """Extract keyframes with Katna's defaults; returns their number."""
    writer = Counter()
    Katna.video.Video().extract_video_keyframes(
        no_of_frames=8, file_path=sys.argv[1], writer=writer
    )
    return writer.n_frames


if __name__ == "__main__":  # Katna's worker processes import this file again
    report("katna", extract)
