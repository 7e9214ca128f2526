"""The retrieval data sets in their exact formats, small, and real clips to fill them with."""

import csv
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from tests.support.real_clips import find

_SIZE = (320, 180)


def write_msrvtt(root: Path, captions: Mapping[str, str]) -> Path:
    """``MSRVTT_JSFUSION_test.csv`` and an empty folder for the videos; returns that folder."""
    with (root / "MSRVTT_JSFUSION_test.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["key", "vid_key", "video_id", "sentence"])
        for number, (video, sentence) in enumerate(captions.items()):
            lines.writerow([f"ret{number}", f"msr{video.removeprefix('video')}", video, sentence])
    return _folder(root, "MSRVTT_Videos")


def write_msvd(root: Path, captions: Mapping[str, Sequence[str]]) -> Path:
    """``test_list.txt``, ``raw-captions.pkl`` and a folder; the pickle holds other splits too."""
    (root / "test_list.txt").write_text("".join(f"{video}\n" for video in captions))
    tokens = {video: [text.split() for text in texts] for video, texts in captions.items()}
    write_pickle(root, tokens | {"of_the_training_split_0_9": [["a", "man", "cuts", "bread"]]})
    return _folder(root, "MSVD_Videos")


def write_pickle(root: Path, value: Any) -> None:
    """``raw-captions.pkl`` of MSVD with any value in it."""
    (root / "raw-captions.pkl").write_bytes(pickle.dumps(value))


def write_didemo(root: Path, descriptions: Mapping[str, Sequence[str]]) -> Path:
    """``test_list.txt``, ``test_data.json`` and a folder; the descriptions of a video lie apart."""
    (root / "test_list.txt").write_text("".join(f"{video}\n" for video in descriptions))
    rows = [(video, text) for video, texts in descriptions.items() for text in texts]
    # The first ones of all videos, then the second ones, as the real file mixes them.
    rows.sort(key=lambda row: list(descriptions[row[0]]).index(row[1]))
    items = [
        didemo_item(number, video, text) for number, (video, text) in enumerate(rows, start=1000)
    ]
    (root / "test_data.json").write_text(json.dumps(items))
    return _folder(root, "DiDeMo_Videos")


def didemo_item(annotation_id: int, video: str, description: str) -> dict[str, Any]:
    """One entry of ``test_data.json``."""
    return {
        "annotation_id": annotation_id,
        "description": description,
        "dl_link": f"https://www.flickr.com/video_download.gne?id={annotation_id}",
        "num_segments": 6,
        "times": [[0, 0], [0, 1], [0, 0], [1, 1]],
        "video": video,
    }


def write_scenes(path: Path, scenes: Sequence[tuple[str, float]], *, fps: int = 5) -> None:
    """A video of a few real scenes, without B-frames, so that its beginning can be cut off.

    Args:
        path: The file.
        scenes: What is seen (see `tests.support.real_clips.find`) and for how many seconds.
        fps: Few frames, as each costs time.
    """
    rng = np.random.default_rng(len(scenes))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", fps, {"preset": "veryfast", "bf": "0", "threads": "1"}
        )
        assert isinstance(stream, VideoStream)
        (stream.width, stream.height), stream.pix_fmt = _SIZE, "yuv420p"
        for words, seconds in scenes:
            for image in find(words).render(round(fps * seconds), rng):
                pixels = np.asarray(image.resize(_SIZE))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def copy_beginning(path: Path, to: Path, *, seconds: float) -> None:
    """The first seconds of a video that has no B-frames, packet by packet: the same pictures."""
    with av.open(str(path)) as whole, av.open(str(to), "w") as part:
        stream = whole.streams.video[0]
        copied = part.add_stream_from_template(stream)
        for packet in whole.demux(stream):
            if packet.pts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = copied
                part.mux(packet)


def _folder(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    return folder
