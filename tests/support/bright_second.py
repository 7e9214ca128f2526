"""Videos in which one second is bright, and the training data that points at it."""

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.stream import VideoStream
from torch import Tensor

from evals.answers.tiny import make_model, make_processor
from keyscore_trl import ShownVideo, UniformReader
from keyscore_trl.clip_prompts import ClipPrompts, read_rows
from tests.support.tiny import build

SECONDS = 4  # of a video
FPS = 2
SIDE = 56  # pixels
QUERY = "bright"


def write_videos(folder: Path, n_each: int, *, seed: int = 0) -> list[tuple[Path, int]]:
    """Write noisy dark videos; returns each with its bright second.

    Args:
        folder: Folder of the videos.
        n_each: Videos for each of the seconds.
        seed: Seed of the noise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n_each * SECONDS):
        second = number % SECONDS
        path = folder / f"{seed}-{number}.mkv"
        _write(path, second, rng)
        made.append((path, second))
    return made


def _write(path: Path, second: int, rng: np.random.Generator) -> None:
    with av.open(str(path), "w") as container:
        stream: VideoStream = container.add_stream("libx264", FPS, {"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv444p"
        for index in range(SECONDS * FPS):
            pixels = rng.integers(0, 40, (SIDE, SIDE, 3)).astype(np.uint8)
            pixels += np.uint8(180 * (index // FPS == second))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_lines(path: Path, lines: Iterator[dict[str, Any]]) -> Path:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def clip_lines(videos: list[tuple[Path, int]]) -> Iterator[dict[str, Any]]:
    """Lines of stage 2: the bright second is the clip."""
    for path, second in videos:
        clip = {"start": second, "end": second + 1, "priority": 1, "reason": ""}
        yield {"video": str(path), "query": QUERY, "clips": [clip]}


def question_lines(videos: list[tuple[Path, int]]) -> Iterator[dict[str, Any]]:
    """Lines of reinforcement learning: the answer is in the bright second."""
    for path, _ in videos:
        yield {
            "video": str(path),
            "question": QUERY,
            "options": ["light", "dark"],
            "answer": 0,
        }


class Brightness:
    """An answerer that is sure of the first option as far as the frames are bright."""

    def log_probs(
        self, videos: Sequence[ShownVideo], question: str, options: Sequence[str]
    ) -> Tensor:
        light = [
            float((video.pixels.float().mean((1, 2, 3)) > 128).float().mean()) for video in videos
        ]
        sure = torch.tensor(light) * 0.9 + 0.05
        columns = [sure if option == "light" else 1 - sure for option in options]
        return torch.stack(columns, 1).log()


def save_policy(folder: Path, data: Path, *, looked_at: int) -> Path:
    """Write a random policy whose tokenizer knows the words of the data."""
    bytewise, _ = build("qwen2_5_vl")
    rows = read_rows(data, "2")
    batch = ClipPrompts(bytewise, UniformReader(looked_at))([rows[0]["prompt"]])
    text = bytewise.tokenizer.decode(batch["input_ids"][0], skip_special_tokens=True)
    # The fixed parts of an answer become a token each, so that a few steps teach the syntax.
    texts = [text, *(row["completion"] for row in rows)]
    processor = make_processor(texts, vocabulary=306, within_words=False)
    processor.save_pretrained(folder)
    make_model(processor, seed=0).save_pretrained(folder)
    return folder
