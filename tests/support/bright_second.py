"""Videos in which one second is bright, in one of two colours, and training data about it."""

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
import torch
from av.video.stream import VideoStream

from evals.answers.tiny import make_model, make_processor
from evals.answers.train import Example, chat, fit
from keyscore_trl import ShownVideo, UniformReader
from keyscore_trl.clip_prompts import ClipPrompts, read_rows
from tests.support.tiny import build

SECONDS = 4  # of a video
FPS = 2
SIDE = 56  # pixels
COLOURS = {"yellow": (1, 1, 0.6), "cyan": (0.6, 1, 1)}
QUERY = "bright"
_DARK, _LIGHT = 40, 180
_ANSWERER_STEPS = 80
_UNSEEN = 0.3  # share of the answerer's examples in which no frame is bright


class BrightVideo(NamedTuple):
    """A video, its bright second, and the colour of that."""

    path: Path
    second: int
    colour: str


def write_videos(folder: Path, n_each: int, *, seed: int = 0) -> list[BrightVideo]:
    """Write noisy dark videos with a bright second.

    Args:
        folder: Folder of the videos.
        n_each: Videos for each of the seconds.
        seed: Seed of the noise and of the colours.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    colours = np.random.default_rng(seed).choice(list(COLOURS), n_each * SECONDS).tolist()
    made = []
    for number, colour in enumerate(colours):
        video = BrightVideo(folder / f"{seed}-{number}.mkv", number % SECONDS, colour)
        _write(video, rng)
        made.append(video)
    return made


def _write(video: BrightVideo, rng: np.random.Generator) -> None:
    with av.open(str(video.path), "w") as container:
        stream: VideoStream = container.add_stream("libx264", FPS, {"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv444p"
        for index in range(SECONDS * FPS):
            pixels = _picture(rng, video.colour if index // FPS == video.second else None)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _picture(rng: np.random.Generator, colour: str | None) -> npt.NDArray[np.uint8]:
    """Dark noise, and light of the colour."""
    pixels = rng.integers(0, _DARK, (SIDE, SIDE, 3)).astype(np.uint8)
    if colour is None:
        return pixels
    return pixels + (np.array(COLOURS[colour]) * _LIGHT).astype(np.uint8)


def write_lines(path: Path, lines: Iterator[dict[str, Any]]) -> Path:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def clip_lines(videos: list[BrightVideo]) -> Iterator[dict[str, Any]]:
    """Lines of stage 2: the bright second is the clip."""
    for video in videos:
        clip = {"start": video.second, "end": video.second + 1, "priority": 1, "reason": ""}
        yield {"video": str(video.path), "query": QUERY, "clips": [clip]}


def question_lines(videos: list[BrightVideo]) -> Iterator[dict[str, Any]]:
    """Lines of reinforcement learning: only the bright second shows the answer."""
    options = list(COLOURS)
    for video in videos:
        yield {
            "video": str(video.path),
            "question": QUERY,
            "options": options,
            "answer": options.index(video.colour),
        }


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


def save_answerer(folder: Path, *, steps: int = _ANSWERER_STEPS) -> Path:
    """Write a model that was trained here to name the colour that it sees."""
    processor = make_processor([QUERY, *COLOURS] * 9)
    model = fit(processor, make_model(processor, seed=0), _colour_example, steps=steps, seed=0)
    processor.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def _colour_example(seed: Sequence[int]) -> Example:
    """One or two frames, of which some are bright; without a bright one the answer is drawn."""
    rng = np.random.default_rng(seed)
    colour = str(rng.choice(list(COLOURS)))
    bright = rng.random(int(rng.integers(1, 3))) < 1 - _UNSEEN
    pixels = np.stack([_picture(rng, colour if one else None) for one in bright])
    seconds = torch.from_numpy(np.sort(rng.uniform(0, SECONDS, len(bright))))
    return chat(QUERY, ShownVideo(torch.from_numpy(pixels), seconds, float(SECONDS))), colour
