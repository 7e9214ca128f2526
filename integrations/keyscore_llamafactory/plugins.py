"""The multimodal plugins of LLaMA-Factory, with frames that the rows name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import (
    QUERY_RULES,
    Chosen,
    Fold,
    HostProfile,
    HostRequest,
    SamplerPool,
    choose,
    require,
    split_frames,
)
from keyscore_transformers.positions import reads_rows
from keyscore_transformers.times import grid_intervals

_HOST = HostProfile(
    rule=QUERY_RULES["qwen-vl-utils"],
    allowed_by="downloading the video before the training",
    give_text="name frames, which need no text",
)
_SAMPLERS = SamplerPool()
_INTERVALS = "second_per_grid_ts"
_POSITIONS_PER_SECOND = 2.0  # of every published Qwen2.5-VL


@dataclass(frozen=True, slots=True)
class _Family:
    """How a plugin passes frames to its model.

    Attributes:
        times: Place of the times of frames: ``"indices"`` in the metadata of the video processor,
            ``"intervals"`` of each temporal patch (Qwen2.5-VL), or None if the model gets none.
        frames_per_patch: Frames that the model folds into one visual token.
    """

    times: Literal["indices", "intervals"] | None
    frames_per_patch: int = 1


# By the name under which LLaMA-Factory 0.9.5 registers the plugin. The others compute times from
# the number of frames (glm4v, minicpm_v_4_6), interleave the sound (qwen2_omni), or take no videos.
FAMILIES = {
    "gemma4": _Family("indices"),
    "intern_vl": _Family(None),
    "llava_next_video": _Family(None),
    "qwen2_vl": _Family("intervals", frames_per_patch=2),
    "qwen3_vl": _Family("indices", frames_per_patch=2),
    "video_llava": _Family(None),
}


class NamedFrames:
    """The methods that `register` puts before those of a plugin."""

    _keyscore_name: str  # under which the plugin is registered

    def _regularize_videos(self, videos: Sequence[Any], **kwargs: Any) -> dict[str, list[Any]]:
        """Read each video; the values of the stock method, in the order of the videos."""
        parts = [self._read(video, kwargs) for video in videos]
        return {name: [value for part in parts for value in part[name]] for name in parts[0]}

    def _get_mm_inputs(self, images: Any, videos: Any, audios: Any, processor: Any) -> Any:
        """Make the inputs of the model; Qwen2.5-VL gets the true interval of each patch."""
        stock: Any = super()
        inputs = stock._get_mm_inputs(images, videos, audios, processor)
        family = FAMILIES.get(self._keyscore_name)
        if family is not None and family.times == "intervals" and _INTERVALS in inputs:
            inputs[_INTERVALS] = [
                _row(video, interval, int(grid[0]))
                for video, interval, grid in zip(
                    videos, inputs[_INTERVALS], inputs["video_grid_thw"], strict=True
                )
            ]
        return inputs

    def _read(self, video: Any, options: Mapping[str, Any]) -> dict[str, list[Any]]:
        stock: Any = super()
        chosen = _chosen(video, self._keyscore_name)
        if chosen is None:
            read: dict[str, list[Any]] = stock._regularize_videos([video], **options)
            return read
        assert chosen.frames is not None
        frames = [Image.fromarray(pixels) for pixels in chosen.frames.pixels.numpy()]
        read = stock._regularize_videos([frames], **options)
        duration, rate = chosen.metadata["duration"], options["video_fps"]
        own = {
            "durations": duration,
            "fps_per_video": len(frames) / duration,
            # The processor computes a frame's time as index / video_fps.
            "frames_indices": [seconds * rate for seconds in chosen.seconds.tolist()],
        }
        return {name: [own[name]] if name in own else values for name, values in read.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it by the plugin's name: processes that `datasets` starts register first."""
        return _made, (self._keyscore_name, dict(vars(self)))


def register() -> None:
    """Let every plugin of LLaMA-Factory read videos whose address names frames.

    A second call does nothing. Rows without ``#frames=`` are read as before. Call it before the
    training starts; ``python -m keyscore_llamafactory`` does.

    Raises:
        MissingDependencyError: LLaMA-Factory is not installed.
    """
    plugins = _plugins()
    made = {}
    for name, stock in list(plugins.items()):
        if not issubclass(stock, NamedFrames):
            own = {"_keyscore_name": name, "__module__": stock.__module__}
            made[stock] = plugins[name] = type(stock.__name__, (NamedFrames, stock), own)
    templates: Any = require("llamafactory.data.template", extra=None)
    for template in templates.TEMPLATES.values():  # they hold plugins made at their import
        plugin = template.mm_plugin
        plugin.__class__ = made.get(type(plugin), type(plugin))


def _plugins() -> dict[str, Any]:
    module: Any = require("llamafactory.data.mm_plugin", extra=None)
    plugins: dict[str, Any] = module.PLUGINS
    return plugins


def _made(name: str, fields: Mapping[str, Any]) -> Any:
    register()
    plugin = object.__new__(_plugins()[name])
    vars(plugin).update(fields)
    return plugin


def _chosen(video: Any, plugin: str, *, read: bool = True) -> Chosen | None:
    """The frames that the address of a video names; None if it names none.

    Raises:
        InputError: The plugin cannot give its model the times of chosen frames.
    """
    address, given = split_frames(video) if isinstance(video, str) else ("", None)
    if given is None:
        return None
    family = FAMILIES.get(plugin)
    if family is None:
        raise InputError(
            f"{shown(video)} names its frames, and the plugin {plugin!r} of LLaMA-Factory cannot "
            f"give a model their times; use a template of: {', '.join(FAMILIES)}; or leave "
            "#frames= out"
        )
    return choose(
        HostRequest(video=address, sampler=given),
        host=_HOST,
        samplers=_SAMPLERS,
        fold=Fold(family.frames_per_patch, spacing_seconds=0.5),
        read=read,
    )


def _row(video: Any, interval: float, n_patches: int) -> Tensor:
    """``(n_patches,)`` intervals of a video: those of its named frames, or the stock one for all.

    Raises:
        InputError: The installed transformers reads one interval for each video only.
    """
    chosen = _chosen(video, "qwen2_vl", read=False)
    if chosen is None:
        return torch.full((n_patches,), interval)
    if not reads_rows():
        raise InputError(
            f"{shown(video)} names its frames, and this transformers gives Qwen2.5-VL one interval "
            "for a whole video; install transformers>=5.18 and set DISABLE_VERSION_CHECK=1, or "
            "train a Qwen3-VL"
        )
    return grid_intervals(chosen.patch_seconds, rate=_POSITIONS_PER_SECOND)
