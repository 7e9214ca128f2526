"""The frame index of a scan as small tensors, so that a video is opened without another scan."""

from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from keyscore_plugin.index.look import narrowed
from keyscore_plugin.video.decoders.container import StreamChoice
from keyscore_plugin.video.decoders.frame_index import FrameIndex, Ints, PacketMarks
from keyscore_plugin.video.decoders.hdr import ToneMap
from keyscore_plugin.video.decoders.picture import Orientation, Picture
from keyscore_plugin.video.decoders.scan import Scan


def scan_to_tensors(scan: Scan) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A scan of an undamaged video as named tensors and plain JSON values.

    An array of times or places is kept as its first value and the steps after it, which for an hour
    of video need two bytes a frame or fewer.
    """
    index = scan.index
    columns = {
        "pts": index.pts,
        "position": index.position,
        "seek_pts": index.seek_pts,
        "times": index.packets.times,
    }
    tensors = {f"table.{name}": _steps(column) for name, column in columns.items()}
    tensors["table.sizes"] = narrowed(torch.from_numpy(index.packets.sizes))
    tensors["table.keyframe"] = torch.from_numpy(index.keyframe)
    facts = {
        "first": {name: int(column[0]) for name, column in columns.items()},
        "end": int(index.end),
        "time_base": [index.time_base.numerator, index.time_base.denominator],
        "seekable": index.seekable,
        "keys_as_marked": bool(index.keys_as_marked),
        "are_pts": index.packets.are_pts,
        "stream": asdict(scan.stream),
        "picture": asdict(scan.picture),
        "codec": scan.codec,
        "format": scan.format,
        "header_frames": scan.header_frames,
        "notes": list(scan.notes),
    }
    return tensors, facts


def scan_from_tensors(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Scan:
    """A scan from what `scan_to_tensors` returned."""
    columns = {
        name: _from_steps(first, tensors[f"table.{name}"]) for name, first in facts["first"].items()
    }
    picture = facts["picture"]
    index = FrameIndex(
        pts=columns["pts"],
        end=facts["end"],
        keyframe=tensors["table.keyframe"].numpy(),
        position=columns["position"],
        seek_pts=columns["seek_pts"],
        time_base=Fraction(*facts["time_base"]),
        seekable=facts["seekable"],
        packets=PacketMarks(
            columns["times"], tensors["table.sizes"].long().numpy(), facts["are_pts"]
        ),
        keys_as_marked=facts["keys_as_marked"],
    )
    return Scan(
        index=index,
        stream=StreamChoice(**facts["stream"]),
        picture=Picture(
            width=picture["width"],
            height=picture["height"],
            orientation=Orientation(**picture["orientation"]),
            has_odd_matrix=picture["has_odd_matrix"],
            tone_map=ToneMap(**picture["tone_map"]) if picture["tone_map"] else None,
            notes=tuple(picture["notes"]),
        ),
        codec=facts["codec"],
        format=facts["format"],
        header_frames=facts["header_frames"],
        damage=None,
        notes=tuple(facts["notes"]),
    )


def _steps(column: Ints) -> Tensor:
    # int64 wraps around in both directions, so that FFmpeg's marks of "no time" survive.
    return narrowed(torch.from_numpy(np.diff(column)))


def _from_steps(first: int, steps: Tensor) -> Ints:
    start = np.array([first], dtype=np.int64)
    return np.concatenate([start, steps.long().numpy()]).cumsum(dtype=np.int64)
