"""A small real captioner and judge for tests: it names colours, and the clips that show one."""

import json
from itertools import groupby

from keyscore_plugin.captioners.judge import ClipQuestion
from keyscore_plugin.types import Caption, Frames
from tests.support.colour_encoder import WORDS, ColourEncoder

COLOURS = ("red", "green", "blue")


class ColourJudge:
    """Names the strongest colour of the frames it is shown, and finds a colour of a query."""

    name = "colour-words"

    def __init__(self) -> None:
        self.n_shown = 0

    def caption(self, frames: Frames) -> Caption:
        self.n_shown = len(frames)
        strongest = int(frames.pixels.float().mean((0, 1, 2)).argmax())
        return Caption(COLOURS[strongest], origin="generated", model=self.name)

    def judge(self, question: ClipQuestion, *, max_new_tokens: int) -> str:
        """Clips of the frames that are nearest to the colour words of the query."""
        words = [word for word in question.query.lower().split() if word in WORDS]
        if not words:
            return "[]"
        encoder, frames = ColourEncoder(), question.frames
        cosines = (
            encoder.encode_frames(frames).vectors @ encoder.encode_text(" ".join(words)).vector
        )
        rows = enumerate((cosines >= cosines.max() - 0.05).tolist())
        half = question.duration_seconds / len(frames) / 2
        clips = []
        for is_near, group in groupby(rows, key=lambda row: row[1]):
            seconds = frames.pts_seconds[[row for row, _ in group]].tolist()
            if is_near:
                clips.append({"start": max(0.0, seconds[0] - half), "end": seconds[-1] + half})
        return json.dumps(clips)
